//! A peer as a member, over a replica: what [`driver`](super::driver) does to zab, and clients
//! that ask for anything.

use std::sync::Arc;

use bytes::Bytes;
use jute::txn::{Txn, TxnHeader, TxnRecord};
use jute::{Decode, OpCode};

use super::driver::{new_zab, Core, Driver, Reach};
use super::events::Choices;
use crate::auth::{ip_identity, Auth};
use crate::peer::{Input, Output, Peer, PeerOptions, ReaperOptions};
use crate::pipeline::{self, Ask, Origin, PrepOptions, Request};
use crate::tree::{Replica, TreeOptions};
use crate::types::{ConnId, LoggedTxn, Now, SessionId, Zxid};
use crate::zab;

/// A member of three with clients, as the bytes will have it.
pub fn peer(bytes: &[u8]) -> Reach {
    let mut choices = Choices::new(bytes);
    let (me, zab) = new_zab(&mut choices);
    let last = zab.last_durable();
    let options = PeerOptions {
        prep: PrepOptions { close_session_lists: true, digest: true, ..PrepOptions::default() },
        reaper: ReaperOptions {
            check_interval_ms: 1_000,
            max_per_minute: 10_000,
            max_never_used_ms: 0,
        },
        tick_ms: 500,
        snap_count: 50,
        snap_bytes: 0,
        local_sessions: choices.below(2) == 0,
        eager_acl_check: choices.below(2) == 0,
        session_id_byte: 1,
        read_change: None,
        seed: 1,
    };
    let peer = Peer::member(options, Arc::new(Auth::default()), zab);
    let (replica, applied) = (Replica::new(TreeOptions::default()), Vec::new());
    let mut node = Node { peer, replica, applied, base: last };
    node.rebuild();
    Driver::new(me, node, last).run(&mut choices)
}

struct Node {
    peer: Peer,
    replica: Replica,
    /// What the replica has been told, behind the snapshot of `base`.
    applied: Vec<LoggedTxn>,
    base: Zxid,
}

fn now(now_ms: i64) -> Now {
    Now { mono_ms: now_ms, wall_ms: 1_700_000_000_000 + now_ms }
}

impl Node {
    /// A replica of a state of `base`, and what has been applied behind it.
    fn rebuild(&mut self) {
        self.replica = Replica::new(TreeOptions::default());
        let mut fired = Vec::new();
        if self.base > Zxid::ZERO {
            let txn = Txn::CreateSession(1_000);
            let (zxid, kind) = (self.base.0, txn.kind());
            let header = TxnHeader { client_id: 77, cxid: 0, zxid, time_ms: 1, kind };
            self.replica.apply(&header, &txn, &mut fired);
        }
        for txn in &self.applied {
            let record = TxnRecord::from_bytes(&txn.bytes).expect("it was applied before");
            self.replica.apply_record(&record, &mut fired);
        }
    }
}

impl Core for Node {
    fn handle(&mut self, now_ms: i64, event: zab::Event) {
        let input = match event {
            zab::Event::Timeout => Input::Timeout,
            zab::Event::Persisted { upto } => Input::Persisted { upto },
            event => Input::Zab(event),
        };
        self.peer.handle(now(now_ms), &self.replica, input);
    }

    fn poll(&mut self, now_ms: i64) -> Option<zab::Output> {
        loop {
            return Some(match self.peer.poll_output(now(now_ms), &self.replica)? {
                Output::Persist { step, upto } => zab::Output::Persist { step, upto },
                Output::Wire(output) => output,
                Output::Role(role) => zab::Output::Role(role),
                Output::TakeSnapshot => continue,
                Output::Commit { batch } => {
                    let txns: Vec<LoggedTxn> = batch.logged().collect();
                    pipeline::commit(&mut self.replica, &batch, 1, &mut |_, _| {});
                    self.applied.extend(txns.iter().cloned());
                    let zxid = self.replica.last_zxid();
                    self.peer.handle(now(now_ms), &self.replica, Input::Applied { zxid });
                    zab::Output::Committed { txns }
                }
            });
        }
    }

    fn ask(&mut self, now_ms: i64, choices: &mut Choices<'_>) {
        let op = OpCode::from_code(choices.below(24) as i32);
        let Some(op) = op.filter(|op| op.is_write() || *op == OpCode::Sync) else { return };
        let session = SessionId(choices.below(4) as i64);
        let conn = ConnId::new(0, choices.below(4) as u64);
        let ask = match choices.below(8) {
            0 => Ask::Resume { session, conn, timeout_ms: 4_000 },
            kind => {
                let op = if kind == 1 { OpCode::CreateSession } else { op };
                let origin = Origin { conn, xid: 1, received_ms: now_ms, large_bytes: 0 };
                Ask::Write(Request {
                    session,
                    origin: Some(origin),
                    cxid: 1,
                    op,
                    body: Bytes::copy_from_slice(choices.piece()),
                    identities: Arc::new([ip_identity([127, 0, 0, 1].into())]),
                    is_local: choices.below(4) == 0,
                    session_timeout_ms: 4_000,
                })
            }
        };
        self.peer.handle(now(now_ms), &self.replica, Input::Ask(ask));
    }

    fn truncated(&mut self, to: Zxid) {
        self.applied.retain(|txn| txn.zxid <= to);
        self.base = self.base.min(to);
        self.rebuild();
    }

    fn installed(&mut self, zxid: Zxid) {
        self.applied.clear();
        self.base = zxid;
        self.rebuild();
    }

    fn zab(&self) -> &zab::Zab {
        self.peer.zab().expect("a member")
    }
}
