//! Consensus: elections, discovery, synchronisation, broadcast (Zab, as Apache's servers speak
//! it). Pure: events in, outputs out, time an argument. Knows transactions as bytes with a zxid
//! and never sees a znode.
//!
//! ```text
//!   election port ── Notification ──▶ ┌──────────────────────────┐ ──▶ Notify ──▶ election port
//!   quorum port ──── Packet ────────▶ │ Zab                      │ ──▶ Send ────▶ quorum port
//!   peer ─────────── propose, … ────▶ │  looking · leading ·     │ ──▶ Persist ─▶ log, epochs
//!   disk ─────────── Persisted ─────▶ │  following · observing   │ ──▶ Committed ▶ peer ▶ replica
//!                                     └──────────────────────────┘ ──▶ Role, Learner… ▶ peer
//! ```
//!
//! Every durable step is an output with a token; whatever depends on it (an ACK, a vote, an
//! epoch) leaves only from the handler of `Persisted`. Whoever drives it does the outputs in order,
//! says `Persisted` for each, calls `handle(Timeout)` when `poll_timeout` says so, and asks
//! `poll_output` until there is nothing left: commits and log batches are put off until then, so
//! that one of them serves all the events that came together.

mod election;
mod history;
mod io;
mod leader;
mod learner;
mod links;
mod masters;
mod packets;
mod quorum;
mod standing;

use bytes::Bytes;
use jute::quorum::ServerState;
use tracing::{info, warn};

use self::leader::Leader;
use self::learner::Learner;
use self::masters::Masters;
use self::standing::Standing;
use crate::limits;
use crate::types::{Epoch, LoggedTxn, SessionId, Sid, Zxid};

pub use election::{Election, ElectionOptions, ElectionOutput, Vote};
pub use io::{
    Event, LearnerKind, LinkId, Mark, Notification, Output, Packet, Role, Step, SyncMode, Token,
};
pub use quorum::{Membership, Oracle, QuorumRule, Quorums};

/// What zoo.cfg and the system properties say to the core.
#[derive(Debug, Clone)]
pub struct ZabOptions {
    /// `myid`.
    pub me: Sid,
    /// Whether the configuration makes this server a participant or an observer.
    pub kind: LearnerKind,
    pub quorums: Quorums,
    /// `tickTime`, ms.
    pub tick_ms: i64,
    /// `initLimit`: for a connection, discovery and sync, each.
    pub init_limit_ticks: i64,
    /// `syncLimit`: for silence, and for an acknowledgement.
    pub sync_limit_ticks: i64,
    /// `connectToLearnerMasterLimit`; 0: as `initLimit`.
    pub connect_limit_ticks: i64,
    /// `commitLogCount`: committed transactions kept in memory for learners.
    pub commit_log_count: usize,
    /// `observerMasterPort` is set: a follower serves observers, an observer asks followers.
    pub observer_masters: bool,
    /// `observer.election.DelayMs`: an observer that has lost whom it learnt from looks for a
    /// leader within so long (200 by default; here at once).
    pub observer_election_delay_ms: i64,
    /// `observer.reconnectDelayMs`: an observer connects within so long.
    pub observer_reconnect_delay_ms: i64,
    /// `leader.maxTimeToWaitForEpoch`: after so long without an epoch a leader gives up once one of
    /// those who have elected it looks for another.
    pub epoch_wait_ms: Option<i64>,
    /// The counter that no transaction gets: with it a new epoch must begin (ZOOKEEPER-1277).
    /// Nobody but the simulator has a smaller one than there is.
    pub last_counter: u32,
    /// What the order of observer masters and observers' waits are drawn from.
    pub seed: u64,
    /// `leader.ackLoggingFrequency`: the ACKs of one zxid in so many are [marked](Mark::Acked); 0
    /// and less: none.
    pub ack_mark_every: i64,
    /// `observer.syncEnabled`: an observer puts out what is committed only once its own log has it.
    pub sync_observer: bool,
    /// `forceSnapshotSync`: bring every learner up to date by SNAP.
    pub snapshot_sync_forced: bool,
    /// `snapshotSizeFactor` is not negative: the log on disk may serve for DIFF.
    pub log_sync_enabled: bool,
    /// So many bytes may be committed while a learner waits for its snapshot to be begun; with more
    /// it has to come again.
    pub backlog_bytes_max: usize,
    /// `leader.maxConcurrentSnapSyncs`; followers are never turned away.
    pub concurrent_snap_syncs_max: usize,
    /// `leader.maxConcurrentDiffSyncs`; followers are never turned away.
    pub concurrent_diff_syncs_max: usize,
    pub election: ElectionOptions,
}

impl ZabOptions {
    /// Apache's defaults, for a voter `me`.
    pub fn new(me: Sid, quorums: Quorums) -> ZabOptions {
        ZabOptions {
            me,
            kind: LearnerKind::Follower,
            quorums,
            tick_ms: 2_000,
            init_limit_ticks: 10,
            sync_limit_ticks: 5,
            connect_limit_ticks: 0,
            commit_log_count: 500,
            observer_masters: false,
            observer_election_delay_ms: 0,
            observer_reconnect_delay_ms: 0,
            epoch_wait_ms: None,
            last_counter: u32::MAX,
            seed: me.0 as u64,
            ack_mark_every: 1000,
            sync_observer: true,
            snapshot_sync_forced: false,
            log_sync_enabled: true,
            backlog_bytes_max: limits::LINK_OUTPUT_BYTES_MAX,
            concurrent_snap_syncs_max: 10,
            concurrent_diff_syncs_max: 100,
            election: ElectionOptions::default(),
        }
    }
}

/// What the disk held when the process started. The replica holds all of it.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub accepted_epoch: Epoch,
    pub current_epoch: Epoch,
    /// The last record of the log, or the snapshot's zxid if the log has nothing behind it.
    pub last_logged: Zxid,
    /// The newest records of the log, without a hole, the last of them `last_logged`.
    pub history: Vec<LoggedTxn>,
    /// The disk has lost what may have been acknowledged: nobody may count on this server before
    /// it has learnt everything anew.
    pub stranger: bool,
}

/// What is known of a learner, for words and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerView {
    pub link: LinkId,
    pub sid: Sid,
    pub kind: LearnerKind,
    /// It serves.
    pub synced: bool,
    pub sync_mode: Option<SyncMode>,
    /// Up to where its log is durable, as it says.
    pub acked: Zxid,
}

/// One server's part in the ensemble.
#[derive(Debug)]
pub struct Zab {
    standing: Standing,
    election: Election,
    state: State,
    role_began_ms: i64,
    /// The next election begins no sooner.
    look_at_ms: i64,
    left_because: Option<&'static str>,
}

/// How long a role lasts at least that came to nothing, ms: so that a leader which turns a learner
/// away at once, or can't listen, is not asked a thousand times a second.
const FRUITLESS_ROLE_MS: i64 = 100;

#[derive(Debug)]
enum State {
    Looking,
    Leading(Box<Leader>),
    Learning(Box<Learner>),
    /// The disk owes answers, and the log's end is not known before they have come
    /// (ZOOKEEPER-4712).
    Leaving,
    Stopped,
}

impl Zab {
    /// A server that begins by looking for a leader.
    pub fn new(options: ZabOptions, now_ms: i64, start: Start) -> Zab {
        let election = Election::new(options.me, options.kind, options.election);
        let mut zab = Zab {
            standing: Standing::new(options, start),
            election,
            state: State::Leaving,
            role_began_ms: now_ms,
            look_at_ms: now_ms,
            left_because: None,
        };
        zab.try_looking(now_ms);
        zab
    }

    /// Takes in what has happened at `now_ms`, a clock that never goes back.
    pub fn handle(&mut self, now_ms: i64, event: Event) {
        match &event {
            Event::Persisted { upto } => self.standing.handle_persisted(*upto),
            Event::Truncated { last } => self.standing.handle_truncated(*last),
            _ => {}
        }
        if matches!(self.state, State::Stopped) {
            return;
        }
        match event {
            Event::Notification { from, notification } => {
                if let (State::Leading(leader), ServerState::Looking) =
                    (&self.state, notification.state)
                {
                    let elected_us = self.election.supporters().contains(&from);
                    leader.hear_looking(&mut self.standing, now_ms, elected_us);
                }
                self.election.handle(now_ms, from, notification);
            }
            Event::ElectionRefused { sid } => self.election.refused(now_ms, sid),
            Event::DiskHung => {
                self.standing.leave("this server's disk has not answered within syncLimit");
            }
            Event::OracleSays { yes } => {
                self.standing.oracle = if yes { Oracle::Yes } else { Oracle::No };
                self.election.oracle(now_ms, self.standing.oracle);
                self.handle_in_role(now_ms, event);
            }
            Event::Timeout => {
                self.election.handle_timeout(now_ms);
                self.handle_in_role(now_ms, event);
            }
            _ => self.handle_in_role(now_ms, event),
        }
        self.catch_up(now_ms);
    }

    fn handle_in_role(&mut self, now_ms: i64, event: Event) {
        match &mut self.state {
            State::Leading(leader) => leader.handle(&mut self.standing, now_ms, event),
            State::Learning(learner) => learner.handle(&mut self.standing, now_ms, event),
            State::Looking | State::Leaving | State::Stopped => {
                if let Event::LinkOpened { link } = event {
                    self.standing.put(Output::Close { link });
                }
            }
        }
    }

    /// What an event may have brought about beyond its own handler.
    fn catch_up(&mut self, now_ms: i64) {
        if let Some(reason) = self.standing.leaving.take() {
            self.leave_role(now_ms, reason);
        }
        self.try_looking(now_ms);
        if let Some(epoch) = self.standing.established.take() {
            self.election.established(epoch);
        }
        self.take_election_outputs(now_ms);
    }

    fn take_election_outputs(&mut self, now_ms: i64) {
        while let Some(output) = self.election.poll_output() {
            match output {
                ElectionOutput::Notify { to, notification } => {
                    self.standing.put(Output::Notify { to, notification });
                }
                ElectionOutput::Elected { leader } => self.take_role(now_ms, leader),
            }
        }
    }

    // ---- roles ----

    /// Takes the part that an election would give if `leader` won it. Of use where a reconfig
    /// names the next leader; does nothing unless this server is looking for one.
    pub fn take_role(&mut self, now_ms: i64, leader: Sid) {
        if !matches!(self.state, State::Looking) {
            return;
        }
        self.role_began_ms = now_ms;
        self.standing.quorums.oracle = self.standing.oracle;
        if leader == self.standing.me() {
            info!("elected");
            self.election.settled(ServerState::Leading);
            let leader = Leader::become_leader(&mut self.standing, now_ms);
            self.state = State::Leading(Box::new(leader));
        } else {
            info!(leader = leader.0, "another server is elected");
            let learner = Learner::become_learner(&mut self.standing, now_ms, leader);
            self.election.settled(learner.server_state());
            self.state = State::Learning(Box::new(learner));
        }
    }

    fn leave_role(&mut self, now_ms: i64, reason: &'static str) {
        let role = self.role();
        match &mut self.state {
            State::Leading(leader) => leader.leave(&mut self.standing),
            State::Learning(learner) => learner.leave(&mut self.standing),
            State::Looking | State::Leaving | State::Stopped => return,
        }
        warn!(reason, "looking for a leader again");
        self.left_because = Some(reason);
        self.look_at_ms = self.role_began_ms;
        if role == Role::Looking {
            self.look_at_ms += FRUITLESS_ROLE_MS;
        } else if !mutant!(OldLeaderAnswers) {
            self.standing.put(Output::Role(Role::Leaving));
        }
        if self.standing.options.kind == LearnerKind::Observer {
            let within_ms = self.standing.options.observer_election_delay_ms;
            let wait_ms = self.standing.dice.below(within_ms);
            self.look_at_ms = self.look_at_ms.max(now_ms + wait_ms);
        }
        self.state = State::Leaving;
    }

    /// Once all that was asked of the disk is done, the log's tail counts as history: that is what
    /// a restart would make of it, and what the vote says.
    fn try_looking(&mut self, now_ms: i64) {
        let durable = self.standing.is_all_persisted() || mutant!(LogOutlivesRole);
        if !matches!(self.state, State::Leaving) || !durable || now_ms < self.look_at_ms {
            return;
        }
        let standing = &mut self.standing;
        standing.commit(standing.tail.len());
        if mutant!(OldLeaderAnswers) {
            standing.put(Output::Role(Role::Leaving));
        }
        standing.quorums.oracle = standing.oracle;
        standing.put(Output::Role(Role::Looking));
        self.state = State::Looking;
        self.election.start(
            now_ms,
            &self.standing.quorums,
            self.standing.last_durable(),
            self.standing.current_epoch,
            !self.standing.stranger,
        );
        self.take_election_outputs(now_ms);
    }

    /// Gives up the role, if any, for good. What remains to be polled should still be done.
    pub fn stop(&mut self) {
        self.leave_role(self.role_began_ms, "shutting down");
        self.state = State::Stopped;
    }

    /// The configurations have changed.
    pub fn set_quorums(&mut self, quorums: &Quorums) {
        self.standing.quorums = Quorums { oracle: self.standing.oracle, ..quorums.clone() };
        self.standing.masters = Masters::shuffle(&quorums.voters(), &mut self.standing.dice);
        self.election.quorums(&self.standing.quorums);
    }

    // ---- what is to be done ----

    /// The next thing to do. Call it until it says `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.standing.outputs.is_empty() {
            match &mut self.state {
                State::Leading(leader) => leader.settle(&mut self.standing),
                State::Learning(learner) => learner.settle(&mut self.standing),
                State::Looking | State::Leaving | State::Stopped => {}
            }
        }
        self.standing.outputs.pop_front()
    }

    /// What there is to count since the last call. Nobody has to ask.
    pub fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.standing.marks)
    }

    /// Follower that serves observers: how many transactions have been put out, and told those who
    /// were there, since the last call.
    pub fn take_informed(&mut self) -> usize {
        std::mem::take(&mut self.standing.informed)
    }

    /// When `handle(Timeout)` is wanted, on the clock of `handle`.
    pub fn poll_timeout(&self) -> Option<i64> {
        let role = match &self.state {
            State::Leading(leader) => leader.poll_timeout(&self.standing),
            State::Learning(learner) => learner.poll_timeout(&self.standing),
            State::Leaving => Some(self.look_at_ms).filter(|_| self.standing.is_all_persisted()),
            State::Looking => None,
            State::Stopped => return None,
        };
        [role, self.election.poll_timeout()].into_iter().flatten().min()
    }

    // ---- what the sessions ask for ----

    /// Leader: proposes these, numbered from the last proposed on. Lost, without an answer, if
    /// this server does not lead (any more): `Role` says so.
    pub fn propose(&mut self, now_ms: i64, txns: Vec<LoggedTxn>) {
        if let State::Leading(leader) = &mut self.state {
            leader.propose(&mut self.standing, txns);
        }
        self.catch_up(now_ms);
    }

    /// Leader: `LocalSynced{tag}` comes out behind everything that is proposed now.
    pub fn sync_local(&mut self, tag: u64) {
        if let State::Leading(leader) = &mut self.state {
            leader.sync_local(&mut self.standing, tag);
        }
    }

    /// Leader: answers the SYNC that has come from this learner, behind everything that is
    /// proposed now; in the order of the calls.
    pub fn sync_for(&mut self, link: LinkId) {
        if let State::Leading(leader) = &mut self.state {
            leader.sync_for(&mut self.standing, link);
        }
    }

    /// Leader: sends encoded packets, such as an answer to REVALIDATE.
    pub fn send_to(&mut self, link: LinkId, packets: Bytes) {
        if let State::Leading(leader) = &mut self.state {
            leader.send_to(&mut self.standing, link, packets);
        }
    }

    /// Learner: sends an encoded REQUEST that is no sync.
    pub fn send_to_leader(&mut self, request: Bytes) {
        if let State::Learning(learner) = &mut self.state {
            learner.send_to_leader(&mut self.standing, request);
        }
    }

    /// Learner: sends an encoded REQUEST for a sync; `Synced` is its answer.
    pub fn sync_with_leader(&mut self, request: Bytes) {
        if let State::Learning(learner) = &mut self.state {
            learner.sync_with_leader(&mut self.standing, request);
        }
    }

    /// Learner: sends an encoded REVALIDATE; `FromLeader` brings the answer.
    pub fn revalidate_with_leader(&mut self, session: SessionId, revalidate: Bytes) {
        if let State::Learning(learner) = &mut self.state {
            learner.revalidate_with_leader(&mut self.standing, session, revalidate);
        }
    }

    /// Learner: answers `PingWanted{zxid}` with an encoded touch table.
    pub fn pong(&mut self, zxid: Zxid, touched: &[u8]) {
        if let State::Learning(learner) = &mut self.state {
            learner.pong(&mut self.standing, zxid, touched);
        }
    }

    // ---- what there is to see ----

    /// What this server is for its clients now.
    pub fn role(&self) -> Role {
        match &self.state {
            State::Leading(leader) => leader.role(),
            State::Learning(learner) => learner.role(),
            State::Looking | State::Stopped => Role::Looking,
            State::Leaving => Role::Leaving,
        }
    }

    /// What notifications say this server is: it leads or follows from the election on.
    pub fn server_state(&self) -> ServerState {
        match &self.state {
            State::Leading(_) => ServerState::Leading,
            State::Learning(learner) => learner.server_state(),
            _ => ServerState::Looking,
        }
    }

    /// Why it has left the last role that it has left.
    pub fn left_because(&self) -> Option<&'static str> {
        self.left_because
    }

    /// Whether this server has lost its disk's content and has not learnt it anew. Whoever keeps
    /// a mark of that on the disk may remove it when this becomes false.
    pub fn is_stranger(&self) -> bool {
        self.standing.stranger
    }

    /// This server.
    pub fn me(&self) -> Sid {
        self.standing.me()
    }

    /// The configurations that decide.
    pub fn quorums(&self) -> &Quorums {
        &self.standing.quorums
    }

    /// As the file acceptedEpoch says.
    pub fn accepted_epoch(&self) -> Epoch {
        self.standing.accepted_epoch
    }

    /// As the file currentEpoch says.
    pub fn current_epoch(&self) -> Epoch {
        self.standing.current_epoch
    }

    /// The last zxid that has been put out as `Committed`.
    pub fn last_committed(&self) -> Zxid {
        self.standing.last_committed()
    }

    /// The last zxid that the log holds durably.
    pub fn last_durable(&self) -> Zxid {
        self.standing.last_durable()
    }

    /// Leader: the last zxid that has been proposed; before the first, the epoch's start.
    pub fn last_proposed(&self) -> Zxid {
        match &self.state {
            State::Leading(leader) => leader.last_proposed(),
            _ => self.standing.last_logged(),
        }
    }

    /// How many transactions are in the log and not committed yet.
    pub fn outstanding(&self) -> usize {
        self.standing.tail.len()
    }

    /// Leader, follower that serves observers: who has connected and said who it is.
    pub fn learners(&self) -> impl Iterator<Item = LearnerView> + '_ {
        let (leader, learner) = match &self.state {
            State::Leading(leader) => (Some(leader), None),
            State::Learning(learner) => (None, Some(learner)),
            _ => (None, None),
        };
        let learners = leader.into_iter().flat_map(|leader| leader.learners());
        learners.chain(learner.into_iter().flat_map(|learner| learner.observers()))
    }

    /// Whether this server is a follower that serves observers.
    pub fn serves_observers(&self) -> bool {
        matches!(&self.state, State::Learning(learner) if learner.serves_observers())
    }

    /// Learner: how it was brought up to date, and how long that took, ms.
    pub fn synced_by(&self) -> Option<(SyncMode, i64)> {
        match &self.state {
            State::Learning(learner) => Some((learner.sync_mode()?, learner.sync_took_ms())),
            _ => None,
        }
    }

    /// The election, for words and metrics.
    pub fn election(&self) -> &Election {
        &self.election
    }
}
