//! Promise P7, for runs in which more disks are damaged than a quorum can bear: refusing is fine,
//! wrong data is not. Whatever is served under a number is what was served under it before, and a
//! leader that serves at all has everything that clients were told of.

use std::collections::BTreeMap;

use super::{serves, Act, Check, Note, WorldView};
use crate::sim::durable::hash;
use crate::sim::history::Record;
use crate::types::{LoggedTxn, Zxid};
use crate::zab::Role;

/// What was served, and told.
#[derive(Debug, Default)]
pub struct NoLies {
    served: BTreeMap<Zxid, u64>,
    told: Zxid,
}

impl Check for NoLies {
    fn name(&self) -> &'static str {
        "no_lies"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let it = &view.nodes[node];
        let told = match &note.act {
            Act::Role { role: Role::Leading { .. }, applied } if *applied < self.told => {
                Err(format!("leads from {applied}, and clients were told of {}", self.told))
            }
            Act::Applies(txns) if serves(it.role) => {
                txns.iter().try_for_each(|txn| self.serve(txn))
            }
            Act::Client(lived) => {
                let zxid = match &lived.record {
                    Record::Op(op) => op.answer().map_or(0, |answer| answer.zxid),
                    Record::Event(event) => event.zxid,
                    _ => 0,
                };
                // Where an epoch begins there is no transaction.
                if Zxid(zxid).counter() != 0 {
                    self.told = self.told.max(Zxid(zxid));
                }
                Ok(())
            }
            _ => Ok(()),
        };
        told.map_err(|what| format!("{} {what}", it.sid.0))
    }
}

impl NoLies {
    fn serve(&mut self, txn: &LoggedTxn) -> Result<(), String> {
        let hash = hash(&txn.bytes);
        match self.served.insert(txn.zxid, hash) {
            Some(before) if before != hash => Err(format!("serves another {}", txn.zxid)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{event, leading, learning, told, txn, zxid, Stage};
    use super::*;

    #[test]
    fn refusing_is_fine_and_forgetting_is_not() {
        let (mut stage, mut check) = (Stage::new(), NoLies::default());
        stage.act(&mut check, 0, told(1, zxid(1, 2), true)).expect("told");
        stage.act(&mut check, 0, event(zxid(1, 3))).expect("shown");
        stage.act(&mut check, 0, Act::Ends).expect("it may refuse");
        let role = |counter| Act::Role { role: leading(2), applied: zxid(1, counter) };
        stage.act(&mut check, 1, role(3)).expect("it has all of it");
        stage.act(&mut check, 1, role(2)).expect_err("it has forgotten 3");
    }

    #[test]
    fn another_transaction_under_the_same_number_is_a_lie() {
        let (mut stage, mut check) = (Stage::new(), NoLies::default());
        for node in 0..2 {
            let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
            stage.act(&mut check, node, role).expect("they may serve");
        }
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 1)])).expect("the first");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect("the same");
        let forged = LoggedTxn { bytes: bytes::Bytes::from_static(b"x"), ..txn(1, 1) };
        stage.act(&mut check, 1, Act::Applies(vec![forged])).expect_err("a lie");
    }
}
