//! The table of events of Apache's `WatchManager`, one claim a test.

use super::*;
use crate::types::{ConnId, Zxid};
use EventKind::*;
use Table::{Child, Data};

const A: ConnId = ConnId(1);
const B: ConnId = ConnId(2);

fn table() -> WatchTable {
    WatchTable::new(7)
}

fn fire(table: &mut WatchTable, path: &str, kind: EventKind, at: Table) -> Vec<ConnId> {
    let mut out = Vec::new();
    table.fire(path, kind, at, &mut out);
    out
}

/// The three firings of a deletion, told apart.
fn delete(table: &mut WatchTable, path: &str, parent: &str) -> [Vec<ConnId>; 3] {
    [
        fire(table, path, NodeDeleted, Data),
        fire(table, path, NodeDeleted, Child),
        fire(table, parent, NodeChildrenChanged, Child),
    ]
}

#[test]
fn a_standard_watch_fires_once_and_only_in_its_table() {
    let mut t = table();
    t.add("/a", A, Data);
    assert_eq!(fire(&mut t, "/a", NodeChildrenChanged, Child), []);
    assert_eq!(fire(&mut t, "/a/b", NodeCreated, Data), []);
    assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), [A]);
    assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), []);
    assert!(t.is_empty());
}

#[test]
fn several_standard_watches_of_one_connection_are_one() {
    let mut t = table();
    t.add("/a", A, Data);
    t.add("/a", A, Data);
    assert_eq!(t.watch_count(), 1);
    assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), [A]);
}

#[test]
fn connections_are_told_in_the_order_they_registered_whatever_the_seed() {
    for seed in 0..20 {
        let mut t = WatchTable::new(seed);
        let order: Vec<ConnId> = (0..100).map(|n| ConnId(n * 7919 % 101)).collect();
        order.iter().for_each(|&conn| t.add("/a", conn, Data));
        assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), order);
    }
}

#[test]
fn a_deletion_tells_each_connection_once() {
    let mut t = table();
    t.add("/a", A, Data);
    t.add("/a", A, Child);
    t.add("/a", B, Child);
    t.add("/", A, Child);
    assert_eq!(delete(&mut t, "/a", "/"), [vec![A], vec![B], vec![A]]);
    assert!(t.is_empty(), "all of them are consumed");
}

#[test]
fn the_second_firing_of_a_deletion_skips_only_those_told_by_the_first() {
    let mut t = table();
    t.add("/a", A, Data);
    t.add("/b", A, Child);
    assert_eq!(fire(&mut t, "/a", NodeDeleted, Data), [A]);
    assert_eq!(fire(&mut t, "/x", NodeDataChanged, Data), []);
    assert_eq!(fire(&mut t, "/b", NodeDeleted, Child), [A]);
}

#[test]
fn a_recursive_watch_above_silences_the_child_watch_at_deletion_too() {
    let mut t = table();
    t.add_watch("/a", A, Mode::Recursive);
    t.add("/a/b", A, Child);
    assert_eq!(delete(&mut t, "/a/b", "/a"), [vec![A], vec![], vec![]]);
    assert!(!t.contains("/a/b", A, WatcherType::Children), "consumed all the same");
}

#[test]
fn a_persistent_watch_stays_and_hears_of_its_path_in_both_tables() {
    let mut t = table();
    t.add_watch("/a", A, Mode::Persistent);
    for _ in 0..2 {
        assert_eq!(fire(&mut t, "/a", NodeCreated, Data), [A]);
        assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), [A]);
        assert_eq!(fire(&mut t, "/a", NodeChildrenChanged, Child), [A]);
        assert_eq!(fire(&mut t, "/a/b", NodeCreated, Data), []);
        assert_eq!(delete(&mut t, "/a", "/"), [vec![A], vec![], vec![]]);
    }
}

#[test]
fn a_recursive_watch_hears_of_everything_below_but_never_of_children_changed() {
    let mut t = table();
    t.add_watch("/a", A, Mode::Recursive);
    for path in ["/a", "/a/b", "/a/b/c"] {
        assert_eq!(fire(&mut t, path, NodeCreated, Data), [A]);
        assert_eq!(fire(&mut t, path, NodeChildrenChanged, Child), []);
        assert_eq!(delete(&mut t, path, "/a"), [vec![A], vec![], vec![]]);
    }
    assert_eq!(fire(&mut t, "/ab", NodeCreated, Data), []);
    assert_eq!(fire(&mut t, "/", NodeDataChanged, Data), []);
}

#[test]
fn a_recursive_watch_on_the_root_sees_everything() {
    let mut t = table();
    t.add_watch("/", A, Mode::Recursive);
    for path in ["/", "/a", "/zookeeper/config"] {
        assert_eq!(fire(&mut t, path, NodeDataChanged, Data), [A], "{path}");
    }
}

#[test]
fn modes_of_one_path_give_one_event_and_the_standard_one_is_consumed() {
    let mut t = table();
    t.add("/a", A, Data);
    t.add_watch("/a", A, Mode::Persistent);
    t.add_watch("/a", A, Mode::Recursive);
    t.add_watch("/", A, Mode::Recursive);
    assert_eq!(t.watch_count(), 3, "two in the data table, one in the child table");
    assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), [A]);
    assert!(!t.contains("/a", A, WatcherType::Data));
    assert!(t.contains("/a", A, WatcherType::Persistent));
    assert!(t.contains("/a", A, WatcherType::PersistentRecursive));
    assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), [A]);
}

#[test]
fn recursive_and_standard_child_watch_both_tell_of_a_new_child() {
    let mut t = table();
    t.add_watch("/a", A, Mode::Recursive);
    t.add("/a", A, Child);
    assert_eq!(fire(&mut t, "/a/b", NodeCreated, Data), [A]);
    assert_eq!(fire(&mut t, "/a", NodeChildrenChanged, Child), [A]);
}

#[test]
fn the_number_of_watchers_counts_those_left_out_of_the_second_firing() {
    let mut t = table();
    let mut out = Vec::new();
    t.add("/a", A, Data);
    t.add("/a", A, Child);
    assert_eq!(t.fire("/a", NodeDeleted, Data, &mut out), 1);
    assert_eq!(t.fire("/a", NodeDeleted, Child, &mut out), 1);
    assert_eq!(out, [A]);
}

#[test]
fn removal_is_exact_about_modes() {
    use WatcherType::*;
    let mut t = table();
    t.add_watch("/a", A, Mode::Persistent);
    assert!(!t.remove("/a", A, Data), "a persistent watch is no data watch");
    assert!(!t.remove("/a", B, Any));
    assert!(!t.remove("/b", A, Any));
    assert!(t.remove("/a", A, Persistent));
    assert!(!t.remove("/a", A, Persistent));
    assert!(t.is_empty(), "both tables");

    t.add("/a", A, Table::Data);
    t.add("/a", A, Table::Child);
    assert!(t.remove("/a", A, Children));
    assert!(!t.contains("/a", A, Children) && t.contains("/a", A, Any));
    t.add_watch("/a", A, Mode::Recursive);
    assert!(t.remove("/a", A, Any));
    assert!(t.is_empty());
    assert_eq!(fire(&mut t, "/a/b", NodeCreated, Table::Data), []);
}

#[test]
fn a_dropped_connection_takes_all_its_watches_along() {
    let mut t = table();
    t.add_watch("/a", A, Mode::Recursive);
    t.add("/a", B, Data);
    t.add("/b", A, Child);
    t.drop_conn(A);
    t.drop_conn(A);
    assert_eq!(t.watch_count(), 1);
    assert_eq!(fire(&mut t, "/a/b", NodeCreated, Data), []);
    assert_eq!(fire(&mut t, "/a", NodeDeleted, Data), [B]);
    t.drop_conn(B);
    assert!(t.paths.is_empty() && t.conns.is_empty() && t.cells.is_empty());
}

#[test]
fn the_summary_reads_the_data_table_and_keeps_a_connection_whose_watches_fired() {
    let mut t = table();
    t.add("/a", A, Data);
    t.add("/b", A, Data);
    t.add("/a", B, Data);
    t.add("/c", B, Child);
    let summary = |t: &WatchTable| {
        let s = t.summary();
        (s.connections, s.paths, s.watches)
    };
    assert_eq!(summary(&t), (2, 2, 3));
    assert_eq!(t.watch_count(), 4);
    assert_eq!(fire(&mut t, "/a", NodeDataChanged, Data), [A, B]);
    assert_eq!(summary(&t), (2, 1, 1));
    assert!(t.remove("/b", A, WatcherType::Data));
    assert_eq!(summary(&t), (1, 0, 0), "removal forgets, firing does not");
}

#[test]
fn reports_list_connections_and_paths() {
    let mut t = table();
    t.add("/a", A, Data);
    t.add_watch("/b", A, Mode::Persistent);
    t.add("/a", B, Data);
    t.add("/z", B, Child);
    let mut by_conn = Vec::new();
    t.for_each_conn(|conn, paths| by_conn.push((conn, paths.collect::<Vec<_>>().join(","))));
    assert_eq!(by_conn, [(A, "/a,/b".to_string()), (B, "/a".to_string())]);
    let mut by_path = Vec::new();
    t.for_each_path(|path, conns| by_path.push((path.to_string(), conns.collect::<Vec<_>>())));
    assert_eq!(by_path, [("/a".to_string(), vec![A, B]), ("/b".to_string(), vec![A])]);
}

#[test]
fn a_path_watched_through_two_workers_counts_once() {
    let (mut one, mut two) = (table(), table());
    for (table, conn, paths) in [(&mut one, A, ["/a", "/b"]), (&mut two, B, ["/a", "/c"])] {
        paths.iter().for_each(|path| table.add(path, conn, Data));
        table.add("/child", conn, Child);
    }
    let mut hashes = Vec::new();
    one.path_hashes(&mut hashes);
    two.path_hashes(&mut hashes);
    let all = summarize(&[one.summary(), two.summary()], &mut hashes);
    assert_eq!(all, WatchSummary { connections: 2, paths: 3, watches: 4 });
}

#[test]
fn catching_up_follows_the_table() {
    let at =
        |mzxid, pzxid| Some(NodeView { mzxid: Zxid(mzxid), pzxid: Zxid(pzxid), readable: true });
    let seen = Zxid(10);
    let cases = [
        (Waiting::Data, None, Answer::Notify(NodeDeleted)),
        (Waiting::Data, at(11, 0), Answer::Notify(NodeDataChanged)),
        (Waiting::Data, at(10, 99), Answer::Arm(Data)),
        (Waiting::Exist, None, Answer::Arm(Data)),
        (Waiting::Exist, at(1, 1), Answer::Notify(NodeCreated)),
        (Waiting::Child, None, Answer::Notify(NodeDeleted)),
        (Waiting::Child, at(99, 10), Answer::Arm(Child)),
        (Waiting::Child, at(0, 11), Answer::Notify(NodeChildrenChanged)),
    ];
    for (waiting, node, answer) in cases {
        assert_eq!(catch_up(waiting, seen, node), answer, "{waiting:?} {node:?}");
    }
}

#[test]
fn an_unreadable_node_says_nothing_and_its_watch_is_armed() {
    let secret = Some(NodeView { mzxid: Zxid(9), pzxid: Zxid(9), readable: false });
    assert_eq!(catch_up(Waiting::Data, Zxid(1), secret), Answer::Arm(Data));
    assert_eq!(catch_up(Waiting::Exist, Zxid(1), secret), Answer::Arm(Data));
    assert_eq!(catch_up(Waiting::Child, Zxid(1), secret), Answer::Arm(Child));
}

#[test]
fn set_watches_goes_list_by_list_and_never_catches_up_on_persistent_ones() {
    let mut t = table();
    let mut events = Vec::new();
    let lists = Lists {
        data: ["/gone", "/same"],
        exist: ["/born"],
        child: ["/gone"],
        persistent: ["/gone"],
        recursive: ["/gone"],
    };
    let node = NodeView { mzxid: Zxid(3), pzxid: Zxid(3), readable: true };
    let lookup = |path: &str| (path != "/gone").then_some(node);
    t.set_watches(A, Zxid(5), lists, lookup, |kind, path| events.push((kind, path)));
    assert_eq!(events, [(NodeDeleted, "/gone"), (NodeCreated, "/born"), (NodeDeleted, "/gone")]);
    assert!(t.contains("/same", A, WatcherType::Data));
    assert!(!t.contains("/born", A, WatcherType::Any));
    assert!(!t.contains("/gone", A, WatcherType::Data));
    assert!(t.contains("/gone", A, WatcherType::Persistent));
    assert!(t.contains("/gone", A, WatcherType::PersistentRecursive));
}

#[test]
fn a_watch_stays_small() {
    assert_eq!(std::mem::size_of::<super::list::Cell>(), 28);
    assert_eq!(std::mem::size_of::<super::table::PathEntry>(), 32);
}
