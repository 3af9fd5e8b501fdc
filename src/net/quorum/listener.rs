//! The leader's side: listening on this server's quorum addresses (Apache's `Leader`, its
//! constructor and `LearnerCnxAcceptor`); and that of a follower which serves observers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::link::Origin;
use super::thread::Desk;
use super::{Door, QuorumAddress, SnapshotSink};
use crate::net::listener::{bind, bind_any};
use crate::zab::Event;

/// Connections that wait to be accepted, as many as Java takes.
const BACKLOG: i32 = 50;
/// After a failed accept, ms.
const ACCEPT_PAUSE_MS: u64 = 10;

/// Listens until it is aborted, which closes the ports at once.
pub(super) async fn run<S: SnapshotSink>(desk: Rc<Desk<S>>, door: Door) {
    let settings = &desk.settings;
    let addresses = settings.addresses_of(settings.me, door);
    let bound = bind_all(&addresses, settings.listen_on_all_ips, door).await;
    if bound.listeners.is_empty() {
        let why = match bound.failures.join(", ") {
            none if none.is_empty() => "the configuration has no quorum address of ours".to_owned(),
            failures => failures,
        };
        return desk.tell(Event::ListenFailed { why });
    }
    // As with Apache, one address is enough.
    for failure in bound.failures {
        tracing::warn!("Not all quorum addresses can be listened on: {failure}");
    }
    let mut accepting = JoinSet::new();
    for listener in bound.listeners {
        accepting.spawn_local(accept(Rc::clone(&desk), listener));
    }
    // Waits to be aborted; dropping the set ends its tasks.
    while accepting.join_next().await.is_some() {}
}

struct Bound {
    door: Door,
    listeners: Vec<TcpListener>,
    /// Address and reason.
    failures: Vec<String>,
}

impl Bound {
    fn note(&mut self, shown: String, attempt: io::Result<std::net::TcpListener>) {
        match attempt.and_then(TcpListener::from_std) {
            Ok(listener) => {
                tracing::info!("Listening on the {} {shown}", self.door);
                self.listeners.push(listener);
            }
            Err(e) => self.failures.push(format!("{shown}: {e}")),
        }
    }
}

async fn bind_all(addresses: &[QuorumAddress], on_all_ips: bool, door: Door) -> Bound {
    let mut bound = Bound { door, listeners: Vec::new(), failures: Vec::new() };
    let mut done: Vec<SocketAddr> = Vec::new();
    for QuorumAddress { host, port } in addresses {
        let any = host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
        let found = if any || on_all_ips {
            Ok(vec![SocketAddr::new(IpAddr::from([0; 4]), *port)])
        } else {
            tokio::net::lookup_host((host.as_str(), *port)).await.map(Iterator::collect)
        };
        let found: Vec<SocketAddr> = match found {
            Ok(found) => found,
            Err(e) => {
                bound.failures.push(format!("{host}:{port}: {e}"));
                continue;
            }
        };
        for address in found {
            if done.contains(&address) {
                continue;
            }
            done.push(address);
            if address.ip().is_unspecified() {
                bound.note(format!("{port} of all addresses"), bind_any(*port, BACKLOG));
            } else {
                bound.note(address.to_string(), bind(address, BACKLOG));
            }
        }
    }
    bound
}

async fn accept<S: SnapshotSink>(desk: Rc<Desk<S>>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                desk.open(stream, Origin::Accepted, peer);
            }
            Err(e) => {
                // Out of descriptors, or a peer that went before it was accepted.
                tracing::warn!("Error accepting a quorum connection: {e}");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}
