//! From what the disk holds to a state to begin with, and what is to be said of it.

use super::ensemble::write_config;
use super::exit::{ExitCode, Failure};
use super::options::ServerOptions;
use super::platform::Platform;
use crate::metrics::Metrics;
use crate::session::SessionIds;
use crate::storage::{self, Dirs, RecoverOptions, RecoveryRefused, Refusal, Report};
use crate::tree::Replica;
use crate::types::Zxid;
use crate::zab::{Start, Zab};

/// A state to begin with.
pub struct Recovered {
    pub replica: Replica,
    /// The last record of the log, or the snapshot's zxid if that is later.
    pub last_logged: Zxid,
    pub metrics: Metrics,
    /// Those of this life.
    pub session_ids: SessionIds,
    /// The core of a member; `None` alone.
    pub zab: Option<Zab>,
    /// How it was read, should it have to be read again.
    pub how: storage::MemberOptions,
}

/// Reads the directories and says in the log and in the metrics what was found.
pub fn recover<P: Platform>(
    disk: &P::Disk,
    dirs: &Dirs,
    options: &ServerOptions,
) -> Result<Recovered, Failure> {
    let began = P::now();
    let mut how = storage::MemberOptions {
        recover: RecoverOptions {
            tree: options.tree,
            trust_empty_snapshot: options.trust_empty_snapshot,
            create_dirs: options.create_dirs,
            compression: options.compression,
            autocreate: options.autocreate,
            with_last_zxid: options.with_last_zxid,
            clock_ms: || P::now().mono_ms,
        },
        ..storage::MemberOptions::default()
    };
    let metrics = Metrics::default();
    let (replica, last_logged, report, zab) = match &options.member {
        None => {
            let found = storage::recover(disk, dirs, &how.recover).map_err(refused)?;
            (found.replica, found.last_zxid, found.report, None)
        }
        Some(member) => {
            how.history_max = member.zab.commit_log_count;
            let found = storage::recover_member(disk, dirs, &how).map_err(refused)?;
            if let Some(stranger) = &found.stranger {
                tracing::error!(
                    "This server does not vote before a leader has given it a snapshot: {}",
                    stranger.reason()
                );
            }
            let least = if mutant!(StrangerVotes) { Zxid::ZERO } else { Zxid::NONE };
            let start = Start {
                accepted_epoch: found.epochs.accepted,
                current_epoch: found.epochs.current,
                last_logged: found.last_zxid.max(least),
                history: found.history,
                stranger: found.stranger.is_some() && !mutant!(StrangerVotes),
            };
            let mut replica = found.replica;
            write_config(&mut replica, &member.members, &metrics, began.wall_ms);
            let zab = Zab::new(member.zab.clone(), P::now().mono_ms, start);
            (replica, found.last_zxid, found.report, Some(zab))
        }
    };
    let took_ms = P::now().mono_ms - began.mono_ms;
    tell(&report, last_logged, &replica, took_ms);
    metrics.dbinittime.add(took_ms);
    metrics.startup_snap_load_time.add(report.snapshot_load_ms);
    // Behind no snapshot there is nothing to replay, and Apache counts no replay.
    if report.snapshot.is_some() {
        metrics.startup_txns_load_time.add(report.txns_load_ms);
        metrics.startup_txns_loaded.add(report.txns as i64);
    }
    metrics.digest_mismatches_count.add(report.digest_mismatches as i64);
    let session_ids = session_ids::<P>(disk, dirs, options, &replica)?;
    Ok(Recovered { replica, last_logged, metrics, session_ids, zab, how })
}

/// Ids that were never given out before, and from the wall clock on, so that they don't come again
/// after a reboot either.
fn session_ids<P: Platform>(
    disk: &P::Disk,
    dirs: &Dirs,
    options: &ServerOptions,
    replica: &Replica,
) -> Result<SessionIds, Failure> {
    let known = replica.sessions().map(|(id, _)| id);
    let ids = SessionIds::new(options.peer.session_id_byte, P::now().wall_ms, known);
    storage::reserve_session_ids(disk, &dirs.logs, ids.peek())
        .map(SessionIds::from)
        .map_err(|e| Failure::new(ExitCode::Unexpected, e.to_string()))
}

fn refused(refusal: RecoveryRefused) -> Failure {
    let code = match refusal.refusal {
        Refusal::Layout => ExitCode::DataDir,
        _ => ExitCode::Unexpected,
    };
    Failure::new(code, refusal.to_string())
}

fn tell(report: &Report, last: Zxid, replica: &Replica, took_ms: i64) {
    for (path, why) in &report.bad_snapshots {
        tracing::warn!("Snapshot {} can't be used and is set aside: {why}", path.display());
    }
    if let Some((path, offset)) = &report.cut {
        tracing::warn!("Cut an unfinished write off {} at offset {offset}", path.display());
    }
    if let Some(zxid) = report.first_mismatch {
        tracing::error!(
            "The tree's digest differs from the log's behind {} transactions, first at {zxid}",
            report.digest_mismatches
        );
    }
    for note in &report.notes {
        tracing::warn!("{note}");
    }
    if let Some(path) = &report.snapshot {
        tracing::info!("Reading snapshot {}", path.display());
        tracing::info!("{} txns loaded in {} ms", report.txns, report.txns_load_ms);
    }
    tracing::info!(
        "Snapshot loaded in {took_ms} ms, highest zxid is {}, digest is {}; {} transactions \
         replayed from {} logs",
        last,
        replica.digest(),
        report.txns,
        report.log_files
    );
}
