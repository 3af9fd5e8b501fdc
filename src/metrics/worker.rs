//! What one worker counts in one burst of work, added to the server's metrics at its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Basic, BasicSet, Batch, Metrics, ServerStats, Sizes};

/// The numbers that every request moves, kept by one worker without atomics. [`Tally::flush`]
/// adds them to those of the server: once for each time that the worker wakes up.
#[derive(Debug, Default)]
pub struct Tally {
    /// Packets from clients.
    pub packets_received: i64,
    /// Bytes from clients.
    pub bytes_received: i64,
    /// Packets to clients.
    pub packets_sent: i64,
    watch_bytes: i64,
    response_bytes: i64,
    response_sizes: Option<[i64; 3]>,
    reads: Batch,
    updates: Batch,
    read_bytes: KeyedBatch,
    written_bytes: KeyedBatch,
}

impl Tally {
    /// A read, a ping or anything else without a transaction was answered after `latency_ms`.
    pub fn read_answered(&mut self, latency_ms: i64) {
        self.reads.add(latency_ms);
    }

    /// A write that entered here, failed or not, was answered after `latency_ms`.
    pub fn update_answered(&mut self, latency_ms: i64) {
        self.updates.add(latency_ms);
    }

    /// The reply to a request was sent; it has that many bytes behind its length.
    pub fn response(&mut self, bytes: i64) {
        self.response_bytes += bytes;
        self.aside(bytes);
    }

    /// A notification was sent.
    pub fn event(&mut self, bytes: i64) {
        self.watch_bytes += bytes;
        self.aside(bytes);
    }

    /// A reply out of turn was sent (a ping's, an auth packet's): Apache counts it among the
    /// sizes only.
    pub fn aside(&mut self, bytes: i64) {
        self.packets_sent += 1;
        let [_, min, max] = self.response_sizes.unwrap_or([bytes; 3]);
        self.response_sizes = Some([bytes, min.min(bytes), max.max(bytes)]);
    }

    /// A node was read: its data, or the names of its children, have `bytes`.
    pub fn node_read(&mut self, path: &str, bytes: usize) {
        if let Some(namespace) = top_namespace(path) {
            self.read_bytes.add(namespace, (path.len() + bytes + STAT_BYTES) as i64);
        }
    }

    /// A node was written with `bytes` of data.
    pub fn node_written(&mut self, path: &str, bytes: usize) {
        if let Some(namespace) = top_namespace(path) {
            self.written_bytes.add(namespace, (path.len() + bytes) as i64);
        }
    }

    /// Adds everything to the server's numbers and starts anew.
    pub fn flush(&mut self, metrics: &Metrics, stats: &ServerStats) {
        for (counter, count) in [
            (&stats.packets_received, &mut self.packets_received),
            (&stats.packets_sent, &mut self.packets_sent),
            (&metrics.bytes_received_count, &mut self.bytes_received),
            (&metrics.response_bytes, &mut self.response_bytes),
            (&metrics.watch_bytes, &mut self.watch_bytes),
        ] {
            if *count != 0 {
                counter.add(std::mem::take(count));
            }
        }
        if let Some(sizes) = self.response_sizes.take() {
            record_all(&stats.response_sizes, sizes);
        }
        for (summary, batch) in
            [(&metrics.readlatency, &mut self.reads), (&metrics.updatelatency, &mut self.updates)]
        {
            if !batch.is_empty() {
                summary.add_batch(batch);
                stats.request_latency.add_batch(batch);
                batch.clear();
            }
        }
        self.read_bytes.flush(&metrics.read_per_namespace);
        self.written_bytes.flush(&metrics.write_per_namespace);
    }
}

/// The first segment of a path, by which reads and writes are told apart (Apache's
/// `PathUtils.getTopNamespace`). The root has none.
pub fn top_namespace(path: &str) -> Option<&str> {
    path.split('/').nth(1).filter(|name| !name.is_empty())
}

fn record_all(sizes: &Sizes, [last, min, max]: [i64; 3]) {
    for size in [min, max, last] {
        sizes.record(size);
    }
}

/// Values for the members of a family. Members that were used once are kept at hand.
#[derive(Debug, Default)]
struct KeyedBatch {
    members: BTreeMap<Box<str>, Member>,
}

#[derive(Debug, Default)]
struct Member {
    summary: Option<Arc<Basic>>,
    batch: Batch,
}

impl KeyedBatch {
    fn add(&mut self, key: &str, value: i64) {
        if let Some(member) = self.members.get_mut(key) {
            member.batch.add(value);
        } else if self.members.len() < MEMBERS_AT_HAND {
            self.members.entry(key.into()).or_default().batch.add(value);
        }
    }

    fn flush(&mut self, set: &BasicSet) {
        for (key, Member { summary, batch }) in &mut self.members {
            if batch.is_empty() {
                continue;
            }
            if summary.is_none() {
                *summary = set.get(key);
            }
            if let Some(summary) = summary {
                summary.add_batch(batch);
            }
            batch.clear();
        }
    }
}

/// A Stat on the wire counts as read, whatever was asked.
const STAT_BYTES: usize = 68;
/// Namespaces that one worker counts. Clients choose their names.
const MEMBERS_AT_HAND: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_first_segments() {
        for (path, namespace) in [("/", None), ("", None), ("/a", Some("a")), ("/a/b", Some("a"))] {
            assert_eq!(top_namespace(path), namespace, "{path:?}");
        }
    }

    #[test]
    fn a_flush_adds_everything_once() {
        let (metrics, stats, mut tally) =
            (Metrics::default(), ServerStats::default(), Tally::default());
        tally.packets_received = 3;
        tally.bytes_received = 100;
        tally.read_answered(2);
        tally.update_answered(10);
        for bytes in [40, 16, 99, 20] {
            tally.response(bytes);
        }
        tally.event(70);
        tally.aside(20);
        tally.node_read("/app/n", 8);
        tally.node_read("/", 8);
        tally.node_written("/app/n", 8);
        for _ in 0..2 {
            tally.flush(&metrics, &stats);
        }
        assert_eq!(stats.packets_received.get(), 3);
        assert_eq!(metrics.bytes_received_count.get(), 100);
        assert_eq!(metrics.response_bytes.get(), 175);
        assert_eq!((stats.packets_sent.get(), metrics.watch_bytes.get()), (6, 70));
        assert_eq!(stats.response_sizes.get(), [20, 16, 99]);
        assert_eq!((stats.request_latency.count(), stats.request_latency.sum()), (2, 12));
        assert_eq!(metrics.readlatency.basic().sum(), 2);
        assert_eq!(metrics.updatelatency.basic().sum(), 10);
        let sum = |set: &BasicSet| set.get("app").map(|member| member.sum());
        assert_eq!(sum(&metrics.read_per_namespace), Some(82));
        assert_eq!(sum(&metrics.write_per_namespace), Some(14));
    }
}
