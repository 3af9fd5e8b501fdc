//! A stretch of the log, read back for a learner that is not far behind, while the log goes on
//! being written (Apache's `FileTxnSnapLog.readTxnLog` and `LearnerHandler`).
//!
//! Nothing behind `upto`, which is durable, is looked at. That a file is purged or cut meanwhile is
//! an error here and nothing worse.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::types::{LoggedTxn, Zxid};

use super::disk::{Access, Disk, DiskFile};
use super::log_chain::follows;
use super::log_format::{zxid_of, RECORD_EXTRA};
use super::log_reader::{Advance, LogReader};
use super::names::{parse_log, parse_snapshot, snapshot_name};
use super::recovery::Dirs;
use super::snapshot::{looks_whole, Compression};

/// Looks for `from` in the log, with everything behind it up to `upto`, without a hole, and no more
/// than `bytes_max` bytes of records behind it (`None`: any number).
///
/// - `Some(from)`: it is there, or a snapshot of it is and the log goes on behind that; or it is
///   no transaction but the beginning of an epoch (counter 0), which a leader has before its
///   first one, and the log goes on behind it.
/// - `None`: only a snapshot helps. So it is for a transaction that is not in the log: what else
///   the learner has is not known (Apache does not cut off across the end of an epoch either). So
///   it is, too, where the log begins behind `from`: always for a learner that has nothing
///   (Apache's `ZKDatabase.getProposalsFromTxnLog`).
///
/// `upto` is a record's zxid.
pub fn find_log<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    from: Zxid,
    upto: Zxid,
    bytes_max: Option<u64>,
) -> io::Result<Option<Zxid>> {
    let Some(mut reader) = ChainReader::open(disk, dirs, from)? else { return Ok(None) };
    let mut found = if reader.snapshots.contains(&from) { Some(from) } else { None };
    let mut bytes = 0;
    while reader.last.is_none_or(|last| last < upto) {
        let (before, is_first) = (reader.last.max(found), reader.last.is_none());
        let Some(body) = reader.next_body()? else { return Ok(None) };
        let zxid = zxid_of(body);
        if zxid > upto || (is_first && zxid > from) {
            return Ok(None);
        }
        bytes += (body.len() + RECORD_EXTRA) as u64;
        if zxid <= from {
            (found, bytes) = (found.max(Some(zxid)), 0);
            continue;
        }
        let Some(before) = before.filter(|before| reader.joins(*before, zxid)) else {
            return Ok(None);
        };
        if before < from && found != Some(from) {
            if from.counter() != 0 {
                return Ok(None);
            }
            found = Some(from);
        }
        if bytes_max.is_some_and(|max| bytes > max) {
            return Ok(None);
        }
    }
    Ok(found.filter(|found| *found == from))
}

/// What `zookeeper.snapshotSizeFactor` allows [`find_log`] to find: that part of the newest
/// snapshot's file, `None` for any number of bytes. (A negative factor means that logs are not to
/// be read for learners at all.) Where Apache adds up the lengths of files, allocated room
/// included, we add up records: more learners are spared a snapshot.
pub fn log_size_limit<D: Disk>(disk: &D, dirs: &Dirs, factor: f64) -> io::Result<Option<u64>> {
    let mut found: Vec<(Zxid, Compression)> =
        disk.list(&dirs.snapshots)?.iter().filter_map(|name| parse_snapshot(name)).collect();
    found.sort_by_key(|(zxid, _)| std::cmp::Reverse(*zxid));
    for (zxid, compression) in found {
        let path = dirs.snapshots.join(snapshot_name(zxid, compression));
        let file = disk.open(&path, Access::Read)?;
        if looks_whole(&file, compression)? {
            let limit = (file.len()? as f64 * factor) as u64;
            return Ok((limit > 0).then_some(limit));
        }
    }
    Ok(None)
}

/// The records behind a transaction that [`find_log`] has found.
pub struct LogRange<D: Disk> {
    reader: ChainReader<D>,
    from: Zxid,
    upto: Zxid,
}

impl<D: Disk> LogRange<D> {
    /// The records behind `from` up to and with `upto`, which is durable.
    pub fn open(disk: &D, dirs: &Dirs, from: Zxid, upto: Zxid) -> io::Result<LogRange<D>> {
        let reader = ChainReader::open(disk, dirs, from)?;
        let reader = reader.ok_or_else(|| gone(&dirs.logs, from))?;
        Ok(LogRange { reader, from, upto })
    }

    /// The next record; `None` behind `upto`. What is missing or damaged is an error: whoever got
    /// what came before must not be told that it was all.
    pub fn next_txn(&mut self) -> io::Result<Option<LoggedTxn>> {
        loop {
            let last = self.reader.last;
            if last.unwrap_or(self.from) >= self.upto {
                return Ok(None);
            }
            let Some(body) = self.reader.next_body()? else {
                return Err(gone(&self.reader.dir, last.unwrap_or(self.from)));
            };
            let zxid = zxid_of(body);
            if zxid <= self.from {
                continue;
            }
            let txn = LoggedTxn { zxid, bytes: Bytes::copy_from_slice(body) };
            if !self.reader.joins(last.unwrap_or(self.from).max(self.from), zxid) {
                return Err(gone(&self.reader.dir, last.unwrap_or(self.from)));
            }
            return Ok(Some(txn));
        }
    }
}

fn gone(dir: &Path, last: Zxid) -> io::Error {
    let what = format!("{}: the log does not go on behind {last}", dir.display());
    io::Error::new(io::ErrorKind::NotFound, what)
}

/// Reads records, file after file, and keeps what was read from being believed where
/// transactions may be missing.
struct ChainReader<D: Disk> {
    disk: D,
    dir: PathBuf,
    files: VecDeque<(Zxid, PathBuf)>,
    open: Option<LogReader<D::File>>,
    /// The last record read.
    last: Option<Zxid>,
    /// Every snapshot's zxid.
    snapshots: Vec<Zxid>,
}

impl<D: Disk> ChainReader<D> {
    /// Before the first record of the file that would hold `from`; `None` if none goes so far
    /// back.
    fn open(disk: &D, dirs: &Dirs, from: Zxid) -> io::Result<Option<ChainReader<D>>> {
        let names = disk.list(&dirs.logs)?;
        let mut files: Vec<(Zxid, PathBuf)> = names
            .iter()
            .filter_map(|name| Some((parse_log(name)?, dirs.logs.join(name))))
            .collect();
        files.sort();
        let names = disk.list(&dirs.snapshots)?;
        let snapshots: Vec<Zxid> =
            names.iter().filter_map(|name| Some(parse_snapshot(name)?.0)).collect();
        let before = files.partition_point(|(first, _)| *first <= from);
        if before == 0 && !snapshots.contains(&from) {
            return Ok(None);
        }
        files.drain(..before.saturating_sub(1));
        Ok(Some(ChainReader {
            disk: disk.clone(),
            dir: dirs.logs.clone(),
            files: files.into(),
            open: None,
            last: None,
            snapshots,
        }))
    }

    /// The next record's body, and its zxid in `last`; `None` at the end of the last file.
    fn next_body(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            if self.open.is_none() {
                let Some((_, path)) = self.files.pop_front() else { return Ok(None) };
                self.open = Some(open_log(&self.disk, &path)?);
            }
            let reader = self.open.as_mut().expect("opened above");
            if reader.advance() != Advance::Record {
                // For whatever reason: what is missing shows in the zxids.
                self.open = None;
                continue;
            }
            let zxid = zxid_of(reader.body());
            // Logged twice: Apache may do so.
            if self.last != Some(zxid) {
                self.last = Some(zxid);
                break;
            }
        }
        Ok(self.open.as_ref().map(LogReader::body))
    }

    /// Whether `zxid` is the next transaction behind `before`. Between the last one of an epoch
    /// and the first of another some may be missing and a snapshot of a leader's stand for them.
    fn joins(&self, before: Zxid, zxid: Zxid) -> bool {
        let covered = |snapshot: &Zxid| before < *snapshot && *snapshot < zxid;
        follows(zxid, before)
            && (before.epoch() == zxid.epoch() || !self.snapshots.iter().any(covered))
    }
}

fn open_log<D: Disk>(disk: &D, path: &Path) -> io::Result<LogReader<D::File>> {
    LogReader::open(disk.open(path, Access::Read)?)?.ok_or_else(|| {
        let what = format!("{}: no header of a transaction log", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}
