//! Where the files behind the quorum port come from and go to, and the port itself as the
//! pipeline knows it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::platform::Ports;
use super::snapshots::Finished;
use crate::disk::RealDisk;
use crate::net::quorum::{
    LogSource, PeerPorts, QuorumThread, SnapshotBody, SnapshotFile, SnapshotSink,
};
use crate::storage::{BodyReader, Compression, Dirs, LogRange, ReceiveError, SnapshotReceiver};
use crate::tree::{Replica, TreeOptions};
use crate::types::{LoggedTxn, Sid, Zxid};
use crate::zab::{LinkId, Notification};

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
fn snapshot_file(zxid: Zxid, finished: Arc<Finished>) -> SnapshotFile {
    let open = move || -> io::Result<Box<dyn SnapshotBody>> {
        let path: PathBuf = finished
            .wait()
            .ok_or_else(|| io::Error::other("the snapshot for the learner was not finished"))?;
        Ok(Box::new(Body(BodyReader::open(&RealDisk, &path)?)))
    };
    SnapshotFile { zxid, open: Box::new(open) }
}

/// The sockets between members, and their thread.
pub(super) struct PeerSockets {
    pub ports: PeerPorts<Intake>,
    pub thread: QuorumThread,
}

impl Ports for PeerSockets {
    type File = Arc<Finished>;

    fn notify(&mut self, to: Sid, notification: Notification) {
        self.ports.notify(to, notification);
    }

    fn listen(&mut self, on: bool) {
        self.ports.listen(on);
    }

    fn dial(&mut self, leader: Sid, within_ms: i64) {
        self.ports.dial(leader, within_ms);
    }

    fn send(&mut self, link: LinkId, packets: Bytes) {
        self.ports.send(link, packets);
    }

    fn send_log(&mut self, link: LinkId, from: Zxid, upto: Zxid) {
        self.ports.send_log(link, from, upto);
    }

    fn send_snapshot(&mut self, link: LinkId, zxid: Zxid, file: Arc<Finished>) {
        self.ports.send_snapshot(link, snapshot_file(zxid, file));
    }

    fn close(&mut self, link: LinkId) {
        self.ports.close(link);
    }

    fn flush(&mut self) {
        self.ports.flush();
    }

    fn install(&mut self, link: LinkId) -> Result<Replica, ReceiveError> {
        let received = self.ports.received(link);
        received.expect("the core installs what it was told to have come").install()
    }

    fn stop(self) {
        drop(self.ports);
        self.thread.join();
    }
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
