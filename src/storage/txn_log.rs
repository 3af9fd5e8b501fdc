//! The writer of the transaction log: batches in, one fdatasync, Apache's bytes on the disk.
//!
//! ```text
//!   append, append, … ──▶ buffer ──▶ one write ──▶ fdatasync ──▶ may be acknowledged
//! ```
//!
//! Once anything has failed nothing more is taken: a log in an unknown state is not written to,
//! and a failed sync is never tried again.

use std::path::{Path, PathBuf};

use crate::types::{Chance, Zxid};

use super::disk::{Disk, DiskFile};
use super::error::StorageError;
use super::log_format::{put_record, BODY_MIN, HEADER, HEADER_LEN, RECORD_EXTRA};
use super::names::log_name;
use super::synced::{Synced, SyncedFile};

/// Buffered records are handed to the system from this size on, so that a huge batch does not
/// live twice in memory.
const BUFFER_BYTES: usize = 1 << 20;
/// Room is made when less than this is left (Apache's `FilePadding`).
const ROOM_BYTES: u64 = 4096;

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnLogOptions {
    /// A file grows in steps of this many bytes (`preAllocSize`); 0 grows it record by record.
    pub prealloc_bytes: u64,
    /// A file longer than this is left for a new one after a sync (`txnLogSizeLimitInKb`).
    pub size_limit_bytes: Option<u64>,
    /// `forceSync`: without it nothing waits for the disk, and a power failure loses writes that
    /// were acknowledged.
    pub force_sync: bool,
}

impl Default for TxnLogOptions {
    fn default() -> Self {
        TxnLogOptions { prealloc_bytes: 64 << 20, size_limit_bytes: None, force_sync: true }
    }
}

/// The transaction log of a directory, open for appending. Every instance starts a file of its
/// own with its first record; an old file is never written to again.
#[derive(Debug)]
pub struct TxnLog<D: Disk> {
    disk: D,
    dir: PathBuf,
    options: TxnLogOptions,
    open: Option<OpenLog<D::File>>,
    /// The last zxid appended, here or before the start.
    last: Zxid,
    /// Bytes of the files left behind by this instance, allocation included.
    earlier_bytes: u64,
    synced: Option<SyncedFile<D::File>>,
    failed: bool,
}

#[derive(Debug)]
struct OpenLog<F> {
    file: F,
    path: PathBuf,
    first: Zxid,
    /// Up to here the file has records.
    position: u64,
    /// Up to here the file has blocks; the file's length.
    size: u64,
    /// Records behind `position` that the system has not seen yet.
    buffer: Vec<u8>,
    /// What the last sync covered: end of records, last zxid.
    durable: Option<(u64, Zxid)>,
    /// Whether the watermark says so, too.
    published: bool,
    /// Something was written since the last sync.
    dirty: bool,
}

impl<D: Disk> TxnLog<D> {
    /// A log that goes on behind `last`, which recovery found in `dir`.
    pub fn new(disk: D, dir: impl Into<PathBuf>, options: TxnLogOptions, last: Zxid) -> TxnLog<D> {
        TxnLog {
            disk,
            dir: dir.into(),
            options,
            open: None,
            last,
            earlier_bytes: 0,
            synced: None,
            failed: false,
        }
    }

    /// Takes the record of `zxid` whose body (header, transaction, digest) is `body`. Not durable
    /// before [`TxnLog::sync`] has returned.
    pub fn append(&mut self, zxid: Zxid, body: &[u8]) -> Result<(), StorageError> {
        self.check_usable()?;
        if zxid <= self.last || body.len() < BODY_MIN {
            let what = format!("{zxid} does not follow {}, or has no body", self.last);
            return Err(StorageError::Refused { file: self.dir.clone(), what });
        }
        let outcome = self.append_record(zxid, body);
        self.last = zxid;
        self.note(outcome)
    }

    /// Makes everything appended so far durable with one fdatasync. Only then may any of it be
    /// acknowledged. Rolls if the file has become longer than its limit.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.check_usable()?;
        let outcome = self.sync_open();
        self.note(outcome)?;
        let limit = self.options.size_limit_bytes;
        let is_long = limit.is_some_and(|limit| self.current_bytes() > limit);
        if is_long || self.disk.chance(Chance::LogRolls) {
            self.roll()?;
        }
        Ok(())
    }

    /// Leaves the file, durable; the next record opens a new one. For a snapshot: the logs
    /// behind it then begin with a file of their own.
    pub fn roll(&mut self) -> Result<(), StorageError> {
        self.check_usable()?;
        let outcome = self.sync_open().and_then(|()| self.publish());
        self.note(outcome)?;
        self.earlier_bytes += self.current_bytes();
        self.open = None;
        Ok(())
    }

    /// Writes the watermark if it is behind: when the log is idle, at least every 100 ms under
    /// load, and at the end. Costs one write of 512 bytes that nobody waits for.
    pub fn publish_synced(&mut self) -> Result<(), StorageError> {
        self.check_usable()?;
        let outcome = self.publish();
        self.note(outcome)
    }

    /// The last zxid appended.
    pub fn last_zxid(&self) -> Zxid {
        self.last
    }

    /// Whether something appended is not durable yet.
    pub fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.dirty)
    }

    /// Whether the watermark is behind.
    pub fn is_publish_due(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.published)
    }

    /// Length of the file being written, allocated room included; 0 without one.
    pub fn current_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.size)
    }

    /// Length of all files this instance wrote (Apache's `getTotalLogSize`).
    pub fn total_bytes(&self) -> u64 {
        self.earlier_bytes + self.current_bytes()
    }

    fn check_usable(&self) -> Result<(), StorageError> {
        if self.failed {
            return Err(StorageError::Failed);
        }
        Ok(())
    }

    fn note<T>(&mut self, outcome: Result<T, StorageError>) -> Result<T, StorageError> {
        self.failed |= outcome.is_err();
        outcome
    }

    fn append_record(&mut self, zxid: Zxid, body: &[u8]) -> Result<(), StorageError> {
        if self.open.is_none() {
            self.open = Some(self.create_file(zxid)?);
        }
        let prealloc = self.options.prealloc_bytes;
        let open = self.open.as_mut().expect("made above");
        open.make_room((body.len() + RECORD_EXTRA) as u64, prealloc)?;
        put_record(&mut open.buffer, body);
        open.dirty = true;
        if open.buffer.len() >= BUFFER_BYTES || self.disk.chance(Chance::RecordAlone) {
            open.write_out()?;
        }
        Ok(())
    }

    /// Header and room are durable, and so is the name, before any record can be: a power
    /// failure then leaves no file, or one with a header.
    fn create_file(&mut self, first: Zxid) -> Result<OpenLog<D::File>, StorageError> {
        let path = self.dir.join(log_name(first));
        let file =
            self.disk.create(&path).map_err(|e| StorageError::io(&path, "create the log", e))?;
        let mut open = OpenLog {
            file,
            path,
            first,
            position: HEADER_LEN,
            size: HEADER_LEN,
            buffer: Vec::new(),
            durable: None,
            published: true,
            dirty: false,
        };
        open.file.write_at(0, &HEADER).map_err(|e| open.failure("write the header", e))?;
        open.make_room(0, self.options.prealloc_bytes)?;
        open.file.sync_data().map_err(|e| open.failure("sync the header", e))?;
        if !mutant!(DirectoryNotSynced) {
            let failure = |e| StorageError::io(&self.dir, "sync the directory", e);
            self.disk.sync_dir(&self.dir).map_err(failure)?;
        }
        Ok(open)
    }

    fn sync_open(&mut self) -> Result<(), StorageError> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if !open.dirty {
            return Ok(());
        }
        open.write_out()?;
        if self.options.force_sync {
            let synced = match open.file.sync_data() {
                Err(_) if mutant!(SyncRetried) => open.file.sync_data(),
                outcome => outcome,
            };
            synced.map_err(|e| open.failure("sync", e))?;
            open.durable = Some((open.position, self.last));
            open.published = false;
        }
        open.dirty = false;
        Ok(())
    }

    fn publish(&mut self) -> Result<(), StorageError> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        let (false, Some((length, last))) = (open.published, open.durable) else { return Ok(()) };
        let path = self.dir.join(super::names::SYNCED);
        let failure = |e| StorageError::io(&path, "write the watermark", e);
        if self.synced.is_none() {
            self.synced = Some(SyncedFile::open(&self.disk, &self.dir).map_err(failure)?);
        }
        let file = self.synced.as_mut().expect("made above");
        file.write(&Synced { log: open.first, length, last }).map_err(failure)?;
        open.published = true;
        Ok(())
    }
}

impl<F: DiskFile> OpenLog<F> {
    /// Allocates so that `more` bytes behind what is buffered, and some to spare, have blocks.
    fn make_room(&mut self, more: u64, prealloc: u64) -> Result<(), StorageError> {
        let end = self.position + self.buffer.len() as u64 + more;
        if prealloc == 0 {
            self.size = self.size.max(end);
            return Ok(());
        }
        let mut size = self.size;
        while end + ROOM_BYTES >= size {
            size += prealloc;
        }
        if size != self.size {
            self.file.allocate(self.size, size).map_err(|e| self.failure("allocate room", e))?;
            self.size = size;
        }
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.write_at(self.position, &self.buffer).map_err(|e| self.failure("append", e))?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn failure(&self, verb: &'static str, source: std::io::Error) -> StorageError {
        StorageError::io(Path::new(&self.path), verb, source)
    }
}
