//! A simulated client: speaks the protocol over jute, wanders from member to member with its
//! session, and writes down what it lives through.

mod words;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use jute::proto::{ConnectRequest, ConnectResponse, WatcherEvent};
use jute::{Decode, Encode, Reader, Writer};

use super::history::{Answer, Connected, Event, Op, Outcome, Record, Reply, Request, Watches};
use super::{Rng, Shape};

const PING_XID: i32 = -2;
const EVENT_XID: i32 = -1;
const SET_WATCHES_XID: i32 = -8;
/// A handshake without an answer for so long is given up, in session timeouts.
const HANDSHAKE_PATIENCE: u64 = 1;

/// What a client wants done.
#[derive(Debug)]
pub enum Wish {
    /// To be connected with this member.
    Connect {
        node: usize,
    },
    Send {
        stream: u64,
        bytes: Bytes,
    },
    /// To hang up.
    HangUp {
        stream: u64,
    },
    Record(Box<Record>),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    index: u32,
    rng: Rng,
    /// Where it may connect to.
    members: Range<usize>,
    paths: usize,
    depth: usize,
    think_ms: u64,
    wanted_timeout_ms: i32,
    session: i64,
    password: Vec<u8>,
    timeout_ms: i32,
    seen_zxid: i64,
    next_cxid: i32,
    next_value: u64,
    /// It may ask for so many things, and has asked for so many.
    requests_max: u64,
    requests: u64,
    conn: Option<Conn>,
    dialling_since_ns: Option<u64>,
    /// The member that it is, or was last, connected with.
    pub member: usize,
    watches: WatchSets,
    /// It asks for nothing new any more.
    pub is_quiet: bool,
    /// What it is to ask for, quiet or not, one after another.
    pub tasks: VecDeque<Request>,
    /// The only member that it connects with, if there is such a one.
    pub home: Option<usize>,
    /// It is gone, and leaves its session behind.
    pub is_gone: bool,
}

#[derive(Debug)]
struct Conn {
    stream: u64,
    /// In the history; `None` before the handshake is done.
    number: Option<u32>,
    buffer: BytesMut,
    pending: VecDeque<Pending>,
    began_ns: u64,
    heard_ns: u64,
    said_ns: u64,
    seen_at_handshake: i64,
}

#[derive(Debug)]
struct Pending {
    cxid: i32,
    invoked_ns: u64,
    request: Request,
}

#[derive(Debug, Default)]
struct WatchSets {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
}

/// The members that a client moves between. A leader knows the sessions of all observers of a
/// follower as that follower's, with Apache's as with ours, so it can't refuse what a client has
/// asked through one of them and left behind there. Where there are such observers, clients stay
/// with one of them or with the voters.
fn members_of(index: usize, shape: &Shape) -> Range<usize> {
    let all = shape.voters + shape.observers;
    match shape.observers {
        1.. if shape.observer_masters && index % 2 == 1 => {
            let observer = shape.voters + index / 2 % shape.observers;
            observer..observer + 1
        }
        1.. if shape.observer_masters => 0..shape.voters,
        _ => 0..all,
    }
}

impl Client {
    pub fn new(index: usize, seed: u64, shape: &Shape) -> Client {
        let mut rng = Rng::new(seed ^ 0x434c_4945 ^ ((index as u64) << 32));
        let wanted_timeout_ms = (shape.tick_ms * (2 + rng.below(18) as u64)) as i32;
        Client {
            index: index as u32,
            rng,
            members: members_of(index, shape),
            paths: shape.paths,
            depth: shape.depth,
            think_ms: shape.think_ms,
            wanted_timeout_ms,
            session: 0,
            password: vec![0; 16],
            timeout_ms: wanted_timeout_ms,
            seen_zxid: 0,
            next_cxid: 1,
            next_value: 0,
            requests_max: shape.requests_max,
            requests: 0,
            conn: None,
            dialling_since_ns: None,
            member: 0,
            watches: WatchSets::default(),
            is_quiet: false,
            tasks: VecDeque::new(),
            home: None,
            is_gone: false,
        }
    }

    /// When to look at it again, ns from now.
    pub fn pause_ns(&mut self) -> u64 {
        let think_us = self.think_ms as usize * 2_000;
        (1 + self.rng.below(think_us) as u64) * 1_000
    }

    /// Whether nothing of its is on its way.
    pub fn is_idle(&self) -> bool {
        self.conn.as_ref().is_none_or(|conn| conn.pending.is_empty())
    }

    /// How much it has asked for of its own accord.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Whether a member has taken it in, the one that it is to be with.
    pub fn is_welcome(&self) -> bool {
        let is_home = self.home.is_none_or(|home| home == self.member);
        is_home && self.conn.as_ref().is_some_and(|conn| conn.number.is_some())
    }

    /// Something to do.
    pub fn step(&mut self, now_ns: u64) -> Vec<Wish> {
        let patience_ns = self.timeout_ms.max(1) as u64 * 1_000_000;
        let is_abroad = self.home.is_some_and(|home| home != self.member);
        if self.is_gone || (is_abroad && self.is_idle()) {
            if self.conn.is_some() {
                return self.hang_up(now_ns);
            }
            if self.is_gone {
                return Vec::new();
            }
        }
        let Some(conn) = &mut self.conn else {
            if self.dialling_since_ns.is_some_and(|at| now_ns < at + patience_ns) {
                return Vec::new();
            }
            self.dialling_since_ns = Some(now_ns);
            let any = self.members.start + self.rng.below(self.members.len());
            let node = self.home.unwrap_or(any);
            self.member = node;
            return vec![Wish::Connect { node }];
        };
        if conn.number.is_none() {
            if now_ns > conn.began_ns + patience_ns * HANDSHAKE_PATIENCE {
                return self.hang_up(now_ns);
            }
            return Vec::new();
        }
        let waits = !conn.pending.is_empty();
        if waits && now_ns > conn.heard_ns.max(conn.pending[0].invoked_ns) + patience_ns * 2 / 3 {
            return self.hang_up(now_ns);
        }
        if !self.is_quiet && self.rng.one_in(400) {
            // Another member may be nicer.
            return self.hang_up(now_ns);
        }
        let conn = self.conn.as_ref().expect("looked at it");
        let silent_ns = now_ns - conn.said_ns;
        let is_eager = !self.is_quiet && self.requests < self.requests_max;
        if conn.pending.len() < self.depth && (is_eager || !self.tasks.is_empty()) {
            let task = self.tasks.pop_front();
            let request = task.unwrap_or_else(|| self.next_request());
            return self.ask(request, now_ns).into_iter().collect();
        }
        if silent_ns > patience_ns / 3 {
            return self.ask(Request::Ping, now_ns).into_iter().collect();
        }
        Vec::new()
    }

    /// It is connected.
    pub fn connected(&mut self, stream: u64, now_ns: u64) -> Vec<Wish> {
        self.dialling_since_ns = None;
        self.conn = Some(Conn {
            stream,
            number: None,
            buffer: BytesMut::new(),
            pending: VecDeque::new(),
            began_ns: now_ns,
            heard_ns: now_ns,
            said_ns: now_ns,
            seen_at_handshake: self.seen_zxid,
        });
        let hello = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen_zxid,
            timeout_ms: self.wanted_timeout_ms,
            session_id: self.session,
            password: Some(&self.password),
            read_only: Some(false),
        };
        vec![Wish::Send { stream, bytes: framed(|w| hello.encode(w)) }]
    }

    /// Nobody takes it in there.
    pub fn refused(&mut self) {
        self.dialling_since_ns = None;
    }

    /// Bytes have come.
    pub fn take(&mut self, stream: u64, bytes: &[u8], now_ns: u64, numbers: &mut u32) -> Vec<Wish> {
        let mut wishes = Vec::new();
        match &mut self.conn {
            Some(conn) if conn.stream == stream => conn.buffer.extend_from_slice(bytes),
            _ => return wishes,
        }
        while let Some(frame) = self.next_frame() {
            let is_open = self.conn.as_ref().is_some_and(|conn| conn.number.is_some());
            if is_open {
                self.reply(&frame, now_ns, &mut wishes);
            } else {
                self.welcome(&frame, now_ns, numbers, &mut wishes);
            }
        }
        wishes
    }

    /// The connection is gone.
    pub fn lost(&mut self, stream: u64, now_ns: u64) -> Vec<Wish> {
        match &self.conn {
            Some(conn) if conn.stream == stream => self.part(now_ns),
            _ => Vec::new(),
        }
    }

    /// It is over: what is not answered never will be.
    pub fn give_up(&mut self, now_ns: u64) -> Vec<Wish> {
        self.part(now_ns)
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let buffer = &mut self.conn.as_mut()?.buffer;
        let len = buffer.first_chunk::<4>().map(|len| i32::from_be_bytes(*len) as usize)?;
        if buffer.len() < 4 + len {
            return None;
        }
        let _ = buffer.split_to(4);
        Some(buffer.split_to(len).freeze())
    }

    /// The answer to the handshake.
    fn welcome(&mut self, frame: &[u8], now_ns: u64, numbers: &mut u32, wishes: &mut Vec<Wish>) {
        let response = ConnectResponse::from_bytes(frame).expect("a server's handshake");
        let conn = self.conn.as_mut().expect("it came over it");
        if response.timeout_ms == 0 {
            // The session is over; with it go its watches.
            self.session = 0;
            self.password = vec![0; 16];
            self.watches = WatchSets::default();
            return;
        }
        *numbers += 1;
        conn.number = Some(*numbers);
        conn.heard_ns = now_ns;
        let is_back = self.session != 0;
        self.session = response.session_id;
        self.password = response.password.unwrap_or_default().to_vec();
        self.timeout_ms = response.timeout_ms;
        wishes.push(noted(Record::Connected(Connected {
            conn: *numbers,
            client: self.index,
            session: self.session,
            at_ns: now_ns,
            timeout_ms: response.timeout_ms,
            seen_zxid: conn.seen_at_handshake,
        })));
        let watches = self.watches.wanted(self.seen_zxid);
        if let (true, Some(watches)) = (is_back, watches) {
            wishes.extend(self.ask(Request::SetWatches(watches), now_ns));
        }
    }

    fn reply(&mut self, frame: &Bytes, now_ns: u64, wishes: &mut Vec<Wish>) {
        let mut reader = Reader::new(frame);
        let (Ok(xid), Ok(zxid), Ok(error)) = (reader.i32(), reader.i64(), reader.i32()) else {
            panic!("a server sent a reply without a header");
        };
        let conn = self.conn.as_mut().expect("it came over it");
        conn.heard_ns = now_ns;
        let number = conn.number.expect("the handshake is done");
        if xid == EVENT_XID {
            let event = WatcherEvent::from_bytes(reader.remaining()).expect("a server's event");
            let path = event.path.unwrap_or_default().into_owned();
            self.watches.fired(event.kind, &path);
            if zxid > 0 {
                self.seen_zxid = self.seen_zxid.max(zxid);
            }
            let kind = event.kind;
            let event = Event { conn: number, at_ns: now_ns, zxid, kind, path };
            wishes.push(noted(Record::Event(event)));
            return;
        }
        // Pings may be answered in front of what waits for the pipeline.
        let at = conn.pending.iter().position(|p| p.cxid == xid).unwrap_or_else(|| {
            panic!("client {}: a reply to {xid}, which it has not asked", self.index)
        });
        let Pending { cxid, invoked_ns, request } = conn.pending.remove(at).expect("found");
        if zxid > 0 {
            self.seen_zxid = self.seen_zxid.max(zxid);
        }
        let reply = match error {
            0 => words::reply(&request, reader.remaining()).expect("a server's reply"),
            _ if matches!(request, Request::Multi(_)) => {
                words::reply(&request, reader.remaining()).unwrap_or(Reply::None)
            }
            _ => Reply::None,
        };
        self.watches.asked(&request, error);
        let is_end = request == Request::CloseSession;
        let answer = Answer { returned_ns: now_ns, zxid, error, reply };
        let outcome = Outcome::Answered(answer);
        let op = Op { conn: number, cxid, invoked_ns, request, outcome };
        wishes.push(noted(Record::Op(op)));
        if is_end {
            self.session = 0;
            self.password = vec![0; 16];
            self.watches = WatchSets::default();
            wishes.extend(self.hang_up(now_ns));
        }
    }

    fn ask(&mut self, request: Request, now_ns: u64) -> Option<Wish> {
        let cxid = match &request {
            Request::Ping => PING_XID,
            Request::SetWatches(_) => SET_WATCHES_XID,
            _ => {
                self.next_cxid += 1;
                self.next_cxid
            }
        };
        let conn = self.conn.as_mut()?;
        if cxid == PING_XID && conn.pending.iter().any(|p| p.cxid == PING_XID) {
            return None;
        }
        conn.said_ns = now_ns;
        let bytes = framed(|w| words::request(w, cxid, &request));
        conn.pending.push_back(Pending { cxid, invoked_ns: now_ns, request });
        Some(Wish::Send { stream: conn.stream, bytes })
    }

    fn hang_up(&mut self, now_ns: u64) -> Vec<Wish> {
        let stream = self.conn.as_ref().expect("only a connected client hangs up").stream;
        let mut wishes = self.part(now_ns);
        wishes.push(Wish::HangUp { stream });
        wishes
    }

    /// What has no answer has an unknown outcome.
    fn part(&mut self, now_ns: u64) -> Vec<Wish> {
        let Some(conn) = self.conn.take() else { return Vec::new() };
        let Some(number) = conn.number else { return Vec::new() };
        let mut wishes = Vec::new();
        for Pending { cxid, invoked_ns, request } in conn.pending {
            if request == Request::CloseSession {
                // It may have ended: come again as somebody else.
                self.session = 0;
                self.password = vec![0; 16];
                self.watches = WatchSets::default();
            }
            let outcome = Outcome::Unknown;
            let op = Op { conn: number, cxid, invoked_ns, request, outcome };
            wishes.push(noted(Record::Op(op)));
        }
        wishes.push(noted(Record::Closed { conn: number, at_ns: now_ns }));
        wishes
    }

    fn next_request(&mut self) -> Request {
        self.requests += 1;
        let path = self.path();
        let watch = self.rng.one_in(4);
        match self.rng.below(40) {
            0..=8 => self.create(path),
            9..=17 => self.set(path),
            18..=20 => Request::Delete { path, version: -1 },
            21..=26 => Request::GetData { path, watch },
            27..=29 => Request::Exists { path, watch },
            30..=32 => Request::Children { path: self.parent(), watch, with_stat: watch },
            33 | 34 => Request::Sync { path },
            35..=38 => {
                let count = 1 + self.rng.below(3);
                Request::Multi((0..count).map(|_| self.part_of_multi()).collect())
            }
            _ if self.rng.one_in(20) => Request::CloseSession,
            _ => Request::Ping,
        }
    }

    fn part_of_multi(&mut self) -> Request {
        let path = self.path();
        match self.rng.below(4) {
            0 => self.create(path),
            1 => Request::Delete { path, version: -1 },
            2 => Request::Check { path, version: self.rng.below(3) as i32 },
            _ => self.set(path),
        }
    }

    fn create(&mut self, path: String) -> Request {
        let flags = [0, 0, 0, 1, 2, 3][self.rng.below(6)];
        let (data, with_stat) = (self.value(), self.rng.one_in(2));
        Request::Create { path, data, flags, ttl_ms: 0, with_stat }
    }

    fn set(&mut self, path: String) -> Request {
        let version = if self.rng.one_in(4) { self.rng.below(5) as i32 } else { -1 };
        Request::SetData { path, data: self.value(), version }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        self.next_value += 1;
        let mut value = format!("{}:{}", self.index, self.next_value).into_bytes();
        let long = if self.rng.one_in(10) { self.rng.below(900) } else { 0 };
        value.resize(value.len() + long, b'.');
        Some(value)
    }

    fn parent(&mut self) -> String {
        if self.rng.one_in(2) {
            return "/".to_owned();
        }
        format!("/n{}", self.rng.below(self.paths))
    }

    fn path(&mut self) -> String {
        let top = self.rng.below(self.paths);
        match self.rng.below(3) {
            0 => format!("/n{top}/c{}", self.rng.below(4)),
            _ => format!("/n{top}"),
        }
    }
}

impl WatchSets {
    /// What to set anew on another connection.
    fn wanted(&self, seen: i64) -> Option<Watches> {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let none = self.data.is_empty() && self.exist.is_empty() && self.child.is_empty();
        (!none).then(|| Watches {
            relative_zxid: seen,
            data: list(&self.data),
            exist: list(&self.exist),
            child: list(&self.child),
            ..Watches::default()
        })
    }

    fn fired(&mut self, kind: i32, path: &str) {
        if kind != 4 {
            self.data.remove(path);
            self.exist.remove(path);
        }
        if kind == 2 || kind == 4 {
            self.child.remove(path);
        }
    }

    /// A request has been answered.
    fn asked(&mut self, request: &Request, error: i32) {
        const NO_NODE: i32 = -101;
        match (request, error) {
            (Request::GetData { path, watch: true }, 0)
            | (Request::Exists { path, watch: true }, 0) => {
                self.data.insert(path.clone());
            }
            (Request::Exists { path, watch: true }, NO_NODE) => {
                self.exist.insert(path.clone());
            }
            (Request::Children { path, watch: true, .. }, 0) => {
                self.child.insert(path.clone());
            }
            _ => {}
        }
    }
}

fn noted(record: Record) -> Wish {
    Wish::Record(Box::new(record))
}

fn framed(body: impl FnOnce(&mut Writer)) -> Bytes {
    let mut w = Writer::new();
    let frame = w.begin_frame();
    body(&mut w);
    w.end_frame(frame);
    w.into_vec().into()
}
