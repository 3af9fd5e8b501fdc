//! A leader's part (Apache's `Leader` and `LearnerHandler`): settle on an epoch with a quorum,
//! give everybody its history, then propose, collect acknowledgements and commit.
//!
//! ```text
//!   Electing epoch ─ quorum of FOLLOWERINFO ─▶ Promising ─ persisted ─▶ Comparing
//!     Comparing ─ quorum of ACKEPOCH ─▶ Synchronising ─ quorum of NEWLEADER acks ─▶ Broadcast
//! ```

mod broadcast;
mod discovery;
mod sync;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::links::{Links, Stage};
use super::standing::Standing;
use super::{Event, LearnerKind, LearnerView, LinkId, Oracle, Output, Role, Token};
use crate::types::{Epoch, Sid, Zxid};

#[derive(Debug)]
pub(super) struct Leader {
    phase: Phase,
    /// When the phase must be over; in `Broadcast` never.
    deadline_ms: i64,
    began_ms: i64,
    /// The learners, and the epoch.
    links: Links,
    /// The voters who have said which epoch they promised last.
    epoch_promises: BTreeSet<Sid>,
    /// The highest epoch that anybody has promised.
    highest_promise: Epoch,
    /// The voters whose history is not ahead of ours.
    epoch_acks: BTreeSet<Sid>,
    /// The voters that have our history, durably.
    new_leader_acks: BTreeSet<Sid>,
    /// Up to where each voter's log is durable, as it says itself.
    acked: BTreeMap<Sid, Zxid>,
    /// There are acknowledgements that nobody has counted yet.
    acks_uncounted: bool,
    last_proposed: Zxid,
    /// (when, what had been proposed then): one entry a ping.
    proposed_at: VecDeque<(i64, Zxid)>,
    /// Syncs that wait for a commit, in the order they came.
    syncs: VecDeque<(Zxid, Syncer)>,
    next_ping_ms: i64,
    pings: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for a quorum of promises.
    Electing,
    /// acceptedEpoch is on its way to the disk.
    Promising(Token),
    /// Waiting for a quorum of ACKEPOCH.
    Comparing,
    /// currentEpoch is on its way to the disk (until it is, this server's own vote is missing), and
    /// a quorum of NEWLEADER acks is waited for.
    Synchronising(Token),
    Broadcast,
}

/// Who has asked for a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncer {
    Link(LinkId),
    Local(u64),
}

impl Leader {
    pub(super) fn become_leader(standing: &mut Standing, now_ms: i64) -> Leader {
        let me = standing.me();
        let mut leader = Leader {
            phase: Phase::Electing,
            deadline_ms: now_ms + standing.init_limit_ms(),
            began_ms: now_ms,
            links: Links::new(Epoch(0)),
            epoch_promises: BTreeSet::from([me]),
            // Nobody is ever in an epoch that was not promised; and if it were so, no zxid may be
            // given twice.
            highest_promise: standing
                .accepted_epoch
                .max(standing.promise_heard)
                .max(standing.last_logged().epoch()),
            epoch_acks: BTreeSet::from([me]),
            new_leader_acks: BTreeSet::new(),
            acked: BTreeMap::new(),
            acks_uncounted: false,
            last_proposed: standing.last_logged(),
            proposed_at: VecDeque::new(),
            syncs: VecDeque::new(),
            next_ping_ms: now_ms + standing.options.tick_ms / 2,
            pings: 0,
        };
        standing.put(Output::Listen(true));
        leader.try_promising(standing);
        leader
    }

    pub(super) fn role(&self) -> Role {
        match self.phase {
            Phase::Broadcast => Role::Leading { epoch: self.links.epoch },
            _ => Role::Looking,
        }
    }

    pub(super) fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// From the election to the quorum of NEWLEADER acks all have `init_limit` each.
    fn enter(&mut self, standing: &Standing, now_ms: i64, phase: Phase) {
        self.phase = phase;
        self.deadline_ms = now_ms + standing.init_limit_ms();
    }

    pub(super) fn handle(&mut self, standing: &mut Standing, now_ms: i64, event: Event) {
        match event {
            Event::Timeout => self.handle_timeout(standing, now_ms),
            Event::LinkOpened { link } => self.links.open(now_ms, link),
            Event::Packet { link, packet } => self.handle_packet(standing, now_ms, link, packet),
            Event::LinkClosed { link } => self.links.closed(standing, link),
            Event::Persisted { .. } => self.handle_persisted(standing, now_ms),
            Event::SnapshotBegun { link, zxid } => {
                self.links.handle_snapshot_begun(standing, now_ms, link, zxid);
            }
            Event::LogFound { link, found } => {
                self.links.handle_log_found(standing, now_ms, link, found);
            }
            Event::ListenFailed { why } => {
                tracing::error!("Nobody can join this leader, another one is needed: {why}");
                standing.leave("the quorum port can't be opened");
            }
            Event::BulkSent { link } => self.links.bulk_sent(now_ms, link),
            _ => {}
        }
        self.heed_oracle(standing, now_ms);
    }

    /// The oracle counts while no follower gets what is proposed: one of two voters decides alone
    /// then, if it may, also about what was proposed before.
    fn heed_oracle(&mut self, standing: &mut Standing, now_ms: i64) {
        let alone = !self.links.has_forwarding(LearnerKind::Follower);
        let oracle = if alone { standing.oracle } else { Oracle::Silent };
        if std::mem::replace(&mut standing.quorums.oracle, oracle) == oracle {
            return;
        }
        match self.phase {
            Phase::Electing => self.try_promising(standing),
            Phase::Comparing => self.try_synchronising(standing, now_ms),
            Phase::Synchronising(_) => self.try_establishing(standing, now_ms),
            Phase::Broadcast => self.acks_uncounted = true,
            Phase::Promising(_) => {}
        }
    }

    fn handle_persisted(&mut self, standing: &mut Standing, now_ms: i64) {
        match self.phase {
            Phase::Promising(token) if standing.is_persisted(token) => {
                self.announce_epoch(standing, now_ms);
            }
            Phase::Synchronising(token) if standing.is_persisted(token) => {
                self.count_own_history(standing);
                self.try_establishing(standing, now_ms);
            }
            Phase::Broadcast => self.count_own_log(standing),
            _ => {}
        }
    }

    pub(super) fn leave(&mut self, standing: &mut Standing) {
        self.links.clear(standing);
        standing.put(Output::Listen(false));
    }

    // ---- links ----

    /// Those whose learner is there and not too silent, and this server.
    fn present_voters(&self, standing: &Standing) -> BTreeSet<Sid> {
        let present = self.links.all.iter().filter(|(_, l)| l.stage != Stage::Closing);
        let mut voters: BTreeSet<_> =
            present.filter_map(|(link, _)| self.links.voter(standing, *link)).collect();
        voters.insert(standing.me());
        voters
    }

    pub(super) fn learners(&self) -> impl Iterator<Item = LearnerView> + '_ {
        self.links.views()
    }

    pub(super) fn send_to(&mut self, standing: &mut Standing, link: LinkId, packets: Bytes) {
        self.links.send_to(standing, link, packets);
    }

    /// Somebody looks for a leader. One of those who have elected this one will not come any more,
    /// and so there may never be a quorum (`leader.maxTimeToWaitForEpoch`).
    pub(super) fn hear_looking(&self, standing: &mut Standing, now_ms: i64, elected_us: bool) {
        let waited_ms = now_ms - self.began_ms;
        let limit = standing.options.epoch_wait_ms;
        let too_long = limit.is_some_and(|limit_ms| waited_ms > limit_ms);
        if self.phase == Phase::Electing && elected_us && too_long {
            standing.leave("a voter looks for another leader, and there is no epoch yet");
        }
    }

    // ---- time ----

    pub(super) fn poll_timeout(&self, standing: &Standing) -> Option<i64> {
        let phase = (self.phase != Phase::Broadcast).then_some(self.deadline_ms);
        let silence = self.links.deadline(standing);
        [phase, silence, Some(self.next_ping_ms)].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, standing: &mut Standing, now_ms: i64) {
        if self.phase != Phase::Broadcast && now_ms >= self.deadline_ms {
            standing.leave("no quorum of followers came along within initLimit");
            return;
        }
        self.links.refuse_silent(standing, now_ms);
        if now_ms >= self.next_ping_ms {
            self.ping(standing, now_ms);
        }
    }
}
