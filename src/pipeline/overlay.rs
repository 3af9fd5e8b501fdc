//! Changes that are prepared but not applied yet, so that a request can be judged as if all
//! before it had been applied (Apache's `outstandingChanges`).

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jute::{Acl, StatPersisted};

use crate::tree::Replica;
use crate::types::Zxid;

/// A znode as it will be once everything prepared so far is applied.
#[derive(Debug, Clone)]
pub struct Pending {
    pub zxid: Zxid,
    pub stat: StatPersisted,
    pub child_count: i32,
    pub acl: Arc<[Acl<'static>]>,
    /// CRC-32 of path and data, from which the digest goes on.
    pub crc: u32,
    /// Bytes of data; 0 for null.
    pub data_len: i64,
}

/// What is known of a path in the overlay.
#[derive(Debug, Clone)]
enum Change {
    Present(Pending),
    Deleted(Zxid),
}

/// Pending changes by path.
#[derive(Debug)]
pub struct Overlay {
    changes: HashMap<Box<str>, Change, FixedState>,
    /// Every change in order, so that applied ones can be dropped from the front.
    order: std::collections::VecDeque<(Zxid, Box<str>)>,
    /// While a multi runs: what each change replaced, newest last.
    undo: Option<Vec<(Box<str>, Option<Change>)>>,
}

impl Overlay {
    /// Nothing pending. `seed` only spreads the hash table.
    pub fn new(seed: u64) -> Self {
        Overlay {
            changes: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: std::collections::VecDeque::new(),
            undo: None,
        }
    }

    /// The znode at `path` as later requests must see it, if it exists then.
    pub fn find(&self, replica: &Replica, path: &str) -> Option<Pending> {
        match self.changes.get(canonical(path)) {
            Some(Change::Present(p)) => return Some(p.clone()),
            Some(Change::Deleted(_)) => return None,
            None => {}
        }
        let node = replica.node(replica.find(path)?);
        Some(Pending {
            zxid: Zxid::NONE,
            stat: node.stat_persisted(),
            child_count: node.child_count() as i32,
            acl: Arc::clone(node.acl()),
            crc: node.path_data_crc(),
            data_len: node.data().map_or(0, <[u8]>::len) as i64,
        })
    }

    /// Whether `path` will exist.
    pub fn exists(&self, replica: &Replica, path: &str) -> bool {
        match self.changes.get(canonical(path)) {
            Some(Change::Present(_)) => true,
            Some(Change::Deleted(_)) => false,
            None => replica.find(path).is_some(),
        }
    }

    /// `path` will be like `node`.
    pub fn put(&mut self, path: &str, node: Pending) {
        let zxid = node.zxid;
        self.insert(path, zxid, Change::Present(node));
    }

    /// `path` will be gone.
    pub fn delete(&mut self, path: &str, zxid: Zxid) {
        self.insert(path, zxid, Change::Deleted(zxid));
    }

    /// Forgets what is applied up to `zxid`.
    pub fn applied(&mut self, zxid: Zxid) {
        if self.order.back().is_none_or(|(last, _)| *last <= zxid) {
            self.order.clear();
            self.changes.clear();
            return;
        }
        while let Some((at, _)) = self.order.front() {
            if *at > zxid {
                return;
            }
            let (at, path) = self.order.pop_front().expect("looked at it");
            if self.changes.get(&path).is_some_and(|c| c.zxid() == at) {
                self.changes.remove(&path);
            }
        }
    }

    /// How many changes are pending.
    pub fn outstanding(&self) -> usize {
        self.order.len()
    }

    /// The session's pending ephemerals: `(path, true)` created, `(path, false)` deleted,
    /// whoever owned it.
    pub fn ephemerals(&self, owner: i64) -> impl Iterator<Item = (&str, bool)> {
        self.changes.iter().filter_map(move |(path, change)| match change {
            Change::Present(p) if p.stat.ephemeral_owner == owner => Some((&**path, true)),
            Change::Present(_) => None,
            Change::Deleted(_) => Some((&**path, false)),
        })
    }

    /// From here on changes can be taken back together.
    pub fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// What changed since [`Overlay::begin`] stays.
    pub fn keep(&mut self) {
        self.undo = None;
    }

    /// What changed since [`Overlay::begin`] never was.
    pub fn roll_back(&mut self) {
        let undo = self.undo.take().unwrap_or_default();
        for (path, before) in undo.into_iter().rev() {
            self.order.pop_back();
            match before {
                Some(change) => self.changes.insert(path, change),
                None => self.changes.remove(&path),
            };
        }
    }

    fn insert(&mut self, path: &str, zxid: Zxid, change: Change) {
        let path: Box<str> = canonical(path).into();
        let before = self.changes.insert(path.clone(), change);
        self.order.push_back((zxid, path.clone()));
        if let Some(undo) = &mut self.undo {
            undo.push((path, before));
        }
    }
}

impl Change {
    fn zxid(&self) -> Zxid {
        match self {
            Change::Present(p) => p.zxid,
            Change::Deleted(zxid) => *zxid,
        }
    }
}

/// The root has two names.
fn canonical(path: &str) -> &str {
    if path.is_empty() {
        "/"
    } else {
        path
    }
}
