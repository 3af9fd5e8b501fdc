//! Dialling: one dial at a time for each server, all its addresses at once, names resolved afresh.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jute::quorum::InitialMessage;
use jute::Encode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::address::Target;
use super::{set_up, ElectionPortOptions, Inner, STRANGERS_MAX};
use crate::net::seldom::{and_more, Seldom};
use crate::types::Sid;
use crate::zab::Event;

/// Between the first two lines about a server that is away; from then on the pause doubles.
const UNREACHED_PAUSE: Duration = Duration::from_secs(1);

/// A server that is away for long is told of so often.
const UNREACHED_PAUSE_MAX: Duration = Duration::from_secs(60);

/// A dial under way.
#[derive(Debug)]
pub(super) struct Dialling {
    /// The server has knocked meanwhile: should this dial fail, it began too early.
    again: Option<Vec<Target>>,
}

/// Why a dial has come to nothing.
struct NotReached {
    /// Every address has said that nobody listens there.
    refused: bool,
    reasons: String,
}

impl NotReached {
    /// Nor another way.
    fn and(&mut self, other: &NotReached) {
        self.refused &= other.refused;
        let separator = if self.reasons.is_empty() { "" } else { "; " };
        self.reasons.push_str(separator);
        self.reasons.push_str(&other.reasons);
    }
}

/// What a dialler says first. One write: Apache wants to read it with one call.
pub(super) fn initial_message(options: &ElectionPortOptions) -> Bytes {
    let initial = InitialMessage::Addressed {
        several: options.multi_address,
        server_id: options.me.0,
        address: options.announce.as_str().into(),
    };
    initial.to_bytes().into()
}

impl Inner {
    /// Connects to a server unless that has been done. `announced` are the addresses that it has
    /// given itself; they are tried before those of the configuration.
    pub(super) fn dial(self: &Rc<Self>, sid: Sid, announced: Vec<Target>) {
        if self.links.borrow().contains_key(&sid) {
            return;
        }
        let mut diallings = self.diallings.borrow_mut();
        if let Some(dialling) = diallings.get_mut(&sid) {
            if !announced.is_empty() {
                dialling.again = Some(announced);
            }
            return;
        }
        if !self.is_peer(sid) && diallings.len() >= STRANGERS_MAX {
            return;
        }
        diallings.insert(sid, Dialling { again: None });
        drop(diallings);
        let inner = Rc::clone(self);
        self.spawn(async move {
            inner.dial_until_done(sid, announced).await;
        });
    }

    async fn dial_until_done(self: &Rc<Self>, sid: Sid, mut announced: Vec<Target>) {
        loop {
            self.dial_once(sid, announced).await;
            let done = self.diallings.borrow_mut().remove(&sid);
            let is_linked = self.links.borrow().contains_key(&sid);
            match done.and_then(|dialling| dialling.again) {
                Some(again) if !is_linked => {
                    self.diallings.borrow_mut().insert(sid, Dialling { again: None });
                    announced = again;
                }
                _ => return,
            }
        }
    }

    async fn dial_once(self: &Rc<Self>, sid: Sid, announced: Vec<Target>) {
        let configured = self.peers.borrow().get(&sid).cloned().unwrap_or_default();
        let is_configured = !configured.is_empty();
        let mut routes = vec![announced, configured];
        routes.dedup();
        routes.retain(|targets| !targets.is_empty());
        let mut all = NotReached { refused: is_configured, reasons: String::new() };
        for targets in &routes {
            match self.reach(targets).await {
                Ok(stream) => return self.introduce(sid, stream).await,
                Err(not) => all.and(&not),
            }
        }
        self.give_up(sid, &all);
    }

    fn give_up(&self, sid: Sid, not: &NotReached) {
        // Whoever has connected meanwhile does listen.
        if self.links.borrow().contains_key(&sid) {
            return;
        }
        self.say_unreached(sid, &not.reasons);
        if not.refused {
            (self.events)(Event::ElectionRefused { sid });
        }
    }

    /// Once when it begins, then more and more seldom: an election dials several times a second.
    fn say_unreached(&self, sid: Sid, reasons: &str) {
        let now = Instant::now();
        let mut unreached = self.unreached.borrow_mut();
        let is_full = unreached.len() >= STRANGERS_MAX && !self.is_peer(sid);
        let unsaid = match unreached.get_mut(&sid) {
            Some(seldom) => seldom.again(now),
            None if is_full => None,
            None => {
                unreached.insert(sid, Seldom::said(now, UNREACHED_PAUSE, UNREACHED_PAUSE_MAX));
                Some(0)
            }
        };
        if let Some(unsaid) = unsaid {
            let more = and_more(unsaid);
            tracing::info!("Server {} is not reached at its election port: {reasons}{more}", sid.0);
        }
    }

    /// There is a connection with that server.
    pub(super) fn say_reached(&self, sid: Sid) {
        if self.unreached.borrow_mut().remove(&sid).is_some() {
            tracing::info!("Server {} is reached at its election port again", sid.0);
        }
    }

    /// Whichever address answers first.
    async fn reach(&self, targets: &[Target]) -> Result<TcpStream, NotReached> {
        let mut dials = JoinSet::new();
        for target in targets {
            dials.spawn_local(connect_host(target.clone()));
        }
        let within = Duration::from_millis(self.options.cnx_timeout_ms);
        match tokio::time::timeout(within, first_of(dials)).await {
            Ok(reached) => reached,
            Err(_) => {
                let shown: Vec<String> = targets.iter().map(Target::to_string).collect();
                let reasons = format!(
                    "{}: no answer within {} ms",
                    shown.join(", "),
                    self.options.cnx_timeout_ms
                );
                Err(NotReached { refused: false, reasons })
            }
        }
    }

    /// Says who this server is. A server with a larger id calls back, a smaller one keeps the
    /// connection.
    async fn introduce(self: &Rc<Self>, sid: Sid, mut stream: TcpStream) {
        let said = async {
            set_up(&stream, &self.options)?;
            stream.write_all(&self.initial).await
        };
        if let Err(e) = said.await {
            tracing::info!("Server {} has hung up at once: {e}", sid.0);
        } else if sid > self.options.me {
            tracing::debug!("Server {} has the larger id and calls back", sid.0);
        } else {
            self.adopt(sid, stream);
        }
    }
}

/// Resolves the name and tries all addresses it has.
async fn connect_host(target: Target) -> Result<TcpStream, NotReached> {
    let failed = |e: &io::Error| NotReached { refused: false, reasons: format!("{target}: {e}") };
    let resolved = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let addresses = resolved.map_err(|e| failed(&e))?;
    let mut dials = JoinSet::new();
    for address in addresses {
        dials.spawn_local(async move {
            let not = |e: io::Error| NotReached {
                refused: e.kind() == io::ErrorKind::ConnectionRefused,
                reasons: format!("{address}: {e}"),
            };
            let stream = TcpStream::connect(address).await.map_err(not)?;
            // A dial of this machine's own unused port can meet itself.
            match stream.local_addr() {
                Ok(own) if own == address => Err(not(io::ErrorKind::ConnectionRefused.into())),
                _ => Ok(stream),
            }
        });
    }
    first_of(dials).await
}

/// The first that succeeds; the others are hung up. None of them: why.
async fn first_of(
    mut dials: JoinSet<Result<TcpStream, NotReached>>,
) -> Result<TcpStream, NotReached> {
    let mut all = NotReached { refused: !dials.is_empty(), reasons: String::new() };
    while let Some(dialled) = dials.join_next().await {
        match dialled {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(not)) => all.and(&not),
            Err(_) => all.refused = false,
        }
    }
    if all.reasons.is_empty() {
        all.reasons.push_str("no address belongs to its name");
    }
    Err(all)
}
