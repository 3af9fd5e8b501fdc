//! A follower that serves observers (Apache's `ObserverMaster`): they synchronise from what it has
//! committed and hear of what it commits from then on. What their clients write goes on to the
//! leader as it is; of what comes back only the answers to REVALIDATE and to syncs have to find
//! their way to whoever asked.
//!
//! Beyond Apache: an observer hears of a transaction when this follower has it durably, and there
//! is no queue of what was committed lately: where an observer's part begins is found in the same
//! history as a leader's learner's.

use std::collections::VecDeque;

use bytes::Bytes;
use jute::quorum::{ActivatedTxn, ForwardedRequest, PacketType, QuorumPacket};
use jute::quorum::{Revalidated, SessionTimeout};
use jute::{Decode, Encode, OpCode, Writer};

use super::super::links::{Links, Stage};
use super::super::packets::{start_of, Packets};
use super::super::standing::Standing;
use super::super::{Event, LearnerKind, LearnerView, LinkId, Output, Packet};
use crate::types::{Epoch, SessionId, Zxid};

/// Who has asked the leader for something: an observer, or this server.
type Asker = Option<LinkId>;

#[derive(Debug)]
pub(super) struct Master {
    leader: LinkId,
    links: Links,
    /// Whose syncs the leader has not answered, in their order.
    syncs: VecDeque<Asker>,
    /// The same for REVALIDATE.
    revalidations: VecDeque<(SessionId, Asker)>,
    /// Reconfigs on their way to being committed, with the leader that each of them names.
    activating: VecDeque<(Zxid, i64)>,
    next_ping_ms: i64,
}

impl Master {
    /// Opens the port for observers.
    pub(super) fn begin(
        standing: &mut Standing,
        now_ms: i64,
        leader: LinkId,
        epoch: Epoch,
    ) -> Master {
        standing.put(Output::ListenForObservers(true));
        Master {
            leader,
            links: Links::new(epoch),
            syncs: VecDeque::new(),
            revalidations: VecDeque::new(),
            activating: VecDeque::new(),
            next_ping_ms: now_ms + ping_interval_ms(standing),
        }
    }

    /// Closes it, and every connection on it.
    pub(super) fn leave(&mut self, standing: &mut Standing) {
        self.links.clear(standing);
        standing.put(Output::ListenForObservers(false));
    }

    pub(super) fn observers(&self) -> impl Iterator<Item = LearnerView> + '_ {
        self.links.views()
    }

    pub(super) fn handle(&mut self, standing: &mut Standing, now_ms: i64, event: Event) {
        match event {
            Event::LinkOpened { link } => self.links.open(now_ms, link),
            Event::LinkClosed { link } => self.links.closed(standing, link),
            Event::Packet { link, packet } => self.handle_packet(standing, now_ms, link, packet),
            Event::SnapshotBegun { link, zxid } => {
                self.links.handle_snapshot_begun(standing, now_ms, link, zxid);
            }
            Event::LogFound { link, found } => {
                self.links.handle_log_found(standing, now_ms, link, found);
            }
            Event::BulkSent { link } => self.links.bulk_sent(now_ms, link),
            // Apache's would give up following the leader.
            Event::ListenFailed { why } => {
                tracing::error!("No observer can join this follower; it goes on following: {why}");
            }
            Event::Timeout => {
                self.links.refuse_silent(standing, now_ms);
                if now_ms >= self.next_ping_ms {
                    self.next_ping_ms = now_ms + ping_interval_ms(standing);
                    self.links.send_ping(standing, standing.last_committed());
                }
            }
            _ => {}
        }
    }

    pub(super) fn poll_timeout(&self, standing: &Standing) -> i64 {
        self.links.deadline(standing).map_or(self.next_ping_ms, |at| at.min(self.next_ping_ms))
    }

    // ---- what observers say ----

    fn handle_packet(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: Packet,
    ) {
        let Some(observer) = self.links.all.get_mut(&link) else { return };
        observer.heard_ms = now_ms;
        match observer.stage {
            Stage::Silent => self.handle_observer_info(standing, now_ms, link, &packet),
            Stage::Promising => self.handle_ack_epoch(standing, now_ms, link, &packet),
            Stage::Synchronising => {
                let is_new_leaders = packet.zxid == start_of(self.links.epoch);
                if packet.kind == Some(PacketType::Ack) && is_new_leaders {
                    self.links.send_up_to_date(standing, now_ms, link);
                }
            }
            Stage::Serving => self.handle_from_serving(standing, link, packet),
            // It has nothing to say there.
            _ => {}
        }
    }

    /// A quorum has promised the epoch long since: there is nothing to wait for.
    fn handle_observer_info(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: &Packet,
    ) {
        let Some(greeting) = self.links.greet(standing, link, packet) else { return };
        if greeting.kind != LearnerKind::Observer {
            let why = "only observers are served on this port, and it wants to follow";
            return self.links.refuse(standing, link, why);
        }
        self.links.introduce(standing, link, greeting);
        self.links.send_leader_info(standing, now_ms, link);
    }

    fn handle_ack_epoch(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: &Packet,
    ) {
        if self.links.read_ack_epoch(standing, link, packet).is_some() {
            self.links.synchronise(standing, now_ms, link, packet.zxid);
        }
    }

    fn handle_from_serving(&mut self, standing: &mut Standing, link: LinkId, packet: Packet) {
        let relayed = match packet.kind {
            Some(PacketType::Ping) => {
                let sid = self.links.all.get(&link).and_then(|observer| observer.sid);
                if let Some(sid) = sid {
                    standing.put(Output::FromLearner { link, sid, packet });
                }
                return;
            }
            Some(PacketType::Request) => self.request(link, &packet),
            Some(PacketType::Revalidate) => self.revalidate(link, &packet),
            // UPTODATE's ACK; and what is unknown means nothing.
            _ => return,
        };
        match relayed {
            Some(()) => standing.send(self.leader, encoded(&packet)),
            // The leader would close our own connection for it.
            None => self.links.refuse(standing, link, "it sent what can't be read"),
        }
    }

    fn request(&mut self, link: LinkId, packet: &Packet) -> Option<()> {
        let forwarded = ForwardedRequest::from_bytes(packet.data.as_ref()?).ok()?;
        match OpCode::from_code(forwarded.op)? {
            OpCode::Sync => self.syncs.push_back(Some(link)),
            OpCode::CreateSession if forwarded.body.len() < 4 => return None,
            _ => {}
        }
        Some(())
    }

    fn revalidate(&mut self, link: LinkId, packet: &Packet) -> Option<()> {
        let asked = SessionTimeout::from_bytes(packet.data.as_ref()?).ok()?;
        self.revalidations.push_back((SessionId(asked.session_id), Some(link)));
        Some(())
    }

    // ---- what the leader says ----

    /// This server has forwarded a sync of its own.
    pub(super) fn asked_sync(&mut self) {
        self.syncs.push_back(None);
    }

    /// This server has asked for a session of its own.
    pub(super) fn asked_revalidate(&mut self, session: SessionId) {
        self.revalidations.push_back((session, None));
    }

    /// SYNC has come: whose is it?
    pub(super) fn take_sync(&mut self) -> Asker {
        self.syncs.pop_front().flatten()
    }

    /// Passes the answer to a REVALIDATE on; gives it back if it is for this server.
    pub(super) fn pass_revalidated(
        &mut self,
        standing: &mut Standing,
        packet: Packet,
    ) -> Option<Packet> {
        let session = packet.data.as_ref().and_then(|data| Revalidated::from_bytes(data).ok());
        let session = session.map(|answer| SessionId(answer.session_id));
        let at = self.revalidations.iter().position(|(asked, _)| Some(*asked) == session);
        match at.and_then(|at| self.revalidations.remove(at)) {
            Some((_, Some(link))) => {
                self.links.send_to(standing, link, encoded(&packet));
                None
            }
            _ => Some(packet),
        }
    }

    /// COMMITANDACTIVATE has come: the reconfig, and the leader it names.
    pub(super) fn activate(&mut self, zxid: Zxid, data: Option<&[u8]>) {
        let designated = data.and_then(|data| data.first_chunk::<8>());
        self.activating.push_back((zxid, designated.map_or(-1, |sid| i64::from_be_bytes(*sid))));
    }

    // ---- what observers hear ----

    /// The sync that this observer has asked for is done.
    pub(super) fn send_synced(&self, standing: &mut Standing, link: LinkId) {
        self.links.send_synced(standing, link);
    }

    /// What has been put out may be too much to keep for those who wait for a snapshot.
    pub(super) fn bound_backlog(&mut self, standing: &mut Standing) {
        self.links.bound_backlog(standing);
    }

    /// The first `count` transactions of the tail are about to be put out.
    pub(super) fn inform(&mut self, standing: &mut Standing, count: usize) {
        let heard = self.links.has_forwarding(LearnerKind::Observer);
        let mut packets = Packets::new();
        for txn in standing.tail.range(..count) {
            let reconfig = self.activating.front().copied().filter(|(zxid, _)| *zxid == txn.zxid);
            match reconfig {
                _ if !heard => {}
                Some((_, designated_leader)) => {
                    let mut data = Writer::new();
                    ActivatedTxn { designated_leader, txn: &txn.bytes }.encode(&mut data);
                    let data = Some(data.as_slice());
                    packets.push(PacketType::InformAndActivate, txn.zxid, data);
                }
                None => {
                    packets.inform(txn);
                }
            }
            if reconfig.is_some() {
                self.activating.pop_front();
            }
        }
        if !packets.is_empty() {
            self.links.send_to_all(standing, LearnerKind::Observer, &packets.take());
        }
    }
}

fn ping_interval_ms(standing: &Standing) -> i64 {
    (standing.options.tick_ms / 2).max(1)
}

/// A packet on its way on, as it came.
fn encoded(packet: &Packet) -> Bytes {
    let packet = QuorumPacket {
        kind: packet.kind.map_or(-1, PacketType::code),
        zxid: packet.zxid.0,
        data: packet.data.as_deref(),
        auth: Some(packet.identities.clone()),
    };
    packet.to_bytes().into()
}
