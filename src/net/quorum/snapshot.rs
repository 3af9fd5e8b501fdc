//! Snapshots over a link. Sent: the packet SNAP, the body of a finished file (its sessions, ACLs
//! and znodes with the "/" behind them; no header, no seals), the signature. Received: the same.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jute::quorum::{PacketType, QuorumPacket, SNAPSHOT_SIGNATURE};
use jute::{Encode, Writer};
use tokio::sync::{mpsc, oneshot};

use super::shelf::{Held, Shelf};
use super::transfer::Transfer;
use super::{SinkFactory, SnapshotFile, SnapshotSink};
use crate::limits;
use crate::types::Zxid;
use crate::zab::LinkId;

/// Reads a snapshot into a link.
pub(super) fn send(file: SnapshotFile) -> io::Result<Transfer> {
    Transfer::start("snapshot-sender", move |outlet| {
        let mut body = (file.open)()?;
        let mut head = Writer::new();
        QuorumPacket::new(PacketType::Snap, file.zxid.0, None).encode(&mut head);
        outlet.buffer().extend_from_slice(head.as_slice());
        while body.next_chunk(outlet.buffer())? {
            outlet.pass()?;
        }
        let mut signature = Writer::new();
        signature.string(Some(SNAPSHOT_SIGNATURE));
        outlet.buffer().extend_from_slice(signature.as_slice());
        Ok(())
    })
}

/// A snapshot on its way from a link into a sink, which runs on a thread of its own. Dropping
/// `chunks` ends the thread, and the sink with it.
pub(super) struct Intake<S> {
    /// Takes the body, and whatever comes with it. Closed when the sink wants no more.
    pub chunks: mpsc::Sender<Bytes>,
    pub outcome: Outcome<S>,
    /// What the sink has been given and has not done with.
    pub undone: Arc<AtomicUsize>,
}

/// Tells once how it went.
pub(super) type Outcome<S> = oneshot::Receiver<io::Result<Taken<S>>>;

/// The body is complete.
pub(super) struct Taken<S> {
    sink: Held<S>,
    /// Came with the end of the body, but does not belong to it.
    rest: Bytes,
    /// Came behind that.
    unread: mpsc::Receiver<Bytes>,
}

impl<S: SnapshotSink> Intake<S> {
    /// Starts the thread. It begins when there is no other sink.
    pub fn start(
        make: SinkFactory<S>,
        shelf: Arc<Shelf<S>>,
        link: LinkId,
        zxid: Zxid,
    ) -> io::Result<Intake<S>> {
        let (chunks, unread) = mpsc::channel(limits::TRANSFER_CHUNKS);
        let (done, outcome) = oneshot::channel();
        let undone = Arc::new(AtomicUsize::new(0));
        let to_do = Arc::clone(&undone);
        let name = "snapshot-taker".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            let right = shelf.wait();
            let begun = if unread.is_closed() { Err(ended()) } else { make(link, zxid) };
            let taken = begun.and_then(|sink| take_in(right.hold(sink), unread, &to_do));
            // The link may be gone.
            let _ = done.send(taken);
        })?;
        Ok(Intake { chunks, outcome, undone })
    }
}

fn take_in<S: SnapshotSink>(
    mut sink: Held<S>,
    mut unread: mpsc::Receiver<Bytes>,
    undone: &AtomicUsize,
) -> io::Result<Taken<S>> {
    while let Some(chunk) = unread.blocking_recv() {
        if let Some(used) = sink.sink().feed(&chunk)? {
            let rest = chunk.slice(used..);
            return Ok(Taken { sink, rest, unread });
        }
        undone.fetch_sub(chunk.len(), Ordering::Relaxed);
    }
    Err(ended())
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection has ended")
}

impl<S> Taken<S> {
    /// The sink, and what has come behind the body so far. Nothing must be sent any more.
    pub fn split(mut self) -> (Held<S>, BytesMut) {
        let mut behind = BytesMut::from(self.rest);
        while let Ok(chunk) = self.unread.try_recv() {
            behind.extend_from_slice(&chunk);
        }
        (self.sink, behind)
    }
}
