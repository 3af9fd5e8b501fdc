//! The judge that knows what was committed: it replays the sequence into the [`Model`] once and
//! holds every reply against it. Linear in the length of both; no search.
//!
//! 1. Each transaction is what its request asks of the tree in front of it, and each request made
//!    at most one.
//! 2. Each acknowledged write is in the sequence at the zxid of its reply, and the reply is what
//!    the write did. Unknown outcomes are looked up in the sequence.
//! 3. What was known when a write was sent stands in front of it: zxids respect real time.
//! 4. Each read is the state at its reply's zxid. A session's zxids never fall, so its reads see
//!    its writes.
//! 5. Replies and effects of a session are in cxid order, without holes.
//! 6. Watches: see [`watches`](super::watches).
//!
//! Not judged: what is below `/zookeeper` (quotas and configuration are beyond the model), and
//! errors of the kinds in [`is_beyond`].

use std::collections::BTreeMap;

use jute::txn::{Txn, TxnRecord};
use jute::Decode;

use super::model::{changes_of, failed_parts, is_beyond, Change, Model, When};
use super::record::{Answer, History, Op, Reply, Request};
use super::sessions::Sessions;
use super::verdict::{Broken, Report};
use super::watches::{self, CaughtUp, Fired};
use crate::types::LoggedTxn;

/// What the judge may take for granted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// A read behind a sync sees every write that was acknowledged before the sync was sent.
    /// Apache does not promise it across a change of leaders (ZOOKEEPER-1675).
    pub synced_reads: bool,
}

/// The errors of writes that were refused before they took a zxid: malformed, read-only server,
/// authentication due, throttled, session gone.
const WITHOUT_TXN: [i32; 5] = [-5, -112, -119, -124, -127];
/// The session had moved, or had ended: the transaction is a mere number and may come at any time.
const SESSION_GONE: [i32; 2] = [-118, -112];

/// Whether a request failed since its session was not to be had any more, in a multi too.
fn is_without_session(txn: &Txn<'_>) -> bool {
    match txn {
        Txn::Error(code) => SESSION_GONE.contains(code),
        Txn::Multi(parts) => parts.iter().any(is_without_session),
        _ => false,
    }
}

/// Holds a history against the sequence of committed transactions, from the first one on.
pub fn judge(committed: &[LoggedTxn], history: &History, rules: Rules) -> Report {
    let mut report = Report::default();
    let sessions = Sessions::of(history, &mut report);
    let mut replay = Replay {
        txns: decode(committed, &mut report),
        asked: BTreeMap::new(),
        made: BTreeMap::new(),
        report,
    };
    replay.match_requests(&sessions);
    let (fired, caught_up) = replay.run(&sessions);
    replay.check_real_time(&sessions);
    for (session, connections) in &sessions.by_id {
        replay.check_session(*session, connections);
    }
    if rules.synced_reads {
        replay.check_synced_reads(&sessions);
    }
    let mut report = replay.report;
    for connection in sessions.connections() {
        watches::judge(connection, &fired, &caught_up, &mut report);
    }
    report
}

/// A session's request.
type Key = (i64, i32);

struct Replay<'a> {
    txns: Vec<TxnRecord<'a>>,
    /// The requests that can make transactions.
    asked: BTreeMap<Key, &'a Op>,
    /// Where in `txns` a request's transaction is.
    made: BTreeMap<Key, usize>,
    report: Report,
}

fn decode<'a>(committed: &'a [LoggedTxn], report: &mut Report) -> Vec<TxnRecord<'a>> {
    let mut txns: Vec<TxnRecord<'a>> = Vec::with_capacity(committed.len());
    for logged in committed {
        let zxid = logged.zxid.0;
        match TxnRecord::from_bytes(&logged.bytes) {
            Ok(txn) if txn.header.zxid != zxid => {
                let what = format!("{zxid:#x} has {:#x} in its header", txn.header.zxid);
                report.refuse(Broken::Unreadable, what);
            }
            Ok(txn) => {
                let last = txns.last().map_or(0, |txn| txn.header.zxid);
                if zxid <= last {
                    let what = format!("committed {zxid:#x} stands behind {last:#x}");
                    report.refuse(Broken::Unreadable, what);
                } else {
                    txns.push(txn);
                }
            }
            Err(error) => report.refuse(Broken::Unreadable, format!("{zxid:#x}: {error}")),
        }
    }
    txns
}

impl<'a> Replay<'a> {
    /// Finds each request's transaction and each acknowledged write's place.
    fn match_requests(&mut self, sessions: &Sessions<'a>) {
        for (session, op) in sessions.ops().filter(|(_, op)| op.request.is_write()) {
            if self.asked.insert((session, op.cxid), op).is_some() {
                let what = format!("session {session:#x} numbers two requests {}", op.cxid);
                self.report.refuse(Broken::Unreadable, what);
            }
        }
        for (at, txn) in self.txns.iter().enumerate() {
            let key = (txn.header.client_id, txn.header.cxid);
            // The server's own: opened, expired, reaped.
            let is_own = key.1 == 0 || matches!(txn.txn, Txn::CreateSession(_));
            if is_own || !sessions.by_id.contains_key(&key.0) {
                continue;
            }
            let zxid = txn.header.zxid;
            if !self.asked.contains_key(&key) {
                let what = format!("{zxid:#x} by {:#x}, request {}: never asked", key.0, key.1);
                self.report.refuse(Broken::Phantom, what);
            } else if let Some(before) = self.made.insert(key, at) {
                let before = self.txns[before].header.zxid;
                let what = format!("request {} of {:#x}: {before:#x}, {zxid:#x}", key.1, key.0);
                self.report.refuse(Broken::Phantom, what);
            }
        }
        for (key, op) in &self.asked {
            let made = self.made.get(key).map(|at| self.txns[*at].header.zxid);
            match (op.answer(), made) {
                (None, Some(_)) => self.report.unknown_done += 1,
                (None, None) => self.report.unknown_lost += 1,
                (Some(answer), Some(zxid)) if answer.zxid == zxid => self.report.writes += 1,
                (Some(answer), None) if WITHOUT_TXN.contains(&answer.error) => {}
                (Some(answer), made) => {
                    let made = made.map_or("nowhere".to_owned(), |zxid| format!("{zxid:#x}"));
                    let what = format!("at {:#x}, committed {made}: {op}", answer.zxid);
                    self.report.refuse(Broken::LostWrite, what);
                }
            }
        }
    }

    /// Replays the sequence. Returns which watches each transaction fired, and what each
    /// setWatches had missed.
    fn run(&mut self, sessions: &Sessions<'a>) -> (Vec<Fired>, CaughtUp) {
        let mut model = Model::new();
        let mut fired = Vec::with_capacity(self.txns.len());
        let mut caught_up = CaughtUp::new();
        let mut closed: BTreeMap<i64, i64> = BTreeMap::new();
        let mut reads = reads_by_zxid(sessions);
        reads.reverse();
        let txns = std::mem::take(&mut self.txns);
        for (at, txn) in txns.iter().enumerate() {
            let zxid = txn.header.zxid;
            while reads.last().is_some_and(|(_, answer)| answer.zxid < zxid) {
                let last = at.checked_sub(1).map_or(0, |at| txns[at].header.zxid);
                let (op, answer) = reads.pop().expect("just looked at");
                self.check_read(&model, last, op, answer, &mut caught_up);
            }
            self.check_closed(&mut closed, txn);
            fired.push(self.step(&mut model, txn));
        }
        let last = txns.last().map_or(0, |txn| txn.header.zxid);
        while let Some((op, answer)) = reads.pop() {
            self.check_read(&model, last, op, answer, &mut caught_up);
        }
        self.txns = txns;
        (fired, caught_up)
    }

    /// One transaction: what was asked, what it does, what its client was told.
    fn step(&mut self, model: &mut Model, txn: &TxnRecord<'a>) -> Fired {
        let header = &txn.header;
        let when = When { zxid: header.zxid, wall_ms: header.time_ms };
        let mut fired = Fired {
            zxid: header.zxid,
            firings: Vec::new(),
            is_unordered: matches!(txn.txn, Txn::CloseSession(_)),
        };
        let Some(done) = changes_of(header.client_id, &txn.txn) else { return fired };
        let op = self.asked.get(&(header.client_id, header.cxid)).copied();
        if let Some(op) = op {
            let due = model.decide(header.client_id, &op.request, when);
            let is_beyond = done.as_ref().is_err_and(|e| e.iter().any(|e| is_beyond(*e)));
            if due != done && !is_beyond {
                let what = format!("{:#x} is {done:?}, due is {due:?}: {op}", header.zxid);
                self.report.refuse(Broken::WrongTxn, what);
            }
        }
        let request = op.map(|op| &op.request);
        let reply = match &done {
            Ok(changes) => self.apply(model, request, changes, when, &mut fired),
            Err(errors) => match request {
                Some(Request::Multi(_)) => (0, failed_parts(errors)),
                _ => (errors[0], Reply::None),
            },
        };
        let answer = op.and_then(Op::answer).filter(|answer| answer.zxid == header.zxid);
        if let Some(answer) = answer {
            if (answer.error, &answer.reply) != (reply.0, &reply.1) {
                let what = format!("due is {} {}: {}", reply.0, reply.1, op.expect("answered"));
                self.report.refuse(Broken::WriteReply, what);
            }
        }
        fired
    }

    fn apply(
        &mut self,
        model: &mut Model,
        request: Option<&Request>,
        changes: &[Change],
        when: When,
        fired: &mut Fired,
    ) -> (i32, Reply) {
        let mut replies = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            match model.apply(change, when) {
                Ok(firings) => fired.firings.extend(firings),
                Err(what) => {
                    let what = format!("{:#x}: {what}", when.zxid);
                    self.report.refuse(Broken::WrongTxn, what);
                    return (0, Reply::None);
                }
            }
            let part = match request {
                Some(Request::Multi(parts)) => parts.get(at),
                other => other,
            };
            let reply = part.map_or(Reply::None, |part| model.reply_to(part, change));
            replies.push(reply);
        }
        let Some(Request::Multi(_)) = request else {
            return (0, replies.pop().unwrap_or(Reply::None));
        };
        let part = |reply| super::record::Part { error: 0, reply };
        (0, Reply::Multi(replies.into_iter().map(part).collect()))
    }

    /// A closed session does nothing more; a number taken for nothing is no deed.
    fn check_closed(&mut self, closed: &mut BTreeMap<i64, i64>, txn: &TxnRecord<'a>) {
        let (session, zxid) = (txn.header.client_id, txn.header.zxid);
        if let Some(end) = closed.get(&session) {
            // Its client and its expiry may both end it; the second end finds nothing to do.
            let idle = match &txn.txn {
                Txn::Error(_) | Txn::CloseSession(None) => true,
                Txn::CloseSession(Some(paths)) => paths.is_empty(),
                multi => is_without_session(multi),
            };
            if !idle {
                let what = format!("{zxid:#x} by {session:#x}, which ended at {end:#x}");
                self.report.refuse(Broken::AfterClose, what);
            }
        }
        if matches!(txn.txn, Txn::CloseSession(_)) {
            closed.insert(session, zxid);
        }
    }

    /// `last` is the last transaction that the model has seen.
    fn check_read(
        &mut self,
        model: &Model,
        last: i64,
        op: &Op,
        answer: &Answer,
        caught_up: &mut CaughtUp,
    ) {
        self.report.reads += 1;
        // A new leader's own zxid is its epoch's start: no transaction.
        if answer.zxid != last && answer.zxid & 0xffff_ffff != 0 {
            let what = format!("{:#x} is no committed zxid: {op}", answer.zxid);
            self.report.refuse(Broken::Read, what);
        }
        if let Request::SetWatches(watches) = &op.request {
            caught_up.insert((op.conn, op.cxid), watches::missed(model, watches));
            return;
        }
        if is_beyond(answer.error) || is_reserved(&op.request) {
            return;
        }
        let Some(due) = model.read(&op.request) else { return };
        let is_right = match (&due, answer.error, &answer.reply) {
            (Err(error), found, Reply::None) => *error == found,
            (Ok(due), 0, found) => is_same_reply(due, found),
            _ => false,
        };
        if !is_right {
            let due = due.map_or_else(|error| error.to_string(), |reply| reply.to_string());
            self.report.refuse(Broken::Read, format!("due is {due}: {op}"));
        }
    }

    /// What anybody knew before a write was sent is older than the write.
    fn check_real_time(&mut self, sessions: &Sessions<'a>) {
        let mut known = knowledge(sessions);
        let mut writes: Vec<(u64, Key)> =
            self.made.keys().map(|k| (self.asked[k].invoked_ns, *k)).collect();
        writes.sort_unstable();
        known.reverse();
        let mut newest = (0, 0);
        for (invoked_ns, key) in writes {
            while known.last().is_some_and(|(returned_ns, ..)| *returned_ns < invoked_ns) {
                let (_, zxid, conn) = known.pop().expect("just looked at");
                newest = newest.max((zxid, conn));
            }
            let zxid = self.txns[self.made[&key]].header.zxid;
            if zxid <= newest.0 {
                let what = format!(
                    "{zxid:#x} was sent when connection {} knew of {:#x}: {}",
                    newest.1, newest.0, self.asked[&key]
                );
                self.report.refuse(Broken::RealTime, what);
            }
        }
    }

    fn check_session(&mut self, session: i64, connections: &[super::sessions::Connection<'a>]) {
        let mut seen = 0;
        for connection in connections {
            seen = seen.max(connection.opened.seen_zxid);
            let mut last_cxid = 0;
            for op in connection.ops() {
                if op.cxid > 0 {
                    if op.cxid <= last_cxid {
                        let what = format!("behind {last_cxid} of {session:#x}: {op}");
                        self.report.refuse(Broken::SessionOrder, what);
                    }
                    last_cxid = op.cxid;
                }
                let Some(answer) = op.answer().filter(|answer| answer.zxid > 0) else { continue };
                if answer.zxid < seen {
                    let what = format!("{session:#x} had seen {seen:#x}: {op}");
                    self.report.refuse(Broken::SessionView, what);
                }
                seen = seen.max(answer.zxid);
            }
            self.check_holes(session, connection);
        }
        self.check_effects(session);
    }

    /// A connection's later write is not done without its earlier ones.
    fn check_holes(&mut self, session: i64, connection: &super::sessions::Connection<'a>) {
        let mut hole: Option<&Op> = None;
        for op in connection.ops().filter(|op| op.request.is_write()) {
            let made = self.made.get(&(session, op.cxid)).map(|at| &self.txns[*at].txn);
            match (made, hole) {
                (Some(Txn::Error(_)), _) => {}
                (Some(_), Some(hole)) => {
                    let what = format!("{op} was done, in front of it not: {hole}");
                    self.report.refuse(Broken::SessionOrder, what);
                }
                (None, None) if op.answer().is_none() => hole = Some(op),
                _ => {}
            }
        }
    }

    /// A session's transactions are in cxid order, over all its connections.
    fn check_effects(&mut self, session: i64) {
        let made = self.made.range((session, i32::MIN)..=(session, i32::MAX));
        let mut last = 0;
        for ((_, cxid), at) in made {
            let txn = &self.txns[*at];
            if is_without_session(&txn.txn) {
                continue;
            }
            if txn.header.zxid < last {
                let what = format!(
                    "{session:#x}: request {cxid} at {:#x}, the one before it at {last:#x}",
                    txn.header.zxid
                );
                self.report.refuse(Broken::SessionOrder, what);
            }
            last = last.max(txn.header.zxid);
        }
    }

    fn check_synced_reads(&mut self, sessions: &Sessions<'a>) {
        let mut acked: Vec<(u64, i64)> = self
            .made
            .iter()
            .filter_map(|(key, at)| {
                let answer = self.asked[key].answer()?;
                Some((answer.returned_ns, self.txns[*at].header.zxid))
            })
            .collect();
        acked.sort_unstable();
        let mut newest = 0;
        for (_, zxid) in &mut acked {
            newest = newest.max(*zxid);
            *zxid = newest;
        }
        for connection in sessions.connections() {
            let mut due = 0;
            for op in connection.ops() {
                let Some(answer) = op.answer().filter(|answer| answer.error == 0) else { continue };
                if matches!(op.request, Request::Sync { .. }) {
                    let before = acked.partition_point(|(returned, _)| *returned < op.invoked_ns);
                    due = due.max(before.checked_sub(1).map_or(0, |at| acked[at].1));
                } else if answer.zxid < due {
                    let what = format!("{due:#x} had been acknowledged before the sync: {op}");
                    self.report.refuse(Broken::SyncedRead, what);
                }
            }
        }
    }
}

/// All answered requests that are no transactions, by their zxid.
fn reads_by_zxid<'a>(sessions: &Sessions<'a>) -> Vec<(&'a Op, &'a Answer)> {
    let mut reads: Vec<_> = sessions
        .ops()
        .filter(|(_, op)| !op.request.is_write() && !matches!(op.request, Request::Other(_)))
        .filter_map(|(_, op)| Some((op, op.answer()?)))
        .filter(|(_, answer)| answer.zxid > 0)
        .collect();
    reads.sort_by_key(|(_, answer)| answer.zxid);
    reads
}

/// When which connection was told of which zxid, by time.
fn knowledge(sessions: &Sessions<'_>) -> Vec<(u64, i64, u32)> {
    let answers = sessions.ops().filter_map(|(_, op)| {
        let answer = op.answer()?;
        Some((answer.returned_ns, answer.zxid, op.conn))
    });
    let mut known: Vec<_> = answers.collect();
    known.sort_unstable();
    known
}

fn is_reserved(request: &Request) -> bool {
    match request {
        Request::GetData { path, .. }
        | Request::Exists { path, .. }
        | Request::Children { path, .. } => path.starts_with("/zookeeper"),
        _ => false,
    }
}

/// Children have no order.
fn is_same_reply(due: &Reply, found: &Reply) -> bool {
    match (due, found) {
        (Reply::Children(due, due_stat), Reply::Children(found, found_stat)) => {
            let mut found: Vec<&String> = found.iter().collect();
            found.sort_unstable();
            due_stat == found_stat && due.iter().eq(found)
        }
        _ => due == found,
    }
}
