//! The data directories before anything is read: made, writable, not mixed up, and ours alone.
//! Whatever is wrong with them ends the start with exit code 3, in Apache's words
//! (`FileTxnSnapLog`).

use std::path::Path;

use rustix::fs::{access, Access};

use super::exit::{ExitCode, Failure};
use crate::config::{ConfigError, DataDir, DataDirFault};
use crate::disk::{lock_directory, DirectoryLock};
use crate::storage::{parse_log, parse_snapshot, Dirs};

/// Makes the directories if `create` allows it, and looks at them.
pub(super) fn prepare(dirs: &Dirs, create: bool) -> Result<(), ConfigError> {
    prepare_one(DataDir::Logs, &dirs.logs, create)?;
    prepare_one(DataDir::Snapshots, &dirs.snapshots, create)?;
    if dirs.logs == dirs.snapshots {
        return Ok(());
    }
    let fault = DataDirFault::SnapshotsAmongLogs;
    refuse_strays(DataDir::Logs, &dirs.logs, fault, |name| parse_snapshot(name).is_some())?;
    let fault = DataDirFault::LogsAmongSnapshots;
    refuse_strays(DataDir::Snapshots, &dirs.snapshots, fault, |name| parse_log(name).is_some())
}

/// Keeps every other server away from both directories. Apache has no such lock and no exit code
/// for it; a directory that is in use is one that cannot be accessed, which is 3.
pub(super) fn lock(dirs: &Dirs) -> Result<Vec<DirectoryLock>, Failure> {
    let take =
        |dir| lock_directory(dir).map_err(|e| Failure::new(ExitCode::DataDir, e.to_string()));
    let mut locks = vec![take(&dirs.logs)?];
    // Two names may be of one directory.
    let real = |dir: &Path| dir.canonicalize().ok();
    if real(&dirs.logs) != real(&dirs.snapshots) {
        locks.push(take(&dirs.snapshots)?);
    }
    Ok(locks)
}

fn prepare_one(which: DataDir, dir: &Path, create: bool) -> Result<(), ConfigError> {
    let refuse = |fault: &DataDirFault, cause: &str| {
        Err(ConfigError::data_dir(which, &dir.display().to_string(), fault, cause))
    };
    if !dir.is_dir() {
        if !create {
            return refuse(&DataDirFault::Missing, "");
        }
        if let Err(e) = std::fs::create_dir_all(dir) {
            return refuse(&DataDirFault::CannotCreate, &e.to_string());
        }
    }
    match access(dir, Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(e) => refuse(&DataDirFault::CannotWrite, &std::io::Error::from(e).to_string()),
    }
}

fn refuse_strays(
    which: DataDir,
    dir: &Path,
    fault: DataDirFault,
    is_stray: impl Fn(&str) -> bool,
) -> Result<(), ConfigError> {
    let refuse = |fault: &DataDirFault, cause: &str| {
        ConfigError::data_dir(which, &dir.display().to_string(), fault, cause)
    };
    let cannot_list = |e: std::io::Error| refuse(&DataDirFault::CannotWrite, &e.to_string());
    for entry in std::fs::read_dir(dir).map_err(cannot_list)? {
        let name = entry.map_err(cannot_list)?.file_name();
        if name.to_str().is_some_and(&is_stray) {
            return Err(refuse(&fault, ""));
        }
    }
    Ok(())
}
