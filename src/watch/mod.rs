//! One watch table per worker: what its own connections wait for. Pure.
//!
//! A watch is a (table, path, connection) with a set of modes. It lives in a slab cell that hangs
//! in two lists, that of its path and that of its connection, and is found through one hash index;
//! every path is stored once. So adding, firing and removing cost the watches touched, whatever
//! else the table holds, and a watch on a path of its own costs about 80 bytes and the path.
//!
//! Order is the order of registration. The hash seed decides where things lie, never what comes
//! out. Semantics are those of Apache's `WatchManager`.

mod catch_up;
mod list;
mod report;
mod table;

pub use catch_up::{catch_up, Answer, Lists, NodeView, Waiting};
pub use report::{summarize, WatchSummary};
pub use table::WatchTable;

pub use crate::types::{EventKind, Table};

/// How a watch behaves. Modes of one path and connection stand side by side since 3.9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Fires once.
    Standard,
    /// Stays until removed.
    Persistent,
    /// Stays until removed, and hears of every node below its path. Never of children-changed.
    Recursive,
}

/// What checkWatches and removeWatches name (`Watcher.WatcherType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatcherType {
    /// Standard watches of the child table.
    Children,
    /// Standard watches of the data table.
    Data,
    /// Everything on the path.
    Any,
    /// The persistent watch, in both tables.
    Persistent,
    /// The persistent-recursive watch.
    PersistentRecursive,
}

impl WatcherType {
    /// From the wire; `None` is answered with BadArguments.
    pub fn from_wire(kind: i32) -> Option<WatcherType> {
        match kind {
            1 => Some(WatcherType::Children),
            2 => Some(WatcherType::Data),
            3 => Some(WatcherType::Any),
            4 => Some(WatcherType::Persistent),
            5 => Some(WatcherType::PersistentRecursive),
            _ => None,
        }
    }
}

impl Mode {
    /// From the mode field of addWatch; `None` is answered with BadArguments.
    pub fn from_add_watch(mode: i32) -> Option<Mode> {
        match mode {
            0 => Some(Mode::Persistent),
            1 => Some(Mode::Recursive),
            _ => None,
        }
    }

    fn bit(self) -> u8 {
        match self {
            Mode::Standard => STANDARD,
            Mode::Persistent => PERSISTENT,
            Mode::Recursive => RECURSIVE,
        }
    }
}

const STANDARD: u8 = 1;
const PERSISTENT: u8 = 2;
const RECURSIVE: u8 = 4;

#[cfg(test)]
mod tests;
