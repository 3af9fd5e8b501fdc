//! Sockets: bound, accepted, set up and hung up.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::queues::WorkerMail;
use super::shared::Shared;

/// How many bytes of unread input are thrown away before a socket is closed.
const DISCARD_BYTES_MAX: usize = 1 << 20;

/// Connections that wait to be accepted, where nobody says how many: the kernel takes fewer if
/// `net.core.somaxconn` is less. Java's 50 drop the others of a herd, who come again after seconds.
const BACKLOG: i32 = 4096;

/// Listens on `address`. A backlog of -1 is [`BACKLOG`].
pub fn bind(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(if backlog > 0 { backlog } else { BACKLOG })?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Listens on every address of the machine, in both families where there are two, as Java does
/// even for `0.0.0.0`.
pub fn bind_any(port: u16, backlog: i32) -> io::Result<std::net::TcpListener> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into(), backlog) {
        Err(e) if has_no_ipv6(&e) => bind((Ipv4Addr::UNSPECIFIED, port).into(), backlog),
        bound => bound,
    }
}

/// The kernel has no IPv6, or it is switched off.
fn has_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Accepts connections and deals them out, until the server stops.
pub async fn accept(shared: Arc<Shared>, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut next = 0;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let worker = next;
                next = (next + 1) % shared.inboxes.len();
                // An IPv4 client of a socket for both families is an IPv4 client to everybody:
                // to ACLs of the scheme ip, to maxClientCnxns, to whoever reads `cons`.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                // The worker registers it with its own runtime.
                if let Ok(stream) = stream.into_std() {
                    shared.inboxes[worker].leave(WorkerMail::Accepted(stream, peer));
                    shared.inboxes[worker].ring();
                }
            }
            Err(e) => {
                // Out of descriptors, or a client that went before it was accepted.
                tracing::warn!("Error accepting new connection: {e}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

/// Prepares an accepted socket: no delay, no lingering.
pub(super) fn adopt(stream: std::net::TcpStream, keep_alive: bool) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    if keep_alive {
        SockRef::from(&stream).set_keepalive(true)?;
    }
    TcpStream::from_std(stream)
}

/// Takes what is unread off a socket that is about to be closed: closed over unread input it would
/// reset the connection, and what was written last might not arrive. Asks the kernel and not the
/// runtime, which hears of new input only between two turns.
pub(super) fn hang_up(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let mut sink = [0u8; 4096];
    let mut discarded = 0;
    while let Ok(n) = (&*socket).read(&mut sink) {
        discarded += n;
        if n == 0 || discarded > DISCARD_BYTES_MAX {
            break;
        }
    }
}
