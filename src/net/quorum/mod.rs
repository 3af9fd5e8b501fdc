//! The quorum port: what lies between the consensus core and TCP. One thread, `quorum`, runs the
//! sockets of all peers, those of the election port too; files are read and written on threads of
//! their own, one for each transfer, so that a slow disk holds up no peer, and a slow peer no disk.
//!
//! ```text
//!   core ─ Output ─▶ PeerPorts ─ commands ─▶ ┌ quorum thread ───────────────────────┐
//!                                            │ listener │ dial ──▶ link ─┬─ writer ─┼─▶ socket
//!   core ◀─ Event ── EventSink ◀─ packets ── │                           └─ reader ◀┼── socket
//!                  └─ shortcut, if short ──▶ └──── transfer ▲ │ snapshot ───────────┘
//!                                  files: log, snapshot ────┘ └──▶ SnapshotSink
//! ```
//!
//! Facts: Apache's `Leader`, `LearnerHandler` and `Learner`.

mod dial;
mod inflow;
mod link;
mod listener;
mod log;
mod ports;
mod reader;
mod shelf;
mod shortcut;
mod snapshot;
mod thread;
mod tracker;
mod transfer;
mod writer;

use std::io;
use std::sync::Arc;

pub use ports::PeerPorts;
pub use reader::{check_txn, next_packet};
pub use thread::QuorumThread;

use crate::types::{LoggedTxn, Sid, Zxid};
use crate::zab::{Event, LinkId, Notification};

/// Takes events to the pipeline, all that one wake-up of a socket has brought in one call, and
/// leaves the list empty. It does not block; how much is under way is bounded by what the
/// [`PeerPorts`] are told to be [`heard`](PeerPorts::heard).
pub type EventSink = Arc<dyn Fn(&mut Vec<Event>) + Send + Sync>;

/// Where the quorum port of a server is, by the configurations known at the moment: empty if it is
/// in none of them.
pub type AddressBook = Arc<dyn Fn(Sid) -> Vec<QuorumAddress> + Send + Sync>;

/// Makes whatever takes in the snapshot of that zxid which comes over that connection. Called on
/// the thread of the transfer.
pub type SinkFactory<S> = Arc<dyn Fn(LinkId, Zxid) -> io::Result<S> + Send + Sync>;

/// A host, by name or number (without brackets), and its quorum port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumAddress {
    pub host: String,
    pub port: u16,
}

/// Which of a server's ports for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A leader's.
    Quorum,
    /// That of a follower which serves observers.
    Observers,
}

/// As in the log.
impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Door::Quorum => "quorum port",
            Door::Observers => "port for observers",
        })
    }
}

/// How the port behaves.
#[derive(Clone)]
pub struct Settings {
    /// This server.
    pub me: Sid,
    /// Asked anew whenever this server listens or dials.
    pub addresses: AddressBook,
    /// `observerMasterPort`, on the quorum addresses of every voter; `None`: observers ask the
    /// leader.
    pub observer_port: Option<u16>,
    /// `quorumListenOnAllIPs`: listen on every address of the machine.
    pub listen_on_all_ips: bool,
    /// `jute.maxbuffer` with its extra size: bounds each length in a packet.
    pub limits: jute::Limits,
    /// `leader.nodelay`: TCP_NODELAY on accepted connections.
    pub leader_nodelay: bool,
    /// `follower.nodelay`: TCP_NODELAY on the connection to the leader.
    pub follower_nodelay: bool,
    /// `leaderConnectDelayDuringRetryMs`: between two tries of a dial.
    pub dial_pause_ms: u64,
    /// Most bytes of one connection's packets that may wait for the core, but for the last packet
    /// or two ([`LINK_INPUT_BYTES_MAX`](crate::limits::LINK_INPUT_BYTES_MAX)).
    pub input_bytes_max: usize,
    /// How long a snapshot or log may stand still on a connection, in either direction, because of
    /// the peer (`initLimit`), ms. However slowly it moves, it may go on.
    pub transfer_stall_ms: u64,
    /// Most bytes that may wait to be sent on one connection
    /// ([`LINK_OUTPUT_BYTES_MAX`](crate::limits::LINK_OUTPUT_BYTES_MAX)).
    pub output_bytes_max: usize,
    /// So many of the last packets, in either direction, are written into the log when a connection
    /// ends (`messageTracker.Enabled`, `messageTracker.BufferSize`).
    pub packets_told: Option<usize>,
}

impl Settings {
    /// Where that server has that port.
    fn addresses_of(&self, sid: Sid, door: Door) -> Vec<QuorumAddress> {
        let mut addresses = (self.addresses)(sid);
        if let (Door::Observers, Some(port)) = (door, self.observer_port) {
            addresses.iter_mut().for_each(|address| address.port = port);
        }
        addresses
    }
}

/// Where the files behind the protocol come from and go to.
pub struct Sources<S> {
    pub log: Arc<dyn LogSource>,
    pub receive: SinkFactory<S>,
}

/// The log on disk, as learners are sent it.
pub trait LogSource: Send + Sync {
    /// Hands every record behind `from`, up to `upto`, to `each`, in order, until that answers
    /// `false`. Called on a thread of its own.
    fn read(
        &self,
        from: Zxid,
        upto: Zxid,
        each: &mut dyn FnMut(LoggedTxn) -> bool,
    ) -> io::Result<()>;
}

/// The body of a snapshot, to be read once from front to end.
pub trait SnapshotBody {
    /// Appends the next bytes to `out`, a bounded stretch of them; `false`: that was the last.
    fn next_chunk(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// A finished snapshot that shall be sent.
pub struct SnapshotFile {
    /// The state it shows.
    pub zxid: Zxid,
    /// Opens it; called when its turn comes, on the thread that reads it.
    pub open: Box<dyn FnOnce() -> io::Result<Box<dyn SnapshotBody>> + Send>,
}

/// What takes in a snapshot's body. Dropped before it is complete, or without anybody fetching it,
/// it leaves nothing behind.
pub trait SnapshotSink: Send + Sized + 'static {
    /// Takes the next bytes, whatever their number. `Some`: the body is complete, and so many of
    /// them belonged to it. An error is final.
    fn feed(&mut self, bytes: &[u8]) -> io::Result<Option<usize>>;
}

/// The election port as the commands reach it. It lives on the quorum thread, inside its
/// `LocalSet`, and is dropped when the thread ends.
pub trait ElectionPort {
    /// Sends the notification, dialling the server if there is no connection. Does not block.
    fn notify(&self, to: Sid, notification: Notification);

    /// The core has taken so many bytes of what that server has said.
    fn heard(&self, from: Sid, bytes: usize);
}

#[cfg(test)]
mod tests;
