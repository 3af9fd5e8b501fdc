//! A client's socket as its connection uses it: TCP, or the simulator's.

use std::io;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;

use super::listener;

/// A stream of bytes to and from a client. Nothing blocks: what can't be done now is `WouldBlock`.
pub trait ClientSocket {
    /// Reads what is there, at most a buffer full; 0: the client has hung up.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Writes as much as the socket takes.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Whether [`ClientSocket::try_read`] is worth a try; else `cx` is woken when it is.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Whether [`ClientSocket::try_write`] is worth a try; else `cx` is woken when it is.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Ends the stream so that what was written last still arrives.
    fn hang_up(&self);
}

impl ClientSocket for TcpStream {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let n = TcpStream::try_read(self, into)?;
        if n < into.len() {
            emptied(self);
        }
        Ok(n)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        TcpStream::try_write(self, bytes)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows when it is read from.
        TcpStream::poll_read_ready(self, cx).map(|_| ())
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        TcpStream::poll_write_ready(self, cx).map(|_| ())
    }

    fn hang_up(&self) {
        listener::hang_up(self);
    }
}

/// A read that has not filled its buffer has emptied the socket, which a second one would only be
/// told by the kernel. What comes later makes the socket readable again, and the end of the stream
/// stays readable.
pub(super) fn emptied(socket: &TcpStream) {
    let nothing_left = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
    // The error has done its work by being one.
    let _ = socket.try_io(Interest::READABLE, nothing_left);
}
