//! Summaries: how many values, how large, and for some of them the percentiles.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::histogram::Histogram;
use super::rounding::four_decimals;
use super::{Metric, Number, Sink};

/// avg, min, max, cnt and sum of what was added (Apache's `AvgMinMaxCounter`).
#[derive(Debug)]
pub struct Basic {
    sum: AtomicI64,
    count: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

/// A basic summary and the 50th, 95th, 99th and 99.9th percentile.
#[derive(Debug, Default)]
pub struct Advanced {
    basic: Basic,
    histogram: Histogram,
}

/// Values of one burst of work, kept by one thread and added to a summary in one go.
#[derive(Debug, Default)]
pub struct Batch {
    /// Value and how often in a row: in one burst neighbours are mostly equal.
    runs: Vec<(i64, i64)>,
}

impl Default for Basic {
    fn default() -> Basic {
        Basic {
            sum: AtomicI64::new(0),
            count: AtomicI64::new(0),
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
        }
    }
}

impl Basic {
    /// Adds one value.
    pub fn add(&self, value: i64) {
        self.add_times(value, 1);
    }

    /// Adds a burst of values.
    pub fn add_batch(&self, batch: &Batch) {
        let Some(&(first, _)) = batch.runs.first() else { return };
        let (mut sum, mut count, mut min, mut max) = (0, 0, first, first);
        for &(value, times) in &batch.runs {
            sum += value * times;
            count += times;
            min = min.min(value);
            max = max.max(value);
        }
        self.record(sum, count, min, max);
    }

    fn add_times(&self, value: i64, times: i64) {
        self.record(value * times, times, value, value);
    }

    fn record(&self, sum: i64, count: i64, min: i64, max: i64) {
        self.sum.fetch_add(sum, Relaxed);
        self.count.fetch_add(count, Relaxed);
        // Most values are no record: a look is cheaper than a write.
        if min < self.min.load(Relaxed) {
            self.min.fetch_min(min, Relaxed);
        }
        if max > self.max.load(Relaxed) {
            self.max.fetch_max(max, Relaxed);
        }
    }

    /// How many values there were.
    pub fn count(&self) -> i64 {
        self.count.load(Relaxed)
    }

    /// Their sum.
    pub fn sum(&self) -> i64 {
        self.sum.load(Relaxed)
    }

    /// The smallest, 0 if there is none.
    pub fn min(&self) -> i64 {
        Some(self.min.load(Relaxed)).filter(|&min| min != i64::MAX).unwrap_or(0)
    }

    /// The largest, 0 if there is none.
    pub fn max(&self) -> i64 {
        Some(self.max.load(Relaxed)).filter(|&max| max != i64::MIN).unwrap_or(0)
    }

    /// The mean, rounded to four decimals, 0 if there is none.
    pub fn avg(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => four_decimals(self.sum() as f64 / count as f64),
        }
    }

    /// What `srst` leaves of it.
    pub fn clear(&self) {
        self.count.store(0, Relaxed);
        self.sum.store(0, Relaxed);
        self.min.store(i64::MAX, Relaxed);
        self.max.store(i64::MIN, Relaxed);
    }
}

impl Metric for Basic {
    fn reset(&self) {
        self.clear();
    }

    fn walk_keyed(&self, key: Option<&str>, name: &'static str, sink: &mut dyn Sink) {
        for (part, value) in [
            ("avg_", Number::Double(self.avg())),
            ("min_", Number::Integer(self.min())),
            ("max_", Number::Integer(self.max())),
            ("cnt_", Number::Integer(self.count())),
            ("sum_", Number::Integer(self.sum())),
        ] {
            hand_over(part, key, name, value, sink);
        }
    }
}

impl Advanced {
    /// Adds one value.
    pub fn add(&self, value: i64) {
        self.basic.add(value);
        self.histogram.add(value, 1);
    }

    /// Adds a burst of values.
    pub fn add_batch(&self, batch: &Batch) {
        self.basic.add_batch(batch);
        for &(value, times) in &batch.runs {
            self.histogram.add(value, times as u64);
        }
    }

    /// The part without percentiles.
    pub fn basic(&self) -> &Basic {
        &self.basic
    }
}

impl Metric for Advanced {
    fn reset(&self) {
        self.basic.clear();
        self.histogram.reset();
    }

    fn walk_keyed(&self, key: Option<&str>, name: &'static str, sink: &mut dyn Sink) {
        self.basic.walk_keyed(key, name, sink);
        let values = self.histogram.percentiles([0.5, 0.95, 0.99, 0.999]);
        for (part, value) in ["p50_", "p95_", "p99_", "p999_"].into_iter().zip(values) {
            hand_over(part, key, name, Number::Integer(value), sink);
        }
    }
}

impl Batch {
    /// Keeps one value.
    pub fn add(&mut self, value: i64) {
        match self.runs.last_mut() {
            Some((last, times)) if *last == value => *times += 1,
            _ => self.runs.push((value, 1)),
        }
    }

    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Ready for the next burst.
    pub fn clear(&mut self) {
        self.runs.clear();
    }
}

fn hand_over(part: &str, key: Option<&str>, name: &str, value: Number, sink: &mut dyn Sink) {
    match key {
        None => sink.number(&[part, name], value),
        Some(key) => sink.number(&[part, key, "_", name], value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_summary_is_all_zero() {
        let s = Basic::default();
        assert_eq!((s.avg(), s.min(), s.max(), s.count(), s.sum()), (0.0, 0, 0, 0, 0));
    }

    #[test]
    fn a_batch_is_the_same_as_its_values_one_by_one() {
        let (one, all, mut batch) = (Basic::default(), Basic::default(), Batch::default());
        for value in [3, 3, 3, 0, 8, 0, 0] {
            one.add(value);
            batch.add(value);
        }
        all.add_batch(&batch);
        let numbers = |s: &Basic| (s.avg(), s.min(), s.max(), s.count(), s.sum());
        assert_eq!(numbers(&all), numbers(&one));
        assert_eq!(numbers(&all), (2.4286, 0, 8, 7, 17));
        all.clear();
        batch.clear();
        all.add_batch(&batch);
        assert_eq!(numbers(&all), (0.0, 0, 0, 0, 0));
    }
}
