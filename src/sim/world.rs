//! The world: a clock, a heap of what happens next, and the servers, wires and clients to whom it
//! happens. Everything that is random comes from the seed, everything happens on one thread, and
//! whatever comes of it is folded into one number: same seed, same number.

mod close_up;
mod links;
mod points;
mod steps;

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::panic::{catch_unwind, AssertUnwindSafe};

use bytes::Bytes;
use jute::quorum::PacketType;

use super::check::{
    self, Act, Check, Committed, Lived, NodeView, Note, Queues, Said, Violation, WorldView,
};
use super::client::{Client, Wish};
use super::durable::fold;
use super::fault::Fault;
use super::history::{History, Record};
use super::node::{LinkEnd, Node};
use super::wire::{Cut, End, Piece, Port, Wire};
use super::{scene, Rng, Shape};
use crate::tree::Replica;
use crate::types::{LoggedTxn, Sid, Zxid};
use crate::zab::{LinkId, Membership, Role, Zab};

use points::Points;
pub use points::{CrashPoint, Place};

/// What happens.
#[derive(Debug)]
pub enum What {
    /// A process begins.
    Start(usize),
    /// The pipeline of a process goes on.
    Pipeline { node: usize, life: u64 },
    /// One of its workers.
    Worker { node: usize, life: u64, worker: usize },
    /// The next slice of its snapshot is written.
    Snapshot { node: usize, life: u64 },
    /// A link's files go on.
    Pump { node: usize, life: u64, link: LinkId },
    /// A link whose sockets were full when so many bytes had gone is looked after.
    HeldUp { node: usize, life: u64, link: LinkId, written: u64 },
    /// A dial is tried.
    Dial { node: usize, life: u64, number: u64 },
    /// A vote arrives.
    Vote { from: usize, life: u64, to: usize, number: u64 },
    /// The first piece on its way to an end of a stream arrives.
    Arrive { stream: u64, to: usize },
    /// An end of a stream hears that it is broken.
    Broken { stream: u64, end: usize },
    /// A client looks what there is to do.
    Client(usize),
    /// It gets through to a member, or not.
    Connect { client: usize, node: usize },
    /// Workers close what has been silent for too long.
    Sweep,
    /// Old files go.
    Purge(usize),
    /// The number counts the faults of its kind.
    Fault(Fault, u64),
    /// Ways that were cut are open again.
    Heal(Vec<Cut>),
    /// A way takes all that comes again.
    Unclog((usize, usize)),
    /// A client reads again.
    Reads(usize),
    /// A disk has room again.
    Room(usize),
}

/// A step that keeps its server for so long is out of the ordinary.
const SLOW_STEP_NS: u64 = 20_000_000;
/// Timers are late by so much at most.
const LATE_MS: u64 = steps::LATE_MS as u64;

/// What a server or a check that panics counts as.
const PANIC: &str = "panic";

/// How a run may look while it goes on.
pub type Teller = Box<dyn FnMut(u64, &str)>;

/// All of it.
pub struct World {
    pub now_ns: u64,
    pub(super) seed: u64,
    pub shape: Shape,
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    whats: BTreeMap<u64, What>,
    serial: u64,
    pub nodes: Vec<Node>,
    pub clients: Vec<Client>,
    pub wire: Wire,
    /// The last vote of each to each: its number, and the frame.
    votes: BTreeMap<(usize, usize), (u64, Bytes)>,
    /// When the last vote on its way arrives.
    votes_arrive_ns: BTreeMap<(usize, usize), u64>,
    /// Pairs whose election ports are connected.
    acquainted: BTreeSet<(usize, usize)>,
    /// Processes that are over, and whose votes still arrive.
    late: BTreeSet<(usize, u64)>,
    pub(super) points: Points,
    /// Servers that are not to start for now.
    pub(super) held: BTreeSet<usize>,
    /// Clients that don't read for now.
    pub(super) slow: BTreeSet<usize>,
    pub(super) faults: Rng,
    timing: Rng,
    pub is_healed: bool,
    pub committed: Committed,
    /// Some of it stands in no log that can be read.
    pub(super) is_obscure: bool,
    pub(super) membership: Membership,
    checks: Vec<Box<dyn Check>>,
    pub history: History,
    conn_numbers: u32,
    /// The sessions of connections, and their timeouts in ms.
    conn_sessions: BTreeMap<u32, (i64, i32)>,
    /// When, at the latest so far, something was not as servers may expect of a quiet day.
    disturbed_ns: u64,
    pub violations: Vec<Violation>,
    /// Same seed, same number.
    pub trace: u64,
    pub events: u64,
    pub injected: BTreeMap<Fault, u64>,
    /// Each fault that was injected, by its kind and its number.
    pub(super) struck: Vec<(Fault, u64)>,
    /// How often a writer between servers found no room.
    pub(super) held_up: u64,
    /// How often learners were synchronized in which way.
    pub(super) syncs: BTreeMap<&'static str, u64>,
    teller: Option<Teller>,
    closely: bool,
}

impl World {
    /// The world of a seed, with nobody running yet.
    pub fn new(seed: u64, shape: Shape, checks: Vec<Box<dyn Check>>) -> World {
        let members = shape.voters + shape.observers;
        let nodes: Vec<Node> = (0..members).map(|index| Node::new(index, seed, &shape)).collect();
        let clients = (0..shape.clients).map(|index| Client::new(index, seed, &shape)).collect();
        let mut world = World {
            now_ns: 0,
            seed,
            heap: BinaryHeap::new(),
            whats: BTreeMap::new(),
            serial: 0,
            membership: nodes[0].membership(),
            nodes,
            clients,
            wire: Wire::new(seed, &shape),
            votes: BTreeMap::new(),
            votes_arrive_ns: BTreeMap::new(),
            acquainted: BTreeSet::new(),
            late: BTreeSet::new(),
            points: Points::new(members),
            held: BTreeSet::new(),
            slow: BTreeSet::new(),
            faults: Rng::new(seed ^ 0x4641_554c_5453),
            timing: Rng::new(seed ^ 0x5449_4d49_4e47),
            shape,
            is_healed: false,
            committed: Committed::default(),
            is_obscure: false,
            checks,
            history: History::default(),
            conn_numbers: 0,
            conn_sessions: BTreeMap::new(),
            disturbed_ns: 0,
            violations: Vec::new(),
            trace: seed,
            events: 0,
            injected: BTreeMap::new(),
            struck: Vec::new(),
            held_up: 0,
            syncs: BTreeMap::new(),
            teller: None,
            closely: false,
        };
        for node in 0..world.nodes.len() {
            let at = world.timing.below(50_000_000) as u64;
            world.at(at, What::Start(node));
            world.at(2_000_000_000 * (node as u64 + 1), What::Purge(node));
        }
        for client in 0..world.clients.len() {
            let at = world.timing.below(1_000_000_000) as u64;
            world.at(at, What::Client(client));
        }
        for fault in Fault::ALL {
            world.plan(fault, 0);
        }
        world.at(crate::limits::SWEEP_MS * 1_000_000, What::Sweep);
        world
    }

    /// Lets somebody hear of changes of roles, crashes and faults, with the time in ns.
    pub fn listen(&mut self, teller: Teller) {
        self.teller = Some(teller);
    }

    /// Whoever listens hears of packets between servers, votes and replies too.
    pub fn listen_closely(&mut self) {
        self.closely = true;
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(teller) = &mut self.teller {
            teller(self.now_ns, &line());
        }
    }

    /// Something will happen `in_ns` from now.
    pub(super) fn at(&mut self, in_ns: u64, what: What) {
        self.serial += 1;
        self.heap.push(Reverse((self.now_ns + in_ns, self.serial)));
        self.whats.insert(self.serial, what);
    }

    /// Lets time go on until `end_ns`, or until an invariant is broken.
    pub fn run_until(&mut self, end_ns: u64) {
        while self.violations.is_empty() {
            let Some(Reverse((at, serial))) = self.heap.peek().copied() else { break };
            if at > end_ns {
                break;
            }
            self.heap.pop();
            self.now_ns = at;
            let what = self.whats.remove(&serial).expect("each has its what");
            if let Some(until_ns) = self.deferred(&what) {
                self.at(until_ns - self.now_ns, what);
                continue;
            }
            self.events += 1;
            self.trace = fold(self.trace, &at.to_le_bytes());
            let happened = catch_unwind(AssertUnwindSafe(|| {
                self.happen(what);
                self.end_doomed();
            }));
            if let Err(panic) = happened {
                scene::clear();
                let what = text_of(panic.as_ref());
                self.violations.push(Violation { check: PANIC, what });
            }
        }
        self.now_ns = self.now_ns.max(end_ns);
    }

    /// Until when it has to wait, because the server stands still or its pipeline is busy.
    fn deferred(&self, what: &What) -> Option<u64> {
        let (node, is_pipeline) = match what {
            What::Pipeline { node, .. } => (*node, true),
            What::Worker { node, .. }
            | What::Snapshot { node, .. }
            | What::Pump { node, .. }
            | What::HeldUp { node, .. }
            | What::Dial { node, .. } => (*node, false),
            What::Vote { to, .. } => (*to, false),
            What::Arrive { stream, to } => {
                let stream = self.wire.streams.get(stream)?;
                match stream.ends[*to] {
                    End::Member { node, .. } | End::Served { node, .. } => (node, false),
                    End::Client { .. } => return None,
                }
            }
            _ => return None,
        };
        let node = &self.nodes[node];
        node.life.as_ref()?;
        let busy_ns = if is_pipeline { node.busy_until_ns } else { 0 };
        let until_ns = node.paused_until_ns.max(busy_ns);
        (until_ns > self.now_ns).then_some(until_ns)
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Start(node) => self.start(node),
            What::Pipeline { node, life } => self.pipeline(node, life),
            What::Worker { node, life, worker } => self.worker(node, life, worker),
            What::Snapshot { node, life } => self.snapshot(node, life),
            What::Pump { node, life, link } => self.pump(node, life, link),
            What::HeldUp { node, life, link, written } => {
                self.held_up_still(node, life, link, written);
            }
            What::Dial { node, life, number } => self.dial(node, life, number),
            What::Vote { from, life, to, number } => self.vote(from, life, to, number),
            What::Arrive { stream, to } => self.arrive(stream, to),
            What::Broken { stream, end } => self.broken(stream, end),
            What::Client(client) => self.client(client),
            What::Connect { client, node } => self.connect(client, node),
            What::Sweep => self.sweep(),
            What::Purge(node) => self.purge(node),
            What::Fault(fault, number) => self.strike(fault, number),
            // Who is cut off behind the faults stays so.
            What::Heal(_) if self.is_healed => {}
            What::Heal(cuts) => {
                for cut in cuts {
                    self.wire.cuts.remove(&cut);
                }
                self.disturb(0);
            }
            What::Unclog(way) => {
                self.wire.clogs.remove(&way);
                self.disturb(0);
            }
            What::Reads(client) => self.reads(client),
            What::Room(node) => self.nodes[node].disk.set_quota(u64::MAX),
        }
    }

    // ---- what servers do is noted and checked ----

    /// What the server on the stage has done: it leaves the stage. Answers how long its disk took.
    pub(super) fn leave_stage(&mut self, node: usize) -> u64 {
        let mut scene = scene::leave();
        // Behind the last note the disk may have been synced once more.
        scene.durable.refresh(&scene.disk);
        self.nodes[node].durable = scene.durable;
        self.nodes[node].chances = scene.chances;
        let was_busy = !scene.notes.is_empty();
        for note in scene.notes {
            self.heed(node, note);
        }
        if was_busy {
            self.check(|check, view| check.at_rest(view, node));
        }
        if scene.spent_ns > SLOW_STEP_NS {
            self.disturb(scene.spent_ns);
        }
        scene.spent_ns
    }

    /// Something goes wrong, for so long at least.
    pub(super) fn disturb(&mut self, for_ns: u64) {
        self.disturbed_ns = self.disturbed_ns.max(self.now_ns + for_ns);
    }

    /// A server stands still.
    pub(super) fn hold(&mut self, node: usize, for_ns: u64) {
        let until_ns = self.now_ns + for_ns;
        self.disturbed_ns = self.disturbed_ns.max(until_ns);
        self.nodes[node].go_on(self.now_ns);
        self.nodes[node].paused_until_ns = until_ns;
        self.nodes[node].pauses.push((self.now_ns, until_ns));
    }

    /// Since when all has been well.
    fn calm_since_ns(&self) -> u64 {
        let now_ns = self.now_ns;
        let is_whole = |node: &Node| node.life.is_some() && node.paused_until_ns <= now_ns;
        match self.wire.cuts.is_empty() && self.nodes.iter().all(is_whole) {
            true => self.disturbed_ns,
            false => now_ns,
        }
    }

    /// How long, on a quiet day, until the leader knows what a member knows.
    fn slack_ns(&self) -> u64 {
        let shape = &self.shape;
        let way_ns = 2_000 * shape.latency_us + 1_000_000 * shape.late_ms;
        // It asks each half tick, and everybody's timers and workers may be late.
        let turn_ns = 1_000_000 * (shape.tick_ms / 2 + 5 * LATE_MS);
        turn_ns + 4 * way_ns + 4 * SLOW_STEP_NS
    }

    pub(super) fn heed(&mut self, node: usize, mut note: Note) {
        if let Act::Sends { link, packets } = &note.act {
            let links = self.nodes[node].life.as_ref().map(|life| &life.links);
            let Some(end) = links.and_then(|links| links.get(link)) else { return };
            let (to, dialled, link) = (Sid(end.to as i64 + 1), end.dialled, *link);
            self.trace = fold(self.trace, packets);
            let packets = check::read_again(packets);
            for packet in &packets {
                match packet.kind {
                    Some(PacketType::Diff) => *self.syncs.entry("DIFF").or_default() += 1,
                    Some(PacketType::Trunc) => *self.syncs.entry("TRUNC").or_default() += 1,
                    _ => {}
                }
            }
            note.act = Act::Says { to, link, dialled, packets };
        }
        if self.closely {
            let sid = node + 1;
            self.tell(|| close_up::line(sid, &note));
        }
        match &note.act {
            Act::Role { role, applied } => {
                self.nodes[node].role = *role;
                let (role, sid) = (*role, node + 1);
                self.disturb(0);
                let applied = *applied;
                self.tell(|| format!("{sid} is {role:?} with {applied}"));
            }
            Act::Starts { .. } | Act::Ends => {
                self.nodes[node].role = Role::Looking;
                self.disturb(0);
            }
            _ => {}
        }
        self.trace = fold(self.trace, &note.durable.last.0.to_le_bytes());
        for node in &mut self.nodes {
            node.durable.refresh(&node.disk);
        }
        self.check(|check, view| check.after(view, node, &note));
        self.agree(node, &note);
    }

    fn check(&mut self, mut ask: impl FnMut(&mut dyn Check, &WorldView<'_>) -> Result<(), String>) {
        let replicas: Vec<_> = self
            .nodes
            .iter()
            .map(|node| node.life.as_ref().map(|life| &life.driver.shared.replica))
            .map(|replica| replica.map(|replica| replica.read().expect("one thread")))
            .collect();
        let nodes: Vec<NodeView<'_>> =
            self.nodes.iter().zip(&replicas).map(|(node, r)| view_of(node, r.as_deref())).collect();
        let view = WorldView {
            calm_since_ns: self.calm_since_ns(),
            tick_ns: 1_000_000 * self.shape.tick_ms,
            slack_ns: self.slack_ns(),
            last_counter: self.shape.last_counter,
            now_ns: self.now_ns,
            nodes: &nodes,
            membership: &self.membership,
            committed: &self.committed,
        };
        for check in &mut self.checks {
            if let Err(what) = ask(check.as_mut(), &view) {
                self.violations.push(Violation { check: check.name(), what });
            }
        }
    }

    /// What is agreed upon by this.
    fn agree(&mut self, node: usize, note: &Note) {
        match &note.act {
            Act::Applies(txns) if check::serves(self.nodes[node].role) => {
                self.committed.extend(txns.iter());
            }
            Act::Applies(txns) => self.nodes[node].unserved.extend(txns.iter().cloned()),
            Act::Role { role, applied } if check::serves(*role) => {
                let history = history_of(&self.nodes, node, self.committed.last(), *applied);
                self.committed.extend(history.iter());
                self.is_obscure |= applied.counter() != 0 && self.committed.last() < *applied;
                self.nodes[node].unserved.clear();
            }
            Act::Starts { .. } | Act::Ends => self.nodes[node].unserved.clear(),
            Act::Hears { packets, .. } if packets.iter().any(takes_back) => {
                self.nodes[node].unserved.clear();
            }
            _ => {}
        }
    }

    /// Asks all checks what they say of the end.
    pub fn check_end(&mut self) {
        self.check(|check, view| check.at_end(view));
    }

    // ---- clients ----

    fn client(&mut self, client: usize) {
        let wishes = self.clients[client].step(self.now_ns);
        self.grant(client, wishes);
        let pause_ns = self.clients[client].pause_ns();
        self.at(pause_ns, What::Client(client));
    }

    pub(super) fn grant(&mut self, client: usize, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Connect { node } => {
                    let latency_ns = self.wire.latency_ns();
                    self.at(latency_ns, What::Connect { client, node });
                }
                Wish::Send { stream, bytes } => self.send(stream, 0, Piece::Bytes(bytes), 0),
                Wish::HangUp { stream } => {
                    self.send(stream, 0, Piece::Fin, 0);
                    self.wire.leave(stream, 0);
                }
                Wish::Record(record) => self.record(client, *record),
            }
        }
    }

    fn record(&mut self, client: usize, record: Record) {
        if let Record::Op(op) = &record {
            let zxid = op.answer().map_or(-1, |answer| answer.zxid);
            self.trace = fold(self.trace, &zxid.to_le_bytes());
        }
        let conn = match &record {
            Record::Connected(made) => {
                self.conn_sessions.insert(made.conn, (made.session, made.timeout_ms));
                made.conn
            }
            Record::Op(op) => op.conn,
            Record::Event(event) => event.conn,
            Record::Closed { conn, .. } => *conn,
        };
        let (session, timeout_ms) = self.conn_sessions[&conn];
        let member = self.clients[client].member;
        let lived = Lived { client: client as u32, session, timeout_ms, record: record.clone() };
        let durable = self.nodes[member].durable.summary();
        self.heed(member, Note { act: Act::Client(lived), durable });
        self.history.records.push(record);
    }

    fn connect(&mut self, client: usize, node: usize) {
        let place = self.wire.place(End::Client { client });
        let is_cut = self.wire.is_cut_between(Port::Client, place, node);
        let is_paused = self.nodes[node].paused_until_ns > self.now_ns;
        if is_cut || is_paused || self.nodes[node].life.is_none() {
            self.clients[client].refused();
            return;
        }
        let life = self.nodes[node].life_number;
        let ends = [End::Client { client }, End::Served { node, life }];
        let stream = self.wire.open(ends);
        let workers = self.shape.workers;
        let worker = self.timing.below(workers);
        self.nodes[node].enter(self.now_ns);
        let taken = self.nodes[node].life.as_mut().expect("it runs").accept(stream, worker);
        self.leave_stage(node);
        if !taken {
            self.wire.leave(stream, 1);
            self.clients[client].refused();
            return;
        }
        let wishes = self.clients[client].connected(stream, self.now_ns);
        self.grant(client, wishes);
    }

    /// A client gives up, for its history's sake.
    pub(super) fn give_up(&mut self, client: usize) {
        let wishes = self.clients[client].give_up(self.now_ns);
        self.grant(client, wishes);
    }

    pub(super) fn client_takes(&mut self, client: usize, stream: u64, piece: Piece) {
        let wishes = match piece {
            Piece::Bytes(bytes) => {
                self.trace = fold(self.trace, &bytes);
                let numbers = &mut self.conn_numbers;
                self.clients[client].take(stream, &bytes, self.now_ns, numbers)
            }
            Piece::Fin => {
                self.wire.leave(stream, 0);
                self.clients[client].lost(stream, self.now_ns)
            }
        };
        self.grant(client, wishes);
    }
}

/// What somebody said who panicked.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a word".to_owned())
}

/// Whether a learner gives up for this what it has in memory.
fn takes_back(packet: &Said) -> bool {
    matches!(packet.kind, Some(PacketType::Trunc | PacketType::Snap))
}

/// What a server that begins to serve has behind `last`, up to `applied`. What it has behind its
/// snapshot only, or in a damaged log, is read from logs of others: who has a transaction in its
/// log has the same in front of it. What went into its replica since it served last is known.
fn history_of(nodes: &[Node], node: usize, last: Zxid, applied: Zxid) -> Vec<LoggedTxn> {
    let own = &nodes[node].durable;
    let mut history = BTreeMap::new();
    let mut add = |records: &[LoggedTxn], upto: Zxid| {
        let new = records.iter().filter(|txn| txn.zxid > last && txn.zxid <= upto);
        history.extend(new.map(|txn| (txn.zxid, txn.clone())));
    };
    for it in nodes.iter().filter(|it| !it.is_damaged) {
        let known = [applied, own.snapshot.min(applied)];
        let upto = known.into_iter().find(|zxid| it.durable.record(*zxid).is_some());
        if let Some(upto) = upto {
            add(&it.durable.records, upto);
        }
    }
    add(&own.records, applied);
    add(&nodes[node].unserved, applied);
    history.into_values().collect()
}

fn view_of<'a>(node: &'a Node, replica: Option<&'a Replica>) -> NodeView<'a> {
    NodeView {
        sid: node.sid,
        is_voter: node.is_voter,
        is_up: node.life.is_some(),
        role: node.role,
        durable: &node.durable,
        is_damaged: node.is_damaged,
        replica,
        claims: zab_of(node).map(Zab::last_durable),
        left: zab_of(node).and_then(|zab| zab.left_because()),
        pauses: &node.pauses,
        queues: queues_of(node),
    }
}

fn zab_of(node: &Node) -> Option<&Zab> {
    node.life.as_ref().and_then(|life| life.driver.peer.zab())
}

fn queues_of(node: &Node) -> Queues {
    use std::sync::atomic::Ordering;
    let Some(life) = &node.life else { return Queues::default() };
    let in_pipeline = life.driver.shared.in_pipeline.requests.load(Ordering::Relaxed);
    let reply_bytes = life.conns.values().map(|conn| conn.pipe.borrow().outbound.len());
    let link_bytes = life.links.values().map(LinkEnd::waiting);
    Queues {
        connections: life.conns.len(),
        in_pipeline,
        proposed: life.driver.peer.zab().map_or(0, |zab| zab.outstanding()),
        reply_bytes: reply_bytes.max().unwrap_or(0),
        link_bytes: link_bytes.max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Epoch;
    use crate::zab::LearnerKind;

    fn txn(epoch: u32, counter: u32) -> LoggedTxn {
        LoggedTxn { zxid: Zxid::new(Epoch(epoch), counter), bytes: Bytes::new() }
    }

    fn does(world: &mut World, acts: Vec<Act>) {
        for act in acts {
            world.heed(0, Note { act, durable: Default::default() });
        }
    }

    #[test]
    fn what_a_new_leader_has_in_memory_only_is_agreed_upon() {
        let mut world = World::new(1, Shape::draw(1), Vec::new());
        let role = Role::Leading { epoch: Epoch(2) };
        let applied = Zxid::new(Epoch(1), 2);
        does(&mut world, vec![Act::Applies(vec![txn(1, 1), txn(1, 2)])]);
        assert!(world.committed.txns().is_empty(), "it serves nobody");
        does(&mut world, vec![Act::Role { role, applied }]);
        assert_eq!(world.committed.txns(), [txn(1, 1), txn(1, 2)]);
        assert!(!world.is_obscure);
    }

    #[test]
    fn what_a_learner_has_given_up_is_not() {
        let mut world = World::new(1, Shape::draw(1), Vec::new());
        let (leader, epoch, kind) = (Sid(2), Epoch(2), LearnerKind::Follower);
        let trunc =
            Said { kind: Some(PacketType::Trunc), zxid: Zxid::new(Epoch(1), 0), data: None };
        let role = Role::Learning { leader, epoch, kind };
        does(
            &mut world,
            vec![
                Act::Applies(vec![txn(1, 1)]),
                Act::Hears { from: leader, link: LinkId(1), dialled: true, packets: vec![trunc] },
                Act::Applies(vec![txn(2, 1)]),
                Act::Role { role, applied: Zxid::new(Epoch(2), 1) },
            ],
        );
        assert_eq!(world.committed.txns(), [txn(2, 1)]);
    }
}
