//! ZooKeeper's digests of transactions: at equal zxids trees are equal, whoever they are of, and
//! as the transaction itself says they are. Now and then, and at the end, the sum that is kept up
//! to date step by step is reckoned anew from the tree.

use std::collections::BTreeMap;

use jute::txn::TxnRecord;
use jute::Decode;

use super::{serves, walk, Check, NodeView, Note, WorldView};
use crate::tree::{node_digest, path_data_crc, Replica, DIGEST_VERSION};
use crate::types::Zxid;

/// One look in so many reckons anew.
const SAMPLED_ONE_IN: u64 = 256;

/// The digest at each zxid, as the first server had it.
#[derive(Debug, Default)]
pub struct Digest {
    at: BTreeMap<Zxid, u64>,
    looks: u64,
}

impl Check for Digest {
    fn name(&self) -> &'static str {
        "digest"
    }

    fn after(&mut self, _view: &WorldView<'_>, _node: usize, _note: &Note) -> Result<(), String> {
        Ok(())
    }

    fn at_rest(&mut self, view: &WorldView<'_>, node: usize) -> Result<(), String> {
        let it = &view.nodes[node];
        if !serves(it.role) {
            return Ok(());
        }
        self.looks += 1;
        self.look(view, it, self.looks % SAMPLED_ONE_IN == 0)
    }

    fn at_end(&mut self, view: &WorldView<'_>) -> Result<(), String> {
        view.nodes.iter().try_for_each(|it| self.look(view, it, true))
    }
}

impl Digest {
    fn look(
        &mut self,
        view: &WorldView<'_>,
        it: &NodeView<'_>,
        is_sampled: bool,
    ) -> Result<(), String> {
        let Some(replica) = it.replica else { return Ok(()) };
        let (sid, zxid, digest) = (it.sid.0, replica.last_zxid(), replica.digest());
        let first = *self.at.entry(zxid).or_insert(digest);
        if first != digest {
            return Err(format!("{sid} has {digest:x} at {zxid}, another server {first:x}"));
        }
        if let Some(due) = said_by_txn(view, zxid).filter(|due| *due != digest) {
            return Err(format!("{sid} has {digest:x} at {zxid}, which says {due:x}"));
        }
        if is_sampled {
            let anew = reckoned(replica);
            if anew != digest {
                return Err(format!("{sid} has {digest:x} at {zxid}, its tree comes to {anew:x}"));
            }
        }
        Ok(())
    }
}

/// What the transaction's maker has foretold.
fn said_by_txn(view: &WorldView<'_>, zxid: Zxid) -> Option<u64> {
    let txn = &view.committed.txns()[view.committed.find(zxid)?];
    let said = TxnRecord::from_bytes(&txn.bytes).ok()?.digest?;
    (said.version == DIGEST_VERSION).then_some(said.tree_digest as u64)
}

/// The sum over the whole tree.
fn reckoned(replica: &Replica) -> u64 {
    walk(replica).fold(0, |sum: u64, (path, znode)| {
        let data = path_data_crc(&path, znode.data());
        sum.wrapping_add(node_digest(data, &path, &znode.stat_persisted()))
    })
}

#[cfg(test)]
mod tests {
    use jute::txn::{Txn, TxnDigest, TxnHeader};
    use jute::Encode;

    use super::super::stage::{create, learning, zxid, Stage};
    use super::*;
    use crate::tree::TreeOptions;
    use crate::types::LoggedTxn;

    fn grown(txn: &LoggedTxn) -> Replica {
        let mut replica = Replica::new(TreeOptions::default());
        replica.replay(&TxnRecord::from_bytes(&txn.bytes).expect("just written"));
        replica
    }

    fn serving() -> Stage {
        let mut stage = Stage::new();
        stage.nodes.iter_mut().for_each(|node| node.role = learning(1));
        stage.nodes[0].replica = Some(grown(&create(zxid(1, 1), "/a", false)));
        stage
    }

    #[test]
    fn equal_trees_are_fine() {
        let (mut stage, mut check) = (serving(), Digest::default());
        stage.nodes[1].replica = Some(grown(&create(zxid(1, 1), "/a", false)));
        stage.rest(&mut check, 0).expect("the first");
        stage.rest(&mut check, 1).expect("the same");
        stage.end(&mut check).expect("and both as reckoned anew");
    }

    #[test]
    fn another_tree_at_the_same_zxid_is_refused() {
        let (mut stage, mut check) = (serving(), Digest::default());
        stage.nodes[1].replica = Some(grown(&create(zxid(1, 1), "/b", false)));
        stage.rest(&mut check, 0).expect("the first");
        stage.rest(&mut check, 1).expect_err("/b is not /a");
    }

    #[test]
    fn a_tree_that_the_transaction_did_not_foretell_is_refused() {
        let mut stage = serving();
        let digest = Some(TxnDigest { version: DIGEST_VERSION, tree_digest: 42 });
        let header = TxnHeader { client_id: 5, cxid: 1, zxid: zxid(1, 1).0, time_ms: 7, kind: -1 };
        let bytes = TxnRecord { header, txn: Txn::Error(-1), digest }.to_bytes().into();
        stage.committed.extend([LoggedTxn { zxid: zxid(1, 1), bytes }].iter());
        stage.rest(&mut Digest::default(), 0).expect_err("it says 42");
    }

    #[test]
    fn a_sum_that_was_not_kept_up_is_refused() {
        let mut stage = serving();
        // One that keeps none: 0, whatever the tree.
        let options = TreeOptions { digest_enabled: false, ..TreeOptions::default() };
        stage.nodes[0].replica = Some(Replica::new(options));
        stage.end(&mut Digest::default()).expect_err("0 is not what it comes to");
    }
}
