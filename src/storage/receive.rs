//! A leader's snapshot on its way in: the body behind the packet SNAP, in whatever pieces the
//! network gives it.

use crate::tree::{Replica, ReplicaLoader, TreeOptions};
use crate::types::{SessionId, Zxid};

use super::disk::Disk;
use super::error::StorageError;
use super::install::Install;
use super::recovery::Dirs;
use super::snapshot::{Compression, Event, Parser, SnapshotWriter, Step};

/// Buffered bytes are written out from this size on.
const WRITE_BYTES: usize = 1 << 20;

/// Why a snapshot cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The leader sent something that is no snapshot: close the connection.
    #[error("the leader's snapshot of {zxid} cannot be used, at offset {offset}: {what}")]
    Body { zxid: Zxid, offset: u64, what: String },
    /// This server's disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Builds a replica of the body and writes the same bytes down as a snapshot, under a name that
/// nobody reads. Memory besides the replica: the longest znode, and a megabyte.
pub struct SnapshotReceiver<D: Disk> {
    disk: D,
    dirs: Dirs,
    zxid: Zxid,
    tree: TreeOptions,
    loader: ReplicaLoader,
    writer: SnapshotWriter<D>,
    parser: Parser,
    /// What came and is not a whole part yet.
    pending: Vec<u8>,
    /// No step is worth trying before so many bytes are pending.
    need: usize,
    /// Bytes of the body that are read.
    offset: u64,
    ended: bool,
}

impl<D: Disk> SnapshotReceiver<D> {
    /// Begins with the snapshot of `zxid`, as the packet SNAP says.
    pub fn new(
        disk: &D,
        dirs: &Dirs,
        zxid: Zxid,
        tree: TreeOptions,
        compression: Compression,
    ) -> Result<SnapshotReceiver<D>, StorageError> {
        Ok(SnapshotReceiver {
            disk: disk.clone(),
            dirs: dirs.clone(),
            zxid,
            tree,
            loader: ReplicaLoader::new(tree),
            writer: SnapshotWriter::of_body(disk, &dirs.snapshots, zxid, compression)?,
            parser: Parser::new(),
            pending: Vec::new(),
            need: 0,
            offset: 0,
            ended: false,
        })
    }

    /// Leaves out the section with the last zxid (`serializeLastProcessedZxid.enabled=false`).
    pub fn leave_out_last_zxid(&mut self) {
        self.writer.leave_out_last_zxid();
    }

    /// The transaction that the snapshot is of.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Takes what came next. `Some(n)`: the body is whole with the first `n` of these bytes; what
    /// is behind them (the signature) is the caller's. After an error there is only
    /// [`SnapshotReceiver::abandon`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, ReceiveError> {
        assert!(!self.ended, "nothing belongs to a body that has ended");
        let held = self.pending.len();
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < self.need {
            return Ok(None);
        }
        let mut used = 0;
        loop {
            let step = {
                let loader = &mut self.loader;
                self.parser.step(&self.pending[used..], &mut |event| load(loader, event))
            };
            match step {
                Err(what) => {
                    let (zxid, offset) = (self.zxid, self.offset);
                    return Err(ReceiveError::Body { zxid, offset, what });
                }
                Ok(Step::Used(n)) => {
                    self.writer.body(&self.pending[used..used + n]);
                    self.offset += n as u64;
                    used += n;
                    if self.writer.buffered_bytes() >= WRITE_BYTES {
                        self.writer.write_out()?;
                    }
                }
                Ok(Step::Need(n)) => {
                    self.need = n;
                    self.pending.drain(..used);
                    return Ok(None);
                }
                Ok(Step::End(n)) => {
                    self.ended = true;
                    self.pending = Vec::new();
                    return Ok(Some(used + n - held));
                }
            }
        }
    }

    /// Makes the snapshot, whose body and signature have come, this server's state, durably:
    /// whatever logs and other snapshots say is gone. The next log begins behind the snapshot.
    ///
    /// No log may be open, no snapshot of our own being written, no purge running.
    ///
    /// # Panics
    /// If the body has not ended.
    pub fn install(self) -> Result<Replica, ReceiveError> {
        assert!(self.ended, "only a whole snapshot is installed");
        let (zxid, offset) = (self.zxid, self.offset);
        let loaded = self.loader.finish(zxid);
        let replica = match loaded {
            Ok(replica) => replica,
            Err(e) => {
                self.writer.abandon()?;
                return Err(ReceiveError::Body { zxid, offset, what: e.to_string() });
            }
        };
        let digest = self.tree.digest_enabled.then(|| replica.digest());
        let (part, name) = self.writer.finish_unnamed(digest)?;
        let install = Install { part, name };
        install.decide(&self.disk, &self.dirs)?;
        install.finish(&self.disk, &self.dirs)?;
        Ok(replica)
    }

    /// Gives up: removes what was written.
    pub fn abandon(self) -> Result<(), StorageError> {
        self.writer.abandon()
    }
}

fn load(loader: &mut ReplicaLoader, event: Event<'_>) -> Result<(), String> {
    match event {
        Event::Session { id, timeout_ms } => loader.session(SessionId(id), timeout_ms),
        Event::Acl { id, acl } => loader.acl(id, &acl),
        Event::Node { path, data, acl, stat } => {
            loader.node(&path, data, acl, &stat).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}
