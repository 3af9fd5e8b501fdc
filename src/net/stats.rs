//! What is counted for each connection, readable from any thread.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::types::ConnId;

/// Counters of one connection, as `cons` and `stat` show them.
#[derive(Debug)]
pub struct ConnStats {
    pub id: ConnId,
    pub peer: SocketAddr,
    /// Wall clock ms.
    pub established_ms: i64,
    pub session: AtomicI64,
    pub timeout_ms: AtomicI32,
    pub received: AtomicU64,
    pub sent: AtomicU64,
    /// Requests not answered yet.
    pub outstanding: AtomicI64,
    /// Number of the last operation; 0 before any, and after a write that failed.
    pub last_op: AtomicI32,
    /// -1 before any request.
    pub last_cxid: AtomicI64,
    /// -1 before any reply.
    pub last_zxid: AtomicI64,
    /// Monotonic ms.
    pub last_response_ms: AtomicI64,
    pub last_latency_ms: AtomicI64,
    pub min_latency_ms: AtomicI64,
    pub max_latency_ms: AtomicI64,
    pub total_latency_ms: AtomicI64,
    pub latency_count: AtomicI64,
}

impl ConnStats {
    /// A connection that has just been accepted.
    pub fn new(id: ConnId, peer: SocketAddr, established_ms: i64) -> ConnStats {
        ConnStats {
            id,
            peer,
            established_ms,
            session: AtomicI64::new(0),
            timeout_ms: AtomicI32::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            outstanding: AtomicI64::new(0),
            last_op: AtomicI32::new(0),
            last_cxid: AtomicI64::new(-1),
            last_zxid: AtomicI64::new(-1),
            last_response_ms: AtomicI64::new(0),
            last_latency_ms: AtomicI64::new(0),
            min_latency_ms: AtomicI64::new(i64::MAX),
            max_latency_ms: AtomicI64::new(0),
            total_latency_ms: AtomicI64::new(0),
            latency_count: AtomicI64::new(0),
        }
    }

    /// Only the connection's worker writes, so plain loads and stores are enough.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// So many packets left for the client: replies, events, the answer to a word.
    pub fn packets_sent(&self, n: u64) {
        ConnStats::add(&self.sent, n);
    }

    /// Notes an answer that left `latency_ms` after its request came.
    pub fn answered(&self, op: i32, cxid: i32, zxid: i64, now_ms: i64, latency_ms: i64) {
        self.last_op.store(op, Relaxed);
        // Pings and the like have xids below 0 and don't hide the last real request.
        if cxid >= 0 {
            self.last_cxid.store(i64::from(cxid), Relaxed);
        }
        self.last_zxid.store(zxid, Relaxed);
        self.last_response_ms.store(now_ms, Relaxed);
        self.last_latency_ms.store(latency_ms, Relaxed);
        if latency_ms < self.min_latency_ms.load(Relaxed) {
            self.min_latency_ms.store(latency_ms, Relaxed);
        }
        if latency_ms > self.max_latency_ms.load(Relaxed) {
            self.max_latency_ms.store(latency_ms, Relaxed);
        }
        self.total_latency_ms.store(self.total_latency_ms.load(Relaxed) + latency_ms, Relaxed);
        self.latency_count.store(self.latency_count.load(Relaxed) + 1, Relaxed);
    }

    /// `crst`: only the session, its timeout and the time of its coming stay.
    pub fn reset(&self) {
        self.last_cxid.store(-1, Relaxed);
        self.last_zxid.store(-1, Relaxed);
        self.last_response_ms.store(0, Relaxed);
        self.last_latency_ms.store(0, Relaxed);
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.last_op.store(0, Relaxed);
        self.min_latency_ms.store(i64::MAX, Relaxed);
        self.max_latency_ms.store(0, Relaxed);
        self.total_latency_ms.store(0, Relaxed);
        self.latency_count.store(0, Relaxed);
    }
}

/// All connections of the server. Locked when one comes or goes and by the words, never on the
/// way of a request.
#[derive(Debug, Default)]
pub struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    conns: HashMap<ConnId, Arc<ConnStats>>,
    by_ip: HashMap<IpAddr, usize>,
}

/// Why a connection is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// `maxClientCnxns`.
    FromAddress(usize),
    /// `maxCnxns`.
    Altogether(usize),
}

impl Registry {
    /// Takes a connection in, unless a limit (0: none) is reached.
    pub fn admit(
        &self,
        stats: &Arc<ConnStats>,
        max_per_ip: usize,
        max_all: usize,
    ) -> Result<(), TooMany> {
        let mut inner = self.lock();
        if max_all > 0 && inner.conns.len() >= max_all {
            return Err(TooMany::Altogether(max_all));
        }
        let ip = stats.peer.ip().to_canonical();
        let count = inner.by_ip.entry(ip).or_default();
        if max_per_ip > 0 && *count >= max_per_ip {
            return Err(TooMany::FromAddress(max_per_ip));
        }
        *count += 1;
        inner.conns.insert(stats.id, Arc::clone(stats));
        Ok(())
    }

    /// The connection is gone.
    pub fn remove(&self, stats: &ConnStats) {
        let mut inner = self.lock();
        if inner.conns.remove(&stats.id).is_none() {
            return;
        }
        let ip = stats.peer.ip().to_canonical();
        if let Some(count) = inner.by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                inner.by_ip.remove(&ip);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().conns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in the order they came.
    pub fn all(&self) -> Vec<Arc<ConnStats>> {
        let mut all: Vec<_> = self.lock().conns.values().cloned().collect();
        all.sort_by_key(|c| (c.established_ms, c.id));
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding it")
    }
}
