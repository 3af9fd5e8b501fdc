//! Putting a leader's snapshot in the place of everything else, all or nothing.
//!
//! The snapshot is on the disk, under a name that nobody reads; then `oxkeeper.install` says so,
//! durably, and from there on the installation is finished, by the next start if need be:
//!
//! ```text
//!   part ──▶ oxkeeper.install ──▶ logs ahead of it go ──▶ snapshot.<zxid> ──▶ the rest goes
//!   old state whole  │  new state whole
//! ```
//!
//! Logs and snapshots of before all go. Those ahead of the snapshot are not this ensemble's
//! history; from those behind it a later recovery could go on across the hole. The logs ahead go
//! first, newest first: a server of Apache's that is started in the middle finds a beginning of
//! the old history or the new state, never a mixture.
//!
//! ```text
//!   oxkeeper.install   "<part> <name> <crc32 of both>"
//! ```

use std::path::Path;

use crate::types::Zxid;

use super::disk::{Access, Disk};
use super::error::{RecoveryRefused, Refusal, StorageError};
use super::log_reader::LogReader;
use super::names::{parse_log, parse_snapshot, INSTALL, PART_PREFIX, SYNCED};
use super::recovery::Dirs;
use super::small_file;

/// An installation that has been decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// The file that is there.
    pub part: String,
    /// What it is to be called.
    pub name: String,
}

impl Install {
    /// Decides on it: from here on there is no way back. The part's bytes are durable.
    pub fn decide<D: Disk>(&self, disk: &D, dirs: &Dirs) -> Result<(), StorageError> {
        // So is its name, before anything relies on it.
        small_file::sync_dir(disk, &dirs.snapshots)?;
        let names = format!("{} {}", self.part, self.name);
        let text = format!("{names} {:08x}", crc32fast::hash(names.as_bytes()));
        let temp = format!("{PART_PREFIX}install");
        small_file::replace(disk, &dirs.snapshots, INSTALL, &temp, text.as_bytes())
    }

    /// The installation that was decided on and not finished, if there is one.
    pub fn read<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Option<Install>, RecoveryRefused> {
        let path = dirs.snapshots.join(INSTALL);
        let failure = |e| RecoveryRefused::io(&path, "read", &e);
        let Some(text) = small_file::read(disk, &path).map_err(failure)? else { return Ok(None) };
        let refuse = |what: &str| RecoveryRefused {
            refusal: Refusal::Corrupt,
            file: path.clone(),
            offset: None,
            zxid: None,
            what: what.to_owned(),
        };
        let install = parse(&text).ok_or_else(|| refuse("the file has been damaged"))?;
        let is_there = |name| disk.exists(&dirs.snapshots.join(name)).map_err(failure);
        if !is_there(&install.part)? && !is_there(&install.name)? {
            return Err(refuse("the snapshot that was to be installed is gone"));
        }
        Ok(Some(install))
    }

    /// Does it, or what is left of it to do.
    pub fn finish<D: Disk>(&self, disk: &D, dirs: &Dirs) -> Result<(), StorageError> {
        let (zxid, _) = parse_snapshot(&self.name).expect("checked when it was read or made");
        remove_logs_ahead(disk, &dirs.logs, zxid)?;
        small_file::remove(disk, &dirs.logs.join(SYNCED))?;
        small_file::sync_dir(disk, &dirs.logs)?;
        let (part, path) = (dirs.snapshots.join(&self.part), dirs.snapshots.join(&self.name));
        if disk.exists(&part).map_err(|e| StorageError::io(&part, "look for", e))? {
            disk.rename(&part, &path).map_err(|e| StorageError::io(&part, "rename", e))?;
            small_file::sync_dir(disk, &dirs.snapshots)?;
        }
        remove_snapshots(disk, &dirs.snapshots, |name, _| name != self.name)?;
        for (_, name) in logs(disk, &dirs.logs)? {
            small_file::remove(disk, &dirs.logs.join(name))?;
        }
        small_file::sync_dir(disk, &dirs.logs)?;
        small_file::remove(disk, &dirs.snapshots.join(INSTALL))?;
        small_file::sync_dir(disk, &dirs.snapshots)
    }
}

fn parse(text: &[u8]) -> Option<Install> {
    let text = std::str::from_utf8(text).ok()?;
    let (names, crc) = text.rsplit_once(' ')?;
    let (part, name) = names.split_once(' ')?;
    let whole = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(names.as_bytes());
    let right = whole && part.starts_with(PART_PREFIX) && parse_snapshot(name).is_some();
    right.then(|| Install { part: part.to_owned(), name: name.to_owned() })
}

/// Removes the snapshots that are `doomed` by name and zxid, durably.
pub fn remove_snapshots<D: Disk>(
    disk: &D,
    dir: &Path,
    doomed: impl Fn(&str, Zxid) -> bool,
) -> Result<(), StorageError> {
    let names = disk.list(dir).map_err(|e| StorageError::io(dir, "list", e))?;
    let mut removed = false;
    for name in names {
        if parse_snapshot(&name).is_some_and(|(zxid, _)| doomed(&name, zxid)) {
            removed |= small_file::remove(disk, &dir.join(name))?;
        }
    }
    if removed {
        small_file::sync_dir(disk, dir)?;
    }
    Ok(())
}

/// The logs in `dir`, oldest first.
pub fn logs<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<(Zxid, String)>, StorageError> {
    let names = disk.list(dir).map_err(|e| StorageError::io(dir, "list", e))?;
    let mut logs: Vec<(Zxid, String)> =
        names.into_iter().filter_map(|name| Some((parse_log(&name)?, name))).collect();
    logs.sort();
    Ok(logs)
}

/// Where a log's last record up to `upto` ends, and its zxid; `None` if there is no such record.
pub fn end_of<D: Disk>(
    disk: &D,
    path: &Path,
    upto: Zxid,
) -> Result<Option<(u64, Zxid)>, StorageError> {
    let failure = |e| StorageError::io(path, "read", e);
    let file = disk.open(path, Access::Read).map_err(failure)?;
    let Some(mut reader) = LogReader::open(file).map_err(failure)? else { return Ok(None) };
    let (end, last) = reader.seek_end(upto);
    Ok(last.map(|last| (end, last)))
}

/// Removes the logs that begin behind `zxid`, newest first, each durably before the next; then
/// the one before them, if it has records behind `zxid`.
fn remove_logs_ahead<D: Disk>(disk: &D, dir: &Path, zxid: Zxid) -> Result<(), StorageError> {
    let logs = logs(disk, dir)?;
    for (first, name) in logs.iter().rev() {
        let path = dir.join(name);
        if *first <= zxid {
            let last = end_of(disk, &path, Zxid(i64::MAX))?.map(|(_, last)| last);
            if last.is_none_or(|last| last <= zxid) {
                return Ok(());
            }
        }
        small_file::remove(disk, &path)?;
        small_file::sync_dir(disk, dir)?;
        if *first <= zxid {
            return Ok(());
        }
    }
    Ok(())
}
