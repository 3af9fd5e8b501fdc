//! Snapshots, taken beside the traffic: the image is read in short slices under the shared lock
//! and written by a thread of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use crate::disk::RealDisk;
use crate::limits;
use crate::net::Shared;
use crate::storage::{snapshot_name, Compression, SnapshotInfo, SnapshotWriter, StorageError};
use crate::tree::ImageHead;
use crate::types::Zxid;

/// Takes one snapshot at a time.
pub(super) struct Snapshots {
    dir: PathBuf,
    compression: Compression,
    with_digest: bool,
    with_last_zxid: bool,
    running: Option<Running>,
}

struct Running {
    thread: JoinHandle<()>,
    give_up: Arc<AtomicBool>,
}

impl Snapshots {
    /// Snapshots go into `dir` (a `version-2`).
    pub fn new(
        dir: PathBuf,
        compression: Compression,
        with_digest: bool,
        with_last_zxid: bool,
    ) -> Snapshots {
        Snapshots { dir, compression, with_digest, with_last_zxid, running: None }
    }

    /// Begins a snapshot of the replica as it is now, unless one is being taken still.
    pub fn take(&mut self, shared: &Arc<Shared>) {
        if self.is_busy() {
            tracing::warn!("Too busy to snap, skipping");
            return;
        }
        self.begin(shared);
    }

    /// Whether one is being taken.
    pub fn is_busy(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.thread.is_finished())
    }

    /// Begins a snapshot of the replica as it is now: its zxid, and where to wait for the file.
    /// `None` if there is no thread to be had.
    pub fn begin(&mut self, shared: &Arc<Shared>) -> Option<(Zxid, Arc<Finished>)> {
        self.wait();
        let head = shared.replica.write().expect("nobody panics while writing").begin_image();
        let (zxid, finished) = (head.zxid, Arc::new(Finished::default()));
        let give_up = Arc::new(AtomicBool::new(false));
        let job = Job {
            shared: Arc::clone(shared),
            dir: self.dir.clone(),
            compression: self.compression,
            with_digest: self.with_digest,
            with_last_zxid: self.with_last_zxid,
            head,
            give_up: Arc::clone(&give_up),
            finished: Arc::clone(&finished),
        };
        let thread = std::thread::Builder::new().name("Snapshot Thread".into());
        match thread.spawn(move || job.run()) {
            Ok(thread) => self.running = Some(Running { thread, give_up }),
            Err(e) => {
                tracing::error!("Can't start a thread for a snapshot: {e}");
                end_image(shared);
                return None;
            }
        }
        Some((zxid, finished))
    }

    /// Waits for the snapshot that is being taken, if one is.
    pub fn wait(&mut self) {
        if let Some(running) = self.running.take() {
            // A panic there has been printed; the log still has everything.
            let _ = running.thread.join();
        }
    }

    /// Ends the snapshot that is being taken: the replica is about to be another one.
    pub fn give_up(&mut self) {
        if let Some(running) = &self.running {
            running.give_up.store(true, Ordering::Release);
        }
        self.wait();
    }
}

/// A snapshot's end, for whoever waits for its file.
#[derive(Debug, Default)]
pub(super) struct Finished {
    file: Mutex<Option<Option<PathBuf>>>,
    told: Condvar,
}

impl Finished {
    /// The file, once it is whole; `None` if there will be none. Blocks.
    pub fn wait(&self) -> Option<PathBuf> {
        let mut file = self.file.lock().expect("nobody panics while holding it");
        loop {
            match &*file {
                Some(file) => return file.clone(),
                None => file = self.told.wait(file).expect("as above"),
            }
        }
    }

    fn tell(&self, path: Option<PathBuf>) {
        self.file.lock().expect("as above").get_or_insert(path);
        self.told.notify_all();
    }
}

struct Job {
    shared: Arc<Shared>,
    dir: PathBuf,
    compression: Compression,
    with_digest: bool,
    with_last_zxid: bool,
    head: ImageHead,
    give_up: Arc<AtomicBool>,
    finished: Arc<Finished>,
}

/// Whoever waits for the file hears of its end, even of a panic.
impl Drop for Job {
    fn drop(&mut self) {
        self.finished.tell(None);
        self.shared.asks.wake();
    }
}

impl Job {
    /// A snapshot that can't be written is a warning: the log has everything, and no old
    /// snapshot or log is removed because of it.
    fn run(self) {
        let started = (self.shared.clock)().mono_ms;
        let path = self.dir.join(snapshot_name(self.head.zxid, self.compression));
        tracing::info!("Snapshotting: {} to {}", self.head.zxid, path.display());
        let written = self.write();
        end_image(&self.shared);
        let took_ms = (self.shared.clock)().mono_ms - started;
        if let Ok(Some(info)) = &written {
            self.shared.metrics.snapshottime.add(took_ms);
            self.finished.tell(Some(info.path.clone()));
        }
        match written {
            Ok(None) => tracing::info!("Snapshot given up"),
            Ok(Some(info)) => tracing::info!(
                "Snapshot taken in {took_ms} ms: {} ({} bytes)",
                info.path.display(),
                info.bytes
            ),
            Err(e) => tracing::error!("Snapshot at {} failed: {e}", self.head.zxid),
        }
    }

    fn write(&self) -> Result<Option<SnapshotInfo>, StorageError> {
        let head = &self.head;
        let sessions = head.sessions.iter().map(|(id, timeout_ms)| (id.0, *timeout_ms));
        let acls = head.acls.iter().map(|(id, list)| (id.number(), &**list));
        let mut writer = SnapshotWriter::create(
            &RealDisk,
            &self.dir,
            head.zxid,
            self.compression,
            sessions,
            acls,
        )?;
        if !self.with_last_zxid {
            writer.leave_out_last_zxid();
        }
        let mut cursor = head.cursor();
        loop {
            let more = {
                let replica = self.shared.replica.read().expect("nobody panics while writing");
                replica.image_slice(&mut cursor, limits::BYTES_PER_HOLD, &mut |node| {
                    writer.node(node.path, node.data, node.acl.number(), &node.stat);
                })
            };
            if let Err(e) = writer.write_out() {
                writer.abandon()?;
                return Err(e);
            }
            if !more {
                break;
            }
            if self.shared.is_stopping() || self.give_up.load(Ordering::Acquire) {
                // Nobody waits for it: the next start replays the log.
                writer.abandon()?;
                return Ok(None);
            }
        }
        writer.finish(self.with_digest.then_some(head.digest)).map(Some)
    }
}

fn end_image(shared: &Shared) {
    let rest = shared.replica.write().expect("nobody panics while writing").end_image();
    // What the image kept alive is freed outside of the lock.
    drop(rest);
}
