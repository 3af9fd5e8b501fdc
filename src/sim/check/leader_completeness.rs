//! leaderLogCompleteness of the TLA+ specifications (ZOOKEEPER-4643, ZOOKEEPER-4646): the disk of
//! a leader that is established holds everything that has ever been committed, and that of whoever
//! starts with a currentEpoch all that was committed before that epoch.

use super::{Act, Check, Note, WorldView};
use crate::zab::Role;

/// Needs no memory.
#[derive(Debug, Default)]
pub struct LeaderCompleteness;

impl Check for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "leader_completeness"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let epoch = match note.act {
            Act::Role { role: Role::Leading { epoch }, .. } => epoch,
            Act::Starts { .. } => return has_what_its_epoch_began_with(view, node, note),
            _ => return Ok(()),
        };
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

/// Who has a currentEpoch could lead with it: its disk holds all that was committed before.
fn has_what_its_epoch_began_with(
    view: &WorldView<'_>,
    node: usize,
    note: &Note,
) -> Result<(), String> {
    let (it, epoch) = (&view.nodes[node], note.durable.current);
    if it.is_damaged {
        return Ok(());
    }
    let mut before = view.committed.txns().iter().take_while(|txn| txn.zxid.epoch() < epoch);
    match before.find(|txn| !it.durable.holds(txn)) {
        Some(missed) => Err(format!(
            "{} starts with currentEpoch {:#x}, and its disk, which ends at {}, has no {}",
            it.sid.0, epoch.0, note.durable.last, missed.zxid
        )),
        None => Ok(()),
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
        stage.act(&mut LeaderCompleteness, 0, role)
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

    #[test]
    fn an_epoch_on_disk_is_behind_its_history() {
        let starts = |epoch| {
            let mut stage = committed();
            stage.log(0, &[txn(1, 1)]);
            stage.nodes[0].durable.current = crate::types::Epoch(epoch);
            stage.act(&mut LeaderCompleteness, 0, Act::Starts { applied: zxid(1, 1) })
        };
        starts(1).expect("it may lack the last of its epoch");
        starts(2).expect_err("epoch 2 began behind 2 (ZOOKEEPER-4643)");
    }

    #[test]
    fn a_leader_with_another_one_is_refused() {
        let mut stage = committed();
        let forged = crate::types::LoggedTxn { bytes: Default::default(), ..txn(1, 1) };
        stage.log(0, &[forged, txn(1, 2)]);
        leads(&mut stage).expect_err("other bytes");
    }
}
