//! NEWLEADER is acknowledged: by whom, and when that is a quorum.

use jute::quorum::PacketType;
use tracing::info;

use super::super::links::Stage;
use super::super::packets::start_of;
use super::super::standing::Standing;
use super::super::{LinkId, Output, Role, SyncMode};
use super::{Leader, Phase};
use crate::types::Zxid;

impl Leader {
    /// ACK, or anything else, from one that has NEWLEADER in its queue.
    pub(super) fn handle_new_leader_ack(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        kind: Option<PacketType>,
        zxid: Zxid,
    ) {
        let Some(learner) = self.links.all.get_mut(&link) else { return };
        if kind != Some(PacketType::Ack) {
            return;
        }
        if zxid != start_of(self.links.epoch) {
            // Learners before 3.9.3 may acknowledge proposals first (ZOOKEEPER-4685). That says
            // nothing of NEWLEADER.
            if zxid <= self.last_proposed {
                learner.acked = learner.acked.max(zxid);
            }
            return;
        }
        learner.stage = Stage::Synced;
        let mode = learner.sync_mode.unwrap_or(SyncMode::Diff);
        learner.acked = learner.acked.max(learner.synced_to).max(zxid);
        let acked = learner.acked;
        self.links.mark_sync(standing, mode, true);
        if let Some(sid) = self.links.voter(standing, link) {
            self.new_leader_acks.insert(sid);
            self.acked.insert(sid, acked);
            self.acks_uncounted = true;
        }
        match self.phase {
            Phase::Broadcast => self.links.send_up_to_date(standing, now_ms, link),
            _ => self.try_establishing(standing, now_ms),
        }
    }

    /// currentEpoch is durable here too.
    pub(super) fn count_own_history(&mut self, standing: &Standing) {
        let me = standing.me();
        self.new_leader_acks.insert(me);
        self.acked.insert(me, start_of(self.links.epoch));
    }

    pub(super) fn try_establishing(&mut self, standing: &mut Standing, now_ms: i64) {
        let ours = self.new_leader_acks.contains(&standing.me());
        if !ours || !standing.quorums.is_quorum(&self.new_leader_acks) {
            return;
        }
        self.phase = Phase::Broadcast;
        standing.put(Output::Role(Role::Leading { epoch: self.links.epoch }));
        standing.established = Some(self.links.epoch);
        info!(
            "A quorum has epoch {:#x} and its history up to {}, {} ms after the election",
            self.links.epoch.0,
            standing.last_committed(),
            now_ms - self.began_ms
        );
        for link in self.links.at(Stage::Synced) {
            self.links.send_up_to_date(standing, now_ms, link);
        }
    }
}
