//! Listening: whoever connects says who it is, and is kept, called back or turned away.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use jute::quorum::{InitialMessage, INITIAL_ADDRESS_LEN_MAX};
use jute::Decode;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::address::{self, Target};
use super::{set_up, ElectionPortError, Inner, ListenAt, STRANGERS_MAX};
use crate::limits;
use crate::net::{bind, bind_any};
use crate::types::Sid;

/// What a listener of one address has to say of its tries: how many there were and what the last
/// has come to.
type Tried = (ListenAt, u32, io::Result<()>);

/// Why somebody has not introduced itself.
enum Unheard {
    /// It went without a word, as those do who only look whether the port is open.
    Silent,
    Wrong(String),
}

/// Listens on all addresses. Returns when one of them is ours, or none can be.
pub(super) async fn listen(inner: &Rc<Inner>) -> Result<(), ElectionPortError> {
    let (tried, mut tries) = mpsc::unbounded_channel();
    for at in inner.options.listen.clone() {
        let (owner, tried) = (Rc::clone(inner), tried.clone());
        inner.spawn(async move { owner.listen_at(at, tried).await });
    }
    drop(tried);
    let mut failed = None;
    while let Some((at, attempts, result)) = tries.recv().await {
        match result {
            Ok(()) => return Ok(()),
            Err(source) => {
                failed = Some(ElectionPortError { listen: at.to_string(), attempts, source });
            }
        }
    }
    let nowhere = || ElectionPortError {
        listen: "of this server".to_owned(),
        attempts: 0,
        source: io::Error::new(io::ErrorKind::InvalidInput, "it has no address"),
    };
    Err(failed.unwrap_or_else(nowhere))
}

impl ListenAt {
    fn open(self) -> io::Result<TcpListener> {
        let listener = match self {
            ListenAt::Address(address) => bind(address, BACKLOG)?,
            ListenAt::AnyAddress(port) => bind_any(port, BACKLOG)?,
        };
        TcpListener::from_std(listener)
    }
}

impl std::fmt::Display for ListenAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ListenAt::Address(address) => address.fmt(f),
            ListenAt::AnyAddress(port) => write!(f, "*:{port}"),
        }
    }
}

impl Inner {
    async fn listen_at(self: Rc<Self>, at: ListenAt, tried: mpsc::UnboundedSender<Tried>) {
        let mut attempts = 0;
        let listener = loop {
            attempts += 1;
            let error = match at.open() {
                Ok(listener) => break listener,
                Err(e) => e,
            };
            if attempts == self.options.bind_retries {
                tracing::error!("The election port {at} can't be opened: {error}");
                // Nobody waits for the answer once another address is open.
                let _ = tried.send((at, attempts, Err(error)));
                return;
            }
            tracing::warn!("The election port {at} can't be opened, trying again: {error}");
            tokio::time::sleep(BIND_REST).await;
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!("Server {} listens for elections on {address}", self.options.me.0);
            self.listening.borrow_mut().push(address);
        }
        let _ = tried.send((at, attempts, Ok(())));
        drop(tried);
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.receive(stream, peer),
                Err(e) => {
                    // Out of descriptors, or somebody who went before being accepted.
                    tracing::warn!("An election connection was not accepted: {e}");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    /// Lets somebody introduce itself. Whoever takes long makes room for others.
    fn receive(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let mut handshakes = self.handshakes.borrow_mut();
        handshakes.retain(|(_, task)| !task.is_finished());
        if handshakes.len() >= limits::ELECTION_HANDSHAKES_MAX {
            if let Some((slow, task)) = handshakes.pop_front() {
                tracing::warn!("Closing {slow}: too many say nothing on the election port");
                task.abort();
            }
        }
        let inner = Rc::clone(self);
        let task = self.spawn(async move {
            let within = Duration::from_millis(inner.options.handshake_timeout_ms);
            match tokio::time::timeout(within, inner.hear_out(stream)).await {
                Ok(Ok((stream, sid, announced))) => inner.welcome(stream, peer, sid, announced),
                Ok(Err(Unheard::Silent)) => tracing::debug!("{peer} has gone without a word"),
                Ok(Err(Unheard::Wrong(why))) => {
                    tracing::warn!("Closing {peer} on the election port: {why}");
                }
                Err(_) => tracing::warn!(
                    "Closing {peer} on the election port: it has not said who it is within {} ms",
                    inner.options.handshake_timeout_ms
                ),
            }
        });
        handshakes.push_back((peer, task));
    }

    /// Reads the initial message and not a byte more.
    async fn hear_out(
        &self,
        mut stream: TcpStream,
    ) -> Result<(TcpStream, Sid, Vec<Target>), Unheard> {
        let gone = |e| Unheard::Wrong(format!("gone before it has said who it is ({e})"));
        set_up(&stream, &self.options).map_err(gone)?;
        let mut message = vec![0; BARE_LEN];
        if stream.read(&mut message[..1]).await.map_err(gone)? == 0 {
            return Err(Unheard::Silent);
        }
        stream.read_exact(&mut message[1..]).await.map_err(gone)?;
        let is_bare = message[0] & 0x80 == 0;
        if !is_bare {
            // An unknown version ends here, before anything is read that may never come.
            let version = InitialMessage::from_bytes(&message);
            if let Err(e @ jute::DecodeError::UnknownType(_)) = version {
                return Err(Unheard::Wrong(format!("no server's first words ({e})")));
            }
            message.resize(HEAD_LEN, 0);
            stream.read_exact(&mut message[BARE_LEN..]).await.map_err(gone)?;
            let len = message[HEAD_LEN - 4..].try_into().map(i32::from_be_bytes);
            let said = len.expect("four bytes");
            let len = usize::try_from(said).unwrap_or(0);
            if len == 0 || len > INITIAL_ADDRESS_LEN_MAX {
                return Err(Unheard::Wrong(format!("an address of {said} bytes")));
            }
            message.resize(HEAD_LEN + len, 0);
            stream.read_exact(&mut message[HEAD_LEN..]).await.map_err(gone)?;
        }
        let initial = InitialMessage::from_bytes(&message);
        match initial.map_err(|e| Unheard::Wrong(e.to_string()))? {
            InitialMessage::Sid(sid) => Ok((stream, self.named(sid), Vec::new())),
            InitialMessage::Addressed { server_id, address, .. } => {
                let no_address = || format!("{address:?} is no address of a server");
                let targets = address::parse(&address);
                let targets = targets.ok_or_else(|| Unheard::Wrong(no_address()))?;
                Ok((stream, self.named(server_id), targets))
            }
        }
    }

    /// Observers without an id of their own get one that nobody else has.
    fn named(&self, sid: i64) -> Sid {
        if sid != ANONYMOUS {
            return Sid(sid);
        }
        self.last_anonymous.set(self.last_anonymous.get() - 1);
        Sid(self.last_anonymous.get())
    }

    /// Decides which of the two of a pair keeps its connection.
    fn welcome(
        self: &Rc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        sid: Sid,
        announced: Vec<Target>,
    ) {
        let me = self.options.me;
        if sid == me {
            tracing::error!(
                "Closing {peer} on the election port: it says that it is server {}, and so is \
                 this one. Give each server a myid of its own",
                me.0
            );
        } else if sid < me {
            // It may have been restarted and know nothing of a connection that we still have.
            self.hang_up(sid);
            drop(stream);
            self.dial(sid, announced);
        } else if !self.is_peer(sid) && self.strangers() >= STRANGERS_MAX {
            tracing::warn!(
                "Closing {peer} on the election port: it says that it is server {}, which the \
                 configuration doesn't know, and there are {STRANGERS_MAX} such already",
                sid.0
            );
        } else {
            self.adopt(sid, stream);
        }
    }
}

/// Between two tries to listen, as with Apache.
const BIND_REST: Duration = Duration::from_secs(1);

/// After an error of accept, so that being out of descriptors does not take all the time there is.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Unaccepted connections the kernel may keep: as many as Java asks for.
const BACKLOG: i32 = 50;

/// Length of a server's id, or of the version in front of it.
const BARE_LEN: usize = 8;

/// Length of version, id and the length of the address.
const HEAD_LEN: usize = 20;

/// The id of observers that have none.
const ANONYMOUS: i64 = i64::MAX;
