//! A leader's part (Apache's `Leader` and `LearnerHandler`): settle on an epoch with a quorum,
//! give everybody its history, then propose, collect acknowledgements and commit.
//!
//! ```text
//!   Electing epoch ─ quorum of FOLLOWERINFO ─▶ Promising ─ persisted ─▶ Comparing
//!     Comparing ─ quorum of ACKEPOCH ─▶ Synchronising ─ quorum of NEWLEADER acks ─▶ Broadcast
//! ```

mod broadcast;
mod discovery;
mod learner_link;
mod sync;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tracing::warn;

use self::learner_link::{LearnerLink, Stage};
use super::standing::Standing;
use super::{Event, LearnerKind, LearnerView, LinkId, Output, Role, Token};
use crate::types::{Epoch, Sid, Zxid};

#[derive(Debug)]
pub(super) struct Leader {
    phase: Phase,
    /// When the phase must be over; in `Broadcast` never.
    deadline_ms: i64,
    began_ms: i64,
    epoch: Epoch,
    links: BTreeMap<LinkId, LearnerLink>,
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
            epoch: Epoch(0),
            links: BTreeMap::new(),
            epoch_promises: BTreeSet::from([me]),
            // Nobody is ever in an epoch that was not promised; and if it were so, no zxid may be
            // given twice.
            highest_promise: standing.accepted_epoch.max(standing.last_logged().epoch()),
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
            Phase::Broadcast => Role::Leading { epoch: self.epoch },
            _ => Role::Looking,
        }
    }

    /// The learners that are so far.
    fn links_at(&self, stage: Stage) -> Vec<LinkId> {
        let so_far = self.links.iter().filter(|(_, learner)| learner.stage == stage);
        so_far.map(|(link, _)| *link).collect()
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
            Event::LinkOpened { link } => {
                self.links.insert(link, LearnerLink::new(now_ms));
            }
            Event::Packet { link, packet } if self.links.contains_key(&link) => {
                self.handle_packet(standing, now_ms, link, packet);
            }
            Event::LinkClosed { link } => self.handle_link_closed(standing, link),
            Event::Persisted { .. } => self.handle_persisted(standing, now_ms),
            Event::SnapshotBegun { link, zxid } => {
                self.handle_snapshot_begun(standing, now_ms, link, zxid);
            }
            Event::LogFound { link, found } => {
                self.handle_log_found(standing, now_ms, link, found);
            }
            Event::ListenFailed { why } => {
                tracing::error!("Nobody can join this leader, another one is needed: {why}");
                standing.leave("the quorum port can't be opened");
            }
            Event::BulkSent { link } => {
                if let Some(learner) = self.links.get_mut(&link) {
                    learner.bulk = false;
                    learner.heard_ms = now_ms;
                }
            }
            _ => {}
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
        self.links.clear();
        standing.history.pin(None);
        standing.put(Output::Listen(false));
    }

    // ---- links ----

    fn handle_link_closed(&mut self, standing: &mut Standing, link: LinkId) {
        let Some(learner) = self.links.remove(&link) else { return };
        self.repin(standing);
        if let (Some(sid), false) = (learner.sid, learner.replaced) {
            standing.put(Output::LearnerGone { sid });
        }
    }

    /// Closes a link; everything about it is forgotten when `LinkClosed` says it is gone.
    fn refuse(&mut self, standing: &mut Standing, link: LinkId, why: &'static str) {
        let Some(learner) = self.links.get_mut(&link) else { return };
        if learner.stage != Stage::Closing {
            let sid = learner.sid.map_or(-1, |sid| sid.0);
            warn!("Closing the connection of learner {sid}: {why}");
            learner.stage = Stage::Closing;
            standing.put(Output::Close { link });
            self.repin(standing);
        }
    }

    /// The voter that this link's acknowledgements count for.
    fn voter(&self, standing: &Standing, link: LinkId) -> Option<Sid> {
        let learner = self.links.get(&link)?;
        let sid = learner.sid?;
        let counts = learner.kind == LearnerKind::Follower && standing.quorums.is_voter(sid);
        counts.then_some(sid)
    }

    /// Those whose learner is there and not too silent, and this server.
    fn present_voters(&self, standing: &Standing) -> BTreeSet<Sid> {
        let present = self.links.iter().filter(|(_, learner)| learner.stage != Stage::Closing);
        let mut voters: BTreeSet<_> =
            present.filter_map(|(link, _)| self.voter(standing, *link)).collect();
        voters.insert(standing.me());
        voters
    }

    pub(super) fn learners(&self) -> impl Iterator<Item = LearnerView> + '_ {
        self.links.iter().filter_map(|(link, learner)| {
            Some(LearnerView {
                link: *link,
                sid: learner.sid?,
                kind: learner.kind,
                synced: learner.stage == Stage::Serving,
                sync_mode: learner.sync_mode,
                acked: learner.acked,
            })
        })
    }

    pub(super) fn send_to(&mut self, standing: &mut Standing, link: LinkId, packets: Bytes) {
        if self.links.get(&link).is_some_and(|l| l.stage == Stage::Serving) {
            standing.send(link, packets);
        }
    }

    // ---- time ----

    pub(super) fn poll_timeout(&self, standing: &Standing) -> Option<i64> {
        let phase = (self.phase != Phase::Broadcast).then_some(self.deadline_ms);
        let silence = self.links.values().filter_map(|link| link.deadline(standing)).min();
        [phase, silence, Some(self.next_ping_ms)].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, standing: &mut Standing, now_ms: i64) {
        if self.phase != Phase::Broadcast && now_ms >= self.deadline_ms {
            standing.leave("no quorum of followers came along within initLimit");
            return;
        }
        let silent: Vec<_> = self
            .links
            .iter()
            .filter(|(_, learner)| learner.deadline(standing).is_some_and(|at| now_ms >= at))
            .map(|(link, _)| *link)
            .collect();
        for link in silent {
            self.refuse(standing, link, "it has been silent for too long");
        }
        if now_ms >= self.next_ping_ms {
            self.ping(standing, now_ms);
        }
    }
}
