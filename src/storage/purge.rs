//! Removing what no start will need again (Apache's `PurgeTxnLog`).

use std::io;
use std::path::{Path, PathBuf};

use crate::types::Zxid;

use super::disk::{Access, Disk};
use super::error::StorageError;
use super::names::{parse_log, parse_snapshot, BAD_PREFIX};
use super::recovery::Dirs;
use super::snapshot::{looks_whole, Compression};

/// Fewer snapshots are not kept, whatever the configuration says (`autopurge.snapRetainCount`).
pub const RETAIN_MIN: usize = 3;

/// Keeps the `retain` newest snapshots that look whole, every newer file, and the logs from the
/// one that holds the transaction behind the oldest snapshot kept. Removes the other snapshots
/// and logs, also those set aside; answers their paths. Files that are not ours by their name are
/// left alone.
pub fn purge<D: Disk>(disk: &D, dirs: &Dirs, retain: usize) -> Result<Vec<PathBuf>, StorageError> {
    let snapshots = list(disk, &dirs.snapshots)?;
    let logs = list(disk, &dirs.logs)?;
    let Some(oldest) = oldest_kept(disk, dirs, &snapshots, retain.max(RETAIN_MIN))? else {
        return Ok(Vec::new());
    };
    let log_zxids = logs.iter().filter_map(|name| parse_log(name));
    let first_log = log_zxids.filter(|first| *first <= oldest).max().unwrap_or(oldest);
    let good = |name: &&String| name.strip_prefix(BAD_PREFIX).unwrap_or(name).to_owned();
    let old_snapshot =
        |name: &&String| parse_snapshot(&good(name)).is_some_and(|(zxid, _)| zxid < oldest);
    let old_log = |name: &&String| parse_log(&good(name)).is_some_and(|first| first < first_log);
    let mut removed = Vec::new();
    let found = snapshots.iter().filter(old_snapshot).map(|name| dirs.snapshots.join(name));
    removed.extend(found);
    removed.extend(logs.iter().filter(old_log).map(|name| dirs.logs.join(name)));
    for path in &removed {
        disk.remove(path).map_err(|e| StorageError::io(path, "remove", e))?;
    }
    for dir in [&dirs.snapshots, &dirs.logs] {
        disk.sync_dir(dir).map_err(|e| StorageError::io(dir, "sync the directory", e))?;
    }
    Ok(removed)
}

/// The zxid of the oldest snapshot that is kept, if any looks whole.
fn oldest_kept<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    names: &[String],
    retain: usize,
) -> Result<Option<Zxid>, StorageError> {
    let mut found: Vec<(Zxid, Compression, &String)> = names
        .iter()
        .filter_map(|name| parse_snapshot(name).map(|(zxid, packed)| (zxid, packed, name)))
        .collect();
    found.sort_by_key(|(zxid, ..)| std::cmp::Reverse(*zxid));
    let mut kept = Vec::new();
    for (zxid, compression, name) in found {
        let path = dirs.snapshots.join(name);
        let whole = is_whole(disk, &path, compression)
            .map_err(|e| StorageError::io(&path, "look at", e))?;
        if whole {
            kept.push(zxid);
        }
        if kept.len() == retain {
            break;
        }
    }
    Ok(kept.last().copied())
}

fn is_whole<D: Disk>(disk: &D, path: &Path, compression: Compression) -> io::Result<bool> {
    let file = disk.open(path, Access::Read)?;
    looks_whole(&file, compression)
}

fn list<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<String>, StorageError> {
    disk.list(dir).map_err(|e| StorageError::io(dir, "list", e))
}
