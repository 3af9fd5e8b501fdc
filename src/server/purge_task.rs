//! `autopurge.*`: old snapshots and logs go, at the start and then every so many hours, on a
//! thread of its own (Apache's `DatadirCleanupManager`).

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::options::Purge;
use crate::disk::RealDisk;
use crate::storage::{self, Dirs};

/// Held by whoever removes files or replaces what they say: a purge must not look at a directory
/// in which a leader's snapshot is just taking the place of everything else.
pub(super) type FilesLock = Arc<Mutex<()>>;

/// Keeps the others away until the guard is dropped. Nothing is left half done by a panic that
/// recovery would not mend.
pub(super) fn hold(files: &FilesLock) -> MutexGuard<'_, ()> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running task; ends when dropped.
pub(super) struct PurgeTask {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PurgeTask {
    /// Purges now and from now on.
    pub fn start(dirs: Dirs, purge: Purge, files: FilesLock) -> std::io::Result<PurgeTask> {
        let every = Duration::from_secs(purge.every_hours.saturating_mul(3600));
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("PurgeTask".into())
            .spawn(move || repeat(every, &stopped, || purge_once(&dirs, purge.retain, &files)))?;
        Ok(PurgeTask { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for PurgeTask {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; nothing depends on a purge.
            let _ = thread.join();
        }
    }
}

/// Does `task` at once and then every `every`, until the sender of `stopped` is dropped.
fn repeat(every: Duration, stopped: &Receiver<()>, mut task: impl FnMut()) {
    loop {
        task();
        if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// What can't be removed now is tried again next time.
fn purge_once(dirs: &Dirs, retain: usize, files: &FilesLock) {
    let _files = hold(files);
    tracing::info!("Purge task started.");
    match storage::purge(&RealDisk, dirs, retain) {
        Ok(removed) => {
            for path in removed {
                tracing::info!("Removing file: {}", path.display());
            }
        }
        Err(e) => tracing::error!("Error occurred while purging. {e}"),
    }
    tracing::info!("Purge task completed.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_at_once_and_again_until_it_is_stopped() {
        let (stop, stopped) = mpsc::channel();
        let mut stop = Some(stop);
        let mut runs = 0;
        repeat(Duration::from_millis(1), &stopped, || {
            runs += 1;
            if runs == 3 {
                stop.take();
            }
        });
        assert_eq!(runs, 3);
    }

    #[test]
    fn a_started_task_purges_and_ends_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(dir.path(), None);
        std::fs::create_dir(&dirs.logs).unwrap();
        // Nothing looks whole here, so nothing may go.
        let log = dirs.logs.join("log.1");
        std::fs::write(&log, b"").unwrap();
        drop(
            PurgeTask::start(dirs, Purge { retain: 3, every_hours: 1 }, FilesLock::default())
                .unwrap(),
        );
        assert!(log.exists());
    }
}
