//! The tree against facts about Apache 3.9.5.

use std::borrow::Cow;

use jute::txn::{
    CheckVersionTxn, CreateContainerTxn, CreateTtlTxn, CreateTxn, DeleteTxn, SetAclTxn, SetDataTxn,
    Txn, TxnDigest, TxnHeader, TxnRecord,
};
use jute::{Acl, Stat, StatPersisted};

use super::*;
use crate::types::{EventKind, SessionId, Table, Zxid};

const TIME: i64 = 1_795_223_887_849;

/// A replica that counts its transactions.
struct Tree {
    replica: Replica,
    zxid: i64,
    fired: Vec<Fired>,
}

impl Tree {
    fn new() -> Tree {
        Tree::with(TreeOptions::default())
    }

    fn with(options: TreeOptions) -> Tree {
        Tree { replica: Replica::new(options), zxid: 0, fired: Vec::new() }
    }

    fn apply(&mut self, txn: Txn<'_>) -> Applied {
        self.apply_as(7, txn)
    }

    fn apply_as(&mut self, session: i64, txn: Txn<'_>) -> Applied {
        self.zxid += 1;
        self.apply_at(session, self.zxid, txn)
    }

    fn apply_at(&mut self, session: i64, zxid: i64, txn: Txn<'_>) -> Applied {
        let header =
            TxnHeader { client_id: session, cxid: 1, zxid, time_ms: TIME, kind: txn.kind() };
        self.fired.clear();
        self.replica.apply(&header, &txn, &mut self.fired)
    }

    fn stat(&self, path: &str) -> Stat {
        self.replica.get(path).expect(path).stat()
    }

    fn data(&self, path: &str) -> &str {
        let data = self.replica.get(path).expect(path).data().expect("not null");
        std::str::from_utf8(data).expect("text")
    }

    fn fired(&self) -> Vec<(EventKind, Table, &str)> {
        self.fired.iter().map(|f| (f.kind, f.table, f.path())).collect()
    }
}

fn create_txn<'a>(path: &'a str, data: &'a str, ephemeral: bool) -> CreateTxn<'a> {
    CreateTxn {
        path: Cow::Borrowed(path),
        data: Some(data.as_bytes()),
        acl: Some(vec![Acl::open_unsafe()]),
        ephemeral,
        parent_cversion: -1,
    }
}

fn create<'a>(path: &'a str, data: &'a str) -> Txn<'a> {
    Txn::Create2(create_txn(path, data, false))
}

fn ephemeral(path: &str) -> Txn<'_> {
    Txn::Create(create_txn(path, "", true))
}

fn container(path: &str) -> Txn<'_> {
    Txn::CreateContainer(CreateContainerTxn {
        path: path.into(),
        data: None,
        acl: None,
        parent_cversion: -1,
    })
}

fn ttl(path: &str, ttl_ms: i64) -> Txn<'_> {
    Txn::CreateTtl(CreateTtlTxn {
        path: path.into(),
        data: None,
        acl: None,
        parent_cversion: -1,
        ttl_ms,
    })
}

fn delete(path: &str) -> Txn<'_> {
    Txn::Delete(DeleteTxn { path: path.into() })
}

fn set_data<'a>(path: &'a str, data: &'a str, version: i32) -> Txn<'a> {
    Txn::SetData(SetDataTxn { path: path.into(), data: Some(data.as_bytes()), version })
}

fn set_acl<'a>(path: &'a str, acl: &[Acl<'a>], version: i32) -> Txn<'a> {
    Txn::SetAcl(SetAclTxn { path: path.into(), acl: Some(acl.to_vec()), version })
}

fn code(code: jute::ErrorCode) -> i32 {
    code.code()
}

#[test]
fn a_fresh_tree_is_apaches() {
    let tree = Tree::new();
    let replica = &tree.replica;
    assert_eq!(replica.digest(), 1_371_985_504);
    assert_eq!(replica.node_count(), 5);
    assert_eq!(replica.approximate_data_size(), 44);
    assert_eq!(replica.descendant_count("/"), Some(3));
    assert_eq!(replica.descendant_count("/zookeeper"), Some(2));
    let none = Stat::default();
    assert_eq!(tree.stat("/"), Stat { cversion: -1, num_children: 1, ..none });
    assert_eq!(tree.stat("/zookeeper"), Stat { cversion: -2, num_children: 2, ..none });
    assert_eq!(tree.stat("/zookeeper/quota"), none);
    assert_eq!(tree.stat("/zookeeper/config"), Stat { aversion: -1, ..none });
    let config = replica.get(CONFIG_PATH).expect("there");
    assert_eq!(config.data(), Some(&b""[..]));
    assert_eq!(config.acl()[0].perms, 1);
    assert_eq!(config.acl_id().number(), 1);
    assert_eq!(replica.get("/").expect("there").acl_id(), AclId::OPEN);
}

#[test]
fn the_digest_vector_of_apache() {
    let mut tree = Tree::new();
    let header = TxnHeader { client_id: 1, cxid: 1, zxid: 0x1_0000_0002, time_ms: TIME, kind: 1 };
    let txn = Txn::Create(CreateTxn { parent_cversion: 1, ..create_txn("/abc", "hi", false) });
    let right = TxnDigest { version: 2, tree_digest: 0x1_c291_c15e };
    let record = TxnRecord { header, txn, digest: Some(right) };
    let applied = tree.replica.apply_record(&record, &mut tree.fired);
    assert_eq!(tree.replica.digest(), 0x1_c291_c15e);
    assert_eq!(applied.digest_matches, Some(true));
    let wrong = TxnRecord { digest: Some(TxnDigest { version: 2, tree_digest: 1 }), ..record };
    assert_eq!(tree.replica.replay(&wrong).digest_matches, Some(false));
    let old = TxnRecord { digest: Some(TxnDigest { version: 1, tree_digest: 1 }), ..wrong };
    assert_eq!(tree.replica.replay(&old).digest_matches, None);
    assert_eq!(tree.replica.digest_mismatches(), 1);
}

#[test]
fn without_digests_the_digest_is_zero() {
    let mut tree = Tree::with(TreeOptions { digest_enabled: false, ..TreeOptions::default() });
    tree.apply(create("/a", "x"));
    assert_eq!(tree.replica.digest(), 0);
}

#[test]
fn paths_are_found_as_they_are_written() {
    let mut tree = Tree::new();
    tree.apply(create("/a", ""));
    tree.apply(create("/a/b", ""));
    for path in ["", "/", "/a", "/a/b"] {
        assert!(tree.replica.find(path).is_some(), "{path:?}");
    }
    for path in ["a", "/b", "/a/", "//a", "/a//b", "/a/b/", "//", "/a/../a"] {
        assert!(tree.replica.find(path).is_none(), "{path:?}");
    }
    assert_eq!(tree.replica.get("/a/b").expect("there").path(), "/a/b");
    assert_eq!(tree.replica.get("").expect("there").path(), "/");
}

/// Curator's own `TestPathChildrenCache.testRebuildAgainstOtherProcesses` hangs now and then when
/// the youngest child is listed first.
#[test]
fn children_are_listed_in_the_order_of_their_creation() {
    let names = |tree: &Tree| {
        let parent = tree.replica.get("/p").expect("exists");
        parent.children().map(str::to_owned).collect::<Vec<_>>()
    };
    for gone in ["/p/d", "/p/b", "/p/c", "/p/a"] {
        let mut tree = Tree::new();
        for path in ["/p", "/p/d", "/p/b", "/p/c", "/p/a"] {
            tree.apply(create(path, ""));
        }
        assert_eq!(names(&tree), ["d", "b", "c", "a"]);
        tree.apply(delete(gone));
        tree.apply(create(gone, ""));
        let mut expected = vec!["/p/d", "/p/b", "/p/c", "/p/a"];
        expected.retain(|path| *path != gone);
        expected.push(gone);
        let expected: Vec<&str> = expected.iter().map(|path| &path[3..]).collect();
        assert_eq!(names(&tree), expected, "{gone} deleted and created again");
        for path in ["/p/a", "/p/d", "/p/c", "/p/b"] {
            tree.apply(delete(path));
        }
        assert!(names(&tree).is_empty());
        tree.apply(create("/p/e", ""));
        assert_eq!(names(&tree), ["e"]);
    }
}

#[test]
fn stats_follow_the_table() {
    let mut tree = Tree::new();
    let made = tree.apply(create("/a", "one"));
    let stat = Stat {
        czxid: 1,
        mzxid: 1,
        pzxid: 1,
        ctime: TIME,
        mtime: TIME,
        data_length: 3,
        ..Stat::default()
    };
    assert_eq!((made.stat, made.path.as_deref()), (Some(stat), Some("/a")));
    tree.apply(create("/a/b", ""));
    let parent = Stat { pzxid: 2, cversion: 1, num_children: 1, ..stat };
    assert_eq!(tree.stat("/a"), parent);
    tree.apply(delete("/a/b"));
    let parent = Stat { pzxid: 3, cversion: 2, num_children: 0, ..parent };
    assert_eq!(tree.stat("/a"), parent);
    assert_eq!(tree.replica.get("/a").expect("there").stat_persisted().cversion, 1);
    let set = tree.apply(set_data("/a", "four", 41));
    let parent = Stat { mzxid: 4, version: 41, data_length: 4, ..parent };
    assert_eq!(set.stat, Some(parent));
    let set = tree.apply(set_acl("/a", &[Acl::new(1, jute::Id::new("ip", "::1"))], 9));
    assert_eq!(set.stat, Some(Stat { aversion: 9, ..parent }));
}

#[test]
fn null_data_stays_null() {
    let mut tree = Tree::new();
    tree.apply(Txn::Create(CreateTxn { data: None, ..create_txn("/null", "", false) }));
    tree.apply(create("/empty", ""));
    assert_eq!(tree.replica.get("/null").expect("there").data(), None);
    assert_eq!(tree.replica.get("/empty").expect("there").data(), Some(&b""[..]));
    let null = SetDataTxn { path: "/empty".into(), data: None, version: 1 };
    assert_eq!(tree.apply(Txn::SetData(null)).stat.expect("done").data_length, 0);
    assert_eq!(tree.replica.get("/empty").expect("there").data(), None);
}

#[test]
fn the_creation_counter_only_rises_and_stays_at_its_end() {
    let mut tree = Tree::new();
    tree.apply(create("/a", ""));
    let child = |path, cversion| {
        Txn::Create2(CreateTxn { parent_cversion: cversion, ..create_txn(path, "", false) })
    };
    let stored = |tree: &Tree| tree.replica.get("/a").expect("there").stat_persisted();
    tree.apply(child("/a/x", 5));
    assert_eq!((stored(&tree).cversion, stored(&tree).pzxid), (5, 2));
    tree.apply(child("/a/y", 4));
    assert_eq!((stored(&tree).cversion, stored(&tree).pzxid), (5, 2));
    tree.apply(child("/a/z", i32::MAX));
    assert_eq!((stored(&tree).cversion, stored(&tree).pzxid), (i32::MAX, 4));
    tree.apply(child("/a/last", -1));
    assert_eq!((stored(&tree).cversion, stored(&tree).pzxid), (i32::MAX, 4));
    assert_eq!(tree.stat("/a").cversion, i32::MAX.wrapping_mul(2).wrapping_sub(4));
}

#[test]
fn events_come_in_apaches_order() {
    use EventKind::*;
    let mut tree = Tree::new();
    tree.apply(create("/a", ""));
    let made = [(NodeCreated, Table::Data, "/a"), (NodeChildrenChanged, Table::Child, "/")];
    assert_eq!(tree.fired(), made);
    tree.apply(create("/a/b", ""));
    let made = [(NodeCreated, Table::Data, "/a/b"), (NodeChildrenChanged, Table::Child, "/a")];
    assert_eq!(tree.fired(), made);
    tree.apply(set_data("/a/b", "x", 1));
    assert_eq!(tree.fired(), [(NodeDataChanged, Table::Data, "/a/b")]);
    tree.apply(set_data("/", "x", 1));
    assert_eq!(tree.fired(), [(NodeDataChanged, Table::Data, "/")]);
    tree.apply(set_acl("/a/b", &[Acl::open_unsafe()], 1));
    assert_eq!(tree.fired(), []);
    tree.apply(delete("/a/b"));
    let gone = [
        (NodeDeleted, Table::Data, "/a/b"),
        (NodeDeleted, Table::Child, "/a/b"),
        (NodeChildrenChanged, Table::Child, "/a"),
    ];
    assert_eq!(tree.fired(), gone);
    assert!(tree.fired.iter().all(|f| f.zxid == Zxid(6) && f.acl.is_none()));
    tree.apply(delete("/a/b"));
    assert_eq!(tree.fired(), []);
}

#[test]
fn events_carry_the_list_that_keeps_readers_off() {
    let mut tree = Tree::new();
    let mine = vec![Acl::new(31, jute::Id::new("digest", "u:h"))];
    let closed = |path, acl: &[Acl<'static>]| {
        Txn::Create(CreateTxn { acl: Some(acl.to_vec()), ..create_txn(path, "", false) })
    };
    tree.apply(closed("/a", &mine));
    assert_eq!(tree.fired[0].acl.as_deref(), Some(&mine[..]));
    assert_eq!(tree.fired[1].acl, None);
    let readable = [mine[0].clone(), Acl { perms: 1, ..Acl::open_unsafe() }];
    tree.apply(closed("/a/b", &readable));
    assert_eq!(tree.fired[0].acl, None);
    assert_eq!(tree.fired[1].acl.as_deref(), Some(&mine[..]));
    tree.apply(delete("/a/b"));
    assert_eq!(tree.fired[1].acl, None);
    assert_eq!(tree.fired[2].acl.as_deref(), Some(&mine[..]));
    tree.apply(delete("/a"));
    assert_eq!(tree.fired[0].acl.as_deref(), Some(&mine[..]));
    assert_eq!(tree.fired[1].acl.as_deref(), Some(&mine[..]));
    assert_eq!(tree.replica.acl_count(), 1, "only that of the config is left");
}

#[test]
fn a_multi_is_done_whole() {
    let mut tree = Tree::new();
    let parts = vec![
        create("/a", ""),
        Txn::Check(CheckVersionTxn { path: "/a".into(), version: 0 }),
        create("/a/b", ""),
        set_data("/a/b", "xyz", 1),
        delete("/a/b"),
    ];
    let applied = tree.apply(Txn::Multi(parts));
    assert_eq!(applied.err, 0);
    let errs: Vec<i32> = applied.parts.iter().map(|p| p.err).collect();
    assert_eq!(errs, [0; 5]);
    assert_eq!(applied.parts[2].path.as_deref(), Some("/a/b"));
    assert_eq!(applied.parts[3].stat.expect("of setData").data_length, 3);
    assert_eq!(tree.fired.len(), 2 + 2 + 1 + 3);
    assert!(tree.fired.iter().all(|f| f.zxid == Zxid(1)));
    assert_eq!(tree.replica.last_zxid(), Zxid(1));
    let empty = tree.apply(Txn::Multi(vec![]));
    assert_eq!((empty.err, empty.parts.len()), (0, 0));
    assert_eq!(tree.replica.last_zxid(), Zxid(2));
}

#[test]
fn a_failed_multi_does_nothing() {
    let mut tree = Tree::new();
    let before = tree.replica.digest();
    let parts = vec![create("/a", ""), Txn::Error(-103), Txn::Error(-2), create("/b", "")];
    let applied = tree.apply(Txn::Multi(parts));
    let errs: Vec<i32> = applied.parts.iter().map(|p| p.err).collect();
    assert_eq!((applied.err, errs), (-103, vec![0, -103, -2, -2]));
    assert_eq!((tree.replica.digest(), tree.fired.len()), (before, 0));
    assert_eq!(tree.replica.last_zxid(), Zxid(1));
    assert_eq!(tree.apply(Txn::Error(-101)).err, -101);
    assert_eq!(tree.replica.last_zxid(), Zxid(2));
}

#[test]
fn replayed_creates_keep_the_node_and_take_the_list() {
    let mut tree = Tree::new();
    tree.apply(create("/a", "old"));
    tree.apply(create("/a/b", "old"));
    let acl = vec![Acl::new(1, jute::Id::new("ip", "::1"))];
    let again =
        CreateTxn { acl: Some(acl), parent_cversion: 9, ..create_txn("/a/b", "new", false) };
    let before = tree.stat("/a");
    let applied = tree.apply(Txn::Create2(again.clone()));
    assert_eq!(applied.err, code(jute::ErrorCode::NodeExists));
    assert_eq!(tree.data("/a/b"), "old");
    assert_eq!(tree.replica.get("/a/b").expect("there").acl()[0].perms, 1);
    assert_eq!(tree.stat("/a"), before, "create2 leaves the parent alone");
    let applied = tree.apply(Txn::Create(again));
    assert_eq!(applied.err, code(jute::ErrorCode::NodeExists));
    let parent = tree.stat("/a");
    assert_eq!((parent.cversion, parent.pzxid), (17, 4), "create raises it");
    assert!(tree.fired.is_empty());
}

#[test]
fn replayed_deletes_raise_the_parent_only() {
    let mut tree = Tree::new();
    tree.apply(create("/a", ""));
    let applied = tree.apply_at(7, 50, delete("/a/gone"));
    assert_eq!(applied.err, code(jute::ErrorCode::NoNode));
    assert_eq!(tree.stat("/a").pzxid, 50);
    tree.apply_at(7, 40, delete("/a/gone"));
    assert_eq!(tree.stat("/a").pzxid, 50, "never lowered");
    assert_eq!(tree.replica.last_zxid(), Zxid(50));
    let applied = tree.apply(delete("/gone/x"));
    assert_eq!(applied.err, code(jute::ErrorCode::NoNode));
}

#[test]
fn a_replayed_delete_takes_children_of_the_future_along() {
    let mut tree = Tree::new();
    tree.apply(create("/a", ""));
    let digest = tree.replica.digest();
    tree.apply(create("/a/b", ""));
    tree.apply(create("/a/b/c", "x"));
    tree.apply_as(9, ephemeral("/a/b/d"));
    tree.apply(delete("/a"));
    assert_eq!((tree.replica.node_count(), tree.replica.ephemeral_count()), (5, 0));
    assert_eq!(tree.replica.approximate_data_size(), 44);
    assert_ne!(tree.replica.digest(), digest);
}

#[test]
fn odd_paths_in_a_log_are_refused() {
    let mut tree = Tree::new();
    for path in ["", "/", "a", "/a/"] {
        assert_ne!(tree.apply(create(path, "")).err, 0, "create {path:?}");
        assert_ne!(tree.apply(delete(path)).err, 0, "delete {path:?}");
    }
    assert_eq!(tree.replica.node_count(), 5);
}

#[test]
fn closing_a_session_deletes_what_is_listed_and_what_is_left() {
    let mut tree = Tree::new();
    tree.apply_as(9, Txn::CreateSession(4000));
    for path in ["/e1", "/e2", "/e3"] {
        tree.apply_as(9, ephemeral(path));
    }
    tree.apply_as(8, ephemeral("/other"));
    assert_eq!(tree.stat("/e1").ephemeral_owner, 9);
    let of_9: Vec<String> = tree.replica.ephemerals_of(SessionId(9)).collect();
    assert_eq!(of_9, ["/e1", "/e2", "/e3"]);
    assert_eq!(tree.replica.session_timeout_ms(SessionId(9)), Some(4000));
    let listed = vec!["/e3".into(), "/gone".into(), "/e1".into()];
    tree.apply_as(9, Txn::CloseSession(Some(listed)));
    let gone: Vec<&str> = tree.fired.iter().step_by(3).map(|f| f.path()).collect();
    assert_eq!(gone, ["/e3", "/e1", "/e2"]);
    assert_eq!(tree.replica.sessions().count(), 0);
    assert_eq!(tree.replica.ephemeral_count(), 1);
    assert_eq!(tree.stat("/").pzxid, tree.zxid);
    tree.apply_as(8, Txn::CloseSession(None));
    assert_eq!(tree.replica.node_count(), 5);
    assert_eq!(tree.replica.ephemeral_owners().count(), 0);
}

#[test]
fn an_owner_without_nodes_is_counted_until_its_session_closes() {
    let mut tree = Tree::new();
    tree.apply_as(9, ephemeral("/e"));
    tree.apply(delete("/e"));
    let owners: Vec<_> = tree.replica.ephemeral_owners().collect();
    assert_eq!(owners, [(SessionId(9), 0)]);
    tree.apply_as(9, Txn::CloseSession(None));
    assert_eq!(tree.replica.ephemeral_owners().count(), 0);
}

#[test]
fn containers_and_ttl_nodes_are_reaped_by_their_rules() {
    let owners = OwnerRules { extended_types: true, emulate_353_ttl: false };
    let mut tree = Tree::with(TreeOptions { owners, ..TreeOptions::default() });
    for path in ["/used", "/full", "/fresh"] {
        tree.apply(container(path));
    }
    for path in ["/used/x", "/full/x"] {
        tree.apply(create(path, ""));
    }
    tree.apply(delete("/used/x"));
    tree.apply(ttl("/ttl", 100));
    tree.apply(ttl("/full_ttl", 100));
    tree.apply(create("/full_ttl/x", ""));
    assert_eq!((tree.replica.container_count(), tree.replica.ttl_count()), (3, 2));
    assert_eq!(tree.stat("/ttl").ephemeral_owner, 0);
    let ripe = |age, never_used| tree.replica.reaper_candidates(TIME + age, never_used);
    assert_eq!(ripe(0, 0), ["/used"]);
    assert_eq!(ripe(100, 0), ["/used"]);
    assert_eq!(ripe(101, 0), ["/used", "/ttl"]);
    assert_eq!(ripe(101, 100), ["/used", "/fresh", "/ttl"]);
    tree.apply(Txn::DeleteContainer(DeleteTxn { path: "/ttl".into() }));
    assert_eq!(tree.replica.ttl_count(), 1);
}

#[test]
fn without_extended_types_a_ttl_node_is_a_sessions() {
    let mut tree = Tree::new();
    tree.apply(ttl("/ttl", 100));
    let owner = ttl_owner(100);
    assert_eq!(tree.stat("/ttl").ephemeral_owner, owner);
    assert_eq!(tree.replica.ephemerals_of(SessionId(owner)).count(), 1);
}

/// Sets a quota as zkCli does: the path, limits, then stats.
fn set_quota(tree: &mut Tree, root: &str, limits: &str) {
    let mut path = String::from(QUOTA_PATH);
    for name in root[1..].split('/') {
        path = format!("{path}/{name}");
        tree.apply(create(&path, ""));
    }
    tree.apply(create(&limits_path(root), limits));
    tree.apply(create(&stats_path(root), "count=0,bytes=0"));
}

#[test]
fn quota_figures_follow_the_tree() {
    let mut tree = Tree::new();
    for (path, data) in [("/q", "12"), ("/q/a", "345"), ("/q/in", ""), ("/q/in/x", "6789")] {
        tree.apply(create(path, data));
    }
    set_quota(&mut tree, "/q", "count=10,bytes=100");
    let stats = stats_path("/q");
    assert_eq!(tree.data(&stats), "count=4,bytes=9");
    assert_eq!(tree.replica.quota_root("/q/a"), Some("/q"));
    assert_eq!(tree.replica.quota_root("/qq"), None);
    let before = (tree.stat(&stats), tree.replica.digest());
    tree.apply(create("/q/b", "x"));
    tree.apply(set_data("/q/b", "xyz", 1));
    tree.apply(delete("/q/a"));
    assert_eq!(tree.data(&stats), "count=4,bytes=9");
    assert_eq!(Stat { data_length: 15, ..before.0 }, tree.stat(&stats), "no version moves");
    set_quota(&mut tree, "/q/in", "count=1,bytes=1");
    tree.apply(create("/q/in/y", "1234567"));
    assert_eq!(tree.data(&stats_path("/q/in")), "count=3,bytes=11");
    assert_eq!(tree.data(&stats), "count=4,bytes=9", "the inner one hides it");
    tree.apply(delete(&limits_path("/q/in")));
    tree.apply(delete("/q/in/y"));
    assert_eq!(tree.data(&stats), "count=3,bytes=2");
    assert_eq!(tree.replica.quota_limits("/q").count(), 10);
    assert_eq!(tree.replica.quota_figures("/q").bytes(), 2);
}

#[test]
fn rubbish_in_quota_nodes_counts_as_not_set() {
    let mut tree = Tree::new();
    tree.apply(create("/q", ""));
    set_quota(&mut tree, "/q", "what is this");
    assert_eq!(tree.replica.quota_limits("/q").count(), -1);
    tree.apply(set_data(&stats_path("/q"), "rubbish", 1));
    tree.apply(create("/q/a", "xyz"));
    assert_eq!(tree.data(&stats_path("/q")), "count=0,bytes=2");
    tree.apply(delete(&stats_path("/q")));
    tree.apply(create("/q/b", ""));
    tree.apply(create("/zookeeper/quota/zookeeper_limits", ""));
    assert_eq!(tree.replica.quota_root("/a"), None);
}

#[test]
fn every_128th_digest_is_kept() {
    let mut tree = Tree::new();
    tree.apply_at(1, 128, create("/a", ""));
    tree.apply_at(1, 129, create("/b", ""));
    for n in 2..1100 {
        tree.apply_at(1, 128 * n, Txn::Error(-1));
    }
    let log: Vec<(Zxid, u64)> = tree.replica.digest_log().collect();
    assert_eq!(log.len(), 1024);
    assert_eq!(log[0].0, Zxid(128 * (1100 - 1024)));
    assert_eq!(log[1023], (Zxid(128 * 1099), tree.replica.digest()));
}

#[test]
fn paths_count_in_utf16_units() {
    let mut tree = Tree::new();
    tree.apply(create("/\u{e9}\u{4e2d}", "abc"));
    assert_eq!(tree.replica.approximate_data_size(), 44 + 3 + 3);
    tree.apply(set_data("/\u{e9}\u{4e2d}", "a", 1));
    assert_eq!(tree.replica.approximate_data_size(), 44 + 3 + 1);
    tree.apply(delete("/\u{e9}\u{4e2d}"));
    assert_eq!(tree.replica.approximate_data_size(), 44);
}

#[test]
fn a_deep_tree_needs_no_stack() {
    let mut tree = Tree::new();
    let mut path = String::new();
    for _ in 0..5_000 {
        path.push_str("/d");
        assert_eq!(tree.apply(create(&path, "")).err, 0);
    }
    assert_eq!(tree.replica.descendant_count("/d"), Some(4_999));
    tree.apply(delete("/d"));
    assert_eq!(tree.replica.node_count(), 5);
}

fn root(loader: &mut ReplicaLoader) {
    loader.node("", Some(b""), -1, &StatPersisted::default()).expect("the root comes first");
}

#[test]
fn snapshots_without_sense_are_refused() {
    let stat = StatPersisted::default();
    let loader = || ReplicaLoader::new(TreeOptions::default());
    assert!(matches!(loader().finish(Zxid(1)), Err(LoadError::NoRoot)));
    let orphan = loader().node("/a", None, -1, &stat);
    assert_eq!(orphan, Err(LoadError::NoParent("/a".to_owned())));
    let mut loader = loader();
    root(&mut loader);
    assert_eq!(loader.node("", None, -1, &stat), Err(LoadError::Twice(String::new())));
    assert_eq!(loader.node("/a/b", None, -1, &stat), Err(LoadError::NoParent("/a/b".to_owned())));
    assert_eq!(loader.node("/a", None, -1, &stat), Ok(()));
    assert_eq!(loader.node("/a", None, -1, &stat), Err(LoadError::Twice("/a".to_owned())));
    assert_eq!(loader.node("/a/", None, -1, &stat), Err(LoadError::Path("/a/".to_owned())));
    assert_eq!(loader.node("a", None, -1, &stat), Err(LoadError::Path("a".to_owned())));
}

/// ZOOKEEPER-4689: a node names a list that the file does not have.
#[test]
fn an_unknown_list_lets_nobody_in() {
    let mut loader = ReplicaLoader::new(TreeOptions::default());
    loader.acl(3, &[Acl::new(1, jute::Id::new("ip", "::1"))]);
    loader.acl(4, &[Acl::new(2, jute::Id::new("ip", "::1"))]);
    root(&mut loader);
    loader.node("/a", None, 7, &StatPersisted::default()).expect("loads all the same");
    loader.node("/b", None, 3, &StatPersisted::default()).expect("loads");
    let mut replica = loader.finish(Zxid(5)).expect("a tree");
    assert_eq!(replica.acl_count(), 2, "the unused list is gone");
    let acl = replica.get("/a").expect("there").acl();
    assert!(!acl.is_empty() && acl.iter().all(|entry| entry.perms == 0));
    let header = TxnHeader { client_id: 1, cxid: 1, zxid: 6, time_ms: 1, kind: 1 };
    replica.apply(&header, &create("/a", ""), &mut Vec::new());
    assert_eq!(replica.get("/a").expect("there").acl_id(), AclId::OPEN);
}

#[test]
fn digests_are_not_compared_before_the_snapshots_own() {
    let mut loader = ReplicaLoader::new(TreeOptions::default());
    root(&mut loader);
    loader.digest(Zxid(7), 2, 1);
    let mut replica = loader.finish(Zxid(5)).expect("a tree");
    let record = |zxid| TxnRecord {
        header: TxnHeader { client_id: 1, cxid: 1, zxid, time_ms: 1, kind: -1 },
        txn: Txn::Error(-1),
        digest: Some(TxnDigest { version: 2, tree_digest: 1 }),
    };
    assert_eq!(replica.replay(&record(6)).digest_matches, None);
    assert_eq!(replica.digest_mismatches(), 0);
    assert_eq!(replica.replay(&record(7)).digest_matches, Some(false));
    assert_eq!(replica.digest_mismatches(), 2, "the snapshot's and the transaction's");
}

#[test]
fn loading_sets_up_quotas() {
    let mut loader = ReplicaLoader::new(TreeOptions::default());
    root(&mut loader);
    let limits = limits_path("/q");
    let stats = stats_path("/q");
    let nodes: [(&str, &str); 8] = [
        ("/zookeeper", ""),
        ("/zookeeper/quota", ""),
        ("/zookeeper/quota/q", ""),
        (&limits, "count=1,bytes=1"),
        (&stats, "count=99,bytes=99"),
        ("/q", "12"),
        ("/q/a", "345"),
        ("/zookeeper/quota/zookeeper_limits", ""),
    ];
    for (path, data) in nodes {
        let data = Some(data.as_bytes());
        loader.node(path, data, -1, &StatPersisted::default()).expect("parents come first");
    }
    let replica = loader.finish(Zxid(5)).expect("a tree");
    assert_eq!(replica.quota_root("/q/a"), Some("/q"));
    assert_eq!(replica.quota_root("/a"), None);
    assert_eq!(replica.get(&stats).expect("there").data(), Some(&b"count=2,bytes=5"[..]));
}

#[test]
fn an_image_is_of_its_instant() {
    let mut tree = Tree::new();
    for (path, data) in [("/a", "1"), ("/a/b", "2"), ("/c", "3")] {
        tree.apply(create(path, data));
    }
    tree.apply_as(9, Txn::CreateSession(4000));
    let head = tree.replica.begin_image();
    assert_eq!((head.zxid, head.digest, head.nodes), (Zxid(4), tree.replica.digest(), 7));
    assert_eq!(head.sessions, [(SessionId(9), 4000)]);
    assert_eq!(head.acls.len(), 1);
    tree.apply(delete("/a/b"));
    tree.apply(delete("/a"));
    tree.apply(create("/a", "new"));
    tree.apply(set_data("/c", "new", 1));
    let mut cursor = head.cursor();
    let mut seen = Vec::new();
    let mut visit = |node: ImageNode<'_>| {
        seen.push((node.path.to_owned(), node.data.map(<[u8]>::to_vec), node.stat.mzxid));
    };
    while tree.replica.image_slice(&mut cursor, 1, &mut visit) {}
    let node = |path: &str, data: &str, zxid| (path.to_owned(), Some(data.into()), zxid);
    let system = ["", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
    let mut expected: Vec<_> = system.map(|path| node(path, "", 0)).into();
    expected.extend([node("/a", "1", 1), node("/a/b", "2", 2), node("/c", "3", 3)]);
    assert_eq!(seen, expected);
    drop(tree.replica.end_image());
    assert!(!tree.replica.has_image());
}

#[test]
fn an_image_has_the_quota_figures_of_its_instant() {
    let mut tree = Tree::new();
    tree.apply(create("/q", ""));
    set_quota(&mut tree, "/q", "count=9,bytes=9");
    let stats = stats_path("/q");
    let head = tree.replica.begin_image();
    tree.apply(create("/q/a", "xyz"));
    assert_eq!(tree.data(&stats), "count=2,bytes=3");
    let mut figures = None;
    let mut visit = |node: ImageNode<'_>| {
        if node.path == stats {
            figures = node.data.map(<[u8]>::to_vec);
        }
    };
    assert!(!tree.replica.image_slice(&mut head.cursor(), usize::MAX, &mut visit));
    assert_eq!(figures.as_deref(), Some(&b"count=1,bytes=0"[..]));
    drop(tree.replica.end_image());
}

/// Deleted nodes that an image still needs give their slots back once it has ended.
#[test]
fn ghosts_are_buried() {
    let mut tree = Tree::new();
    let paths: Vec<String> = (0..100).map(|n| format!("/{n}")).collect();
    for path in &paths {
        tree.apply(create(path, ""));
    }
    let slots = tree.replica.arena.slots();
    for _ in 0..3 {
        let _head = tree.replica.begin_image();
        for path in &paths {
            tree.apply(delete(path));
        }
        assert_eq!(tree.replica.ghosts.len(), paths.len());
        drop(tree.replica.end_image());
        for _ in 0..paths.len() {
            tree.apply(Txn::Error(-1));
        }
        assert_eq!(tree.replica.ghosts.len(), 0);
        for path in &paths {
            tree.apply(create(path, ""));
        }
        assert_eq!(tree.replica.arena.slots(), slots);
    }
}

/// Workers read under a shared lock, an image among them.
#[test]
fn a_replica_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Replica>();
    shared::<Fired>();
    shared::<ImageHead>();
}
