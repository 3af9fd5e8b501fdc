//! The table itself: adding, firing, checking, removing.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;
use std::hash::BuildHasher;

use super::list::{push, unlink, Along, Cell, Ends, Index, NIL};
use super::{EventKind, Mode, Table, WatcherType, PERSISTENT, RECURSIVE, STANDARD};
use crate::types::ConnId;

/// All watches of one worker's connections.
#[derive(Debug)]
pub struct WatchTable {
    pub(super) hash: FixedState,
    pub(super) cells: Slab<Cell>,
    pub(super) paths: Slab<PathEntry>,
    pub(super) conns: Slab<ConnEntry>,
    /// Finds cells by (table, path, connection).
    cell_index: HashTable<Index>,
    path_index: HashTable<Index>,
    conn_index: HashTable<Index>,
    /// Watches in each table.
    pub(super) watches: [usize; 2],
    /// Paths with a watch in each table.
    pub(super) watched_paths: [usize; 2],
    /// Watches with the recursive mode. While there is none, ancestors are not looked at.
    recursive: usize,
    /// Counts firings; a connection stamped with the current one has been collected already.
    stamp: u64,
    /// The stamp of the firing before, if that was a deletion in the data table.
    deletion: Option<u64>,
    /// What is armed behind the next firing only.
    #[cfg(feature = "mutants")]
    late: Vec<(Box<str>, ConnId, Table)>,
}

#[derive(Debug)]
pub(super) struct PathEntry {
    pub text: Box<str>,
    /// By table.
    pub watches: [Ends; 2],
}

#[derive(Debug)]
pub(super) struct ConnEntry {
    pub id: ConnId,
    /// By table.
    pub watches: [Ends; 2],
    /// Whether Apache would list the connection, by table. It forgets a connection that removes
    /// its last watch, and keeps one whose last watch fired (`wchs` shows it).
    pub listed: [bool; 2],
    stamp: u64,
}

impl WatchTable {
    /// An empty table. No result depends on `hash_seed`.
    pub fn new(hash_seed: u64) -> WatchTable {
        WatchTable {
            hash: FixedState::with_seed(hash_seed),
            cells: Slab::new(),
            paths: Slab::new(),
            conns: Slab::new(),
            cell_index: HashTable::new(),
            path_index: HashTable::new(),
            conn_index: HashTable::new(),
            watches: [0; 2],
            watched_paths: [0; 2],
            recursive: 0,
            stamp: 0,
            deletion: None,
            #[cfg(feature = "mutants")]
            late: Vec::new(),
        }
    }

    /// Forgets everything: all its connections are closed.
    pub fn clear(&mut self) {
        let hash = self.hash;
        *self = WatchTable { hash, ..WatchTable::new(0) };
    }

    /// Whether nothing at all is watched, so that nothing can fire.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Watches in both tables, the `watch_count` metric.
    pub fn watch_count(&self) -> usize {
        self.cells.len()
    }

    /// Arms a standard watch, as getData, exists and getChildren do. The caller makes sure that
    /// the connection still lives: what is added after [`WatchTable::drop_conn`] stays for good.
    pub fn add(&mut self, path: &str, conn: ConnId, table: Table) {
        #[cfg(feature = "mutants")]
        if mutant!(WatchedLate) {
            return self.late.push((path.into(), conn, table));
        }
        self.add_mode(path, conn, Mode::Standard, table);
    }

    /// Arms what waited for others to fire.
    #[cfg(feature = "mutants")]
    pub fn arm_late(&mut self) {
        for (path, conn, table) in std::mem::take(&mut self.late) {
            self.add_mode(&path, conn, Mode::Standard, table);
        }
    }

    /// Arms what addWatch and setWatches2 ask for: persistent in both tables, recursive in the
    /// data table only. `Mode::Standard` is a data watch.
    pub fn add_watch(&mut self, path: &str, conn: ConnId, mode: Mode) {
        self.add_mode(path, conn, mode, Table::Data);
        if mode == Mode::Persistent {
            self.add_mode(path, conn, mode, Table::Child);
        }
    }

    fn add_mode(&mut self, path: &str, conn: ConnId, mode: Mode, table: Table) {
        let path = self.intern(path);
        let conn = self.conn(conn);
        let bit = mode.bit();
        if let Some(cell) = self.find_cell(table, path, conn) {
            let modes = &mut self.cells[cell as usize].modes;
            self.recursive += usize::from(bit & !*modes & RECURSIVE != 0);
            *modes |= bit;
            return;
        }
        let at = table as usize;
        let cell = self.cells.insert(Cell::new(path, conn, table as u8, bit)) as Index;
        assert!(cell != NIL, "a worker holds fewer than 2^32 - 1 watches");
        let entry = &mut self.paths[path as usize];
        self.watched_paths[at] += usize::from(entry.watches[at].is_empty());
        push(&mut self.cells, &mut entry.watches[at], Along::Path, cell);
        let entry = &mut self.conns[conn as usize];
        entry.listed[at] = true;
        push(&mut self.cells, &mut entry.watches[at], Along::Conn, cell);
        self.watches[at] += 1;
        self.recursive += usize::from(bit == RECURSIVE);
        let hash = hash_cell(&self.hash, table as u8, path, conn);
        let WatchTable { hash: state, cells, cell_index, .. } = self;
        cell_index.insert_unique(hash, cell, |&c| {
            let c = &cells[c as usize];
            hash_cell(state, c.table, c.path, c.conn)
        });
    }

    /// Fires `table` for `path`: appends every connection to be told to `out`, each once, and
    /// consumes standard watches. Returns how many connections watched, which is what the
    /// `node_*_watch_count` metrics record when it is not 0.
    ///
    /// Firings come in the order of the changes. The deletion of a node fires the data table and
    /// then, with nothing between, the child table: that second one counts the connections told
    /// by the first but leaves them out of `out`.
    pub fn fire(
        &mut self,
        path: &str,
        kind: EventKind,
        table: Table,
        out: &mut Vec<ConnId>,
    ) -> usize {
        self.stamp += 1;
        let deleted = kind == EventKind::NodeDeleted;
        let told = self.deletion.take().filter(|_| deleted && table == Table::Child);
        self.deletion = (deleted && table == Table::Data).then_some(self.stamp);
        if self.watches[table as usize] == 0 {
            return 0;
        }
        let mut watchers = self.fire_here(path, table, told, out);
        if self.recursive > 0 && table == Table::Data {
            let mut below = path;
            while let Some(parent) = parent(below) {
                watchers += self.fire_from_above(parent, out);
                below = parent;
            }
        }
        watchers
    }

    /// The watches on the path itself, in any mode.
    fn fire_here(
        &mut self,
        path: &str,
        table: Table,
        told: Option<u64>,
        out: &mut Vec<ConnId>,
    ) -> usize {
        let Some(path) = self.find_path(path) else { return 0 };
        let mut watchers = 0;
        let mut cell = self.paths[path as usize].watches[table as usize].head;
        while cell != NIL {
            let here = &mut self.cells[cell as usize];
            let next = here.next(Along::Path);
            let conn = &mut self.conns[here.conn as usize];
            let skip = told.is_some_and(|stamp| conn.stamp == stamp);
            conn.stamp = self.stamp;
            watchers += 1;
            if !skip {
                out.push(conn.id);
            }
            here.modes &= !STANDARD;
            if here.modes == 0 {
                self.remove_cell(cell);
            }
            cell = next;
        }
        self.release_path(path);
        watchers
    }

    /// The recursive watches on an ancestor.
    fn fire_from_above(&mut self, ancestor: &str, out: &mut Vec<ConnId>) -> usize {
        let Some(path) = self.find_path(ancestor) else { return 0 };
        let mut watchers = 0;
        let mut cell = self.paths[path as usize].watches[Table::Data as usize].head;
        while cell != NIL {
            let here = &self.cells[cell as usize];
            cell = here.next(Along::Path);
            let conn = &mut self.conns[here.conn as usize];
            if here.modes & RECURSIVE != 0 && conn.stamp != self.stamp {
                conn.stamp = self.stamp;
                watchers += 1;
                out.push(conn.id);
            }
        }
        watchers
    }

    /// checkWatches: whether there is a watch of that type. Changes nothing.
    pub fn contains(&self, path: &str, conn: ConnId, kind: WatcherType) -> bool {
        let has = |table, mask| self.modes(path, conn, table) & mask != 0;
        match kind {
            WatcherType::Children => has(Table::Child, STANDARD),
            WatcherType::Data => has(Table::Data, STANDARD),
            WatcherType::Persistent => has(Table::Data, PERSISTENT),
            WatcherType::PersistentRecursive => has(Table::Data, RECURSIVE),
            WatcherType::Any => has(Table::Data, u8::MAX) || has(Table::Child, u8::MAX),
        }
    }

    /// removeWatches: false when there was no watch of that type (answered with NoWatcher).
    pub fn remove(&mut self, path: &str, conn: ConnId, kind: WatcherType) -> bool {
        match kind {
            WatcherType::Children => self.remove_modes(path, conn, Table::Child, STANDARD),
            WatcherType::Data => self.remove_modes(path, conn, Table::Data, STANDARD),
            WatcherType::Persistent => {
                let child = self.remove_modes(path, conn, Table::Child, PERSISTENT);
                self.remove_modes(path, conn, Table::Data, PERSISTENT) || child
            }
            WatcherType::PersistentRecursive => {
                self.remove_modes(path, conn, Table::Data, RECURSIVE)
            }
            WatcherType::Any => {
                let child = self.remove_modes(path, conn, Table::Child, u8::MAX);
                self.remove_modes(path, conn, Table::Data, u8::MAX) || child
            }
        }
    }

    fn remove_modes(&mut self, path: &str, conn: ConnId, table: Table, mask: u8) -> bool {
        let Some((path, conn)) = self.find_path(path).zip(self.find_conn(conn)) else {
            return false;
        };
        let Some(cell) = self.find_cell(table, path, conn) else { return false };
        let modes = &mut self.cells[cell as usize].modes;
        let removed = *modes & mask;
        *modes &= !mask;
        let left = *modes;
        if left == 0 {
            self.remove_cell(cell);
            let entry = &mut self.conns[conn as usize];
            let at = table as usize;
            entry.listed[at] &= !entry.watches[at].is_empty();
            self.release_path(path);
            self.release_conn(conn);
        }
        self.recursive -= usize::from(removed & RECURSIVE != 0);
        removed != 0
    }

    /// The connection has gone, and all its watches with it.
    pub fn drop_conn(&mut self, conn: ConnId) {
        let Some(conn) = self.find_conn(conn) else { return };
        for table in [Table::Data, Table::Child] {
            loop {
                let cell = self.conns[conn as usize].watches[table as usize].head;
                if cell == NIL {
                    break;
                }
                let Cell { path, modes, .. } = self.cells[cell as usize];
                self.recursive -= usize::from(modes & RECURSIVE != 0);
                self.remove_cell(cell);
                self.release_path(path);
            }
        }
        self.conns[conn as usize].listed = [false; 2];
        self.release_conn(conn);
    }

    /// The modes of one watch as bits, 0 for none.
    fn modes(&self, path: &str, conn: ConnId, table: Table) -> u8 {
        let found = self.find_path(path).zip(self.find_conn(conn));
        let cell = found.and_then(|(path, conn)| self.find_cell(table, path, conn));
        cell.map_or(0, |cell| self.cells[cell as usize].modes)
    }

    fn find_cell(&self, table: Table, path: Index, conn: Index) -> Option<Index> {
        let hash = hash_cell(&self.hash, table as u8, path, conn);
        let same = |c: &Cell| c.path == path && c.conn == conn && c.table == table as u8;
        self.cell_index.find(hash, |&c| same(&self.cells[c as usize])).copied()
    }

    fn find_path(&self, path: &str) -> Option<Index> {
        let hash = self.hash.hash_one(path);
        self.path_index.find(hash, |&p| *self.paths[p as usize].text == *path).copied()
    }

    fn find_conn(&self, conn: ConnId) -> Option<Index> {
        let hash = self.hash.hash_one(conn);
        self.conn_index.find(hash, |&c| self.conns[c as usize].id == conn).copied()
    }

    fn intern(&mut self, text: &str) -> Index {
        if let Some(path) = self.find_path(text) {
            return path;
        }
        let entry = PathEntry { text: text.into(), watches: Default::default() };
        let path = self.paths.insert(entry) as Index;
        let WatchTable { hash, paths, path_index, .. } = self;
        path_index
            .insert_unique(hash.hash_one(text), path, |&p| hash.hash_one(&*paths[p as usize].text));
        path
    }

    fn conn(&mut self, id: ConnId) -> Index {
        if let Some(conn) = self.find_conn(id) {
            return conn;
        }
        let entry = ConnEntry { id, watches: Default::default(), listed: [false; 2], stamp: 0 };
        let conn = self.conns.insert(entry) as Index;
        let WatchTable { hash, conns, conn_index, .. } = self;
        conn_index.insert_unique(hash.hash_one(id), conn, |&c| hash.hash_one(conns[c as usize].id));
        conn
    }

    /// Takes a cell out of its lists and the index; its path and connection stay.
    fn remove_cell(&mut self, cell: Index) {
        let Cell { path, conn, table, .. } = self.cells[cell as usize];
        let at = usize::from(table);
        let ends = &mut self.paths[path as usize].watches[at];
        unlink(&mut self.cells, ends, Along::Path, cell);
        self.watched_paths[at] -= usize::from(ends.is_empty());
        let ends = &mut self.conns[conn as usize].watches[at];
        unlink(&mut self.cells, ends, Along::Conn, cell);
        let hash = hash_cell(&self.hash, table, path, conn);
        let entry = self.cell_index.find_entry(hash, |&c| c == cell);
        entry.expect("every cell is indexed").remove();
        self.cells.remove(cell as usize);
        self.watches[at] -= 1;
    }

    /// Forgets a path without watches.
    fn release_path(&mut self, path: Index) {
        let entry = &self.paths[path as usize];
        if entry.watches.iter().all(Ends::is_empty) {
            let hash = self.hash.hash_one(&*entry.text);
            let entry = self.path_index.find_entry(hash, |&p| p == path);
            entry.expect("every path is indexed").remove();
            self.paths.remove(path as usize);
        }
    }

    /// Forgets a connection without watches that is no longer listed either.
    fn release_conn(&mut self, conn: Index) {
        let entry = &self.conns[conn as usize];
        if entry.watches.iter().all(Ends::is_empty) && entry.listed == [false; 2] {
            let hash = self.hash.hash_one(entry.id);
            let entry = self.conn_index.find_entry(hash, |&c| c == conn);
            entry.expect("every connection is indexed").remove();
            self.conns.remove(conn as usize);
        }
    }
}

fn hash_cell(state: &FixedState, table: u8, path: Index, conn: Index) -> u64 {
    state.hash_one((table, path, conn))
}

/// `/a/b` is below `/a`, `/a` below `/`, and `/` below nothing.
fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}
