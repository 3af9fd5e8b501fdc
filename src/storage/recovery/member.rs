//! What a member of an ensemble makes of its directories.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::storage::disk::Disk;
use crate::storage::epochs::{self, Epochs};
use crate::storage::error::RecoveryRefused;
use crate::storage::install::Install;
use crate::storage::log_chain::Logged;
use crate::storage::names::INSTALL;
use crate::tree::Replica;
use crate::types::{LoggedTxn, Zxid};

use super::stranger::{self, Stranger};
use super::{layout, recover_files, Dirs, RecoverOptions, Recovered, Report, Whose};

/// What a member's recovery must be told.
#[derive(Debug, Clone)]
pub struct MemberOptions {
    /// As for a standalone server.
    pub recover: RecoverOptions,
    /// `zookeeper.commitLogCount`: so many of the newest transactions are kept for learners.
    pub history_max: usize,
}

impl Default for MemberOptions {
    fn default() -> Self {
        MemberOptions { recover: RecoverOptions::default(), history_max: 500 }
    }
}

/// A member's state, from which it goes into its first election.
pub struct Member {
    /// All of the log is in it, agreed upon or not.
    pub replica: Replica,
    /// The last transaction on the disk: in the log, or in the snapshot if that is later.
    /// `Zxid::NONE` for a stranger.
    pub last_zxid: Zxid,
    /// The newest transactions behind the snapshot, without a hole, up to `last_zxid`.
    pub history: Vec<LoggedTxn>,
    pub epochs: Epochs,
    /// The member has lost its history: it must not vote.
    pub stranger: Option<Stranger>,
    pub report: Report,
}

/// Reads the directories of a member. Where a standalone server refuses because of damage a
/// member becomes a stranger; only what the operator must look into is refused.
pub fn recover_member<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &MemberOptions,
) -> Result<Member, RecoveryRefused> {
    layout::check(disk, dirs, options.recover.create_dirs)?;
    if let Some(stranger) = stranger::find(disk, dirs, options)? {
        return recover_stranger(disk, dirs, options, stranger);
    }
    match recover_known(disk, dirs, options) {
        Err(e) if e.is_damage() => {
            recover_stranger(disk, dirs, options, Stranger::Damaged(e.finding()))
        }
        outcome => outcome,
    }
}

fn recover_known<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &MemberOptions,
) -> Result<Member, RecoveryRefused> {
    let finished = finish_install(disk, dirs)?;
    let mut history = History::new(options.history_max);
    let Recovered { replica, last_zxid, mut report } =
        recover_files(disk, dirs, &options.recover, Whose::Member(&mut history))?;
    report.notes.extend(finished);
    let epochs = epochs::load(disk, dirs, last_zxid, &mut report.notes)?;
    let history = history.into_txns();
    Ok(Member { replica, last_zxid, history, epochs, stranger: None, report })
}

fn recover_stranger<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &MemberOptions,
    stranger: Stranger,
) -> Result<Member, RecoveryRefused> {
    stranger::begin(disk, dirs, &stranger).map_err(|e| RecoveryRefused::failed(&dirs.logs, &e))?;
    let epochs = epochs::load_stranger(disk, dirs)?;
    let mut history = History::new(0);
    let Recovered { replica, mut report, .. } =
        recover_files(disk, dirs, &options.recover, Whose::Member(&mut history))?;
    if let Stranger::Damaged(reason) = &stranger {
        report.notes.push(format!("logs and snapshots are set aside as oxkeeper.bad.*: {reason}"));
    }
    Ok(Member {
        replica,
        last_zxid: Zxid::NONE,
        history: Vec::new(),
        epochs,
        stranger: Some(stranger),
        report,
    })
}

/// Finishes the installation of a leader's snapshot, if one was decided on.
pub fn finish_install<D: Disk>(disk: &D, dirs: &Dirs) -> Result<Option<String>, RecoveryRefused> {
    let Some(install) = Install::read(disk, dirs)? else { return Ok(None) };
    install
        .finish(disk, dirs)
        .map_err(|e| RecoveryRefused::failed(&dirs.snapshots.join(INSTALL), &e))?;
    Ok(Some(format!("{} of a leader was installed", install.name)))
}

/// The newest transactions of a chain.
pub struct History {
    max: usize,
    txns: VecDeque<LoggedTxn>,
}

impl History {
    /// Keeps `max` transactions.
    pub fn new(max: usize) -> History {
        History { max, txns: VecDeque::new() }
    }

    /// The next transaction of the chain.
    pub fn push(&mut self, logged: &Logged<'_>) {
        if self.max == 0 {
            return;
        }
        if self.txns.len() == self.max {
            self.txns.pop_front();
        }
        let bytes = Bytes::copy_from_slice(logged.body);
        self.txns.push_back(LoggedTxn { zxid: logged.zxid(), bytes });
    }

    /// Oldest first.
    pub fn into_txns(self) -> Vec<LoggedTxn> {
        self.txns.into()
    }
}
