//! Percentiles from counts in buckets of growing width.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often each value came. Values below 64 are told apart exactly, larger ones to within 3 %
/// of themselves, and all from 2^40 on are the same.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts `value` `times`.
    pub fn add(&self, value: i64, times: u64) {
        self.buckets[bucket(value)].fetch_add(times, Relaxed);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }

    /// The values at each of `quantiles`, which ascend. Between two neighbours the value is
    /// interpolated and then rounded, as the reservoir that Apache samples does it, so that a
    /// few small values give the very same numbers. 0 for each when nothing was counted.
    pub fn percentiles<const N: usize>(&self, quantiles: [f64; N]) -> [i64; N] {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        quantiles.map(|quantile| {
            if total == 0 {
                return 0;
            }
            let position = quantile * (total + 1) as f64;
            let rank = position as u64;
            if rank < 1 {
                return value_at(&counts, 1);
            }
            if rank >= total {
                return value_at(&counts, total);
            }
            let (below, above) = (value_at(&counts, rank), value_at(&counts, rank + 1));
            let value = below as f64 + position.fract() * (above - below) as f64;
            (value + 0.5).floor() as i64
        })
    }
}

/// The `rank`-th smallest value, counted from 1.
fn value_at(counts: &[u64], rank: u64) -> i64 {
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= rank {
            return middle(bucket);
        }
    }
    middle(BUCKETS - 1)
}

/// Negative values count as 0.
fn bucket(value: i64) -> usize {
    let value = value.clamp(0, VALUE_MAX) as u64;
    if value < EXACT {
        return value as usize;
    }
    let octave = value.ilog2();
    let step = (value >> (octave - STEP_BITS)) as usize - STEPS;
    EXACT as usize + (octave - EXACT_BITS) as usize * STEPS + step
}

/// The value that stands for a bucket.
fn middle(bucket: usize) -> i64 {
    if bucket < EXACT as usize {
        return bucket as i64;
    }
    let above = bucket - EXACT as usize;
    let width_bits = (above / STEPS) as u32 + EXACT_BITS - STEP_BITS;
    (((above % STEPS + STEPS) as i64) << width_bits) + (1 << width_bits) / 2
}

const EXACT_BITS: u32 = 6;
const EXACT: u64 = 1 << EXACT_BITS;
const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
const VALUE_BITS: u32 = 40;
const VALUE_MAX: i64 = (1 << VALUE_BITS) - 1;
const BUCKETS: usize = EXACT as usize + (VALUE_BITS - EXACT_BITS) as usize * STEPS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_whose_middle_is_near_it() {
        for value in (0..100_000).chain((0..40).map(|bits| 1 << bits)).chain([VALUE_MAX]) {
            let middle = middle(bucket(value));
            assert!((middle - value).abs() * 32 <= value, "{value} became {middle}");
        }
        assert_eq!(bucket(-5), 0);
        assert_eq!(bucket(i64::MAX), BUCKETS - 1);
    }

    #[test]
    fn few_small_values_give_the_numbers_of_apache() {
        let h = Histogram::default();
        assert_eq!(h.percentiles([0.5, 0.999]), [0, 0]);
        h.add(7, 1);
        assert_eq!(h.percentiles([0.5, 0.999]), [7, 7]);
        h.add(8, 1);
        assert_eq!(h.percentiles([0.5, 0.95]), [8, 8], "7.5 rounds up");
        h.add(20, 8);
        assert_eq!(h.percentiles([0.1, 0.5]), [7, 20]);
    }
}
