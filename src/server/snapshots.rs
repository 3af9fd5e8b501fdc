//! Snapshots, taken beside the traffic: the image is read in short slices under the shared lock
//! and written by a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::disk::RealDisk;
use crate::limits;
use crate::net::Shared;
use crate::storage::{snapshot_name, Compression, SnapshotInfo, SnapshotWriter, StorageError};
use crate::tree::ImageHead;

/// Takes one snapshot at a time.
pub(super) struct Snapshots {
    dir: PathBuf,
    compression: Compression,
    with_digest: bool,
    with_last_zxid: bool,
    running: Option<JoinHandle<()>>,
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
        if self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            tracing::warn!("Too busy to snap, skipping");
            return;
        }
        self.wait();
        let head = shared.replica.write().expect("nobody panics while writing").begin_image();
        let job = Job {
            shared: Arc::clone(shared),
            dir: self.dir.clone(),
            compression: self.compression,
            with_digest: self.with_digest,
            with_last_zxid: self.with_last_zxid,
            head,
        };
        let thread = std::thread::Builder::new().name("Snapshot Thread".into());
        match thread.spawn(move || job.run()) {
            Ok(thread) => self.running = Some(thread),
            Err(e) => {
                tracing::error!("Can't start a thread for a snapshot: {e}");
                end_image(shared);
            }
        }
    }

    /// Waits for the snapshot that is being taken, if one is.
    pub fn wait(&mut self) {
        if let Some(thread) = self.running.take() {
            // A panic there has been printed; the log still has everything.
            let _ = thread.join();
        }
    }
}

struct Job {
    shared: Arc<Shared>,
    dir: PathBuf,
    compression: Compression,
    with_digest: bool,
    with_last_zxid: bool,
    head: ImageHead,
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
        if matches!(written, Ok(Some(_))) {
            self.shared.metrics.snapshottime.add(took_ms);
        }
        match written {
            Ok(None) => tracing::info!("Snapshot given up: the server stops"),
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
            if self.shared.is_stopping() {
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
