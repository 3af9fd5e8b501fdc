//! One connection on the quorum port: a queue towards the peer, and the end of it all.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::inflow::Inflow;
use super::reader::Reader;
use super::shortcut::Shortcut;
use super::thread::Desk;
use super::tracker::Tracker;
use super::writer::{self, Item, Queue};
use super::SnapshotSink;
use crate::limits;
use crate::net::listener::hang_up;
use crate::zab::LinkId;

/// Who has opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A learner. We lead.
    Accepted,
    /// We. The peer leads.
    Dialled,
}

/// A connection. Reader and writer take turns on one task.
pub(super) struct Link {
    pub id: LinkId,
    pub origin: Origin,
    pub peer: SocketAddr,
    pub stream: TcpStream,
    pub queue: RefCell<Queue>,
    pub inflow: Inflow,
    /// The queue is no longer empty, or nothing will come into it any more.
    pub queued: Notify,
    /// Nothing is read any more; what is queued goes out.
    pub closing: CancellationToken,
    /// What the log shall tell of it in the end, if anything.
    pub tracker: Option<Tracker>,
    /// To be told of what has been sent.
    pub shortcut: Option<Arc<Shortcut>>,
    /// Too much is queued.
    overrun: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The core has asked for it, and all has been sent.
    Closed,
    /// The same, but the peer did not take what was left in time.
    Lingered,
    /// The peer has closed it, or its process has ended.
    PeerClosed,
    /// It broke, or the peer sent what it must not send.
    Failed(String),
}

impl End {
    /// What an error of the socket makes of the connection; `what` could not be done.
    pub fn of(error: io::Error, what: &str) -> End {
        match error.kind() {
            // A process that ends over unread input resets its connections.
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => End::PeerClosed,
            _ => End::Failed(format!("{what}: {error}")),
        }
    }
}

impl Link {
    pub fn new(
        (id, origin, peer): (LinkId, Origin, SocketAddr),
        stream: TcpStream,
        tracker: Option<Tracker>,
        shortcut: Option<Arc<Shortcut>>,
    ) -> Link {
        Link {
            id,
            origin,
            peer,
            stream,
            queue: RefCell::default(),
            inflow: Inflow::default(),
            queued: Notify::new(),
            closing: CancellationToken::new(),
            tracker,
            shortcut,
            overrun: CancellationToken::new(),
        }
    }

    /// Puts something behind all that is queued; with more than `bytes_max` waiting the peer is
    /// cut off.
    pub fn queue(&self, item: Item, bytes_max: usize) {
        if self.closing.is_cancelled() || self.overrun.is_cancelled() {
            return;
        }
        if let (Some(tracker), Item::Packets(packets)) = (&self.tracker, &item) {
            tracker.queued(packets);
        }
        let mut queue = self.queue.borrow_mut();
        queue.push(item);
        if queue.bytes() > bytes_max {
            self.overrun.cancel();
        } else {
            self.queued.notify_one();
        }
    }

    /// Sends what is queued and closes.
    pub fn close(&self) {
        self.closing.cancel();
        self.queued.notify_one();
    }
}

/// Sees to a connection until its end.
pub(super) async fn run<S: SnapshotSink>(link: Rc<Link>, desk: Rc<Desk<S>>) {
    let end = live(&link, &desk).await;
    let (id, peer) = (link.id.0, link.peer);
    match &end {
        End::Closed => tracing::debug!("Quorum connection {id} with {peer} is closed"),
        End::Lingered => tracing::info!(
            "Closing the quorum connection of {peer}: it did not take what was left for it"
        ),
        End::PeerClosed => tracing::info!("The quorum connection of {peer} was closed by the peer"),
        End::Failed(why) => tracing::warn!("Closing the quorum connection of {peer}: {why}"),
    }
    if let Some(tracker) = &link.tracker {
        tracker.tell(peer);
    }
    if matches!(end, End::Closed) {
        hang_up(&link.stream);
    }
    desk.part(link.id);
}

async fn live<S: SnapshotSink>(link: &Link, desk: &Desk<S>) -> End {
    let mut writer = pin!(writer::run(link, desk));
    {
        let mut reader = Reader::new(link, desk);
        tokio::select! {
            biased;
            () = link.overrun.cancelled() => return overrun(desk),
            () = link.closing.cancelled() => {}
            end = &mut writer => return end,
            end = reader.run() => return end,
        }
    }
    let linger = tokio::time::sleep(Duration::from_millis(limits::LINK_LINGER_MS));
    tokio::select! {
        biased;
        end = &mut writer => end,
        () = linger => End::Lingered,
    }
}

fn overrun<S>(desk: &Desk<S>) -> End {
    let max = desk.settings.output_bytes_max;
    End::Failed(format!(
        "it falls behind, and more than {max} bytes wait to be sent to it; when it comes again it \
         is brought up to date from the start"
    ))
}
