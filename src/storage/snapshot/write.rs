//! Writing a snapshot: under a name nobody reads, made durable, then renamed.

use std::io::Write;
use std::path::{Path, PathBuf};

use jute::disk::{Seal, SessionEntry, SnapshotDigest, NODES_END};
use jute::{Acl, Encode, StatPersisted, Writer};

use super::snappy::SnappyWriter;
use super::{Compression, DIGEST_VERSION, HEADER};
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::error::StorageError;
use crate::storage::names::{snapshot_name, ORIGIN, PART_PREFIX};
use crate::storage::origin;
use crate::tree::{ImageHead, ImageNode, Replica};
use crate::types::Zxid;

/// Packed bytes go to the disk in pieces of about this size.
const PIECE: usize = 1 << 20;

/// A finished snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub path: PathBuf,
    pub zxid: Zxid,
    /// Length of the file.
    pub bytes: u64,
    /// The checksum in its first seal.
    pub seal: i64,
}

/// A snapshot being written. Parts are taken in the order of the format: sessions and ACLs with
/// [`SnapshotWriter::create`], znodes parent before child, then the digest.
///
/// [`SnapshotWriter::node`] only fills a buffer, so it may be called while the replica is locked;
/// [`SnapshotWriter::write_out`] packs and writes, and is called when it is not.
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    dir: PathBuf,
    part: PathBuf,
    zxid: Zxid,
    file: D::File,
    at: u64,
    raw: Writer,
    sum: simd_adler32::Adler32,
    packer: Packer,
    compression: Compression,
    /// Whether the section with the last zxid is written.
    with_last_zxid: bool,
}

/// Writes a snapshot of `replica`, which nobody else uses meanwhile. A serving process does the
/// same steps and holds the replica's lock only for each slice.
pub fn write_snapshot<D: Disk>(
    disk: &D,
    dir: &Path,
    replica: &mut Replica,
    compression: Compression,
    with_last_zxid: bool,
) -> Result<SnapshotInfo, StorageError> {
    let head = replica.begin_image();
    let written = write_image(disk, dir, replica, &head, compression);
    drop(replica.end_image());
    let mut writer = written?;
    writer.with_last_zxid = with_last_zxid;
    writer.finish(replica.options().digest_enabled.then_some(head.digest))
}

fn write_image<D: Disk>(
    disk: &D,
    dir: &Path,
    replica: &Replica,
    head: &ImageHead,
    compression: Compression,
) -> Result<SnapshotWriter<D>, StorageError> {
    let mut writer = SnapshotWriter::of_image(disk, dir, head, compression)?;
    let mut cursor = head.cursor();
    loop {
        let more = replica.image_slice(&mut cursor, PIECE, &mut |node| writer.image_node(&node));
        writer.write_out()?;
        if !more {
            return Ok(writer);
        }
    }
}

enum Packer {
    None(Vec<u8>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Snappy(Box<SnappyWriter>),
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins the snapshot of the tree as it is behind `zxid`. What an earlier attempt left under
    /// the same name is removed.
    pub fn create<'a>(
        disk: &D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
        sessions: impl ExactSizeIterator<Item = (i64, i32)>,
        acls: impl ExactSizeIterator<Item = (i64, &'a [Acl<'static>])>,
    ) -> Result<Self, StorageError> {
        let mut writer = SnapshotWriter::of_body(disk, dir, zxid, compression)?;
        let raw = &mut writer.raw;
        raw.i32(count(sessions.len()));
        for (id, timeout_ms) in sessions {
            SessionEntry { id, timeout_ms }.encode(raw);
        }
        raw.i32(count(acls.len()));
        for (id, acl) in acls {
            raw.i64(id);
            raw.vector(Some(acl));
        }
        Ok(writer)
    }

    /// Begins a snapshot whose body comes in bytes, by [`SnapshotWriter::body`].
    pub fn of_body(
        disk: &D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
    ) -> Result<Self, StorageError> {
        let part = dir.join(format!("{PART_PREFIX}{:x}", zxid.0));
        let failure = |e| StorageError::io(&part, "create a snapshot", e);
        if disk.exists(&part).map_err(failure)? {
            disk.remove(&part).map_err(failure)?;
        }
        let file = disk.create(&part).map_err(failure)?;
        let mut raw = Writer::with_capacity(2 * PIECE);
        raw.raw(&HEADER);
        Ok(SnapshotWriter {
            disk: disk.clone(),
            dir: dir.to_owned(),
            part,
            zxid,
            file,
            at: 0,
            raw,
            sum: simd_adler32::Adler32::new(),
            packer: Packer::new(compression),
            compression,
            with_last_zxid: true,
        })
    }

    /// Leaves out the last section, as `serializeLastProcessedZxid.enabled=false` asks for. The
    /// name says as much.
    pub fn leave_out_last_zxid(&mut self) {
        self.with_last_zxid = false;
    }

    /// Begins the snapshot of an image of the replica.
    pub fn of_image(
        disk: &D,
        dir: &Path,
        head: &ImageHead,
        compression: Compression,
    ) -> Result<Self, StorageError> {
        let sessions = head.sessions.iter().map(|(id, timeout_ms)| (id.0, *timeout_ms));
        let acls = head.acls.iter().map(|(id, list)| (id.number(), &list[..]));
        SnapshotWriter::create(disk, dir, head.zxid, compression, sessions, acls)
    }

    /// Adds a node of the image. Buffers only.
    pub fn image_node(&mut self, node: &ImageNode<'_>) {
        self.node(node.path, node.data, node.acl.number(), &node.stat);
    }

    /// Adds a znode; the root's path is empty. Buffers only.
    pub fn node(&mut self, path: &str, data: Option<&[u8]>, acl: i64, stat: &StatPersisted) {
        self.raw.string(Some(path));
        self.raw.buffer(data);
        self.raw.i64(acl);
        stat.encode(&mut self.raw);
    }

    /// Adds bytes of a body, which are not looked at; its end is left to
    /// [`SnapshotWriter::finish`]. Buffers only.
    pub fn body(&mut self, bytes: &[u8]) {
        self.raw.raw(bytes);
    }

    /// How many bytes wait for [`SnapshotWriter::write_out`].
    pub fn buffered_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Packs what is buffered and writes whole pieces of it.
    pub fn write_out(&mut self) -> Result<(), StorageError> {
        self.sum.write(self.raw.as_slice());
        let packed = self.packer.pack(self.raw.as_slice());
        packed.map_err(|e| StorageError::io(&self.part, "pack a snapshot", e))?;
        self.raw.clear();
        if self.packer.out().len() >= PIECE {
            self.write_piece()?;
        }
        Ok(())
    }

    /// Ends the snapshot of a tree with `digest` (`None`: digests are off), makes it durable and
    /// gives it its name.
    pub fn finish(mut self, digest: Option<u64>) -> Result<SnapshotInfo, StorageError> {
        let seal = self.end(digest)?;
        self.publish(seal)
    }

    /// Ends the snapshot as [`SnapshotWriter::finish`] does and makes its bytes durable, but leaves
    /// it under the name that nobody reads: answers that, and the one it is to have.
    pub fn finish_unnamed(mut self, digest: Option<u64>) -> Result<(String, String), StorageError> {
        self.end(digest)?;
        if !mutant!(SnapAckedEarly) {
            self.sync()?;
        }
        let part = format!("{PART_PREFIX}{:x}", self.zxid.0);
        Ok((part, snapshot_name(self.zxid, self.compression)))
    }

    /// Ends body and sections; answers the first seal.
    fn end(&mut self, digest: Option<u64>) -> Result<i64, StorageError> {
        self.raw.string(Some(NODES_END));
        let seal = self.seal()?;
        if let Some(digest) = digest {
            let (zxid, digest) = (self.zxid.0, digest as i64);
            SnapshotDigest { zxid, version: DIGEST_VERSION, digest }.encode(&mut self.raw);
            self.seal()?;
        }
        if self.with_last_zxid {
            self.raw.i64(self.zxid.0);
            self.seal()?;
        }
        let ended = self.packer.end();
        ended.map_err(|e| StorageError::io(&self.part, "pack a snapshot", e))?;
        self.write_piece()?;
        Ok(seal)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(|e| StorageError::io(&self.part, "sync a snapshot", e))
    }

    /// Gives up: removes what was written.
    pub fn abandon(self) -> Result<(), StorageError> {
        self.disk
            .remove(&self.part)
            .map_err(|e| StorageError::io(&self.part, "remove an unfinished snapshot", e))
    }

    fn publish(mut self, seal: i64) -> Result<SnapshotInfo, StorageError> {
        let name = snapshot_name(self.zxid, self.compression);
        let path = self.dir.join(&name);
        self.sync()?;
        let part = &self.part;
        self.disk
            .rename(part, &path)
            .map_err(|e| StorageError::io(part, "rename a snapshot", e))?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(|e| StorageError::io(&self.dir, "sync the directory", e))?;
        origin::note(&self.disk, &self.dir, &name, seal)
            .map_err(|e| StorageError::io(&self.dir.join(ORIGIN), "note the snapshot", e))?;
        Ok(SnapshotInfo { path, zxid: self.zxid, bytes: self.at, seal })
    }

    /// Checksum of all before it, and the path that ends it.
    fn seal(&mut self) -> Result<i64, StorageError> {
        self.write_out()?;
        let checksum = i64::from(self.sum.finish());
        Seal { checksum, end: NODES_END.into() }.encode(&mut self.raw);
        self.write_out()?;
        Ok(checksum)
    }

    fn write_piece(&mut self) -> Result<(), StorageError> {
        let bytes = self.packer.out();
        let written = self.file.write_at(self.at, bytes);
        written.map_err(|e| StorageError::io(&self.part, "write a snapshot", e))?;
        self.at += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }
}

impl Packer {
    fn new(compression: Compression) -> Packer {
        match compression {
            Compression::None => Packer::None(Vec::new()),
            Compression::Gzip => {
                let level = flate2::Compression::default();
                Packer::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level)))
            }
            Compression::Snappy => Packer::Snappy(Box::new(SnappyWriter::new())),
        }
    }

    fn pack(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Packer::None(out) => out.write_all(bytes),
            Packer::Gzip(gzip) => gzip.write_all(bytes),
            Packer::Snappy(snappy) => snappy.write_all(bytes),
        }
    }

    fn end(&mut self) -> std::io::Result<()> {
        match self {
            Packer::None(_) => Ok(()),
            Packer::Gzip(gzip) => gzip.try_finish(),
            Packer::Snappy(snappy) => snappy.finish(),
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Packer::None(out) => out,
            Packer::Gzip(gzip) => gzip.get_mut(),
            Packer::Snappy(snappy) => &mut snappy.out,
        }
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).expect("sessions and ACLs are counted in an int")
}
