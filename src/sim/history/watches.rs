//! Watches: each event is due exactly once, with the transaction that caused it, and before any
//! reply that shows it.
//!
//! What is due on a connection is no matter of judgement: a watch stands from the reply that set
//! it, at that reply's zxid; the transactions that the server had applied are known from the
//! zxids of what it sent; so the list of due events is exact, in its order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::model::{Firing, Model};
use super::record::{Event, Op, Record, Request, Watches};
use super::sessions::Connection;
use super::verdict::{Broken, Report};

/// What one transaction fired.
#[derive(Debug)]
pub struct Fired {
    pub zxid: i64,
    pub firings: Vec<Firing>,
    /// A closed session's ephemerals go in no order that is promised.
    pub is_unordered: bool,
}

/// For each setWatches, by connection and cxid.
pub type CaughtUp = BTreeMap<(u32, i32), Missed>;

/// What a setWatches finds: the events at once, and what it sets instead.
#[derive(Debug, Default)]
pub struct Missed {
    pub events: Vec<Firing>,
    pub data: Vec<String>,
    pub child: Vec<String>,
}

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

/// What setWatches does on a server with this tree.
pub fn missed(model: &Model, watches: &Watches) -> Missed {
    let since = watches.relative_zxid;
    let mut missed = Missed::default();
    let mut event = |kind, path: &String| missed.events.push(Firing { kind, path: path.clone() });
    for path in &watches.data {
        match model.stat(path) {
            None => event(DELETED, path),
            Some(stat) if stat.mzxid > since => event(DATA_CHANGED, path),
            Some(_) => missed.data.push(path.clone()),
        }
    }
    for path in &watches.exist {
        match model.stat(path) {
            Some(_) => event(CREATED, path),
            None => missed.data.push(path.clone()),
        }
    }
    for path in &watches.child {
        match model.stat(path) {
            None => event(DELETED, path),
            Some(stat) if stat.pzxid > since => event(CHILDREN_CHANGED, path),
            Some(_) => missed.child.push(path.clone()),
        }
    }
    missed
}

/// Judges one connection.
pub fn judge(
    connection: &Connection<'_>,
    fired: &[Fired],
    caught_up: &CaughtUp,
    report: &mut Report,
) {
    let mut server = Server { fired, ..Server::default() };
    let mut caught: Vec<&Event> = Vec::new();
    for record in &connection.records {
        match record {
            Record::Event(event) if event.zxid < 0 => {
                report.events += 1;
                caught.push(event);
            }
            Record::Event(event) => {
                report.events += 1;
                server.advance(event.zxid);
                server.take(event, report);
            }
            Record::Op(op) => {
                let Some(answer) = op.answer().filter(|answer| answer.zxid > 0) else { continue };
                server.advance(answer.zxid);
                if let Some(due) = server.due.pop_front() {
                    let what = format!("{} in front of {op}", shown(due.zxid, &due.firing));
                    report.refuse(Broken::WatchMissed, what);
                    server.due.clear();
                }
                if matches!(op.request, Request::SetWatches(_)) {
                    let missed = caught_up.get(&(op.conn, op.cxid));
                    server.set_again(op, missed, &mut caught, report);
                } else {
                    server.set(op, answer.error);
                }
            }
            _ => {}
        }
    }
    let mut unheard = unanswered(connection);
    for event in caught {
        let is_it =
            |(path, kinds): &(&str, &[i32])| *path == event.path && kinds.contains(&event.kind);
        if let Some(at) = unheard.iter().position(is_it) {
            unheard.swap_remove(at);
            continue;
        }
        let what = format!("no setWatches behind {}", Record::Event(event.clone()));
        report.refuse(Broken::WatchUncaused, what);
    }
}

/// What setWatches may have found whose replies were lost behind their events: one kind of event
/// for each path of a list.
fn unanswered<'a>(connection: &Connection<'a>) -> Vec<(&'a str, &'static [i32])> {
    let mut found: Vec<(&str, &[i32])> = Vec::new();
    for op in connection.ops().filter(|op| op.answer().is_none()) {
        let Request::SetWatches(watches) = &op.request else { continue };
        found.extend(watches.data.iter().map(|path| (path.as_str(), &[DELETED, DATA_CHANGED][..])));
        found.extend(watches.exist.iter().map(|path| (path.as_str(), &[CREATED][..])));
        let kinds = &[DELETED, CHILDREN_CHANGED][..];
        found.extend(watches.child.iter().map(|path| (path.as_str(), kinds)));
    }
    found
}

/// A server's watches of one connection.
#[derive(Default)]
struct Server<'a> {
    fired: &'a [Fired],
    /// It has applied all up to here.
    applied: i64,
    data: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
    due: VecDeque<Due>,
}

struct Due {
    zxid: i64,
    firing: Firing,
    is_unordered: bool,
}

impl Server<'_> {
    /// Applies all transactions up to `zxid`.
    fn advance(&mut self, zxid: i64) {
        if zxid <= self.applied {
            return;
        }
        let (from, to) = (self.applied, zxid);
        self.applied = zxid;
        if [&self.data, &self.child, &self.persistent, &self.recursive].iter().all(|s| s.is_empty())
        {
            return;
        }
        let first = self.fired.partition_point(|fired| fired.zxid <= from);
        for fired in self.fired[first..].iter().take_while(|fired| fired.zxid <= to) {
            for firing in &fired.firings {
                if self.fires(firing) {
                    let (zxid, is_unordered) = (fired.zxid, fired.is_unordered);
                    self.due.push_back(Due { zxid, firing: firing.clone(), is_unordered });
                }
            }
        }
    }

    fn fires(&mut self, firing: &Firing) -> bool {
        let path = &firing.path;
        let mut is_due = false;
        if firing.kind != CHILDREN_CHANGED {
            is_due |= self.data.remove(path);
            is_due |= self.recursive.iter().any(|above| is_at_or_below(path, above));
        }
        if matches!(firing.kind, DELETED | CHILDREN_CHANGED) {
            is_due |= self.child.remove(path);
        }
        is_due | self.persistent.contains(path)
    }

    fn take(&mut self, event: &Event, report: &mut Report) {
        let is_it = |due: &Due| {
            due.zxid == event.zxid && due.firing.kind == event.kind && due.firing.path == event.path
        };
        let same = |due: &&Due| due.zxid == event.zxid && due.is_unordered;
        let choice = self.due.iter().take_while(same).count().max(1);
        if let Some(at) = self.due.iter().take(choice).position(is_it) {
            self.due.remove(at);
            return;
        }
        // Say what is wrong with it, and go on behind it.
        let what = Record::Event(event.clone());
        match self.due.iter().position(is_it) {
            Some(at) => {
                let first = &self.due[0];
                let what = format!("{} in front of {what}", shown(first.zxid, &first.firing));
                report.refuse(Broken::WatchMissed, what);
                self.due.drain(..=at);
            }
            None => report.refuse(Broken::WatchUncaused, what.to_string()),
        }
    }

    /// What an answered request sets or removes.
    fn set(&mut self, op: &Op, error: i32) {
        const NO_NODE: i32 = -101;
        match &op.request {
            Request::GetData { path, watch: true } if error == 0 => {
                self.data.insert(watched(path));
            }
            Request::Exists { path, watch: true } if error == 0 || error == NO_NODE => {
                self.data.insert(watched(path));
            }
            Request::Children { path, watch: true, .. } if error == 0 => {
                self.child.insert(watched(path));
            }
            Request::AddWatch { path, recursive } if error == 0 => {
                let set = if *recursive { &mut self.recursive } else { &mut self.persistent };
                set.insert(path.clone());
            }
            Request::RemoveWatches { path, kind } if error == 0 => {
                let sets: &mut [&mut BTreeSet<String>] = &mut match kind {
                    1 => vec![&mut self.child],
                    2 => vec![&mut self.data],
                    4 => vec![&mut self.persistent],
                    5 => vec![&mut self.recursive],
                    _ => vec![
                        &mut self.child,
                        &mut self.data,
                        &mut self.persistent,
                        &mut self.recursive,
                    ],
                };
                sets.iter_mut().for_each(|set| {
                    set.remove(path);
                });
            }
            _ => {}
        }
    }

    fn set_again(
        &mut self,
        op: &Op,
        missed: Option<&Missed>,
        caught: &mut Vec<&Event>,
        report: &mut Report,
    ) {
        let (Request::SetWatches(watches), Some(missed)) = (&op.request, missed) else { return };
        let mut due: Vec<(i32, &str)> =
            missed.events.iter().map(|e| (e.kind, e.path.as_str())).collect();
        let mut found: Vec<(i32, &str)> =
            caught.iter().map(|e| (e.kind, e.path.as_str())).collect();
        due.sort_unstable();
        found.sort_unstable();
        if due != found {
            let broken =
                if due.len() > found.len() { Broken::WatchMissed } else { Broken::WatchUncaused };
            report.refuse(broken, format!("due {due:?}, came {found:?}, in front of {op}"));
        }
        caught.clear();
        self.data.extend(missed.data.iter().cloned());
        self.child.extend(missed.child.iter().cloned());
        self.persistent.extend(watches.persistent.iter().cloned());
        self.recursive.extend(watches.recursive.iter().cloned());
    }
}

fn watched(path: &str) -> String {
    if path.is_empty() { "/" } else { path }.to_owned()
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    match path.strip_prefix(above) {
        Some(rest) => rest.is_empty() || above == "/" || rest.starts_with('/'),
        None => false,
    }
}

fn shown(zxid: i64, firing: &Firing) -> String {
    format!("event {} of {} at {zxid:#x} is missing", firing.kind, firing.path)
}
