//! A small ensemble of cores in one process: virtual time, links that are lost, disks that take
//! their time, servers that crash. A seed determines all of it. What happens is written down in a
//! [`Trace`]; what must hold at every instant is asserted here, what must hold of the whole run by
//! the tests.

mod disk;
mod fault;
mod link;
mod node;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use oxkeeper::sim::Rng;
use oxkeeper::types::{Epoch, LoggedTxn, Sid, Zxid};
use oxkeeper::zab::{Event, LinkId, Notification, Role};

use self::link::Connection;
use self::node::{Dial, Node};

/// `tickTime` of everybody here, ms.
pub const TICK_MS: i64 = 100;

/// How long faults go on, ms.
const FAULTS_MS: i64 = 5_000;

/// How long it may take to recover when they are over, ms.
const RECOVERY_MS: i64 = 20_000;

/// What is known of a run when it is over.
#[derive(Debug, Default)]
pub struct Trace {
    pub seed: u64,
    pub records: Vec<Record>,
    /// What each server's replica holds at the end.
    pub finals: BTreeMap<Sid, Vec<LoggedTxn>>,
    /// How often each rare thing has happened.
    pub seen: BTreeMap<&'static str, usize>,
}

/// What the properties are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A primary has begun, with this history.
    Established { sid: Sid, epoch: Epoch, history: Vec<LoggedTxn> },
    /// A primary has broadcast a transaction.
    Broadcast { sid: Sid, epoch: Epoch, txn: LoggedTxn },
    /// A follower or observer has begun to serve, with this history.
    Began { sid: Sid, epoch: Epoch, history: Vec<LoggedTxn> },
    /// A server that serves has delivered a transaction as its `index`th.
    Delivered { sid: Sid, epoch: Epoch, index: usize, txn: LoggedTxn },
}

/// What happens next.
#[derive(Debug)]
enum What {
    Timer(usize),
    /// A notification to a server, from another.
    Note(usize, Sid, Box<Notification>),
    /// The disk gets on with what it has been asked for.
    Disk(usize),
    /// Something for the core alone.
    Core(usize, Box<Event>),
    /// The first message in a direction of a connection arrives.
    Arrive(u64, usize),
    /// An end of a connection hears that it is gone.
    Gone(u64, usize),
    /// A dial gets through, or not.
    Dialled(usize, Dial),
    /// A client writes to whoever leads.
    Write,
    Fault,
    Restart(usize),
    Heal(usize, usize),
}

pub struct Net {
    rng: Rng,
    now_ms: i64,
    heap: BinaryHeap<Reverse<(i64, u64, usize)>>,
    whats: BTreeMap<usize, (u64, What)>,
    serial: u64,
    nodes: Vec<Node>,
    connections: BTreeMap<u64, Connection>,
    /// (server, link) to (connection, end).
    ends: BTreeMap<(usize, LinkId), (u64, usize)>,
    /// Pairs that can't reach each other.
    cut: std::collections::BTreeSet<(usize, usize)>,
    faults: bool,
    payload: u64,
    pub trace: Trace,
}

/// Runs the ensemble of `seed` until all is well again.
pub fn run(seed: u64) -> Trace {
    let _named = Named(seed);
    let mut net = Net::new(seed);
    net.run_until(FAULTS_MS);
    net.end_faults();
    let end = net.now_ms + RECOVERY_MS;
    while net.now_ms < end && !net.is_settled() {
        let next = net.now_ms + 200;
        net.run_until(next);
    }
    assert!(net.is_settled(), "seed {seed}: no recovery: {}", net.describe());
    net.finish()
}

/// Names the seed of a run that an assertion has ended.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("ZAB_SEED={} shows it again", self.0);
        }
    }
}

impl Net {
    fn saw(&mut self, what: &'static str) {
        *self.trace.seen.entry(what).or_default() += 1;
    }

    fn new(seed: u64) -> Net {
        let mut rng = Rng::new(seed);
        let voters = [3, 3, 3, 4, 5][rng.below(5)];
        let observers = [0, 0, 1, 2][rng.below(4)];
        let shape = node::Shape::draw(&mut rng, voters, observers);
        let mut net = Net {
            rng,
            now_ms: 0,
            heap: BinaryHeap::new(),
            whats: BTreeMap::new(),
            serial: 0,
            nodes: (0..voters + observers).map(|index| Node::new(index, &shape)).collect(),
            connections: BTreeMap::new(),
            ends: BTreeMap::new(),
            cut: std::collections::BTreeSet::new(),
            faults: true,
            payload: 0,
            trace: Trace { seed, ..Trace::default() },
        };
        for index in 0..net.nodes.len() {
            let at = net.rng.below(300) as i64;
            net.at(at, What::Restart(index));
        }
        net.at(10, What::Write);
        net.at(500, What::Fault);
        net
    }

    fn at(&mut self, in_ms: i64, what: What) {
        self.serial += 1;
        let key = self.serial as usize;
        self.heap.push(Reverse((self.now_ms + in_ms, self.serial, key)));
        self.whats.insert(key, (self.serial, what));
    }

    /// Usually soon, now and then late.
    fn delay(&mut self, usual_ms: usize, late_ms: usize) -> i64 {
        let late = self.faults && self.rng.one_in(40);
        (1 + self.rng.below(if late { late_ms } else { usual_ms })) as i64
    }

    fn run_until(&mut self, end_ms: i64) {
        while let Some(Reverse((at, _, key))) = self.heap.peek().copied() {
            if at > end_ms {
                break;
            }
            self.heap.pop();
            self.now_ms = at;
            let Some((_, what)) = self.whats.remove(&key) else { continue };
            self.happen(what);
        }
        self.now_ms = end_ms;
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Timer(index) => self.ring(index),
            What::Note(index, from, notification) => {
                let notification = *notification;
                self.tell(index, Event::Notification { from, notification });
            }
            What::Disk(index) => self.disk_works(index),
            What::Core(index, event) => self.tell(index, *event),
            What::Arrive(connection, end) => self.arrive(connection, end),
            What::Gone(connection, end) => self.gone(connection, end),
            What::Dialled(index, dial) => self.dialled(index, dial),
            What::Write => self.write(),
            What::Fault => self.fault(),
            What::Restart(index) => self.restart(index),
            What::Heal(a, b) => {
                self.cut.remove(&(a, b));
                self.cut.remove(&(b, a));
            }
        }
    }

    /// A client's writes, to every server that believes it leads.
    fn write(&mut self) {
        for index in 0..self.nodes.len() {
            let count = 1 + self.rng.below(3);
            let Some(zab) = self.nodes[index].zab.as_mut() else { continue };
            let Role::Leading { epoch } = zab.role() else { continue };
            let mut txns = Vec::new();
            let mut zxid = zab.last_proposed();
            for _ in 0..count {
                self.payload += 1;
                zxid = Zxid(zxid.0 + 1);
                txns.push(LoggedTxn { zxid, bytes: self.payload.to_be_bytes().to_vec().into() });
            }
            let sid = self.nodes[index].sid;
            for txn in &txns {
                let txn = txn.clone();
                self.trace.records.push(Record::Broadcast { sid, epoch, txn });
            }
            let now_ms = self.now_ms;
            self.nodes[index].zab.as_mut().expect("it has a role").propose(now_ms, txns);
            self.drain(index);
        }
        let pause = 5 + self.rng.below(60) as i64;
        self.at(pause, What::Write);
    }

    /// One leader, everybody up to date with it.
    fn is_settled(&self) -> bool {
        let leaders: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|node| match node.zab.as_ref()?.role() {
                Role::Leading { epoch } => Some(epoch),
                _ => None,
            })
            .collect();
        let [epoch] = leaders[..] else { return false };
        self.nodes.iter().all(|node| {
            let role = node.zab.as_ref().map(|zab| zab.role());
            let in_epoch = match role {
                Some(Role::Leading { epoch: e } | Role::Learning { epoch: e, .. }) => e == epoch,
                _ => false,
            };
            in_epoch && node.replica.last().is_some_and(|txn| txn.zxid.epoch() == epoch)
        })
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let zab = node.zab.as_ref();
            text.push_str(&format!(
                "\n  {} {:?} {:?} accepted {:?} current {:?} durable {:?} stranger {}",
                node.sid.0,
                zab.map(|zab| zab.role()),
                zab.map(|zab| zab.server_state()),
                node.disk.accepted_epoch,
                node.disk.current_epoch,
                node.disk.last(),
                node.stranger,
            ));
        }
        text
    }

    fn finish(mut self) -> Trace {
        for node in &self.nodes {
            self.trace.finals.insert(node.sid, node.replica.clone());
        }
        self.trace
    }
}
