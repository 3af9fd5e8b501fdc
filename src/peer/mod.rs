//! One node, pure: zab, prep's overlay and the sessions. Reads the replica, never owns it. The
//! standalone form has no zab.
//!
//! ```text
//!        Ask, zab::Event, Persisted, Applied, Timeout
//!                        │ handle
//!                        ▼
//!   replica ──reads──▶ Peer ──poll_output──▶ Persist{step, upto}  (do it, then Persisted)
//!                      │ primary │           Commit{batch}        (apply it, then Applied)
//!                      │ learner │           Wire(…)              (to the other members)
//!                      │   zab   │           TakeSnapshot, Role
//! ```
//!
//! Nothing that depends on a batch's being on disk leaves before `Persisted` has covered it:
//! that acknowledged writes survive is the shape of this type, not the care of its driver.

mod growth;
mod learner;
mod member;
mod primary;
mod reaper;
mod reconfig;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::auth::Auth;
use crate::pipeline::{Ask, Batch, PrepOptions, Request};
use crate::session::{Owner, SessionTable};
use crate::tree::Replica;
use crate::types::{Now, Zxid};
use crate::zab::{self, Role, Step, Token, Zab};

use growth::Growth;
use learner::Learner;
use primary::{Primary, View};
pub use reaper::ReaperOptions;
pub use reconfig::ReadChange;

/// Settings of a peer.
#[derive(Debug, Clone)]
pub struct PeerOptions {
    pub prep: PrepOptions,
    pub reaper: ReaperOptions,
    /// Tick, ms: the grain of session expiry.
    pub tick_ms: i32,
    /// `snapCount`: transactions between snapshots, at most.
    pub snap_count: u64,
    /// `snapSizeLimitInKb` in bytes; 0 is off.
    pub snap_bytes: u64,
    /// `localSessionsEnabled`: a learner may ask for sessions that only it knows.
    pub local_sessions: bool,
    /// `enableEagerACLCheck`: a member refuses its clients' writes by its own replica's ACLs.
    pub eager_acl_check: bool,
    /// The top byte of the ids of sessions made here.
    pub session_id_byte: u8,
    /// What a reconfig would make of the members; `None` on a server without any.
    pub read_change: Option<ReadChange>,
    /// Whatever is random here comes from this.
    pub seed: u64,
}

/// What happens to a peer.
#[derive(Debug)]
pub enum Input {
    /// A worker wants something.
    Ask(Ask),
    /// Something has come from the other members, or answers an output of zab's.
    Zab(zab::Event),
    /// Every step up to `upto` is on stable storage.
    Persisted { upto: Token },
    /// Everything up to `zxid` is in the replica.
    Applied { zxid: Zxid },
    /// A deadline may have passed.
    Timeout,
}

/// What a peer wants done, in order.
#[must_use]
#[derive(Debug)]
pub enum Output {
    /// Make the step durable, then say `Persisted{upto}`; once for several is enough.
    Persist { step: Step, upto: Token },
    /// Apply the batch and send its effects, then say `Applied`.
    Commit { batch: Batch },
    /// The log has grown enough: roll it and take a snapshot.
    TakeSnapshot,
    /// Something for the other members: never `Persist`, `Committed`, `Role` nor what the
    /// sessions are told.
    Wire(zab::Output),
    /// The server's role has changed. `Looking`: every client has to go.
    Role(Role),
}

/// What this node does for clients now.
enum Duty {
    /// Nothing: there is no leader.
    None,
    /// It makes transactions: standalone, or leading.
    Primary(Box<Primary>),
    /// It forwards them.
    Learner(Learner),
}

/// A node.
pub struct Peer {
    options: PeerOptions,
    auth: Arc<Auth>,
    zab: Option<Box<Zab>>,
    duty: Duty,
    /// The primary's batches that are not agreed upon yet: what covers each, and the batch.
    in_flight: VecDeque<(Due, Batch)>,
    outputs: VecDeque<Output>,
    /// The last token given out without zab.
    last_token: Token,
    growth: Growth,
    expired_before: u64,
    /// A leader's own clients' syncs, by tag.
    syncing: VecDeque<(u64, Request)>,
    next_sync: u64,
}

/// What must have happened before a batch may be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Standalone: its own sync.
    Persisted(Token),
    /// Leading: a quorum's.
    Agreed(Zxid),
}

impl Peer {
    /// A standalone node. Takes over a replica just recovered.
    pub fn standalone(options: PeerOptions, auth: Arc<Auth>, replica: &Replica, now: Now) -> Peer {
        let view = View { now, replica };
        let primary = Primary::new(&options, &auth, view, replica.last_zxid());
        Peer::new(options, auth, None, Duty::Primary(Box::new(primary)))
    }

    /// A member of an ensemble, looking for a leader.
    pub fn member(options: PeerOptions, auth: Arc<Auth>, zab: Zab) -> Peer {
        Peer::new(options, auth, Some(Box::new(zab)), Duty::None)
    }

    fn new(options: PeerOptions, auth: Arc<Auth>, zab: Option<Box<Zab>>, duty: Duty) -> Peer {
        Peer {
            growth: Growth::new(options.snap_count, options.snap_bytes, options.seed),
            options,
            auth,
            zab,
            duty,
            in_flight: VecDeque::new(),
            outputs: VecDeque::new(),
            last_token: Token(0),
            expired_before: 0,
            syncing: VecDeque::new(),
            next_sync: 0,
        }
    }

    /// Takes in one event.
    pub fn handle(&mut self, now: Now, replica: &Replica, input: Input) {
        let view = View { now, replica };
        match input {
            Input::Ask(ask) => self.handle_ask(view, ask),
            Input::Zab(event) => {
                if let Some(zab) = &mut self.zab {
                    zab.handle(now.mono_ms, event);
                }
            }
            Input::Persisted { upto } => match &mut self.zab {
                Some(zab) => zab.handle(now.mono_ms, zab::Event::Persisted { upto }),
                None => self.release(Due::Persisted(upto)),
            },
            Input::Applied { zxid } => {
                if let Duty::Primary(primary) = &mut self.duty {
                    primary.applied(zxid);
                }
            }
            Input::Timeout => self.handle_timeout(view),
        }
    }

    /// The next thing to do. What has been asked since the last call leaves as one batch. What
    /// was put out before must have been done by now: `replica` shows it.
    pub fn poll_output(&mut self, now: Now, replica: &Replica) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if let Some(output) = self.zab.as_mut().and_then(|zab| zab.poll_output()) {
                self.member_output(View { now, replica }, output);
            } else if !self.send_batch(now) {
                return None;
            }
        }
    }

    /// When to send [`Input::Timeout`], monotonic ms.
    pub fn poll_timeout(&self) -> Option<i64> {
        let duty = match &self.duty {
            Duty::Primary(primary) => primary.poll_timeout(),
            Duty::Learner(_) | Duty::None => None,
        };
        let zab = self.zab.as_ref().and_then(|zab| zab.poll_timeout());
        match (duty, zab) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The consensus core of a member.
    pub fn zab(&self) -> Option<&Zab> {
        self.zab.as_deref()
    }

    /// The sessions, where this node decides about them.
    pub fn sessions(&self) -> Option<&SessionTable> {
        match &self.duty {
            Duty::Primary(primary) => Some(primary.sessions()),
            Duty::Learner(_) | Duty::None => None,
        }
    }

    /// Changes prepared and not applied yet.
    pub fn outstanding_changes(&self) -> usize {
        match &self.duty {
            Duty::Primary(primary) => primary.outstanding_changes(),
            Duty::Learner(learner) => learner.pending(),
            Duty::None => 0,
        }
    }

    /// A leader's own clients' syncs that are not answered yet.
    pub fn pending_syncs(&self) -> usize {
        self.syncing.len()
    }

    /// Sessions that have ended by their timeout since the start.
    pub fn expired_sessions(&self) -> u64 {
        let now = match &self.duty {
            Duty::Primary(primary) => primary.expired_sessions(),
            Duty::Learner(_) | Duty::None => 0,
        };
        self.expired_before + now
    }

    /// Operations that a quota refused since the last call, by the znode that has the quota.
    pub fn take_over_quota(&mut self) -> BTreeMap<String, u64> {
        match &mut self.duty {
            Duty::Primary(primary) => primary.take_over_quota(),
            Duty::Learner(_) | Duty::None => BTreeMap::new(),
        }
    }

    /// What a member's core has noted for metrics since the last call.
    pub fn take_marks(&mut self) -> Vec<zab::Mark> {
        self.zab.as_mut().map(|zab| zab.take_marks()).unwrap_or_default()
    }

    /// Of how many transactions a follower has told its observers since the last call.
    pub fn take_informed(&mut self) -> usize {
        self.zab.as_mut().map_or(0, |zab| zab.take_informed())
    }

    fn handle_ask(&mut self, view: View<'_>, ask: Ask) {
        match (&mut self.duty, ask) {
            // Who asked is being hung up on.
            (Duty::None, _) => {}
            (Duty::Primary(primary), Ask::Resume { session, conn, timeout_ms }) => {
                primary.resume(view.now, session, conn, timeout_ms);
            }
            (Duty::Primary(primary), Ask::Write(request)) if request.op == jute::OpCode::Sync => {
                if primary.is_served_here(&request) {
                    self.sync_here(view.now, request);
                }
            }
            (Duty::Primary(_), Ask::Write(request)) => self.write(view, &request, Owner::Here),
            (Duty::Primary(primary), Ask::Upgrade(slot)) => primary.upgrade(view, slot),
            (Duty::Learner(_), ask) => self.forward(view, ask),
        }
    }

    /// Judges a write of a client, here or at a learner.
    fn write(&mut self, view: View<'_>, request: &Request, owner: Owner) {
        let reconfig = match request.op {
            jute::OpCode::Reconfig => self.check_reconfig(&request.body),
            _ => Ok(()),
        };
        // A learner has asked its own replica before.
        let denied = match owner {
            Owner::Here => self.denied(view, request),
            Owner::Learner(_) => None,
        };
        if let Duty::Primary(primary) = &mut self.duty {
            match denied {
                Some(code) => primary.deny(request, code),
                None => primary.write(view, request, owner, reconfig),
            }
        }
    }

    fn handle_timeout(&mut self, view: View<'_>) {
        if let Some(zab) = &mut self.zab {
            zab.handle(view.now.mono_ms, zab::Event::Timeout);
        }
        if let Duty::Primary(primary) = &mut self.duty {
            primary.timeout(view);
        }
    }

    /// Hands on what has been prepared since the last time. False: nothing has.
    fn send_batch(&mut self, now: Now) -> bool {
        let Duty::Primary(primary) = &mut self.duty else { return false };
        let Some(batch) = primary.take_batch() else { return false };
        let txns: Vec<_> = batch.logged().collect();
        let Some(last) = txns.last().map(|txn| txn.zxid) else {
            // Only refusals: they wait for nothing but what is in front of them.
            match self.in_flight.back() {
                Some((due, _)) => self.in_flight.push_back((*due, batch)),
                None => self.outputs.push_back(Output::Commit { batch }),
            }
            return true;
        };
        match &mut self.zab {
            Some(zab) => {
                self.in_flight.push_back((Due::Agreed(last), batch));
                zab.propose(now.mono_ms, txns);
            }
            None => {
                self.last_token = Token(self.last_token.0 + 1);
                let upto = self.last_token;
                self.in_flight.push_back((Due::Persisted(upto), batch));
                self.persist(Step::Append(txns), upto);
            }
        }
        true
    }

    fn persist(&mut self, step: Step, upto: Token) {
        let snapshot_due = match &step {
            Step::Append(txns) => self.growth.add(txns),
            _ => false,
        };
        self.outputs.push_back(Output::Persist { step, upto });
        if snapshot_due {
            self.outputs.push_back(Output::TakeSnapshot);
        }
    }

    /// Lets go what waited for no more than `done`. Members acknowledge transactions, not this
    /// leader's batches: a quorum may have the first part of one. What is agreed upon must be in
    /// the replica before anything else is done: a learner's snapshot shows it, and a leader that
    /// goes drops what waits here.
    fn release(&mut self, done: Due) {
        while self.in_flight.front().is_some_and(|(due, _)| *due <= done) {
            let (_, batch) = self.in_flight.pop_front().expect("looked at it");
            self.outputs.push_back(Output::Commit { batch });
        }
        if let (Due::Agreed(upto), Some((_, batch))) = (done, self.in_flight.front_mut()) {
            let batch = batch.split_upto(upto);
            if !batch.is_empty() {
                self.outputs.push_back(Output::Commit { batch });
            }
        }
    }
}
