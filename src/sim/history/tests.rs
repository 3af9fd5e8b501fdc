//! Histories of servers that are right, made here with delays, lost replies and moves between
//! servers: the judges accept them, and refuse each of the ways in which they are then broken.

use jute::txn::{CreateTxn, DeleteTxn, SetDataTxn, Txn, TxnHeader, TxnRecord};
use jute::{Acl, Encode};

use super::linear::judge_workloads;
use super::model::{failed_parts, Change, Firing, Model, Owner, When};
use super::record::*;
use super::verdict::{Broken, Report};
use super::{judge, Rules};
use crate::sim::Rng;
use crate::types::{LoggedTxn, Zxid};

const EPOCH: i64 = 1 << 32;

/// A whole run.
#[derive(Clone)]
struct Run {
    committed: Vec<LoggedTxn>,
    history: History,
}

impl Run {
    fn judge(&self) -> Report {
        judge(&self.committed, &self.history, Rules { synced_reads: false })
    }

    fn answers(&mut self) -> impl Iterator<Item = (&mut Request, &mut Answer)> {
        self.history.records.iter_mut().filter_map(|record| match record {
            Record::Op(Op { request, outcome: Outcome::Answered(answer), .. }) => {
                Some((request, answer))
            }
            _ => None,
        })
    }
}

/// What a client waits for.
struct Waiting {
    cxid: i32,
    invoked_ns: u64,
    request: Request,
}

/// A client, and the server that it is connected to.
struct Client {
    number: u32,
    session: i64,
    conn: u32,
    cxid: i32,
    waiting: Option<Waiting>,
    /// The server's tree, and how many of the committed transactions are in it.
    tree: Model,
    applied: usize,
    data_watches: Vec<String>,
    child_watches: Vec<String>,
    seen: i64,
}

/// Servers and clients.
struct World {
    rng: Rng,
    now_ns: u64,
    master: Model,
    changes: Vec<(i64, i64, Vec<Change>)>,
    committed: Vec<LoggedTxn>,
    records: Vec<Record>,
    conns: u32,
}

const PATHS: [&str; 4] = ["/a", "/b", "/a/x", "/e"];

impl World {
    fn run(seed: u64, steps: usize) -> Run {
        let mut world = World {
            rng: Rng::new(seed),
            now_ns: 1,
            master: Model::new(),
            changes: Vec::new(),
            committed: Vec::new(),
            records: Vec::new(),
            conns: 0,
        };
        let mut clients: Vec<Client> = (0..4)
            .map(|number| Client {
                number,
                session: 0x1_0000 + i64::from(number),
                conn: 0,
                cxid: 0,
                waiting: None,
                tree: Model::new(),
                applied: 0,
                data_watches: Vec::new(),
                child_watches: Vec::new(),
                seen: 0,
            })
            .collect();
        for client in &mut clients {
            let header = world.header(client.session, 0, -10);
            client.seen = header.zxid;
            world.commit(header, Txn::CreateSession(10_000), Vec::new());
            world.connect(client);
        }
        for _ in 0..steps {
            world.now_ns += 1 + world.rng.below(50) as u64;
            let at = world.rng.below(clients.len());
            let client = &mut clients[at];
            match client.waiting.take() {
                None => world.invoke(client),
                Some(_) if world.rng.one_in(40) => {
                    world.lose(client, None);
                }
                Some(waiting) => world.answer(client, waiting),
            }
        }
        for client in &mut clients {
            if let Some(waiting) = client.waiting.take() {
                world.answer(client, waiting);
            }
        }
        Run { committed: world.committed, history: History { records: world.records } }
    }

    fn header(&self, session: i64, cxid: i32, kind: i32) -> TxnHeader {
        let zxid = EPOCH + 1 + self.committed.len() as i64;
        TxnHeader { client_id: session, cxid, zxid, time_ms: 1_000 + zxid % EPOCH, kind }
    }

    fn commit(&mut self, header: TxnHeader, txn: Txn<'_>, changes: Vec<Change>) {
        let header = TxnHeader { kind: txn.kind(), ..header };
        let bytes = TxnRecord { header, txn, digest: None }.to_bytes();
        self.committed.push(LoggedTxn { zxid: Zxid(header.zxid), bytes: bytes.into() });
        let when = When { zxid: header.zxid, wall_ms: header.time_ms };
        for change in &changes {
            self.master.apply(change, when).expect("the master's own change");
        }
        self.changes.push((header.zxid, header.time_ms, changes));
    }

    fn connect(&mut self, client: &mut Client) {
        self.conns += 1;
        self.now_ns += 1;
        client.conn = self.conns;
        client.data_watches.clear();
        client.child_watches.clear();
        self.records.push(Record::Connected(Connected {
            conn: client.conn,
            client: client.number,
            session: client.session,
            at_ns: self.now_ns,
            timeout_ms: 10_000,
            seen_zxid: client.seen,
        }));
    }

    /// The connection breaks, and the client comes back.
    fn lose(&mut self, client: &mut Client, waiting: Option<Waiting>) {
        if let Some(Waiting { cxid, invoked_ns, request }) = waiting {
            let (conn, outcome) = (client.conn, Outcome::Unknown);
            self.records.push(Record::Op(Op { conn, cxid, invoked_ns, request, outcome }));
        }
        self.records.push(Record::Closed { conn: client.conn, at_ns: self.now_ns });
        self.connect(client);
    }

    fn invoke(&mut self, client: &mut Client) {
        client.cxid += 1;
        let request = self.request();
        let (cxid, invoked_ns) = (client.cxid, self.now_ns);
        client.waiting = Some(Waiting { cxid, invoked_ns, request });
    }

    fn request(&mut self) -> Request {
        let path = PATHS[self.rng.below(PATHS.len())].to_owned();
        let version = self.rng.below(4) as i32 - 1;
        let data = Some(self.now_ns.to_be_bytes().to_vec());
        let watch = self.rng.one_in(2);
        let with_stat = self.rng.one_in(2);
        match self.rng.below(10) {
            0 | 1 => {
                let flags = if path == "/e" { 1 } else { 0 };
                Request::Create { path, data, flags, ttl_ms: 0, with_stat }
            }
            2 => Request::Create { path: "/a/n-".into(), data, flags: 2, ttl_ms: 0, with_stat },
            3 => Request::Delete { path, version },
            4 | 5 => Request::SetData { path, data, version },
            6 => Request::Multi(vec![
                Request::Check { path: path.clone(), version },
                Request::SetData { path, data, version: -1 },
            ]),
            7 => Request::GetData { path, watch },
            8 => Request::Exists { path, watch },
            _ => Request::Children { path: "/a".into(), watch, with_stat },
        }
    }

    fn answer(&mut self, client: &mut Client, waiting: Waiting) {
        let Waiting { cxid, invoked_ns, request } = waiting;
        let is_lost = self.rng.one_in(30);
        let (zxid, error, reply) = if request.is_write() {
            if is_lost && self.rng.one_in(2) {
                return self.lose(client, Some(Waiting { cxid, invoked_ns, request }));
            }
            let answer = self.write(client.session, cxid, &request);
            if is_lost {
                return self.lose(client, Some(Waiting { cxid, invoked_ns, request }));
            }
            self.follow(client, self.committed.len());
            answer
        } else {
            // The server is behind the others, and goes on a little; never behind what was seen.
            let least = self.changes.partition_point(|(zxid, ..)| *zxid <= client.seen);
            let more = self.rng.below(self.committed.len() + 1 - least);
            self.follow(client, client.applied.max(least + more / 2));
            self.read(client, &request)
        };
        client.seen = client.seen.max(zxid);
        let answer = Answer { returned_ns: self.now_ns, zxid, error, reply };
        let (conn, outcome) = (client.conn, Outcome::Answered(answer));
        self.records.push(Record::Op(Op { conn, cxid, invoked_ns, request, outcome }));
    }

    fn write(&mut self, session: i64, cxid: i32, request: &Request) -> (i64, i32, Reply) {
        let header = self.header(session, cxid, 0);
        let when = When { zxid: header.zxid, wall_ms: header.time_ms };
        let is_multi = matches!(request, Request::Multi(_));
        match self.master.decide(session, request, when) {
            Ok(changes) => {
                let txns: Vec<Txn<'_>> = changes.iter().map(txn_of).collect();
                let txn = match is_multi {
                    true => Txn::Multi(txns),
                    false => txns.into_iter().next().expect("one"),
                };
                self.commit(header, txn, changes.clone());
                let parts = match request {
                    Request::Multi(parts) => parts.as_slice(),
                    single => std::slice::from_ref(single),
                };
                let replies = parts.iter().zip(&changes);
                let mut replies = replies.map(|(part, change)| self.master.reply_to(part, change));
                let reply = match is_multi {
                    false => replies.next().expect("one"),
                    true => Reply::Multi(replies.map(|reply| Part { error: 0, reply }).collect()),
                };
                (header.zxid, 0, reply)
            }
            Err(errors) if is_multi => {
                let parts = errors.iter().map(|error| Txn::Error(*error)).collect();
                self.commit(header, Txn::Multi(parts), Vec::new());
                (header.zxid, 0, failed_parts(&errors))
            }
            Err(errors) => {
                self.commit(header, Txn::Error(errors[0]), Vec::new());
                (header.zxid, errors[0], Reply::None)
            }
        }
    }

    /// The client's server applies the first `upto` transactions, and sends events.
    fn follow(&mut self, client: &mut Client, upto: usize) {
        for at in client.applied..upto {
            let (zxid, wall_ms, changes) = &self.changes[at];
            let when = When { zxid: *zxid, wall_ms: *wall_ms };
            for change in changes {
                for firing in client.tree.apply(change, when).expect("as the master's") {
                    if let Some(event) = client.fire(&firing, *zxid, self.now_ns) {
                        self.records.push(Record::Event(event));
                    }
                }
            }
        }
        client.applied = client.applied.max(upto);
    }

    fn read(&mut self, client: &mut Client, request: &Request) -> (i64, i32, Reply) {
        let zxid = client.applied.checked_sub(1).map_or(0, |at| self.changes[at].0);
        let reply = client.tree.read(request).expect("a read");
        let is_there = reply.is_ok();
        match request {
            Request::GetData { path, watch: true } if is_there => {
                client.data_watches.push(path.clone());
            }
            Request::Exists { path, watch: true } => client.data_watches.push(path.clone()),
            Request::Children { path, watch: true, .. } if is_there => {
                client.child_watches.push(path.clone());
            }
            _ => {}
        }
        match reply {
            Ok(reply) => (zxid, 0, reply),
            Err(error) => (zxid, error, Reply::None),
        }
    }
}

impl Client {
    fn fire(&mut self, firing: &Firing, zxid: i64, at_ns: u64) -> Option<Event> {
        let mut is_due = false;
        let mut strike = |list: &mut Vec<String>| {
            let before = list.len();
            list.retain(|path| *path != firing.path);
            is_due |= list.len() < before;
        };
        if firing.kind != 4 {
            strike(&mut self.data_watches);
        }
        if firing.kind == 4 || firing.kind == 2 {
            strike(&mut self.child_watches);
        }
        let (conn, kind, path) = (self.conn, firing.kind, firing.path.clone());
        is_due.then_some(Event { conn, at_ns, zxid, kind, path })
    }
}

fn txn_of(change: &Change) -> Txn<'_> {
    match change {
        Change::Create { path, data, owner, creations } => Txn::Create(CreateTxn {
            path: path.into(),
            data: data.as_deref(),
            acl: Some(vec![Acl::open_unsafe()]),
            ephemeral: matches!(owner, Owner::Session(_)),
            parent_cversion: *creations,
        }),
        Change::Delete { path } => Txn::Delete(DeleteTxn { path: path.into() }),
        Change::SetData { path, data, version } => {
            Txn::SetData(SetDataTxn { path: path.into(), data: data.as_deref(), version: *version })
        }
        Change::Check { path } => {
            Txn::Check(jute::txn::CheckVersionTxn { path: path.into(), version: 0 })
        }
        other => unreachable!("not generated: {other:?}"),
    }
}

#[test]
fn what_right_servers_do_is_accepted() {
    for seed in 0..30 {
        let run = World::run(seed, 600);
        let report = run.judge();
        assert!(report.is_good(), "seed {seed}: {report}");
        assert!(report.writes > 50 && report.reads > 30 && report.events > 5, "{report}");
        let text = run.history.to_string();
        assert_eq!(History::parse(&text).as_ref(), Ok(&run.history));
    }
}

/// Breaks runs of many seeds; `breaks` says whether it found something to break. Each broken run
/// must be refused for one of the reasons `due`.
#[track_caller]
fn refused(due: &[Broken], breaks: impl Fn(&mut Run, &mut Rng) -> bool) {
    let mut broken = 0;
    for seed in 0..30 {
        let mut run = World::run(seed, 300);
        if !breaks(&mut run, &mut Rng::new(seed)) {
            continue;
        }
        broken += 1;
        let report = run.judge();
        let found = report.violations.iter().any(|violation| due.contains(&violation.broken));
        assert!(found, "seed {seed}: {report}");
    }
    assert!(broken >= 10, "only {broken} runs could be broken");
}

#[test]
fn a_read_of_older_data_is_refused() {
    refused(&[Broken::Read], |run, rng| {
        let at = 20 + rng.below(10);
        let mut reads = run.answers().filter(|(request, answer)| {
            matches!(request, Request::GetData { .. }) && answer.error == 0
        });
        let Some((_, answer)) = reads.nth(at.min(3)) else { return false };
        let Reply::Data(data, _) = &mut answer.reply else { return false };
        *data = Some(vec![0]);
        true
    });
}

#[test]
fn an_acknowledged_write_that_is_gone_is_refused() {
    refused(&[Broken::LostWrite], |run, rng| {
        let zxids: Vec<i64> = run
            .answers()
            .filter(|(request, answer)| request.is_write() && answer.error == 0)
            .map(|(_, answer)| answer.zxid)
            .collect();
        let gone = zxids[rng.below(zxids.len())];
        run.committed.retain(|txn| txn.zxid.0 != gone);
        true
    });
}

#[test]
fn a_compare_and_set_that_says_yes_and_did_nothing_is_refused() {
    refused(&[Broken::WriteReply], |run, _| {
        let mut refusals = run.answers().filter(|(request, answer)| {
            matches!(request, Request::SetData { .. }) && answer.error == -103
        });
        let Some((_, answer)) = refusals.next() else { return false };
        answer.error = 0;
        answer.reply = Reply::Stat(jute::Stat::default());
        true
    });
}

#[test]
fn a_compare_and_set_done_against_its_version_is_refused() {
    refused(&[Broken::WrongTxn], |run, _| {
        let sets = run.answers().find(|(request, answer)| {
            matches!(request, Request::SetData { version: 0.., .. }) && answer.error == 0
        });
        let Some((Request::SetData { version, .. }, _)) = sets else { return false };
        *version += 1;
        true
    });
}

#[test]
fn a_write_done_twice_is_refused() {
    refused(&[Broken::Phantom], |run, _| {
        let last = run.committed.last().expect("some").zxid.0;
        let again = run.committed[run.committed.len() / 2].clone();
        let mut bytes = again.bytes.to_vec();
        bytes[12..20].copy_from_slice(&(last + 1).to_be_bytes());
        run.committed.push(LoggedTxn { zxid: Zxid(last + 1), bytes: bytes.into() });
        true
    });
}

#[test]
fn an_order_against_time_is_refused() {
    refused(&[Broken::RealTime], |run, _| {
        let last = run.answers().filter(|(request, _)| request.is_write()).last();
        let Some((_, answer)) = last else { return false };
        answer.returned_ns = 0;
        true
    });
}

#[test]
fn a_session_that_goes_back_is_refused() {
    refused(&[Broken::SessionView], |run, _| {
        let reads = run.answers().filter(|(request, _)| !request.is_write());
        let Some((_, answer)) = reads.last() else { return false };
        answer.zxid = EPOCH + 1;
        true
    });
}

#[test]
fn a_zxid_that_was_never_committed_is_refused() {
    refused(&[Broken::Read], |run, _| {
        let reads = run.answers().filter(|(request, _)| !request.is_write());
        let Some((_, answer)) = reads.last() else { return false };
        answer.zxid += 1 << 20;
        true
    });
}

#[test]
fn replies_out_of_order_are_refused() {
    refused(&[Broken::SessionOrder], |run, rng| {
        let of_first = |record: &Record| match record {
            Record::Op(op) if op.conn == 1 => op.answer().is_some(),
            _ => false,
        };
        let records = &mut run.history.records;
        let at: Vec<usize> = (0..records.len()).filter(|at| of_first(&records[*at])).collect();
        if at.len() < 2 {
            return false;
        }
        let first = rng.below(at.len() - 1);
        records.swap(at[first], at[first + 1]);
        true
    });
}

fn event_at(run: &Run) -> Option<usize> {
    let records = &run.history.records;
    // One behind which its connection goes on.
    records.iter().enumerate().position(|(at, record)| match record {
        Record::Event(event) => records[at..].iter().any(|later| match later {
            Record::Op(op) => op.conn == event.conn && op.answer().is_some(),
            _ => false,
        }),
        _ => false,
    })
}

#[test]
fn an_event_that_is_missing_is_refused() {
    refused(&[Broken::WatchMissed], |run, _| {
        let Some(at) = event_at(run) else { return false };
        run.history.records.remove(at);
        true
    });
}

#[test]
fn an_event_that_comes_twice_is_refused() {
    refused(&[Broken::WatchUncaused], |run, _| {
        let Some(at) = event_at(run) else { return false };
        let again = run.history.records[at].clone();
        run.history.records.insert(at, again);
        true
    });
}

#[test]
fn an_event_behind_the_reply_that_shows_it_is_refused() {
    refused(&[Broken::WatchMissed], |run, _| {
        let Some(at) = event_at(run) else { return false };
        let event = run.history.records.remove(at);
        let Record::Event(Event { conn, .. }) = event else { return false };
        let reply = run.history.records[at..]
            .iter()
            .position(|record| matches!(record, Record::Op(op) if op.conn == conn));
        run.history.records.insert(at + reply.expect("looked for") + 1, event);
        true
    });
}

/// A little of every workload.
const WORKLOADS: &str = "\
connected 1 1 0x10 5 9000 0x0
connected 2 2 0x20 5 9000 0x0
op 1 1 10 create /register x00 0 = 20 0x1 0 path /register
op 1 2 30 set /register x01 0 = 40 0x2 0 stat STAT
op 2 1 30 set /register x02 0 = 40 0x3 -103 -
op 1 3 50 create /ids/n- x 2 = 60 0x4 0 path /ids/n-0000000000
op 2 2 70 create /ids/n- x 2 = 80 0x5 0 path /ids/n-0000000001
op 1 4 90 create /set/1 x 0 = 100 0x6 0 path /set/1
op 2 3 90 create /set/2 x 0 = 100 0x7 0 path /set/2
op 1 5 110 multi { create /counter/n x 2 ; create /counter/n x 2 } = 120 0x8 0 multi { 0 - ; 0 - }
op 1 6 130 multi { create /queue/n- x11 2 } = 140 0x9 0 multi { 0 path /queue/n-0 }
op 2 4 150 get /queue/n-0 0 = 160 0x9 0 data x11 STAT
op 2 5 170 multi { check /queue 1 ; delete /queue/n-0 -1 } = 180 0xa 0 multi { 0 - ; 0 - }
op 1 7 190 create /lock x 1 = 200 0xb 0 path /lock
op 1 8 210 delete /lock -1 = 220 0xc 0 -
op 2 6 230 create /lock x 1 = 240 0xd 0 path /lock
op 2 7 250 sync / = 260 0xd 0 path /
op 2 8 270 children /set 0 = 280 0xd 0 children { 1 2 }
op 2 9 290 sync / = 300 0xd 0 path /
op 2 10 310 children /counter 0 = 320 0xd 0 children { n-0 n-1 }
op 1 9 330 sync / = 340 0xd 0 path /
";

/// A connection that asks for its watches again, and loses it behind these events.
fn cut_off_behind(events: &[(i32, &str)]) -> Report {
    let asks = "setwatches 0x100000001 { data /a exist /b child /c }";
    let mut text = "connected 1 1 0x10000 1 1000 0x100000001\n".to_owned();
    for (kind, path) in events {
        text.push_str(&format!("event 1 3 -1 {kind} {path}\n"));
    }
    text.push_str(&format!("op 1 -8 2 {asks} = unknown\nclosed 1 4\n"));
    judge(&[], &History::parse(&text).expect("it is one"), Rules::default())
}

#[test]
fn events_of_a_set_watches_whose_reply_was_lost_are_accepted() {
    let (created, deleted, changed, children) = (1, 2, 3, 4);
    for events in [&[(changed, "/a"), (created, "/b"), (children, "/c")][..], &[(deleted, "/c")]] {
        assert_eq!(cut_off_behind(events).violations, []);
    }
    for events in [&[(created, "/a")][..], &[(changed, "/b")], &[(changed, "/a"), (deleted, "/a")]]
    {
        let report = cut_off_behind(events);
        assert!(report.violations.iter().any(|v| v.broken == Broken::WatchUncaused), "{events:?}");
    }
}

#[test]
fn the_workloads_are_found_by_their_paths() {
    let text = &WORKLOADS.replace("STAT", "1,2,0,0,1,0,0,0,1,0,1");
    let judged = |text: &str| judge_workloads(&History::parse(text).expect(text), true, 10_000);
    let (report, searched) = judged(text);
    assert!(report.is_good(), "{report}");
    assert!(searched.undecided.is_empty());
    let calls: Vec<(&str, usize)> =
        searched.calls.iter().map(|(object, calls)| (object.as_str(), *calls)).collect();
    let due =
        [("/counter", 1), ("/ids", 2), ("/lock", 5), ("/queue", 2), ("/register", 3), ("/set", 2)];
    assert_eq!(calls, due);
    let doctored = [
        // A second success of the same compare-and-set.
        ("40 0x3 -103 -", "40 0x3 0 stat 1,2,0,0,1,0,0,0,1,0,1"),
        // An id twice, and ids against time.
        ("path /ids/n-0000000001", "path /ids/n-0000000000"),
        ("path /ids/n-0000000000", "path /ids/n-0000000002"),
        // An element lost, an element from nowhere.
        ("children { 1 2 }", "children { 1 }"),
        ("children { 1 2 }", "children { 1 2 3 }"),
        // Half of a multi.
        ("children { n-0 n-1 }", "children { n-0 }"),
        // An item that was never put.
        ("get /queue/n-0 0 = 160 0x9 0 data x11", "get /queue/n-0 0 = 160 0x9 0 data x12"),
        // A lock that is held by two.
        ("delete /lock -1 = 220 0xc 0 -", "delete /lock -1 = 220 0xc -101 -"),
    ];
    for (right, wrong) in doctored {
        assert!(text.contains(right));
        let (report, _) = judged(&text.replace(right, wrong));
        assert!(!report.is_good(), "{wrong} was believed");
    }
}
