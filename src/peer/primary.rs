//! Whoever turns requests into transactions: a standalone server, or the leader of an ensemble.
//! Owns prep and the sessions of all.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jute::{ErrorCode, OpCode};

use super::reaper::Reaper;
use super::PeerOptions;
use crate::auth::Auth;
use crate::pipeline::{Batch, BatchBuilder, Context, Outcome, Prep, Request, SessionEffect};
use crate::session::{Owner, OwnerError, SessionSlot, SessionTable};
use crate::tree::Replica;
use crate::types::{ConnId, Now, SessionId, Sid, Zxid};

/// What somebody asks with, as far as judging it needs.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub now: Now,
    pub replica: &'a Replica,
}

/// Prep, sessions and what they have prepared.
pub(super) struct Primary {
    auth: Arc<Auth>,
    prep: Prep,
    sessions: SessionTable,
    reaper: Reaper,
    /// What has been prepared since the last [`Primary::take_batch`].
    batch: BatchBuilder,
    /// Sessions whose closing is on its way.
    closing: Vec<(Zxid, SessionId)>,
    expired_sessions: u64,
    /// Requests may come of sessions that only a learner knows (`localSessionsEnabled`).
    local_sessions: bool,
    /// The top byte of ids of sessions made here.
    id_byte: u8,
}

impl Primary {
    /// Takes over a replica just recovered, or just agreed upon. Every session in it gets its
    /// full timeout anew, as after each change of leader. The first transaction follows `last`.
    pub fn new(options: &PeerOptions, auth: &Arc<Auth>, view: View<'_>, last: Zxid) -> Primary {
        let View { now, replica } = view;
        let mut sessions = SessionTable::new(options.tick_ms, options.seed, now.mono_ms);
        for (id, timeout_ms) in replica.sessions() {
            sessions.track(id, timeout_ms, now.mono_ms);
        }
        let mut primary = Primary {
            prep: Prep::new(options.prep.clone(), replica, last, options.seed),
            reaper: Reaper::new(options.reaper, now.mono_ms),
            auth: Arc::clone(auth),
            sessions,
            batch: BatchBuilder::default(),
            closing: Vec::new(),
            expired_sessions: 0,
            local_sessions: options.local_sessions,
            id_byte: options.session_id_byte,
        };
        primary.close_orphans(view);
        primary
    }

    /// Judges a write. `owner` is who serves the session's client; `reconfig` is what the ensemble
    /// has against it if it is one.
    pub fn write(
        &mut self,
        view: View<'_>,
        request: &Request,
        owner: Owner,
        reconfig: Result<(), ErrorCode>,
    ) {
        let View { now, replica } = view;
        let effect = match request.op {
            OpCode::CreateSession => self.open_session(now, request, owner),
            OpCode::CloseSession => {
                let conn = self.sessions.slot(request.session).and_then(|slot| slot.conn());
                SessionEffect::Closed { conn }
            }
            _ => SessionEffect::None,
        };
        let (session, ephemerals) = match request.is_local {
            true => (Ok(()), Err(ErrorCode::EphemeralOnLocalSession)),
            // Its own server knows better why, and tells its client.
            false if self.is_foreign_local(request) => (Ok(()), Err(ErrorCode::SessionExpired)),
            false => (self.check_session(request, owner), Ok(())),
        };
        let cx = Context { replica, auth: &self.auth, now, session, ephemerals, reconfig };
        self.prep.prepare(&cx, request, effect, &mut self.batch);
        if request.op == OpCode::CloseSession {
            self.sessions.mark_closing(request.session);
            self.closing.push((self.prep.last_zxid(), request.session));
        }
    }

    /// Answers a write of this server's client that never becomes a transaction.
    pub fn deny(&mut self, request: &Request, code: ErrorCode) {
        self.batch.push(request.origin, request.op, Outcome::Denied(code));
    }

    /// Whether a sync of this server's client is to be answered: not if its session has moved,
    /// which ends its connection.
    pub fn is_served_here(&mut self, request: &Request) -> bool {
        let has_moved = self.check_session(request, Owner::Here) == Err(ErrorCode::SessionMoved);
        if has_moved {
            let outcome = Outcome::Refused(ErrorCode::SessionMoved);
            self.batch.push(request.origin, request.op, outcome);
        }
        !has_moved
    }

    /// A client of this server takes its session up again.
    pub fn resume(&mut self, now: Now, session: SessionId, conn: ConnId, timeout_ms: i32) {
        let outcome = match self.sessions.resume(session, timeout_ms, now.mono_ms) {
            Some(slot) => {
                self.own(session, Owner::Here);
                let replaces = slot.attach(conn);
                Outcome::Resumed { slot, conn, timeout_ms, replaces }
            }
            None => Outcome::NotResumed { conn },
        };
        self.batch.push(None, OpCode::CreateSession, outcome);
    }

    /// A session that only this server knew becomes everybody's.
    pub fn upgrade(&mut self, view: View<'_>, slot: Arc<SessionSlot>) {
        let (session, timeout_ms) = (slot.id(), slot.timeout_ms());
        self.sessions.adopt(slot, view.now.mono_ms);
        self.own_write(view, session, OpCode::CreateSession, &[], timeout_ms);
    }

    /// A learner asks whether a client of its may take its session up again (REVALIDATE).
    pub fn revalidate(&mut self, now: Now, session: SessionId, timeout_ms: i32, sid: Sid) -> bool {
        let alive = self.sessions.resume(session, timeout_ms, now.mono_ms).is_some();
        if alive {
            self.own(session, Owner::Learner(sid));
        }
        alive
    }

    /// A learner has heard of a session.
    pub fn touch(&mut self, now: Now, session: SessionId, timeout_ms: i32) {
        // Unknown or closing: its learner will hear of that by a transaction.
        let _ = self.sessions.touch(session, timeout_ms, now.mono_ms);
    }

    /// What has been prepared, if anything has.
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.batch.is_empty() {
            return None;
        }
        Some(self.batch.seal())
    }

    /// Everything up to `zxid` is in the replica.
    pub fn applied(&mut self, zxid: Zxid) {
        self.prep.applied(zxid);
        let sessions = &mut self.sessions;
        self.closing.retain(|(at, session)| {
            if *at <= zxid {
                sessions.remove(*session);
            }
            *at > zxid
        });
    }

    /// Expires sessions and deletes what has outlived itself.
    pub fn timeout(&mut self, view: View<'_>) {
        for session in self.sessions.expired(view.now.mono_ms) {
            self.expired_sessions += 1;
            tracing::info!(
                "Expiring session {session}, timeout of {}ms exceeded",
                self.sessions.slot(session).map_or(0, |slot| slot.timeout_ms())
            );
            self.own_write(view, session, OpCode::CloseSession, &[], 0);
        }
        for path in self.reaper.due(view.now, view.replica) {
            let mut body = jute::Writer::new();
            body.buffer(Some(path.as_bytes()));
            self.own_write(view, SessionId(0), OpCode::DeleteContainer, &body.into_vec(), 0);
        }
    }

    /// When [`Primary::timeout`] wants to be called, monotonic ms.
    pub fn poll_timeout(&self) -> Option<i64> {
        match (self.sessions.poll_timeout(), self.reaper.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub fn sessions(&self) -> &SessionTable {
        &self.sessions
    }

    pub fn take_over_quota(&mut self) -> BTreeMap<String, u64> {
        self.prep.take_over_quota()
    }

    pub fn outstanding_changes(&self) -> usize {
        self.prep.outstanding()
    }

    pub fn expired_sessions(&self) -> u64 {
        self.expired_sessions
    }

    fn open_session(&mut self, now: Now, request: &Request, owner: Owner) -> SessionEffect {
        let timeout_ms = request.session_timeout_ms;
        let slot: Arc<SessionSlot> = self.sessions.track(request.session, timeout_ms, now.mono_ms);
        self.own(request.session, owner);
        if let Some(origin) = request.origin {
            slot.attach(origin.conn);
        }
        SessionEffect::Opened { slot, timeout_ms }
    }

    /// Apache's `LeaderSessionTracker.checkSession`. The server itself asks for nobody's session
    /// and needs none.
    fn check_session(&mut self, request: &Request, owner: Owner) -> Result<(), ErrorCode> {
        match self.sessions.check_owner(request.session, owner) {
            Ok(()) => {
                let slot = self.sessions.slot(request.session);
                let left = slot.is_some_and(|slot| has_left(slot, request));
                if left {
                    Err(ErrorCode::SessionMoved)
                } else {
                    Ok(())
                }
            }
            Err(OwnerError::Moved) => Err(ErrorCode::SessionMoved),
            Err(OwnerError::Unknown | OwnerError::Closing) => Err(ErrorCode::SessionExpired),
        }
    }

    /// A session that a learner keeps to itself: unknown here, and not made here.
    fn is_foreign_local(&self, request: &Request) -> bool {
        self.local_sessions
            && request.origin.is_none()
            && (request.session.0 >> 56) as u8 != self.id_byte
            && !self.sessions.contains(request.session)
    }

    fn own(&mut self, session: SessionId, owner: Owner) {
        // It fails for a session that is closing: whoever asks with it hears so.
        let _ = self.sessions.set_owner(session, owner);
    }

    /// A write that nobody waits for.
    fn own_write(
        &mut self,
        view: View<'_>,
        session: SessionId,
        op: OpCode,
        body: &[u8],
        session_timeout_ms: i32,
    ) {
        let request = Request {
            session,
            cxid: 0,
            origin: None,
            op,
            body: Bytes::copy_from_slice(body),
            identities: Arc::from([]),
            is_local: false,
            session_timeout_ms,
        };
        self.write(view, &request, Owner::Here, Ok(()));
    }

    /// Ephemerals whose session is unknown (as after a change of `extendedTypesEnabled`) would
    /// stay for ever; their sessions are closed like any other, by a transaction.
    fn close_orphans(&mut self, view: View<'_>) {
        let owners = view.replica.ephemeral_owners().map(|(session, _)| session);
        let orphans: Vec<SessionId> =
            owners.filter(|session| !self.sessions.contains(*session)).collect();
        for session in orphans {
            self.own_write(view, session, OpCode::CloseSession, &[], 0);
        }
    }
}

/// Whether the session's client has come back by another connection since this one was read from.
/// What it sends from there may be done already; this must not come after it.
pub(super) fn has_left(slot: &SessionSlot, request: &Request) -> bool {
    match (request.origin, slot.conn()) {
        (Some(origin), Some(serving)) => origin.conn != serving,
        _ => false,
    }
}
