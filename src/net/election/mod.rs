//! The election port: votes between servers (Apache's `QuorumCnxManager`). One connection for
//! each pair of servers, the one that the server with the larger id has opened; the smaller one
//! only knocks, and is called back. Votes are lossy by design: to each server only the newest is
//! kept, and said again whenever there is a new connection.
//!
//! ```text
//!   send ──▶ outbox, one message a server ──▶ link ──▶ socket ──▶ link ──▶ events
//!               └─ no link? dial ──▶ initial message ──▶ accept ─┘
//! ```
//!
//! Everything runs on one thread's `LocalSet`; borrows never reach over an await.

mod accept;
mod address;
mod dial;
mod link;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use jute::{Encode, Writer};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::address::Target;
use self::dial::Dialling;
use self::link::Link;
use crate::limits;
use crate::net::seldom::Seldom;
use crate::types::Sid;
use crate::zab::{Event, Notification};

/// Where this server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenAt {
    /// On one address.
    Address(SocketAddr),
    /// On all addresses of the machine, in both families (`quorumListenOnAllIPs`, wildcards).
    AnyAddress(u16),
}

/// What an election port has to know.
#[derive(Debug, Clone)]
pub struct ElectionPortOptions {
    pub me: Sid,
    pub listen: Vec<ListenAt>,
    /// This server's own address, for the initial message: `host:port`, an IPv6 number in
    /// brackets; with `multi_address` several of them, parted by `|`.
    pub announce: String,
    /// Host and port of every other server's election port, at least one each. Names are resolved
    /// for each dial.
    pub peers: BTreeMap<Sid, Vec<(String, u16)>>,
    /// Say that there may be several addresses (`multiAddress.enabled`): a form which servers
    /// before 3.6 don't understand.
    pub multi_address: bool,
    /// How long a dial may take, names included, and how long what was said may stay without an
    /// acknowledgement of the other machine's, ms (`cnxTimeout`, 5000).
    pub cnx_timeout_ms: u64,
    /// How long an accepted connection may take to say who it is, ms (tickTime × syncLimit).
    pub handshake_timeout_ms: u64,
    /// How often to try to listen, a second apart (`electionPortBindRetry`, 3); 0 is for ever.
    pub bind_retries: u32,
    /// `tcpKeepAlive`.
    pub tcp_keep_alive: bool,
}

/// The election port can't be opened. The process ends with code 14.
#[derive(Debug, thiserror::Error)]
#[error(
    "the election port {listen} can't be opened, tried {attempts} times: {source}; is another \
     server running there? (electionPortBindRetry sets how often it is tried)"
)]
pub struct ElectionPortError {
    /// The address, or `*:port`.
    pub listen: String,
    pub attempts: u32,
    pub source: io::Error,
}

/// The election port of this server. Closed, with all its connections, when dropped.
pub struct ElectionPort {
    inner: Rc<Inner>,
}

/// Where notifications and refusals go.
pub type ElectionEvents = Rc<dyn Fn(Event)>;

impl ElectionPort {
    /// Listens, and says what comes in as [`Event::Notification`], and as
    /// [`Event::ElectionRefused`] where a dial has met a closed port. Runs inside of a `LocalSet`.
    /// Returns once there is an address on which it listens; others are still being tried then.
    pub async fn start(
        options: ElectionPortOptions,
        events: ElectionEvents,
    ) -> Result<ElectionPort, ElectionPortError> {
        let inner = Rc::new(Inner {
            peers: RefCell::new(targets(&options.peers)),
            initial: dial::initial_message(&options),
            options,
            events,
            listening: RefCell::default(),
            links: RefCell::default(),
            outboxes: RefCell::default(),
            diallings: RefCell::default(),
            unreached: RefCell::default(),
            handshakes: RefCell::default(),
            tasks: RefCell::default(),
            last_link: Cell::new(0),
            last_anonymous: Cell::new(0),
        });
        let port = ElectionPort { inner };
        accept::listen(&port.inner).await?;
        Ok(port)
    }

    /// Sends a vote, sooner or later, unless a newer one takes its place. Without a connection a
    /// dial begins. Runs inside of the same `LocalSet`.
    pub fn send(&self, to: Sid, notification: &Notification) {
        debug_assert_ne!(to, self.inner.options.me, "nobody writes to itself");
        self.inner.send(to, encode(notification));
    }

    /// The other servers, under a new configuration. Connections stay as they are.
    pub fn set_peers(&self, peers: &BTreeMap<Sid, Vec<(String, u16)>>) {
        *self.inner.peers.borrow_mut() = targets(peers);
    }

    /// The addresses on which it listens by now.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.inner.listening.borrow().clone()
    }
}

impl Drop for ElectionPort {
    fn drop(&mut self) {
        for task in self.inner.tasks.take() {
            task.abort();
        }
    }
}

fn targets(peers: &BTreeMap<Sid, Vec<(String, u16)>>) -> BTreeMap<Sid, Vec<Target>> {
    let target = |(host, port): &(String, u16)| Target { host: host.clone(), port: *port };
    peers.iter().map(|(sid, all)| (*sid, all.iter().map(target).collect())).collect()
}

/// A notification with its length in front.
fn encode(notification: &Notification) -> Bytes {
    let mut w = Writer::new();
    let frame = w.begin_frame();
    notification.to_wire().encode(&mut w);
    w.end_frame(frame);
    w.into_vec().into()
}

/// What the tasks of a port share.
struct Inner {
    options: ElectionPortOptions,
    events: ElectionEvents,
    /// What a dialler says first.
    initial: Bytes,
    peers: RefCell<BTreeMap<Sid, Vec<Target>>>,
    listening: RefCell<Vec<SocketAddr>>,
    links: RefCell<BTreeMap<Sid, Link>>,
    outboxes: RefCell<BTreeMap<Sid, Outbox>>,
    diallings: RefCell<BTreeMap<Sid, Dialling>>,
    /// Servers that are away, and when that is to be said again.
    unreached: RefCell<BTreeMap<Sid, Seldom>>,
    /// Those who have connected and not said yet who they are, oldest first.
    handshakes: RefCell<VecDeque<(SocketAddr, AbortHandle)>>,
    tasks: RefCell<Vec<AbortHandle>>,
    last_link: Cell<u64>,
    last_anonymous: Cell<i64>,
}

/// What there is to say to one server.
#[derive(Debug, Default)]
struct Outbox {
    /// Not sent yet. A newer message takes its place.
    next: Option<Bytes>,
    /// Sent last, perhaps into a connection that was already dead.
    last: Option<Bytes>,
    /// When there was last something new to say.
    renewed_at: Option<Instant>,
}

impl Inner {
    fn send(self: &Rc<Self>, to: Sid, frame: Bytes) {
        let is_peer = self.is_peer(to);
        let links = self.links.borrow();
        let link = links.get(&to);
        if !is_peer && link.is_none() {
            // Somebody outside the configuration who has asked and gone.
            return;
        }
        let mut outboxes = self.outboxes.borrow_mut();
        let outbox = outboxes.entry(to).or_default();
        outbox.next = Some(frame);
        outbox.renewed_at = Some(Instant::now());
        drop(outboxes);
        match link {
            Some(link) => link.wake.notify_one(),
            None => {
                drop(links);
                self.dial(to, Vec::new());
            }
        }
    }

    fn is_peer(&self, sid: Sid) -> bool {
        self.peers.borrow().contains_key(&sid)
    }

    /// Runs a task that ends with the port at the latest.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let handle = tokio::task::spawn_local(task).abort_handle();
        let mut tasks = self.tasks.borrow_mut();
        if tasks.len() >= TASKS_BEFORE_SWEEP {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(handle.clone());
        handle
    }
}

/// Finished tasks are forgotten when there are this many.
const TASKS_BEFORE_SWEEP: usize = 64;

/// Sets up an election connection: votes are small and urgent. A way that has gone dead without a
/// word must not be kept for the quarter of an hour that TCP tries: another one may lead there, by
/// another address or the same one when it is mended. Apache probes for that with pings
/// (`multiAddress.reachabilityCheckEnabled`, ZOOKEEPER-3188); what we have said and nobody has
/// acknowledged tells as much, with one address, too.
fn set_up(stream: &tokio::net::TcpStream, options: &ElectionPortOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(Duration::from_millis(options.cnx_timeout_ms)))?;
    socket.set_keepalive(options.tcp_keep_alive)
}

/// Links to servers outside the configuration, all together.
const STRANGERS_MAX: usize = limits::ELECTION_STRANGERS_MAX;
