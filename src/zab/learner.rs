//! A follower's or observer's part (Apache's `Learner`, `Follower` and `Observer`): reach the
//! leader, agree on its epoch, take over its history, then log, acknowledge and commit.
//!
//! ```text
//!   Pausing ─▶ Dialling ─ LinkOpened ─▶ Greeting ─ LEADERINFO ─▶ Promising
//!     Promising ─ persisted ─▶ Syncing
//!     Syncing ─ NEWLEADER ─▶ Accepting ─ persisted ─▶ Accepted ─ UPTODATE ─▶ Broadcast
//! ```
//!
//! Nothing of the leader's history touches the disk before NEWLEADER, but for TRUNC: a sync that
//! breaks off leaves what a restart would find (ZOOKEEPER-3642, ZOOKEEPER-5094).

mod broadcast;
mod config;
mod master;
mod sync;

use bytes::Bytes;
use jute::quorum::{
    AcceptedEpoch, LearnerInfo, PacketType, ProtocolVersion, ServerState, PROTOCOL_VERSION,
};
use jute::{Decode, Encode, Reader, Writer};
use tracing::{info, warn};

use self::broadcast::Broadcast;
use self::master::Master;
use self::sync::Sync;
use super::packets::{packet, start_of, stranger_name};
use super::standing::Standing;
use super::{Event, LearnerKind, LearnerView, LinkId, Output, Packet, Role, SyncMode, Token};
use crate::types::{Epoch, SessionId, Sid, Zxid};

/// Advertised by one whose own log is of no use to the leader: behind everything, and the start of
/// an epoch, so that neither DIFF nor TRUNC fits (see `CommittedLog::plan`).
const WANTS_SNAPSHOT: Zxid = Zxid(0x7fff_ffff_0000_0000);

/// What is wrong with the leader or the way to it.
type Refusal = &'static str;

#[derive(Debug)]
pub(super) struct Learner {
    /// Whom it learns from: the leader, or an observer master.
    leader: Sid,
    /// It is an observer master.
    by_master: bool,
    kind: LearnerKind,
    /// From its opening on.
    link: Option<LinkId>,
    /// The epoch of LEADERINFO.
    epoch: Epoch,
    phase: Phase,
    /// Its TRUNC named a transaction that we never had: ask it for a snapshot.
    wants_snapshot: bool,
    heard_ms: i64,
    sync_mode: Option<SyncMode>,
    sync_began_ms: i64,
    sync_took_ms: i64,
}

#[derive(Debug)]
enum Phase {
    /// Before it dials, until then.
    Pausing(i64),
    Dialling,
    /// We have said who we are.
    Greeting,
    /// acceptedEpoch is on its way to the disk.
    Promising(Token),
    Syncing(Sync),
    /// The history up to NEWLEADER, then currentEpoch are on their way to the disk.
    Accepting(Token, Sync),
    /// NEWLEADER is acknowledged.
    Accepted(Sync),
    Broadcast(Broadcast),
}

impl Learner {
    pub(super) fn become_learner(standing: &mut Standing, now_ms: i64, leader: Sid) -> Learner {
        let kind = if standing.stranger { LearnerKind::Observer } else { standing.options.kind };
        let observes = standing.options.kind == LearnerKind::Observer;
        let (master, wait_ms) = if observes { choose(standing, leader) } else { (None, 0) };
        let mut learner = Learner {
            leader: master.unwrap_or(leader),
            by_master: master.is_some(),
            kind,
            link: None,
            epoch: Epoch(0),
            phase: Phase::Dialling,
            wants_snapshot: false,
            heard_ms: now_ms,
            sync_mode: None,
            sync_began_ms: now_ms,
            sync_took_ms: 0,
        };
        if wait_ms > 0 {
            info!("Waiting for {wait_ms} ms before reconnecting with the leader");
            learner.phase = Phase::Pausing(now_ms + wait_ms);
        } else {
            learner.dial(standing);
        }
        learner
    }

    /// What notifications call it.
    pub(super) fn server_state(&self) -> ServerState {
        match self.kind {
            LearnerKind::Follower => ServerState::Following,
            LearnerKind::Observer => ServerState::Observing,
        }
    }

    fn dial(&mut self, standing: &mut Standing) {
        let ticks = match standing.options.connect_limit_ticks {
            0 => standing.options.init_limit_ticks,
            ticks => ticks,
        };
        self.phase = Phase::Dialling;
        let within_ms = standing.ticks_ms(ticks);
        standing.put(match self.by_master {
            true => Output::DialMaster { master: self.leader, within_ms },
            false => Output::Dial { leader: self.leader, within_ms },
        });
    }

    /// What this server is for its clients.
    pub(super) fn role(&self) -> Role {
        match self.phase {
            Phase::Broadcast(_) => self.role_in_broadcast(),
            _ => Role::Looking,
        }
    }

    fn role_in_broadcast(&self) -> Role {
        Role::Learning { leader: self.leader, epoch: self.epoch, kind: self.kind }
    }

    pub(super) fn serves_observers(&self) -> bool {
        self.master().is_some()
    }

    pub(super) fn observers(&self) -> impl Iterator<Item = LearnerView> + '_ {
        self.master().into_iter().flat_map(|master| master.observers())
    }

    fn master(&self) -> Option<&Master> {
        match &self.phase {
            Phase::Broadcast(broadcast) => broadcast.master.as_ref(),
            _ => None,
        }
    }

    pub(super) fn sync_mode(&self) -> Option<SyncMode> {
        self.sync_mode
    }

    /// From the first sync packet to UPTODATE, ms.
    pub(super) fn sync_took_ms(&self) -> i64 {
        self.sync_took_ms
    }

    pub(super) fn handle(&mut self, standing: &mut Standing, now_ms: i64, event: Event) {
        let outcome = match event {
            Event::Timeout => self.handle_timeout(standing, now_ms),
            Event::LinkOpened { link } if matches!(self.phase, Phase::Dialling) => {
                self.handle_link_opened(standing, now_ms, link);
                Ok(())
            }
            Event::DialFailed if matches!(self.phase, Phase::Dialling) => {
                Err("the leader can't be reached")
            }
            Event::Packet { link, packet } if self.link == Some(link) => {
                self.heard_ms = now_ms;
                self.handle_packet(standing, now_ms, packet)
            }
            Event::LinkClosed { link } if self.link == Some(link) => {
                self.link = None;
                Err("the leader has closed the connection")
            }
            Event::Persisted { .. } => {
                if matches!(self.phase, Phase::Promising(_) | Phase::Accepting(..)) {
                    // It has been waiting for us.
                    self.heard_ms = now_ms;
                }
                self.handle_persisted(standing)
            }
            Event::Truncated { last } => self.handle_truncated(standing, last),
            Event::SnapshotReceived { link } if self.link == Some(link) => {
                self.heard_ms = now_ms;
                self.handle_snapshot_received(standing)
            }
            of_observers => {
                self.handle_of_observers(standing, now_ms, of_observers);
                Ok(())
            }
        };
        if let Err(refusal) = outcome {
            standing.leave(refusal);
        }
    }

    fn handle_of_observers(&mut self, standing: &mut Standing, now_ms: i64, event: Event) {
        match (&mut self.phase, event) {
            (Phase::Broadcast(Broadcast { master: Some(master), .. }), event) => {
                master.handle(standing, now_ms, event);
            }
            (_, Event::LinkOpened { link }) => standing.put(Output::Close { link }),
            _ => {}
        }
    }

    /// Lets go of the leader, and of those who observe.
    pub(super) fn leave(&mut self, standing: &mut Standing) {
        if let Phase::Broadcast(Broadcast { master: Some(master), .. }) = &mut self.phase {
            master.leave(standing);
        }
        if let Some(link) = self.link.take() {
            standing.put(Output::Close { link });
        }
    }

    fn handle_link_opened(&mut self, standing: &mut Standing, now_ms: i64, link: LinkId) {
        self.link = Some(link);
        self.heard_ms = now_ms;
        self.phase = Phase::Greeting;
        let kind = match self.kind {
            LearnerKind::Follower => PacketType::FollowerInfo,
            LearnerKind::Observer => PacketType::ObserverInfo,
        };
        // A stranger says no name: what it has lost may have been promises and acknowledgements,
        // so that the leader must not count it, whatever it says, until it has learnt anew.
        let me = standing.me();
        let info = LearnerInfo {
            server_id: if standing.stranger { stranger_name(me).0 } else { me.0 },
            protocol_version: Some(PROTOCOL_VERSION),
            config_version: Some(standing.quorums.committed.version),
        };
        let mut data = Writer::new();
        info.encode(&mut data);
        let promised = start_of(standing.accepted_epoch);
        standing.send(link, packet(kind, promised, Some(data.as_slice())));
    }

    fn handle_packet(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        packet: Packet,
    ) -> Result<(), Refusal> {
        match &mut self.phase {
            Phase::Pausing(_) | Phase::Dialling => Ok(()),
            Phase::Greeting => self.handle_leader_info(standing, &packet),
            Phase::Promising(_) => Err("the leader did not wait for ACKEPOCH"),
            Phase::Syncing(sync) if sync.mode.is_none() => {
                self.sync_began_ms = self.heard_ms;
                sync.handle_mode(standing, &packet)?;
                self.sync_mode = sync.mode;
                match sync.mode {
                    Some(SyncMode::Diff | SyncMode::Trunc) if self.wants_snapshot => {
                        Err("the leader was asked for a snapshot and begins with something else")
                    }
                    _ => Ok(()),
                }
            }
            Phase::Syncing(_) if packet.kind == Some(PacketType::NewLeader) => {
                self.handle_new_leader(standing, &packet)
            }
            Phase::Accepted(_) if packet.kind == Some(PacketType::UpToDate) => {
                self.handle_up_to_date(standing, now_ms)
            }
            Phase::Syncing(sync) | Phase::Accepting(_, sync) | Phase::Accepted(sync) => {
                sync.handle(self.epoch, packet)
            }
            Phase::Broadcast(broadcast) => broadcast.handle(standing, packet),
        }
    }

    // ---- discovery ----

    fn handle_leader_info(
        &mut self,
        standing: &mut Standing,
        packet: &Packet,
    ) -> Result<(), Refusal> {
        if packet.kind != Some(PacketType::LeaderInfo) {
            return Err("the leader did not begin with LEADERINFO (it is older than 3.4)");
        }
        let data = packet.data.as_deref().unwrap_or_default();
        let version = ProtocolVersion::decode(&mut Reader::new(data)).map(|v| v.version);
        if version.is_ok_and(|version| version < PROTOCOL_VERSION) {
            return Err("the leader speaks a version of the protocol from before 3.4");
        }
        let epoch = packet.zxid.epoch();
        // Nobody counts what an observer has promised: it is held by what it has accepted only.
        let held_by = match self.kind {
            LearnerKind::Follower => standing.accepted_epoch,
            LearnerKind::Observer => standing.current_epoch,
        };
        if packet.zxid < Zxid::ZERO || epoch < held_by {
            return Err("the leader's epoch is older than one that this server has promised");
        }
        self.epoch = epoch;
        if epoch > standing.accepted_epoch {
            // Not a word of it before it is durable.
            standing.save_accepted_epoch(epoch);
            self.phase = Phase::Promising(standing.issued());
            self.wants_snapshot = false;
        } else {
            self.send_ack_epoch(standing, -1);
        }
        Ok(())
    }

    fn send_ack_epoch(&mut self, standing: &mut Standing, current_epoch: i32) {
        let Some(link) = self.link else { return };
        let mut data = Writer::new();
        let epoch = if standing.stranger { -1 } else { current_epoch };
        AcceptedEpoch { epoch }.encode(&mut data);
        let zxid = if self.wants_snapshot { WANTS_SNAPSHOT } else { standing.last_durable() };
        standing.send(link, packet(PacketType::AckEpoch, zxid, Some(data.as_slice())));
        self.phase = Phase::Syncing(Sync::new(standing.last_durable()));
    }

    // ---- what becomes durable ----

    fn handle_persisted(&mut self, standing: &mut Standing) -> Result<(), Refusal> {
        match &mut self.phase {
            Phase::Promising(token) if standing.is_persisted(*token) => {
                let current_epoch = standing.current_epoch.0 as i32;
                self.send_ack_epoch(standing, current_epoch);
            }
            Phase::Accepting(token, sync) if standing.is_persisted(*token) => {
                let sync = std::mem::replace(sync, Sync::new(Zxid::ZERO));
                self.accept(standing, sync);
            }
            Phase::Broadcast(broadcast) => broadcast.handle_persisted(standing),
            _ => {}
        }
        Ok(())
    }

    fn handle_truncated(
        &mut self,
        standing: &mut Standing,
        last: Option<Zxid>,
    ) -> Result<(), Refusal> {
        let Phase::Syncing(sync) = &mut self.phase else { return Ok(()) };
        if last.is_some() {
            sync.truncating = false;
            return self.try_accepting(standing);
        }
        // The leader takes us for one who has that transaction. It must count us, or it may never
        // have its quorum; so no election, but another try at the same leader.
        warn!("the leader's TRUNC names a transaction that is not in our log: asking for all");
        self.leave(standing);
        self.wants_snapshot = true;
        self.dial(standing);
        Ok(())
    }

    fn handle_snapshot_received(&mut self, standing: &mut Standing) -> Result<(), Refusal> {
        let Phase::Syncing(sync) = &mut self.phase else { return Ok(()) };
        sync.receiving = false;
        self.try_accepting(standing)
    }

    // ---- the end of the history ----

    fn handle_new_leader(
        &mut self,
        standing: &mut Standing,
        packet: &Packet,
    ) -> Result<(), Refusal> {
        if packet.zxid != start_of(self.epoch) {
            return Err("NEWLEADER is of another epoch than LEADERINFO");
        }
        self.compare_config(standing, packet.data.as_deref().unwrap_or_default());
        let Phase::Syncing(sync) = &mut self.phase else { return Ok(()) };
        sync.complete = true;
        self.try_accepting(standing)
    }

    /// NEWLEADER carries the leader's newest configuration. Apache's learner takes it over, if
    /// `reconfigEnabled` lets it; this one says how it differs and goes on with its own.
    fn compare_config(&self, standing: &Standing, theirs: &[u8]) {
        // As Apache's: shorter ones are none.
        if theirs.len() <= 1 {
            return;
        }
        let ours = &standing.quorums.committed.text;
        let theirs = String::from_utf8_lossy(theirs);
        if let Some(difference) = config::difference(&String::from_utf8_lossy(ours), &theirs) {
            warn!(
                "The configuration of leader {} is not this server's, which keeps its own: \
                 {difference}; make the server lines of all members' zoo.cfg the same",
                self.leader.0
            );
        }
    }

    /// History first, then the epoch; the ACK when both are durable (ZOOKEEPER-4643, 4646, 4785).
    fn try_accepting(&mut self, standing: &mut Standing) -> Result<(), Refusal> {
        let Phase::Syncing(sync) = &mut self.phase else { return Ok(()) };
        if !sync.complete || sync.truncating || sync.receiving {
            return Ok(());
        }
        if mutant!(EpochBeforeHistory) {
            standing.save_current_epoch(self.epoch);
        }
        if let (Some(SyncMode::Snap), Some(link)) = (sync.mode, self.link) {
            standing.install_snapshot(link, sync.base);
        }
        let history = std::mem::take(&mut sync.history);
        if !history.is_empty() {
            standing.append(history);
        }
        if mutant!(ProposalAckedFirst) {
            standing.append(sync.queued.iter().cloned().collect());
        }
        standing.save_current_epoch(self.epoch);
        let sync = std::mem::replace(sync, Sync::new(Zxid::ZERO));
        if standing.is_all_persisted() || mutant!(HistoryAckedEarly) {
            self.accept(standing, sync);
        } else {
            self.phase = Phase::Accepting(standing.issued(), sync);
        }
        Ok(())
    }

    fn accept(&mut self, standing: &mut Standing, sync: Sync) {
        let taken_over = standing.tail.len();
        #[cfg(feature = "mutants")]
        let taken_over = match mutant!(ProposalAckedFirst) {
            true => taken_over - sync.ack_logged(standing, self.link),
            false => taken_over,
        };
        standing.commit(taken_over);
        #[cfg(feature = "mutants")]
        if mutant!(HoleInCommittedLog) {
            standing.history.forget_newest(taken_over);
        }
        if let Some(link) = self.link {
            standing.send(link, packet(PacketType::Ack, start_of(self.epoch), None));
        }
        self.phase = Phase::Accepted(sync);
    }

    fn handle_up_to_date(&mut self, standing: &mut Standing, now_ms: i64) -> Result<(), Refusal> {
        let Phase::Accepted(sync) = &mut self.phase else { return Ok(()) };
        let sync = std::mem::replace(sync, Sync::new(Zxid::ZERO));
        let Some(link) = self.link else { return Ok(()) };
        // This ACK before that of any proposal (ZOOKEEPER-4685).
        standing.send(link, packet(PacketType::Ack, start_of(self.epoch), None));
        if std::mem::take(&mut standing.stranger) {
            return Err("having learnt anew all that was lost, this server may vote again");
        }
        self.sync_took_ms = self.heard_ms - self.sync_began_ms;
        info!(
            "Up to date with leader {}, epoch {:#x}, zxid {}",
            self.leader.0,
            self.epoch.0,
            standing.last_committed()
        );
        let mut broadcast = Broadcast::begin(standing, link, self.kind, self.epoch, sync);
        standing.put(Output::Role(self.role_in_broadcast()));
        if self.kind == LearnerKind::Follower && standing.options.observer_masters {
            broadcast.master = Some(Master::begin(standing, now_ms, link, self.epoch));
        }
        self.phase = Phase::Broadcast(broadcast);
        standing.established = Some(self.epoch);
        Ok(())
    }

    // ---- batches, time ----

    /// Does what has been put off so that one step serves many packets.
    pub(super) fn settle(&mut self, standing: &mut Standing) {
        if let Phase::Broadcast(broadcast) = &mut self.phase {
            broadcast.settle(standing);
        }
    }

    /// How long the leader may be silent. `None`: a dial has its own limit, so has a
    /// snapshot's body, which is not packets; and while our disk works it is our turn.
    fn deadline(&self, standing: &Standing) -> Option<i64> {
        match &self.phase {
            Phase::Pausing(until_ms) => Some(*until_ms),
            Phase::Dialling | Phase::Promising(_) | Phase::Accepting(..) => None,
            Phase::Syncing(sync) if sync.receiving => None,
            Phase::Broadcast(_) => Some(self.heard_ms + standing.sync_limit_ms()),
            _ => Some(self.heard_ms + standing.init_limit_ms()),
        }
    }

    pub(super) fn poll_timeout(&self, standing: &Standing) -> Option<i64> {
        let observers = self.master().map(|master| master.poll_timeout(standing));
        [self.deadline(standing), observers].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, standing: &mut Standing, now_ms: i64) -> Result<(), Refusal> {
        self.handle_of_observers(standing, now_ms, Event::Timeout);
        match self.deadline(standing) {
            Some(deadline) if now_ms < deadline => Ok(()),
            None => Ok(()),
            Some(_) if matches!(self.phase, Phase::Pausing(_)) => {
                self.dial(standing);
                Ok(())
            }
            Some(_) => Err("the leader has been silent for too long"),
        }
    }

    // ---- what the sessions send ----

    /// REQUEST and REVALIDATE on their way to the leader.
    pub(super) fn send_to_leader(&mut self, standing: &mut Standing, packets: Bytes) {
        if let (Phase::Broadcast(_), Some(link)) = (&self.phase, self.link) {
            standing.send(link, packets);
        }
    }

    pub(super) fn sync_with_leader(&mut self, standing: &mut Standing, packets: Bytes) {
        if let Phase::Broadcast(Broadcast { master: Some(master), .. }) = &mut self.phase {
            master.asked_sync();
        }
        self.send_to_leader(standing, packets);
    }

    pub(super) fn revalidate_with_leader(
        &mut self,
        standing: &mut Standing,
        session: SessionId,
        packets: Bytes,
    ) {
        if let Phase::Broadcast(Broadcast { master: Some(master), .. }) = &mut self.phase {
            master.asked_revalidate(session);
        }
        self.send_to_leader(standing, packets);
    }

    pub(super) fn pong(&mut self, standing: &mut Standing, zxid: Zxid, touched: &[u8]) {
        if let (Phase::Broadcast(_), Some(link)) = (&self.phase, self.link) {
            standing.send(link, packet(PacketType::Ping, zxid, Some(touched)));
        }
    }
}

/// Whom an observer asks, if it is not the leader, and how long it waits before that, ms.
fn choose(standing: &mut Standing, leader: Sid) -> (Option<Sid>, i64) {
    let (master, again) = match standing.options.observer_masters {
        true => {
            let choice = standing.masters.choose(leader);
            (choice.master, choice.again)
        }
        false => (None, true),
    };
    let within_ms = if again { standing.options.observer_reconnect_delay_ms } else { 0 };
    (master, standing.dice.below(within_ms))
}
