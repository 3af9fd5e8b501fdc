//! Finds a child by its parent and its name, for the whole tree at once.
//!
//! The index is cut into parts that grow by themselves, so that growing never stops the server
//! for longer than one part takes. Where an entry lies depends on the seed; nothing that anybody
//! can see does.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use super::arena::{Arena, NodeId};

/// (parent, name) -> node.
pub(super) struct NameIndex {
    parts: Box<[HashTable<NodeId>]>,
    seed: FixedState,
}

impl NameIndex {
    pub fn new(seed: FixedState) -> NameIndex {
        NameIndex { parts: (0..PARTS).map(|_| HashTable::new()).collect(), seed }
    }

    pub fn find(&self, arena: &Arena, parent: NodeId, name: &str) -> Option<NodeId> {
        let hash = hash(&self.seed, parent, name.as_bytes());
        self.parts[part(hash)].find(hash, |id| is_named(arena, *id, parent, name)).copied()
    }

    /// Adds a node that is linked to its parent and not in the index yet.
    pub fn insert(&mut self, arena: &Arena, id: NodeId) {
        let seed = &self.seed;
        let hash_of = |id: &NodeId| hash(seed, arena[*id].parent, arena[*id].name_bytes());
        let hash = hash_of(&id);
        self.parts[part(hash)].insert_unique(hash, id, hash_of);
    }

    pub fn remove(&mut self, arena: &Arena, id: NodeId) {
        let hash = hash(&self.seed, arena[id].parent, arena[id].name_bytes());
        self.parts[part(hash)]
            .find_entry(hash, |other| *other == id)
            .expect("every linked node is in the index")
            .remove();
    }
}

fn hash(seed: &FixedState, parent: NodeId, name: &[u8]) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write_u32(parent.0);
    hasher.write(name);
    hasher.finish()
}

fn is_named(arena: &Arena, id: NodeId, parent: NodeId, name: &str) -> bool {
    let node = &arena[id];
    node.parent == parent && node.name_bytes() == name.as_bytes()
}

/// The table takes its bits from both ends of the hash, so the part comes from the middle.
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

const PARTS: usize = 256;
