//! What a thread counts while it runs.

use super::connection::Window;
use super::histogram::Histogram;
use super::workload::Kind;

/// Seconds that are told apart; a longer run adds the rest to the last one.
const SECONDS_MAX: usize = 3_600;
/// Length of a slice, ns; slices beyond the last one add to it.
pub const SLICE_NS: u64 = 100_000_000;
const SLICES_MAX: usize = 3_000;
/// Different error numbers that are told apart; the protocol has 32.
const ERRORS_MAX: usize = 40;

/// Latencies and counts; their size does not depend on how much is counted.
#[derive(Clone)]
pub struct Stats {
    /// Latencies of reads.
    pub reads: Histogram,
    /// Latencies of writes.
    pub writes: Histogram,
    /// Answers with an error number, by number. They are in the histograms too.
    pub errors: Vec<(i32, u64)>,
    /// Replies in each second of the measured time.
    pub per_second: Vec<u64>,
    /// Latencies of replies in each [`SLICE_NS`] of the measured time, if they are wanted.
    pub slices: Option<Vec<Histogram>>,
    /// When the first counted request was sent, ns since the start.
    pub first_ns: u64,
    /// When the last counted reply came, ns since the start.
    pub last_ns: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            reads: Histogram::default(),
            writes: Histogram::default(),
            errors: Vec::with_capacity(ERRORS_MAX),
            per_second: Vec::with_capacity(SECONDS_MAX),
            slices: None,
            first_ns: u64::MAX,
            last_ns: 0,
        }
    }
}

impl Stats {
    /// Stats that keep slices, if `wanted`: 35 KB for each tenth of a second.
    pub fn with_slices(wanted: bool) -> Stats {
        Stats { slices: wanted.then(Vec::new), ..Stats::default() }
    }

    /// Counts a reply, if it came within the window.
    pub fn count(&mut self, window: &Window, sent_ns: u64, now_ns: u64, kind: Kind, err: i32) {
        if now_ns < window.measure_from_ns || now_ns > window.measure_until_ns {
            return;
        }
        match kind {
            Kind::Read => self.reads.record(now_ns - sent_ns),
            Kind::Write => self.writes.record(now_ns - sent_ns),
        }
        let second = (now_ns - window.measure_from_ns) / 1_000_000_000;
        let second = (second as usize).min(SECONDS_MAX - 1);
        if self.per_second.len() <= second {
            self.per_second.resize(second + 1, 0);
        }
        self.per_second[second] += 1;
        if let Some(slices) = &mut self.slices {
            let slice = ((now_ns - window.measure_from_ns) / SLICE_NS) as usize;
            let slice = slice.min(SLICES_MAX - 1);
            if slices.len() <= slice {
                slices.resize_with(slice + 1, Histogram::default);
            }
            slices[slice].record(now_ns - sent_ns);
        }
        self.first_ns = self.first_ns.min(sent_ns.max(window.measure_from_ns));
        self.last_ns = self.last_ns.max(now_ns);
        if err != 0 {
            self.count_error(err, 1);
        }
    }

    /// Takes over all that `other` has counted.
    pub fn merge(&mut self, other: &Stats) {
        self.reads.merge(&other.reads);
        self.writes.merge(&other.writes);
        for (err, n) in &other.errors {
            self.count_error(*err, *n);
        }
        if self.per_second.len() < other.per_second.len() {
            self.per_second.resize(other.per_second.len(), 0);
        }
        for (mine, theirs) in self.per_second.iter_mut().zip(&other.per_second) {
            *mine += theirs;
        }
        if let Some(theirs) = &other.slices {
            let mine = self.slices.get_or_insert_default();
            if mine.len() < theirs.len() {
                mine.resize_with(theirs.len(), Histogram::default);
            }
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                mine.merge(theirs);
            }
        }
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }

    fn count_error(&mut self, err: i32, n: u64) {
        if let Some((_, count)) = self.errors.iter_mut().find(|(known, _)| *known == err) {
            *count += n;
        } else if self.errors.len() < ERRORS_MAX {
            self.errors.push((err, n));
        } else {
            // A peer that answers with ever new numbers is not ZooKeeper: all in the last one.
            self.errors[ERRORS_MAX - 1].1 += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn only_what_is_answered_within_the_window_counts() {
        let window = Window {
            start: Instant::now(),
            measure_from_ns: 1_000,
            measure_until_ns: 3_000_000_000,
        };
        let mut stats = Stats::default();
        stats.count(&window, 10, 900, Kind::Read, 0);
        stats.count(&window, 900, 1_500, Kind::Read, 0);
        stats.count(&window, 2_000_000_000, 2_500_000_000, Kind::Write, -101);
        stats.count(&window, 2_999_999_999, 3_000_000_001, Kind::Write, 0);
        assert_eq!((stats.reads.count(), stats.writes.count()), (1, 1));
        assert_eq!(stats.per_second, [1, 0, 1]);
        assert_eq!((stats.first_ns, stats.last_ns), (1_000, 2_500_000_000));
        assert!(stats.slices.is_none());
        let mut both = Stats::default();
        both.merge(&stats);
        both.merge(&stats);
        assert_eq!(both.errors, [(-101, 2)]);
        assert_eq!(both.per_second, [2, 0, 2]);
    }

    #[test]
    fn slices_tell_the_tenths_of_a_second_apart() {
        let window =
            Window { start: Instant::now(), measure_from_ns: 1_000, measure_until_ns: u64::MAX };
        let mut stats = Stats::with_slices(true);
        stats.count(&window, 500, 2_000, Kind::Read, 0);
        stats.count(&window, 500, 2_000 + 3 * SLICE_NS, Kind::Write, 0);
        let mut both = Stats::default();
        both.merge(&stats);
        both.merge(&stats);
        let counts: Vec<_> =
            both.slices.expect("slices").iter().map(|slice| slice.count()).collect();
        assert_eq!(counts, [2, 0, 0, 2]);
    }
}
