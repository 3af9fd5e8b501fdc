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
            Act::Sends { .. } | Act::Says { .. } => Ok(()),
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
