//! From what a disk holds to a replica that may be served, or to a refusal: never in between.
//!
//! ```text
//!   layout ──▶ newest good snapshot ──▶ log chain behind it ──▶ settle the tail ──▶ Replica
//!              (load.rs)                (../log_chain.rs)       set bad files aside
//! ```
//!
//! Nothing is changed on the disk before all of it has been read and found good. The numbered
//! table of states and actions is in docs/DURABILITY.md; tests/recovery.rs has a test for each.

mod layout;
mod load;
mod member;
mod stranger;
mod truncate;

use std::path::{Path, PathBuf};

use crate::tree::{Replica, TreeOptions};
use crate::types::Zxid;

use super::disk::Disk;
use super::error::{RecoveryRefused, Refusal};
use super::log_chain::{settle, walk, LogEnd, Logged, Walk};
use super::names::{BAD_PREFIX, PART_PREFIX};
use super::snapshot::{write_snapshot, Compression};
use super::synced::{self, Synced};

use load::{load_newest, Loaded};
use member::{finish_install, History};

pub use member::{recover_member, Member, MemberOptions};
pub use stranger::Stranger;
pub use truncate::{truncate, Truncated};

/// Where the files are: both end in `version-2`, and may be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Snapshots: under `dataDir`.
    pub snapshots: PathBuf,
    /// Logs and our side files: under `dataLogDir`, or `dataDir` if that is not set.
    pub logs: PathBuf,
}

impl Dirs {
    /// The directories for a `dataDir` and, if it differs, a `dataLogDir`.
    pub fn new(data_dir: &Path, data_log_dir: Option<&Path>) -> Dirs {
        Dirs {
            snapshots: data_dir.join("version-2"),
            logs: data_log_dir.unwrap_or(data_dir).join("version-2"),
        }
    }

    fn are_split(&self) -> bool {
        self.snapshots != self.logs
    }

    /// The operator's word that an empty directory is meant to be empty.
    fn initialize(&self) -> PathBuf {
        self.logs.parent().unwrap_or(Path::new("")).join("initialize")
    }
}

/// What recovery must be told.
#[derive(Debug, Clone)]
pub struct RecoverOptions {
    /// How the replica is to be made.
    pub tree: TreeOptions,
    /// `zookeeper.snapshot.trust.empty`: logs without a snapshot are replayed from nothing.
    pub trust_empty_snapshot: bool,
    /// `zookeeper.datadir.autocreate`: missing directories are made.
    pub create_dirs: bool,
    /// `zookeeper.db.autocreate`: an empty directory is that of a new standalone server. Without
    /// it that takes a file `initialize`.
    pub autocreate: bool,
    /// For the first snapshot of an empty directory.
    pub compression: Compression,
    /// `serializeLastProcessedZxid.enabled`: that snapshot has the section.
    pub with_last_zxid: bool,
    /// Tells the times in the report, ms; by default it stands still.
    pub clock_ms: fn() -> i64,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        RecoverOptions {
            tree: TreeOptions::default(),
            trust_empty_snapshot: false,
            create_dirs: true,
            autocreate: true,
            compression: Compression::None,
            with_last_zxid: true,
            clock_ms: || 0,
        }
    }
}

/// A state that may be served.
pub struct Recovered {
    pub replica: Replica,
    pub last_zxid: Zxid,
    pub report: Report,
}

/// What recovery met and did, for the log and the metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The snapshot that was loaded.
    pub snapshot: Option<PathBuf>,
    /// Newer ones that could not be, each with the reason; now named `oxkeeper.bad.*`.
    pub bad_snapshots: Vec<(PathBuf, String)>,
    /// The directory was empty and has its first snapshot now.
    pub fresh: bool,
    pub log_files: usize,
    /// Time to find and load the snapshot, and to replay the logs behind it, ms of the caller's
    /// clock.
    pub snapshot_load_ms: i64,
    pub txns_load_ms: i64,
    /// Transactions replayed.
    pub txns: u64,
    /// An unfinished write at the log's end that was cut off: file and offset.
    pub cut: Option<(PathBuf, u64)>,
    /// Transactions behind which the tree had another digest than the log says
    /// (`digest_mismatches_count`), and the first of them.
    pub digest_mismatches: u64,
    pub first_mismatch: Option<Zxid>,
    /// What else was met and borne.
    pub notes: Vec<String>,
}

/// Whose directories are read.
enum Whose<'h> {
    Standalone,
    /// A leader's snapshot may lie ahead of the logs. The newest transactions are kept.
    Member(&'h mut History),
}

/// Reads the directories of a standalone server. On success the disk holds durably what is about
/// to be served, and the next log may be begun behind `last_zxid`.
pub fn recover<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
) -> Result<Recovered, RecoveryRefused> {
    layout::check(disk, dirs, options.create_dirs)?;
    stranger::refuse_standalone(disk, dirs)?;
    let finished = finish_install(disk, dirs)?;
    let mut recovered = recover_files(disk, dirs, options, Whose::Standalone)?;
    recovered.report.notes.extend(finished);
    Ok(recovered)
}

fn recover_files<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
    mut whose: Whose<'_>,
) -> Result<Recovered, RecoveryRefused> {
    let synced = read_synced(disk, dirs)?;
    let mut report = Report::default();
    let began_ms = (options.clock_ms)();
    let found = load_newest(disk, dirs, options, None, &mut report)?;
    let loaded_ms = (options.clock_ms)();
    let none = found.is_none();
    let loaded = found.unwrap_or_else(|| Loaded::nothing(options.tree));
    let (ours, reaches) = (loaded.ours, loaded.reaches.clone());
    let mut replay = Replay::onto(loaded, report);
    let from = replay.replica.last_zxid();
    let walk = walk(disk, &dirs.logs, from, synced, &mut |logged| {
        if none && !options.trust_empty_snapshot {
            return Err(no_snapshot(&logged));
        }
        if let Whose::Member(history) = &mut whose {
            history.push(&logged);
        }
        replay.take(&logged)
    })?;
    let Replay { replica, mut report, .. } = replay;
    let is_member = matches!(whose, Whose::Member(_));
    // Apache's followers apply, and so may have in a snapshot, what their own log does not have
    // yet: it was agreed upon, and comes again.
    check_snapshots_reached(&walk, reaches.filter(|_| ours || !is_member), &report)?;
    if synced.is_some() && !is_member {
        check_snapshot_logged(&walk, from, &report)?;
    }
    note_walk(&mut report, &walk);
    report.snapshot_load_ms = loaded_ms - began_ms;
    report.txns_load_ms = (options.clock_ms)() - loaded_ms;
    report.fresh = none && walk.last == Zxid::ZERO;
    if report.fresh && !options.autocreate && !is_member {
        check_initialize(disk, dirs)?;
    }
    tidy(disk, dirs, &walk, &mut report)?;
    if none {
        write_first_snapshot(disk, dirs, options, replica).map(|replica| Recovered {
            last_zxid: replica.last_zxid(),
            replica,
            report,
        })
    } else {
        Ok(Recovered { last_zxid: replica.last_zxid(), replica, report })
    }
}

/// An Apache server that finds a directory empty against its word runs and serves nobody; the
/// operator should hear of it before the clients do.
fn check_initialize<D: Disk>(disk: &D, dirs: &Dirs) -> Result<(), RecoveryRefused> {
    let file = dirs.initialize();
    if disk.exists(&file).map_err(|e| RecoveryRefused::io(&file, "look for", &e))? {
        return Ok(());
    }
    Err(RecoveryRefused {
        refusal: Refusal::Layout,
        what: format!(
            "there is no data here, and db.autocreate=false: mount the right directory, or make \
             an empty file {} if this server is new",
            file.display()
        ),
        file: dirs.snapshots.clone(),
        offset: None,
        zxid: None,
    })
}

fn read_synced<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Option<Synced>, RecoveryRefused> {
    synced::read(disk, &dirs.logs)
        .map_err(|e| RecoveryRefused::io(&dirs.logs.join(super::names::SYNCED), "read", &e))
}

/// Records becoming state.
struct Replay {
    replica: Replica,
    /// The snapshot is ours: every digest behind it must be met.
    strict: bool,
    /// The last digest compared was met.
    matched: bool,
    /// Some digest was met: from then on the tree is the one that was logged.
    ever_matched: bool,
    report: Report,
}

impl Replay {
    fn onto(loaded: Loaded, report: Report) -> Replay {
        Replay {
            replica: loaded.replica,
            strict: loaded.ours,
            matched: loaded.exact,
            ever_matched: loaded.exact,
            report,
        }
    }

    fn take(&mut self, logged: &Logged<'_>) -> Result<(), RecoveryRefused> {
        let applied = self.replica.replay(&logged.record);
        match applied.digest_matches {
            None => {}
            Some(true) => self.meet(),
            Some(false)
                if (self.strict || (logged.opens_epoch && self.matched))
                    && !mutant!(HoleSkipped) =>
            {
                return Err(RecoveryRefused {
                    refusal: Refusal::Hole,
                    file: logged.file.to_owned(),
                    offset: Some(logged.offset),
                    zxid: Some(logged.zxid()),
                    what: "the tree does not have the digest that is logged behind this \
                           transaction: something before it is missing"
                        .to_owned(),
                });
            }
            Some(false) => {
                self.matched = false;
                self.report.digest_mismatches += 1;
                self.report.first_mismatch.get_or_insert(logged.zxid());
            }
        }
        Ok(())
    }
}

impl Replay {
    /// Apache may note a snapshot's digest before all of a transaction that is in it already: a
    /// transaction later the tree is the same again.
    fn meet(&mut self) {
        if !self.ever_matched && self.report.digest_mismatches > 0 {
            let first = self.report.first_mismatch.take().unwrap_or_default();
            let count = std::mem::take(&mut self.report.digest_mismatches);
            self.report.notes.push(format!(
                "the snapshot was taken while the tree changed: {count} digests from {first} on \
                 were not met, the next one was"
            ));
        }
        self.matched = true;
        self.ever_matched = true;
    }
}

fn no_snapshot(logged: &Logged<'_>) -> RecoveryRefused {
    RecoveryRefused {
        refusal: Refusal::NoSnapshot,
        file: logged.file.to_owned(),
        offset: Some(logged.offset),
        zxid: Some(logged.zxid()),
        // Apache's words (`FileTxnSnapLog`).
        what: "No snapshot found, but there are log entries. Something is broken!".to_owned(),
    }
}

/// A snapshot of a transaction was there, good or bad: the log must come at least as far, since
/// a transaction is durable in the log before it can be in a snapshot.
fn check_snapshots_reached(
    walk: &Walk,
    reaches: Option<(Zxid, PathBuf)>,
    report: &Report,
) -> Result<(), RecoveryRefused> {
    let bad = report.bad_snapshots.iter().filter_map(|(path, _)| {
        let name = path.file_name()?.to_str()?;
        Some((super::names::parse_snapshot(name)?.0, path.clone()))
    });
    let Some((zxid, file)) = bad.chain(reaches).max() else { return Ok(()) };
    if zxid <= walk.last {
        return Ok(());
    }
    let reason = report.bad_snapshots.iter().find(|(path, _)| *path == file);
    let bad = reason.map(|(_, why)| format!(" (and cannot be read: {why})")).unwrap_or_default();
    Err(RecoveryRefused {
        refusal: Refusal::Lost,
        file,
        offset: None,
        zxid: Some(walk.last),
        what: format!("this snapshot is of {zxid}{bad}, but the logs end at {}", walk.last),
    })
}

/// What a snapshot of this server holds is in its logs. Only in a directory with our watermark:
/// a follower of Apache's may have its snapshot from its leader, behind logs that end before.
fn check_snapshot_logged(walk: &Walk, from: Zxid, report: &Report) -> Result<(), RecoveryRefused> {
    match (walk.tip, &report.snapshot) {
        (Some(tip), Some(snapshot)) if tip < from => Err(RecoveryRefused {
            refusal: Refusal::Lost,
            file: snapshot.clone(),
            offset: None,
            zxid: Some(tip),
            what: format!("this snapshot is of {from}, but the logs end at {tip}"),
        }),
        _ => Ok(()),
    }
}

fn note_walk(report: &mut Report, walk: &Walk) {
    report.log_files = walk.files;
    report.txns = walk.records;
    report.notes.extend(walk.notes.iter().cloned());
    report.notes.extend(
        walk.empty.iter().map(|file| format!("{}: removed, it had no records", file.display())),
    );
    match &walk.end {
        LogEnd::Clean => {}
        LogEnd::Cut { file, offset } => report.cut = Some((file.clone(), *offset)),
        LogEnd::Complete { file, offset, .. } => report.notes.push(format!(
            "{}: the record at offset {offset} was whole but for its length or end; written",
            file.display()
        )),
    }
}

/// Everything was read and is good: now the disk may be changed.
fn tidy<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    walk: &Walk,
    report: &mut Report,
) -> Result<(), RecoveryRefused> {
    settle(disk, &dirs.logs, walk)?;
    for (path, _) in &report.bad_snapshots {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let aside = path.with_file_name(format!("{BAD_PREFIX}{name}"));
        disk.rename(path, &aside).map_err(|e| RecoveryRefused::io(path, "set aside", &e))?;
    }
    for dir in [&dirs.snapshots, &dirs.logs] {
        let names = disk.list(dir).map_err(|e| RecoveryRefused::io(dir, "list", &e))?;
        for name in names.iter().filter(|name| name.starts_with(PART_PREFIX)) {
            let path = dir.join(name);
            disk.remove(&path).map_err(|e| RecoveryRefused::io(&path, "remove", &e))?;
        }
    }
    disk.sync_dir(&dirs.snapshots)
        .map_err(|e| RecoveryRefused::io(&dirs.snapshots, "sync the directory", &e))?;
    let initialize = dirs.initialize();
    let failure = |e| RecoveryRefused::io(&initialize, "remove", &e);
    if disk.exists(&initialize).map_err(failure)? {
        disk.remove(&initialize).map_err(failure)?;
        report.notes.push(format!("{} found and removed", initialize.display()));
    }
    Ok(())
}

/// Neither we nor Apache start on logs without a snapshot: there is one before the first log.
fn write_first_snapshot<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
    mut replica: Replica,
) -> Result<Replica, RecoveryRefused> {
    let refuse = |e: super::StorageError| RecoveryRefused {
        refusal: Refusal::Io,
        file: dirs.snapshots.clone(),
        offset: None,
        zxid: None,
        what: format!("cannot write the first snapshot: {e}"),
    };
    let (dir, compression) = (&dirs.snapshots, options.compression);
    write_snapshot(disk, dir, &mut replica, compression, options.with_last_zxid).map_err(refuse)?;
    Ok(replica)
}
