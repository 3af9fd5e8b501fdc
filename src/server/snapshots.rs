//! Snapshots, taken beside the traffic: the image is read in short slices under the shared lock
//! and written by a thread of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::clock;
use super::options::ServerOptions;
use super::peer_files::PeerSockets;
use super::platform::{Platform, SnapshotTaker};
use crate::disk::RealDisk;
use crate::limits;
use crate::net::Shared;
use crate::storage::{
    snapshot_name, Compression, Dirs, Disk, SnapshotInfo, SnapshotWriter, StorageError,
};
use crate::tree::{ImageCursor, ImageHead};
use crate::types::{Now, Zxid};

/// The server's disk, threads and clock.
pub(super) struct System;

impl Platform for System {
    type Disk = RealDisk;
    type Snapshots = Snapshots;
    type Ports = PeerSockets;

    fn now() -> Now {
        clock::now()
    }
}

/// Where snapshots are written, and in which form.
#[derive(Debug, Clone)]
pub struct SnapshotForm {
    /// A `version-2`.
    pub dir: PathBuf,
    pub compression: Compression,
    pub with_digest: bool,
    /// `serializeLastProcessedZxid.enabled`.
    pub with_last_zxid: bool,
}

impl SnapshotForm {
    /// As a server is told.
    pub fn new(options: &ServerOptions, dirs: &Dirs) -> SnapshotForm {
        SnapshotForm {
            dir: dirs.snapshots.clone(),
            compression: options.compression,
            with_digest: options.tree.digest_enabled,
            with_last_zxid: options.with_last_zxid,
        }
    }
}

/// Takes one snapshot at a time, on a thread of its own.
pub(super) struct Snapshots {
    form: SnapshotForm,
    running: Option<Running>,
}

struct Running {
    thread: JoinHandle<()>,
    give_up: Arc<AtomicBool>,
}

impl Snapshots {
    /// None is being taken.
    pub fn new(form: SnapshotForm) -> Snapshots {
        Snapshots { form, running: None }
    }
}

impl SnapshotTaker for Snapshots {
    type File = Arc<Finished>;

    fn take(&mut self, shared: &Arc<Shared>) {
        if self.is_busy() {
            tracing::warn!("Too busy to snap, skipping");
            return;
        }
        self.begin(shared);
    }

    fn is_busy(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.thread.is_finished())
    }

    /// `None` if there is no thread to be had.
    fn begin(&mut self, shared: &Arc<Shared>) -> Option<(Zxid, Arc<Finished>)> {
        self.wait();
        let head = begin_image(shared);
        let (zxid, finished) = (head.zxid, Arc::new(Finished::default()));
        let give_up = Arc::new(AtomicBool::new(false));
        let job = Job {
            shared: Arc::clone(shared),
            form: self.form.clone(),
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

    fn wait(&mut self) {
        if let Some(running) = self.running.take() {
            // A panic there has been printed; the log still has everything.
            let _ = running.thread.join();
        }
    }

    fn give_up(&mut self) {
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
    form: SnapshotForm,
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
        let path = self.form.dir.join(snapshot_name(self.head.zxid, self.form.compression));
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
        let mut slices = Slices::begin(&RealDisk, &self.form, &self.head)?;
        while slices.next(&self.shared)? {
            if self.shared.is_stopping() || self.give_up.load(Ordering::Acquire) {
                // Nobody waits for it: the next start replays the log.
                slices.abandon()?;
                return Ok(None);
            }
        }
        slices.finish(&self.form, &self.head).map(Some)
    }
}

/// A snapshot that is being written, a slice of the image at a time.
pub struct Slices<D: Disk> {
    writer: Option<SnapshotWriter<D>>,
    cursor: ImageCursor,
}

impl<D: Disk> Slices<D> {
    /// Begins the file of the image that [`begin_image`] has begun.
    pub fn begin(
        disk: &D,
        form: &SnapshotForm,
        head: &ImageHead,
    ) -> Result<Slices<D>, StorageError> {
        let mut writer = SnapshotWriter::of_image(disk, &form.dir, head, form.compression)?;
        if !form.with_last_zxid {
            writer.leave_out_last_zxid();
        }
        Ok(Slices { writer: Some(writer), cursor: head.cursor() })
    }

    /// Writes the next slice; holds the shared lock as long as a worker does. False: it was the
    /// last. A snapshot that can't be written is taken away again.
    pub fn next(&mut self, shared: &Shared) -> Result<bool, StorageError> {
        let writer = self.writer.as_mut().expect("nothing follows an error");
        let more = {
            let replica = shared.replica.read().expect("nobody panics while writing");
            replica.image_slice(&mut self.cursor, limits::BYTES_PER_HOLD, &mut |node| {
                writer.image_node(&node);
            })
        };
        match writer.write_out() {
            Ok(()) => Ok(more),
            Err(e) => {
                self.writer.take().expect("it was there").abandon()?;
                Err(e)
            }
        }
    }

    /// Makes the file whole, durable and visible.
    pub fn finish(
        self,
        form: &SnapshotForm,
        head: &ImageHead,
    ) -> Result<SnapshotInfo, StorageError> {
        let writer = self.writer.expect("nothing follows an error");
        writer.finish(form.with_digest.then_some(head.digest))
    }

    /// Takes away what there is of it.
    pub fn abandon(self) -> Result<(), StorageError> {
        self.writer.map_or(Ok(()), SnapshotWriter::abandon)
    }
}

/// Begins an image of the replica as it is now. [`end_image`] ends it.
pub fn begin_image(shared: &Shared) -> ImageHead {
    shared.replica.write().expect("nobody panics while writing").begin_image()
}

/// Ends the image that is being read.
pub fn end_image(shared: &Shared) {
    let rest = shared.replica.write().expect("nobody panics while writing").end_image();
    // What the image kept alive is freed outside of the lock.
    drop(rest);
}
