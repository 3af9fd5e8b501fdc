//! The files `acceptedEpoch` and `currentEpoch` (Apache's `QuorumPeer`): ASCII decimal numbers,
//! in the snapshots' directory.
//!
//! - `acceptedEpoch`: this server follows no leader of an earlier epoch (Zab's f.p).
//! - `currentEpoch`: the history on this disk is that of this epoch's leader, or goes on behind it
//!   (Zab's f.a). Elections compare it before they compare zxids.
//!
//! Order: `acceptedEpoch` before ACKEPOCH; then the history; then `currentEpoch`; then the
//! acknowledgement of NEWLEADER. So a crash may leave records of an epoch behind `currentEpoch`.
//! Such a directory keeps its old `currentEpoch`: part of a new leader's history must not win an
//! election against all of an old one's. For the same reason `currentEpoch.tmp` is never written
//! ahead of the history, though Apache, which refuses such a directory, would take its number from
//! there; one start of this server, and one synchronisation, make the directory Apache's again.

use std::path::Path;

use crate::types::{Epoch, Zxid};

use super::disk::Disk;
use super::error::{RecoveryRefused, Refusal, StorageError};
use super::names::{ACCEPTED_EPOCH, CURRENT_EPOCH, STRANGER};
use super::recovery::Dirs;
use super::small_file;

/// Apache's temporary names; it reads `currentEpoch.tmp` when `currentEpoch` is behind the log.
const ACCEPTED_TEMP: &str = "acceptedEpoch.tmp";
const CURRENT_TEMP: &str = "currentEpoch.tmp";

/// What a member has promised and accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epochs {
    /// No leader of an earlier epoch is followed.
    pub accepted: Epoch,
    /// The epoch of the last NEWLEADER whose history is on the disk.
    pub current: Epoch,
}

/// Writes `acceptedEpoch`, durably. Before ACKEPOCH, and before LEADERINFO.
pub fn write_accepted<D: Disk>(disk: &D, dirs: &Dirs, epoch: Epoch) -> Result<(), StorageError> {
    write(disk, dirs, ACCEPTED_EPOCH, ACCEPTED_TEMP, epoch)
}

/// Writes `currentEpoch`, durably: all of the history behind NEWLEADER is durable already. A
/// stranger is a member again.
pub fn write_current<D: Disk>(disk: &D, dirs: &Dirs, epoch: Epoch) -> Result<(), StorageError> {
    write(disk, dirs, CURRENT_EPOCH, CURRENT_TEMP, epoch)?;
    if small_file::remove(disk, &dirs.logs.join(STRANGER))? {
        small_file::sync_dir(disk, &dirs.logs)?;
    }
    Ok(())
}

fn write<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    name: &str,
    temp: &str,
    epoch: Epoch,
) -> Result<(), StorageError> {
    small_file::replace(disk, &dirs.snapshots, name, temp, epoch.0.to_string().as_bytes())
}

/// Reads both files of a directory whose last transaction is `last`, repairs what the log proves,
/// writes what is missing, and removes what an unfinished write left.
pub fn load<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    last: Zxid,
    notes: &mut Vec<String>,
) -> Result<Epochs, RecoveryRefused> {
    let dir = &dirs.snapshots;
    let known = |name| match read(disk, dir, name)? {
        Some(Err(what)) => Err(refuse(dir, name, last, what)),
        Some(Ok(epoch)) => Ok(Some(epoch)),
        None => Ok(None),
    };
    let logged = last.epoch();
    let (mut current, accepted) = (known(CURRENT_EPOCH)?, known(ACCEPTED_EPOCH)?);
    let found = (current, accepted);
    if let Some(behind) = current.filter(|current| *current < logged) {
        current = Some(finished(disk, dir, behind, accepted, notes)?);
    }
    // Missing files are those of a server that was no member yet.
    let current = current.unwrap_or(logged);
    let accepted = match accepted {
        None => current.max(logged),
        // What is in the log, or was accepted with what is in the log, was promised before.
        Some(accepted) if accepted < logged || (accepted < current && current <= logged) => {
            notes.push(format!("{ACCEPTED_EPOCH} was {}, behind the log at {last}", accepted.0));
            current.max(logged)
        }
        Some(accepted) if accepted < current => {
            let what = format!("{} is less than {CURRENT_EPOCH}, {}", accepted.0, current.0);
            return Err(refuse(dir, ACCEPTED_EPOCH, last, what));
        }
        Some(accepted) => accepted,
    };
    let stored = |e: StorageError| RecoveryRefused::failed(&dir.join(CURRENT_EPOCH), &e);
    if found.1 != Some(accepted) {
        write_accepted(disk, dirs, accepted).map_err(stored)?;
    }
    if found.0 != Some(current) {
        write(disk, dirs, CURRENT_EPOCH, CURRENT_TEMP, current).map_err(stored)?;
    }
    remove_temps(disk, dir).map_err(stored)?;
    Ok(Epochs { accepted, current })
}

/// The epochs of a server that has lost its history: it stays with its promise, as far as it
/// is known, and claims nothing.
pub fn load_stranger<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Epochs, RecoveryRefused> {
    let dir = &dirs.snapshots;
    let known = |name| read(disk, dir, name).map(|found| found.and_then(Result::ok));
    let (current, accepted) = (known(CURRENT_EPOCH)?, known(ACCEPTED_EPOCH)?);
    let epochs = Epochs { accepted: accepted.max(current).unwrap_or_default(), current: Epoch(0) };
    let stored = |e: StorageError| RecoveryRefused::failed(&dir.join(ACCEPTED_EPOCH), &e);
    if accepted != Some(epochs.accepted) {
        write_accepted(disk, dirs, epochs.accepted).map_err(stored)?;
    }
    if current != Some(epochs.current) {
        write(disk, dirs, CURRENT_EPOCH, CURRENT_TEMP, epochs.current).map_err(stored)?;
    }
    remove_temps(disk, dir).map_err(stored)?;
    Ok(epochs)
}

/// `currentEpoch` is behind the log. If its next number was written already the history was
/// durable, and only the rename is missing (ZOOKEEPER-4269).
fn finished<D: Disk>(
    disk: &D,
    dir: &Path,
    current: Epoch,
    accepted: Option<Epoch>,
    notes: &mut Vec<String>,
) -> Result<Epoch, RecoveryRefused> {
    let written = read(disk, dir, CURRENT_TEMP)?.and_then(Result::ok);
    let promised = |epoch: &Epoch| accepted.is_none_or(|accepted| *epoch <= accepted);
    let epoch = written.filter(|epoch| *epoch > current).filter(promised);
    notes.push(match epoch {
        Some(epoch) => format!("{CURRENT_TEMP} found, {CURRENT_EPOCH} is {} now", epoch.0),
        None => format!("{CURRENT_EPOCH} stays {}, though the log is ahead", current.0),
    });
    Ok(epoch.unwrap_or(current))
}

fn remove_temps<D: Disk>(disk: &D, dir: &Path) -> Result<(), StorageError> {
    let mut removed = false;
    for temp in [ACCEPTED_TEMP, CURRENT_TEMP] {
        removed |= small_file::remove(disk, &dir.join(temp))?;
    }
    if removed {
        small_file::sync_dir(disk, dir)?;
    }
    Ok(())
}

/// Whether some leader's history was accepted here once.
pub fn has_accepted<D: Disk>(disk: &D, dirs: &Dirs) -> Result<bool, RecoveryRefused> {
    let current = read(disk, &dirs.snapshots, CURRENT_EPOCH)?;
    Ok(current.is_some_and(|epoch| epoch != Ok(Epoch(0))))
}

/// The number in the first line of a file; the inner error says why there is none.
fn read<D: Disk>(
    disk: &D,
    dir: &Path,
    name: &str,
) -> Result<Option<Result<Epoch, String>>, RecoveryRefused> {
    let path = dir.join(name);
    let bytes =
        small_file::read(disk, &path).map_err(|e| RecoveryRefused::io(&path, "read", &e))?;
    Ok(bytes.map(|bytes| {
        parse(&bytes).ok_or_else(|| {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            format!("{shown:?} is no epoch")
        })
    }))
}

fn parse(bytes: &[u8]) -> Option<Epoch> {
    let line = std::str::from_utf8(bytes).ok()?.lines().next()?;
    if line == "-1" {
        // Apache, on a directory that was empty and should not have been.
        return Some(Epoch(0));
    }
    let plain = line.bytes().all(|b| b.is_ascii_digit());
    line.parse().ok().filter(|_| plain).map(Epoch)
}

fn refuse(dir: &Path, name: &str, last: Zxid, what: String) -> RecoveryRefused {
    RecoveryRefused {
        refusal: Refusal::Corrupt,
        file: dir.join(name),
        offset: None,
        zxid: Some(last),
        what,
    }
}
