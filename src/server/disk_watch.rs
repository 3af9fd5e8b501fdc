//! A member whose disk hangs. The pipeline thread waits for it and can't do anything else: neither
//! can it hear the other members, who give it up after `syncLimit`, nor let its clients go, who
//! would be shown what was true when the disk stopped. So somebody else looks at the clock.

use std::sync::mpsc::{channel, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::net::Shared;

/// What the pipeline thread waits for, as the other thread sees it.
pub(super) struct DiskWatch {
    wait: Mutex<Wait>,
    limit_ms: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    /// For the disk, since then, monotonic ms.
    Disk(i64),
    /// For the disk, and its role is lost.
    TooLong,
}

impl DiskWatch {
    /// A role is lost when its disk has not answered for so long, ms.
    pub fn new(limit_ms: i64) -> DiskWatch {
        DiskWatch { wait: Mutex::new(Wait::Nothing), limit_ms }
    }

    /// The pipeline thread turns to the disk.
    pub fn begin(&self, now_ms: i64) {
        *self.lock() = Wait::Disk(now_ms);
    }

    /// The disk has answered. True: too late, and the role must be left.
    pub fn end(&self, now_ms: i64) -> bool {
        match std::mem::replace(&mut *self.lock(), Wait::Nothing) {
            Wait::Nothing => false,
            Wait::Disk(since_ms) => now_ms - since_ms >= self.limit_ms,
            Wait::TooLong => true,
        }
    }

    /// Calls `give_up`, once, if the disk keeps the pipeline waiting for too long. The pipeline
    /// does not go on before that has returned.
    fn look(&self, now_ms: i64, give_up: impl FnOnce(i64)) {
        let mut wait = self.lock();
        if let Wait::Disk(since_ms) = *wait {
            if now_ms - since_ms >= self.limit_ms {
                *wait = Wait::TooLong;
                give_up(now_ms - since_ms);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wait> {
        self.wait.lock().expect("nobody panics while holding it")
    }

    /// Starts the thread that looks. It ends when what is returned is dropped.
    pub fn start(self: &Arc<DiskWatch>, shared: &Arc<Shared>) -> std::io::Result<Sender<()>> {
        let (stop, stopped) = channel();
        let (watch, shared) = (Arc::clone(self), Arc::clone(shared));
        let pause = Duration::from_millis((self.limit_ms / 10).clamp(10, 500) as u64);
        std::thread::Builder::new().name("disk-watch".to_owned()).spawn(move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                watch.look((shared.clock)().mono_ms, |ms| {
                    tracing::error!(
                        "The disk has not answered for {ms} ms, longer than syncLimit: no client \
                         is served, and the role is left as soon as it does"
                    );
                    shared.stop_serving();
                });
            }
        })?;
        Ok(stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up(watch: &DiskWatch, now_ms: i64) -> Option<i64> {
        let mut after = None;
        watch.look(now_ms, |ms| after = Some(ms));
        after
    }

    #[test]
    fn a_disk_that_hangs_is_given_up_once() {
        let watch = DiskWatch::new(100);
        assert_eq!(given_up(&watch, 0), None);
        watch.begin(1_000);
        assert_eq!(given_up(&watch, 1_099), None);
        assert_eq!(given_up(&watch, 1_100), Some(100));
        assert_eq!(given_up(&watch, 1_200), None);
        assert!(watch.end(1_300));
        assert_eq!(given_up(&watch, 1_400), None);
        assert!(!watch.end(1_400));
    }

    #[test]
    fn whoever_looks_too_late_changes_nothing() {
        let watch = DiskWatch::new(100);
        watch.begin(1_000);
        assert!(!watch.end(1_099));
        watch.begin(1_000);
        assert!(watch.end(1_100));
        assert_eq!(given_up(&watch, 2_000), None);
    }
}
