//! leaderLogCompleteness of the TLA+ specifications (ZOOKEEPER-4643, ZOOKEEPER-4646): the disk of
//! a leader that is established holds everything that has ever been committed, and that of whoever
//! starts with a currentEpoch all that was committed in front of that epoch.

use std::collections::BTreeMap;

use super::{Act, Check, Note, WorldView};
use crate::types::{Epoch, Zxid};
use crate::zab::Role;

/// Remembers what had been committed when epochs began.
#[derive(Debug, Default)]
pub struct LeaderCompleteness {
    /// The last transaction that was committed when a leader of this epoch was established.
    ends_before: BTreeMap<Epoch, Zxid>,
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
        self.ends_before.entry(epoch).or_insert(view.committed.last());
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
    /// Who has a currentEpoch could lead with it: its disk holds all that was committed before.
    ///
    /// A transaction's own epoch does not say when it was committed: the leader of a later one may
    /// bring what only its disk had. So who saved an epoch in between, which nobody established,
    /// need not have it.
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
        let upto = self.ends_before.range(epoch..).map(|(_, ends)| *ends).min();
        let upto = upto.unwrap_or(view.committed.last());
        let mut before = view.committed.txns().iter().take_while(|txn| txn.zxid <= upto);
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

    /// Server 2 starts with this epoch and 1 alone on its disk.
    fn starts(stage: &mut Stage, check: &mut LeaderCompleteness, epoch: u32) -> Result<(), String> {
        stage.nodes[1].durable.records = vec![txn(1, 1)];
        stage.nodes[1].durable.current = Epoch(epoch);
        stage.act(check, 1, Act::Starts { applied: zxid(1, 1) })
    }

    #[test]
    fn an_epoch_on_disk_is_behind_its_history() {
        let (mut stage, mut check) = (Stage::new(), LeaderCompleteness::default());
        let mut leads = |stage: &mut Stage, epoch, applied| {
            let role = Act::Role { role: leading(epoch), applied };
            stage.act(&mut check, 0, role).expect("it has all");
        };
        leads(&mut stage, 1, Zxid::ZERO);
        stage.log(0, &[txn(1, 1), txn(1, 2)]);
        stage.committed.extend([txn(1, 1), txn(1, 2)].iter());
        leads(&mut stage, 3, zxid(1, 2));
        starts(&mut stage, &mut check, 1).expect("it may lack the last of its epoch");
        let broken = "the epoch began behind 2 (ZOOKEEPER-4643)";
        starts(&mut stage, &mut check, 2).expect_err(broken);
        starts(&mut stage, &mut check, 3).expect_err(broken);
        starts(&mut stage, &mut check, 4).expect_err(broken);
    }

    #[test]
    fn what_a_later_epoch_brought_may_be_missing() {
        let (mut stage, mut check) = (Stage::new(), LeaderCompleteness::default());
        stage.committed.extend([txn(1, 1)].iter());
        stage.log(0, &[txn(1, 1), txn(1, 2)]);
        let role = Act::Role { role: leading(3), applied: zxid(1, 2) };
        stage.act(&mut check, 0, role).expect("it has all");
        stage.committed.extend([txn(1, 2)].iter());
        starts(&mut stage, &mut check, 2).expect("nobody led epoch 2, and 3 committed the last");
        starts(&mut stage, &mut check, 3).expect("it is committed behind the beginning of 3");
        starts(&mut stage, &mut check, 4).expect_err("it is in front of 4");
    }

    #[test]
    fn a_leader_with_another_one_is_refused() {
        let mut stage = committed();
        let forged = crate::types::LoggedTxn { bytes: Default::default(), ..txn(1, 1) };
        stage.log(0, &[forged, txn(1, 2)]);
        leads(&mut stage).expect_err("other bytes");
    }
}
