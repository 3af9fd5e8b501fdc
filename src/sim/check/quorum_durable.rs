//! CommittedOnQuorum (promise P1): at the instant at which somebody serves a transaction, the
//! disks of a quorum hold it for certain. The disks are asked, not the servers.

use std::collections::BTreeSet;

use super::{serves, Act, Check, Note, WorldView};
use crate::types::{LoggedTxn, Sid, Zxid};

/// How far it has been looked at.
#[derive(Debug, Default)]
pub struct QuorumDurable {
    seen: Zxid,
}

impl Check for QuorumDurable {
    fn name(&self) -> &'static str {
        "quorum_durable"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let Act::Applies(txns) = &note.act else { return Ok(()) };
        if !serves(view.nodes[node].role) {
            return Ok(());
        }
        for txn in txns {
            if txn.zxid > self.seen {
                self.seen = txn.zxid;
                held_by_quorum(view, node, note, txn)?;
            }
        }
        Ok(())
    }
}

fn held_by_quorum(
    view: &WorldView<'_>,
    node: usize,
    note: &Note,
    txn: &LoggedTxn,
) -> Result<(), String> {
    let holders = view.nodes.iter().enumerate().filter(|(index, other)| {
        // The server itself may have synced since.
        let in_time = *index != node || note.durable.last >= txn.zxid;
        // What was flipped was whole before: it was not this that was lost.
        other.is_voter && (other.is_damaged || (in_time && other.durable.holds(txn)))
    });
    let holders: BTreeSet<Sid> = holders.map(|(_, other)| other.sid).collect();
    if view.membership.is_quorum(&holders) {
        return Ok(());
    }
    let holders: Vec<i64> = holders.iter().map(|sid| sid.0).collect();
    let sid = view.nodes[node].sid.0;
    Err(format!("{sid} serves {}, which only {holders:?} have on disk", txn.zxid))
}

#[cfg(test)]
mod tests {
    use super::super::stage::{learning, txn, Stage};
    use super::*;

    fn applied(holders: &[usize]) -> Result<(), String> {
        let (mut stage, mut check) = (Stage::new(), QuorumDurable::default());
        let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may follow");
        holders.iter().for_each(|node| stage.log(*node, &[txn(1, 1)]));
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 1)]))
    }

    #[test]
    fn a_quorum_has_it_or_nobody_serves_it() {
        applied(&[0, 2]).expect("two of three");
        applied(&[0]).expect_err("one of three");
        applied(&[]).expect_err("nobody");
    }

    #[test]
    fn other_bytes_do_not_count() {
        let (mut stage, mut check) = (Stage::new(), QuorumDurable::default());
        let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may follow");
        stage.log(0, &[txn(1, 1)]);
        stage.log(1, &[LoggedTxn { bytes: Default::default(), ..txn(1, 1) }]);
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 1)])).expect_err("another");
    }
}
