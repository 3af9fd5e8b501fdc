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
    /// A write's answer is that its session is another server's by now: an end without a word.
    Moved { origin: Origin },
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
                let asked_by = entry.origin.filter(|_| entry.op != OpCode::CreateSession);
                if let Some(origin) = asked_by.filter(|_| has_moved(&record.txn)) {
                    self.push(origin.conn, Effect::Moved { origin });
                } else if let Some(origin) = asked_by {
                    self.reply(entry, origin, *zxid, failed, |w| {
                        let txn = &record.txn;
                        reply::applied(w, origin.xid, *zxid, entry.op, txn, &applied);
                    });
                }
            }
            Outcome::Refused(ErrorCode::SessionMoved) => {
                if let Some(origin) = entry.origin {
                    self.push(origin.conn, Effect::Moved { origin });
                }
            }
            Outcome::Refused(code) => self.refused(entry, *code, replica.last_zxid()),
            Outcome::Denied(code) => self.refused(entry, *code, Zxid::ZERO),
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

/// Whether a write failed because its session is served elsewhere, in a multi too.
fn has_moved(txn: &Txn<'_>) -> bool {
    match txn {
        Txn::Error(code) => *code == ErrorCode::SessionMoved.code(),
        Txn::Multi(parts) => parts.iter().any(has_moved),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;
    use jute::proto::ReplyHeader;
    use jute::txn::{CreateTxn, TxnHeader};
    use jute::{Encode, Reader};

    use super::*;
    use crate::session::SessionTable;
    use crate::tree::TreeOptions;
    use crate::types::{EventKind, SessionId};

    const OURS: SessionId = SessionId(1);
    const CONN: ConnId = ConnId(7);

    fn origin(xid: i32) -> Option<Origin> {
        Some(Origin { conn: CONN, xid, received_ms: 0, large_bytes: 0 })
    }

    /// A transaction as it comes from a leader's log.
    fn record(zxid: i64, session: SessionId, txn: Txn<'_>) -> Bytes {
        let header =
            TxnHeader { client_id: session.0, cxid: 3, zxid, time_ms: 4, kind: txn.kind() };
        let mut w = Writer::new();
        TxnRecord { header, txn, digest: None }.encode(&mut w);
        w.into_vec().into()
    }

    fn create(path: &str) -> Txn<'_> {
        let acl = Some(Vec::new());
        let path = Cow::Borrowed(path);
        Txn::Create(CreateTxn { path, data: None, acl, ephemeral: false, parent_cversion: 1 })
    }

    fn entry(origin: Option<Origin>, op: OpCode, outcome: Outcome) -> Entry {
        Entry { origin, op, outcome }
    }

    fn txn(zxid: i64, record: Bytes, effect: SessionEffect) -> Outcome {
        Outcome::Txn { zxid: Zxid(zxid), record, effect }
    }

    fn run(entries: Vec<Entry>) -> Effects {
        let mut replica = Replica::new(TreeOptions::default());
        commit(&mut replica, &Batch { entries }, 1, &mut |_, _| {})
    }

    /// xid, zxid and error of each reply, in order.
    fn replies(effects: &Effects) -> Vec<(i32, i64, i32)> {
        let WorkerEffects { bytes, items } = &effects.workers[0];
        let frames = items.iter().filter_map(|item| match &item.effect {
            Effect::Reply { frame, .. } => Some(&bytes[frame.clone()][4..]),
            _ => None,
        });
        let header = |frame| ReplyHeader::decode(&mut Reader::new(frame)).expect("a header");
        frames.map(header).map(|h| (h.xid, h.zxid, h.err)).collect()
    }

    #[test]
    fn what_others_asked_fires_watches_and_is_answered_to_nobody() {
        let outcome = txn(1, record(1, SessionId(2), create("/a")), SessionEffect::None);
        let effects = run(vec![entry(None, OpCode::Create, outcome)]);
        assert_eq!((effects.last_zxid, effects.workers[0].items.len()), (Zxid(1), 0));
        let kinds: Vec<EventKind> = effects.fired.iter().map(|fired| fired.kind).collect();
        assert_eq!(kinds, [EventKind::NodeCreated, EventKind::NodeChildrenChanged]);
    }

    #[test]
    fn syncs_and_refusals_keep_their_places_among_transactions() {
        let refused = Outcome::Refused(ErrorCode::MarshallingError);
        let body = Bytes::from_static(b"\0\0\0\x02/a");
        let none = || SessionEffect::None;
        let effects = run(vec![
            entry(origin(1), OpCode::Sync, Outcome::Synced { body: body.clone() }),
            entry(origin(2), OpCode::Create, txn(5, record(5, OURS, create("/a")), none())),
            entry(origin(3), OpCode::Sync, Outcome::Synced { body: body.clone() }),
            entry(origin(4), OpCode::SetData, refused),
            entry(origin(5), OpCode::Sync, Outcome::Synced { body: Bytes::new() }),
        ]);
        let expected = [(1, 0, 0), (2, 5, 0), (3, 5, 0), (4, 5, -5), (5, 5, -5)];
        assert_eq!(replies(&effects), expected);
        let worker = &effects.workers[0];
        let Effect::Reply { frame, .. } = &worker.items[2].effect else { panic!("a reply") };
        assert_eq!(&worker.bytes[frame.clone()][20..], &body[..], "its path comes back");
    }

    #[test]
    fn who_writes_on_a_connection_that_its_session_has_left_hears_nothing() {
        let moved = || Txn::Error(ErrorCode::SessionMoved.code());
        for failed in [moved(), Txn::Multi(vec![Txn::Error(0), moved()])] {
            let outcome = txn(1, record(1, OURS, failed), SessionEffect::None);
            let effects = run(vec![entry(origin(1), OpCode::SetData, outcome)]);
            let items = &effects.workers[0].items;
            assert!(matches!(items[..], [Item { conn: CONN, effect: Effect::Moved { .. }, .. }]));
        }
    }

    #[test]
    fn sessions_made_and_ended_elsewhere_matter_only_to_their_connections_here() {
        let slot = SessionTable::new(1000, 1, 0).track(OURS, 6000, 0);
        let opened = SessionEffect::Opened { slot, timeout_ms: 6000 };
        let made = |session| record(1, session, Txn::CreateSession(6000));
        let ended = record(3, OURS, Txn::CloseSession(Some(Vec::new())));
        let closed = SessionEffect::Closed { conn: Some(CONN) };
        let elsewhere = SessionEffect::Closed { conn: None };
        let effects = run(vec![
            entry(None, OpCode::CreateSession, txn(1, made(SessionId(2)), SessionEffect::None)),
            entry(origin(0), OpCode::CreateSession, txn(2, made(OURS), opened)),
            entry(None, OpCode::CloseSession, txn(3, ended.clone(), closed)),
            entry(None, OpCode::CloseSession, txn(4, ended, elsewhere)),
        ]);
        let items = &effects.workers[0].items;
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(matches!(items[0].effect, Effect::Opened { new: Some((Zxid(2), 0)), .. }));
        assert!(matches!(items[1], Item { conn: CONN, effect: Effect::Close, .. }));
    }
}
