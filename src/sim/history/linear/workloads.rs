//! The usual objects, found in a history by their paths and judged without zxids:
//!
//! - `/register…`, a register: create, delete, setData with and without a version; sync, then
//!   getData or exists.
//! - `/lock…`, a lock: create of it as an ephemeral, delete.
//! - `/ids/…`, unique ids: sequential creates.
//! - `/set/…`, a set: create of names that are used once; at the end sync, then getChildren.
//! - `/counter/…`, a counter: multis of sequential creates; sync, then getChildren.
//! - `/queue/…`, a queue. Put: a multi of a sequential create and a setData of `/queue`. Take:
//!   getChildren2 and getData, then a multi of check of `/queue`, delete of the first and setData
//!   of `/queue`.
//!
//! Every value that is put into a queue is used once. Reads that follow no sync are not judged:
//! they may be old.

use std::collections::{BTreeMap, BTreeSet};

use super::{find_wrong, search, Call, Moved, Register, Verdict, ZnodeAction};
use crate::sim::history::model::is_beyond;
use crate::sim::history::record::{History, Op, Reply, Request};
use crate::sim::history::sessions::Sessions;
use crate::sim::history::verdict::{Broken, Report};

/// How the searches went, by object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searched {
    /// Operations judged.
    pub calls: BTreeMap<String, usize>,
    /// Objects whose search was given up.
    pub undecided: Vec<String>,
}

/// Judges every object of the table; a search keeps at most `steps_max` states. Reads behind a
/// sync count only if `synced_reads` says so.
pub fn judge_workloads(
    history: &History,
    synced_reads: bool,
    steps_max: usize,
) -> (Report, Searched) {
    let mut report = Report::default();
    let sessions = Sessions::of(history, &mut report);
    let mut all = Workloads { report, searched: Searched::default(), steps_max };
    let ops = Seen::of(&sessions);
    all.registers(&sessions, &ops, synced_reads);
    all.ids(&ops);
    all.set(&ops);
    all.counter(&ops, synced_reads);
    all.queue(&ops);
    (all.report, all.searched)
}

/// A request with its session and, if the request in front of it on its connection was a sync
/// that was answered, since when its answer may not be older.
struct Seen<'a> {
    session: i64,
    op: &'a Op,
    synced_ns: Option<u64>,
}

impl<'a> Seen<'a> {
    fn of(sessions: &Sessions<'a>) -> Vec<Seen<'a>> {
        let mut seen = Vec::new();
        for connection in sessions.connections() {
            let session = connection.opened.session;
            let mut synced_ns = None;
            for op in connection.ops().filter(|op| op.cxid > 0) {
                seen.push(Seen { session, op, synced_ns });
                let is_sync = matches!(op.request, Request::Sync { .. });
                let is_good = op.answer().is_some_and(|answer| answer.error == 0);
                synced_ns = (is_sync && is_good).then_some(op.invoked_ns);
            }
        }
        seen
    }

    fn call<A>(&self, action: A) -> Call<A> {
        let returned_ns = self.op.answer().map(|answer| answer.returned_ns);
        Call { action, invoked_ns: self.op.invoked_ns, returned_ns }
    }

    fn moved(&self, item: &[u8]) -> Moved {
        let returned_ns = self.op.answer().map(|answer| answer.returned_ns);
        Moved { item: item.to_vec(), invoked_ns: self.op.invoked_ns, returned_ns }
    }

    fn is_done(&self) -> bool {
        self.op.answer().is_some_and(|answer| answer.error == 0 && !is_failed(&answer.reply))
    }
}

fn is_failed(reply: &Reply) -> bool {
    matches!(reply, Reply::Multi(parts) if parts.iter().any(|part| part.error != 0))
}

struct Workloads {
    report: Report,
    searched: Searched,
    steps_max: usize,
}

impl Workloads {
    fn registers(&mut self, sessions: &Sessions<'_>, ops: &[Seen<'_>], synced_reads: bool) {
        let mut calls: BTreeMap<&str, Vec<(Call<ZnodeAction>, &Op)>> = BTreeMap::new();
        let mut owners: BTreeSet<(&str, i64)> = BTreeSet::new();
        for seen in ops {
            let Some((path, action)) = znode_action(seen, synced_reads) else { continue };
            if !path.starts_with("/register") && !path.starts_with("/lock") {
                continue;
            }
            let mut call = seen.call(action);
            match call.action {
                ZnodeAction::Create { owner, .. } if owner != 0 => {
                    owners.insert((path, owner));
                }
                // A read may take its value from any moment since its sync was sent.
                ZnodeAction::Get { .. } | ZnodeAction::Exists { .. } => {
                    call.invoked_ns = seen.synced_ns.unwrap_or(call.invoked_ns);
                }
                _ => {}
            }
            calls.entry(path).or_default().push((call, seen.op));
        }
        for (path, session) in owners {
            let (call, op) = end_of(sessions, session);
            calls.entry(path).or_default().push((call, op));
        }
        for (path, calls) in calls {
            let (calls, ops): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
            let verdict = search(&Register, &calls, self.steps_max);
            self.conclude(path, verdict, &ops);
        }
    }

    fn conclude(&mut self, object: &str, verdict: Verdict, ops: &[&Op]) {
        self.searched.calls.insert(object.to_owned(), ops.len());
        match verdict {
            Verdict::Linearizable => {}
            Verdict::Refused { stuck } => {
                let what = format!("{object}: nothing explains {}", ops[stuck]);
                self.report.refuse(Broken::NotLinearizable, what);
            }
            Verdict::Undecided => self.searched.undecided.push(object.to_owned()),
        }
    }

    /// Ids are never given twice, and rise with time.
    fn ids(&mut self, ops: &[Seen<'_>]) {
        let mut ids: Vec<(String, &Op)> = Vec::new();
        for seen in ops {
            let Request::Create { path, flags: 2 | 3, .. } = &seen.op.request else { continue };
            let Some(answer) = seen.op.answer().filter(|a| a.error == 0) else { continue };
            if !path.starts_with("/ids/") {
                continue;
            }
            match &answer.reply {
                Reply::Path(path) => ids.push((path.clone(), seen.op)),
                Reply::Created(created) => ids.push((created.path.clone(), seen.op)),
                _ => {}
            }
        }
        self.searched.calls.insert("/ids".to_owned(), ids.len());
        ids.sort_by(|a, b| a.0.cmp(&b.0));
        // From the greatest down: the earliest return among the greater ones.
        let mut first_return: Option<(u64, &Op)> = None;
        for at in (0..ids.len()).rev() {
            let (id, op) = &ids[at];
            if ids.get(at + 1).is_some_and(|(next, _)| next == id) {
                let what = format!("{id} was given twice, the second time by {op}");
                self.report.refuse(Broken::NotLinearizable, what);
            }
            if let Some((returned, greater)) = first_return {
                if returned < op.invoked_ns {
                    let what = format!("{id} was given after a greater one: {greater}, {op}");
                    self.report.refuse(Broken::NotLinearizable, what);
                }
            }
            let returned = op.answer().expect("only answered ones").returned_ns;
            if first_return.is_none_or(|(first, _)| returned < first) {
                first_return = Some((returned, op));
            }
        }
    }

    /// What was added is there at the end, and nothing else.
    fn set(&mut self, ops: &[Seen<'_>]) {
        let added = |seen: &Seen<'_>| match &seen.op.request {
            Request::Create { path, flags: 0, .. } => path.strip_prefix("/set/").map(str::to_owned),
            _ => None,
        };
        let adds: Vec<(String, &Seen<'_>)> =
            ops.iter().filter_map(|seen| Some((added(seen)?, seen))).collect();
        self.searched.calls.insert("/set".to_owned(), adds.len());
        let Some((last, names)) = last_children(ops, "/set") else { return };
        let names: BTreeSet<&String> = names.iter().collect();
        let since = last.synced_ns.expect("only those behind a sync");
        for (name, seen) in &adds {
            let answered = seen.op.answer().filter(|answer| answer.returned_ns < since);
            if answered.is_some() && seen.is_done() && !names.contains(name) {
                let what = format!("/set/{name} is not in the set: {}", seen.op);
                self.report.refuse(Broken::NotLinearizable, what);
            }
        }
        let asked: BTreeSet<&String> = adds.iter().map(|(name, _)| name).collect();
        for name in names.difference(&asked) {
            let what = format!("/set/{name} is in the set, and nobody added it");
            self.report.refuse(Broken::NotLinearizable, what);
        }
    }

    /// A counter that only grows is never below what was added before the read was sent, and
    /// never above what had been asked for when it returned.
    fn counter(&mut self, ops: &[Seen<'_>], synced_reads: bool) {
        let mut adds: Vec<(u64, u64, usize)> = Vec::new();
        for seen in ops {
            let Request::Multi(parts) = &seen.op.request else { continue };
            let is_add = |part: &Request| match part {
                Request::Create { path, .. } => path.starts_with("/counter/"),
                _ => false,
            };
            if parts.is_empty() || !parts.iter().all(is_add) {
                continue;
            }
            let returned = seen.op.answer().map_or(u64::MAX, |answer| answer.returned_ns);
            match (seen.op.answer(), seen.is_done()) {
                (None, _) | (Some(_), true) => {
                    adds.push((seen.op.invoked_ns, returned, parts.len()));
                }
                _ => {}
            }
        }
        self.searched.calls.insert("/counter".to_owned(), adds.len());
        let end = last_children(ops, "/counter").map(|(seen, _)| seen.op);
        for seen in ops {
            let Some(names) = children_of(seen, "/counter") else { continue };
            let is_last = end.is_some_and(|end| std::ptr::eq(end, seen.op));
            let since = seen.synced_ns.filter(|_| synced_reads || is_last);
            let until = seen.op.answer().expect("it has names").returned_ns;
            let least: usize =
                adds.iter().filter(|a| since.is_some_and(|ns| a.1 < ns)).map(|a| a.2).sum();
            let most: usize = adds.iter().filter(|a| a.0 <= until).map(|a| a.2).sum();
            if !(least..=most).contains(&names.len()) {
                let what = format!("{} is not in {least}..={most}: {}", names.len(), seen.op);
                self.report.refuse(Broken::NotLinearizable, what);
            }
        }
    }

    /// Each item comes out once, and in order.
    fn queue(&mut self, ops: &[Seen<'_>]) {
        let items = queue_items(ops);
        let (mut puts, mut takes) = (Vec::new(), Vec::new());
        for seen in ops {
            if seen.op.answer().is_some() && !seen.is_done() {
                continue;
            }
            let Request::Multi(parts) = &seen.op.request else { continue };
            for part in parts {
                match part {
                    Request::Create { path, data: Some(data), .. }
                        if path.starts_with("/queue/") =>
                    {
                        puts.push(seen.moved(data));
                    }
                    Request::Delete { path, .. } if path.starts_with("/queue/") => {
                        match items.get(path.as_str()) {
                            Some(item) => takes.push(seen.moved(item)),
                            None => {
                                let what = format!("{path} holds nothing that was read");
                                self.report.refuse(Broken::Unreadable, what);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        self.searched.calls.insert("/queue".to_owned(), puts.len() + takes.len());
        if let Some(what) = find_wrong(&puts, &takes) {
            self.report.refuse(Broken::NotLinearizable, format!("/queue: {what}"));
        }
    }
}

/// What the queue's znodes hold, by path: from the replies to puts, and from reads.
fn queue_items<'a>(ops: &[Seen<'a>]) -> BTreeMap<&'a str, &'a [u8]> {
    let mut items = BTreeMap::new();
    for answered in ops.iter().filter(|seen| seen.is_done()) {
        let reply = &answered.op.answer().expect("it is done").reply;
        match (&answered.op.request, reply) {
            (Request::GetData { path, .. }, Reply::Data(Some(data), _)) => {
                items.insert(path.as_str(), data.as_slice());
            }
            (Request::Multi(parts), Reply::Multi(replies)) => {
                for (part, reply) in parts.iter().zip(replies) {
                    if let (Request::Create { data: Some(data), .. }, Reply::Path(path)) =
                        (part, &reply.reply)
                    {
                        items.insert(path.as_str(), data.as_slice());
                    }
                }
            }
            _ => {}
        }
    }
    items
}

fn znode_action<'a>(seen: &Seen<'a>, synced_reads: bool) -> Option<(&'a str, ZnodeAction)> {
    let answer = seen.op.answer();
    if answer.is_some_and(|answer| is_beyond(answer.error)) {
        return None;
    }
    let reply = answer.map(|answer| match answer.error {
        0 => Ok(&answer.reply),
        error => Err(error),
    });
    let done = reply.as_ref().map(|reply| reply.as_ref().map(drop).map_err(|error| *error));
    Some(match &seen.op.request {
        Request::Create { path, data, flags: flags @ (0 | 1), .. } => {
            let owner = if *flags == 1 { seen.session } else { 0 };
            (path, ZnodeAction::Create { data: data.clone(), owner, answer: done })
        }
        Request::SetData { path, data, version } => {
            let answer = match reply {
                Some(Ok(Reply::Stat(stat))) => Some(Ok(stat.version)),
                Some(Err(error)) => Some(Err(error)),
                _ => None,
            };
            (path, ZnodeAction::Set { data: data.clone(), version: *version, answer })
        }
        Request::Delete { path, version } => {
            (path, ZnodeAction::Delete { version: *version, answer: done })
        }
        Request::GetData { path, .. } if synced_reads && seen.synced_ns.is_some() => {
            let answer = match reply? {
                Ok(Reply::Data(data, stat)) => Ok((data.clone(), stat.version)),
                Err(error) => Err(error),
                _ => return None,
            };
            (path, ZnodeAction::Get { answer })
        }
        Request::Exists { path, .. } if synced_reads && seen.synced_ns.is_some() => {
            let answer = match reply? {
                Ok(Reply::Stat(stat)) => Ok(stat.version),
                Err(error) => Err(error),
                _ => return None,
            };
            (path, ZnodeAction::Exists { answer })
        }
        _ => return None,
    })
}

/// When a session may have ended: by its closeSession, or without a word at any time after its
/// last answered request was sent.
fn end_of<'a>(sessions: &Sessions<'a>, session: i64) -> (Call<ZnodeAction>, &'a Op) {
    let action = ZnodeAction::End { session };
    let ops: Vec<&Op> = sessions.by_id[&session].iter().flat_map(|c| c.ops()).collect();
    let closing = ops.iter().find(|op| {
        matches!(op.request, Request::CloseSession) && op.answer().is_some_and(|a| a.error == 0)
    });
    if let Some(op) = closing {
        let returned_ns = op.answer().map(|answer| answer.returned_ns);
        return (Call { action, invoked_ns: op.invoked_ns, returned_ns }, op);
    }
    let last = ops.iter().rev().find(|op| op.answer().is_some()).or(ops.last());
    let op = last.expect("the session has created something");
    (Call { action, invoked_ns: op.invoked_ns, returned_ns: None }, op)
}

fn children_of<'a>(seen: &Seen<'a>, parent: &str) -> Option<&'a [String]> {
    match (&seen.op.request, &seen.op.answer()?.reply) {
        (Request::Children { path, .. }, Reply::Children(names, _)) if path == parent => {
            Some(names)
        }
        _ => None,
    }
}

/// The last look at the children behind a sync.
fn last_children<'a, 'b>(
    ops: &'b [Seen<'a>],
    parent: &str,
) -> Option<(&'b Seen<'a>, &'a [String])> {
    let synced = ops.iter().filter(|seen| seen.synced_ns.is_some());
    let looks = synced.filter_map(|seen| Some((seen, children_of(seen, parent)?)));
    looks.max_by_key(|(seen, _)| seen.op.invoked_ns)
}
