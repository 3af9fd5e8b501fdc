//! One worker: a thread, its runtime, its connections, their watches.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{interval_at, MissedTickBehavior};

use super::conn::{Conn, Event, Phase, State};
use super::frames::{front, Front};
use super::requests::{self, Dealt, Desk};
use super::seldom::and_more;
use super::serving::{InPipeline, Serving, Term};
use super::shared::Shared;
use super::socket::ClientSocket;
use super::stats::{ConnStats, TooMany};
use super::{handshake, listener, local_sessions};
use crate::limits;
use crate::metrics::Tally;
use crate::pipeline::Ask;
use crate::session::next_tick;
use crate::tree::Replica;
use crate::types::{ConnId, Now, Zxid};
use crate::watch::WatchTable;

/// A worker's state. Everything runs on one thread; borrows never reach over an await.
pub(super) struct Worker {
    pub shared: Arc<Shared>,
    pub index: usize,
    pub watches: RefCell<WatchTable>,
    pub asks: RefCell<Vec<Ask>>,
    /// Asks wait to be handed over.
    asked: Notify,
    pub tally: RefCell<Tally>,
    pub in_pipeline: InPipeline,
    /// What the server is, as far as this worker has heard.
    serving: Cell<Serving>,
    /// The last zxid whose events and replies have left the inbox: whatever is answered in between
    /// shows this one. A client that has seen a zxid asks for no events up to it when it sets its
    /// watches again.
    pub(super) shown: Cell<Zxid>,
    /// The term whose asks it hands over.
    term: Cell<Term>,
    /// Connections with smaller serials belong to terms that are over.
    first_serial: Cell<u64>,
    conns: RefCell<BTreeMap<ConnId, Rc<Conn>>>,
    next_serial: Cell<u64>,
    dirty: RefCell<Vec<Rc<Conn>>>,
    scratch: RefCell<Vec<u8>>,
}

/// Runs worker `index` until the server stops.
pub fn run(shared: Arc<Shared>, index: usize, hash_seed: u64) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let worker = Rc::new(Worker::new(shared, index, hash_seed));
    let local = LocalSet::new();
    runtime.block_on(local.run_until(worker.serve()));
    Ok(())
}

impl Worker {
    /// A worker without connections.
    pub fn new(shared: Arc<Shared>, index: usize, hash_seed: u64) -> Worker {
        Worker {
            shared,
            index,
            watches: RefCell::new(WatchTable::new(hash_seed)),
            asks: RefCell::new(Vec::new()),
            asked: Notify::new(),
            tally: RefCell::default(),
            in_pipeline: InPipeline::default(),
            serving: Cell::default(),
            shown: Cell::new(Zxid::ZERO),
            term: Cell::default(),
            first_serial: Cell::new(1),
            conns: RefCell::new(BTreeMap::new()),
            next_serial: Cell::new(1),
            dirty: RefCell::new(Vec::new()),
            scratch: RefCell::new(vec![0; limits::READ_BYTES_PER_WAKE_UP]),
        }
    }

    /// Sees to the inbox and to idle connections until the server stops.
    async fn serve(self: Rc<Self>) {
        let mut sweep = tokio::time::interval(Duration::from_millis(limits::SWEEP_MS));
        let mut ticks = self.ticks();
        while !self.shared.is_hanging_up() {
            tokio::select! {
                () = self.shared.inboxes[self.index].wake.notified() => self.turn(),
                // Polled in front of the connections' tasks: behind all that were ready at once.
                () = self.asked.notified() => self.hand_over(),
                _ = sweep.tick() => self.sweep(),
                _ = ticks.tick(), if self.index == 0 => {
                    local_sessions::expire(&self.shared, (self.shared.clock)().mono_ms);
                }
            }
        }
        self.turn();
        self.hand_over();
        for conn in self.conns.borrow().values() {
            conn.flush();
        }
    }

    /// The moments at which local sessions may end: just behind each multiple of the tick. A check
    /// that is late lengthens their lives.
    fn ticks(&self) -> tokio::time::Interval {
        let tick_ms = i64::from(self.shared.settings.tick_ms);
        let now_ms = (self.shared.clock)().mono_ms;
        let wait_ms = next_tick(now_ms, tick_ms) - now_ms + 1;
        let first = tokio::time::Instant::now() + Duration::from_millis(wait_ms.unsigned_abs());
        let mut ticks = interval_at(first, Duration::from_millis(tick_ms.unsigned_abs()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    /// Drains the inbox under the lock, then writes.
    pub(super) fn turn(self: &Rc<Self>) {
        let now = (self.shared.clock)();
        {
            let replica = self.shared.replica.read().expect("the pipeline aborts on a panic");
            self.drain(&replica, now);
        }
        self.after_turn();
    }

    /// Hands over what was asked. Once for all connections that had something to say at the same
    /// time: the pipeline syncs the disk once for what it is given at once.
    pub(super) fn hand_over(&self) {
        self.shared.asks.push(&mut self.asks.borrow_mut(), self.term.get());
    }

    /// Hands over what was counted and writes what was answered: before anybody has his answer it
    /// counts. What was asked follows when the other connections have been seen to.
    pub(super) fn after_turn(&self) {
        self.tally.borrow_mut().flush(&self.shared.metrics, &self.shared.stats);
        if !self.asks.borrow().is_empty() {
            self.asked.notify_one();
        }
        let mut dirty = self.dirty.take();
        for conn in dirty.drain(..) {
            conn.dirty.set(false);
            conn.flush();
        }
        // Keeps the list's memory.
        self.dirty.replace(dirty);
    }

    /// Clients are served from now on.
    pub(super) fn start_serving(&self, serving: Serving) {
        self.serving.set(serving);
    }

    /// The term is over: lets go of every client, sessions and watches with them, and of what is
    /// still in the pipeline. Replies that are there already are written; words are answered.
    pub(super) fn stop_serving(&self, next: Term) {
        self.serving.set(Serving::No);
        self.term.set(next);
        self.first_serial.set(self.next_serial.get());
        self.asks.borrow_mut().clear();
        self.in_pipeline.forget(&self.shared.in_pipeline);
        self.watches.borrow_mut().clear();
        for conn in self.conns.borrow().values() {
            let mut state = conn.state.borrow_mut();
            if !matches!(state.phase, Phase::Word) {
                state.close();
                drop(state);
                self.mark_dirty(conn);
                conn.signal();
            }
        }
    }

    /// What the server is, as far as this worker has heard.
    pub(super) fn serving(&self) -> Serving {
        self.serving.get()
    }

    /// Whether a connection's term is over.
    pub(super) fn is_past(&self, id: ConnId) -> bool {
        id.serial() < self.first_serial.get()
    }

    pub fn find(&self, id: ConnId) -> Option<Rc<Conn>> {
        self.conns.borrow().get(&id).cloned()
    }

    /// Puts the connection on the list of those to flush.
    pub fn mark_dirty(&self, conn: &Rc<Conn>) {
        if !conn.dirty.replace(true) {
            self.dirty.borrow_mut().push(Rc::clone(conn));
        }
    }

    /// Says that a connection was turned away, unless that has just been said.
    fn refuse(&self, address: Option<IpAddr>, line: String) {
        if let Some(unsaid) = self.shared.refused.one_more(address, Instant::now()) {
            tracing::warn!("{line}{}", and_more(unsaid));
        }
    }

    /// Takes a new connection in, or turns it away without a byte.
    pub fn accepted(self: &Rc<Self>, stream: std::net::TcpStream, peer: SocketAddr, now: Now) {
        let keep_alive = self.shared.settings.tcp_keep_alive;
        let socket = || {
            let socket = listener::adopt(stream, keep_alive)?;
            Ok(Box::new(socket) as Box<dyn ClientSocket>)
        };
        if let Some(conn) = self.take_in(socket, peer, now) {
            tokio::task::spawn_local(Rc::clone(self).converse(conn));
        }
    }

    /// Takes a new connection in, for somebody else to let go on.
    pub(super) fn take_in(
        &self,
        socket: impl FnOnce() -> io::Result<Box<dyn ClientSocket>>,
        peer: SocketAddr,
        now: Now,
    ) -> Option<Rc<Conn>> {
        let id = ConnId::new(self.index as u16, self.next_serial.get());
        self.next_serial.set(self.next_serial.get() + 1);
        let stats = Arc::new(ConnStats::new(id, peer, now.wall_ms));
        let settings = &self.shared.settings;
        let admitted =
            self.shared.registry.admit(&stats, settings.max_per_ip, settings.max_connections);
        if admitted.is_err() {
            self.shared.metrics.connection_rejected.add(1);
        }
        match admitted {
            Ok(()) => {}
            Err(TooMany::FromAddress(max)) => {
                let line = format!("Too many connections from /{} - max is {max}", peer.ip());
                self.refuse(Some(peer.ip()), line);
                return None;
            }
            Err(TooMany::Altogether(max)) => {
                let line = format!("Too many connections - max is {max}, refusing {peer}");
                self.refuse(None, line);
                return None;
            }
        }
        match socket() {
            Ok(stream) => {
                let conn = Rc::new(Conn::new(stream, stats, now.mono_ms));
                self.conns.borrow_mut().insert(id, Rc::clone(&conn));
                Some(conn)
            }
            Err(e) => {
                tracing::warn!("Closing {peer}: its socket can't be set up: {e}");
                self.shared.registry.remove(&stats);
                None
            }
        }
    }

    /// One connection's life.
    async fn converse(self: Rc<Self>, conn: Rc<Conn>) {
        while !conn.state.borrow().is_finished() {
            let event = poll_fn(|cx| conn.poll_event(cx)).await;
            self.happen(&conn, event);
        }
        self.part(&conn);
    }

    /// Lets a connection go on.
    pub(super) fn happen(self: &Rc<Self>, conn: &Rc<Conn>, event: Event) {
        match event {
            Event::Signal => {
                self.go_on(conn);
                conn.flush_if_writable();
            }
            Event::Readable => self.read(conn),
            Event::Writable => {
                conn.flush();
                self.go_on(conn);
            }
        }
    }

    pub(super) fn part(&self, conn: &Rc<Conn>) {
        let id = conn.stats.id;
        self.conns.borrow_mut().remove(&id);
        self.watches.borrow_mut().drop_conn(id);
        self.shared.registry.remove(&conn.stats);
        let dead = matches!(conn.state.borrow().phase, Phase::Dead);
        if !dead {
            conn.stream.hang_up();
        }
    }

    /// Reads what the socket has and deals with it.
    fn read(self: &Rc<Self>, conn: &Rc<Conn>) {
        let now = (self.shared.clock)();
        let mut scratch = self.scratch.borrow_mut();
        let kept = {
            let mut state = conn.state.borrow_mut();
            std::mem::take(&mut state.input)
        };
        match conn.stream.try_read(&mut scratch) {
            Ok(0) => self.dropped(conn),
            Ok(n) => {
                conn.last_read_ms.set(now.mono_ms);
                if kept.is_empty() {
                    let used = self.consume(conn, &scratch[..n], now);
                    conn.keep(&scratch[used..n]);
                } else {
                    let mut joined = kept;
                    joined.extend_from_slice(&scratch[..n]);
                    let used = self.consume(conn, &joined, now);
                    joined.drain(..used);
                    conn.keep_vec(joined);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => conn.keep_vec(kept),
            Err(_) => self.dropped(conn),
        }
        drop(scratch);
        self.after_turn();
    }

    /// The client has hung up.
    fn dropped(&self, conn: &Conn) {
        self.shared.metrics.connection_drop_count.add(1);
        conn.state.borrow_mut().phase = Phase::Dead;
    }

    /// Deals with input that had to wait, now that something has changed.
    fn go_on(self: &Rc<Self>, conn: &Rc<Conn>) {
        let mut kept = {
            let mut state = conn.state.borrow_mut();
            if matches!(state.phase, Phase::Opening { .. }) {
                return;
            }
            state.stalled = false;
            if state.input.is_empty() {
                return;
            }
            std::mem::take(&mut state.input)
        };
        let now = (self.shared.clock)();
        let used = self.consume(conn, &kept, now);
        kept.drain(..used);
        conn.keep_vec(kept);
        self.after_turn();
    }

    /// Lends what the handling of requests needs. `replica`: when the shared lock is held.
    pub(super) fn at_desk<R>(
        &self,
        replica: Option<&Replica>,
        now: Now,
        work: impl FnOnce(&mut Desk<'_>) -> R,
    ) -> R {
        work(&mut Desk {
            shared: &self.shared,
            replica,
            watches: &mut self.watches.borrow_mut(),
            asks: &mut self.asks.borrow_mut(),
            tally: &mut self.tally.borrow_mut(),
            in_pipeline: &self.in_pipeline,
            serving: self.serving(),
            shown: self.shown.get(),
            now,
        })
    }

    /// Deals with whole frames at the front of `input`; says how many bytes that took. Holds the
    /// shared lock only for reads, and never for more than a bounded stretch of them.
    fn consume(self: &Rc<Self>, conn: &Rc<Conn>, input: &[u8], now: Now) -> usize {
        let mut used = 0;
        let mut needs_replica = false;
        loop {
            let guard = needs_replica
                .then(|| self.shared.replica.read().expect("the pipeline aborts on a panic"));
            if let Some(replica) = &guard {
                self.drain(replica, now);
            }
            let stop = {
                let mut state = conn.state.borrow_mut();
                self.at_desk(guard.as_deref(), now, |desk| {
                    self.stretch(desk, conn, &mut state, input, &mut used)
                })
            };
            self.mark_dirty(conn);
            match stop {
                Stop::Enough => return used,
                Stop::NeedsReplica | Stop::EndOfStretch => needs_replica = true,
            }
        }
    }

    /// As many frames as one hold of the lock may serve.
    fn stretch(
        self: &Rc<Self>,
        desk: &mut Desk<'_>,
        conn: &Rc<Conn>,
        state: &mut State,
        input: &[u8],
        used: &mut usize,
    ) -> Stop {
        let out_at_start = state.out.len();
        for _ in 0..limits::REQUESTS_PER_HOLD {
            let must_wait = match &state.phase {
                Phase::Fresh => false,
                Phase::Open { .. } => state.is_full() || self.is_throttled(conn, state),
                Phase::Opening { .. } | Phase::Word | Phase::Closing | Phase::Dead => true,
            };
            state.stalled = must_wait;
            if must_wait {
                return Stop::Enough;
            }
            let rest = &input[*used..];
            let fresh = matches!(state.phase, Phase::Fresh);
            if fresh && self.take_word(desk.tally, conn, state, rest) {
                *used = input.len();
                return Stop::Enough;
            }
            let (frame, len) = match front(rest, desk.shared.settings.frame_bytes_max) {
                Front::Frame(frame, len) if desk.shared.has_room_for(frame.len()) => (frame, len),
                // Told by its length alone, before its bytes are waited for.
                Front::Partial(len) if desk.shared.has_room_for(len - 4) => return Stop::Enough,
                Front::Frame(..) | Front::Partial(_) => {
                    tracing::warn!("Closing {}: rejecting large request", conn.stats.peer);
                    desk.shared.metrics.large_requests_rejected.add(1);
                    state.close();
                    return Stop::Enough;
                }
                Front::BadLength(len) => {
                    complain_of_length(conn, len, desk.shared.settings.frame_bytes_max);
                    state.close();
                    return Stop::Enough;
                }
            };
            if fresh {
                handshake::connect(desk, conn, state, frame);
            } else if requests::frame(desk, conn, state, frame) == Dealt::NeedsReplica {
                return Stop::NeedsReplica;
            }
            *used += len;
            ConnStats::add(&conn.stats.received, 1);
            desk.tally.packets_received += 1;
            desk.tally.bytes_received += len as i64;
            if state.out.len() - out_at_start > limits::BYTES_PER_HOLD {
                return Stop::EndOfStretch;
            }
        }
        Stop::EndOfStretch
    }

    /// `globalOutstandingLimit`: whoever has requests in the pipeline waits for their answers
    /// before more of his are taken. `request_throttle_max_requests`: everybody waits.
    fn is_throttled(self: &Rc<Self>, conn: &Rc<Conn>, state: &State) -> bool {
        let settings = &self.shared.settings;
        let outstanding = self.shared.in_pipeline.requests.load(Ordering::Relaxed);
        let max = settings.requests.in_pipeline_max;
        if max > 0 && outstanding >= max {
            self.shared.metrics.request_throttle_wait_count.add(1);
            tokio::task::spawn_local(Rc::clone(conn).look_again(settings.requests.stall_ms));
            return true;
        }
        state.lane.outstanding() > 0 && outstanding > self.shared.outstanding_max()
    }

    /// Closes connections that have said nothing for too long (Apache's NIO expiry queue, with
    /// its buckets of ten seconds).
    pub(super) fn sweep(self: &Rc<Self>) {
        let now = (self.shared.clock)();
        let bucket = self.shared.settings.sessionless_timeout_ms.max(1);
        for conn in self.conns.borrow().values() {
            let mut state = conn.state.borrow_mut();
            let timeout = match &state.phase {
                Phase::Open { .. } => i64::from(conn.stats.timeout_ms.load(Ordering::Relaxed)),
                _ => self.shared.settings.sessionless_timeout_ms,
            };
            let deadline = ((conn.last_read_ms.get() + timeout) / bucket + 1) * bucket;
            if now.mono_ms >= deadline {
                self.shared.metrics.sessionless_connections_expired.add(1);
                state.phase = Phase::Dead;
                drop(state);
                conn.signal();
            }
        }
    }
}

/// Why a stretch of frames ended.
enum Stop {
    /// Nothing more can be done with the input now.
    Enough,
    NeedsReplica,
    /// The lock has been held long enough.
    EndOfStretch,
}

impl Conn {
    /// Keeps unused input for later.
    fn keep(&self, rest: &[u8]) {
        if !rest.is_empty() {
            self.keep_vec(rest.to_vec());
        }
    }

    /// Makes the connection's task look at its input again after a while.
    async fn look_again(self: Rc<Self>, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.signal();
    }

    fn keep_vec(&self, rest: Vec<u8>) {
        let mut state = self.state.borrow_mut();
        if !matches!(state.phase, Phase::Closing | Phase::Dead) {
            state.input = rest;
        }
    }

    /// Writes if there is something to write.
    fn flush_if_writable(&self) {
        if self.state.borrow().has_output() {
            self.flush();
        }
    }
}

fn complain_of_length(conn: &Conn, len: i32, max: usize) {
    tracing::warn!(
        "Len error. A message from /{} with advertised length of {len} is either a malformed \
         message or too large to process (length is greater than jute.maxbuffer={max})",
        conn.stats.peer
    );
}
