//! Where znodes live: slots of 120 bytes in chunks that never move.
//!
//! A chunk is allocated once, so growing to millions of nodes copies nothing and no single
//! transaction pays for all the others. All nodes hang in one list in the order of their
//! creation, in which a parent always stands before its children: snapshots follow it.

use std::ops::{Index, IndexMut};

use jute::StatPersisted;

use super::acl_table::AclId;

/// A znode's place. Stays the same while the node lives; is given to another one afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The root is created first and never deleted.
    pub const ROOT: NodeId = NodeId(0);
    pub(super) const NONE: NodeId = NodeId(u32::MAX);
    /// As a parent: the node is deleted and waits to be buried (see `image`).
    pub(super) const GHOST: NodeId = NodeId(u32::MAX - 1);

    pub(super) fn some(self) -> Option<NodeId> {
        (self != NodeId::NONE).then_some(self)
    }
}

/// One node. Name and data share an allocation: most nodes have little of either, and what an
/// allocator adds to each allocation would be more than the links.
#[repr(C)]
pub(super) struct Znode {
    content: Box<[u8]>,
    name_len: NameLen,
    pub parent: NodeId,
    /// The oldest one: children are linked in the order of their creation.
    pub first_child: NodeId,
    pub next_sibling: NodeId,
    /// The first child's is the last child, so that the end is found at once.
    pub prev_sibling: NodeId,
    pub acl: AclId,
    /// CRC-32 of path and data: the digest goes on from there over the stat.
    pub path_data_crc: u32,
    pub child_count: u32,
    pub version: i32,
    /// Creations of children.
    pub cversion: i32,
    pub aversion: i32,
    born_prev: NodeId,
    born_next: NodeId,
    pub czxid: i64,
    pub mzxid: i64,
    pub pzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub owner: i64,
}

const _: () = assert!(size_of::<Znode>() == 120);

/// What is before the data in a node's allocation, and whether the data is null, which is not the
/// same as empty.
#[derive(Debug, Clone, Copy)]
struct NameLen(u32);

impl NameLen {
    const DATA_IS_NULL: u32 = 1 << 31;

    fn new(name: &str, data: Option<&[u8]>) -> NameLen {
        let len = u32::try_from(name.len()).ok().filter(|len| len & NameLen::DATA_IS_NULL == 0);
        let null = if data.is_none() { NameLen::DATA_IS_NULL } else { 0 };
        NameLen(len.expect("a name fits into a frame") | null)
    }

    fn name(self, content: &[u8]) -> &[u8] {
        &content[..self.len()]
    }

    fn data(self, content: &[u8]) -> Option<&[u8]> {
        (self.0 & NameLen::DATA_IS_NULL == 0).then(|| &content[self.len()..])
    }

    fn len(self) -> usize {
        (self.0 & !NameLen::DATA_IS_NULL) as usize
    }
}

/// The name and data that a node had.
#[derive(Debug)]
pub(super) struct OldContent {
    content: Box<[u8]>,
    name_len: NameLen,
}

impl OldContent {
    pub fn data(&self) -> Option<&[u8]> {
        self.name_len.data(&self.content)
    }
}

impl Znode {
    pub fn new(name: &str, data: Option<&[u8]>, acl: AclId, stat: &StatPersisted) -> Znode {
        Znode {
            content: join(name, data),
            name_len: NameLen::new(name, data),
            parent: NodeId::NONE,
            first_child: NodeId::NONE,
            next_sibling: NodeId::NONE,
            prev_sibling: NodeId::NONE,
            acl,
            path_data_crc: 0,
            child_count: 0,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            born_prev: NodeId::NONE,
            born_next: NodeId::NONE,
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            owner: stat.ephemeral_owner,
        }
    }

    pub fn name_bytes(&self) -> &[u8] {
        self.name_len.name(&self.content)
    }

    pub fn name(&self) -> &str {
        std::str::from_utf8(self.name_bytes()).expect("a name was a string")
    }

    pub fn data(&self) -> Option<&[u8]> {
        self.name_len.data(&self.content)
    }

    /// 0 for null.
    pub fn data_len(&self) -> usize {
        self.content.len() - self.name_len.len()
    }

    /// Writes over the data. False, and nothing done, if that takes another allocation.
    pub fn overwrite_data(&mut self, data: Option<&[u8]>) -> bool {
        match data {
            Some(data) if self.data().is_some_and(|old| old.len() == data.len()) => {
                let at = self.name_len.len();
                self.content[at..].copy_from_slice(data);
                true
            }
            _ => false,
        }
    }

    /// Gives the node other data.
    pub fn replace_data(&mut self, data: Option<&[u8]>) -> OldContent {
        let content = join(self.name(), data);
        let name_len = NameLen::new(self.name(), data);
        OldContent {
            content: std::mem::replace(&mut self.content, content),
            name_len: std::mem::replace(&mut self.name_len, name_len),
        }
    }

    /// Leaves the node without name and data.
    pub fn take_content(&mut self) -> OldContent {
        let name_len = std::mem::replace(&mut self.name_len, NameLen::new("", None));
        OldContent { content: std::mem::take(&mut self.content), name_len }
    }

    pub fn stat(&self) -> StatPersisted {
        StatPersisted {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion,
            aversion: self.aversion,
            ephemeral_owner: self.owner,
            pzxid: self.pzxid,
        }
    }
}

fn join(name: &str, data: Option<&[u8]>) -> Box<[u8]> {
    let data = data.unwrap_or_default();
    let mut content = Vec::with_capacity(name.len() + data.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    content.into_boxed_slice()
}

/// All nodes.
pub(super) struct Arena {
    chunks: Vec<Vec<Znode>>,
    /// First of the free slots, which are linked through `born_next`.
    free: NodeId,
    first_born: NodeId,
    last_born: NodeId,
}

impl Arena {
    pub fn new() -> Arena {
        Arena {
            chunks: Vec::new(),
            free: NodeId::NONE,
            first_born: NodeId::NONE,
            last_born: NodeId::NONE,
        }
    }

    /// How many slots there are, used or not: every id is below.
    pub fn slots(&self) -> u32 {
        match self.chunks.last() {
            Some(last) => ((self.chunks.len() - 1) * CHUNK + last.len()) as u32,
            None => 0,
        }
    }

    /// Takes a slot for `node` and puts it at the end of the creation list.
    pub fn insert(&mut self, mut node: Znode) -> NodeId {
        node.born_prev = self.last_born;
        node.born_next = NodeId::NONE;
        let id = match self.free.some() {
            Some(id) => {
                self.free = self[id].born_next;
                self[id] = node;
                id
            }
            None => self.push(node),
        };
        match self.last_born.some() {
            Some(last) => self[last].born_next = id,
            None => self.first_born = id,
        }
        self.last_born = id;
        id
    }

    /// Takes a node out of the creation list and its slot back.
    pub fn remove(&mut self, id: NodeId) {
        let (prev, next) = (self[id].born_prev, self[id].born_next);
        match prev.some() {
            Some(prev) => self[prev].born_next = next,
            None => self.first_born = next,
        }
        match next.some() {
            Some(next) => self[next].born_prev = prev,
            None => self.last_born = prev,
        }
        let free = self.free;
        let node = &mut self[id];
        drop(node.take_content());
        node.parent = NodeId::GHOST;
        node.born_next = free;
        self.free = id;
    }

    /// The oldest node.
    pub fn first_born(&self) -> NodeId {
        self.first_born
    }

    /// The youngest node.
    pub fn last_born(&self) -> NodeId {
        self.last_born
    }

    /// The node created after `id`.
    pub fn born_after(&self, id: NodeId) -> NodeId {
        self[id].born_next
    }

    /// Makes `child` the last child of `parent`.
    pub fn link_child(&mut self, parent: NodeId, child: NodeId) {
        let first = self[parent].first_child;
        match first.some() {
            None => {
                self[parent].first_child = child;
                self[child].prev_sibling = child;
            }
            Some(first) => {
                let last = self[first].prev_sibling;
                self[last].next_sibling = child;
                self[child].prev_sibling = last;
                self[first].prev_sibling = child;
            }
        }
        self[child].parent = parent;
        self[parent].child_count += 1;
    }

    /// Takes `child` out of its parent's children.
    pub fn unlink_child(&mut self, child: NodeId) {
        let node = &self[child];
        let (parent, prev, next) = (node.parent, node.prev_sibling, node.next_sibling);
        let first = self[parent].first_child;
        if first == child {
            self[parent].first_child = next;
        } else {
            self[prev].next_sibling = next;
        }
        // Behind the last child is nobody, but the first one points back to it.
        let pointing_back = next.some().unwrap_or(first);
        self[pointing_back].prev_sibling = prev;
        self[parent].child_count -= 1;
    }

    /// The node after `id` when walking everything below `top`, parents first and without a
    /// stack; `None` at the end.
    pub fn next_below(&self, top: NodeId, id: NodeId) -> Option<NodeId> {
        if let Some(child) = self[id].first_child.some() {
            return Some(child);
        }
        let mut at = id;
        while at != top {
            if let Some(next) = self[at].next_sibling.some() {
                return Some(next);
            }
            at = self[at].parent;
        }
        None
    }

    /// Writes the path of `id` into `path`, which keeps its allocation. The root is "".
    pub fn path_into(&self, id: NodeId, path: &mut String) {
        let mut len = 0;
        let mut at = id;
        while at != NodeId::ROOT {
            len += 1 + self[at].name_bytes().len();
            at = self[at].parent;
        }
        let mut bytes = std::mem::take(path).into_bytes();
        bytes.clear();
        bytes.resize(len, b'/');
        at = id;
        while at != NodeId::ROOT {
            let name = self[at].name_bytes();
            bytes[len - name.len()..len].copy_from_slice(name);
            len -= name.len() + 1;
            at = self[at].parent;
        }
        *path = String::from_utf8(bytes).expect("names and slashes are UTF-8");
    }

    fn push(&mut self, node: Znode) -> NodeId {
        if self.chunks.last().is_none_or(|c| c.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let id = self.slots();
        assert!(id < NodeId::GHOST.0, "the tree holds 2^32 - 2 znodes at most");
        self.chunks.last_mut().expect("pushed above").push(node);
        NodeId(id)
    }
}

impl Index<NodeId> for Arena {
    type Output = Znode;

    fn index(&self, id: NodeId) -> &Znode {
        &self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK]
    }
}

impl IndexMut<NodeId> for Arena {
    fn index_mut(&mut self, id: NodeId) -> &mut Znode {
        &mut self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK]
    }
}

/// Nodes in a chunk: 120 KiB of them.
const CHUNK: usize = 1024;
