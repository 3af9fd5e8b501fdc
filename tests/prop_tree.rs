//! The tree against a model too simple to be wrong: a map from path to node, whose digest, counts
//! and children are computed anew each time they are asked for.
//!
//! The same random transactions go to both. Among them are such that fail and such that were
//! applied before, as in the replay of a log. Images are taken meanwhile, read in slices between
//! transactions, held against a copy of the model from the moment they began, and loaded.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jute::txn::{
    CreateContainerTxn, CreateTtlTxn, CreateTxn, DeleteTxn, SetAclTxn, SetDataTxn, Txn, TxnHeader,
};
use jute::{Acl, Id, StatPersisted};
use oxkeeper::tree::{
    ImageCursor, ImageHead, ImageNode, OwnerRules, QuotaText, Replica, ReplicaLoader, TreeOptions,
};
use oxkeeper::types::{SessionId, Zxid};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelNode {
    data: Option<Vec<u8>>,
    acl: Vec<Acl<'static>>,
    stat: StatPersisted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    /// By path; the root is "".
    nodes: BTreeMap<String, ModelNode>,
    sessions: BTreeMap<i64, i32>,
    zxid: i64,
}

fn open() -> Vec<Acl<'static>> {
    vec![Acl::open_unsafe()]
}

fn parent_of(path: &str) -> &str {
    &path[..path.rfind('/').expect("an absolute path")]
}

impl Model {
    fn new() -> Model {
        let mut nodes = BTreeMap::new();
        for path in ["", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            let stat = StatPersisted::default();
            nodes.insert(path.to_owned(), ModelNode { data: Some(vec![]), acl: open(), stat });
        }
        let config = nodes.get_mut("/zookeeper/config").expect("just made");
        config.acl[0].perms = 1;
        config.stat.aversion = -1;
        Model { nodes, sessions: BTreeMap::new(), zxid: 0 }
    }

    fn apply(&mut self, header: &TxnHeader, txn: &Txn<'_>) -> i32 {
        let err = match txn {
            Txn::Multi(parts) => {
                let failed = parts.iter().find_map(|part| match part {
                    Txn::Error(err) => Some(*err),
                    _ => None,
                });
                match failed {
                    Some(err) => err,
                    None => parts.iter().fold(0, |first, part| {
                        let err = self.apply_one(header, part);
                        if first == 0 {
                            err
                        } else {
                            first
                        }
                    }),
                }
            }
            txn => self.apply_one(header, txn),
        };
        self.zxid = self.zxid.max(header.zxid);
        err
    }

    fn apply_one(&mut self, header: &TxnHeader, txn: &Txn<'_>) -> i32 {
        let session = header.client_id;
        match txn {
            Txn::Create(t) => {
                let owner = if t.ephemeral { session } else { 0 };
                let err = self.create(header, &t.path, t.data, &t.acl, owner, t.parent_cversion);
                if err == -110 {
                    self.raise(header, parent_of(&t.path), t.parent_cversion);
                }
                err
            }
            Txn::Create2(t) => {
                let owner = if t.ephemeral { session } else { 0 };
                self.create(header, &t.path, t.data, &t.acl, owner, t.parent_cversion)
            }
            Txn::CreateContainer(t) => {
                self.create(header, &t.path, t.data, &t.acl, i64::MIN, t.parent_cversion)
            }
            Txn::CreateTtl(t) => {
                let owner = (0xff << 56) | t.ttl_ms;
                self.create(header, &t.path, t.data, &t.acl, owner, t.parent_cversion)
            }
            Txn::Delete(t) => self.delete(header, &t.path),
            Txn::SetData(t) => match self.nodes.get_mut(&*t.path) {
                Some(node) => {
                    node.data = t.data.map(<[u8]>::to_vec);
                    node.stat.version = t.version;
                    node.stat.mzxid = header.zxid;
                    node.stat.mtime = header.time_ms;
                    0
                }
                None => -101,
            },
            Txn::SetAcl(t) => match self.nodes.get_mut(&*t.path) {
                Some(node) => {
                    node.acl = t.acl.clone().map_or_else(open, owned);
                    node.stat.aversion = t.version;
                    0
                }
                None => -101,
            },
            Txn::CreateSession(timeout_ms) => {
                self.sessions.insert(session, *timeout_ms);
                0
            }
            Txn::CloseSession(listed) => {
                self.sessions.remove(&session);
                for path in listed.iter().flatten() {
                    self.delete(header, path);
                }
                for path in self.owned_by(session) {
                    self.delete(header, &path);
                }
                0
            }
            Txn::Error(err) => *err,
            other => unreachable!("not generated: {other:?}"),
        }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: Option<&[u8]>,
        acl: &Option<Vec<Acl<'_>>>,
        owner: i64,
        parent_cversion: i32,
    ) -> i32 {
        if !self.nodes.contains_key(parent_of(path)) {
            return -101;
        }
        let acl = acl.clone().map_or_else(open, owned);
        if let Some(node) = self.nodes.get_mut(path) {
            node.acl = acl;
            return -110;
        }
        self.raise(header, parent_of(path), parent_cversion);
        let stat = StatPersisted {
            czxid: header.zxid,
            mzxid: header.zxid,
            pzxid: header.zxid,
            ctime: header.time_ms,
            mtime: header.time_ms,
            ephemeral_owner: owner,
            ..StatPersisted::default()
        };
        let data = data.map(<[u8]>::to_vec);
        self.nodes.insert(path.to_owned(), ModelNode { data, acl, stat });
        0
    }

    fn raise(&mut self, header: &TxnHeader, path: &str, cversion: i32) {
        let stat = &mut self.nodes.get_mut(path).expect("looked up before").stat;
        let cversion = if cversion == -1 { stat.cversion.wrapping_add(1) } else { cversion };
        if cversion > stat.cversion {
            stat.cversion = cversion;
            stat.pzxid = header.zxid;
        }
    }

    fn delete(&mut self, header: &TxnHeader, path: &str) -> i32 {
        let Some(parent) = self.nodes.get_mut(parent_of(path)) else { return -101 };
        parent.stat.pzxid = parent.stat.pzxid.max(header.zxid);
        if self.nodes.remove(path).is_none() {
            return -101;
        }
        let below = format!("{path}/");
        self.nodes.retain(|other, _| !other.starts_with(&below));
        0
    }

    fn owned_by(&self, session: i64) -> BTreeSet<String> {
        let owned = self.nodes.iter().filter(|(_, node)| node.stat.ephemeral_owner == session);
        owned.map(|(path, _)| path.clone()).collect()
    }

    fn children(&self, path: &str) -> BTreeSet<&str> {
        let paths = self.nodes.keys().filter(|child| !child.is_empty());
        let children = paths.filter(|child| parent_of(child) == path);
        children.map(|child| &child[path.len() + 1..]).collect()
    }

    fn digest(&self) -> u64 {
        let counted = self.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        counted.fold(0, |sum, (path, node)| {
            let s = &node.stat;
            let mut bytes = path.clone().into_bytes();
            bytes.extend(node.data.iter().flatten());
            for long in [s.czxid, s.mzxid, s.pzxid, s.ctime, s.mtime] {
                bytes.extend(long.to_be_bytes());
            }
            for int in [s.version, s.cversion, s.aversion] {
                bytes.extend(int.to_be_bytes());
            }
            bytes.extend(s.ephemeral_owner.to_be_bytes());
            u64::from(crc32fast::hash(&bytes)).wrapping_add(sum)
        })
    }

    fn size(&self) -> u64 {
        let sizes = self.nodes.iter().map(|(path, node)| {
            path.encode_utf16().count() + node.data.as_ref().map_or(0, Vec::len)
        });
        1 + sizes.sum::<usize>() as u64
    }

    /// Everything that a replica tells of itself.
    fn compare(&self, replica: &Replica) {
        assert_eq!(replica.digest(), self.digest());
        assert_eq!(replica.last_zxid(), Zxid(self.zxid));
        assert_eq!(replica.node_count(), self.nodes.len() + 1);
        assert_eq!(replica.approximate_data_size(), self.size());
        let sessions = self.sessions.iter().map(|(id, timeout)| (SessionId(*id), *timeout));
        assert!(replica.sessions().eq(sessions));
        for (path, node) in &self.nodes {
            let there = replica.get(path).unwrap_or_else(|| panic!("{path:?} is missing"));
            assert_eq!(there.path(), if path.is_empty() { "/" } else { path });
            assert_eq!(there.data(), node.data.as_deref(), "{path:?}");
            assert_eq!(there.stat_persisted(), node.stat, "{path:?}");
            assert_eq!(**there.acl(), *node.acl, "{path:?}");
            let children = self.children(path);
            assert_eq!(there.children().collect::<BTreeSet<_>>(), children, "{path:?}");
            let stat = there.stat();
            let count = children.len() as i32;
            assert_eq!((stat.num_children, there.child_count()), (count, children.len()));
            assert_eq!(stat.cversion, node.stat.cversion.wrapping_mul(2).wrapping_sub(count));
            let below = format!("{path}/");
            let below = self.nodes.keys().filter(|other| other.starts_with(&below)).count();
            if !path.is_empty() {
                assert_eq!(replica.descendant_count(path), Some(below as i32));
            }
        }
        for session in SESSIONS {
            let owned: BTreeSet<String> = replica.ephemerals_of(SessionId(session)).collect();
            assert_eq!(owned, self.owned_by(session));
        }
        let lists: BTreeSet<Vec<u8>> = self
            .nodes
            .values()
            .filter(|node| node.acl != open())
            .map(|node| format!("{:?}", node.acl).into_bytes())
            .collect();
        assert_eq!(replica.acl_count(), lists.len());
    }
}

fn owned(acl: Vec<Acl<'_>>) -> Vec<Acl<'static>> {
    acl.into_iter().map(Acl::into_owned).collect()
}

const SESSIONS: [i64; 2] = [11, 12];

/// One step of a run.
#[derive(Debug, Clone)]
enum Step {
    Apply {
        session: i64,
        txn: Txn<'static>,
    },
    /// Applies an earlier transaction again, with its zxid.
    Again(usize),
    BeginImage,
    Slice(usize),
    AbortImage,
}

fn any_path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "\u{e4}\u{4e2d}"]);
    vec(name, 1..4).prop_map(|names| names.iter().map(|name| format!("/{name}")).collect())
}

/// A path that may be changed but is there from the beginning.
fn any_target() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => any_path(),
        1 => Just(String::new()),
        1 => Just("/zookeeper".to_owned()),
        1 => Just("/zookeeper/config".to_owned()),
    ]
}

fn any_data() -> impl Strategy<Value = Option<&'static [u8]>> {
    prop::sample::select(vec![None, Some(&b""[..]), Some(b"x"), Some(b"y"), Some(b"longer data")])
}

fn any_acl() -> impl Strategy<Value = Option<Vec<Acl<'static>>>> {
    let entry = |perms, id| Acl::new(perms, Id::new("ip", id));
    prop::sample::select(vec![
        None,
        Some(open()),
        Some(vec![]),
        Some(vec![entry(31, "::1")]),
        Some(vec![entry(31, "::2"), Acl { perms: 1, ..Acl::open_unsafe() }]),
    ])
}

fn any_cversion() -> impl Strategy<Value = i32> {
    prop_oneof![8 => Just(-1), 2 => -3..20, 1 => Just(i32::MAX)]
}

fn any_create() -> impl Strategy<Value = Txn<'static>> {
    let parts = (any_path(), any_data(), any_acl(), any_cversion(), 0..6);
    parts.prop_map(|(path, data, acl, parent_cversion, kind)| {
        let path = Cow::Owned(path);
        match kind {
            0 => Txn::CreateContainer(CreateContainerTxn { path, data, acl, parent_cversion }),
            1 => Txn::CreateTtl(CreateTtlTxn { path, data, acl, parent_cversion, ttl_ms: 5 }),
            2 => Txn::Create2(CreateTxn { path, data, acl, ephemeral: false, parent_cversion }),
            kind => {
                let ephemeral = kind == 3;
                Txn::Create(CreateTxn { path, data, acl, ephemeral, parent_cversion })
            }
        }
    })
}

fn any_change() -> impl Strategy<Value = Txn<'static>> {
    prop_oneof![
        6 => any_create(),
        3 => any_path().prop_map(|path| Txn::Delete(DeleteTxn { path: path.into() })),
        4 => (any_target(), any_data(), -2..5).prop_map(|(path, data, version)| {
            Txn::SetData(SetDataTxn { path: path.into(), data, version })
        }),
        2 => (any_target(), any_acl(), -2..5).prop_map(|(path, acl, version)| {
            Txn::SetAcl(SetAclTxn { path: path.into(), acl, version })
        }),
        1 => Just(Txn::Error(-103)),
    ]
}

fn any_txn() -> impl Strategy<Value = Txn<'static>> {
    prop_oneof![
        20 => any_change(),
        2 => vec(any_change(), 0..5).prop_map(Txn::Multi),
        1 => Just(Txn::CreateSession(4000)),
        1 => Just(Txn::CloseSession(None)),
        1 => vec(any_path().prop_map(Cow::Owned), 0..3)
            .prop_map(|paths| Txn::CloseSession(Some(paths))),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (prop::sample::select(SESSIONS.to_vec()), any_txn())
            .prop_map(|(session, txn)| Step::Apply { session, txn }),
        2 => any::<prop::sample::Index>().prop_map(|i| Step::Again(i.index(1 << 20))),
        2 => Just(Step::BeginImage),
        4 => (1usize..400).prop_map(Step::Slice),
        1 => Just(Step::AbortImage),
    ]
}

/// An image on its way, and what it must show.
struct Reading {
    head: ImageHead,
    cursor: ImageCursor,
    model: Model,
    acls: BTreeMap<i64, Vec<Acl<'static>>>,
    /// In the order of arrival: parents must come first.
    nodes: Vec<(String, ModelNode, i64)>,
}

impl Reading {
    fn begin(replica: &mut Replica, model: &Model) -> Reading {
        let head = replica.begin_image();
        let acls = head.acls.iter().map(|(id, list)| (id.number(), list.to_vec())).collect();
        let cursor = head.cursor();
        Reading { head, cursor, model: model.clone(), acls, nodes: Vec::new() }
    }

    /// True if there is more.
    fn slice(&mut self, replica: &Replica, max_bytes: usize) -> bool {
        let Reading { cursor, acls, nodes, .. } = self;
        replica.image_slice(cursor, max_bytes, &mut |node: ImageNode<'_>| {
            let acl = node.acl.number();
            let list = if acl == -1 { open() } else { acls[&acl].clone() };
            let data = node.data.map(<[u8]>::to_vec);
            let seen = ModelNode { data, acl: list, stat: node.stat };
            nodes.push((node.path.to_owned(), seen, acl));
        })
    }

    /// Holds the image against the model of its instant, and loads it.
    fn finish(self, options: TreeOptions) {
        assert_eq!(self.head.digest, self.model.digest());
        assert_eq!(self.head.nodes, self.nodes.len());
        let mut loader = ReplicaLoader::new(options);
        for (session, timeout_ms) in &self.head.sessions {
            loader.session(*session, *timeout_ms);
        }
        for (number, list) in &self.acls {
            loader.acl(*number, list);
        }
        for (path, node, acl) in &self.nodes {
            let loaded = loader.node(path, node.data.as_deref(), *acl, &node.stat);
            loaded.expect("parents come before their children, and once");
        }
        loader.digest(self.head.zxid, 2, self.head.digest);
        let loaded = loader.finish(self.head.zxid).expect("an image is a tree");
        assert_eq!(loaded.digest_mismatches(), 0);
        self.model.compare(&loaded);
        let seen: BTreeMap<_, _> = self.nodes.into_iter().map(|(p, node, _)| (p, node)).collect();
        assert_eq!(seen, self.model.nodes);
    }
}

fn options(hash_seed: u64) -> TreeOptions {
    let owners = OwnerRules { extended_types: true, emulate_353_ttl: false };
    TreeOptions { hash_seed, owners, digest_enabled: true }
}

fn run(steps: &[Step], seed: u64) {
    let mut replica = Replica::new(options(seed));
    let mut model = Model::new();
    let mut log: Vec<(TxnHeader, Txn<'static>)> = Vec::new();
    let mut reading: Option<Reading> = None;
    for step in steps {
        let entry = match step {
            Step::Apply { session, txn } => {
                let zxid = model.zxid + 1;
                let time_ms = 1_000 + zxid;
                let kind = txn.kind();
                log.push((
                    TxnHeader { client_id: *session, cxid: 1, zxid, time_ms, kind },
                    txn.clone(),
                ));
                log.last()
            }
            Step::Again(_) if log.is_empty() => None,
            Step::Again(at) => log.get(at % log.len()),
            Step::BeginImage => {
                if reading.is_none() {
                    reading = Some(Reading::begin(&mut replica, &model));
                }
                None
            }
            Step::Slice(max_bytes) => {
                if reading.as_mut().is_some_and(|r| !r.slice(&replica, *max_bytes)) {
                    reading.take().expect("just read").finish(options(seed + 1));
                    drop(replica.end_image());
                }
                None
            }
            Step::AbortImage => {
                reading = None;
                drop(replica.end_image());
                None
            }
        };
        if let Some((header, txn)) = entry {
            let applied = replica.apply(header, txn, &mut Vec::new());
            assert_eq!(applied.err, model.apply(header, txn), "{txn:?}");
            assert_eq!(replica.digest(), model.digest(), "{txn:?}");
        }
    }
    model.compare(&replica);
    if let Some(mut reading) = reading {
        while reading.slice(&replica, 100) {}
        reading.finish(options(seed + 1));
        drop(replica.end_image());
    }
    let mut last = Reading::begin(&mut replica, &model);
    while last.slice(&replica, 1) {}
    last.finish(options(seed + 1));
}

proptest! {
    #[test]
    fn the_tree_is_its_model(steps in vec(any_step(), 0..120), seed: u32) {
        run(&steps, u64::from(seed));
    }

    /// The figures that the server keeps up are those that counting gives.
    #[test]
    fn quota_figures_are_exact(txns in vec(any_txn(), 0..60)) {
        let mut replica = Replica::new(options(1));
        let mut model = Model::new();
        let mut apply = |replica: &mut Replica, txn: &Txn<'_>| {
            let zxid = model.zxid + 1;
            let header = TxnHeader { client_id: 11, cxid: 1, zxid, time_ms: 1, kind: txn.kind() };
            replica.apply(&header, txn, &mut Vec::new());
            model.apply(&header, txn);
            let below = |path: &str| path == "/a" || path.starts_with("/a/");
            let nodes = model.nodes.iter().filter(|(path, _)| below(path));
            nodes.fold((0, 0), |(count, bytes), (_, node)| {
                (count + 1, bytes + node.data.as_ref().map_or(0, Vec::len) as i64)
            })
        };
        for path in ["/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_limits",
            "/zookeeper/quota/a/zookeeper_stats"] {
            apply(&mut replica, &Txn::Create(CreateTxn {
                path: path.into(), data: None, acl: None, ephemeral: false, parent_cversion: -1,
            }));
        }
        for txn in &txns {
            let (count, bytes) = apply(&mut replica, txn);
            prop_assert_eq!(replica.quota_figures("/a"), QuotaText::figures(count, bytes));
        }
    }
}
