//! What a transaction does that somebody may be waiting for.

use std::sync::Arc;

use jute::Acl;

use crate::types::{EventKind, Table, Zxid};

/// One firing of one watch table. They stand in Apache's order: by operation, and for each
/// operation the node's data watches, its child watches, the parent's child watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The path of the operation, of which the event's path is the beginning: one allocation
    /// serves the node and its parent.
    whole: Arc<str>,
    len: usize,
    pub kind: EventKind,
    pub table: Table,
    /// Of the transaction.
    pub zxid: Zxid,
    /// Who may read the node, at the time of the change; `None` if everyone may. Only readers are
    /// told (3.9.2).
    pub acl: Option<Arc<[Acl<'static>]>>,
}

impl Fired {
    /// The path that the event is about. The root is "/".
    pub fn path(&self) -> &str {
        &self.whole[..self.len]
    }
}

/// The access list that guards an event.
pub(super) type Guard = Option<Arc<[Acl<'static>]>>;

/// Where an operation puts its events; nowhere during recovery, when nobody watches yet.
pub(super) struct Events<'f>(Option<&'f mut Vec<Fired>>);

impl<'f> Events<'f> {
    pub fn to(fired: &'f mut Vec<Fired>) -> Events<'f> {
        Events(Some(fired))
    }

    pub fn nowhere() -> Events<'f> {
        Events(None)
    }

    /// The path to share among the events of one operation, if anybody listens.
    pub fn path(&self, path: &str) -> Option<Arc<str>> {
        self.0.is_some().then(|| path.into())
    }

    /// The node itself.
    pub fn node(&mut self, path: &Arc<str>, zxid: Zxid, table: Table, kind: EventKind, acl: Guard) {
        let fired = Fired { whole: path.clone(), len: path.len(), kind, table, zxid, acl };
        self.push(fired);
    }

    /// The children of the node's parent.
    pub fn parent(&mut self, path: &Arc<str>, zxid: Zxid, acl: Guard) {
        let len = path.rfind('/').unwrap_or(0).max(1);
        let kind = EventKind::NodeChildrenChanged;
        self.push(Fired { whole: path.clone(), len, kind, table: Table::Child, zxid, acl });
    }

    fn push(&mut self, event: Fired) {
        if let Some(fired) = &mut self.0 {
            fired.push(event);
        }
    }
}
