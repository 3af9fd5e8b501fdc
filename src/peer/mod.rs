//! One node, pure: prep's overlay and the sessions (and zab, once there is an ensemble). Reads the
//! replica, never owns it.
//!
//! ```text
//!            Ask, Persisted, Applied, Timeout
//!                        │ handle
//!                        ▼
//!   replica ──reads──▶ Peer ──poll_output──▶ Append{batch, upto}   (log it, then Persisted)
//!                                            Commit{batch}         (apply it, then Applied)
//!                                            TakeSnapshot
//! ```
//!
//! Nothing that depends on a batch's being on disk leaves before `Persisted` has covered it: that
//! acknowledged writes survive is the shape of this type, not the care of its driver.

mod reaper;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use jute::{ErrorCode, OpCode};

use crate::auth::Auth;
use crate::pipeline::SessionEffect;
use crate::pipeline::{Ask, Batch, Context, Entry, Outcome, Prep, PrepOptions, Request};
use crate::session::SessionTable;
use crate::tree::Replica;
use crate::types::{ConnId, Now, SessionId, Zxid};

use reaper::Reaper;
pub use reaper::ReaperOptions;

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
    /// Whatever is random here comes from this.
    pub seed: u64,
}

/// What happens to a peer.
#[derive(Debug)]
pub enum Input {
    /// A worker wants something.
    Ask(Ask),
    /// Everything up to `upto` is on stable storage.
    Persisted { upto: u64 },
    /// Everything up to `zxid` is in the replica.
    Applied { zxid: Zxid },
    /// A deadline may have passed.
    Timeout,
}

/// What a peer wants done.
#[must_use]
#[derive(Debug)]
pub enum Output {
    /// Append the batch's records to the log, make them durable, then say `Persisted{upto}`.
    Append { batch: Arc<Batch>, upto: u64 },
    /// Apply the batch and send its effects, then say `Applied`.
    Commit { batch: Arc<Batch> },
    /// The log has grown enough: roll it and take a snapshot.
    TakeSnapshot,
}

/// A standalone node.
pub struct Peer {
    options: PeerOptions,
    auth: Arc<Auth>,
    prep: Prep,
    sessions: SessionTable,
    reaper: Reaper,
    /// What has been prepared since the last output.
    batch: Batch,
    /// Appended, not known to be durable: token and batch.
    unsynced: VecDeque<(u64, Arc<Batch>)>,
    outputs: VecDeque<Output>,
    last_token: u64,
    /// Sessions whose closing is on its way.
    closing: Vec<(Zxid, SessionId)>,
    expired_sessions: u64,
    since_snapshot: Growth,
    snapshot_at: Growth,
    rng: u64,
}

/// How much the log has grown.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    txns: u64,
    bytes: u64,
}

impl Peer {
    /// Takes over a replica just recovered. Every session in it gets its full timeout anew, as
    /// after each change of leader.
    pub fn new(options: PeerOptions, auth: Arc<Auth>, replica: &Replica, now: Now) -> Peer {
        let mut sessions = SessionTable::new(options.tick_ms, options.seed, now.mono_ms);
        for (id, timeout_ms) in replica.sessions() {
            sessions.track(id, timeout_ms, now.mono_ms);
        }
        let mut peer = Peer {
            prep: Prep::new(options.prep.clone(), replica, options.seed),
            reaper: Reaper::new(options.reaper, now.mono_ms),
            rng: options.seed | 1,
            auth,
            sessions,
            batch: Batch::default(),
            unsynced: VecDeque::new(),
            outputs: VecDeque::new(),
            last_token: 0,
            closing: Vec::new(),
            expired_sessions: 0,
            since_snapshot: Growth::default(),
            snapshot_at: Growth::default(),
            options,
        };
        peer.draw_snapshot_point();
        peer.close_orphans(replica, now);
        peer
    }

    /// Takes in one event.
    pub fn handle(&mut self, now: Now, replica: &Replica, input: Input) {
        match input {
            Input::Ask(Ask::Write(request)) => self.handle_write(now, replica, request),
            Input::Ask(Ask::Resume { session, conn, timeout_ms }) => {
                self.handle_resume(now, session, conn, timeout_ms);
            }
            Input::Persisted { upto } => self.handle_persisted(upto),
            Input::Applied { zxid } => self.handle_applied(zxid),
            Input::Timeout => self.handle_timeout(now, replica),
        }
    }

    /// The next thing to do. What has been asked since the last call leaves as one batch.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.batch.is_empty() {
            return None;
        }
        let batch = Arc::new(std::mem::take(&mut self.batch));
        let txns = batch.records().count() as u64;
        if txns == 0 && self.unsynced.is_empty() {
            // Only refusals, and nothing in front of them: nothing to make durable.
            return Some(Output::Commit { batch });
        }
        self.last_token += 1;
        self.unsynced.push_back((self.last_token, Arc::clone(&batch)));
        self.count_growth(txns, batch.len_bytes() as u64);
        Some(Output::Append { batch, upto: self.last_token })
    }

    /// When to send [`Input::Timeout`], monotonic ms.
    pub fn poll_timeout(&self) -> Option<i64> {
        let expiry = self.sessions.poll_timeout();
        let reaper = self.reaper.poll_timeout();
        match (expiry, reaper) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The sessions.
    pub fn sessions(&self) -> &SessionTable {
        &self.sessions
    }

    /// The last zxid given out.
    pub fn last_zxid(&self) -> Zxid {
        self.prep.last_zxid()
    }

    /// Changes prepared and not applied yet.
    pub fn outstanding_changes(&self) -> usize {
        self.prep.outstanding()
    }

    /// Sessions that have ended by their timeout since the start.
    pub fn expired_sessions(&self) -> u64 {
        self.expired_sessions
    }

    /// Operations that a quota refused since the last call, by the znode that has the quota.
    pub fn take_over_quota(&mut self) -> BTreeMap<String, u64> {
        self.prep.take_over_quota()
    }

    /// Whether batches wait for the disk.
    pub fn is_waiting_for_disk(&self) -> bool {
        !self.unsynced.is_empty()
    }

    fn handle_write(&mut self, now: Now, replica: &Replica, request: Request) {
        let effect = match request.op {
            OpCode::CreateSession => {
                let timeout_ms = request.session_timeout_ms;
                let slot = self.sessions.track(request.session, timeout_ms, now.mono_ms);
                if let Some(origin) = request.origin {
                    slot.attach(origin.conn);
                }
                SessionEffect::Opened { slot, timeout_ms }
            }
            OpCode::CloseSession => {
                let conn = self.sessions.slot(request.session).and_then(|slot| slot.conn());
                SessionEffect::Closed { conn }
            }
            _ => SessionEffect::None,
        };
        let alive = self.sessions.slot(request.session).is_some_and(|slot| !slot.is_closing());
        let session = if alive { Ok(()) } else { Err(ErrorCode::SessionExpired) };
        let cx = Context { replica, auth: &self.auth, now, session };
        self.prep.prepare(&cx, &request, effect, &mut self.batch);
        if request.op == OpCode::CloseSession {
            self.sessions.mark_closing(request.session);
            self.closing.push((self.prep.last_zxid(), request.session));
        }
    }

    fn handle_resume(&mut self, now: Now, session: SessionId, conn: ConnId, timeout_ms: i32) {
        let outcome = match self.sessions.resume(session, timeout_ms, now.mono_ms) {
            Some(slot) => {
                let replaces = slot.attach(conn);
                Outcome::Resumed { slot, conn, timeout_ms, replaces }
            }
            None => Outcome::NotResumed { conn },
        };
        let op = OpCode::CreateSession;
        self.batch.entries.push(Entry { origin: None, op, outcome });
    }

    fn handle_persisted(&mut self, upto: u64) {
        while self.unsynced.front().is_some_and(|(token, _)| *token <= upto) {
            let (_, batch) = self.unsynced.pop_front().expect("looked at it");
            self.outputs.push_back(Output::Commit { batch });
        }
    }

    fn handle_applied(&mut self, zxid: Zxid) {
        self.prep.applied(zxid);
        let sessions = &mut self.sessions;
        self.closing.retain(|(at, session)| {
            if *at <= zxid {
                sessions.remove(*session);
            }
            *at > zxid
        });
    }

    fn handle_timeout(&mut self, now: Now, replica: &Replica) {
        for session in self.sessions.expired(now.mono_ms) {
            self.expired_sessions += 1;
            tracing::info!(
                "Expiring session {session}, timeout of {}ms exceeded",
                self.sessions.slot(session).map_or(0, |slot| slot.timeout_ms())
            );
            self.handle_write(now, replica, server_made(session, OpCode::CloseSession, &[]));
        }
        for path in self.reaper.due(now, replica) {
            let mut body = jute::Writer::new();
            body.buffer(Some(path.as_bytes()));
            let request = server_made(SessionId(0), OpCode::DeleteContainer, &body.into_vec());
            self.handle_write(now, replica, request);
        }
    }

    /// Ephemerals whose session is unknown (as after a change of `extendedTypesEnabled`) would
    /// stay for ever; their sessions are closed like any other, by a transaction.
    fn close_orphans(&mut self, replica: &Replica, now: Now) {
        for (session, _) in replica.ephemeral_owners() {
            if !self.sessions.contains(session) {
                let request = server_made(session, OpCode::CloseSession, &[]);
                self.handle_write(now, replica, request);
            }
        }
    }

    fn count_growth(&mut self, txns: u64, bytes: u64) {
        self.since_snapshot.txns += txns;
        self.since_snapshot.bytes += bytes;
        let by_size =
            self.options.snap_bytes > 0 && self.since_snapshot.bytes > self.snapshot_at.bytes;
        if self.since_snapshot.txns > self.snapshot_at.txns || by_size {
            self.since_snapshot = Growth::default();
            self.draw_snapshot_point();
            self.outputs.push_back(Output::TakeSnapshot);
        }
    }

    /// Between half and all of the limits, so that the members of an ensemble don't take their
    /// snapshots at once (Apache's `SyncRequestProcessor`).
    fn draw_snapshot_point(&mut self) {
        let half = |limit: u64, random: u64| limit / 2 + random % (limit / 2).max(1);
        let (a, b) = (self.next_random(), self.next_random());
        self.snapshot_at = Growth {
            txns: half(self.options.snap_count, a),
            bytes: half(self.options.snap_bytes, b),
        };
    }

    /// xorshift64*: spreads snapshots, guards nothing.
    fn next_random(&mut self) -> u64 {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        self.rng.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
    }
}

/// A request that nobody waits for.
fn server_made(session: SessionId, op: OpCode, body: &[u8]) -> Request {
    Request {
        session,
        origin: None,
        op,
        body: Bytes::copy_from_slice(body),
        identities: Arc::from([]),
        session_timeout_ms: 0,
    }
}
