//! How much may be on its way from a socket to the core.
//!
//! ```text
//!   socket ─▶ reader ── Event::Packet ─▶ pipeline's queue ─▶ core
//!               ▲ waits while too much is unheard              │
//!               └── Command::Heard ◀── PeerPorts::heard ◀──────┘
//! ```
//!
//! A link counts the bytes of the packets that it has told the pipeline of, and the pipeline says
//! from time to time how many of them the core has taken. While
//! [`Settings::input_bytes_max`](super::Settings::input_bytes_max) are unheard nothing more is read
//! from that socket, so that TCP holds up the peer: a follower with a slow disk does not take all
//! that its leader sends into memory; it waits in the leader's queue, which has a bound of its own.
//!
//! Why nobody waits for ever:
//!
//! * Only the reading half of a link waits here, as a task. Its writing half, the other links and
//!   the commands of the pipeline go on; closing the link ends the wait.
//! * The pipeline never waits for the quorum thread: commands go into a list, and a link's queue
//!   that grows too long ends the link. So two servers that are full of each other's packets can't
//!   wait for one another: each pipeline goes on with what it has and makes room by that.
//! * What the core has taken is said in portions of a quarter of the bound. Less than that may stay
//!   unsaid, so whoever waits has at least three quarters of it still in the queue, and hears of
//!   them once the pipeline has come so far.
//! * What is not a packet (links that open and close, and the like) never waits.
//!
//! A ping that stands behind the bound would not be heard sooner in the queue: the core takes one
//! thing after the other, and what it takes, not what has arrived, is what it judges silence by.
//! The bound is for each link, so nobody's flood keeps the packets of another from the queue.

use std::cell::Cell;
use std::collections::BTreeMap;

use tokio::sync::Notify;

use crate::zab::{Event, LinkId, Packet};

/// A link's side.
#[derive(Default)]
pub(super) struct Inflow {
    unheard: Cell<usize>,
    heard: Notify,
}

impl Inflow {
    /// The pipeline is told of a packet.
    pub fn tell(&self, packet: &Packet) {
        self.unheard.set(self.unheard.get() + weight(packet));
    }

    /// The core has taken so many bytes.
    pub fn heard(&self, bytes: usize) {
        self.unheard.set(self.unheard.get().saturating_sub(bytes));
        self.heard.notify_one();
    }

    /// Waits until less than `max` bytes are unheard.
    pub async fn room(&self, max: usize) {
        while self.unheard.get() >= max {
            self.heard.notified().await;
        }
    }
}

/// The pipeline's side: what the core has taken of each link and the link does not know yet.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<LinkId, usize>);

impl Taken {
    /// The core takes an event; what is worth saying now, if anything is: `portion` bytes or more.
    pub fn take(&mut self, event: &Event, portion: usize) -> Option<(LinkId, usize)> {
        match event {
            Event::Packet { link, packet } => {
                let bytes = self.0.entry(*link).or_default();
                *bytes += weight(packet);
                (*bytes >= portion).then(|| (*link, std::mem::take(bytes)))
            }
            Event::LinkClosed { link } => {
                self.0.remove(link);
                None
            }
            _ => None,
        }
    }
}

/// What a packet takes in memory, without the identities of a request, which are small.
fn weight(packet: &Packet) -> usize {
    size_of::<Event>() + packet.data.as_ref().map_or(0, |data| data.len())
}
