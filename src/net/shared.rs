//! What workers and the pipeline share: the replica behind its lock, and two queues of batches.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{mpsc, Arc, Condvar, Mutex, RwLock};
use std::time::Duration;

use tokio::sync::{oneshot, Notify};

use super::stats::Registry;
use super::words::{WatchReport, WatchesWanted, Words};
use crate::auth::Auth;
use crate::metrics::{Metrics, ServerStats};
use crate::pipeline::{Ask, WorkerEffects};
use crate::session::{Bucket, ConnectionThrottle, SessionCost, ThrottleConfig};
use crate::tree::{Fired, Replica};
use crate::types::{Now, Zxid};

/// The server as its workers see it.
pub struct Shared {
    pub settings: Settings,
    pub replica: RwLock<Replica>,
    /// The replica's last zxid, for whoever needs no more than that.
    pub last_applied: AtomicI64,
    pub asks: AskQueue,
    pub inboxes: Vec<Inbox>,
    pub registry: Registry,
    pub auth: Arc<Auth>,
    /// Asks the time; pure code is told it.
    pub clock: fn() -> Now,
    /// The id of the next session made here.
    pub next_session: AtomicI64,
    /// Requests handed to the pipeline and not answered yet.
    pub outstanding: AtomicI64,
    /// Bytes of large requests that are not answered yet.
    pub large_bytes: AtomicI64,
    throttle: Mutex<Throttle>,
    pub stats: ServerStats,
    pub metrics: Arc<Metrics>,
    pub words: Arc<dyn Words>,
    stopping: AtomicBool,
    hanging_up: AtomicBool,
}

/// Settings a worker needs, already resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `jute.maxbuffer`: longest frame, bytes.
    pub frame_bytes_max: usize,
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    /// `maxClientCnxns`; 0 is no limit.
    pub max_per_ip: usize,
    /// `maxCnxns`; 0 is no limit.
    pub max_connections: usize,
    /// `globalOutstandingLimit`.
    pub outstanding_max: i64,
    /// `nio.sessionlessCnxnTimeout`, ms.
    pub sessionless_timeout_ms: i64,
    /// `enforce.auth.schemes` when enabled; `None` asks nothing.
    pub required_schemes: Option<Vec<String>>,
    /// `clientTcpKeepAlive`.
    pub tcp_keep_alive: bool,
    /// `connection_throttle_*`.
    pub connections: ThrottleConfig,
    pub requests: RequestLimits,
}

/// Limits of requests beyond `globalOutstandingLimit`.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// `request_throttle_max_requests`: requests in the pipeline; 0 is no limit.
    pub in_pipeline_max: i64,
    /// `request_throttle_stall_time`: when to look again, ms.
    pub stall_ms: u64,
    /// `throttled_op_wait_time`: whoever has waited longer gets ThrottledOp, ms.
    pub wait_ms_max: Option<i64>,
    /// `largeRequestThreshold`: above this a frame counts as large, bytes.
    pub large_above: Option<usize>,
    /// `largeRequestMaxBytes`: all large requests in the server together.
    pub large_bytes_max: i64,
}

struct Throttle {
    bucket: ConnectionThrottle,
    random: u64,
}

impl Throttle {
    /// A number from [0, 1), by xorshift.
    fn draw(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Shared {
    /// Puts the server's parts together.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        settings: Settings,
        replica: Replica,
        workers: usize,
        auth: Arc<Auth>,
        clock: fn() -> Now,
        first_session: i64,
        metrics: Arc<Metrics>,
        words: Arc<dyn Words>,
    ) -> Shared {
        Shared {
            last_applied: AtomicI64::new(replica.last_zxid().0),
            replica: RwLock::new(replica),
            asks: AskQueue::default(),
            inboxes: (0..workers).map(|_| Inbox::default()).collect(),
            registry: Registry::default(),
            auth,
            clock,
            next_session: AtomicI64::new(first_session),
            outstanding: AtomicI64::new(0),
            large_bytes: AtomicI64::new(0),
            throttle: Mutex::new(Throttle {
                bucket: ConnectionThrottle::new(settings.connections, clock().mono_ms),
                // Any odd number will do: it spreads refusals, it guards nothing.
                random: first_session as u64 | 1,
            }),
            stats: ServerStats::default(),
            metrics,
            words,
            stopping: AtomicBool::new(false),
            hanging_up: AtomicBool::new(false),
            settings,
        }
    }

    /// What a frame of `len` bytes counts as a large request: nothing, or all of it.
    pub fn large_size(&self, len: usize) -> usize {
        match self.settings.requests.large_above {
            Some(threshold) if len > threshold => len,
            _ => 0,
        }
    }

    /// Whether a frame of `len` bytes fits among the large requests that are being served.
    pub fn has_room_for(&self, len: usize) -> bool {
        let large = self.large_size(len) as i64;
        let max = self.settings.requests.large_bytes_max;
        large == 0 || self.large_bytes.load(Ordering::Relaxed) + large <= max
    }

    /// Whether one more connection may have a session (`connection_throttle_*`).
    pub fn admits(&self, cost: SessionCost, now: Now) -> bool {
        let mut throttle = self.throttle.lock().expect("nobody panics while holding it");
        let draw = throttle.draw();
        let admitted = throttle.bucket.admit(cost, now.mono_ms, draw);
        if admitted {
            self.metrics.connection_token_deficit.add(throttle.bucket.deficit());
        }
        admitted
    }

    /// How likely the throttle turns a connection away now, 0 to 1.
    pub fn drop_probability(&self) -> f64 {
        self.throttle.lock().expect("as above").bucket.drop_probability()
    }

    /// The last zxid applied.
    pub fn last_applied(&self) -> Zxid {
        Zxid(self.last_applied.load(Ordering::Acquire))
    }

    /// Whether the server is going down.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Lets the pipeline come to its end: what has been asked is still done.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.asks.wake();
    }

    /// Whether connections are to be closed.
    pub fn is_hanging_up(&self) -> bool {
        self.hanging_up.load(Ordering::Acquire)
    }

    /// Lets the workers write what the pipeline has left for them, and come to their end.
    pub fn hang_up(&self) {
        self.hanging_up.store(true, Ordering::Release);
        for inbox in &self.inboxes {
            inbox.wake.notify_one();
        }
    }
}

/// Where somebody asks the pipeline for its sessions.
#[derive(Default)]
pub struct SessionDesk {
    asked: Mutex<Vec<mpsc::SyncSender<Vec<Bucket>>>>,
}

impl SessionDesk {
    /// The sessions by their deadlines; none if the pipeline, woken by `queue`, does not answer
    /// in time.
    pub fn ask(&self, queue: &AskQueue, patience: Duration) -> Vec<Bucket> {
        let (send, receive) = mpsc::sync_channel(1);
        self.asked.lock().expect("nobody panics while holding it").push(send);
        queue.wake();
        receive.recv_timeout(patience).unwrap_or_default()
    }

    /// Answers whoever has asked.
    pub fn answer(&self, buckets: impl FnOnce() -> Vec<Bucket>) {
        let asked = std::mem::take(&mut *self.asked.lock().expect("as above"));
        if asked.is_empty() {
            return;
        }
        let buckets = buckets();
        for asker in asked {
            // Whoever asked may have lost patience.
            let _ = asker.try_send(buckets.clone());
        }
    }
}

/// Requests on their way to the pipeline.
#[derive(Default)]
pub struct AskQueue {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    asks: Vec<Ask>,
    woken: bool,
    sleeping: bool,
}

impl AskQueue {
    /// Hands over what one wake-up of a worker has brought; leaves `asks` empty.
    pub fn push(&self, asks: &mut Vec<Ask>) {
        if asks.is_empty() {
            return;
        }
        let mut queue = self.lock();
        queue.asks.append(asks);
        let sleeping = queue.sleeping;
        drop(queue);
        if sleeping {
            self.filled.notify_one();
        }
    }

    /// Takes everything there is into `asks`, after waiting at most `patience` for something.
    pub fn take(&self, asks: &mut Vec<Ask>, patience: Duration) {
        let mut queue = self.lock();
        if queue.asks.is_empty() && !queue.woken && !patience.is_zero() {
            queue.sleeping = true;
            queue = self
                .filled
                .wait_timeout_while(queue, patience, |q| q.asks.is_empty() && !q.woken)
                .expect("nobody panics while holding it")
                .0;
            queue.sleeping = false;
        }
        queue.woken = false;
        std::mem::swap(&mut queue.asks, asks);
    }

    /// Whether nobody asks for anything now.
    pub fn is_empty(&self) -> bool {
        self.lock().asks.is_empty()
    }

    /// Makes a waiting [`AskQueue::take`] return.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics while holding it")
    }
}

/// What waits for one worker.
#[derive(Default)]
pub struct Inbox {
    mail: Mutex<Vec<WorkerMail>>,
    pub(super) wake: Notify,
}

/// One thing a worker must see to.
pub enum WorkerMail {
    /// A batch has been applied.
    Effects { fired: Arc<Vec<Fired>>, effects: WorkerEffects },
    /// A connection has been accepted for this worker.
    Accepted(std::net::TcpStream, std::net::SocketAddr),
    /// Somebody wants to look at the worker's watches.
    Watches(WatchesWanted, oneshot::Sender<WatchReport>),
}

impl Inbox {
    /// Leaves something. For effects: while the replica's exclusive lock is still held, so that
    /// whoever reads the new state under the shared lock finds the events that precede it.
    pub fn leave(&self, mail: WorkerMail) {
        self.mail.lock().expect("nobody panics while holding it").push(mail);
    }

    /// Wakes the worker.
    pub fn ring(&self) {
        self.wake.notify_one();
    }

    /// Takes everything.
    pub(super) fn take(&self) -> Vec<WorkerMail> {
        let mut mail = self.mail.lock().expect("nobody panics while holding it");
        if mail.is_empty() {
            Vec::new()
        } else {
            std::mem::take(&mut mail)
        }
    }
}
