//! What goes wrong, and when.

use std::io;

use super::durable::DIR;
use super::world::{What, World};
use super::Call;
use crate::zab::Role;

/// The kinds of faults.
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
}

impl Fault {
    pub const ALL: [Fault; 9] = [
        Fault::Kill,
        Fault::Power,
        Fault::PowerAtCall,
        Fault::Blackout,
        Fault::Pause,
        Fault::Partition,
        Fault::Reset,
        Fault::DiskError,
        Fault::Flip,
    ];
}

const MS: u64 = 1_000_000;

impl World {
    /// When a kind of fault comes next, if ever.
    pub(super) fn plan(&mut self, fault: Fault) {
        let faults = &self.shape.faults;
        let every_ms = match fault {
            Fault::Kill => faults.kill_every_ms,
            Fault::Power => faults.power_every_ms,
            Fault::PowerAtCall => faults.power_at_call_every_ms,
            Fault::Blackout => faults.blackout_every_ms,
            Fault::Pause => faults.pause_every_ms,
            Fault::Partition => faults.partition_every_ms,
            Fault::Reset => faults.reset_every_ms,
            Fault::DiskError => faults.disk_error_every_ms,
            Fault::Flip => faults.flip_every_ms,
        };
        if every_ms > 0 {
            let in_ms = every_ms / 2 + self.faults.below(every_ms as usize) as u64;
            self.at(in_ms * MS, What::Fault(fault));
        }
    }

    /// It comes.
    pub(super) fn strike(&mut self, fault: Fault) {
        if self.is_healed {
            return;
        }
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
            Fault::Reset => self.reset(),
            Fault::DiskError => self.disk_error(node),
            Fault::Flip => self.flip(node),
        };
        if struck {
            // A pause breaks nothing, and has been noted.
            if fault != Fault::Pause {
                self.disturb(0);
            }
            *self.injected.entry(fault).or_default() += 1;
            self.tell(|| format!("{fault:?} at {}", node + 1));
        }
        self.plan(fault);
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

    fn partition(&mut self, node: usize) -> bool {
        let count = self.nodes.len();
        let half = 1 + self.faults.below(count - 1);
        let mut cuts = Vec::new();
        let kind = self.faults.below(5);
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
                    cuts.push((a, b));
                }
            }
        }
        if cuts.is_empty() {
            return false;
        }
        let breaks = self.faults.one_in(2);
        if breaks {
            self.break_streams(|a, b| cuts.contains(&(a, b)));
        }
        self.wire.cuts.extend(&cuts);
        let ms = 50 + self.faults.below(3 * (self.shape.tick_ms * self.shape.sync_limit) as usize);
        self.at(ms as u64 * MS, What::Heal(cuts));
        true
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
    fn flip(&mut self, node: usize) -> bool {
        let voters = self.shape.voters;
        let damaged = self.nodes.iter().filter(|node| node.is_damaged && node.is_voter).count();
        let one_more = usize::from(self.nodes[node].is_voter && !self.nodes[node].is_damaged);
        if !self.shape.faults.flip_any && damaged + one_more > (voters - 1) / 2 {
            return false;
        }
        let disk = self.nodes[node].disk.clone();
        let in_use = |path: &std::path::PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            path.starts_with(DIR) && (name.starts_with("log.") || name.starts_with("snapshot."))
        };
        let paths: Vec<_> = disk.paths().into_iter().filter(in_use).collect();
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
}
