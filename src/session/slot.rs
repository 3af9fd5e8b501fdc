//! What connection workers and the expiry check share about one session, without a lock.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering::*};

use crate::types::{ConnId, SessionId};

/// One session's liveness. Shared by an `Arc`: the table keeps one, the session's connection
/// another. Times are monotonic milliseconds.
#[derive(Debug)]
pub struct SessionSlot {
    id: SessionId,
    timeout_ms: AtomicI32,
    /// When a request last came, or `CLOSING`. One word, so that a session is either heard of
    /// or closed, never both.
    heard_ms: AtomicI64,
    /// The connection that serves the session here, or `NO_CONN`.
    conn: AtomicU64,
    /// Only this server knows the session.
    local: AtomicBool,
    /// Another server serves the session's client.
    elsewhere: AtomicBool,
}

impl SessionSlot {
    /// A session that is heard of now.
    pub fn new(id: SessionId, timeout_ms: i32, now_ms: i64) -> SessionSlot {
        SessionSlot {
            id,
            timeout_ms: AtomicI32::new(timeout_ms),
            heard_ms: AtomicI64::new(now_ms),
            conn: AtomicU64::new(NO_CONN),
            local: AtomicBool::new(false),
            elsewhere: AtomicBool::new(false),
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether only this server knows the session (`localSessionsEnabled`).
    pub fn is_local(&self) -> bool {
        self.local.load(Acquire)
    }

    /// Says whether only this server knows the session.
    pub fn set_local(&self, local: bool) {
        self.local.store(local, Release);
    }

    /// Whether another server serves the session's client, as far as a leader knows: nothing is
    /// answered any more on a connection that it has here.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere.load(Acquire)
    }

    /// Says whether another server serves the session's client.
    pub(super) fn set_elsewhere(&self, elsewhere: bool) {
        self.elsewhere.store(elsewhere, Release);
    }

    /// The timeout that its client negotiated last.
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms.load(Relaxed)
    }

    /// Its client has negotiated another timeout.
    pub fn set_timeout_ms(&self, timeout_ms: i32) {
        self.timeout_ms.store(timeout_ms, Relaxed);
    }

    /// A request of the session came in. False when the session is closing: then the request is
    /// dropped without an answer.
    pub fn touch(&self, now_ms: i64) -> bool {
        let mut heard = self.heard_ms.load(Acquire);
        while heard < now_ms {
            if heard == CLOSING {
                return false;
            }
            match self.heard_ms.compare_exchange_weak(heard, now_ms, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(other) => heard = other,
            }
        }
        true
    }

    /// When the session was last heard of; `None` when it is closing.
    pub fn heard_ms(&self) -> Option<i64> {
        Some(self.heard_ms.load(Acquire)).filter(|&heard| heard != CLOSING)
    }

    /// Whether closeSession is under way.
    pub fn is_closing(&self) -> bool {
        self.heard_ms().is_none()
    }

    /// From now on no touch succeeds.
    pub fn mark_closing(&self) {
        self.heard_ms.store(CLOSING, Release);
    }

    /// As [`SessionSlot::mark_closing`], but only if nothing has come since `heard_ms`.
    pub(super) fn close_unless_touched(&self, heard_ms: i64) -> bool {
        self.heard_ms.compare_exchange(heard_ms, CLOSING, AcqRel, Acquire).is_ok()
    }

    /// The connection that serves the session on this server.
    pub fn conn(&self) -> Option<ConnId> {
        Some(self.conn.load(Acquire)).filter(|&conn| conn != NO_CONN).map(ConnId)
    }

    /// `conn` serves the session from now on. Returns the connection before it, to be closed.
    pub fn attach(&self, conn: ConnId) -> Option<ConnId> {
        let before = self.conn.swap(conn.0, AcqRel);
        (before != NO_CONN && before != conn.0).then_some(ConnId(before))
    }

    /// `conn` is gone. Does nothing when another one has taken over.
    pub fn detach(&self, conn: ConnId) {
        // A failure says that another connection serves the session by now.
        let _ = self.conn.compare_exchange(conn.0, NO_CONN, AcqRel, Acquire);
    }
}

/// Earlier than every instant.
const CLOSING: i64 = i64::MIN;
/// No worker has this number (65535) and this serial.
const NO_CONN: u64 = u64::MAX;
