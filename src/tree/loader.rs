//! Building a replica from a snapshot.

use std::collections::BTreeMap;

use jute::{Acl, StatPersisted};

use super::acl_table::AclId;
use super::arena::NodeId;
use super::quota::{LIMITS_NAME, QUOTA_PATH};
use super::replica::{AwaitedDigest, Replica, TreeOptions};
use crate::types::{SessionId, Zxid};

/// Why a snapshot makes no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("node {0:?} comes before its parent, or without one")]
    NoParent(String),
    #[error("node {0:?} comes twice")]
    Twice(String),
    #[error("{0:?} is no path of a node in a snapshot")]
    Path(String),
    #[error("there is no root node")]
    NoRoot,
}

/// Takes a snapshot's parts in the order of the file: sessions, access lists, nodes.
pub struct ReplicaLoader {
    replica: Replica,
    acls: BTreeMap<i64, AclId>,
    /// The parent of the last node: the next one often has the same.
    parent: Option<(String, NodeId)>,
}

impl ReplicaLoader {
    /// Nothing yet, not even a root.
    pub fn new(options: TreeOptions) -> ReplicaLoader {
        let replica = Replica::empty(options);
        ReplicaLoader { replica, acls: BTreeMap::new(), parent: None }
    }

    /// A session and its timeout.
    pub fn session(&mut self, session: SessionId, timeout_ms: i32) {
        self.replica.sessions.insert(session, timeout_ms);
    }

    /// An access list and its number in the file. Numbers are the file's own; ours may differ.
    pub fn acl(&mut self, number: i64, list: &[Acl<'_>]) {
        let id = self.replica.acls.intern(Some(list));
        self.acls.insert(number, id);
    }

    /// A node. The root has the path "" and comes first; parents come before their children.
    pub fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        let replica = &mut self.replica;
        let acl = match acl {
            -1 => AclId::OPEN,
            number => *self.acls.entry(number).or_insert_with(|| {
                // The file does not say who may do what (ZOOKEEPER-4689): nobody then, until a
                // setACL, or a create that is replayed, says it again.
                replica.acls.intern(Some(&[Acl { perms: 0, ..Acl::open_unsafe() }]))
            }),
        };
        if path.is_empty() {
            if replica.live > 0 {
                return Err(LoadError::Twice(path.to_owned()));
            }
            replica.acls.acquire_id(acl);
            replica.attach_root(data, acl, stat);
            return Ok(());
        }
        let (above, name) =
            path.rsplit_once('/').ok_or_else(|| LoadError::Path(path.to_owned()))?;
        if name.is_empty() {
            return Err(LoadError::Path(path.to_owned()));
        }
        let parent = self.find_parent(above).ok_or_else(|| LoadError::NoParent(path.to_owned()))?;
        let replica = &mut self.replica;
        if replica.index.find(&replica.arena, parent, name).is_some() {
            return Err(LoadError::Twice(path.to_owned()));
        }
        replica.acls.acquire_id(acl);
        replica.attach(parent, name, path, data, Some(acl), stat);
        Ok(())
    }

    /// The digest the snapshot claims to have at `zxid`, which may be after the one in its name:
    /// digests are not compared before.
    pub fn digest(&mut self, zxid: Zxid, version: i32, digest: u64) {
        let claimed = zxid.0 > 0;
        self.replica.awaited_digest = claimed.then_some(AwaitedDigest { zxid, version, digest });
    }

    /// The replica, at the zxid in the snapshot's name. Quotas are counted anew.
    pub fn finish(mut self, zxid: Zxid) -> Result<Replica, LoadError> {
        let replica = &mut self.replica;
        if replica.live == 0 {
            return Err(LoadError::NoRoot);
        }
        replica.acls.purge_unused();
        replica.last_zxid = zxid;
        // A digest of before belongs to another time (a new leader's first snapshot).
        replica.awaited_digest = replica.awaited_digest.filter(|a| a.zxid >= zxid);
        if replica.awaited_digest.is_some_and(|a| a.zxid == zxid) {
            replica.note_digest(zxid);
        }
        replica.set_up_quotas();
        Ok(self.replica)
    }

    fn find_parent(&mut self, above: &str) -> Option<NodeId> {
        if let Some((path, id)) = &self.parent {
            if path == above {
                return Some(*id);
            }
        }
        if self.replica.live == 0 {
            return None;
        }
        let id = self.replica.find(above)?;
        let path = match self.parent.take() {
            Some((mut path, _)) => {
                path.clear();
                path.push_str(above);
                path
            }
            None => above.to_owned(),
        };
        self.parent = Some((path, id));
        Some(id)
    }
}

impl Replica {
    /// Activates every quota whose limits are in the tree (`DataTree.setupQuota`).
    fn set_up_quotas(&mut self) {
        let Some(top) = self.find(QUOTA_PATH) else { return };
        let next = |id: &NodeId| self.arena.next_below(top, *id);
        let roots: Vec<String> = std::iter::successors(Some(top), next)
            .filter(|id| {
                let node = &self.arena[*id];
                node.child_count == 0 && node.name_bytes() == LIMITS_NAME.as_bytes()
            })
            .filter_map(|id| {
                let path = self.path_of(id);
                let root = path.strip_prefix(QUOTA_PATH)?.strip_suffix(LIMITS_NAME)?;
                root.strip_suffix('/').filter(|root| !root.is_empty()).map(str::to_owned)
            })
            .collect();
        for root in roots {
            self.recount_quota(&root);
            self.quotas.insert(&root);
        }
    }
}
