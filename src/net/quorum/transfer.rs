//! A file on its way into a link: read on a thread of its own, in stretches, never more of them
//! ahead of the socket than [`limits::TRANSFER_CHUNKS`].

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::limits;

/// The link's end of it. Dropping it ends the thread.
pub(super) struct Transfer {
    parts: mpsc::Receiver<Part>,
}

/// What comes next.
pub(super) enum Part {
    Bytes(Bytes),
    /// That was all.
    End,
    /// The rest can't be had.
    Failed(io::Error),
}

/// The thread's end of it.
pub(super) struct Outlet {
    parts: mpsc::Sender<Part>,
    buffer: Vec<u8>,
}

impl Transfer {
    /// Starts the thread and lets `work` write into the link.
    pub fn start(
        name: &str,
        work: impl FnOnce(&mut Outlet) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Transfer> {
        let (parts, receiver) = mpsc::channel(limits::TRANSFER_CHUNKS);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut outlet = Outlet { parts, buffer: Vec::new() };
            let last = match work(&mut outlet).and_then(|()| outlet.flush()) {
                Ok(()) => Part::End,
                Err(e) => Part::Failed(e),
            };
            // The link may be gone.
            let _ = outlet.parts.blocking_send(last);
        })?;
        Ok(Transfer { parts: receiver })
    }

    pub async fn next(&mut self) -> Part {
        let part = self.parts.recv().await;
        part.unwrap_or_else(|| Part::Failed(io::Error::other("the thread that reads it panicked")))
    }
}

impl Outlet {
    /// The stretch that is being put together. Whoever has added to it calls [`Outlet::pass`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands the stretch over if it is long enough.
    pub fn pass(&mut self) -> io::Result<()> {
        if self.buffer.len() < limits::TRANSFER_CHUNK_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let room = limits::TRANSFER_CHUNK_BYTES + limits::TRANSFER_CHUNK_BYTES / 4;
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(room));
        let sent = self.parts.blocking_send(Part::Bytes(full.into()));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the link is closed"))
    }
}
