//! One server a directory. Apache has no such lock; two servers on one directory destroy it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};

/// The lock file's name; Apache does not look at it. It may lie about: only the lock on it counts,
/// and that ends with the process.
const LOCK_NAME: &str = "oxkeeper.lock";

/// Holds a directory for this process, until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why a directory could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server is there.
    #[error(
        "another server{} runs on {}; stop it, or give this one a dataDir of its own",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), .dir.display()
    )]
    Taken { dir: PathBuf, pid: Option<u32> },
    /// The system refused.
    #[error("cannot lock {}: {source}", .dir.display())]
    Io { dir: PathBuf, source: io::Error },
}

/// Takes `dir` (which must be there) for this process, or says who has it.
pub fn lock_directory(dir: &Path) -> Result<DirectoryLock, LockError> {
    let failure = |source| LockError::Io { dir: dir.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK_NAME))
        .map_err(failure)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Only a courtesy: without it the line is shorter.
            let _ = file.take(16).read_to_string(&mut text);
            return Err(LockError::Taken { dir: dir.to_owned(), pid: text.trim().parse().ok() });
        }
        Err(e) => return Err(failure(e.into())),
    }
    let pid = std::process::id();
    file.set_len(0).and_then(|()| file.rewind()).map_err(failure)?;
    writeln!(file, "{pid}").map_err(failure)?;
    Ok(DirectoryLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_and_told_who_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock_directory(dir.path()).unwrap();
        let refused = lock_directory(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        lock_directory(dir.path()).unwrap();
    }
}
