//! TotalOrder of the TLA+ specification and of the Zab paper: whoever delivers two transactions
//! delivers them in the same order as everybody. Since agreement leaves no holes, that is: behind
//! each one everybody delivers the same next one, with the same bytes.

use std::collections::BTreeMap;

use super::{serves, Act, Check, Note, WorldView};
use crate::sim::durable::hash;
use crate::types::{LoggedTxn, Zxid};

/// A transaction's number and the hash of its bytes.
type Name = (Zxid, u64);

/// Who stands next to whom.
#[derive(Debug, Default)]
pub struct TotalOrder {
    next: BTreeMap<Zxid, Name>,
    before: BTreeMap<Zxid, Zxid>,
    /// The last of everybody who serves; `None` where an epoch began, which is no transaction.
    last: BTreeMap<usize, Option<Zxid>>,
}

impl Check for TotalOrder {
    fn name(&self) -> &'static str {
        "total_order"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        match &note.act {
            Act::Role { role, applied } if serves(*role) => {
                let is_txn = applied.counter() != 0 || *applied == Zxid::ZERO;
                self.last.insert(node, is_txn.then_some(*applied));
            }
            Act::Role { .. } | Act::Starts { .. } | Act::Ends => {
                self.last.remove(&node);
            }
            Act::Applies(txns) => {
                // Who does not serve tells its history, which a new leader may cut off.
                let Some(mut last) = self.last.get(&node).copied() else { return Ok(()) };
                self.last.insert(node, txns.last().map(|txn| txn.zxid));
                for txn in txns {
                    if let Some(before) = last.replace(txn.zxid) {
                        let sid = view.nodes[node].sid.0;
                        self.steps(before, txn).map_err(|what| format!("{sid} {what}"))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl TotalOrder {
    fn steps(&mut self, last: Zxid, txn: &LoggedTxn) -> Result<(), String> {
        let name = (txn.zxid, hash(&txn.bytes));
        let next = *self.next.entry(last).or_insert(name);
        if next.0 != name.0 {
            return Err(format!("delivers {} behind {last}, others {}", name.0, next.0));
        }
        if next != name {
            return Err(format!("delivers {} behind {last} with other bytes", name.0));
        }
        let before = *self.before.entry(txn.zxid).or_insert(last);
        if before != last || last >= txn.zxid {
            return Err(format!("delivers {} behind {last}, others behind {before}", txn.zxid));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{learning, txn, Stage};
    use super::*;

    fn serving() -> (Stage, TotalOrder) {
        let (mut stage, mut check) = Stage::serving();
        let all = vec![txn(1, 1), txn(1, 2), txn(1, 3)];
        stage.act(&mut check, 0, Act::Applies(all)).expect("the first");
        (stage, check)
    }

    #[test]
    fn the_same_order_is_fine() {
        let (mut stage, mut check) = serving();
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect("first");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect("second");
    }

    #[test]
    fn another_order_is_refused() {
        let (mut stage, mut check) = serving();
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect_err("1 comes first");
        let (mut stage, mut check) = serving();
        let again = vec![txn(1, 1), txn(1, 1)];
        stage.act(&mut check, 1, Act::Applies(again)).expect_err("twice");
        let (mut stage, mut check) = serving();
        let role = Act::Role { role: learning(1), applied: txn(1, 1).zxid };
        stage.act(&mut check, 1, role).expect("begins behind 1");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 3)])).expect_err("2 comes next");
    }

    #[test]
    fn other_bytes_are_refused() {
        let (mut stage, mut check) = serving();
        let forged = LoggedTxn { bytes: bytes::Bytes::from_static(b"x"), ..txn(1, 1) };
        stage.act(&mut check, 1, Act::Applies(vec![forged])).expect_err("other bytes");
    }
}
