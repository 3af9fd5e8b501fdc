//! setWatches and setWatches2: what a client that comes back has missed, and what is armed again.

use super::{EventKind, Mode, Table, WatchTable};
use crate::types::{ConnId, Zxid};

/// A node as the tree shows it to the connection that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeView {
    /// Zxid of the last change of its data.
    pub mzxid: Zxid,
    /// Zxid of the last change of its children.
    pub pzxid: Zxid,
    /// Whether the connection may READ the node.
    pub readable: bool,
}

/// What a client waited for before it lost its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The node was there: its data or its deletion.
    Data,
    /// The node was missing: its creation.
    Exist,
    /// The node's children or its deletion.
    Child,
}

/// What becomes of one path of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has happened: notify at once, with zxid -1, and arm nothing.
    Notify(EventKind),
    /// Nothing to tell: a standard watch in this table.
    Arm(Table),
}

/// The five lists of the request. setWatches leaves the last two empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lists<D, E, C, P, R> {
    /// Data watches.
    pub data: D,
    /// Watches on missing nodes.
    pub exist: E,
    /// Child watches.
    pub child: C,
    /// Persistent watches.
    pub persistent: P,
    /// Persistent-recursive watches.
    pub recursive: R,
}

/// Decides one path. `seen` is the last zxid the client saw, `node` what the tree holds now.
///
/// A node that the connection may not read says nothing about itself: its watch is armed as if
/// nothing had happened. A missing node has no ACL; that it is missing may be told.
pub fn catch_up(waiting: Waiting, seen: Zxid, node: Option<NodeView>) -> Answer {
    let (table, missed) = match (waiting, node) {
        (Waiting::Data, None) => (Table::Data, Some(EventKind::NodeDeleted)),
        (Waiting::Data, Some(node)) => {
            (Table::Data, (node.mzxid > seen).then_some(EventKind::NodeDataChanged))
        }
        (Waiting::Exist, node) => (Table::Data, node.map(|_| EventKind::NodeCreated)),
        (Waiting::Child, None) => (Table::Child, Some(EventKind::NodeDeleted)),
        (Waiting::Child, Some(node)) => {
            (Table::Child, (node.pzxid > seen).then_some(EventKind::NodeChildrenChanged))
        }
    };
    match missed {
        Some(kind) if node.is_none_or(|node| node.readable) => Answer::Notify(kind),
        _ => Answer::Arm(table),
    }
}

impl WatchTable {
    /// Handles setWatches and setWatches2: arms what still waits, and hands every event that the
    /// client missed to `notify`, list after list in the order of the request. All of them go out
    /// before the reply. Persistent watches are armed without catching up.
    pub fn set_watches<'p, D, E, C, P, R>(
        &mut self,
        conn: ConnId,
        seen: Zxid,
        lists: Lists<D, E, C, P, R>,
        mut lookup: impl FnMut(&str) -> Option<NodeView>,
        mut notify: impl FnMut(EventKind, &'p str),
    ) where
        D: IntoIterator<Item = &'p str>,
        E: IntoIterator<Item = &'p str>,
        C: IntoIterator<Item = &'p str>,
        P: IntoIterator<Item = &'p str>,
        R: IntoIterator<Item = &'p str>,
    {
        let data = lists.data.into_iter().map(|path| (Waiting::Data, path));
        let exist = lists.exist.into_iter().map(|path| (Waiting::Exist, path));
        let child = lists.child.into_iter().map(|path| (Waiting::Child, path));
        for (waiting, path) in data.chain(exist).chain(child) {
            match catch_up(waiting, seen, lookup(path)) {
                Answer::Notify(kind) => notify(kind, path),
                Answer::Arm(table) => self.add(path, conn, table),
            }
        }
        for path in lists.persistent {
            self.add_watch(path, conn, Mode::Persistent);
        }
        for path in lists.recursive {
            self.add_watch(path, conn, Mode::Recursive);
        }
    }
}
