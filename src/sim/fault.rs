//! What goes wrong, and when.

use std::io;
use std::path::PathBuf;

use super::durable::DIR;
use super::wire::{Cut, Port};
use super::world::{What, World};
use super::{Call, Rng, SimDisk};
use crate::zab::Role;

/// The kinds of faults. They keep their order: what is drawn for one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    Kill,
    Power,
    PowerAtCall,
    Blackout,
    Pause,
    Partition,
    Reset,
    DiskError,
    Flip,
    Clock,
    Clog,
    HalfOpen,
    SlowReader,
    Sector,
    Full,
    Stale,
}

impl Fault {
    pub const ALL: [Fault; 16] = [
        Fault::Kill,
        Fault::Power,
        Fault::PowerAtCall,
        Fault::Blackout,
        Fault::Pause,
        Fault::Partition,
        Fault::Reset,
        Fault::DiskError,
        Fault::Flip,
        Fault::Clock,
        Fault::Clog,
        Fault::HalfOpen,
        Fault::SlowReader,
        Fault::Sector,
        Fault::Full,
        Fault::Stale,
    ];

    /// By its name.
    pub fn named(name: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name)
    }

    /// Its place in [`Fault::ALL`].
    fn index(self) -> u64 {
        self as u64
    }
}

const MS: u64 = 1_000_000;
/// What a disk writes at once, bytes.
const SECTOR: usize = 512;

/// The logs and snapshots of a disk.
fn files_in_use(disk: &SimDisk) -> Vec<PathBuf> {
    let in_use = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.starts_with(DIR) && (name.starts_with("log.") || name.starts_with("snapshot."))
    };
    disk.paths().into_iter().filter(in_use).collect()
}

/// The same without the newest log.
fn old_files(disk: &SimDisk) -> Vec<PathBuf> {
    let mut paths = files_in_use(disk);
    let log = |path: &PathBuf| crate::storage::parse_log(path.file_name()?.to_str()?);
    let newest = paths.iter().filter_map(log).max();
    paths.retain(|path| log(path).is_none_or(|log| Some(log) < newest));
    paths
}

/// The seed of a fault.
fn mix(seed: u64, fault: Fault, number: u64) -> u64 {
    seed ^ 0x4641_554c_5453 ^ (fault.index() << 56) ^ (number << 40)
}

impl World {
    /// When the next fault of a kind comes, if ever. Each fault has its own stream of random
    /// numbers, so that one can be left out without changing the others.
    pub(super) fn plan(&mut self, fault: Fault, number: u64) {
        let every_ms = *self.shape.faults.every_ms(fault);
        if every_ms > 0 {
            self.faults = Rng::new(mix(self.seed, fault, number));
            let in_ms = every_ms / 2 + self.faults.below(every_ms as usize) as u64;
            self.at(in_ms * MS, What::Fault(fault, number));
        }
    }

    /// It comes.
    pub(super) fn strike(&mut self, fault: Fault, number: u64) {
        if self.is_healed {
            return;
        }
        if self.shape.skipped.contains(&(fault, number)) {
            return self.plan(fault, number + 1);
        }
        self.faults = Rng::new(mix(self.seed, fault, number) ^ 0x5354_5249_4b45);
        let node = self.victim();
        let struck = match fault {
            Fault::Kill | Fault::Power => self.end(node, fault == Fault::Power),
            Fault::PowerAtCall => self.power_at_call(node, 40),
            Fault::Blackout => {
                for node in 0..self.nodes.len() {
                    self.power_at_call(node, 6);
                }
                true
            }
            Fault::Pause => self.pause(node),
            Fault::Partition => self.partition(node),
            Fault::Clock => self.jump(node),
            Fault::Reset => self.reset(),
            Fault::DiskError => self.disk_error(node),
            Fault::Flip => self.flip(node),
            Fault::Clog => self.clog(node),
            Fault::HalfOpen => self.half_open(),
            Fault::SlowReader => self.slow_reader(),
            Fault::Sector => self.sector(node),
            Fault::Full => self.full(node),
            Fault::Stale => self.stale(node),
        };
        if struck {
            // A pause breaks nothing, and has been noted.
            if fault != Fault::Pause {
                self.disturb(0);
            }
            *self.injected.entry(fault).or_default() += 1;
            self.struck.push((fault, number));
            self.tell(|| format!("{fault:?}:{number} at {}", node + 1));
        }
        self.plan(fault, number + 1);
    }

    fn victim(&mut self) -> usize {
        let leads = |role: &Role| matches!(role, Role::Leading { .. });
        let leader = self.nodes.iter().position(|node| node.life.is_some() && leads(&node.role));
        let aimed = self.faults.below(100) < self.shape.faults.aim_percent;
        let any = self.faults.below(self.nodes.len());
        leader.filter(|_| aimed).unwrap_or(any)
    }

    fn end(&mut self, node: usize, power: bool) -> bool {
        if self.nodes[node].life.is_none() {
            return false;
        }
        self.crash(node, power);
        true
    }

    /// The power goes at one of the next calls; should none come, it stays.
    fn power_at_call(&mut self, node: usize, calls: usize) -> bool {
        let n = self.faults.below(calls) as u64;
        self.nodes[node].disk.crash_at(n);
        true
    }

    fn pause(&mut self, node: usize) -> bool {
        let limit_ms = self.shape.tick_ms * self.shape.sync_limit;
        let ms = 1 + self.faults.below(2 * limit_ms as usize) as u64;
        self.hold(node, ms * MS);
        true
    }

    /// A wall clock is set: nothing but the times in stats may follow it.
    fn jump(&mut self, node: usize) -> bool {
        let most_ms = [2_000, 600_000, 400_000_000][self.faults.below(3)];
        let by_ms = self.faults.below(2 * most_ms + 1) as i64 - most_ms as i64;
        self.nodes[node].set_wall(by_ms);
        true
    }

    fn partition(&mut self, node: usize) -> bool {
        let cuts = self.cuts(node);
        if cuts.is_empty() {
            return false;
        }
        let breaks = self.faults.one_in(2);
        if breaks {
            self.break_streams(|cut| cuts.contains(&cut));
        }
        self.wire.cuts.extend(&cuts);
        let ms = 50 + self.faults.below(3 * (self.shape.tick_ms * self.shape.sync_limit) as usize);
        self.at(ms as u64 * MS, What::Heal(cuts));
        true
    }

    /// The ways that a partition cuts.
    fn cuts(&mut self, node: usize) -> Vec<Cut> {
        let count = self.nodes.len();
        if self.faults.one_in(8) {
            // Clients alone can't reach it, or don't hear of it.
            let clients = count..count + self.clients.len();
            let one_way = self.faults.one_in(2);
            let ways = clients.flat_map(|client| [(node, client), (client, node)]);
            let ways = ways.filter(|(from, _)| !one_way || *from == node);
            return ways.map(|(from, to)| (Port::Client, from, to)).collect();
        }
        // A firewall may know one of the ports only.
        let ports: &[Port] = match self.faults.below(6) {
            0 => &[Port::Election],
            1 => &[Port::Quorum],
            _ => &[Port::Election, Port::Quorum],
        };
        let half = 1 + self.faults.below((count - 1).max(1));
        let kind = self.faults.below(5);
        let mut cuts = Vec::new();
        for a in 0..count {
            for b in (0..count).filter(|b| *b != a) {
                let is_cut = match kind {
                    // One alone, and the same one way only.
                    0 => a == node || b == node,
                    1 => a == node,
                    2 => b == node,
                    3 => (a < half) != (b < half),
                    // Two halves with one in both.
                    _ => a != node && b != node && (a < node) != (b < node),
                };
                if is_cut {
                    cuts.extend(ports.iter().map(|port| (*port, a, b)));
                }
            }
        }
        cuts
    }

    fn reset(&mut self) -> bool {
        let ids: Vec<u64> = self.wire.streams.keys().copied().collect();
        if ids.is_empty() {
            return false;
        }
        let id = ids[self.faults.below(ids.len())];
        self.break_stream(id);
        true
    }

    fn disk_error(&mut self, node: usize) -> bool {
        let calls = [Call::Write, Call::Sync, Call::SyncDir, Call::Create, Call::Allocate];
        let call = calls[self.faults.below(calls.len())];
        let kind = match call {
            Call::Write | Call::Create | Call::Allocate if self.faults.one_in(2) => {
                io::ErrorKind::StorageFull
            }
            _ => io::ErrorKind::Other,
        };
        let n = self.faults.below(6) as u64;
        self.nodes[node].disk.fail(call, n, kind);
        true
    }

    /// Damage stays with a minority of the voters, for the whole run, unless any will do.
    fn may_be_damaged(&self, node: usize) -> bool {
        let any = self.shape.faults.flip_any;
        if !any && !self.shape.groups.is_empty() {
            // A minority of them may be a quorum there.
            return false;
        }
        let voters = self.shape.voters;
        let damaged = self.nodes.iter().filter(|node| node.is_damaged && node.is_voter).count();
        let one_more = usize::from(self.nodes[node].is_voter && !self.nodes[node].is_damaged);
        any || damaged + one_more <= (voters - 1) / 2
    }

    fn flip(&mut self, node: usize) -> bool {
        if !self.may_be_damaged(node) {
            return false;
        }
        let disk = self.nodes[node].disk.clone();
        let paths = files_in_use(&disk);
        if paths.is_empty() {
            return false;
        }
        let path = &paths[self.faults.below(paths.len())];
        let content = disk.content(path).unwrap_or_default();
        // Mostly in what was written, not in the room behind it.
        let written = content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let len = if self.faults.one_in(4) { content.len() } else { written };
        let byte = self.faults.below(len.max(1));
        let flipped = disk.flip(path, byte, self.faults.below(8) as u8);
        self.nodes[node].is_damaged |= flipped;
        flipped
    }

    /// A sector that was durable reads as zeros, or as another one of its file: a write that went
    /// elsewhere. In the newest log zeros can't be told from what was never written.
    fn sector(&mut self, node: usize) -> bool {
        if !self.may_be_damaged(node) {
            return false;
        }
        let disk = self.nodes[node].disk.clone();
        let paths = old_files(&disk);
        if paths.is_empty() {
            return false;
        }
        let path = &paths[self.faults.below(paths.len())];
        let content = disk.content(path).unwrap_or_default();
        let sectors: Vec<&[u8]> = content.chunks_exact(SECTOR).collect();
        if sectors.is_empty() {
            return false;
        }
        let to = self.faults.below(sectors.len());
        let is_misdirected = self.faults.one_in(2);
        let from = self.faults.below(sectors.len());
        let new = if is_misdirected { sectors[from] } else { &[0; SECTOR] };
        let changed = new != sectors[to] && disk.damage(path, to * SECTOR, new);
        self.nodes[node].is_damaged |= changed;
        changed
    }

    /// A sector that was durable reads as it was before its last write. In the newest log it would
    /// look like one that was never written.
    fn stale(&mut self, node: usize) -> bool {
        if !self.may_be_damaged(node) {
            return false;
        }
        let disk = self.nodes[node].disk.clone();
        let mut sectors = Vec::new();
        for path in old_files(&disk) {
            sectors.extend(disk.stale_sectors(&path).into_iter().map(|at| (path.clone(), at)));
        }
        if sectors.is_empty() {
            return false;
        }
        let (path, sector) = &sectors[self.faults.below(sectors.len())];
        let changed = disk.make_stale(path, *sector);
        self.nodes[node].is_damaged |= changed;
        changed
    }

    /// There is room for so many bytes more, for a while.
    fn full(&mut self, node: usize) -> bool {
        let left = [0, 600, 6_000][self.faults.below(3)];
        self.nodes[node].disk.fill(left);
        let ms = 50 + self.faults.below(6_000) as u64;
        self.at(ms * MS, What::Room(node));
        true
    }

    /// One way takes from 1 to 64 kB a second.
    fn clog(&mut self, node: usize) -> bool {
        let places = self.nodes.len() + self.clients.len();
        let other = self.faults.below(places);
        if other == node {
            return false;
        }
        let way = if self.faults.one_in(2) { (node, other) } else { (other, node) };
        let ns_per_byte = 1_000_000 >> self.faults.below(7);
        let limit_ms = (self.shape.tick_ms * self.shape.sync_limit) as usize;
        let ms = 100 + self.faults.below(3 * limit_ms) as u64;
        self.wire.clogs.insert(way, (ns_per_byte, self.now_ns + ms * MS));
        self.at(ms * MS, What::Unclog(way));
        self.disturb(ms * MS);
        true
    }

    /// A connection is lost in between: whoever sends does not hear of it until the system gives
    /// up.
    fn half_open(&mut self) -> bool {
        let ids: Vec<u64> = self.wire.streams.keys().copied().collect();
        if ids.is_empty() {
            return false;
        }
        let id = ids[self.faults.below(ids.len())];
        let stream = self.wire.streams.get_mut(&id).expect("one of them");
        if std::mem::replace(&mut stream.broken, true) {
            return false;
        }
        let patience_ms = 2 * self.shape.tick_ms * self.shape.init_limit;
        for end in 0..2 {
            self.at(patience_ms * MS, What::Broken { stream: id, end });
        }
        self.disturb(patience_ms * MS);
        true
    }

    fn slow_reader(&mut self) -> bool {
        let client = self.faults.below(self.clients.len());
        let ms = 50 + self.faults.below(4_000) as u64;
        self.slow.insert(client);
        self.at(ms * MS, What::Reads(client));
        self.disturb(ms * MS);
        true
    }
}
