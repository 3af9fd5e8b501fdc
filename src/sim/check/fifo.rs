//! Promise P3, while it happens: a session's changes are in the order of its requests, and so are
//! the replies over each connection. What else there is to say of it (no holes, nothing done
//! twice, what a session sees never gets older) the judge of histories says: it knows what was
//! asked (`history::replay`).

use std::collections::BTreeMap;

use jute::txn::{Txn, TxnRecord};
use jute::Decode;

use super::{is_nothing, serves, Act, Check, Note, WorldView};
use crate::sim::history::{Op, Record};
use crate::types::{LoggedTxn, Zxid};

/// The last of each session and of each connection.
#[derive(Debug, Default)]
pub struct Fifo {
    seen: Zxid,
    done: BTreeMap<i64, i32>,
    answered: BTreeMap<u32, i32>,
}

impl Check for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        // A new leader's history is agreed upon without being applied before everybody's eyes.
        let txns = view.committed.txns();
        let from = txns.partition_point(|txn| txn.zxid <= self.seen);
        txns[from..].iter().try_for_each(|txn| self.does(txn))?;
        match &note.act {
            Act::Applies(txns) if serves(view.nodes[node].role) => {
                txns.iter().try_for_each(|txn| self.does(txn))
            }
            Act::Client(lived) => match &lived.record {
                Record::Op(op) if op.answer().is_some() => self.answers(op),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Fifo {
    fn does(&mut self, txn: &LoggedTxn) -> Result<(), String> {
        if txn.zxid <= self.seen {
            return Ok(());
        }
        self.seen = txn.zxid;
        let Ok(TxnRecord { header, txn: what, .. }) = TxnRecord::from_bytes(&txn.bytes) else {
            return Err(format!("{} can't be read", txn.zxid));
        };
        // A number for nothing may come at any time: its session may have moved on.
        if header.cxid == 0 || is_nothing(&what) || matches!(what, Txn::CreateSession(_)) {
            return Ok(());
        }
        let session = header.client_id;
        let last = self.done.insert(session, header.cxid).unwrap_or(0);
        if header.cxid <= last {
            return Err(format!(
                "{} does request {} of session {session:#x} behind {last}",
                txn.zxid, header.cxid
            ));
        }
        Ok(())
    }

    fn answers(&mut self, op: &Op) -> Result<(), String> {
        // Pings and setWatches have no numbers of their own.
        if op.cxid <= 0 {
            return Ok(());
        }
        let last = self.answered.insert(op.conn, op.cxid).unwrap_or(0);
        if op.cxid <= last {
            return Err(format!("connection {}: {op} is answered behind {last}", op.conn));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{learning, record, told, zxid, Stage};
    use super::*;

    fn applies(counter: u32, cxid: i32, txn: Txn<'_>) -> Act {
        Act::Applies(vec![record(zxid(1, counter), 5, cxid, txn)])
    }

    fn delete() -> Txn<'static> {
        Txn::Delete(jute::txn::DeleteTxn { path: "/a".into() })
    }

    #[test]
    fn changes_are_in_the_order_of_requests() {
        let (mut stage, mut check) = (Stage::new(), Fifo::default());
        let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may follow");
        stage.act(&mut check, 0, applies(1, 4, delete())).expect("the first");
        stage.act(&mut check, 0, applies(2, 3, Txn::Error(-118))).expect("it does nothing");
        stage.act(&mut check, 0, applies(3, 3, delete())).expect_err("3 behind 4");
    }

    #[test]
    fn replies_are_in_the_order_of_requests() {
        let (mut stage, mut check) = (Stage::new(), Fifo::default());
        stage.act(&mut check, 0, told(2, zxid(1, 1), true)).expect("the first");
        stage.act(&mut check, 0, told(-2, zxid(1, 1), false)).expect("a ping");
        stage.act(&mut check, 0, told(1, zxid(1, 1), false)).expect_err("1 behind 2");
    }
}
