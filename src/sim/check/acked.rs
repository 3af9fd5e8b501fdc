//! Promise P4: what a client was told, as the author of a change or as somebody who sees it, is
//! agreed upon at that instant, and is there for ever. At the end every disk must hold it, and
//! every tree must be what a plain model makes of the sequence that was agreed upon.

use std::collections::{BTreeMap, BTreeSet};

use jute::txn::TxnRecord;
use jute::Decode;

use super::{walk, Act, Check, Note, WorldView};
use crate::sim::history::model::{changes_of, Model, When};
use crate::sim::history::{Op, Record, Reply, Request};
use crate::tree::Replica;
use crate::types::{LoggedTxn, Zxid};

/// The last that anybody was told of.
#[derive(Debug, Default)]
pub struct Acked {
    told: Zxid,
    /// Each acknowledged write: its session and its cxid.
    writes: BTreeMap<Zxid, (i64, i32)>,
}

impl Check for Acked {
    fn name(&self) -> &'static str {
        "acked"
    }

    fn after(&mut self, view: &WorldView<'_>, _node: usize, note: &Note) -> Result<(), String> {
        let Act::Client(lived) = &note.act else { return Ok(()) };
        match &lived.record {
            Record::Op(op) => self.answered(view, lived.session, op),
            Record::Event(event) => self.shown(view, Zxid(event.zxid), &"an event"),
            _ => Ok(()),
        }
    }

    fn at_end(&mut self, view: &WorldView<'_>) -> Result<(), String> {
        let txns = view.committed.txns();
        for node in view.nodes.iter().filter(|node| !node.is_damaged) {
            let sid = node.sid.0;
            if let Some(lost) = txns.iter().find(|txn| !node.durable.holds(txn)) {
                return Err(format!("{sid} has no {} on its disk at the end", lost.zxid));
            }
        }
        for (zxid, key) in &self.writes {
            let found = view.committed.find(*zxid).and_then(|at| key_of(&txns[at]));
            if found != Some(*key) {
                return Err(format!("{zxid} was acknowledged and is not there at the end"));
            }
        }
        let model = replayed(txns)?;
        for node in view.nodes {
            if let Some(replica) = node.replica {
                is_as(replica, &model).map_err(|what| format!("{} {what}", node.sid.0))?;
            }
        }
        Ok(())
    }
}

impl Acked {
    fn answered(&mut self, view: &WorldView<'_>, session: i64, op: &Op) -> Result<(), String> {
        let Some(answer) = op.answer() else { return Ok(()) };
        let zxid = Zxid(answer.zxid);
        self.shown(view, zxid, &op)?;
        if !op.request.is_write() || answer.error != 0 {
            return Ok(());
        }
        let key = (session, op.cxid);
        let found = view.committed.find(zxid).and_then(|at| key_of(&view.committed.txns()[at]));
        if found != Some(key) {
            return Err(format!("{zxid} is not its transaction: {op}"));
        }
        self.writes.insert(zxid, key);
        Ok(())
    }

    fn shown(
        &mut self,
        view: &WorldView<'_>,
        zxid: Zxid,
        what: &dyn std::fmt::Display,
    ) -> Result<(), String> {
        self.told = self.told.max(zxid);
        let last = view.committed.last();
        // Where an epoch begins there is no transaction; a reply may say so all the same.
        if zxid > last && zxid.counter() != 0 {
            return Err(format!("a client was told of {zxid}, agreed upon is {last}: {what}"));
        }
        Ok(())
    }
}

/// Whose request made it.
fn key_of(txn: &LoggedTxn) -> Option<(i64, i32)> {
    let header = TxnRecord::from_bytes(&txn.bytes).ok()?.header;
    Some((header.client_id, header.cxid))
}

fn replayed(txns: &[LoggedTxn]) -> Result<Model, String> {
    let mut model = Model::new();
    for txn in txns {
        let zxid = txn.zxid;
        let record = TxnRecord::from_bytes(&txn.bytes).map_err(|e| format!("{zxid}: {e}"))?;
        let when = When { zxid: zxid.0, wall_ms: record.header.time_ms };
        let Some(Ok(changes)) = changes_of(record.header.client_id, &record.txn) else { continue };
        for change in &changes {
            model.apply(change, when).map_err(|what| format!("{zxid}: {what}"))?;
        }
    }
    Ok(model)
}

/// What is below /zookeeper is each member's own.
fn is_as(replica: &Replica, model: &Model) -> Result<(), String> {
    let mut due_paths = BTreeSet::new();
    for path in model.paths().filter(|path| !path.starts_with("/zookeeper")) {
        due_paths.insert(path.to_owned());
        let request = Request::GetData { path: path.to_owned(), watch: false };
        let due = model.read(&request).and_then(Result::ok).expect("it is one of its paths");
        let data = |data: &[u8]| data.to_vec();
        let found =
            replica.get(path).map(|znode| Reply::Data(znode.data().map(data), znode.stat()));
        match found {
            Some(found) if found == due => {}
            Some(found) => {
                return Err(format!("has {path} as {found} at the end, due is {due}"));
            }
            None => return Err(format!("has no {path} at the end, due is {due}")),
        }
    }
    let own = |(path, _): &(String, _)| !path.starts_with("/zookeeper");
    match walk(replica).find(|found| own(found) && !due_paths.contains(&found.0)) {
        Some((path, _)) => Err(format!("has {path} at the end, which is not due")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{create, event, told, txn, zxid, Stage};
    use super::*;
    use crate::tree::TreeOptions;

    fn grown(txns: &[LoggedTxn]) -> Replica {
        let mut replica = Replica::new(TreeOptions::default());
        for txn in txns {
            replica.replay(&TxnRecord::from_bytes(&txn.bytes).expect("just written"));
        }
        replica
    }

    /// Session 5 has made two znodes, and everybody has them.
    fn agreed() -> (Stage, Acked) {
        let mut stage = Stage::new();
        let txns = [create(zxid(1, 1), "/a", false), create(zxid(1, 2), "/b", true)];
        stage.committed.extend(txns.iter());
        for node in 0..3 {
            stage.log(node, &txns);
            stage.nodes[node].replica = Some(grown(&txns));
        }
        (stage, Acked::default())
    }

    #[test]
    fn what_was_told_and_is_there_is_fine() {
        let (mut stage, mut check) = agreed();
        stage.act(&mut check, 0, told(2, zxid(1, 2), true)).expect("it is the second");
        stage.act(&mut check, 0, told(3, zxid(1, 1), false)).expect("a read");
        stage.end(&mut check).expect("all is there");
    }

    #[test]
    fn what_is_not_agreed_upon_is_not_told() {
        let (mut stage, mut check) = agreed();
        stage.act(&mut check, 0, told(3, zxid(1, 3), false)).expect_err("a read of the future");
        stage.act(&mut check, 0, event(zxid(1, 3))).expect_err("an event of the future");
        stage.act(&mut check, 0, told(1, zxid(1, 2), true)).expect_err("another's");
    }

    #[test]
    fn what_is_lost_is_missed() {
        let (mut stage, mut check) = agreed();
        stage.nodes[1].durable.records.pop();
        stage.end(&mut check).expect_err("the disk has it no more");
        let (mut stage, mut check) = agreed();
        stage.act(&mut check, 0, told(2, zxid(1, 2), true)).expect("it is the second");
        stage.committed = Default::default();
        stage.end(&mut check).expect_err("nobody has it");
    }

    #[test]
    fn a_tree_that_is_another_is_refused() {
        let (mut stage, mut check) = agreed();
        stage.nodes[2].replica = Some(grown(&stage.committed.txns()[..1]));
        stage.end(&mut check).expect_err("/b is missing");
        let more = [stage.committed.txns(), &[create(zxid(1, 3), "/c", false)]].concat();
        stage.nodes[2].replica = Some(grown(&more));
        stage.end(&mut check).expect_err("/c is too much");
        let other = [txn(1, 1), create(zxid(1, 2), "/b", true)];
        stage.nodes[2].replica = Some(grown(&other));
        stage.end(&mut check).expect_err("another in the place of /a");
    }
}
