//! Deletes empty containers and TTL nodes whose life is over (Apache's `ContainerManager`).

use std::collections::VecDeque;

use crate::tree::Replica;
use crate::types::Now;

/// When and how fast the reaper works.
#[derive(Debug, Clone, Copy)]
pub struct ReaperOptions {
    /// `znode.container.checkIntervalMs`: between two looks at the tree; 0 or less is off.
    pub check_interval_ms: i64,
    /// `znode.container.maxPerMinute`.
    pub max_per_minute: i64,
    /// `znode.container.maxNeverUsedIntervalMs`: age at which a container that never had a child
    /// goes too; 0 never.
    pub max_never_used_ms: i64,
}

/// Finds what is due and gives it out at a bounded rate.
#[derive(Debug)]
pub(super) struct Reaper {
    options: ReaperOptions,
    next_look_ms: i64,
    next_due_ms: i64,
    found: VecDeque<String>,
}

impl Reaper {
    /// The first look comes one interval after the start.
    pub(super) fn new(options: ReaperOptions, now_ms: i64) -> Reaper {
        let next_look_ms = now_ms + options.check_interval_ms;
        Reaper { options, next_look_ms, next_due_ms: now_ms, found: VecDeque::new() }
    }

    /// The paths to delete now. Each is checked again when its deletion is prepared.
    pub(super) fn due(&mut self, now: Now, replica: &Replica) -> Vec<String> {
        if !self.is_on() {
            return Vec::new();
        }
        if self.found.is_empty() && now.mono_ms >= self.next_look_ms {
            let never_used_ms = self.options.max_never_used_ms;
            self.found = replica.reaper_candidates(now.wall_ms, never_used_ms).into();
            self.next_look_ms = now.mono_ms + self.options.check_interval_ms;
            self.next_due_ms = now.mono_ms;
        }
        let mut due = Vec::new();
        while now.mono_ms >= self.next_due_ms {
            let Some(path) = self.found.pop_front() else { break };
            due.push(path);
            self.next_due_ms += self.pause_ms();
        }
        due
    }

    pub(super) fn poll_timeout(&self) -> Option<i64> {
        if !self.is_on() {
            return None;
        }
        Some(if self.found.is_empty() { self.next_look_ms } else { self.next_due_ms })
    }

    fn is_on(&self) -> bool {
        self.options.check_interval_ms > 0
    }

    fn pause_ms(&self) -> i64 {
        (60_000 / self.options.max_per_minute.max(1)).max(1)
    }
}
