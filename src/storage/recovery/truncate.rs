//! TRUNC: a leader says that what is logged behind a transaction never became history.
//!
//! Apache keeps the first record behind a transaction that its log does not have, and reloads
//! from a snapshot that is newer than the cut if there is one (ZOOKEEPER-4837). Here the
//! transaction must be there, and nothing ahead of it stays.
//!
//! Everything is read before anything is changed. Then, each step durable before the next:
//! snapshots ahead of the one that was loaded go; the watermark goes; logs that begin behind the
//! transaction go, newest first; the one that holds it is cut. A crash leaves the old history, or
//! a beginning of it that still has the transaction.

use crate::storage::disk::{Access, Disk, DiskFile};
use crate::storage::error::{RecoveryRefused, Refusal, StorageError};
use crate::storage::install::{end_of, logs, remove_snapshots};
use crate::storage::log_chain::walk;
use crate::storage::log_format::HEADER_LEN;
use crate::storage::names::SYNCED;
use crate::storage::small_file;
use crate::tree::Replica;
use crate::types::{LoggedTxn, Zxid};

use super::load::load_newest;
use super::member::History;
use super::{read_synced, Dirs, MemberOptions, Replay, Report};

/// The state behind the transaction that was truncated to.
pub struct Truncated {
    pub replica: Replica,
    /// The newest transactions up to there, as [`super::Member::history`].
    pub history: Vec<LoggedTxn>,
    pub report: Report,
}

/// Cuts snapshots and logs behind `to`, durably, and reloads the state there. `None`, and nothing
/// is changed: neither logs nor snapshots know `to`, or no snapshot before it is good; only a
/// snapshot of the leader's can help.
///
/// No log may be open (everything in it is synced), no snapshot being written, no purge running.
pub fn truncate<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    to: Zxid,
    options: &MemberOptions,
) -> Result<Option<Truncated>, RecoveryRefused> {
    let Some((truncated, base)) = load_upto(disk, dirs, to, options)? else { return Ok(None) };
    cut(disk, dirs, to, base).map_err(|e| RecoveryRefused::failed(&dirs.logs, &e))?;
    Ok(Some(truncated))
}

/// The state at `to` and the zxid of the snapshot it was made from.
fn load_upto<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    to: Zxid,
    options: &MemberOptions,
) -> Result<Option<(Truncated, Zxid)>, RecoveryRefused> {
    let synced = read_synced(disk, dirs)?;
    let mut report = Report::default();
    let loaded = match load_newest(disk, dirs, &options.recover, Some(to), &mut report) {
        Ok(Some(loaded)) => loaded,
        Err(e) if e.refusal != Refusal::Corrupt => return Err(e),
        Ok(None) | Err(_) => return Ok(None),
    };
    let mut replay = Replay::onto(loaded, report);
    let base = replay.replica.last_zxid();
    let mut history = History::new(options.history_max);
    // To the very end: if the old history can be read from this snapshot on, it stays readable
    // until the last step.
    let walked = walk(disk, &dirs.logs, base, synced, &mut |logged| {
        if logged.zxid() > to {
            return Ok(());
        }
        history.push(&logged);
        replay.take(&logged)
    });
    match walked {
        Err(e) if e.refusal == Refusal::Hole => return Ok(None),
        Err(e) => return Err(e),
        Ok(_) if replay.replica.last_zxid() != to => return Ok(None),
        Ok(_) => {}
    }
    let Replay { replica, report, .. } = replay;
    Ok(Some((Truncated { replica, history: history.into_txns(), report }, base)))
}

fn cut<D: Disk>(disk: &D, dirs: &Dirs, to: Zxid, base: Zxid) -> Result<(), StorageError> {
    remove_snapshots(disk, &dirs.snapshots, |_, zxid| zxid > base)?;
    let dir = &dirs.logs;
    if small_file::remove(disk, &dir.join(SYNCED))? {
        small_file::sync_dir(disk, dir)?;
    }
    for (first, name) in logs(disk, dir)?.into_iter().rev() {
        let path = dir.join(name);
        if first > to {
            small_file::remove(disk, &path)?;
            small_file::sync_dir(disk, dir)?;
            continue;
        }
        let failure = |verb| {
            let path = path.clone();
            move |e| StorageError::io(&path, verb, e)
        };
        let end = end_of(disk, &path, to)?.map_or(HEADER_LEN, |(end, _)| end);
        let mut file = disk.open(&path, Access::Write).map_err(failure("open"))?;
        file.set_len(end).map_err(failure("cut"))?;
        file.sync_data().map_err(failure("sync"))?;
        break;
    }
    Ok(())
}
