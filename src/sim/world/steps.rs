//! The life of a process, step by step: its pipeline, its workers, its snapshots.

use std::time::Duration;

use bytes::Bytes;

use crate::sim::check::{Act, Note};
use crate::sim::scene;
use crate::sim::wire::{Cut, Piece, Stream};
use crate::sim::world::{What, World};
use crate::types::{Chance, Sid};
use crate::zab::Event;

const MS: u64 = 1_000_000;
/// Timers are late by so much at most, ms.
pub(super) const LATE_MS: usize = 20;

/// How the connections of a process that has ended end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// Whatever is on its way is lost, and the other end hears of it.
    Lost,
    /// What is on its way arrives, and then the end of it.
    Behind,
    /// What is on its way arrives, and nothing else ever.
    Silent,
}

impl Parting {
    /// A killed process leaves a system behind that says good-bye.
    fn draw(seed: u64, power: bool) -> Parting {
        match seed >> 62 {
            0 | 1 => Parting::Lost,
            2 if power => Parting::Silent,
            _ => Parting::Behind,
        }
    }
}

impl World {
    /// A process begins, or refuses.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].life.is_some() || self.held.contains(&node) {
            return;
        }
        self.nodes[node].life_number += 1;
        self.nodes[node].enter(self.now_ns);
        let started = self.nodes[node].start();
        let mut spent_ns = self.leave_stage(node);
        let worked = started.and_then(|applied| {
            // One that is a quorum alone leads before its first step is over.
            let durable = self.nodes[node].durable.summary();
            self.heed(node, Note { act: Act::Starts { applied }, durable });
            self.tell(|| format!("{} starts with {applied}", node + 1));
            self.nodes[node].enter(self.now_ns);
            let life = self.nodes[node].life.as_mut().expect("it has just begun");
            let worked = life.driver.work().map_err(|e| e.to_string());
            spent_ns += self.leave_stage(node);
            worked
        });
        match worked {
            Ok(()) => self.after(node, spent_ns, true),
            Err(why) => {
                let power_is_off = self.nodes[node].disk.has_crashed();
                self.tell(|| format!("{} can't start: {why}", node + 1));
                let is_excused = power_is_off || self.had_disk_errors();
                if !is_excused {
                    self.accuse("recovery", format!("{} refuses to start: {why}", node + 1));
                }
                self.crash(node, power_is_off);
            }
        }
    }

    fn had_disk_errors(&self) -> bool {
        use crate::sim::fault::Fault;
        let faults = [Fault::DiskError, Fault::Flip, Fault::Sector, Fault::Full, Fault::Stale];
        faults.iter().any(|fault| self.injected.contains_key(fault))
    }

    fn accuse(&mut self, check: &'static str, what: String) {
        self.violations.push(crate::sim::check::Violation { check, what });
    }

    /// A process ends; another one begins after a while.
    pub(in crate::sim) fn crash(&mut self, node: usize, power: bool) {
        let (seed, mut rng) = self.seed_of_end(node);
        let is_aimed = self.points.is_doomed(node);
        let it = &mut self.nodes[node];
        let died = it.life.take();
        let power = power || it.disk.has_crashed();
        it.disk = if power { it.disk.after_power_failure(seed) } else { it.disk.fork() };
        it.go_on(self.now_ns);
        it.busy_until_ns = 0;
        it.durable.refresh(&it.disk);
        let durable = it.durable.summary();
        let number = it.life_number;
        self.arm(node);
        if died.is_some() {
            self.heed(node, Note { act: Act::Ends, durable });
            self.tell(|| format!("{} ends, power off: {power}", node + 1));
        }
        // Files that are being written are gone with the process.
        if let Some(life) = died {
            let links = life.links.values().map(|end| (end.stream, end.end));
            let ends: Vec<_> = links.chain(life.conns.keys().map(|id| (*id, 1))).collect();
            let parting = if is_aimed { Parting::Behind } else { Parting::draw(seed, power) };
            if parting != Parting::Lost {
                self.late.insert((node, number));
            }
            for (id, end) in ends {
                self.part(id, end, parting);
            }
        }
        self.acquainted.retain(|(a, b)| *a != node && *b != node);
        let most_ms = if self.is_healed { 200 } else { self.shape.down_ms as usize };
        let down_ms = 10 + rng.below(most_ms) as u64;
        self.at(down_ms * MS, What::Start(node));
    }

    /// What becomes of a connection of a process that ends.
    fn part(&mut self, stream: u64, end: usize, parting: Parting) {
        match parting {
            Parting::Lost => return self.break_stream(stream),
            Parting::Behind => self.send(stream, end, Piece::Fin, 0),
            Parting::Silent => {
                // What the sockets do about a transfer that has stopped.
                let stall_ms = 2 * self.shape.tick_ms * self.shape.init_limit;
                self.at(stall_ms * MS, What::Broken { stream, end: 1 - end });
            }
        }
        self.wire.leave(stream, end);
    }

    pub(super) fn pipeline(&mut self, node: usize, life: u64) {
        if !self.is_alive(node, life) {
            return;
        }
        self.nodes[node].enter(self.now_ns);
        let life = self.nodes[node].life.as_mut().expect("it runs");
        let turned = life.driver.turn(Duration::ZERO);
        let spent_ns = self.leave_stage(node);
        if let Err(e) = turned {
            self.tell(|| format!("{} gives up: {e}", node + 1));
            self.carry_out(node);
            self.crash(node, false);
            return;
        }
        self.after(node, spent_ns, true);
    }

    /// What follows a step: commands, replies, the next steps.
    pub(super) fn after(&mut self, node: usize, spent_ns: u64, is_pipeline: bool) {
        self.carry_out(node);
        if self.nodes[node].disk.has_crashed() {
            self.crash(node, true);
            return;
        }
        if is_pipeline && spent_ns > 0 {
            self.nodes[node].busy_until_ns = self.now_ns + spent_ns;
        }
        self.take_replies(node);
        self.wake(node);
    }

    /// Sees to it that the server goes on when it has something to do.
    fn wake(&mut self, node: usize) {
        let number = self.nodes[node].life_number;
        let now_ns = self.now_ns;
        let late_ns = self.timing.below(LATE_MS) as u64 * MS;
        let soon_ns = self.timing.below(200_000) as u64;
        self.nodes[node].enter(now_ns);
        let it = &mut self.nodes[node];
        let Some(life) = &mut it.life else {
            self.leave_stage(node);
            return;
        };
        let shared = std::sync::Arc::clone(&life.driver.shared);
        let patience_ms = life.driver.patience().as_millis() as u64;
        let in_ns = match shared.asks.is_empty() {
            true => it.until_ns(patience_ms) + late_ns,
            false => soon_ns,
        };
        let life = it.life.as_mut().expect("looked at it");
        let is_new = life.wake_at_ns <= now_ns || life.wake_at_ns > now_ns + in_ns;
        let mut whats = Vec::new();
        if is_new {
            life.wake_at_ns = now_ns + in_ns.max(1);
            whats.push((in_ns.max(1), What::Pipeline { node, life: number }));
        }
        for worker in 0..life.workers.len() {
            if !shared.inboxes[worker].is_empty() {
                let late_ns = match scene::chance(Chance::WorkerLate) {
                    true => scene::chance_below(LATE_MS) as u64 * MS,
                    false => 0,
                };
                let in_ns = soon_ns / (worker as u64 + 1) + late_ns;
                whats.push((in_ns, What::Worker { node, life: number, worker }));
            }
        }
        use crate::server::platform::SnapshotTaker;
        if life.snapshots.is_busy() && !life.snapshot_is_due {
            life.snapshot_is_due = true;
            let slow = if scene::chance(Chance::SliceLate) { 1_000 } else { 10 };
            whats.push((soon_ns * slow, What::Snapshot { node, life: number }));
        }
        self.leave_stage(node);
        for (in_ns, what) in whats {
            self.at(in_ns, what);
        }
    }

    pub(super) fn worker(&mut self, node: usize, life: u64, worker: usize) {
        if !self.is_alive(node, life) {
            return;
        }
        self.nodes[node].enter(self.now_ns);
        let over = self.nodes[node].life.as_mut().expect("it runs").work(worker);
        self.leave_stage(node);
        self.take_replies(node);
        for stream in over {
            self.hang_up(node, stream);
        }
        self.wake(node);
    }

    /// Something has come from a client.
    pub(super) fn serve(&mut self, node: usize, life: u64, stream: u64, piece: Piece) {
        if !self.is_alive(node, life) {
            return;
        }
        self.nodes[node].enter(self.now_ns);
        let life = self.nodes[node].life.as_mut().expect("it runs");
        let goes_on = life.conns.get(&stream).is_none_or(|conn| {
            match &piece {
                Piece::Bytes(bytes) => conn.pipe.borrow_mut().inbound.extend(bytes.iter()),
                Piece::Fin => conn.pipe.borrow_mut().is_over = true,
            }
            conn.served.go_on()
        });
        self.leave_stage(node);
        self.take_replies(node);
        if !goes_on {
            self.hang_up(node, stream);
        }
        self.wake(node);
    }

    /// A client's connection is over at the server.
    fn hang_up(&mut self, node: usize, stream: u64) {
        if let Some(life) = &mut self.nodes[node].life {
            life.conns.remove(&stream);
        }
        self.send(stream, 1, Piece::Fin, 0);
        self.wire.leave(stream, 1);
    }

    /// Sends off what the workers have written.
    fn take_replies(&mut self, node: usize) {
        let Some(life) = &self.nodes[node].life else { return };
        let mut replies = Vec::new();
        for (stream, conn) in &life.conns {
            let mut pipe = conn.pipe.borrow_mut();
            pipe.is_stuck = self.wire.client_of(*stream).is_some_and(|it| self.slow.contains(&it));
            if !pipe.outbound.is_empty() && !pipe.is_stuck {
                let bytes = Bytes::from(std::mem::take(&mut pipe.outbound));
                replies.push((*stream, bytes));
            }
        }
        for (stream, bytes) in replies {
            if self.points.is_doomed(node) {
                return;
            }
            self.leaves(node);
            self.send(stream, 1, Piece::Bytes(bytes), 0);
        }
    }

    /// A client reads again what its server has for it.
    pub(in crate::sim) fn reads(&mut self, client: usize) {
        self.slow.remove(&client);
        for node in 0..self.nodes.len() {
            self.take_replies(node);
            let number = self.nodes[node].life_number;
            for worker in 0..self.shape.workers {
                self.worker(node, number, worker);
            }
        }
    }

    pub(super) fn snapshot(&mut self, node: usize, life: u64) {
        if !self.is_alive(node, life) {
            return;
        }
        self.nodes[node].enter(self.now_ns);
        let life = self.nodes[node].life.as_mut().expect("it runs");
        life.snapshot_is_due = false;
        life.snapshots.go_on();
        let spent_ns = self.leave_stage(node);
        self.after(node, spent_ns, false);
    }

    pub(super) fn purge(&mut self, node: usize) {
        let is_soon = self.nodes[node].chances.comes(Chance::PurgeSoon);
        self.at(if is_soon { 100 * MS } else { 7_000 * MS }, What::Purge(node));
        self.purge_now(node);
    }

    /// Old files of a server go.
    pub(in crate::sim) fn purge_now(&mut self, node: usize) {
        let is_still = self.nodes[node].paused_until_ns > self.now_ns;
        if is_still || self.nodes[node].life.is_none() {
            return;
        }
        self.nodes[node].enter(self.now_ns);
        let it = &self.nodes[node];
        let life = it.life.as_ref().expect("it runs");
        // What can't be purged now is purged later.
        let _ = crate::storage::purge(&it.disk, &life.dirs, crate::storage::RETAIN_MIN);
        let spent_ns = self.leave_stage(node);
        self.after(node, spent_ns, false);
    }

    pub(super) fn sweep(&mut self) {
        self.at(crate::limits::SWEEP_MS * MS, What::Sweep);
        for node in 0..self.nodes.len() {
            let is_still = self.nodes[node].paused_until_ns > self.now_ns;
            if is_still || self.nodes[node].life.is_none() {
                continue;
            }
            self.nodes[node].enter(self.now_ns);
            let life = self.nodes[node].life.as_ref().expect("it runs");
            life.workers.iter().for_each(|worker| worker.sweep());
            self.leave_stage(node);
            let number = self.nodes[node].life_number;
            for worker in 0..self.shape.workers {
                self.worker(node, number, worker);
            }
        }
    }

    /// Tells a server what has happened.
    pub(super) fn inform(&mut self, node: usize, event: Event) {
        self.inform_all(node, vec![event]);
    }

    pub(super) fn inform_all(&mut self, node: usize, mut events: Vec<Event>) {
        if let Some(life) = &self.nodes[node].life {
            life.driver.shared.asks.push_events(&mut events);
            self.wake(node);
        }
    }

    pub(super) fn is_alive(&self, node: usize, life: u64) -> bool {
        self.nodes[node].life.is_some() && self.nodes[node].life_number == life
    }

    pub(super) fn node_of(&self, sid: Sid) -> usize {
        usize::try_from(sid.0 - 1).expect("members are numbered from 1")
    }

    /// Breaks a stream: whatever is on its way is lost, and both ends hear of it in time.
    pub(in crate::sim) fn break_stream(&mut self, id: u64) {
        let delays = [self.wire.latency_ns(), self.wire.latency_ns()];
        let Some(stream) = self.wire.streams.get_mut(&id) else { return };
        if std::mem::replace(&mut stream.broken, true) {
            return;
        }
        for (end, delay_ns) in delays.into_iter().enumerate() {
            self.at(delay_ns, What::Broken { stream: id, end });
        }
    }

    /// Breaks all streams between such places.
    pub(in crate::sim) fn break_streams(&mut self, between: impl Fn(Cut) -> bool) {
        let crosses = |stream: &Stream| {
            let (a, b) = (self.wire.place(stream.ends[0]), self.wire.place(stream.ends[1]));
            between((stream.port(), a, b)) || between((stream.port(), b, a))
        };
        let streams = self.wire.streams.iter().filter(|(_, stream)| crosses(stream));
        let ids: Vec<u64> = streams.map(|(id, _)| *id).collect();
        for id in ids {
            self.break_stream(id);
        }
    }
}
