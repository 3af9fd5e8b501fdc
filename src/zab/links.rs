//! The learners that are connected to this server, be it their leader or an observer master: who
//! they are, how far they are, and what brings them up to date. What a leader counts of them is its
//! own business.

mod learner_link;
mod sync;

use std::collections::BTreeMap;

use bytes::Bytes;
use jute::quorum::{AcceptedEpoch, LearnerInfo, PacketType, ProtocolVersion, PROTOCOL_VERSION};
use jute::{Decode, Encode, Reader, Writer};
use tracing::warn;

pub(super) use self::learner_link::{LearnerLink, Stage};
use super::packets::{packet, start_of, stranger_name};
use super::standing::Standing;
use super::{LearnerKind, LearnerView, LinkId, Output, Packet};
use crate::types::{Epoch, Sid, Zxid};

/// As ACKEPOCH carries an epoch, signed.
pub(super) const EPOCH_MAX: Epoch = Epoch(i32::MAX as u32);

#[derive(Debug)]
pub(super) struct Links {
    /// The epoch that learners are taken into, once it is settled.
    pub(super) epoch: Epoch,
    pub(super) all: BTreeMap<LinkId, LearnerLink>,
}

/// What a learner says of itself at first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Greeting {
    pub(super) sid: Sid,
    pub(super) kind: LearnerKind,
    /// The epoch it has promised last.
    pub(super) promised: Epoch,
}

impl Links {
    pub(super) fn new(epoch: Epoch) -> Links {
        Links { epoch, all: BTreeMap::new() }
    }

    // ---- links ----

    pub(super) fn open(&mut self, now_ms: i64, link: LinkId) {
        self.all.insert(link, LearnerLink::new(now_ms));
    }

    pub(super) fn closed(&mut self, standing: &mut Standing, link: LinkId) {
        let Some(learner) = self.all.remove(&link) else { return };
        self.repin(standing);
        if let (Some(sid), false) = (learner.sid, learner.replaced) {
            standing.put(Output::LearnerGone { sid });
        }
    }

    /// Closes a link; everything about it is forgotten when `LinkClosed` says it is gone.
    pub(super) fn refuse(&mut self, standing: &mut Standing, link: LinkId, why: &'static str) {
        let Some(learner) = self.all.get_mut(&link) else { return };
        if learner.stage != Stage::Closing {
            let sid = learner.sid.map_or(-1, |sid| sid.0);
            warn!("Closing the connection of learner {sid}: {why}");
            learner.stage = Stage::Closing;
            standing.put(Output::Close { link });
            self.repin(standing);
        }
    }

    /// Forgets everybody.
    pub(super) fn clear(&mut self, standing: &mut Standing) {
        self.all.clear();
        standing.history.pin(None);
    }

    /// The learners that are so far.
    pub(super) fn at(&self, stage: Stage) -> Vec<LinkId> {
        let so_far = self.all.iter().filter(|(_, learner)| learner.stage == stage);
        so_far.map(|(link, _)| *link).collect()
    }

    /// The voter that this link's acknowledgements count for.
    pub(super) fn voter(&self, standing: &Standing, link: LinkId) -> Option<Sid> {
        let learner = self.all.get(&link)?;
        let sid = learner.sid?;
        let counts = learner.kind == LearnerKind::Follower && standing.quorums.is_voter(sid);
        counts.then_some(sid)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = LearnerView> + '_ {
        self.all.iter().filter_map(|(link, learner)| {
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

    // ---- discovery ----

    /// FOLLOWERINFO or OBSERVERINFO. `None`: it was refused.
    pub(super) fn greet(
        &mut self,
        standing: &mut Standing,
        link: LinkId,
        packet: &Packet,
    ) -> Option<Greeting> {
        match read_greeting(standing, packet) {
            Ok(greeting) => Some(greeting),
            Err(why) => {
                self.refuse(standing, link, why);
                None
            }
        }
    }

    /// The learner is known from now on. A server has one connection, and an older one is closed.
    /// One that has lost its disk says so by a negative number.
    pub(super) fn introduce(&mut self, standing: &mut Standing, link: LinkId, greeting: Greeting) {
        let Greeting { sid, kind, .. } = greeting;
        if sid.0 < 0 {
            self.replace_older(standing, stranger_name(sid));
        }
        self.replace_older(standing, sid);
        if let Some(learner) = self.all.get_mut(&link) {
            learner.sid = Some(sid);
            learner.kind = kind;
            learner.stage = Stage::Waiting;
        }
    }

    fn replace_older(&mut self, standing: &mut Standing, sid: Sid) {
        let older = self.all.iter().find(|(_, learner)| {
            learner.sid == Some(sid) && !learner.replaced && learner.stage != Stage::Closing
        });
        if let Some((older, _)) = older {
            let older = *older;
            self.refuse(standing, older, "the same server has connected again");
            if let Some(learner) = self.all.get_mut(&older) {
                learner.replaced = true;
            }
        }
    }

    pub(super) fn send_leader_info(&mut self, standing: &mut Standing, now_ms: i64, link: LinkId) {
        let Some(learner) = self.all.get_mut(&link) else { return };
        learner.stage = Stage::Promising;
        learner.heard_ms = now_ms;
        let mut data = Writer::new();
        ProtocolVersion { version: PROTOCOL_VERSION }.encode(&mut data);
        let data = Some(data.as_slice());
        standing.send(link, packet(PacketType::LeaderInfo, start_of(self.epoch), data));
    }

    /// The current epoch that ACKEPOCH names; -1: the learner had promised this epoch before.
    /// `None`: it was refused.
    pub(super) fn read_ack_epoch(
        &mut self,
        standing: &mut Standing,
        link: LinkId,
        packet: &Packet,
    ) -> Option<i32> {
        let data = packet.data.as_deref().unwrap_or_default();
        match (packet.kind, AcceptedEpoch::decode(&mut Reader::new(data))) {
            (Some(PacketType::AckEpoch), Ok(ack)) => Some(ack.epoch),
            _ => {
                self.refuse(standing, link, "it did not answer LEADERINFO with ACKEPOCH");
                None
            }
        }
    }

    // ---- traffic ----

    /// Whether somebody of that kind gets what is proposed and committed.
    pub(super) fn has_forwarding(&self, kind: LearnerKind) -> bool {
        self.all.values().any(|learner| learner.kind == kind && learner.is_forwarding())
    }

    pub(super) fn send_to_all(&self, standing: &mut Standing, kind: LearnerKind, packets: &Bytes) {
        for (link, learner) in &self.all {
            if learner.kind == kind && learner.is_forwarding() && !learner.misses(packets) {
                standing.send(*link, packets.clone());
            }
        }
    }

    /// Only to one that serves.
    pub(super) fn send_to(&self, standing: &mut Standing, link: LinkId, packets: Bytes) {
        if self.all.get(&link).is_some_and(|learner| learner.stage == Stage::Serving) {
            standing.send(link, packets);
        }
    }

    /// A sync is answered behind what was sent before.
    pub(super) fn send_synced(&self, standing: &mut Standing, link: LinkId) {
        if self.all.get(&link).is_some_and(|learner| learner.is_forwarding()) {
            standing.send(link, packet(PacketType::Sync, Zxid::ZERO, None));
        }
    }

    pub(super) fn send_ping(&self, standing: &mut Standing, zxid: Zxid) {
        let ping = packet(PacketType::Ping, zxid, None);
        for (link, learner) in &self.all {
            if learner.is_forwarding() {
                standing.send(*link, ping.clone());
            }
        }
    }

    pub(super) fn bulk_sent(&mut self, now_ms: i64, link: LinkId) {
        if let Some(learner) = self.all.get_mut(&link) {
            learner.bulk = false;
            learner.heard_ms = now_ms;
        }
    }

    // ---- time ----

    /// When the first of them has been silent for too long.
    pub(super) fn deadline(&self, standing: &Standing) -> Option<i64> {
        self.all.values().filter_map(|learner| learner.deadline(standing)).min()
    }

    pub(super) fn refuse_silent(&mut self, standing: &mut Standing, now_ms: i64) {
        let silent: Vec<_> = self
            .all
            .iter()
            .filter(|(_, learner)| learner.deadline(standing).is_some_and(|at| now_ms >= at))
            .map(|(link, _)| *link)
            .collect();
        for link in silent {
            self.refuse(standing, link, "it has been silent for too long");
        }
    }
}

fn read_greeting(standing: &Standing, packet: &Packet) -> Result<Greeting, &'static str> {
    let kind = match packet.kind {
        Some(PacketType::FollowerInfo) => LearnerKind::Follower,
        Some(PacketType::ObserverInfo) => LearnerKind::Observer,
        _ => return Err("it did not begin by saying who it is"),
    };
    let data = packet.data.as_deref().unwrap_or_default();
    let info = LearnerInfo::decode(&mut Reader::new(data))
        .map_err(|_| "it is older than 3.4, or says nothing of itself")?;
    if info.protocol_version.is_none_or(|version| version < PROTOCOL_VERSION) {
        return Err("it is older than 3.4");
    }
    if info.config_version.is_some_and(|v| v > standing.quorums.committed.version) {
        return Err("its configuration is newer than the leader's");
    }
    let sid = Sid(info.server_id);
    let promised = packet.zxid.epoch();
    if sid == standing.me() {
        return Err("it says it is this server: two with one myid");
    }
    if packet.zxid < Zxid::ZERO || promised >= EPOCH_MAX {
        return Err("it has promised an impossible epoch");
    }
    Ok(Greeting { sid, kind, promised })
}
