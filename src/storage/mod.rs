//! Files: the transaction log, snapshots, recovery and purge, generic over [`Disk`]. Pure.
//!
//! ```text
//!   TxnLog ── append, sync ──▶ log.<zxid>        ─┐
//!   SnapshotWriter ──────────▶ snapshot.<zxid>   ─┼─▶ recover ──▶ Replica, or a refusal
//!   (side files that Apache ignores: oxkeeper.*) ─┘
//! ```
//!
//! The formats are Apache's; docs/DURABILITY.md has the table of every state that can be found on
//! a disk and what is done about it.

mod disk;
mod error;
mod log_chain;
mod log_format;
mod names;
mod origin;
mod purge;
mod recovery;
mod synced;
mod tail;
mod txn_log;

pub mod snapshot;

pub use disk::{Access, Disk, DiskFile};
pub use error::{RecoveryRefused, Refusal, StorageError};
pub use names::{log_name, parse_log, parse_snapshot, snapshot_name};
pub use purge::{purge, RETAIN_MIN};
pub use recovery::{recover, recover_timed, Dirs, RecoverOptions, Recovered, Report};
pub use snapshot::{write_snapshot, Compression, SnapshotInfo, SnapshotWriter};
pub use txn_log::{TxnLog, TxnLogOptions};
