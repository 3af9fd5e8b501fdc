//! Past the quorum thread, for what is short: the pipeline writes a few packets itself if nothing
//! waits on their link. A lonely write would else wake a thread of the leader's for its PROPOSAL
//! and one of each follower's for its ACK, and wait for both. What is long, or does not fit into
//! the socket, is left to the thread: it does not hold up the pipeline.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf, Bytes};
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

use super::ports::Command;
use crate::limits;
use crate::zab::LinkId;

/// The links that are open.
#[derive(Default)]
pub(super) struct Shortcuts {
    open: Mutex<BTreeMap<LinkId, Arc<Shortcut>>>,
}

/// A link's.
pub(super) struct Shortcut {
    /// The same socket as the link's, which does not block.
    socket: Socket,
    /// What the pipeline has handed to the thread and the thread has not sent yet. Only the
    /// pipeline makes it more: when it finds none there is none, on the way to the thread either.
    waiting: AtomicUsize,
}

impl Shortcuts {
    /// Opens one. `None`: there are no more descriptors, and the thread sends everything.
    pub fn open(&self, link: LinkId, stream: &TcpStream) -> Option<Arc<Shortcut>> {
        let socket = SockRef::from(stream).try_clone().ok()?;
        let shortcut = Arc::new(Shortcut { socket, waiting: AtomicUsize::new(0) });
        self.lock().insert(link, Arc::clone(&shortcut));
        Some(shortcut)
    }

    /// The link is gone, or takes nothing any more.
    pub fn close(&self, link: LinkId) {
        self.lock().remove(&link);
    }

    /// Writes what can go at once, in front of what is left in `commands` for the thread.
    pub fn take(&self, commands: &mut Vec<Command>) {
        let mut open = self.lock();
        commands.retain_mut(|command| match command {
            Command::Send { link, packets } => {
                !open.get(link).is_some_and(|shortcut| shortcut.send(packets))
            }
            command => {
                leave_to_thread(&mut open, command);
                true
            }
        });
    }

    /// Leaves all of it to the thread.
    pub fn pass_by(&self, commands: &[Command]) {
        if !commands.is_empty() {
            let mut open = self.lock();
            commands.iter().for_each(|command| leave_to_thread(&mut open, command));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LinkId, Arc<Shortcut>>> {
        self.open.lock().expect("nobody panics while holding it")
    }
}

fn leave_to_thread(open: &mut BTreeMap<LinkId, Arc<Shortcut>>, command: &Command) {
    match command {
        Command::Send { link, .. }
        | Command::SendLog { link, .. }
        | Command::SendSnapshot { link, .. } => {
            if let Some(shortcut) = open.get(link) {
                shortcut.hand_over();
            }
        }
        Command::Close { link } => {
            open.remove(link);
        }
        _ => {}
    }
}

impl Shortcut {
    /// Writes the packets if nothing is in front of them. `false`: what is left of them is for the
    /// thread, which also finds out what ails the socket.
    fn send(&self, packets: &mut Bytes) -> bool {
        let is_free = self.waiting.load(Ordering::Acquire) == 0;
        if is_free && packets.len() <= limits::SHORTCUT_BYTES_MAX {
            packets.advance((&self.socket).write(packets).unwrap_or(0));
            if packets.is_empty() {
                return true;
            }
        }
        self.hand_over();
        false
    }

    fn hand_over(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// The thread has sent so many of what was handed over.
    pub fn sent(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Release);
    }
}
