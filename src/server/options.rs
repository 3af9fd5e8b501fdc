//! What a server must be told, resolved from a configuration.

use std::path::PathBuf;

use super::ensemble::MemberOptions;
use crate::admin::{Conf, Whitelist};
use crate::net;
use crate::peer::PeerOptions;
use crate::storage::{Compression, TxnLogOptions};
use crate::tree::TreeOptions;

/// Everything a server is started with.
pub struct ServerOptions {
    pub data_dir: PathBuf,
    pub data_log_dir: Option<PathBuf>,
    pub tree: TreeOptions,
    pub peer: PeerOptions,
    pub log: TxnLogOptions,
    pub compression: Compression,
    /// `serializeLastProcessedZxid.enabled`: snapshots end with the zxid they reach.
    pub with_last_zxid: bool,
    pub trust_empty_snapshot: bool,
    pub create_dirs: bool,
    /// `db.autocreate`: an empty directory is that of a new server.
    pub autocreate: bool,
    pub workers: usize,
    pub net: net::Settings,
    /// `fsync.warningthresholdms`: a sync that takes longer is worth a warning, ms.
    pub fsync_warning_ms: i64,
    /// `maxBatchSize`: transactions between two syncs, at most.
    pub batch_max: usize,
    pub purge: Option<Purge>,
    pub words: Whitelist,
    /// What `conf` shows, but for ports and sizes.
    pub conf: Conf,
    /// `None`: standalone.
    pub member: Option<MemberOptions>,
}

/// `autopurge.*`.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    pub retain: usize,
    pub every_hours: u64,
}
