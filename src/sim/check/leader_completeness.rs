//! leaderLogCompleteness of the TLA+ specifications (ZOOKEEPER-4643, ZOOKEEPER-4646): the disk of
//! a leader that is established holds everything that has ever been committed, and that of whoever
//! starts with a currentEpoch all that was committed before that epoch.

use std::collections::BTreeMap;

use super::{Act, Check, Note, WorldView};
use crate::types::Epoch;
use crate::zab::Role;

/// What each epoch began with.
#[derive(Debug, Default)]
pub struct LeaderCompleteness {
    /// How many transactions had been committed when its leader was established.
    began: BTreeMap<Epoch, usize>,
}

impl Check for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "leader_completeness"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let epoch = match note.act {
            Act::Role { role: Role::Leading { epoch }, .. } => epoch,
            Act::Starts { .. } => return self.has_what_its_epoch_began_with(view, node, note),
            _ => return Ok(()),
        };
        self.began.entry(epoch).or_insert(view.committed.txns().len());
        let leader = &view.nodes[node];
        if leader.is_damaged {
            // What it has lost it had; `prefix` looks at what it serves.
            return Ok(());
        }
        let (sid, ends) = (leader.sid.0, note.durable.last);
        let late = |zxid| zxid > ends;
        let txns = view.committed.txns();
        match txns.iter().find(|txn| late(txn.zxid) || !leader.durable.holds(txn)) {
            Some(missed) => Err(format!(
                "{sid} leads epoch {:#x}, and its disk, which ends at {ends}, has no {} as it was \
                 committed",
                epoch.0, missed.zxid
            )),
            None => Ok(()),
        }
    }
}

impl LeaderCompleteness {
    /// Who has a currentEpoch could lead with it: its disk holds all that was committed in earlier
    /// epochs. What an earlier epoch has left behind may be committed by a later one only.
    fn has_what_its_epoch_began_with(
        &self,
        view: &WorldView<'_>,
        node: usize,
        note: &Note,
    ) -> Result<(), String> {
        let (it, epoch) = (&view.nodes[node], note.durable.current);
        if it.is_damaged {
            return Ok(());
        }
        // Of an epoch that had no leader, nothing was committed before the next one began.
        let txns = view.committed.txns();
        let before = self.began.range(epoch..).map(|(_, count)| *count).min();
        let mut before = txns.iter().take(before.unwrap_or(txns.len()));
        match before.find(|txn| !it.durable.holds(txn)) {
            Some(missed) => Err(format!(
                "{} starts with currentEpoch {:#x}, and its disk, which ends at {}, has no {}",
                it.sid.0, epoch.0, note.durable.last, missed.zxid
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{leading, txn, zxid, Stage};
    use super::*;

    fn committed() -> Stage {
        let mut stage = Stage::new();
        stage.committed.extend([txn(1, 1), txn(1, 2)].iter());
        stage
    }

    fn leads(stage: &mut Stage) -> Result<(), String> {
        let role = Act::Role { role: leading(2), applied: zxid(1, 2) };
        stage.act(&mut LeaderCompleteness::default(), 0, role)
    }

    #[test]
    fn a_whole_log_or_a_snapshot_will_do() {
        let mut stage = committed();
        stage.log(0, &[txn(1, 1), txn(1, 2)]);
        leads(&mut stage).expect("it has all");
        let mut stage = committed();
        stage.nodes[0].durable.snapshot = zxid(1, 2);
        leads(&mut stage).expect("the snapshot has all");
    }

    #[test]
    fn a_leader_without_the_last_one_is_refused() {
        let mut stage = committed();
        stage.log(0, &[txn(1, 1)]);
        leads(&mut stage).expect_err("2 is not on its disk, whatever it has applied");
    }

    /// Server 1 has the first of epoch 1 only; the leader of epoch 3 has both.
    fn starts(first: &[u32], then: &[u32], current: u32) -> Result<(), String> {
        let (mut stage, mut check) = (Stage::new(), LeaderCompleteness::default());
        stage.log(0, &[txn(1, 1)]);
        stage.log(1, &[txn(1, 1), txn(1, 2)]);
        let mut establish = |stage: &mut Stage, epochs: &[u32]| {
            for epoch in epochs {
                let role = Act::Role { role: leading(*epoch), applied: zxid(1, 2) };
                stage.act(&mut check, 1, role).expect("it has both");
            }
        };
        establish(&mut stage, first);
        stage.committed.extend([txn(1, 1), txn(1, 2)].iter());
        establish(&mut stage, then);
        stage.nodes[0].durable.current = Epoch(current);
        stage.act(&mut check, 0, Act::Starts { applied: zxid(1, 1) })
    }

    #[test]
    fn an_epoch_on_disk_is_behind_its_history() {
        starts(&[1], &[], 1).expect("it may lack the last of its epoch");
        starts(&[1], &[], 2).expect_err("epoch 2 began behind 2 (ZOOKEEPER-4643)");
        starts(&[1], &[2], 2).expect_err("the same, and somebody else was its leader");
        starts(&[1], &[3], 2).expect_err("epoch 2 would have begun behind 2");
    }

    #[test]
    fn what_a_later_epoch_has_committed_may_be_missing() {
        starts(&[1, 3], &[], 2).expect("2 was committed by the leader of epoch 3");
        starts(&[1, 3], &[], 3).expect("the same");
        starts(&[1, 3], &[], 4).expect_err("epoch 3 came before");
    }

    #[test]
    fn a_leader_with_another_one_is_refused() {
        let mut stage = committed();
        let forged = crate::types::LoggedTxn { bytes: Default::default(), ..txn(1, 1) };
        stage.log(0, &[forged, txn(1, 2)]);
        leads(&mut stage).expect_err("other bytes");
    }
}
