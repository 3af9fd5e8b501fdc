//! What workers and the pipeline share: the replica behind its lock, the queues, the counts.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{mpsc, Arc, Mutex, RwLock};
use std::time::Duration;

use super::local_sessions::LocalSessions;
use super::member::{outstanding_divisor, MemberView};
use super::queues::{AskQueue, Inbox, WorkerMail};
use super::seldom::Refused;
use super::serving::{PipelineLoad, Serving};
use super::stats::Registry;
use super::words::Words;
use crate::auth::Auth;
use crate::metrics::{Metrics, ServerStats, Sizes};
use crate::session::{Bucket, ConnectionThrottle, SessionCost, SessionIds, ThrottleConfig};
use crate::tree::Replica;
use crate::types::{Epoch, Now, Zxid};

/// The server as its workers see it.
pub struct Shared {
    pub settings: Settings,
    pub replica: RwLock<Replica>,
    /// The replica's last zxid, for whoever needs no more than that.
    pub last_applied: AtomicI64,
    pub asks: AskQueue,
    pub inboxes: Vec<Inbox>,
    pub registry: Registry,
    /// Whom `registry` has turned away, for the log.
    pub refused: Refused,
    pub auth: Arc<Auth>,
    /// Asks the time; pure code is told it.
    pub clock: fn() -> Now,
    pub session_ids: SessionIds,
    /// Those of a read-only server.
    pub local_sessions: LocalSessions,
    pub in_pipeline: PipelineLoad,
    /// A [`Serving`].
    serving: AtomicU8,
    /// Since when, monotonic ms.
    serving_since_ms: AtomicI64,
    member: Mutex<MemberView>,
    /// What [`Settings::outstanding_max`] comes to in this role.
    outstanding_max: AtomicI64,
    /// Bytes of a leader's proposals, each a transaction with its header.
    pub proposal_sizes: Sizes,
    /// The zxid at which the epoch of the leader began; 0 without one.
    epoch_start: AtomicI64,
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
    /// `tickTime`: the grain of the expiry of local sessions, ms.
    pub tick_ms: i32,
    /// `localSessionsEnabled`: without it a read-only server can give nobody a session.
    pub local_sessions: bool,
    /// `localSessionsUpgradingEnabled`: the first ephemeral makes such a session everybody's.
    pub local_session_upgrades: bool,
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
    /// Puts the server's parts together. Nobody is served before [`Shared::serve`].
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        settings: Settings,
        replica: Replica,
        workers: usize,
        auth: Arc<Auth>,
        clock: fn() -> Now,
        session_ids: SessionIds,
        metrics: Arc<Metrics>,
        words: Arc<dyn Words>,
    ) -> Shared {
        Shared {
            last_applied: AtomicI64::new(replica.last_zxid().0),
            replica: RwLock::new(replica),
            asks: AskQueue::default(),
            inboxes: (0..workers).map(|_| Inbox::default()).collect(),
            registry: Registry::default(),
            refused: Refused::default(),
            auth,
            clock,
            local_sessions: LocalSessions::new(settings.tick_ms),
            in_pipeline: PipelineLoad::default(),
            serving: AtomicU8::new(Serving::No as u8),
            serving_since_ms: AtomicI64::new(clock().mono_ms),
            member: Mutex::default(),
            outstanding_max: AtomicI64::new(settings.outstanding_max),
            proposal_sizes: Sizes::default(),
            epoch_start: AtomicI64::new(0),
            throttle: Mutex::new(Throttle {
                bucket: ConnectionThrottle::new(settings.connections, clock().mono_ms),
                // Any odd number will do: it spreads refusals, it guards nothing.
                random: session_ids.peek().0 as u64 | 1,
            }),
            session_ids,
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
        large == 0 || self.in_pipeline.large_bytes.load(Ordering::Relaxed) + large <= max
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

    /// What a client may have seen of this server: the last zxid applied or, before the first
    /// transaction of an epoch, where that began. Apache's members tell their clients so, and
    /// whoever comes from them must not be sent away for it.
    pub fn last_told(&self) -> Zxid {
        self.last_applied().max(Zxid(self.epoch_start.load(Ordering::Acquire)))
    }

    /// What the server is for its clients.
    pub fn serving(&self) -> Serving {
        Serving::from_number(self.serving.load(Ordering::Acquire))
    }

    /// Lets clients in. `epoch` is the leader's; `None` without one. Called by the pipeline, with
    /// the replica in the state that clients shall see.
    pub fn serve(&self, serving: Serving, epoch: Option<Epoch>) {
        assert!(self.serving() == Serving::No && serving != Serving::No, "one role at a time");
        let start = epoch.map_or(Zxid::ZERO, |epoch| Zxid::new(epoch, 0));
        self.epoch_start.store(start.0, Ordering::Release);
        self.local_sessions.clear();
        self.stats.restart();
        self.proposal_sizes.reset();
        self.serving_since_ms.store((self.clock)().mono_ms, Ordering::Release);
        self.serving.store(serving as u8, Ordering::Release);
        self.divide_outstanding();
        self.tell_workers(|| WorkerMail::Serve(serving));
    }

    /// Closes every connection, and takes no new one until [`Shared::serve`]. What clients have
    /// asked and the pipeline has not taken is dropped; what it has taken reaches nobody from
    /// here on. Called by the pipeline, before it changes anything in the replica that clients
    /// of the old role must not see, or for it while it waits for a disk that hangs. Does nothing
    /// if nobody is served.
    pub fn stop_serving(&self) {
        if self.serving() == Serving::No {
            return;
        }
        self.serving.store(Serving::No as u8, Ordering::Release);
        self.local_sessions.clear();
        let term = self.asks.end_term();
        self.tell_workers(|| WorkerMail::StopServing(term));
    }

    /// When it began to serve as what it is now, monotonic ms.
    pub fn serving_since_ms(&self) -> i64 {
        self.serving_since_ms.load(Ordering::Acquire)
    }

    /// What the ensemble looks like from here, for words and metrics.
    pub fn tell_member(&self, view: MemberView) {
        *self.member.lock().expect("nobody panics while holding it") = view;
        self.divide_outstanding();
    }

    /// As told last; empty for a lone server.
    pub fn member(&self) -> MemberView {
        self.member.lock().expect("as above").clone()
    }

    /// `globalOutstandingLimit`, or this member's part of it.
    pub(super) fn outstanding_max(&self) -> i64 {
        self.outstanding_max.load(Ordering::Relaxed)
    }

    fn divide_outstanding(&self) {
        let quorum_size = self.member.lock().expect("as above").quorum_size;
        let divisor = outstanding_divisor(self.serving(), quorum_size);
        self.outstanding_max.store(self.settings.outstanding_max / divisor, Ordering::Relaxed);
    }

    fn tell_workers(&self, mail: impl Fn() -> WorkerMail) {
        for inbox in &self.inboxes {
            inbox.leave(mail());
            inbox.ring();
        }
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
