//! A server's disk: what is durable, and what has been asked for and may or may not survive a
//! crash.

use std::collections::VecDeque;

use oxkeeper::types::{Epoch, LoggedTxn, Zxid};
use oxkeeper::zab::{LinkId, Step, Token};

#[derive(Debug, Default)]
pub struct Disk {
    pub accepted_epoch: Epoch,
    pub current_epoch: Epoch,
    /// Snapshot and log together: everything from the first transaction on.
    pub history: Vec<LoggedTxn>,
    /// So much of it is in the snapshot, not in the log.
    pub in_snapshot: usize,
    pub pending: VecDeque<(Step, Token)>,
    /// Snapshots that have been received and not installed.
    pub aside: Vec<(LinkId, Vec<LoggedTxn>)>,
}

/// What a step that is done means to the replica.
pub enum Done {
    Nothing,
    /// It is rebuilt from the disk.
    Rebuild,
    /// As `Rebuild`, and the core is told.
    Truncated(Option<Zxid>),
}

impl Disk {
    pub fn last(&self) -> Zxid {
        self.history.last().map_or(Zxid::ZERO, |txn| txn.zxid)
    }

    pub fn holds(&self, zxid: Zxid) -> bool {
        self.history.binary_search_by_key(&zxid, |txn| txn.zxid).is_ok()
    }

    /// The log behind `from`, if `from` is in it or just in front of it.
    pub fn log_from(&self, from: Zxid) -> Option<usize> {
        match self.history.binary_search_by_key(&from, |txn| txn.zxid) {
            Ok(at) => (at + 1 >= self.in_snapshot).then_some(at + 1),
            Err(0) if from == Zxid::ZERO => (self.in_snapshot == 0).then_some(0),
            Err(_) => None,
        }
    }

    /// Makes the first step that was asked for durable.
    pub fn step(&mut self) -> Option<(Token, Done)> {
        let (step, token) = self.pending.pop_front()?;
        let done = match step {
            Step::Append(txns) => {
                self.history.extend(txns);
                Done::Nothing
            }
            Step::AcceptedEpoch(epoch) => {
                assert!(epoch > self.accepted_epoch);
                self.accepted_epoch = epoch;
                Done::Nothing
            }
            Step::CurrentEpoch(epoch) => {
                assert!(epoch > self.current_epoch && epoch <= self.accepted_epoch);
                self.current_epoch = epoch;
                Done::Nothing
            }
            Step::Truncate { to } => Done::Truncated(self.truncate(to)),
            Step::InstallSnapshot { link, zxid } => {
                let at = self.aside.iter().position(|(of, _)| *of == link).expect("received");
                self.history = self.aside.swap_remove(at).1;
                assert_eq!(self.last(), zxid);
                self.in_snapshot = self.history.len();
                Done::Rebuild
            }
        };
        Some((token, done))
    }

    fn truncate(&mut self, to: Zxid) -> Option<Zxid> {
        let end = self.log_from(to)?;
        self.history.truncate(end);
        Some(to)
    }

    /// Some of what was asked for has made it, the rest never will.
    pub fn crash(&mut self, steps: usize, of_the_next: usize) {
        for _ in 0..steps {
            self.step();
        }
        if let Some((Step::Append(txns), _)) = self.pending.pop_front() {
            self.history.extend(txns.into_iter().take(of_the_next));
        }
        self.pending.clear();
        self.aside.clear();
    }

    /// Everything is gone.
    pub fn wipe(&mut self) {
        *self = Disk::default();
    }

    /// A snapshot of all that is in the log now: the log behind it is purged.
    pub fn purge(&mut self) {
        self.in_snapshot = self.history.len();
    }
}
