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
use crate::storage::{BodyReader, Dirs, LogRange, ReceiveError, RecoverOptions, SnapshotReceiver};
use crate::tree::Replica;
use crate::types::{LoggedTxn, Sid, Zxid};
use crate::zab::{Event, LinkId, Notification};

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

    fn listen_for_observers(&mut self, on: bool) {
        self.ports.listen_for_observers(on);
    }

    fn dial_master(&mut self, master: Sid, within_ms: i64) {
        self.ports.dial_master(master, within_ms);
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

    fn flush(&mut self, is_quiet: bool) {
        self.ports.flush(is_quiet);
    }

    fn heard(&mut self, event: &Event) {
        self.ports.heard(event);
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
    /// Its file is one that recovery would read and write by `how`.
    pub fn new(dirs: &Dirs, zxid: Zxid, how: &RecoverOptions) -> io::Result<Intake> {
        let mut receiver = SnapshotReceiver::new(&RealDisk, dirs, zxid, how.tree, how.compression)
            .map_err(io::Error::other)?;
        if !how.with_last_zxid {
            receiver.leave_out_last_zxid();
        }
        Ok(Intake(Some(receiver)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{write_snapshot, Compression};
    use crate::tree::TreeOptions;

    /// A learner's file is what its leader would have written by the learner's settings, whatever
    /// the leader's own are (`serializeLastProcessedZxid.enabled`).
    #[test]
    fn a_received_snapshot_has_the_sections_that_this_server_writes() {
        let temp = tempfile::tempdir().unwrap();
        let mut leaders = Replica::new(TreeOptions::default());
        leaders.write_config(b"version=0", Zxid(0), 7);
        let written = |name: &str, replica: &mut Replica, with_last_zxid| {
            let dir = temp.path().join(name);
            std::fs::create_dir_all(&dir).unwrap();
            let plain = Compression::None;
            write_snapshot(&RealDisk, &dir, replica, plain, with_last_zxid).unwrap().path
        };
        for (of_leader, of_learner) in [(true, false), (false, true)] {
            let sent = written(&format!("leader.{of_leader}"), &mut leaders, of_leader);
            let dir = temp.path().join(format!("learner.{of_learner}"));
            std::fs::create_dir_all(dir.join("version-2")).unwrap();
            let dirs = Dirs::new(&dir, None);
            let how = RecoverOptions { with_last_zxid: of_learner, ..RecoverOptions::default() };
            let mut intake = Intake::new(&dirs, Zxid(0), &how).unwrap();
            let (mut body, mut bytes) = (BodyReader::open(&RealDisk, &sent).unwrap(), Vec::new());
            while body.next_chunk(&mut bytes).unwrap() {}
            assert_eq!(intake.feed(&bytes).unwrap(), Some(bytes.len()));
            intake.install().unwrap();
            let received = std::fs::read(dirs.snapshots.join("snapshot.0")).unwrap();
            let expected = written("expected", &mut leaders, of_learner);
            assert_eq!(received, std::fs::read(expected).unwrap());
            assert_ne!(received, std::fs::read(sent).unwrap());
        }
    }
}
