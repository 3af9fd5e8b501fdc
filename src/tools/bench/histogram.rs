//! Latencies in bounded memory: a log-linear histogram, as HdrHistogram keeps it.

/// Sub-buckets per power of two: a quantile is at most 1/128 above the true value.
const SUB_BITS: u32 = 7;
/// Values from 2^40 ns (18 minutes) on share the last bucket.
const VALUE_BITS: u32 = 40;
const BUCKETS: usize = ((VALUE_BITS - SUB_BITS) as usize + 1) << SUB_BITS;

/// Counts of nanosecond values; 35 KB, whatever is recorded.
#[derive(Clone)]
pub struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: vec![0; BUCKETS].into(), count: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, ns: u64) {
        self.buckets[bucket_of(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Takes over all that `other` has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The ends of all buckets that hold something, ns, with their counts.
    pub fn filled(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let filled = self.buckets.iter().enumerate().filter(|(_, n)| **n > 0);
        filled.map(|(index, n)| (end_of(index), *n))
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exactly.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The mean, exactly; 0 if empty.
    pub fn mean_ns(&self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        u64::try_from(self.sum_ns / u128::from(self.count)).expect("a mean is below the maximum")
    }

    /// The smallest bucket end that `fraction` (0 to 1) of all values do not exceed; 0 if empty.
    pub fn quantile_ns(&self, fraction: f64) -> u64 {
        let rank = (self.count as f64 * fraction).ceil() as u64;
        let mut seen = 0;
        for (index, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank.max(1) {
                return end_of(index).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

/// Below 2^7 each value has its own bucket; above, the seven bits behind the leading one decide.
fn bucket_of(ns: u64) -> usize {
    let ns = ns.min((1 << VALUE_BITS) - 1);
    let shift = (63 - (ns | 1).leading_zeros()).saturating_sub(SUB_BITS);
    ((shift as usize) << SUB_BITS) + (ns >> shift) as usize
}

/// The largest value of a bucket.
fn end_of(index: usize) -> u64 {
    let shift = (index >> SUB_BITS).saturating_sub(1);
    let head = (index - (shift << SUB_BITS)) as u64;
    ((head + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_ends_close_above_it() {
        for bits in 0..VALUE_BITS {
            for ns in [1u64 << bits, (1 << bits) + (1 << bits) / 3, (2u64 << bits) - 1] {
                let end = end_of(bucket_of(ns));
                assert!(end >= ns, "{ns} ends at {end}");
                assert!(end - ns <= ns / 128, "{ns} ends at {end}");
                assert!(bucket_of(ns) < BUCKETS);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn neighbouring_buckets_leave_no_gap() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(end_of(index)), index);
            assert_eq!(bucket_of(end_of(index) + 1), index + 1);
        }
    }

    #[test]
    fn quantiles_come_from_ranks_and_never_exceed_the_maximum() {
        let mut h = Histogram::default();
        for ns in 1..=100 {
            h.record(ns);
        }
        assert_eq!((h.quantile_ns(0.5), h.quantile_ns(0.99), h.quantile_ns(1.0)), (50, 99, 100));
        h.record(1_000_000);
        assert_eq!(h.quantile_ns(1.0), 1_000_000);
        assert_eq!((h.count(), h.max_ns()), (101, 1_000_000));
        assert_eq!(Histogram::default().quantile_ns(0.5), 0);
    }

    #[test]
    fn merging_is_the_same_as_recording_together() {
        let (mut a, mut b, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for ns in (0..5_000).map(|i| i * i) {
            both.record(ns);
            if ns % 2 == 0 {
                a.record(ns)
            } else {
                b.record(ns)
            }
        }
        a.merge(&b);
        assert_eq!(a.mean_ns(), both.mean_ns());
        assert_eq!(a.quantile_ns(0.9), both.quantile_ns(0.9));
    }
}
