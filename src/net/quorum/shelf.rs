//! The snapshots that come in, one at a time: a file that is given up is gone before the next one
//! is begun, which may well be of the same zxid and of the same name.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::SnapshotSink;
use crate::zab::LinkId;

/// Where a snapshot that has come in whole waits for being installed.
pub(super) struct Shelf<S> {
    received: Mutex<Option<(LinkId, Held<S>)>>,
    turn: Arc<Turn>,
}

/// A sink and the right to be the only one.
pub(super) struct Held<S> {
    // In this order: the sink goes before its right does.
    sink: S,
    _right: Right,
}

/// The right to have a sink. Passed on when dropped.
pub(super) struct Right {
    turn: Arc<Turn>,
}

#[derive(Default)]
struct Turn {
    taken: Mutex<bool>,
    free: Condvar,
}

impl<S: SnapshotSink> Shelf<S> {
    pub fn new() -> Shelf<S> {
        Shelf { received: Mutex::new(None), turn: Arc::default() }
    }

    /// Waits until there is no other sink.
    pub fn wait(&self) -> Right {
        let mut taken = self.turn.lock();
        while *taken {
            taken = self.turn.free.wait(taken).expect("nobody panics while holding it");
        }
        *taken = true;
        Right { turn: Arc::clone(&self.turn) }
    }

    /// Keeps what came over `link`.
    pub fn put(&self, link: LinkId, sink: Held<S>) {
        let old = self.lock().replace((link, sink));
        assert!(old.is_none(), "there is one sink at a time");
    }

    /// Hands out what came over `link`. From then on there may be another sink.
    pub fn take(&self, link: LinkId) -> Option<S> {
        let held = self.lock().take_if(|(of, _)| *of == link)?.1;
        Some(held.sink)
    }

    /// Throws away what nobody has fetched, elsewhere: it may be a whole tree and a file.
    pub fn clear(&self) {
        let Some(old) = self.lock().take() else { return };
        let name = "snapshot-waste".to_owned();
        if let Err(e) = std::thread::Builder::new().name(name).spawn(move || drop(old)) {
            // Without a thread it was dropped here.
            tracing::warn!("No thread can be started to drop a snapshot: {e}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(LinkId, Held<S>)>> {
        self.received.lock().expect("nobody panics while holding it")
    }
}

impl Right {
    /// Binds it to a sink.
    pub fn hold<S>(self, sink: S) -> Held<S> {
        Held { sink, _right: self }
    }
}

impl<S> Held<S> {
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }
}

impl Turn {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().expect("nobody panics while holding it")
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        *self.turn.lock() = false;
        self.turn.free.notify_one();
    }
}
