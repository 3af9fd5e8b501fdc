//! One run: faults, then healing, then everybody must agree, then all power goes and they must
//! agree again; then the clients' histories are judged.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, Check, Violation, WRONGFUL};
use super::client::Client;
use super::fault::Fault;
use super::history::{judge, Broken, Record, Rules};
use super::less::Less;
use super::wire::Port;
use super::world::{Teller, What};
use super::{Rng, Shape, World};
use crate::types::{Chance, Sid};
use crate::zab::Role;

const MS: u64 = 1_000_000;

/// How to run.
#[derive(Default)]
pub struct Options {
    /// Hears of changes of roles, crashes and faults.
    pub teller: Option<Teller>,
    /// And of packets between servers, votes and replies.
    pub closely: bool,
    /// In place of the seed's own shape.
    pub shape: Option<Shape>,
    /// What it is to go without.
    pub less: Less,
    /// One more invariant.
    pub check: Option<Box<dyn Check>>,
    /// Any disks may be damaged, and all of them: servers may refuse then, but not lie.
    pub over_damage: bool,
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    pub seed: u64,
    /// Same seed, same number.
    pub trace: u64,
    /// By the world's clock.
    pub simulated_ms: u64,
    pub events: u64,
    /// Transactions agreed upon.
    pub committed: usize,
    /// Writes that clients were told of.
    pub acked: usize,
    /// Requests that were answered.
    pub answered: usize,
    /// Each kind of fault, and how often it was really injected.
    pub injected: BTreeMap<Fault, u64>,
    /// Each of them, by its kind and its number.
    pub struck: Vec<(Fault, u64)>,
    /// Each seldom way that servers went, and how often.
    pub chances: BTreeMap<Chance, u64>,
    /// How often what one server had for another had to wait for room in their sockets.
    pub held_up: u64,
    /// How often learners were synchronized by DIFF, TRUNC and SNAP.
    pub syncs: BTreeMap<&'static str, u64>,
    /// Requests of the client that asked most.
    pub requests: u64,
    pub violations: Vec<Violation>,
}

impl Closing {
    /// What is broken, a line each; empty if nothing is.
    pub fn broken(&self) -> String {
        let lines: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    /// Writes that were acknowledged and are not there.
    pub fn lost(&self) -> usize {
        let lost = Broken::LostWrite;
        let is_lost = |v: &&Violation| v.check == HISTORY && v.what.contains(&format!("{lost:?}"));
        self.violations.iter().filter(is_lost).count()
    }

    /// Sessions that ended though their clients were heard of in time.
    pub fn wrongful(&self) -> usize {
        let is_wrongful = |v: &&Violation| v.check == "session" && v.what.contains(WRONGFUL);
        self.violations.iter().filter(is_wrongful).count()
    }
}

/// What judges of histories find counts as broken under this name.
const HISTORY: &str = "history";

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Closing {
    let mut shape = options.shape.unwrap_or_else(|| Shape::draw(seed));
    if options.over_damage {
        shape.faults.over_damage();
    }
    options.less.apply(&mut shape);
    let mut checks = if options.over_damage { check::over_damaged() } else { check::all() };
    checks.extend(options.check);
    let mut world = World::new(seed, shape, checks);
    if let Some(teller) = options.teller {
        world.listen(teller);
    }
    if options.closely {
        world.listen_closely();
    }
    world.run_until(world.shape.safety_ms * MS);
    world.finish(seed)
}

impl World {
    /// What follows the faults.
    pub(super) fn finish(mut self, seed: u64) -> Closing {
        self.heal();
        let away = self.send_away();
        if !away.is_empty() {
            self.converge("behind the faults, with some away", &away);
            self.call_back();
        }
        self.converge("behind the faults", &BTreeSet::new());
        self.blackout();
        self.converge("behind a restart of all", &BTreeSet::new());
        if self.violations.is_empty() {
            self.check_end();
            self.judge();
        }
        self.close(seed)
    }

    /// No more faults.
    fn heal(&mut self) {
        self.tell(|| "healed".to_owned());
        self.is_healed = true;
        self.wire.cuts.clear();
        self.wire.clogs.clear();
        self.wire.be_punctual();
        for client in std::mem::take(&mut self.slow) {
            self.reads(client);
        }
        for node in &mut self.nodes {
            node.go_on(self.now_ns);
            node.disk.calm();
        }
        for client in &mut self.clients {
            client.is_quiet = true;
            client.tasks.clear();
            client.home = None;
        }
        for node in std::mem::take(&mut self.held) {
            self.at(MS, What::Start(node));
        }
    }

    /// Some servers stay broken for now, down or cut off, as far as a quorum is left.
    fn send_away(&mut self) -> BTreeSet<usize> {
        let mut rng = Rng::new(self.seed ^ 0x4157_4159);
        let is_damaged = self.nodes.iter().any(|node| node.is_damaged);
        if is_damaged || self.shape.away_percent == 0 || !self.violations.is_empty() {
            return BTreeSet::new();
        }
        let mut core: BTreeSet<usize> = (0..self.nodes.len()).collect();
        for _ in 0..self.nodes.len() {
            let node = rng.below(self.nodes.len());
            let left: BTreeSet<Sid> =
                core.iter().filter(|it| **it != node).map(|it| self.nodes[*it].sid).collect();
            let is_enough = self.membership.is_quorum(&left) && self.has_masters(&left);
            if is_enough && rng.below(100) < self.shape.away_percent {
                core.remove(&node);
            }
        }
        let away: BTreeSet<usize> = (0..self.nodes.len()).filter(|it| !core.contains(it)).collect();
        for node in &away {
            self.tell(|| format!("{} stays away", node + 1));
            if rng.one_in(2) {
                self.held.insert(*node);
                self.crash(*node, true);
                continue;
            }
            for other in (0..self.nodes.len()).filter(|other| other != node) {
                for port in [Port::Election, Port::Quorum] {
                    self.wire.cuts.extend([(port, *node, other), (port, other, *node)]);
                }
            }
        }
        away
    }

    /// Whether observers find somebody to learn from: leaders that may have followers take none.
    fn has_masters(&self, left: &BTreeSet<Sid>) -> bool {
        let needs_follower = self.shape.observer_masters && self.shape.observers > 0;
        let is_left = |sid: &&Sid| left.contains(sid);
        let voters = self.membership.voters.iter().filter(is_left).count();
        !needs_follower || self.shape.voters == 1 || voters > 1
    }

    /// Everybody is back.
    fn call_back(&mut self) {
        self.tell(|| "all are back".to_owned());
        self.wire.cuts.clear();
        for node in std::mem::take(&mut self.held) {
            self.at(MS, What::Start(node));
        }
    }

    /// Everybody loses power.
    fn blackout(&mut self) {
        if self.violations.is_empty() {
            for node in 0..self.nodes.len() {
                self.crash(node, true);
            }
        }
    }

    /// All but those who are away must come to serve the same state, within a generous time.
    fn converge(&mut self, when: &str, away: &BTreeSet<usize>) {
        let limit_ms = self.shape.tick_ms * self.shape.init_limit;
        let end_ns = self.now_ns + (10 * limit_ms + 60_000) * MS;
        while self.violations.is_empty() && !self.is_settled(away) {
            if self.now_ns >= end_ns && self.shape.faults.flip_any {
                // They may well refuse.
                return;
            }
            if self.now_ns >= end_ns {
                let what = format!("no agreement {when}: {}", self.describe());
                self.violations.push(Violation { check: "converge", what });
                return;
            }
            let next_ns = self.now_ns + 50 * MS;
            self.run_until(next_ns);
        }
    }

    /// One leader, everybody serves what it serves, nothing is on its way.
    fn is_settled(&self, away: &BTreeSet<usize>) -> bool {
        let mut states = Vec::new();
        let mut leaders = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            if away.contains(&index) {
                continue;
            }
            let Some(life) = &node.life else { return false };
            match node.role {
                Role::Leading { .. } => leaders += 1,
                Role::Learning { .. } => {}
                Role::Leaving | Role::Looking => return false,
            }
            let replica = life.driver.shared.replica.read().expect("one thread");
            states.push((replica.last_zxid(), replica.digest()));
        }
        let idle = self.clients.iter().all(|client| client.is_idle());
        let reached = states[0].0 >= self.committed.last();
        leaders == 1 && idle && reached && states.iter().all(|state| *state == states[0])
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let zab = node.life.as_ref().and_then(|life| life.driver.peer.zab());
            let durable = node.durable.summary();
            let stranger = zab.is_some_and(|zab| zab.is_stranger());
            let state = zab.map(|zab| zab.server_state());
            text.push_str(&format!(
                "\n  {} {:?} {state:?} durable {} accepted {:#x} current {:#x} stranger {stranger}",
                node.sid.0, node.role, durable.last, durable.accepted.0, durable.current.0,
            ));
        }
        text
    }

    fn judge(&mut self) {
        let clients = 0..self.clients.len();
        for client in clients {
            self.give_up(client);
        }
        if self.is_obscure && self.shape.faults.flip_any {
            // Nobody knows what the sequence was.
            return;
        }
        let report = judge(self.committed.txns(), &self.history, Rules::default());
        for violation in report.violations {
            let what = violation.to_string();
            self.violations.push(Violation { check: HISTORY, what });
        }
    }

    fn close(self, seed: u64) -> Closing {
        let (mut acked, mut answered) = (0, 0);
        for record in &self.history.records {
            let Record::Op(op) = record else { continue };
            let Some(answer) = op.answer() else { continue };
            answered += 1;
            acked += usize::from(op.request.is_write() && answer.error == 0);
        }
        let mut chances: BTreeMap<Chance, u64> = BTreeMap::new();
        for (way, count) in self.nodes.iter().flat_map(|node| &node.chances.taken) {
            *chances.entry(*way).or_default() += count;
        }
        Closing {
            seed,
            trace: self.trace,
            simulated_ms: self.now_ns / MS,
            events: self.events,
            committed: self.committed.txns().len(),
            acked,
            answered,
            injected: self.injected,
            struck: self.struck,
            chances,
            held_up: self.held_up,
            syncs: self.syncs,
            requests: self.clients.iter().map(Client::requests).max().unwrap_or(0),
            violations: self.violations,
        }
    }
}
