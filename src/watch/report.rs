//! What `wchs`, `wchc` and `wchp` read. They look at the data table only, as in Apache.

use std::hash::BuildHasher;

use super::list::{Along, NIL};
use super::{Table, WatchTable};
use crate::types::ConnId;

/// The three numbers of `wchs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchSummary {
    /// Connections that have, or had until the last one fired, a data watch.
    pub connections: usize,
    /// Paths with a data watch.
    pub paths: usize,
    /// Pairs of connection and path.
    pub watches: usize,
}

impl WatchTable {
    /// The numbers of this table. Paths of several tables overlap: see [`summarize`].
    pub fn summary(&self) -> WatchSummary {
        let at = Table::Data as usize;
        WatchSummary {
            connections: self.conns.iter().filter(|(_, conn)| conn.listed[at]).count(),
            paths: self.watched_paths[at],
            watches: self.watches[at],
        }
    }

    /// Calls `visit` with each listed connection and its data watches (`wchc`). A connection whose
    /// watches have all fired comes with none.
    pub fn for_each_conn(&self, mut visit: impl FnMut(ConnId, &mut dyn Iterator<Item = &str>)) {
        let at = Table::Data as usize;
        for (_, conn) in self.conns.iter().filter(|(_, conn)| conn.listed[at]) {
            let cells = self.walk(conn.watches[at].head, Along::Conn);
            let mut paths = cells.map(|cell| &*self.paths[self.cells[cell].path as usize].text);
            visit(conn.id, &mut paths);
        }
    }

    /// Calls `visit` with each path and the connections that have a data watch on it (`wchp`).
    pub fn for_each_path(&self, mut visit: impl FnMut(&str, &mut dyn Iterator<Item = ConnId>)) {
        let at = Table::Data as usize;
        for (_, path) in self.paths.iter().filter(|(_, path)| !path.watches[at].is_empty()) {
            let cells = self.walk(path.watches[at].head, Along::Path);
            let mut conns = cells.map(|cell| self.conns[self.cells[cell].conn as usize].id);
            visit(&path.text, &mut conns);
        }
    }

    /// Appends a 64-bit hash of each path with a data watch. Tables of one server share the seed,
    /// so equal paths have equal hashes: what [`summarize`] needs without copying ten million
    /// paths between threads.
    pub fn path_hashes(&self, out: &mut Vec<u64>) {
        let at = Table::Data as usize;
        let watched = self.paths.iter().filter(|(_, path)| !path.watches[at].is_empty());
        out.extend(watched.map(|(_, path)| self.hash.hash_one(&*path.text)));
    }

    fn walk(&self, head: u32, along: Along) -> impl Iterator<Item = usize> + '_ {
        let cell = move |at: u32| (at != NIL).then_some(at as usize);
        std::iter::successors(cell(head), move |&at| cell(self.cells[at].next(along)))
    }
}

/// The numbers of all workers' tables together: connections and watches add up, a path watched
/// through several workers counts once. `hashes` are the [`WatchTable::path_hashes`] of every
/// table, in any order; they come back sorted.
pub fn summarize(tables: &[WatchSummary], hashes: &mut Vec<u64>) -> WatchSummary {
    hashes.sort_unstable();
    hashes.dedup();
    WatchSummary {
        connections: tables.iter().map(|t| t.connections).sum(),
        paths: hashes.len(),
        watches: tables.iter().map(|t| t.watches).sum(),
    }
}
