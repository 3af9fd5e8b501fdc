//! Transactions that are logged, agreed on and applied together.

use std::ops::Range;
use std::sync::Arc;

use jute::{ErrorCode, OpCode};

use super::request::Origin;
use crate::session::SessionSlot;
use crate::types::{ConnId, Zxid};

/// Requests in order, with the bytes of those that became transactions. The bytes are what the
/// log stores and what a leader proposes: encoded once, shared from here on.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    pub entries: Vec<Entry>,
}

/// One request and what became of it.
#[derive(Debug)]
pub struct Entry {
    pub origin: Option<Origin>,
    pub op: OpCode,
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A transaction (perhaps the record of a failure), to be logged and applied.
    Txn { zxid: Zxid, record: Range<usize>, effect: SessionEffect },
    /// Refused before it took a zxid.
    Refused(ErrorCode),
    /// A session goes on with another connection. `replaces` is the one it had here before.
    Resumed { slot: Arc<SessionSlot>, conn: ConnId, timeout_ms: i32, replaces: Option<ConnId> },
    /// The session to resume is unknown or closing.
    NotResumed { conn: ConnId },
}

/// What a transaction does to its session's connection, once applied.
#[derive(Debug, Clone)]
pub enum SessionEffect {
    None,
    /// The session exists: answer the handshake.
    Opened {
        slot: Arc<SessionSlot>,
        timeout_ms: i32,
    },
    /// The session is gone: close the connection that holds it.
    Closed {
        conn: Option<ConnId>,
    },
}

impl Batch {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The encoded transaction of an entry.
    pub fn record(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Each transaction's zxid and bytes, in order.
    pub fn records(&self) -> impl Iterator<Item = (Zxid, &[u8])> {
        self.entries.iter().filter_map(|e| match &e.outcome {
            Outcome::Txn { zxid, record, .. } => Some((*zxid, self.record(record))),
            _ => None,
        })
    }

    /// Bytes of all transactions.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a transaction's bytes by letting `write` write them.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut jute::Writer)) -> Range<usize> {
        let start = self.bytes.len();
        let mut w = jute::Writer::from_vec(std::mem::take(&mut self.bytes));
        write(&mut w);
        self.bytes = w.into_vec();
        start..self.bytes.len()
    }
}
