//! What can go wrong with this server's own files, and what the person woken by it should do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::types::Zxid;

/// A running server's disk failed: stop answering, exit.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No room. Said at allocation, before anything depends on the room.
    #[error(
        "{}: the disk is full ({source}); free some space and start the server again",
        .file.display()
    )]
    Full { file: PathBuf, source: io::Error },
    /// Any other error of the system.
    #[error("{}: cannot {verb}: {source}", .file.display())]
    Io { file: PathBuf, verb: &'static str, source: io::Error },
    /// An earlier call failed; what is on the disk is not known any more.
    #[error("the transaction log failed earlier and takes nothing more until a restart")]
    Failed,
    /// A caller's mistake that would break the files for every reader.
    #[error("{}: {what}", .file.display())]
    Refused { file: PathBuf, what: String },
}

impl StorageError {
    /// Sorts an error of the system that came while doing `verb` to `file`.
    pub fn io(file: &Path, verb: &'static str, source: io::Error) -> StorageError {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StorageError::Full { file, source }
            }
            _ => StorageError::Io { file, verb, source },
        }
    }
}

/// Why a directory is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A file holds something other than what was written there.
    Corrupt,
    /// Transactions are missing between two that are there.
    Hole,
    /// Transactions are missing at the end: the watermark knows of more.
    Lost,
    /// There are logs, but no snapshot they could be applied to.
    NoSnapshot,
    /// The directories are not what the configuration says.
    Layout,
    /// The system would not let us read or write.
    Io,
}

/// This server does not start on this directory. One line says which file, where in it, which
/// transaction, what was found and what to do.
#[derive(Debug)]
pub struct RecoveryRefused {
    pub refusal: Refusal,
    pub file: PathBuf,
    /// Where in the file, bytes from its start (of the uncompressed bytes in a snapshot).
    pub offset: Option<u64>,
    /// The last transaction known to be good, or the one that cannot be trusted: `what` says.
    pub zxid: Option<Zxid>,
    pub what: String,
}

impl RecoveryRefused {
    /// The refusal for an error of the system.
    pub fn io(file: &Path, verb: &str, source: &io::Error) -> RecoveryRefused {
        RecoveryRefused {
            refusal: Refusal::Io,
            file: file.to_owned(),
            offset: None,
            zxid: None,
            what: format!("cannot {verb}: {source}"),
        }
    }

    /// The refusal for a failure to write what had to be written.
    pub fn failed(file: &Path, error: &StorageError) -> RecoveryRefused {
        RecoveryRefused {
            refusal: Refusal::Io,
            file: file.to_owned(),
            offset: None,
            zxid: None,
            what: error.to_string(),
        }
    }

    /// Whether transactions are missing or changed, so that what is left is not this server's
    /// history any more.
    pub fn is_damage(&self) -> bool {
        matches!(self.refusal, Refusal::Corrupt | Refusal::Hole | Refusal::Lost)
    }

    /// What was found, and where, without the advice.
    pub fn finding(&self) -> String {
        let mut text = self.file.display().to_string();
        if let Some(offset) = self.offset {
            text += &format!(" at offset {offset}");
        }
        if let Some(zxid) = self.zxid {
            text += &format!(", zxid {zxid}");
        }
        text + ": " + &self.what
    }

    fn remedy(&self) -> &'static str {
        match self.refusal {
            Refusal::Corrupt | Refusal::Hole | Refusal::Lost => {
                "Not starting, because writes that were acknowledged may be gone. Put this \
                 directory back from a copy that was made later, or, to go on without what is \
                 behind that transaction, move this file and all later logs and snapshots away \
                 together with oxkeeper.synced"
            }
            Refusal::NoSnapshot => {
                "Put a snapshot back, or, if this directory was always without one (3.4), start \
                 once with -Dzookeeper.snapshot.trust.empty=true"
            }
            Refusal::Layout => "Correct dataDir and dataLogDir in the configuration",
            Refusal::Io => "Check the disk and the permissions of this directory",
        }
    }
}

impl fmt::Display for RecoveryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some of Apache's words end with a mark of their own.
        let stop = if self.what.ends_with('!') { "" } else { "." };
        write!(f, "{}{stop} {}.", self.finding(), self.remedy())
    }
}

impl std::error::Error for RecoveryRefused {}
