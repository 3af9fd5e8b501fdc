//! Agreement of the TLA+ specification and of the Zab paper: of two servers that have delivered,
//! one has delivered all that the other has. Whoever has come further has left nothing out.

use std::collections::{BTreeMap, BTreeSet};

use super::{serves, Act, Check, Note, WorldView};
use crate::types::Zxid;

/// Who has delivered what.
#[derive(Debug, Default)]
pub struct Agreement {
    anybody: BTreeSet<Zxid>,
    servers: BTreeMap<usize, Delivered>,
}

/// What one server has delivered since it began to serve.
#[derive(Debug, Default)]
struct Delivered {
    /// It began with this one, and with what is before it.
    began: Zxid,
    since: BTreeSet<Zxid>,
}

impl Delivered {
    fn has(&self, zxid: Zxid) -> bool {
        zxid <= self.began || self.since.contains(&zxid)
    }

    fn last(&self) -> Zxid {
        self.since.last().copied().unwrap_or(self.began)
    }
}

impl Check for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        match &note.act {
            Act::Role { role, applied } if serves(*role) => {
                let began = Delivered { began: *applied, since: BTreeSet::new() };
                self.servers.insert(node, began);
                Ok(())
            }
            Act::Role { .. } | Act::Starts { .. } | Act::Ends => {
                self.servers.remove(&node);
                Ok(())
            }
            Act::Applies(txns) if self.servers.contains_key(&node) => {
                txns.iter().try_for_each(|txn| self.delivers(view, node, txn.zxid))
            }
            _ => Ok(()),
        }
    }
}

impl Agreement {
    fn delivers(&mut self, view: &WorldView<'_>, node: usize, zxid: Zxid) -> Result<(), String> {
        let sid = |node: usize| view.nodes[node].sid.0;
        let own = self.servers.get_mut(&node).expect("it serves");
        let before = self.anybody.range(..zxid).next_back();
        if let Some(missed) = before.filter(|before| !own.has(**before)) {
            return Err(format!("{} delivers {zxid} without {missed}", sid(node)));
        }
        own.since.insert(zxid);
        self.anybody.insert(zxid);
        let without = self.servers.iter().find(|(_, it)| it.last() > zxid && !it.has(zxid));
        match without {
            Some((other, it)) => Err(format!(
                "{} delivers {zxid}, which {} has not and yet {}",
                sid(node),
                sid(*other),
                it.last()
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{txn, Stage};
    use super::*;

    #[test]
    fn one_may_be_behind() {
        let (mut stage, mut check) = Stage::serving::<Agreement>();
        let all = vec![txn(1, 1), txn(1, 2)];
        stage.act(&mut check, 0, Act::Applies(all)).expect("the first");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect("not so far yet");
    }

    #[test]
    fn whoever_leaves_one_out_is_refused() {
        let (mut stage, mut check) = Stage::serving::<Agreement>();
        let all = vec![txn(1, 1), txn(1, 2)];
        stage.act(&mut check, 0, Act::Applies(all)).expect("the first");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect_err("without 1");
    }

    #[test]
    fn what_another_has_passed_over_is_refused() {
        let (mut stage, mut check) = Stage::serving::<Agreement>();
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 2)])).expect("who knows of 1?");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect_err("it has 2 and not 1");
    }
}
