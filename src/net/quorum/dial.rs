//! The learner's side: connecting to the leader (Apache's `Learner.connectToLeader`).

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::link::Origin;
use super::thread::Desk;
use super::{Door, QuorumAddress, SnapshotSink};
use crate::types::Sid;
use crate::zab::Event;

/// Tries for each of the leader's addresses. It listens only once it knows that it leads.
const TRIES: usize = 5;

/// Dials and tells what has come of it.
pub(super) async fn run<S: SnapshotSink>(desk: Rc<Desk<S>>, to: Sid, door: Door, within: Duration) {
    let addresses = desk.settings.addresses_of(to, door);
    let pause = Duration::from_millis(desk.settings.dial_pause_ms);
    let outcome = match tokio::time::timeout(within, connect(addresses, pause)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {} ms", within.as_millis())),
    };
    match outcome {
        Ok((stream, peer)) => desk.open(stream, Origin::Dialled, peer),
        Err(why) => {
            tracing::warn!("No connection to the {door} of server {}: {why}", to.0);
            desk.tell(Event::DialFailed);
        }
    }
}

/// All addresses at once; the first that answers wins.
async fn connect(
    addresses: Vec<QuorumAddress>,
    pause: Duration,
) -> Result<(TcpStream, SocketAddr), String> {
    if addresses.is_empty() {
        return Err("the configuration does not say where it is".to_owned());
    }
    let mut dials = JoinSet::new();
    for address in addresses {
        dials.spawn_local(try_often(address, pause));
    }
    let mut failures = Vec::new();
    while let Some(ended) = dials.join_next().await {
        match ended.map_err(|e| e.to_string()).and_then(|outcome| outcome) {
            Ok(connected) => return Ok(connected),
            Err(why) => failures.push(why),
        }
    }
    Err(failures.join(", "))
}

async fn try_often(
    QuorumAddress { host, port }: QuorumAddress,
    pause: Duration,
) -> Result<(TcpStream, SocketAddr), String> {
    let mut tries = 1;
    loop {
        match try_once(&host, port).await {
            Ok(connected) => return Ok(connected),
            Err(e) if tries == TRIES => return Err(format!("{host}:{port}: {e}")),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(pause).await;
    }
}

/// Resolves the name afresh and connects to whatever it stands for.
async fn try_once(host: &str, port: u16) -> io::Result<(TcpStream, SocketAddr)> {
    let mut dials = JoinSet::new();
    for address in tokio::net::lookup_host((host, port)).await? {
        dials.spawn_local(connect_to(address));
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no address belongs to this name");
    while let Some(ended) = dials.join_next().await {
        match ended.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(connected) => return Ok(connected),
            Err(e) => failure = e,
        }
    }
    Err(failure)
}

async fn connect_to(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    // Where nobody listens on a port of this machine, the system may pick just that port for our
    // end, and the socket is connected with itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok((stream, address))
}
