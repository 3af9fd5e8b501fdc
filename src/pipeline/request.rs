//! A client's request on its way to becoming a transaction.

use std::sync::Arc;

use bytes::Bytes;
use jute::{Id, OpCode};

use crate::session::SessionSlot;
use crate::types::{ConnId, SessionId};

/// What a worker hands to the pipeline.
#[derive(Debug, Clone)]
pub struct Request {
    pub session: SessionId,
    /// `None`: nobody here waits for an answer. The server made it itself (expiry, reaper), or it
    /// comes from a learner's client.
    pub origin: Option<Origin>,
    /// The client's number for the request, as the transaction's header has it: also where a
    /// learner forwarded it and no origin is known here. 0 for what clients don't number.
    pub cxid: i32,
    pub op: OpCode,
    /// The frame behind the request header.
    pub body: Bytes,
    /// The connection's identities when the request came in; later auth packets don't count.
    pub identities: Arc<[Id<'static>]>,
    /// Only this server knows the session: it can own no ephemeral.
    pub is_local: bool,
    /// For createSession and a session's resumption: the timeout that was agreed on, ms.
    pub session_timeout_ms: i32,
}

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub conn: ConnId,
    /// The client's number for the request.
    pub xid: i32,
    /// When its frame was read, monotonic ms: for latency figures.
    pub received_ms: i64,
    /// The frame's length if it counts as a large request, else 0.
    pub large_bytes: u32,
}

/// What a worker asks of the pipeline.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A write, the opening of a new session or, in an ensemble, a sync.
    Write(Request),
    /// A known session comes back on another connection; its password has been checked.
    Resume { session: SessionId, conn: ConnId, timeout_ms: i32 },
    /// A session that only this server knew is to be everybody's; its writes follow.
    Upgrade(Arc<SessionSlot>),
}
