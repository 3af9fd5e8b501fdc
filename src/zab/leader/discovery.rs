//! Epochs: which one is new, and whether a quorum's history is not ahead of the leader's.

use jute::quorum::{AcceptedEpoch, LearnerInfo, PacketType, ProtocolVersion, PROTOCOL_VERSION};
use jute::{Decode, Encode, Reader, Writer};
use tracing::info;

use super::super::packets::{packet, start_of, stranger_name};
use super::super::standing::Standing;
use super::super::{LearnerKind, LinkId, Packet};
use super::learner_link::Stage;
use super::{Leader, Phase};
use crate::types::{Epoch, Sid, Zxid};

/// How far somebody without a vote may raise the epoch at once. There are only 2^31 of them.
const EPOCH_JUMP_MAX: u32 = 1_000;

/// As ACKEPOCH carries an epoch, signed.
const EPOCH_MAX: Epoch = Epoch(i32::MAX as u32);

impl Leader {
    /// FOLLOWERINFO or OBSERVERINFO.
    pub(super) fn handle_learner_info(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: &Packet,
    ) {
        let kind = match packet.kind {
            Some(PacketType::FollowerInfo) => LearnerKind::Follower,
            Some(PacketType::ObserverInfo) => LearnerKind::Observer,
            _ => return self.refuse(standing, link, "it did not begin by saying who it is"),
        };
        let data = packet.data.as_deref().unwrap_or_default();
        let Ok(info) = LearnerInfo::decode(&mut Reader::new(data)) else {
            return self.refuse(standing, link, "it is older than 3.4, or says nothing of itself");
        };
        if info.protocol_version.is_none_or(|version| version < PROTOCOL_VERSION) {
            return self.refuse(standing, link, "it is older than 3.4");
        }
        if info.config_version.is_some_and(|v| v > standing.quorums.committed.version) {
            return self.refuse(standing, link, "its configuration is newer than the leader's");
        }
        let sid = Sid(info.server_id);
        let promised = packet.zxid.epoch();
        if sid == standing.me() {
            return self.refuse(standing, link, "it says it is this server: two with one myid");
        }
        if packet.zxid < Zxid::ZERO || promised >= EPOCH_MAX {
            return self.refuse(standing, link, "it has promised an impossible epoch");
        }
        self.replace_older_link(standing, sid);
        let Some(learner) = self.links.get_mut(&link) else { return };
        learner.sid = Some(sid);
        learner.kind = kind;
        learner.stage = Stage::Waiting;
        let voter = self.voter(standing, link);
        match self.phase {
            Phase::Electing => {
                let known = self.highest_promise.0.saturating_add(EPOCH_JUMP_MAX);
                if voter.is_none() && promised.0 > known {
                    return self.refuse(standing, link, "it would raise the epoch beyond reason");
                }
                self.highest_promise = self.highest_promise.max(promised);
                self.epoch_promises.extend(voter);
                self.try_promising(standing);
            }
            // It is told later, with all the others.
            Phase::Promising(_) => {}
            // One that has promised more refuses us itself.
            _ => self.send_leader_info(standing, now_ms, link),
        }
    }

    /// A server has one connection. What it acknowledged on an older one it must say anew: its
    /// disk may be another. One that has lost its disk says so by a negative number.
    fn replace_older_link(&mut self, standing: &mut Standing, sid: Sid) {
        if sid.0 < 0 {
            self.replace_older_link(standing, stranger_name(sid));
        }
        let older = self.links.iter().find(|(_, learner)| {
            learner.sid == Some(sid) && !learner.replaced && learner.stage != Stage::Closing
        });
        if let Some((older, _)) = older {
            let older = *older;
            self.refuse(standing, older, "the same server has connected again");
            if let Some(learner) = self.links.get_mut(&older) {
                learner.replaced = true;
            }
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
        self.epoch = Epoch(self.highest_promise.0 + 1);
        standing.save_accepted_epoch(self.epoch);
        self.phase = Phase::Promising(standing.issued());
    }

    /// The promise is durable here, so that it may be asked of others.
    pub(super) fn announce_epoch(&mut self, standing: &mut Standing, now_ms: i64) {
        self.enter(standing, now_ms, Phase::Comparing);
        self.last_proposed = start_of(self.epoch);
        for link in self.links_at(Stage::Waiting) {
            self.send_leader_info(standing, now_ms, link);
        }
        self.try_synchronising(standing, now_ms);
    }

    fn send_leader_info(&mut self, standing: &mut Standing, now_ms: i64, link: LinkId) {
        let Some(learner) = self.links.get_mut(&link) else { return };
        learner.stage = Stage::Promising;
        learner.heard_ms = now_ms;
        let mut data = Writer::new();
        ProtocolVersion { version: PROTOCOL_VERSION }.encode(&mut data);
        let data = Some(data.as_slice());
        standing.send(link, packet(PacketType::LeaderInfo, start_of(self.epoch), data));
    }

    pub(super) fn handle_ack_epoch(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: &Packet,
    ) {
        let data = packet.data.as_deref().unwrap_or_default();
        let epoch = AcceptedEpoch::decode(&mut Reader::new(data)).map(|ack| ack.epoch);
        let (Some(PacketType::AckEpoch), Ok(epoch)) = (packet.kind, epoch) else {
            return self.refuse(standing, link, "it did not answer LEADERINFO with ACKEPOCH");
        };
        let zxid = packet.zxid;
        if self.phase == Phase::Comparing && epoch != -1 {
            // -1: it had promised this epoch before, and was compared then.
            let ours = (i64::from(standing.current_epoch.0), standing.last_logged());
            if (i64::from(epoch), zxid) > ours {
                return self.refuse(standing, link, "its history is ahead of the leader's");
            }
            if zxid != Zxid::NONE {
                self.epoch_acks.extend(self.voter(standing, link));
            }
        }
        if let Some(learner) = self.links.get_mut(&link) {
            learner.stage = Stage::Comparing(zxid);
        }
        match self.phase {
            Phase::Comparing => self.try_synchronising(standing, now_ms),
            _ => self.synchronise(standing, now_ms, link, zxid),
        }
    }

    fn try_synchronising(&mut self, standing: &mut Standing, now_ms: i64) {
        if !standing.quorums.is_quorum(&self.epoch_acks) {
            return;
        }
        standing.save_current_epoch(self.epoch);
        self.enter(standing, now_ms, Phase::Synchronising(standing.issued()));
        info!(
            "A quorum has promised epoch {:#x}: bringing it up to {}",
            self.epoch.0,
            standing.last_committed()
        );
        let compared: Vec<_> = self
            .links
            .iter()
            .filter_map(|(link, learner)| match learner.stage {
                Stage::Comparing(zxid) => Some((*link, zxid)),
                _ => None,
            })
            .collect();
        for (link, zxid) in compared {
            self.synchronise(standing, now_ms, link, zxid);
        }
    }
}
