//! Applies a batch to the replica and says what follows from it: replies, fired watches,
//! sessions opened and closed. Runs on the exclusive side of the replica's lock, so it only
//! notes what fired; each worker matches that against its own watches.

use std::ops::Range;
use std::sync::Arc;

use jute::txn::{Txn, TxnRecord};
use jute::{Decode, ErrorCode, OpCode, Writer};

use super::batch::{Batch, Entry, Outcome, SessionEffect};
use super::reply;
use super::request::Origin;
use crate::session::SessionSlot;
use crate::tree::{Applied, Fired, Replica};
use crate::types::{ConnId, Zxid};

/// What a batch did, split up by the workers that must hear of it.
#[derive(Debug)]
pub struct Effects {
    /// Every change that may fire a watch, in order. The same for all workers.
    pub fired: Arc<Vec<Fired>>,
    /// By worker.
    pub workers: Vec<WorkerEffects>,
    /// The last zxid applied.
    pub last_zxid: Zxid,
    /// Transactions whose digest was not the tree's afterwards.
    pub digest_mismatches: u64,
}

/// What one worker must do, in order.
#[derive(Debug, Default)]
pub struct WorkerEffects {
    /// Frames of all replies.
    pub bytes: Vec<u8>,
    pub items: Vec<Item>,
}

/// One thing to do for one connection.
#[derive(Debug)]
pub struct Item {
    /// So many of the fired changes come before it.
    pub fired_before: usize,
    pub conn: ConnId,
    pub effect: Effect,
}

/// What to do for a connection.
#[derive(Debug)]
pub enum Effect {
    /// A write's answer.
    Reply {
        frame: Range<usize>,
        origin: Origin,
        op: OpCode,
        zxid: Zxid,
        /// Its header has an error.
        failed: bool,
        then_close: bool,
    },
    /// The session of its handshake exists. `new`, if it did not before: the zxid, and when the
    /// handshake was read, monotonic ms.
    Opened { slot: Arc<SessionSlot>, timeout_ms: i32, new: Option<(Zxid, i64)> },
    /// The session it wanted back is not to be had.
    Refused,
    /// Its session is gone, or has moved to another connection.
    Close,
}

/// Applies `batch` in order. `on_applied` is told of every transaction and what it did.
pub fn commit(
    replica: &mut Replica,
    batch: &Batch,
    workers: usize,
    on_applied: &mut dyn FnMut(&TxnRecord<'_>, &Applied),
) -> Effects {
    let mut run = Run {
        fired: Vec::new(),
        workers: (0..workers).map(|_| WorkerEffects::default()).collect(),
        digest_mismatches: 0,
    };
    for entry in &batch.entries {
        run.entry(replica, entry, on_applied);
    }
    Effects {
        fired: Arc::new(run.fired),
        workers: run.workers,
        last_zxid: replica.last_zxid(),
        digest_mismatches: run.digest_mismatches,
    }
}

struct Run {
    fired: Vec<Fired>,
    workers: Vec<WorkerEffects>,
    digest_mismatches: u64,
}

impl Run {
    fn entry(
        &mut self,
        replica: &mut Replica,
        entry: &Entry,
        on_applied: &mut dyn FnMut(&TxnRecord<'_>, &Applied),
    ) {
        match &entry.outcome {
            Outcome::Txn { zxid, record, effect } => {
                let record = TxnRecord::from_bytes(record)
                    .expect("what prep encoded, or was checked on its arrival, can be decoded");
                let applied = replica.apply_record(&record, &mut self.fired);
                self.digest_mismatches += u64::from(applied.digest_matches == Some(false));
                on_applied(&record, &applied);
                self.session_effect(entry, effect, *zxid);
                let failed = applied.err != 0 && !matches!(record.txn, Txn::Multi(_));
                if let (Some(origin), false) = (entry.origin, entry.op == OpCode::CreateSession) {
                    self.reply(entry, origin, *zxid, failed, |w| {
                        let txn = &record.txn;
                        reply::applied(w, origin.xid, *zxid, entry.op, txn, &applied);
                    });
                }
            }
            Outcome::Refused(code) => self.refused(entry, *code, replica.last_zxid()),
            Outcome::Synced { body } => self.synced(entry, body, replica.last_zxid()),
            Outcome::Resumed { slot, conn, timeout_ms, replaces } => {
                if let Some(old) = *replaces {
                    self.push(old, Effect::Close);
                }
                let slot = Arc::clone(slot);
                self.push(*conn, Effect::Opened { slot, timeout_ms: *timeout_ms, new: None });
            }
            Outcome::NotResumed { conn } => self.push(*conn, Effect::Refused),
        }
    }

    fn session_effect(&mut self, entry: &Entry, effect: &SessionEffect, zxid: Zxid) {
        match effect {
            SessionEffect::None => {}
            SessionEffect::Opened { slot, timeout_ms } => {
                if let Some(origin) = entry.origin {
                    let slot = Arc::clone(slot);
                    let new = Some((zxid, origin.received_ms));
                    self.push(origin.conn, Effect::Opened { slot, timeout_ms: *timeout_ms, new });
                }
            }
            SessionEffect::Closed { conn } => {
                let asked_by = entry.origin.map(|o| o.conn);
                if let Some(conn) = conn.filter(|c| Some(*c) != asked_by) {
                    self.push(conn, Effect::Close);
                }
            }
        }
    }

    fn refused(&mut self, entry: &Entry, code: ErrorCode, last: Zxid) {
        if let Some(origin) = entry.origin {
            self.reply(entry, origin, last, true, |w| {
                reply::header_only(w, origin.xid, last, code)
            });
        }
    }

    fn synced(&mut self, entry: &Entry, body: &[u8], last: Zxid) {
        if let Some(origin) = entry.origin {
            self.reply(entry, origin, last, false, |w| reply::synced(w, origin.xid, last, body));
        }
    }

    fn reply(
        &mut self,
        entry: &Entry,
        origin: Origin,
        zxid: Zxid,
        failed: bool,
        write: impl FnOnce(&mut Writer),
    ) {
        let worker = &mut self.workers[origin.conn.worker()];
        let start = worker.bytes.len();
        let mut w = Writer::from_vec(std::mem::take(&mut worker.bytes));
        write(&mut w);
        worker.bytes = w.into_vec();
        let frame = start..worker.bytes.len();
        let then_close = entry.op == OpCode::CloseSession;
        let effect = Effect::Reply { frame, origin, op: entry.op, zxid, failed, then_close };
        self.push(origin.conn, effect);
    }

    fn push(&mut self, conn: ConnId, effect: Effect) {
        let item = Item { fired_before: self.fired.len(), conn, effect };
        self.workers[conn.worker()].items.push(item);
    }
}
