//! Enumerated crash points. A script is a short, fixed run without faults of its own drawing: some
//! writes, an election, a member that catches up. Its first run counts the calls of each disk and
//! the packets of each server; then it is run once for each of them, and the server loses its
//! power exactly there. Whatever the point, the checks must hold, everybody must agree at the end,
//! and all writes that were acknowledged must be there.
//!
//! The runs of one script are the same up to their points: a point that the first run has met is
//! met again. What is behind it may go otherwise, so that steps wait for what they need with a
//! limit, and go on without it.

mod scripts;

use super::check;
use super::history::Request;
use super::run::Closing;
use super::wire::Port;
use super::world::{CrashPoint, Teller, What, World};
use super::Shape;
use crate::zab::Role;

pub use scripts::scripts;

const MS: u64 = 1_000_000;
/// How long a step waits for what it needs, ms.
const PATIENCE_MS: u64 = 20_000;

/// A fixed run.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: &'static str,
    pub shape: Shape,
    pub steps: Vec<Step>,
}

/// A server, by what it is when a step begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Leader,
    /// The first voter that follows.
    Follower,
    Observer,
    /// Whom [`Step::Stop`] or [`Step::Cut`] has taken last.
    Absent,
}

/// A part of a script.
#[derive(Debug, Clone)]
pub enum Step {
    /// Until all who run and can be reached serve the same.
    Settle,
    /// A client asks a server for these, one after another; until all are answered.
    Ask(usize, Who, Vec<Request>),
    /// The same without waiting for answers: only for so long, ms.
    Say(usize, Who, Vec<Request>, u64),
    /// A client is never heard of again; until its session has ended.
    Vanish(usize),
    /// A process ends and stays away.
    Stop(Who),
    /// Who was stopped begins again.
    Start,
    /// A machine loses its power and comes back.
    Restart(Who),
    /// A server can't reach the other members, nor they it.
    Cut(Who),
    /// It can again.
    Mend,
    /// Everybody purges old files.
    Purge,
}

/// What came of a script that was ended at a point.
#[derive(Debug, Clone)]
pub struct Struck {
    /// The run has come to its point.
    pub is_reached: bool,
    pub closing: Closing,
}

/// Runs a script without a crash, and answers which points it has.
pub fn survey(script: &Script, teller: Option<Teller>) -> (Vec<CrashPoint>, Closing) {
    let mut world = world(script, teller);
    world.perform(&script.steps);
    (world.points_met(), world.finish(SEED))
}

/// Runs a script and ends a server at a point that [`survey`] has found.
pub fn strike(script: &Script, point: CrashPoint, teller: Option<Teller>) -> Struck {
    let mut world = world(script, teller);
    world.aim(point);
    world.perform(&script.steps);
    let is_reached = world.points.is_reached();
    Struck { is_reached, closing: world.finish(SEED) }
}

/// Scripts are fixed; so is what little is drawn in them.
const SEED: u64 = 0x0073_6372_6970_7473;

fn world(script: &Script, teller: Option<Teller>) -> World {
    let mut world = World::new(SEED, script.shape.clone(), check::all());
    if let Some(teller) = teller {
        world.listen(teller);
    }
    for client in &mut world.clients {
        client.is_quiet = true;
    }
    world
}

impl World {
    fn perform(&mut self, steps: &[Step]) {
        let mut absent = None;
        for step in steps {
            if !self.violations.is_empty() {
                return;
            }
            self.tell(|| format!("step: {step:?}"));
            self.step(step, &mut absent);
        }
    }

    fn step(&mut self, step: &Step, absent: &mut Option<usize>) {
        match step {
            Step::Settle => self.settle(*absent),
            Step::Ask(client, who, requests) => {
                self.ask(*client, *who, requests, *absent);
                self.wait_for(PATIENCE_MS, |world| world.is_answered(*client));
                self.clients[*client].tasks.clear();
            }
            Step::Say(client, who, requests, ms) => {
                self.ask(*client, *who, requests, *absent);
                self.wait_for(*ms, |_| false);
                self.clients[*client].tasks.clear();
            }
            Step::Vanish(client) => {
                self.clients[*client].is_gone = true;
                let before = self.committed.last();
                self.wait_for(PATIENCE_MS, |world| world.committed.last() > before);
            }
            Step::Stop(who) => {
                let node = self.find(*who, *absent);
                self.held.insert(node);
                self.crash(node, false);
                *absent = Some(node);
            }
            Step::Start => {
                for node in std::mem::take(&mut self.held) {
                    self.at(MS, What::Start(node));
                }
                *absent = None;
            }
            Step::Restart(who) => {
                let node = self.find(*who, *absent);
                self.crash(node, true);
                self.wait_for(PATIENCE_MS, |world| world.nodes[node].life.is_some());
            }
            Step::Cut(who) => *absent = Some(self.cut_off(*who, *absent)),
            Step::Mend => {
                self.wire.cuts.clear();
                *absent = None;
            }
            Step::Purge => (0..self.nodes.len()).for_each(|node| self.purge_now(node)),
        }
    }

    /// A client begins to ask.
    fn ask(&mut self, client: usize, who: Who, requests: &[Request], absent: Option<usize>) {
        let node = self.find(who, absent);
        self.clients[client].home = Some(node);
        self.wait_for(PATIENCE_MS, |world| world.clients[client].is_welcome());
        self.clients[client].tasks.extend(requests.iter().cloned());
    }

    fn is_answered(&self, client: usize) -> bool {
        self.clients[client].tasks.is_empty() && self.clients[client].is_idle()
    }

    fn cut_off(&mut self, who: Who, absent: Option<usize>) -> usize {
        let node = self.find(who, absent);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            for port in [Port::Election, Port::Quorum] {
                self.wire.cuts.extend([(port, node, other), (port, other, node)]);
            }
        }
        node
    }

    /// Waits until all but the absent one serve the same under one leader.
    fn settle(&mut self, absent: Option<usize>) {
        self.wait_for(PATIENCE_MS, |world| {
            let mut states = Vec::new();
            let mut leaders = 0;
            for (index, node) in world.nodes.iter().enumerate() {
                if Some(index) == absent {
                    continue;
                }
                let Some(life) = &node.life else { return false };
                leaders += usize::from(matches!(node.role, Role::Leading { .. }));
                if !check::serves(node.role) {
                    return false;
                }
                states.push(life.driver.shared.last_applied());
            }
            leaders == 1 && states.iter().all(|state| *state == states[0])
        });
    }

    /// Who it is, once there is one; failing that, the first.
    fn find(&mut self, who: Who, absent: Option<usize>) -> usize {
        let find = |world: &World| {
            let mut nodes = world.nodes.iter().enumerate();
            let is_here = |index: usize| absent != Some(index);
            let found = nodes.find(|(index, node)| match who {
                Who::Leader => is_here(*index) && matches!(node.role, Role::Leading { .. }),
                Who::Follower => {
                    let follows = matches!(node.role, Role::Learning { .. });
                    is_here(*index) && node.is_voter && follows
                }
                Who::Observer => !node.is_voter,
                Who::Absent => absent == Some(*index),
            });
            found.map(|(index, _)| index)
        };
        self.wait_for(PATIENCE_MS, |world| find(world).is_some());
        find(self).unwrap_or(0)
    }

    fn wait_for(&mut self, limit_ms: u64, is_so: impl Fn(&World) -> bool) {
        let end_ns = self.now_ns + limit_ms * MS;
        while self.violations.is_empty() && self.now_ns < end_ns && !is_so(self) {
            let next_ns = self.now_ns + 5 * MS;
            self.run_until(next_ns);
        }
    }
}
