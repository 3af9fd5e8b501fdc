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
mod epochs;
mod error;
mod install;
mod log_chain;
mod log_format;
mod log_range;
mod log_reader;
mod names;
mod origin;
mod purge;
mod receive;
mod recovery;
mod session_ids;
mod small_file;
mod synced;
mod tail;
mod txn_log;

pub mod snapshot;

pub use disk::{Access, Disk, DiskFile};
pub use epochs::{write_accepted, write_current, Epochs};
pub use error::{RecoveryRefused, Refusal, StorageError};
pub use log_range::{find_log, log_size_limit, LogRange};
pub use names::{log_name, parse_log, parse_snapshot, snapshot_name};
pub use purge::{purge, RETAIN_MIN};
pub use receive::{ReceiveError, SnapshotReceiver};
pub use recovery::{
    recover, recover_member, truncate, Dirs, Member, MemberOptions, RecoverOptions, Recovered,
    Report, Stranger, Truncated,
};
pub use session_ids::reserve_session_ids;
pub use snapshot::{write_snapshot, BodyReader, Compression, SnapshotInfo, SnapshotWriter};
pub use txn_log::{TxnLog, TxnLogOptions};
