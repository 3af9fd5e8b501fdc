//! Epochs: which one is new, and whether a quorum's history is not ahead of the leader's.

use tracing::info;

use super::super::links::{Stage, EPOCH_MAX};
use super::super::packets::{start_of, stranger_name};
use super::super::standing::Standing;
use super::super::{LinkId, Packet};
use super::{Leader, Phase};
use crate::types::{Epoch, Sid, Zxid};

/// How far somebody without a vote, or one who comes late, may raise the epoch at once. There are
/// only 2^31 of them.
const EPOCH_JUMP_MAX: u32 = 1_000;

impl Leader {
    /// FOLLOWERINFO or OBSERVERINFO.
    pub(super) fn handle_learner_info(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: &Packet,
    ) {
        let Some(greeting) = self.links.greet(standing, link, packet) else { return };
        self.links.introduce(standing, link, greeting);
        self.forget_acks(greeting.sid);
        let voter = self.links.voter(standing, link);
        match self.phase {
            Phase::Electing => {
                let promised = greeting.promised;
                let known = self.highest_promise.0.saturating_add(EPOCH_JUMP_MAX);
                if voter.is_none() && promised.0 > known {
                    let why = "it would raise the epoch beyond reason";
                    return self.links.refuse(standing, link, why);
                }
                self.highest_promise = self.highest_promise.max(promised);
                self.epoch_promises.extend(voter);
                self.try_promising(standing);
            }
            _ if voter.is_some() && self.must_give_way(greeting.promised) => {
                standing.promise_heard = standing.promise_heard.max(greeting.promised);
                standing.leave("a voter has promised a later epoch than this leader's");
            }
            // It is told later, with all the others.
            Phase::Promising(_) => {}
            // One that has promised beyond reason refuses us itself.
            _ => self.links.send_leader_info(standing, now_ms, link),
        }
    }

    /// A voter that has promised a later epoch can't follow in this one, and may not break its
    /// promise: it would stay out until somebody else fails. Apache's leader lets it; this one
    /// makes room for an epoch behind that promise, as Raft's leaders do for a later term. It does
    /// so once for a promise, since whatever it leads from then on is later.
    fn must_give_way(&self, promised: Epoch) -> bool {
        let reach = self.links.epoch.0.saturating_add(EPOCH_JUMP_MAX);
        promised > self.links.epoch && promised.0 <= reach
    }

    /// What a server acknowledged over an older connection it must say anew: its disk may be
    /// another. One that has lost its disk says so by a negative number.
    fn forget_acks(&mut self, sid: Sid) {
        if sid.0 < 0 {
            self.forget_acks(stranger_name(sid));
        }
        self.acked.remove(&sid);
        if self.phase != Phase::Broadcast {
            self.new_leader_acks.remove(&sid);
        }
    }

    /// The new epoch is one more than any that a quorum has promised.
    pub(super) fn try_promising(&mut self, standing: &mut Standing) {
        if !standing.quorums.is_quorum(&self.epoch_promises) {
            return;
        }
        if self.highest_promise >= EPOCH_MAX {
            standing.leave("there is no epoch left");
            return;
        }
        self.links.epoch = Epoch(self.highest_promise.0 + 1);
        standing.save_accepted_epoch(self.links.epoch);
        self.phase = Phase::Promising(standing.issued());
    }

    /// The promise is durable here, so that it may be asked of others.
    pub(super) fn announce_epoch(&mut self, standing: &mut Standing, now_ms: i64) {
        self.enter(standing, now_ms, Phase::Comparing);
        self.last_proposed = start_of(self.links.epoch);
        for link in self.links.at(Stage::Waiting) {
            self.links.send_leader_info(standing, now_ms, link);
        }
        self.try_synchronising(standing, now_ms);
    }

    pub(super) fn handle_ack_epoch(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: &Packet,
    ) {
        let Some(epoch) = self.links.read_ack_epoch(standing, link, packet) else { return };
        let zxid = packet.zxid;
        if self.phase == Phase::Comparing && epoch != -1 {
            // -1: it had promised this epoch before, and was compared then.
            let ours = (i64::from(standing.current_epoch.0), standing.last_logged());
            if (i64::from(epoch), zxid) > ours {
                let why = "its history is ahead of the leader's";
                return self.links.refuse(standing, link, why);
            }
            if zxid != Zxid::NONE {
                self.epoch_acks.extend(self.links.voter(standing, link));
            }
        }
        self.links.set_stage(link, Stage::Comparing(zxid));
        match self.phase {
            Phase::Comparing => self.try_synchronising(standing, now_ms),
            _ => self.links.synchronise(standing, now_ms, link, zxid),
        }
    }

    pub(super) fn try_synchronising(&mut self, standing: &mut Standing, now_ms: i64) {
        if !standing.quorums.is_quorum(&self.epoch_acks) {
            return;
        }
        standing.save_current_epoch(self.links.epoch);
        self.enter(standing, now_ms, Phase::Synchronising(standing.issued()));
        info!(
            "A quorum has promised epoch {:#x}: bringing it up to {}",
            self.links.epoch.0,
            standing.last_committed()
        );
        let compared: Vec<_> = self
            .links
            .all
            .iter()
            .filter_map(|(link, learner)| match learner.stage {
                Stage::Comparing(zxid) => Some((*link, zxid)),
                _ => None,
            })
            .collect();
        for (link, zxid) in compared {
            self.links.synchronise(standing, now_ms, link, zxid);
        }
    }
}
