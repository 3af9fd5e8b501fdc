//! The watch table against a naive model of Apache's: a map from (table, path, connection) to a
//! set of modes, searched from end to end for every firing.

use std::collections::{BTreeMap, BTreeSet};

use oxkeeper::types::ConnId;
use oxkeeper::watch::{EventKind, Mode, Table, WatchTable, WatcherType};
use proptest::prelude::*;

#[derive(Debug, Default)]
struct Model {
    watches: BTreeMap<(bool, String, u64), BTreeSet<u8>>,
}

const STANDARD: u8 = 0;
const PERSISTENT: u8 = 1;
const RECURSIVE: u8 = 2;

impl Model {
    fn add(&mut self, child: bool, path: &str, conn: u64, mode: u8) {
        self.watches.entry((child, path.to_string(), conn)).or_default().insert(mode);
    }

    /// Everybody who watches, whether told or not.
    fn fire(&mut self, child: bool, path: &str) -> BTreeSet<u64> {
        let mut told = BTreeSet::new();
        for ((table, at, conn), modes) in &mut self.watches {
            let above = path != at && (at == "/" || path.starts_with(&format!("{at}/")));
            if *table == child && (at == path || above && modes.contains(&RECURSIVE)) {
                told.insert(*conn);
                if at == path {
                    modes.remove(&STANDARD);
                }
            }
        }
        self.watches.retain(|_, modes| !modes.is_empty());
        told
    }

    fn remove(&mut self, child: bool, path: &str, conn: u64, mode: Option<u8>) -> bool {
        let key = (child, path.to_string(), conn);
        let Some(modes) = self.watches.get_mut(&key) else { return false };
        let removed = match mode {
            None => !std::mem::take(modes).is_empty(),
            Some(mode) => modes.remove(&mode),
        };
        self.watches.retain(|_, modes| !modes.is_empty());
        removed
    }

    fn remove_type(&mut self, path: &str, conn: u64, kind: WatcherType) -> bool {
        let (tables, mode): (&[bool], _) = match kind {
            WatcherType::Children => (&[true], Some(STANDARD)),
            WatcherType::Data => (&[false], Some(STANDARD)),
            WatcherType::Any => (&[true, false], None),
            WatcherType::Persistent => (&[true, false], Some(PERSISTENT)),
            WatcherType::PersistentRecursive => (&[false], Some(RECURSIVE)),
        };
        let removed = tables.iter().filter(|&&table| self.remove(table, path, conn, mode));
        removed.count() > 0
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add { child: bool, path: usize, conn: u64 },
    AddWatch { recursive: bool, path: usize, conn: u64 },
    Change { path: usize },
    ChildrenChanged { path: usize },
    Delete { path: usize },
    Remove { path: usize, conn: u64, kind: i32 },
    Drop { conn: u64 },
}

const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/a/bc", "/z"];

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    let conn = 0..4u64;
    prop_oneof![
        4 => (any::<bool>(), path.clone(), conn.clone())
            .prop_map(|(child, path, conn)| Step::Add { child, path, conn }),
        2 => (any::<bool>(), path.clone(), conn.clone())
            .prop_map(|(recursive, path, conn)| Step::AddWatch { recursive, path, conn }),
        2 => path.clone().prop_map(|path| Step::Change { path }),
        1 => path.clone().prop_map(|path| Step::ChildrenChanged { path }),
        2 => path.clone().prop_map(|path| Step::Delete { path }),
        2 => (path, conn.clone(), 1..6)
            .prop_map(|(path, conn, kind)| Step::Remove { path, conn, kind }),
        1 => conn.prop_map(|conn| Step::Drop { conn }),
    ]
}

/// Fires and returns who is told, asserting that nobody is told twice.
fn fire(table: &mut WatchTable, path: &str, kind: EventKind, at: Table) -> (BTreeSet<u64>, usize) {
    let mut out = Vec::new();
    let watchers = table.fire(path, kind, at, &mut out);
    let told: BTreeSet<u64> = out.iter().map(|conn| conn.0).collect();
    assert_eq!(told.len(), out.len(), "told once each: {out:?}");
    (told, watchers)
}

fn apply(table: &mut WatchTable, model: &mut Model, step: &Step) {
    match *step {
        Step::Add { child, path, conn } => {
            let at = if child { Table::Child } else { Table::Data };
            table.add(PATHS[path], ConnId(conn), at);
            model.add(child, PATHS[path], conn, STANDARD);
        }
        Step::AddWatch { recursive, path, conn } => {
            let mode = if recursive { Mode::Recursive } else { Mode::Persistent };
            table.add_watch(PATHS[path], ConnId(conn), mode);
            model.add(false, PATHS[path], conn, if recursive { RECURSIVE } else { PERSISTENT });
            if !recursive {
                model.add(true, PATHS[path], conn, PERSISTENT);
            }
        }
        Step::Change { path } => {
            let (told, _) = fire(table, PATHS[path], EventKind::NodeDataChanged, Table::Data);
            assert_eq!(told, model.fire(false, PATHS[path]));
        }
        Step::ChildrenChanged { path } => {
            let kind = EventKind::NodeChildrenChanged;
            let (told, _) = fire(table, PATHS[path], kind, Table::Child);
            assert_eq!(told, model.fire(true, PATHS[path]));
        }
        Step::Delete { path } => {
            let (told, _) = fire(table, PATHS[path], EventKind::NodeDeleted, Table::Data);
            assert_eq!(told, model.fire(false, PATHS[path]));
            let (more, all) = fire(table, PATHS[path], EventKind::NodeDeleted, Table::Child);
            let watchers = model.fire(true, PATHS[path]);
            assert_eq!(all, watchers.len());
            assert_eq!(more, &watchers - &told);
        }
        Step::Remove { path, conn, kind } => {
            let kind = WatcherType::from_wire(kind).expect("1 to 5");
            let found = table.contains(PATHS[path], ConnId(conn), kind);
            assert_eq!(table.remove(PATHS[path], ConnId(conn), kind), found);
            assert_eq!(model.remove_type(PATHS[path], conn, kind), found);
        }
        Step::Drop { conn } => {
            table.drop_conn(ConnId(conn));
            model.watches.retain(|(_, _, other), _| *other != conn);
        }
    }
}

proptest! {
    #[test]
    fn the_table_does_what_the_model_does(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let (mut table, mut model) = (WatchTable::new(seed), Model::default());
        for step in &steps {
            apply(&mut table, &mut model, step);
            prop_assert_eq!(table.watch_count(), model.watches.len(), "after {:?}", step);
        }
        let data = model.watches.keys().filter(|(child, ..)| !child);
        let paths: BTreeSet<&str> = data.clone().map(|(_, path, _)| path.as_str()).collect();
        prop_assert_eq!(table.summary().watches, data.count());
        prop_assert_eq!(table.summary().paths, paths.len());
        (0..4).for_each(|conn| table.drop_conn(ConnId(conn)));
        prop_assert!(table.is_empty());
    }
}
