//! The replicated state and how it is read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::quality::FixedState;
use jute::{Acl, Stat, StatPersisted};

use super::acl_table::{AclId, AclTable};
use super::arena::{Arena, NodeId, Znode};
use super::digest::{is_digested, node_digest, path_data_crc, DIGEST_VERSION};
use super::image::Image;
use super::index::NameIndex;
use super::owner::{Owner, OwnerRules};
use super::quota::{limits_path, stats_path, QuotaRoots, QuotaText};
use crate::types::{SessionId, Zxid};

/// What a replica must know that is not in its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeOptions {
    /// For the hash tables: random in the server, from the seed in the simulator.
    pub hash_seed: u64,
    /// Must be the same on all servers of an ensemble.
    pub owners: OwnerRules,
    /// `digest.enabled`. When off, the digest is 0.
    pub digest_enabled: bool,
}

impl Default for TreeOptions {
    fn default() -> Self {
        TreeOptions { hash_seed: 0, owners: OwnerRules::default(), digest_enabled: true }
    }
}

/// The state that every server of an ensemble has: the tree and the sessions.
///
/// Changes only by [`apply`](Replica::apply). Readers share it, writers have it alone.
pub struct Replica {
    pub(super) options: TreeOptions,
    pub(super) arena: Arena,
    pub(super) index: NameIndex,
    pub(super) acls: AclTable,
    /// Nodes, the root counted once.
    pub(super) live: usize,
    /// With their timeouts in ms.
    pub(super) sessions: BTreeMap<SessionId, i32>,
    /// By owner, which need not be a session that exists. A set may be empty: it goes when the
    /// session is closed (Apache's `dump` counts it until then).
    pub(super) ephemerals: BTreeMap<SessionId, BTreeSet<NodeId>>,
    pub(super) containers: BTreeSet<NodeId>,
    pub(super) ttl_nodes: BTreeSet<NodeId>,
    pub(super) quotas: QuotaRoots,
    pub(super) last_zxid: Zxid,
    pub(super) digest: u64,
    pub(super) digest_log: VecDeque<(Zxid, u64)>,
    /// Of the snapshot that was loaded; digests mean nothing until its zxid is reached.
    pub(super) awaited_digest: Option<AwaitedDigest>,
    pub(super) digest_mismatches: u64,
    /// Bytes of data, and of paths as Java counts them.
    pub(super) data_size: u64,
    pub(super) image: Option<Image>,
    pub(super) image_serial: u64,
    /// Deleted nodes whose slots an image still needed.
    pub(super) ghosts: Vec<NodeId>,
}

/// The digest that a snapshot claims, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct AwaitedDigest {
    pub zxid: Zxid,
    pub version: i32,
    pub digest: u64,
}

impl Replica {
    /// A fresh tree: `/`, `/zookeeper`, `/zookeeper/quota`, `/zookeeper/config`.
    pub fn new(options: TreeOptions) -> Replica {
        let mut replica = Replica::empty(options);
        let stat = StatPersisted::default();
        let data = Some(&b""[..]);
        replica.attach_root(data, AclId::OPEN, &stat);
        let system = replica.attach(NodeId::ROOT, "zookeeper", "/zookeeper", data, None, &stat);
        replica.attach(system, "quota", "/zookeeper/quota", data, None, &stat);
        replica.add_config_node();
        replica
    }

    /// Directories of servers before 3.5 have none.
    pub(super) fn add_config_node(&mut self) {
        let Some(system) = self.find("/zookeeper") else { return };
        if self.find(CONFIG_PATH).is_some() {
            return;
        }
        // Only super may change the configuration's node (ZOOKEEPER-2014).
        let read = Acl { perms: 1, ..Acl::open_unsafe() };
        let acl = self.acls.acquire(Some(&[read]));
        let stat = StatPersisted { aversion: -1, ..StatPersisted::default() };
        self.attach(system, "config", CONFIG_PATH, Some(b""), Some(acl), &stat);
    }

    pub(super) fn empty(options: TreeOptions) -> Replica {
        let seed = FixedState::with_seed(options.hash_seed);
        Replica {
            options,
            arena: Arena::new(),
            index: NameIndex::new(seed),
            acls: AclTable::new(seed),
            live: 0,
            sessions: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            containers: BTreeSet::new(),
            ttl_nodes: BTreeSet::new(),
            quotas: QuotaRoots::default(),
            last_zxid: Zxid::ZERO,
            digest: 0,
            digest_log: VecDeque::new(),
            awaited_digest: None,
            digest_mismatches: 0,
            data_size: 0,
            image: None,
            image_serial: 0,
            ghosts: Vec::new(),
        }
    }

    /// The last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// What the replica was made with.
    pub fn options(&self) -> TreeOptions {
        self.options
    }

    /// The tree's digest, version 2; 0 if digests are off.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The digests at every 128th zxid, oldest first, 1024 at most.
    pub fn digest_log(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.digest_log.iter().copied()
    }

    /// How often a digest was not what a transaction or a snapshot said.
    pub fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches
    }

    /// The node of a path. "" is the root as well; no path rules: a trailing slash finds nothing.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        if path.is_empty() || path == "/" {
            return Some(NodeId::ROOT);
        }
        let mut at = NodeId::ROOT;
        for name in path.strip_prefix('/')?.split('/') {
            at = self.index.find(&self.arena, at, name)?;
        }
        Some(at)
    }

    /// The node of an id that [`find`](Replica::find) gave since the last change.
    pub fn node(&self, id: NodeId) -> NodeRef<'_> {
        NodeRef { replica: self, node: &self.arena[id], id }
    }

    /// The node of a path.
    pub fn get(&self, path: &str) -> Option<NodeRef<'_>> {
        self.find(path).map(|id| self.node(id))
    }

    /// A list in use.
    pub fn acl(&self, id: AclId) -> &Arc<[Acl<'static>]> {
        self.acls.get(id)
    }

    /// How many lists are in use, but the open one.
    pub fn acl_count(&self) -> usize {
        self.acls.len()
    }

    /// getAllChildrenNumber: the nodes below `path`; `None` without the node. Walks them all. "",
    /// an alias of the root to everybody else, counts the root too, as Apache has it.
    pub fn descendant_count(&self, path: &str) -> Option<i32> {
        let top = self.find(path)?;
        let count = match path {
            "" => self.live,
            "/" => self.live - 1,
            _ => {
                let next = |id: &NodeId| self.arena.next_below(top, *id);
                std::iter::successors(Some(top), next).count() - 1
            }
        };
        Some(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// The ephemeral nodes of a session, oldest slot first.
    pub fn ephemerals_of(&self, session: SessionId) -> impl Iterator<Item = String> + '_ {
        self.ephemerals.get(&session).into_iter().flatten().map(|id| self.path_of(*id))
    }

    /// Sessions that have, or since they began have had, ephemeral nodes, with how many.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = (SessionId, usize)> + '_ {
        self.ephemerals.iter().map(|(session, nodes)| (*session, nodes.len()))
    }

    /// All sessions with their timeouts in ms.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        self.sessions.iter().map(|(id, timeout_ms)| (*id, *timeout_ms))
    }

    /// A session's timeout in ms, if there is such a session.
    pub fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    /// The deepest active quota root at or above `path`.
    pub fn quota_root(&self, path: &str) -> Option<&str> {
        self.quotas.deepest(path)
    }

    /// The limits of a quota root. What can't be read sets no limit.
    pub fn quota_limits(&self, root: &str) -> QuotaText {
        self.quota_text(&limits_path(root))
    }

    /// The figures of a quota root.
    pub fn quota_figures(&self, root: &str) -> QuotaText {
        self.quota_text(&stats_path(root))
    }

    fn quota_text(&self, path: &str) -> QuotaText {
        let data = self.get(path).and_then(|node| node.data());
        data.and_then(QuotaText::parse).unwrap_or_default()
    }

    /// Nodes as Apache counts them: the root twice. A fresh tree has 5.
    pub fn node_count(&self) -> usize {
        self.live + 1
    }

    /// Bytes of paths and data as Apache's `approximateDataSize` counts them: paths in UTF-16
    /// units, the root's as 0 and 1. A fresh tree has 44.
    pub fn approximate_data_size(&self) -> u64 {
        self.data_size
    }

    /// All ephemeral nodes.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// All container nodes.
    pub fn container_count(&self) -> usize {
        self.containers.len()
    }

    /// All TTL nodes.
    pub fn ttl_count(&self) -> usize {
        self.ttl_nodes.len()
    }

    /// The containers and TTL nodes whose time has come at `now_wall_ms`: containers that had
    /// children and have none, or, if `never_used_ms` is not 0, never had any for so long; TTL
    /// nodes without children that were not changed for their time (`ContainerManager`).
    pub fn reaper_candidates(&self, now_wall_ms: i64, never_used_ms: i64) -> Vec<String> {
        let age = |node: &Znode| now_wall_ms.wrapping_sub(node.mtime);
        let containers = self.containers.iter().filter(|id| {
            let node = &self.arena[**id];
            let unused = never_used_ms != 0 && age(node) > never_used_ms;
            node.child_count == 0 && (node.cversion > 0 || unused)
        });
        let ttl_nodes = self.ttl_nodes.iter().filter(|id| {
            let node = &self.arena[**id];
            let Owner::Ttl(ttl_ms) = self.options.owners.read(node.owner) else { return false };
            node.child_count == 0 && ttl_ms != 0 && age(node) > ttl_ms
        });
        containers.chain(ttl_nodes).map(|id| self.path_of(*id)).collect()
    }

    /// The path of a node; the root is "/".
    pub(super) fn path_of(&self, id: NodeId) -> String {
        if id == NodeId::ROOT {
            return "/".to_owned();
        }
        let mut path = String::new();
        self.arena.path_into(id, &mut path);
        path
    }

    /// The digest of a node, 0 if it does not count.
    pub(super) fn digest_of(&self, id: NodeId, path: &str) -> u64 {
        if !self.options.digest_enabled {
            return 0;
        }
        let node = &self.arena[id];
        node_digest(node.path_data_crc, path, &node.stat())
    }

    pub(super) fn path_data_crc(&self, path: &str, data: Option<&[u8]>) -> u32 {
        if self.options.digest_enabled && is_digested(path) {
            path_data_crc(path, data)
        } else {
            0
        }
    }

    /// Puts a new node below `parent`; the parent's stat stays as it is. Takes over the use of
    /// the access list.
    pub(super) fn attach(
        &mut self,
        parent: NodeId,
        name: &str,
        path: &str,
        data: Option<&[u8]>,
        acl: Option<AclId>,
        stat: &StatPersisted,
    ) -> NodeId {
        let mut node = Znode::new(name, data, acl.unwrap_or(AclId::OPEN), stat);
        node.path_data_crc = self.path_data_crc(path, data);
        self.data_size += utf16_len(path) + node.data_len() as u64;
        let id = self.arena.insert(node);
        if let Some(image) = &mut self.image {
            image.is_born(id);
        }
        self.arena.link_child(parent, id);
        self.index.insert(&self.arena, id);
        self.live += 1;
        self.digest = self.digest.wrapping_add(self.digest_of(id, path));
        match self.options.owners.read(stat.ephemeral_owner) {
            Owner::Nobody => false,
            Owner::Session(session) => self.ephemerals.entry(session).or_default().insert(id),
            Owner::Container => self.containers.insert(id),
            Owner::Ttl(_) => self.ttl_nodes.insert(id),
        };
        id
    }

    pub(super) fn attach_root(&mut self, data: Option<&[u8]>, acl: AclId, stat: &StatPersisted) {
        let mut node = Znode::new("", data, acl, stat);
        node.path_data_crc = self.path_data_crc("", data);
        self.data_size += 1 + node.data_len() as u64;
        let id = self.arena.insert(node);
        assert_eq!(id, NodeId::ROOT, "the root is the first node");
        self.live += 1;
        self.digest = self.digest.wrapping_add(self.digest_of(id, ""));
    }

    /// Takes a node without children out of the tree; the parent's stat stays as it is.
    pub(super) fn detach(&mut self, id: NodeId, path: &str) {
        self.digest = self.digest.wrapping_sub(self.digest_of(id, path));
        let node = &self.arena[id];
        let (owner, acl) = (node.owner, node.acl);
        self.data_size -= utf16_len(path) + node.data_len() as u64;
        match self.options.owners.read(owner) {
            Owner::Nobody => false,
            Owner::Session(session) => {
                self.ephemerals.get_mut(&session).is_some_and(|nodes| nodes.remove(&id))
            }
            Owner::Container => self.containers.remove(&id),
            Owner::Ttl(_) => self.ttl_nodes.remove(&id),
        };
        self.index.remove(&self.arena, id);
        self.arena.unlink_child(id);
        self.live -= 1;
        let image = self.image.as_mut();
        if image.is_some_and(|image| image.before_removal(&mut self.arena, id, path)) {
            let node = &mut self.arena[id];
            node.parent = NodeId::GHOST;
            drop(node.take_content());
            self.ghosts.push(id);
        } else {
            self.arena.remove(id);
        }
        self.acls.release(acl);
    }

    /// Compares with the digest that came with the transaction just applied. `None` if there is
    /// nothing to compare: digests off, none given, another version, or a snapshot's own zxid not
    /// reached yet.
    pub(super) fn compare_digest(&mut self, digest: Option<&jute::txn::TxnDigest>) -> Option<bool> {
        let digest = digest.filter(|d| d.version == DIGEST_VERSION)?;
        if !self.options.digest_enabled || self.awaited_digest.is_some() {
            return None;
        }
        let matches = digest.tree_digest as u64 == self.digest;
        self.digest_mismatches += u64::from(!matches);
        Some(matches)
    }

    /// Notes that `zxid` is applied: its digest goes into the log, or is the one awaited since a
    /// snapshot was loaded.
    pub(super) fn note_digest(&mut self, zxid: Zxid) {
        match self.awaited_digest {
            Some(awaited) if zxid >= awaited.zxid => {
                self.awaited_digest = None;
                let told = zxid == awaited.zxid && awaited.version == DIGEST_VERSION;
                let wrong = told && awaited.digest != self.digest;
                self.digest_mismatches += u64::from(wrong && self.options.digest_enabled);
            }
            Some(_) => {}
            None if zxid.0 % DIGEST_LOG_INTERVAL == 0 => {
                if self.digest_log.len() == DIGEST_LOG_MAX {
                    self.digest_log.pop_front();
                }
                self.digest_log.push_back((zxid, self.digest));
            }
            None => {}
        }
    }
}

/// A node to be read.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    replica: &'a Replica,
    node: &'a Znode,
    id: NodeId,
}

impl<'a> NodeRef<'a> {
    /// Its id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Null is not empty.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.node.data()
    }

    /// What clients are told.
    pub fn stat(&self) -> Stat {
        client_stat(self.node, self.replica.options.owners)
    }

    /// What snapshots and the digest have.
    pub fn stat_persisted(&self) -> StatPersisted {
        self.node.stat()
    }

    /// The first part of the node's digest, for predicting the next one.
    pub fn path_data_crc(&self) -> u32 {
        self.node.path_data_crc
    }

    /// The number of its access list.
    pub fn acl_id(&self) -> AclId {
        self.node.acl
    }

    /// Its access list.
    pub fn acl(&self) -> &'a Arc<[Acl<'static>]> {
        self.replica.acls.get(self.node.acl)
    }

    /// Names of the children, in the order of their creation. Clients must not rely on any order,
    /// but those that do by accident get on with this one.
    pub fn children(&self) -> impl Iterator<Item = &'a str> + 'a {
        self.each_child().map(Znode::name)
    }

    /// Their names as UTF-8, in the same order.
    pub fn children_bytes(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.each_child().map(Znode::name_bytes)
    }

    fn each_child(&self) -> impl Iterator<Item = &'a Znode> + 'a {
        let arena = &self.replica.arena;
        let next = move |id: &NodeId| arena[*id].next_sibling.some();
        std::iter::successors(self.node.first_child.some(), next).map(move |id| &arena[id])
    }

    /// How many children there are.
    pub fn child_count(&self) -> usize {
        self.node.child_count as usize
    }

    /// What kind of node it is, and whose.
    pub fn owner(&self) -> Owner {
        self.replica.options.owners.read(self.node.owner)
    }

    /// Its path; the root is "/".
    pub fn path(&self) -> String {
        self.replica.path_of(self.id)
    }
}

pub(super) fn client_stat(node: &Znode, owners: OwnerRules) -> Stat {
    Stat {
        czxid: node.czxid,
        mzxid: node.mzxid,
        ctime: node.ctime,
        mtime: node.mtime,
        version: node.version,
        // Deletions are not stored: every creation was followed by one but for who is there.
        cversion: node.cversion.wrapping_mul(2).wrapping_sub(node.child_count as i32),
        aversion: node.aversion,
        ephemeral_owner: owners.shown(node.owner),
        data_length: node.data_len() as i32,
        num_children: node.child_count as i32,
        pzxid: node.pzxid,
    }
}

/// The length of a Java string.
fn utf16_len(text: &str) -> u64 {
    text.bytes().map(|b| u64::from(b & 0xc0 != 0x80) + u64::from(b >= 0xf0)).sum()
}

/// The node with the text of the ensemble's configuration.
pub const CONFIG_PATH: &str = "/zookeeper/config";
/// Apache's `DIGEST_LOG_INTERVAL`.
const DIGEST_LOG_INTERVAL: i64 = 128;
/// Apache's `DIGEST_LOG_LIMIT`.
const DIGEST_LOG_MAX: usize = 1024;
