//! Transactions that are logged, agreed on and applied together.

use std::sync::Arc;

use bytes::Bytes;
use jute::{ErrorCode, OpCode};

use super::request::Origin;
use crate::session::SessionSlot;
use crate::types::{ConnId, LoggedTxn, Zxid};

/// Requests in order, with the bytes of those that became transactions. The bytes are what the
/// log stores and what a leader proposes: encoded once, shared from here on.
#[derive(Debug, Default)]
pub struct Batch {
    pub entries: Vec<Entry>,
}

/// One request, or one transaction of somebody else's request, and what became of it.
#[derive(Debug)]
pub struct Entry {
    /// `None`: nobody here waits for an answer.
    pub origin: Option<Origin>,
    /// What was asked; of no importance without an origin.
    pub op: OpCode,
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A transaction (perhaps the record of a failure), to be logged and applied. `record` is
    /// header, transaction and perhaps a digest; it shares its buffer with its neighbours.
    Txn { zxid: Zxid, record: Bytes, effect: SessionEffect },
    /// Refused before it took a zxid.
    Refused(ErrorCode),
    /// Refused by this member's own ACLs; its answer names no zxid.
    Denied(ErrorCode),
    /// A sync: all that was committed before it is in front of it. `body` is the request's.
    Synced { body: Bytes },
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

    /// Each transaction's zxid and bytes, in order.
    pub fn records(&self) -> impl Iterator<Item = (Zxid, &Bytes)> {
        self.entries.iter().filter_map(|e| match &e.outcome {
            Outcome::Txn { zxid, record, .. } => Some((*zxid, record)),
            _ => None,
        })
    }

    /// Each transaction, in order, as logs and servers have it. Shares the bytes.
    pub fn logged(&self) -> impl Iterator<Item = LoggedTxn> + '_ {
        self.records().map(|(zxid, record)| LoggedTxn { zxid, bytes: record.clone() })
    }

    /// Takes out what is done once the transaction of `upto` is: that one and all in front of it,
    /// and what behind it is no transaction and so waits for nothing else.
    pub fn split_upto(&mut self, upto: Zxid) -> Batch {
        let waits =
            |entry: &Entry| matches!(entry.outcome, Outcome::Txn { zxid, .. } if zxid > upto);
        let count = self.entries.iter().position(waits).unwrap_or(self.entries.len());
        Batch { entries: self.entries.drain(..count).collect() }
    }

    /// Bytes of all transactions.
    pub fn len_bytes(&self) -> usize {
        self.records().map(|(_, record)| record.len()).sum()
    }
}

/// A batch in the making: its transactions are encoded one behind the other into one buffer,
/// which they share once the batch is sealed.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    /// Where each transaction ends in `bytes`.
    ends: Vec<usize>,
    /// Those that are transactions have no bytes yet.
    entries: Vec<Entry>,
}

impl BatchBuilder {
    /// Nothing has been put in since it was sealed last.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts in something that is no transaction.
    pub fn push(&mut self, origin: Option<Origin>, op: OpCode, outcome: Outcome) {
        assert!(!matches!(outcome, Outcome::Txn { .. }), "transactions are encoded here");
        self.entries.push(Entry { origin, op, outcome });
    }

    /// Puts in a transaction and lets `write` encode it.
    pub(super) fn encode(
        &mut self,
        origin: Option<Origin>,
        op: OpCode,
        (zxid, effect): (Zxid, SessionEffect),
        write: impl FnOnce(&mut jute::Writer),
    ) {
        let mut w = jute::Writer::from_vec(std::mem::take(&mut self.bytes));
        write(&mut w);
        self.bytes = w.into_vec();
        self.ends.push(self.bytes.len());
        let outcome = Outcome::Txn { zxid, record: Bytes::new(), effect };
        self.entries.push(Entry { origin, op, outcome });
    }

    /// The batch, with one allocation for the bytes of all its transactions. Leaves this empty.
    pub fn seal(&mut self) -> Batch {
        let shared = Bytes::from(std::mem::take(&mut self.bytes));
        let mut entries = std::mem::take(&mut self.entries);
        let mut ends = self.ends.drain(..);
        let mut start = 0;
        for entry in &mut entries {
            if let Outcome::Txn { record, .. } = &mut entry.outcome {
                let end = ends.next().expect("every transaction has noted its end");
                *record = shared.slice(start..end);
                start = end;
            }
        }
        Batch { entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(builder: &mut BatchBuilder, zxid: i64, number: i32) {
        let what = (Zxid(zxid), SessionEffect::None);
        builder.encode(None, OpCode::SetData, what, |w| w.i32(number));
    }

    #[test]
    fn transactions_of_a_sealed_batch_share_one_buffer() {
        let mut builder = BatchBuilder::default();
        encode(&mut builder, 7, 1);
        let refused = Outcome::Refused(ErrorCode::MarshallingError);
        builder.push(None, OpCode::SetData, refused);
        encode(&mut builder, 8, 2);
        let batch = builder.seal();
        let logged: Vec<LoggedTxn> = batch.logged().collect();
        assert_eq!((logged[0].zxid, &logged[0].bytes[..]), (Zxid(7), &[0, 0, 0, 1][..]));
        assert_eq!((logged[1].zxid, &logged[1].bytes[..]), (Zxid(8), &[0, 0, 0, 2][..]));
        assert_eq!(logged[0].bytes.as_ptr_range().end, logged[1].bytes.as_ptr(), "one buffer");
        assert_eq!((batch.entries.len(), batch.len_bytes()), (3, 8));
        assert!(builder.is_empty() && builder.seal().is_empty());
    }

    #[test]
    fn a_batch_is_split_behind_a_transaction_and_what_waits_for_no_more() {
        let mut builder = BatchBuilder::default();
        let refused = || Outcome::Refused(ErrorCode::MarshallingError);
        encode(&mut builder, 7, 1);
        builder.push(None, OpCode::SetData, refused());
        encode(&mut builder, 8, 2);
        builder.push(None, OpCode::SetData, refused());
        let mut rest = builder.seal();
        let zxids = |batch: &Batch| batch.records().map(|(zxid, _)| zxid.0).collect::<Vec<_>>();
        assert!(rest.split_upto(Zxid(6)).is_empty());
        let first = rest.split_upto(Zxid(7));
        assert_eq!((zxids(&first), first.entries.len()), (vec![7], 2));
        assert_eq!((zxids(&rest), rest.entries.len()), (vec![8], 2));
        assert_eq!(rest.split_upto(Zxid(9)).entries.len(), 2);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_builder_starts_anew_after_each_batch() {
        let mut builder = BatchBuilder::default();
        encode(&mut builder, 1, 1);
        let first = builder.seal();
        encode(&mut builder, 2, 2);
        let second = builder.seal();
        let bytes = |batch: &Batch| batch.logged().next().expect("there is one").bytes;
        assert_eq!(
            (&bytes(&first)[..], &bytes(&second)[..]),
            (&[0, 0, 0, 1][..], &[0, 0, 0, 2][..])
        );
    }
}
