//! What stands in front of what on one server, as every description of the protocol takes for
//! granted: purged <= snapshot <= applied <= committed; applied <= logged; currentEpoch <=
//! acceptedEpoch; each counter below the end of its epoch (ZOOKEEPER-1277). (acked <= durable is
//! `ack_durable`.)

use std::collections::BTreeMap;

use jute::quorum::PacketType;

use super::{serves, Act, Check, Note, Said, WorldView};
use crate::types::Zxid;
use crate::zab::Role;

/// How far every replica is, and how far every server may go.
#[derive(Debug, Default)]
pub struct Ordering {
    applied: BTreeMap<usize, Zxid>,
    /// The last that its leader has told each server, or that it has told others, to be committed.
    committed: BTreeMap<usize, Zxid>,
}

impl Check for Ordering {
    fn name(&self) -> &'static str {
        "ordering"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let told = self.take(view, node, note).and_then(|()| self.on_disk(view, node, note));
        told.map_err(|what| format!("{} {what}", view.nodes[node].sid.0))
    }

    fn at_rest(&mut self, view: &WorldView<'_>, node: usize) -> Result<(), String> {
        let it = &view.nodes[node];
        let ends = it.durable.summary().last;
        match it.claims.filter(|claims| *claims > ends && !it.is_damaged) {
            Some(claims) => {
                Err(format!("{} takes {claims} for durable, and its disk ends at {ends}", it.sid.0))
            }
            None => Ok(()),
        }
    }
}

impl Ordering {
    fn take(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let role = view.nodes[node].role;
        match &note.act {
            Act::Starts { .. } | Act::Ends => {
                self.applied.remove(&node);
                self.committed.remove(&node);
            }
            Act::Role { role, applied } if serves(*role) => {
                self.applied.insert(node, *applied);
                let committed = self.committed.entry(node).or_default();
                *committed = (*committed).max(*applied);
            }
            Act::Role { .. } => {
                self.applied.remove(&node);
                self.committed.remove(&node);
            }
            Act::Hears { dialled: true, packets, .. } => {
                if let Some(last) = packets.iter().rev().find(|packet| commits(packet)) {
                    self.committed.insert(node, last.zxid);
                }
            }
            Act::Applies(txns) if serves(role) => {
                let Some(last) = txns.last() else { return Ok(()) };
                let zxid = last.zxid;
                self.applied.insert(node, zxid);
                let committed = self.committed.get(&node).copied().unwrap_or_default();
                if matches!(role, Role::Learning { .. }) && zxid > committed {
                    return Err(format!("applies {zxid}, told of no commit behind {committed}"));
                }
                if zxid > note.durable.last && !view.nodes[node].is_damaged {
                    let ends = note.durable.last;
                    return Err(format!("applies {zxid}, and its disk ends at {ends}"));
                }
            }
            Act::Says { dialled: false, packets, .. } => {
                let proposal = |packet: &&Said| packet.kind == Some(PacketType::Proposal);
                let mut zxids = packets.iter().filter(proposal).map(|packet| packet.zxid);
                if let Some(beyond) = zxids.find(|zxid| zxid.counter() >= view.last_counter) {
                    return Err(format!("proposes {beyond}, where its epoch has ended"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_disk(&self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let it = &view.nodes[node];
        if it.is_damaged {
            return Ok(());
        }
        let (accepted, current) = (note.durable.accepted, note.durable.current);
        if current > accepted {
            let (accepted, current) = (accepted.0, current.0);
            return Err(format!("has currentEpoch {current:#x}, acceptedEpoch {accepted:#x}"));
        }
        let Some(applied) = self.applied.get(&node).filter(|_| serves(it.role)) else {
            return Ok(());
        };
        let snapshot = it.durable.snapshot;
        // The disk is seen behind the step: only what it leaves to be applied later is too new.
        let seen = it.replica.map_or(*applied, |replica| replica.last_zxid().max(*applied));
        if snapshot > seen {
            return Err(format!("has a snapshot of {snapshot}, and has applied {applied}"));
        }
        let first = it.durable.records.first().map(|txn| txn.zxid);
        let txns = view.committed.txns();
        let at = txns.partition_point(|txn| first.is_none_or(|first| txn.zxid < first));
        match at.checked_sub(1).map(|at| txns[at].zxid) {
            // It may not have come so far.
            Some(purged) if purged > snapshot && purged <= *applied => {
                Err(format!("has no log of {purged}, and its newest snapshot is of {snapshot}"))
            }
            _ => Ok(()),
        }
    }
}

fn commits(packet: &Said) -> bool {
    use PacketType::{Commit, CommitAndActivate, Inform, InformAndActivate};
    matches!(packet.kind, Some(Commit | CommitAndActivate | Inform | InformAndActivate))
}

#[cfg(test)]
mod tests {
    use super::super::stage::{hears, leading, learning, said, says, txn, zxid, Stage};
    use super::*;
    use crate::types::Epoch;

    /// Server 1 follows from the beginning, with two transactions in its log.
    fn following() -> (Stage, Ordering) {
        let (mut stage, mut check) = (Stage::new(), Ordering::default());
        stage.log(0, &[txn(1, 1), txn(1, 2)]);
        let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may follow");
        (stage, check)
    }

    fn commit(counter: u32) -> Act {
        hears(true, vec![said(PacketType::Commit, zxid(1, counter))])
    }

    #[test]
    fn committed_comes_before_applied() {
        let (mut stage, mut check) = following();
        stage.act(&mut check, 0, commit(1)).expect("hears of it");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 1)])).expect("committed");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 2)])).expect_err("not yet");
    }

    #[test]
    fn logged_comes_before_applied() {
        let (mut stage, mut check) = following();
        stage.act(&mut check, 0, commit(3)).expect("hears of it");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 3)])).expect_err("not in its log");
        let role = Act::Role { role: leading(1), applied: Zxid::ZERO };
        stage.act(&mut check, 1, role).expect("it may lead");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect_err("nor the leader's");
    }

    #[test]
    fn nobody_takes_more_for_durable_than_is() {
        let (mut stage, mut check) = following();
        stage.nodes[0].claims = Some(zxid(1, 2));
        stage.rest(&mut check, 0).expect("its log ends there");
        stage.nodes[0].claims = Some(zxid(1, 3));
        stage.rest(&mut check, 0).expect_err("cut off (ZOOKEEPER-5094)");
    }

    #[test]
    fn an_epoch_ends_before_its_counter_does() {
        let (mut stage, mut check) = following();
        let proposes = |counter| says(false, vec![said(PacketType::Proposal, zxid(1, counter))]);
        stage.act(&mut check, 0, proposes(49)).expect("the last");
        stage.act(&mut check, 0, proposes(50)).expect_err("ZOOKEEPER-1277");
    }

    #[test]
    fn a_snapshot_is_of_what_was_applied() {
        let (mut stage, mut check) = following();
        stage.nodes[0].durable.snapshot = zxid(1, 1);
        stage.act(&mut check, 0, commit(1)).expect_err("a snapshot of what is to come");
    }

    #[test]
    fn what_is_purged_is_in_a_snapshot() {
        let (mut stage, mut check) = following();
        stage.act(&mut check, 0, commit(2)).expect("hears of it");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 1), txn(1, 2)])).expect("committed");
        stage.nodes[0].durable.records.remove(0);
        stage.act(&mut check, 0, commit(2)).expect_err("1 is nowhere");
        stage.nodes[0].durable.snapshot = zxid(1, 1);
        stage.act(&mut check, 0, commit(2)).expect("1 is in the snapshot");
    }

    #[test]
    fn an_epoch_is_promised_before_it_is_joined() {
        let (mut stage, mut check) = following();
        stage.nodes[0].durable.current = Epoch(2);
        stage.nodes[0].durable.accepted = Epoch(1);
        stage.act(&mut check, 0, Act::Ends).expect_err("2 was never promised");
    }
}
