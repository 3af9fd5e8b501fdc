//! What goes wrong.

use std::collections::BTreeSet;

use super::{Net, What};

impl Net {
    pub(super) fn fault(&mut self) {
        if !self.faults {
            return;
        }
        let index = self.rng.below(self.nodes.len());
        match self.rng.below(12) {
            0..=2 => self.crash_for_a_while(index),
            3 => {
                let leads = self.nodes.iter().position(|node| node.listens);
                self.crash_for_a_while(leads.unwrap_or(index));
            }
            4 | 5 => {
                let keys: Vec<_> = self.connections.keys().copied().collect();
                if !keys.is_empty() {
                    let key = keys[self.rng.below(keys.len())];
                    self.break_connection(key);
                }
            }
            6 => {
                let other = self.rng.below(self.nodes.len());
                self.cut_for_a_while(index, other);
            }
            7 | 8 => {
                for other in 0..self.nodes.len() {
                    self.cut_for_a_while(index, other);
                }
            }
            9 => {
                let stall = 100 + self.rng.below(1_000) as i64;
                self.nodes[index].stalled_until_ms = self.now_ms + stall;
            }
            10 => {
                let node = &mut self.nodes[index];
                if node.disk.pending.is_empty() && node.zab.is_some() {
                    node.disk.purge();
                }
            }
            _ => self.lose_disk(index),
        }
        let pause = 30 + self.rng.below(700) as i64;
        self.at(pause, What::Fault);
    }

    /// Between two steps of the disk, and perhaps not alone.
    pub(super) fn crash_at_work(&mut self, index: usize) {
        let others = [0, 0, 1, 2][self.rng.below(4)];
        self.crash_for_a_while(index);
        for _ in 0..others {
            let other = self.rng.below(self.nodes.len());
            self.crash_for_a_while(other);
        }
    }

    fn crash_for_a_while(&mut self, index: usize) {
        self.crash(index);
        let down = 20 + self.rng.below(900) as i64;
        self.at(down, What::Restart(index));
    }

    /// One server at a time comes back with an empty disk, and knows it; the others can do without.
    fn lose_disk(&mut self, index: usize) {
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != index);
        let others: BTreeSet<_> = others.map(|(_, node)| node.sid).collect();
        let node = &self.nodes[index];
        if self.nodes.iter().any(|node| node.stranger)
            || node.disk.history.is_empty()
            || !node.is_quorum(&others)
        {
            return;
        }
        self.crash(index);
        self.nodes[index].disk.wipe();
        self.nodes[index].stranger = true;
        let down = 20 + self.rng.below(900) as i64;
        self.at(down, What::Restart(index));
    }

    fn cut_for_a_while(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.cut.insert((a, b));
        self.cut.insert((b, a));
        self.break_all(|x, y| (x, y) == (a, b) || (x, y) == (b, a));
        let healed = 50 + self.rng.below(1_500) as i64;
        self.at(healed, What::Heal(a, b));
    }

    pub(super) fn end_faults(&mut self) {
        self.faults = false;
        self.cut.clear();
        for index in 0..self.nodes.len() {
            self.nodes[index].stalled_until_ms = 0;
            self.restart(index);
        }
    }
}
