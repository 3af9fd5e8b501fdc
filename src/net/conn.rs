//! One client connection, owned by its worker.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jute::{Id, Writer};

use super::socket::ClientSocket;
use super::stats::ConnStats;
use crate::limits;
use crate::pipeline::Lane;
use crate::session::SessionSlot;
use crate::types::SessionId;

/// A connection. The socket is touched from its own task and, to write at once what an effect
/// brought, from whichever task of the same worker runs.
pub(super) struct Conn {
    pub stream: Box<dyn ClientSocket>,
    pub stats: Arc<ConnStats>,
    pub state: RefCell<State>,
    /// Set when something other than the socket wants the connection's task to look.
    signal: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Stands in the worker's list of connections with new output.
    pub dirty: Cell<bool>,
    /// When bytes last came in, monotonic ms.
    pub last_read_ms: Cell<i64>,
}

/// What a connection's order and bytes are.
pub(super) struct State {
    pub phase: Phase,
    /// Bytes received and not used yet.
    pub input: Vec<u8>,
    /// Whole requests in `input` wait for something else than more bytes.
    pub stalled: bool,
    pub out: Writer,
    /// How much of `out` is on its way already.
    pub out_sent: usize,
    pub lane: Lane,
    pub identities: Arc<[Id<'static>]>,
}

/// How far a connection has come.
pub(super) enum Phase {
    /// Nothing has been understood yet.
    Fresh,
    /// Its handshake is on its way; what follows waits. `asked`: the session to come back to.
    Opening { has_read_only: bool, asked: SessionId },
    /// It has a session.
    Open { slot: Arc<SessionSlot> },
    /// A four-letter word is being answered.
    Word,
    /// What is in the output goes out, then the socket is closed.
    Closing,
    /// The socket is of no use any more.
    Dead,
}

/// Why a connection's task goes on.
pub(super) enum Event {
    Signal,
    Readable,
    Writable,
}

impl Conn {
    pub fn new(stream: Box<dyn ClientSocket>, stats: Arc<ConnStats>, now_ms: i64) -> Conn {
        let ip = stats.peer.ip();
        Conn {
            stream,
            stats,
            state: RefCell::new(State {
                phase: Phase::Fresh,
                input: Vec::new(),
                stalled: false,
                out: Writer::new(),
                out_sent: 0,
                lane: Lane::default(),
                identities: Arc::from([crate::auth::ip_identity(ip)]),
            }),
            signal: Cell::new(false),
            waker: RefCell::new(None),
            dirty: Cell::new(false),
            last_read_ms: Cell::new(now_ms),
        }
    }

    /// Makes the connection's task look again.
    pub fn signal(&self) {
        self.signal.set(true);
        self.wake();
    }

    /// Makes the connection's task ask anew what it has to wait for.
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits until there is something to do.
    pub fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.signal.take() {
            return Poll::Ready(Event::Signal);
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        let (wants_input, has_output) = {
            let state = self.state.borrow();
            (state.wants_input(), state.has_output())
        };
        if has_output && self.stream.poll_write_ready(cx).is_ready() {
            return Poll::Ready(Event::Writable);
        }
        if wants_input && self.stream.poll_read_ready(cx).is_ready() {
            return Poll::Ready(Event::Readable);
        }
        Poll::Pending
    }

    /// Writes as much as the socket takes.
    pub fn flush(&self) {
        let mut state = self.state.borrow_mut();
        let was_full = state.is_full();
        while state.has_output() {
            let pending = &state.out.as_slice()[state.out_sent..];
            match self.stream.try_write(pending) {
                Ok(n) => state.out_sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // From now on its task waits for the socket too. Not a signal: there is
                    // nothing to look at before the client has read something.
                    self.wake();
                    return;
                }
                Err(_) => {
                    state.phase = Phase::Dead;
                    break;
                }
            }
        }
        state.out.clear();
        state.out_sent = 0;
        if state.out.capacity() > limits::IDLE_BUFFER_BYTES_MAX {
            state.out = Writer::new();
        }
        let has_room_again = was_full && !state.is_full();
        if has_room_again || state.is_finished() {
            drop(state);
            self.signal();
        }
    }
}

impl State {
    /// Whether more should be read from the socket.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Fresh => true,
            Phase::Open { .. } => !self.stalled,
            // What follows a handshake waits in the socket until the session is there.
            Phase::Opening { .. } | Phase::Word | Phase::Closing | Phase::Dead => false,
        }
    }

    /// Whether the client must take its replies, or wait for them, before more of its requests
    /// are looked at.
    pub fn is_full(&self) -> bool {
        self.unsent() > limits::OUTPUT_BYTES_HIGH
            || self.lane.outstanding() >= limits::LANE_REQUESTS_MAX
            || self.lane.parked_bytes() > limits::LANE_BYTES_MAX
    }

    /// Bytes of output that are not on their way yet.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.out_sent
    }

    pub fn has_output(&self) -> bool {
        self.unsent() > 0 && !matches!(self.phase, Phase::Dead)
    }

    /// Whether nothing more will happen here.
    pub fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Dead => true,
            Phase::Closing => self.unsent() == 0,
            _ => false,
        }
    }

    /// Lets go of the client once it has what is in the output.
    pub fn close(&mut self) {
        if !matches!(self.phase, Phase::Dead) {
            self.phase = Phase::Closing;
        }
        self.input = Vec::new();
    }
}
