//! A picture of the tree at one instant, taken while transactions go on.
//!
//! [`Replica::begin_image`] notes where the creation list ends; the caller then asks for the nodes
//! up to there, slice by slice, between transactions. A bit per slot says which nodes it has
//! seen. Whoever is about to change a node not seen yet first puts its old state aside; a deleted
//! one keeps its place in the list as a ghost. What is born later stands behind the end. So a
//! transaction pays for the nodes it touches, and an image costs nothing when there is none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use jute::{Acl, StatPersisted};

use super::acl_table::AclId;
use super::arena::{Arena, NodeId, OldContent};
use super::replica::Replica;
use crate::types::{SessionId, Zxid};

/// All of a snapshot that is not nodes.
#[derive(Debug, Clone)]
pub struct ImageHead {
    /// The last transaction in the image, and of the image only.
    pub zxid: Zxid,
    /// The tree's digest there.
    pub digest: u64,
    /// With their timeouts in ms.
    pub sessions: Vec<(SessionId, i32)>,
    /// Every list that a node of the image may name, but the open one.
    pub acls: Vec<(AclId, Arc<[Acl<'static>]>)>,
    /// How many nodes will come.
    pub nodes: usize,
    first: NodeId,
    serial: u64,
}

impl ImageHead {
    /// A cursor before the first node.
    pub fn cursor(&self) -> ImageCursor {
        ImageCursor { next: self.first, serial: self.serial, path: String::new() }
    }
}

/// How far the reader of an image has come. Must be handed to the replica it came from.
#[derive(Debug)]
pub struct ImageCursor {
    next: NodeId,
    serial: u64,
    /// Kept for its allocation.
    path: String,
}

/// A node as it was.
#[derive(Debug, Clone, Copy)]
pub struct ImageNode<'a> {
    /// The root is "". Parents come before their children.
    pub path: &'a str,
    pub data: Option<&'a [u8]>,
    pub acl: AclId,
    pub stat: StatPersisted,
}

/// The old states an image leaves behind. Freeing them may take a while: drop it where no
/// transaction waits.
#[must_use = "to be dropped outside of the replica's lock"]
#[derive(Debug)]
pub struct ImageRest {
    _frozen: BTreeMap<NodeId, Box<Frozen>>,
}

/// The state of a node that changed before the image came to it.
#[derive(Debug)]
struct Frozen {
    stat: StatPersisted,
    acl: AclId,
    data: FrozenData,
    /// Of a ghost.
    path: Option<Box<str>>,
}

#[derive(Debug)]
enum FrozenData {
    /// Still with the node.
    Same,
    Was(OldContent),
}

/// An image that is being read.
pub(super) struct Image {
    serial: u64,
    last: NodeId,
    /// A bit per slot that existed at the beginning: not to be frozen any more. Atomic because
    /// the reader has only a shared reference; the lock around the replica orders the accesses.
    seen: Vec<AtomicU64>,
    frozen: BTreeMap<NodeId, Box<Frozen>>,
}

impl Image {
    /// The slot has a new node: it is not in the image.
    pub fn is_born(&mut self, id: NodeId) {
        self.see(id);
    }

    /// Call before the first change of a node.
    pub fn before_change(&mut self, arena: &Arena, id: NodeId) {
        if !self.has_seen(id) {
            self.freeze(arena, id);
        }
    }

    /// Call with the data that a change has replaced.
    pub fn after_data_change(&mut self, id: NodeId, old: OldContent) {
        if let Some(frozen) = self.frozen.get_mut(&id).filter(|f| f.needs_data()) {
            frozen.data = FrozenData::Was(old);
        }
    }

    /// Whether the replaced data of this node must be handed to `after_data_change`.
    pub fn needs_data(&self, id: NodeId) -> bool {
        !self.has_seen(id) && self.frozen.get(&id).is_none_or(|f| f.needs_data())
    }

    /// The node is being deleted. True if its place in the list must stay, as a ghost.
    pub fn before_removal(&mut self, arena: &mut Arena, id: NodeId, path: &str) -> bool {
        if self.has_seen(id) {
            return false;
        }
        let frozen = self.freeze(arena, id);
        if frozen.needs_data() {
            frozen.data = FrozenData::Was(arena[id].take_content());
        }
        frozen.path = Some(path.into());
        true
    }

    fn freeze(&mut self, arena: &Arena, id: NodeId) -> &mut Frozen {
        self.frozen.entry(id).or_insert_with(|| {
            let node = &arena[id];
            let (stat, acl) = (node.stat(), node.acl);
            Box::new(Frozen { stat, acl, data: FrozenData::Same, path: None })
        })
    }

    fn has_seen(&self, id: NodeId) -> bool {
        match self.seen.get(id.0 as usize / 64) {
            Some(word) => word.load(Relaxed) & (1 << (id.0 % 64)) != 0,
            None => true,
        }
    }

    fn see(&self, id: NodeId) {
        if let Some(word) = self.seen.get(id.0 as usize / 64) {
            word.fetch_or(1 << (id.0 % 64), Relaxed);
        }
    }
}

impl Frozen {
    fn needs_data(&self) -> bool {
        matches!(self.data, FrozenData::Same)
    }
}

impl Replica {
    /// Starts an image of this instant. Costs the sessions, the access lists and a bit per node.
    ///
    /// # Panics
    /// If an image is being taken already: there is one at a time.
    pub fn begin_image(&mut self) -> ImageHead {
        assert!(self.image.is_none(), "one image at a time");
        self.image_serial += 1;
        let words = self.arena.slots().div_ceil(64) as usize;
        let seen: Vec<AtomicU64> = (0..words).map(|_| AtomicU64::new(0)).collect();
        // The bits behind the last slot belong to nodes that are not born yet.
        if let (Some(word), used @ 1..) = (seen.last(), self.arena.slots() % 64) {
            word.store(u64::MAX << used, Relaxed);
        }
        self.image = Some(Image {
            serial: self.image_serial,
            last: self.arena.last_born(),
            seen,
            frozen: BTreeMap::new(),
        });
        ImageHead {
            zxid: self.last_zxid,
            digest: self.digest,
            sessions: self.sessions().collect(),
            acls: self.acls.iter().map(|(id, list)| (id, list.clone())).collect(),
            nodes: self.live,
            first: self.arena.first_born(),
            serial: self.image_serial,
        }
    }

    /// Shows the next nodes of the image, about `max_bytes` of paths, data and stats. True if
    /// there are more.
    ///
    /// # Panics
    /// If the cursor is not of the image that is being taken.
    pub fn image_slice(
        &self,
        cursor: &mut ImageCursor,
        max_bytes: usize,
        visit: &mut dyn FnMut(ImageNode<'_>),
    ) -> bool {
        let image = self.image.as_ref().expect("an image has begun");
        assert_eq!(image.serial, cursor.serial, "a cursor reads the image it was made for");
        let mut bytes = 0;
        while bytes < max_bytes {
            let Some(id) = cursor.next.some() else { return false };
            let last = id == image.last;
            cursor.next = if last { NodeId::NONE } else { self.arena.born_after(id) };
            bytes += NODE_BYTES;
            if let Some(node) = self.image_node(image, id, &mut cursor.path) {
                bytes += node.path.len() + node.data.map_or(0, <[u8]>::len);
                visit(node);
            }
            image.see(id);
        }
        cursor.next != NodeId::NONE
    }

    /// Ends the image, whether all of it was read or not.
    pub fn end_image(&mut self) -> ImageRest {
        let image = self.image.take();
        ImageRest { _frozen: image.map(|image| image.frozen).unwrap_or_default() }
    }

    /// Whether an image is being taken.
    pub fn has_image(&self) -> bool {
        self.image.is_some()
    }

    /// Gives back the slots of some ghosts: a few with each transaction, never all at once.
    pub(super) fn bury_ghosts(&mut self) {
        if self.image.is_some() {
            return;
        }
        for _ in 0..BURIALS {
            let Some(id) = self.ghosts.pop() else { return };
            self.arena.remove(id);
        }
    }

    fn image_node<'a>(
        &'a self,
        image: &'a Image,
        id: NodeId,
        path: &'a mut String,
    ) -> Option<ImageNode<'a>> {
        let node = &self.arena[id];
        let frozen = image.frozen.get(&id);
        let path = match frozen.and_then(|f| f.path.as_deref()) {
            Some(path) => path,
            // A ghost of an earlier image.
            None if node.parent == NodeId::GHOST => return None,
            None => {
                self.arena.path_into(id, path);
                path
            }
        };
        let Some(frozen) = frozen else {
            let data = node.data();
            return Some(ImageNode { path, data, acl: node.acl, stat: node.stat() });
        };
        let data = match &frozen.data {
            FrozenData::Same => node.data(),
            FrozenData::Was(old) => old.data(),
        };
        Some(ImageNode { path, data, acl: frozen.acl, stat: frozen.stat })
    }
}

/// What a node counts for in a slice besides path and data.
const NODE_BYTES: usize = 80;
/// Ghosts given back per transaction.
const BURIALS: usize = 8;
