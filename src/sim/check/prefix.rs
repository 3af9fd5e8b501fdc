//! PrefixConsistency and processConsistency of the TLA+ specification: what servers serve are
//! prefixes of one sequence. A server that begins to serve has applied such a prefix, and goes on
//! along the sequence without a hole.

use std::collections::BTreeMap;

use super::{serves, Act, Check, Note, WorldView};
use crate::types::{LoggedTxn, Zxid};
use crate::zab::Role;

/// How far everybody who serves has come.
#[derive(Debug, Default)]
pub struct Prefix {
    served: BTreeMap<usize, Zxid>,
}

impl Check for Prefix {
    fn name(&self) -> &'static str {
        "prefix"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        match &note.act {
            Act::Starts { .. } | Act::Ends => {
                self.served.remove(&node);
                Ok(())
            }
            Act::Role { role, applied } if serves(*role) => {
                self.begins(view, node, *role, *applied)
            }
            Act::Role { .. } => {
                self.served.remove(&node);
                Ok(())
            }
            Act::Applies(txns) => self.applies(view, node, txns),
            _ => Ok(()),
        }
    }
}

impl Prefix {
    fn begins(
        &mut self,
        view: &WorldView<'_>,
        node: usize,
        role: Role,
        applied: Zxid,
    ) -> Result<(), String> {
        self.served.insert(node, applied);
        let (committed, sid) = (view.committed, view.nodes[node].sid.0);
        if matches!(role, Role::Leading { .. }) && applied < committed.last() {
            let last = committed.last();
            return Err(format!("{sid} leads from {applied}, but {last} was committed before"));
        }
        for record in &view.nodes[node].durable.records {
            if record.zxid > applied {
                break;
            }
            if record.zxid > committed.last() {
                continue;
            }
            match committed.find(record.zxid) {
                Some(at) if committed.txns()[at].bytes == record.bytes => {}
                Some(_) => return Err(format!("{sid} serves another {}", record.zxid)),
                None if view.nodes[node].durable.snapshot >= record.zxid => {}
                None => return Err(format!("{sid} serves {}, nobody else has", record.zxid)),
            }
        }
        Ok(())
    }

    fn applies(
        &mut self,
        view: &WorldView<'_>,
        node: usize,
        txns: &[LoggedTxn],
    ) -> Result<(), String> {
        let Some(last) = self.served.get_mut(&node) else { return Ok(()) };
        let (committed, sid) = (view.committed, view.nodes[node].sid.0);
        for txn in txns {
            let before = *last;
            *last = txn.zxid;
            if txn.zxid > committed.last() {
                if before < committed.last() {
                    let missed = committed.last();
                    return Err(format!(
                        "{sid} applies {} behind {before}, not {missed}",
                        txn.zxid
                    ));
                }
                continue;
            }
            let Some(at) = committed.find(txn.zxid) else {
                return Err(format!("{sid} applies {}, which was not committed", txn.zxid));
            };
            if committed.txns()[at].bytes != txn.bytes {
                return Err(format!("{sid} applies another {}", txn.zxid));
            }
            if at > 0 && committed.txns()[at - 1].zxid > before {
                return Err(format!("{sid} applies {} behind {before}: a hole", txn.zxid));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{leading, learning, txn, zxid, Stage, Verdict};
    use super::*;

    /// Three transactions are agreed upon, and server 1 has them in its log.
    fn agreed() -> (Stage, Prefix) {
        let mut stage = Stage::new();
        let txns = [txn(1, 1), txn(1, 2), txn(1, 3)];
        stage.committed.extend(txns.iter());
        stage.log(0, &txns);
        (stage, Prefix::default())
    }

    fn begins(role: Role, applied: Zxid) -> Verdict {
        let (mut stage, mut check) = agreed();
        stage.act(&mut check, 0, Act::Role { role, applied })
    }

    #[test]
    fn a_leader_begins_with_all_and_a_learner_with_some() {
        begins(leading(2), zxid(1, 3)).expect("all");
        begins(leading(2), zxid(1, 2)).expect_err("not all");
        begins(learning(2), zxid(1, 2)).expect("some");
    }

    #[test]
    fn nobody_serves_what_nobody_agreed_upon() {
        let role = |applied| Act::Role { role: learning(2), applied };
        let forged = LoggedTxn { bytes: Default::default(), ..txn(1, 2) };
        let (mut stage, mut check) = agreed();
        stage.nodes[0].durable.records[1] = forged.clone();
        stage.act(&mut check, 0, role(zxid(1, 3))).expect_err("another in its log");
        let (mut stage, mut check) = agreed();
        stage.act(&mut check, 0, role(zxid(1, 1))).expect("it may begin there");
        stage.act(&mut check, 0, Act::Applies(vec![forged])).expect_err("another");
    }

    #[test]
    fn nobody_leaves_one_out() {
        let (mut stage, mut check) = agreed();
        let role = Act::Role { role: learning(2), applied: zxid(1, 1) };
        stage.act(&mut check, 0, role).expect("it may begin there");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 2)])).expect("the next");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 4)])).expect_err("3 is the next");
    }
}
