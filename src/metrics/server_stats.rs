//! The statistics of `srvr` and `stat`: latencies, packets, sizes of replies.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::{Basic, Counter, Gauges, Metric, Metrics};

/// What a server keeps about its clients' traffic since its start, or since `srst`.
#[derive(Debug, Default)]
pub struct ServerStats {
    /// From arrival to reply of every request, milliseconds.
    pub request_latency: Basic,
    /// Packets received from clients, each four-letter word included.
    pub packets_received: Counter,
    /// Packets sent to clients: replies, events, answers to four-letter words.
    pub packets_sent: Counter,
    /// Bytes of replies.
    pub response_sizes: Sizes,
    /// fdatasync calls slower than `fsync.warningthresholdms`. `srst` leaves it.
    pub fsync_threshold_exceeded: Counter,
    /// Loopback connections without TLS. `srst` leaves it.
    pub non_mtls_local_connections: Counter,
    /// Other connections without TLS. `srst` leaves it.
    pub non_mtls_remote_connections: Counter,
    /// Certificates refused. `srst` leaves it.
    pub auth_failed: Counter,
}

/// Last, smallest and largest of some sizes; -1 each before the first (Apache's `BufferStats`).
#[derive(Debug)]
pub struct Sizes {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        let none = || AtomicI64::new(NONE);
        Sizes { last: none(), min: none(), max: none() }
    }
}

impl Sizes {
    /// Notes one size, 0 or more.
    pub fn record(&self, size: i64) {
        self.last.store(size, Relaxed);
        // As unsigned numbers -1 is larger than every size, so the first one is the smallest.
        let smaller = |min: i64| ((size as u64) < min as u64).then_some(size);
        // An error says that a smaller one was there already.
        let _ = self.min.fetch_update(Relaxed, Relaxed, smaller);
        self.max.fetch_max(size, Relaxed);
    }

    /// Last, smallest, largest.
    pub fn get(&self) -> [i64; 3] {
        [&self.last, &self.min, &self.max].map(|size| size.load(Relaxed))
    }

    /// As before the first.
    pub fn reset(&self) {
        [&self.last, &self.min, &self.max].iter().for_each(|size| size.store(NONE, Relaxed));
    }
}

impl ServerStats {
    /// A new role begins: as for a server that has just started. Apache makes new statistics for
    /// each role; its metrics stay.
    pub fn restart(&self) {
        self.clear();
        self.fsync_threshold_exceeded.reset();
        self.non_mtls_local_connections.reset();
        self.non_mtls_remote_connections.reset();
        self.auth_failed.reset();
    }

    /// What `srst` does, together with the counters and summaries. The proposal sizes of a leader
    /// are the caller's.
    pub fn reset(&self, metrics: &Metrics) {
        self.clear();
        metrics.reset();
    }

    fn clear(&self) {
        self.request_latency.clear();
        self.packets_received.reset();
        self.packets_sent.reset();
        self.response_sizes.reset();
    }

    /// Puts the gauges in place that these statistics know.
    pub fn fill(&self, gauges: &mut Gauges) {
        gauges.avg_latency = self.request_latency.avg();
        gauges.min_latency = self.request_latency.min();
        gauges.max_latency = self.request_latency.max();
        gauges.packets_received = self.packets_received.get();
        gauges.packets_sent = self.packets_sent.get();
        let [last, min, max] = self.response_sizes.get();
        gauges.last_client_response_size = last;
        gauges.min_client_response_size = min;
        gauges.max_client_response_size = max;
        gauges.non_mtls_local_conn_count = self.non_mtls_local_connections.get();
        gauges.non_mtls_remote_conn_count = self.non_mtls_remote_connections.get();
        gauges.auth_failed_count = self.auth_failed.get();
    }
}

const NONE: i64 = -1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_the_last_the_smallest_and_the_largest() {
        let sizes = Sizes::default();
        assert_eq!(sizes.get(), [-1, -1, -1]);
        for size in [71, 36, 203, 40] {
            sizes.record(size);
        }
        assert_eq!(sizes.get(), [40, 36, 203]);
        sizes.reset();
        assert_eq!(sizes.get(), [-1, -1, -1]);
        sizes.record(5);
        assert_eq!(sizes.get(), [5, 5, 5]);
    }

    #[test]
    fn a_reset_leaves_what_counts_since_the_start() {
        let (stats, metrics, mut gauges) =
            (ServerStats::default(), Metrics::default(), Gauges::default());
        stats.request_latency.add(7);
        stats.packets_received.add(1);
        stats.packets_sent.add(1);
        stats.response_sizes.record(16);
        stats.auth_failed.add(1);
        metrics.response_bytes.add(16);
        metrics.readlatency.add(3);
        metrics.write_per_namespace.get("app").expect("there is room").add(3);
        stats.reset(&metrics);
        stats.fill(&mut gauges);
        assert_eq!((gauges.avg_latency, gauges.max_latency), (0.0, 0));
        assert_eq!((gauges.packets_received, gauges.packets_sent), (0, 0));
        assert_eq!(gauges.last_client_response_size, -1);
        assert_eq!(gauges.auth_failed_count, 1);
        assert_eq!(metrics.response_bytes.get(), 0);
        assert_eq!(metrics.readlatency.basic().count(), 0);
    }
}
