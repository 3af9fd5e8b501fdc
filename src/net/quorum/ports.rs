//! The pipeline's end of the peers' ports: commands go out in batches, one wake-up for each.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::inflow::Taken;
use super::shelf::Shelf;
use super::shortcut::Shortcuts;
use super::{Door, SnapshotFile, SnapshotSink};
use crate::types::{Sid, Zxid};
use crate::zab::{Event, LinkId, Notification};

/// What the quorum thread shall do.
pub(super) enum Command {
    Notify {
        to: Sid,
        notification: Notification,
    },
    /// There, or nowhere any more.
    Listen(Option<Door>),
    Dial {
        to: Sid,
        door: Door,
        within_ms: i64,
    },
    CancelDial,
    Send {
        link: LinkId,
        packets: Bytes,
    },
    SendLog {
        link: LinkId,
        from: Zxid,
        upto: Zxid,
    },
    SendSnapshot {
        link: LinkId,
        file: SnapshotFile,
    },
    Close {
        link: LinkId,
    },
    /// The core has taken so many bytes of that link's packets.
    Heard {
        link: LinkId,
        bytes: usize,
    },
    /// The same, of that server's notifications.
    HeardVotes {
        from: Sid,
        bytes: usize,
    },
}

/// Both ports of this server, for the pipeline. What is asked for here happens, in this order,
/// after the next [`PeerPorts::flush`]. Commands for a connection that is gone are dropped.
/// Dropping this ends the quorum thread.
pub struct PeerPorts<S> {
    queued: Vec<Command>,
    mailbox: Arc<Mailbox>,
    shelf: Arc<Shelf<S>>,
    shortcuts: Arc<Shortcuts>,
    taken: Taken,
    /// So much of a link is worth a word.
    portion: usize,
}

impl<S: SnapshotSink> PeerPorts<S> {
    pub(super) fn new(
        mailbox: Arc<Mailbox>,
        shelf: Arc<Shelf<S>>,
        shortcuts: Arc<Shortcuts>,
        input_bytes_max: usize,
    ) -> PeerPorts<S> {
        let (queued, taken) = (Vec::new(), Taken::default());
        PeerPorts { queued, mailbox, shelf, shortcuts, taken, portion: input_bytes_max / 4 }
    }

    /// The core takes this event now, so that more may be read from its link. To be said of every
    /// event, or the links stop reading.
    pub fn heard(&mut self, event: &Event) {
        if let Event::Notification { from, notification } = event {
            let bytes = notification.weight();
            self.queued.push(Command::HeardVotes { from: *from, bytes });
        }
        if let Some((link, bytes)) = self.taken.take(event, self.portion) {
            self.queued.push(Command::Heard { link, bytes });
        }
    }

    /// Election port: sends the notification, dialling that server if there is no connection.
    pub fn notify(&mut self, to: Sid, notification: Notification) {
        self.queued.push(Command::Notify { to, notification });
    }

    /// Listens on this server's quorum addresses, or stops it and closes all that was accepted.
    /// `ListenFailed` tells if none of them can be had.
    pub fn listen(&mut self, on: bool) {
        self.queued.push(Command::Listen(on.then_some(Door::Quorum)));
    }

    /// The same for the port on which a follower serves observers.
    pub fn listen_for_observers(&mut self, on: bool) {
        self.queued.push(Command::Listen(on.then_some(Door::Observers)));
    }

    /// Connects to the leader's quorum port: `LinkOpened` or, after `within_ms` at the latest,
    /// `DialFailed`. Whatever was dialled before is closed, a dial under way is cancelled silently,
    /// and a snapshot that nobody has fetched is thrown away, as it is by `listen(true)`.
    pub fn dial(&mut self, leader: Sid, within_ms: i64) {
        self.queued.push(Command::Dial { to: leader, door: Door::Quorum, within_ms });
    }

    /// The same, to a follower's port for observers.
    pub fn dial_master(&mut self, master: Sid, within_ms: i64) {
        self.queued.push(Command::Dial { to: master, door: Door::Observers, within_ms });
    }

    /// Gives up a dial that is under way: neither of its events will come any more, unless it is
    /// on its way already.
    pub fn cancel_dial(&mut self) {
        self.queued.push(Command::CancelDial);
    }

    /// Puts encoded packets behind whatever the link still has to send.
    pub fn send(&mut self, link: LinkId, packets: Bytes) {
        if !packets.is_empty() {
            self.queued.push(Command::Send { link, packets });
        }
    }

    /// Puts there PROPOSAL and COMMIT of every record of the log behind `from`, up to `upto`.
    pub fn send_log(&mut self, link: LinkId, from: Zxid, upto: Zxid) {
        self.queued.push(Command::SendLog { link, from, upto });
    }

    /// Puts there the packet SNAP, the snapshot's body and its signature.
    pub fn send_snapshot(&mut self, link: LinkId, file: SnapshotFile) {
        self.queued.push(Command::SendSnapshot { link, file });
    }

    /// Closes the link, after sending what it still has to send, for which it has
    /// [`LINK_LINGER_MS`](crate::limits::LINK_LINGER_MS). `LinkClosed` follows.
    pub fn close(&mut self, link: LinkId) {
        self.queued.push(Command::Close { link });
    }

    /// Lets all of it happen. What is short goes from here if `is_quiet`; under load the thread
    /// gathers it, so that the others are not woken for every single packet.
    pub fn flush(&mut self, is_quiet: bool) {
        match is_quiet {
            true => self.shortcuts.take(&mut self.queued),
            false => self.shortcuts.pass_by(&self.queued),
        }
        self.mailbox.push(&mut self.queued);
    }

    /// The snapshot of which `SnapshotReceived` was told, once; also when its link is gone, as long
    /// as nothing was dialled behind it. Whoever has no use for it may let it lie.
    pub fn received(&self, link: LinkId) -> Option<S> {
        self.shelf.take(link)
    }
}

impl<S> Drop for PeerPorts<S> {
    fn drop(&mut self) {
        self.mailbox.push(&mut self.queued);
        self.mailbox.stop.cancel();
    }
}

/// Commands on their way to the quorum thread.
#[derive(Default)]
pub(super) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    filled: Notify,
    /// Nothing comes any more.
    pub stop: CancellationToken,
}

impl Mailbox {
    /// Hands over a batch and leaves it empty.
    fn push(&self, batch: &mut Vec<Command>) {
        if batch.is_empty() {
            return;
        }
        let mut commands = self.lock();
        let was_empty = commands.is_empty();
        commands.append(batch);
        drop(commands);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Waits for commands and takes all there are into `batch`, which is empty; `false`: none will
    /// come any more.
    pub async fn take(&self, batch: &mut Vec<Command>) -> bool {
        loop {
            // Asked first: what was pushed before the stop is still taken.
            let stopped = self.stop.is_cancelled();
            std::mem::swap(&mut *self.lock(), batch);
            if !batch.is_empty() || stopped {
                return !batch.is_empty();
            }
            tokio::select! {
                () = self.filled.notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Command>> {
        self.commands.lock().expect("nobody panics while holding it")
    }
}
