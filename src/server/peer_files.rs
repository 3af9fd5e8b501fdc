//! Where the files behind the quorum port come from and go to.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::snapshots::Finished;
use crate::disk::RealDisk;
use crate::net::quorum::{LogSource, SnapshotBody, SnapshotFile, SnapshotSink};
use crate::storage::{BodyReader, Compression, Dirs, LogRange, ReceiveError, SnapshotReceiver};
use crate::tree::{Replica, TreeOptions};
use crate::types::{LoggedTxn, Zxid};

/// The log on disk, for learners.
pub(super) struct LogFiles(pub Dirs);

impl LogSource for LogFiles {
    fn read(
        &self,
        from: Zxid,
        upto: Zxid,
        each: &mut dyn FnMut(LoggedTxn) -> bool,
    ) -> io::Result<()> {
        let mut range = LogRange::open(&RealDisk, &self.0, from, upto)?;
        while let Some(txn) = range.next_txn()? {
            if !each(txn) {
                break;
            }
        }
        Ok(())
    }
}

/// A snapshot's file as a learner gets it.
struct Body(BodyReader);

impl SnapshotBody for Body {
    fn next_chunk(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        self.0.next_chunk(out)
    }
}

/// The snapshot of `zxid` for a learner: opened when it is written and its turn has come.
pub(super) fn snapshot_file(zxid: Zxid, finished: Arc<Finished>) -> SnapshotFile {
    let open = move || -> io::Result<Box<dyn SnapshotBody>> {
        let path: PathBuf = finished
            .wait()
            .ok_or_else(|| io::Error::other("the snapshot for the learner was not finished"))?;
        Ok(Box::new(Body(BodyReader::open(&RealDisk, &path)?)))
    };
    SnapshotFile { zxid, open: Box::new(open) }
}

/// Takes in the leader's snapshot. Dropped without being installed it leaves nothing behind.
pub(super) struct Intake(Option<SnapshotReceiver<RealDisk>>);

impl Intake {
    pub fn new(
        dirs: &Dirs,
        zxid: Zxid,
        tree: TreeOptions,
        compression: Compression,
    ) -> io::Result<Intake> {
        let receiver = SnapshotReceiver::new(&RealDisk, dirs, zxid, tree, compression);
        receiver.map(|receiver| Intake(Some(receiver))).map_err(io::Error::other)
    }

    /// Makes it this server's state, durably.
    pub fn install(mut self) -> Result<Replica, ReceiveError> {
        self.0.take().expect("it is taken only here and when dropped").install()
    }
}

impl SnapshotSink for Intake {
    fn feed(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let receiver = self.0.as_mut().expect("as above");
        receiver.feed(bytes).map_err(io::Error::other)
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.0.take().map(SnapshotReceiver::abandon) {
            tracing::warn!("A snapshot that is not needed could not be removed: {e}");
        }
    }
}
