//! closeSession: names every ephemeral that goes with its session.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jute::txn::Txn;

use super::{Op, Prep};
use crate::types::{parent_and_name, SessionId};

impl Prep {
    /// Those applied, plus those on their way, minus those whose deletion is on its way.
    pub(super) fn close_session<'b>(&mut self, op: &Op<'_>) -> Txn<'b> {
        let applied = op.cx.replica.ephemerals_of(SessionId(op.session_id));
        let mut paths: BTreeSet<String> = applied.collect();
        for (path, created) in self.overlay.ephemerals(op.session_id) {
            if created {
                paths.insert(path.to_owned());
            } else {
                paths.remove(path);
            }
        }
        for path in &paths {
            let parent_path = parent_and_name(path).map_or("/", |(parent, _)| parent);
            let (Ok(node), Ok(parent)) = (self.find(op, path), self.find(op, parent_path)) else {
                continue;
            };
            self.note_deleted(op, path, node, parent_path, parent);
        }
        let listed = paths.into_iter().map(Cow::Owned).collect();
        Txn::CloseSession(self.options.close_session_lists.then_some(listed))
    }
}
