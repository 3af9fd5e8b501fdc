//! Access control lists, each kept once (Apache's `ReferenceCountedACLCache`).

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use jute::Acl;

/// A list's number. Local to this server and to one snapshot file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(u32);

impl AclId {
    /// `world:anyone` with all permissions; never in the table.
    pub const OPEN: AclId = AclId(u32::MAX);

    /// The number in a snapshot: -1 for the open list, else 1 and up.
    pub fn number(self) -> i64 {
        if self == AclId::OPEN {
            -1
        } else {
            i64::from(self.0)
        }
    }

    fn slot(self) -> usize {
        self.0 as usize - 1
    }
}

struct Entry {
    list: Arc<[Acl<'static>]>,
    /// How many nodes have it. 0 only while a snapshot is being loaded.
    uses: u32,
    everyone_reads: bool,
}

/// The lists in use.
pub(super) struct AclTable {
    entries: Vec<Option<Entry>>,
    free: Vec<AclId>,
    by_list: HashTable<AclId>,
    seed: FixedState,
    open: Arc<[Acl<'static>]>,
}

impl AclTable {
    pub fn new(seed: FixedState) -> AclTable {
        AclTable {
            entries: Vec::new(),
            free: Vec::new(),
            by_list: HashTable::new(),
            seed,
            open: Arc::new([Acl::open_unsafe()]),
        }
    }

    /// The number of `list`, used once more. Null is the open list, as Apache has it.
    pub fn acquire(&mut self, list: Option<&[Acl<'_>]>) -> AclId {
        let id = self.intern(list);
        self.acquire_id(id);
        id
    }

    /// One use more of a list that is there.
    pub fn acquire_id(&mut self, id: AclId) {
        if id != AclId::OPEN {
            self.entry_mut(id).uses += 1;
        }
    }

    /// One use less; a list without uses goes.
    pub fn release(&mut self, id: AclId) {
        if id == AclId::OPEN {
            return;
        }
        let entry = self.entry_mut(id);
        entry.uses -= 1;
        if entry.uses == 0 {
            self.forget(id);
        }
    }

    /// The number of `list`, without using it: for snapshots, whose lists come before the nodes.
    pub fn intern(&mut self, list: Option<&[Acl<'_>]>) -> AclId {
        let Some(list) = list else { return AclId::OPEN };
        if *list == *self.open {
            return AclId::OPEN;
        }
        let AclTable { entries, by_list, seed, .. } = self;
        let at = hash(seed, list);
        if let Some(id) = by_list.find(at, |id| *entry(entries, *id).list == *list) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            entries.push(None);
            AclId(u32::try_from(entries.len()).expect("as many lists as nodes at most"))
        });
        entries[id.slot()] = Some(Entry {
            list: list.iter().map(|acl| acl.clone().into_owned()).collect(),
            uses: 0,
            everyone_reads: everyone_reads(list),
        });
        by_list.insert_unique(at, id, |id| hash(seed, &entry(entries, *id).list));
        id
    }

    /// Drops the lists that no node uses (`purgeUnused`).
    pub fn purge_unused(&mut self) {
        for slot in 0..self.entries.len() {
            if self.entries[slot].as_ref().is_some_and(|e| e.uses == 0) {
                self.forget(AclId(slot as u32 + 1));
            }
        }
    }

    pub fn get(&self, id: AclId) -> &Arc<[Acl<'static>]> {
        if id == AclId::OPEN {
            &self.open
        } else {
            &entry(&self.entries, id).list
        }
    }

    /// The list if it keeps anybody from reading; `None` is the common case.
    pub fn unless_everyone_reads(&self, id: AclId) -> Option<Arc<[Acl<'static>]>> {
        if id == AclId::OPEN {
            return None;
        }
        let entry = entry(&self.entries, id);
        (!entry.everyone_reads).then(|| entry.list.clone())
    }

    /// All lists but the open one.
    pub fn iter(&self) -> impl Iterator<Item = (AclId, &Arc<[Acl<'static>]>)> {
        let ids = (1..).map(AclId);
        ids.zip(&self.entries).filter_map(|(id, e)| Some((id, &e.as_ref()?.list)))
    }

    pub fn len(&self) -> usize {
        self.by_list.len()
    }

    fn entry_mut(&mut self, id: AclId) -> &mut Entry {
        self.entries[id.slot()].as_mut().expect(IN_USE)
    }

    fn forget(&mut self, id: AclId) {
        let list = &entry(&self.entries, id).list;
        let at = hash(&self.seed, list);
        let found = self.by_list.find_entry(at, |other| *other == id);
        found.expect("every list is in the index").remove();
        self.entries[id.slot()] = None;
        self.free.push(id);
    }
}

fn entry(entries: &[Option<Entry>], id: AclId) -> &Entry {
    entries[id.slot()].as_ref().expect(IN_USE)
}

fn hash(seed: &FixedState, list: &[Acl<'_>]) -> u64 {
    seed.hash_one(list)
}

/// An empty list guards nothing (`ZooKeeperServer.checkACL`).
fn everyone_reads(list: &[Acl<'_>]) -> bool {
    const READ: i32 = 1;
    list.is_empty()
        || list.iter().any(|acl| {
            acl.perms & READ != 0 && acl.id.scheme() == "world" && acl.id.id() == "anyone"
        })
}

const IN_USE: &str = "a node's list stays while the node has it";
