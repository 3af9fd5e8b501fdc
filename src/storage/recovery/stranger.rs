//! A member that has lost its history, or a part of it. It keeps its promise (`acceptedEpoch`),
//! claims nothing, does not vote, and takes the state of a leader that others elected. What it
//! had is set aside for the operator.
//!
//! `oxkeeper.stranger` remembers this through restarts, until `currentEpoch` is written: then a
//! leader's whole history is here again.
//!
//! ```text
//!   oxkeeper.stranger   first line "empty" or "damaged", then the reason
//! ```

use std::path::Path;

use crate::storage::disk::Disk;
use crate::storage::epochs;
use crate::storage::error::{RecoveryRefused, Refusal, StorageError};
use crate::storage::names::{
    parse_log, parse_snapshot, BAD_PREFIX, INSTALL, PART_PREFIX, STRANGER, SYNCED,
};
use crate::storage::small_file;

use super::{Dirs, MemberOptions};

/// Why a member does not vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// There is nothing, and nobody said that this is meant (`initialize`,
    /// `zookeeper.db.autocreate`).
    Empty(String),
    /// What was there is damaged or has a hole.
    Damaged(String),
}

impl Stranger {
    /// What was found, for the log.
    pub fn reason(&self) -> &str {
        match self {
            Stranger::Empty(reason) | Stranger::Damaged(reason) => reason,
        }
    }
}

/// A standalone server has nobody to give it back what was set aside.
pub fn refuse_standalone<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), RecoveryRefused> {
    let Some(stranger) = read(disk, dirs)? else { return Ok(()) };
    Err(RecoveryRefused {
        refusal: Refusal::Lost,
        file: dirs.logs.join(STRANGER),
        offset: None,
        zxid: None,
        what: format!(
            "as a member of an ensemble this server set its files aside as oxkeeper.bad.*: {}",
            stranger.reason()
        ),
    })
}

/// Whether the server is a stranger, before its files are looked into. The operator's word ends
/// it.
pub fn find<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &MemberOptions,
) -> Result<Option<Stranger>, RecoveryRefused> {
    let initialize = dirs.initialize();
    let told =
        disk.exists(&initialize).map_err(|e| RecoveryRefused::io(&initialize, "look for", &e))?;
    if let Some(stranger) = read(disk, dirs)? {
        let is_meant =
            told || (options.recover.autocreate && matches!(stranger, Stranger::Empty(_)));
        if !is_meant {
            return Ok(Some(stranger));
        }
        end(disk, dirs).map_err(|e| RecoveryRefused::failed(&dirs.logs.join(STRANGER), &e))?;
        return Ok(None);
    }
    if told || !is_empty(disk, dirs)? {
        return Ok(None);
    }
    let dir = dirs.snapshots.display();
    if epochs::has_accepted(disk, dirs)? {
        let reason = format!("{dir}: there is a currentEpoch, but no snapshot and no log");
        return Ok(Some(Stranger::Damaged(reason)));
    }
    let reason = format!(
        "{dir} is empty, and neither {} nor zookeeper.db.autocreate says that it is meant to be",
        initialize.display()
    );
    Ok((!options.recover.autocreate).then_some(Stranger::Empty(reason)))
}

fn read<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Option<Stranger>, RecoveryRefused> {
    let path = dirs.logs.join(STRANGER);
    let text = small_file::read(disk, &path);
    let text = text.map_err(|e| RecoveryRefused::io(&path, "read", &e))?;
    Ok(text.map(|text| parse(&text)))
}

fn parse(text: &[u8]) -> Stranger {
    let text = String::from_utf8_lossy(text);
    let (kind, reason) = text.split_once('\n').unwrap_or(("", &text));
    let reason = reason.trim_end().to_owned();
    // A marker that is damaged itself tells of damage.
    if kind == "empty" {
        Stranger::Empty(reason)
    } else {
        Stranger::Damaged(reason)
    }
}

fn is_empty<D: Disk>(disk: &D, dirs: &Dirs) -> Result<bool, RecoveryRefused> {
    for dir in [&dirs.snapshots, &dirs.logs] {
        let names = disk.list(dir).map_err(|e| RecoveryRefused::io(dir, "list", &e))?;
        let is_data = |name: &String| {
            parse_log(name).is_some() || parse_snapshot(name).is_some() || name == INSTALL
        };
        if names.iter().any(is_data) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Remembers it and sets everything aside. May be done again.
pub fn begin<D: Disk>(disk: &D, dirs: &Dirs, stranger: &Stranger) -> Result<(), StorageError> {
    let path = dirs.logs.join(STRANGER);
    if !disk.exists(&path).map_err(|e| StorageError::io(&path, "look for", e))? {
        let kind = match stranger {
            Stranger::Empty(_) => "empty",
            Stranger::Damaged(_) => "damaged",
        };
        let text = format!("{kind}\n{}\n", stranger.reason());
        let temp = format!("{PART_PREFIX}stranger");
        small_file::replace(disk, &dirs.logs, STRANGER, &temp, text.as_bytes())?;
    }
    set_aside(disk, dirs)
}

/// The operator's word makes it a fresh member.
fn end<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), StorageError> {
    set_aside(disk, dirs)?;
    small_file::remove(disk, &dirs.logs.join(STRANGER))?;
    small_file::sync_dir(disk, &dirs.logs)
}

/// Logs and snapshots become `oxkeeper.bad.*`. Whose place there is taken goes: it came later,
/// from a leader with whom the server did not get to the end.
fn set_aside<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), StorageError> {
    for dir in [&dirs.snapshots, &dirs.logs] {
        let names = disk.list(dir).map_err(|e| StorageError::io(dir, "list", e))?;
        for name in names {
            if parse_log(&name).is_some() || parse_snapshot(&name).is_some() {
                move_aside(disk, dir, &name)?;
            } else if name == SYNCED || name == INSTALL || name.starts_with(PART_PREFIX) {
                small_file::remove(disk, &dir.join(&name))?;
            }
        }
        small_file::sync_dir(disk, dir)?;
    }
    Ok(())
}

fn move_aside<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<(), StorageError> {
    let (path, aside) = (dir.join(name), dir.join(format!("{BAD_PREFIX}{name}")));
    if disk.exists(&aside).map_err(|e| StorageError::io(&aside, "look for", e))? {
        small_file::remove(disk, &path)?;
        return Ok(());
    }
    disk.rename(&path, &aside).map_err(|e| StorageError::io(&path, "set aside", e))
}
