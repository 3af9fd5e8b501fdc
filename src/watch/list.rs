//! The cells of the watch table and the two lists each of them hangs in.

use slab::Slab;

/// Index of a cell, a path or a connection; `NIL` ends a list.
pub(super) type Index = u32;

/// No cell.
pub(super) const NIL: Index = Index::MAX;

/// One watch: 28 bytes.
#[derive(Debug)]
pub(super) struct Cell {
    pub path: Index,
    pub conn: Index,
    links: [Link; 2],
    /// A set of `STANDARD`, `PERSISTENT`, `RECURSIVE`; never empty.
    pub modes: u8,
    /// 0 data, 1 child.
    pub table: u8,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    prev: Index,
    next: Index,
}

/// Which of its two lists a cell is walked along.
#[derive(Debug, Clone, Copy)]
pub(super) enum Along {
    /// All watches of one path and table.
    Path = 0,
    /// All watches of one connection and table.
    Conn = 1,
}

/// The two ends of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub head: Index,
    tail: Index,
}

impl Default for Ends {
    fn default() -> Ends {
        Ends { head: NIL, tail: NIL }
    }
}

impl Ends {
    pub fn is_empty(&self) -> bool {
        self.head == NIL
    }
}

impl Cell {
    pub fn new(path: Index, conn: Index, table: u8, modes: u8) -> Cell {
        let alone = Link { prev: NIL, next: NIL };
        Cell { path, conn, links: [alone; 2], modes, table }
    }

    pub fn next(&self, along: Along) -> Index {
        self.links[along as usize].next
    }
}

/// Appends `cell` at the end of the list.
pub(super) fn push(cells: &mut Slab<Cell>, ends: &mut Ends, along: Along, cell: Index) {
    let old_tail = ends.tail;
    cells[cell as usize].links[along as usize] = Link { prev: old_tail, next: NIL };
    if old_tail == NIL {
        ends.head = cell;
    } else {
        cells[old_tail as usize].links[along as usize].next = cell;
    }
    ends.tail = cell;
}

/// Takes `cell` out of the list, wherever in it.
pub(super) fn unlink(cells: &mut Slab<Cell>, ends: &mut Ends, along: Along, cell: Index) {
    let Link { prev, next } = cells[cell as usize].links[along as usize];
    if prev == NIL {
        ends.head = next;
    } else {
        cells[prev as usize].links[along as usize].next = next;
    }
    if next == NIL {
        ends.tail = prev;
    } else {
        cells[next as usize].links[along as usize].prev = prev;
    }
}
