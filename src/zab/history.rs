//! The newest committed transactions, and how a learner is brought up to date with them.

use std::collections::VecDeque;

use crate::types::{LoggedTxn, Zxid};

/// Whether `next` may stand right behind `last` in a log: its successor, or the first of a later
/// epoch. Anything else is a hole or a repetition (ZOOKEEPER-4925).
pub(super) fn follows(last: Zxid, next: Zxid) -> bool {
    if next.epoch() == last.epoch() {
        last.next() == Some(next)
    } else {
        next.epoch() > last.epoch() && next.counter() == 1
    }
}

/// The last so many committed transactions, without a hole: Apache's `committedLog`.
#[derive(Debug)]
pub(super) struct CommittedLog {
    txns: VecDeque<LoggedTxn>,
    /// The last committed zxid, also while `txns` is empty.
    last: Zxid,
    /// How many are kept (`commitLogCount`).
    keep: usize,
    /// Snapshots are being begun that are of this zxid or a later one: what is behind it is kept.
    pinned: Option<Zxid>,
    /// How much is kept behind the pin.
    pinned_bytes: usize,
}

/// What a learner needs, Apache's `LearnerHandler.syncFollower`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyncPlan {
    /// DIFF of `upto`, then these as PROPOSAL and COMMIT.
    Diff {
        upto: Zxid,
        txns: Vec<LoggedTxn>,
    },
    /// TRUNC to `to`, then these.
    Trunc {
        to: Zxid,
        txns: Vec<LoggedTxn>,
    },
    /// It may be in the log on disk.
    Log,
    Snap,
}

impl CommittedLog {
    /// A log that ends at `last` with `txns`, of which the longest tail without a hole is taken.
    pub(super) fn new(keep: usize, last: Zxid, txns: Vec<LoggedTxn>) -> CommittedLog {
        let txns_kept = VecDeque::new();
        let mut log = CommittedLog { txns: txns_kept, last, keep, pinned: None, pinned_bytes: 0 };
        if txns.last().is_some_and(|newest| newest.zxid == last) {
            let hole = txns.windows(2).rposition(|w| !follows(w[0].zxid, w[1].zxid));
            log.txns.extend(txns.into_iter().skip(hole.map_or(0, |at| at + 1)));
            log.trim();
        }
        log
    }

    pub(super) fn last(&self) -> Zxid {
        self.last
    }

    /// The oldest that is kept; `last` if none is.
    fn first(&self) -> Zxid {
        self.txns.front().map_or(self.last, |txn| txn.zxid)
    }

    pub(super) fn push(&mut self, txn: LoggedTxn) {
        assert!(follows(self.last, txn.zxid), "{} can't follow {}", txn.zxid, self.last);
        self.last = txn.zxid;
        if self.pinned.is_some() {
            self.pinned_bytes += txn.bytes.len();
        }
        self.txns.push_back(txn);
        self.trim();
    }

    fn trim(&mut self) {
        while self.txns.len() > self.keep
            && self.txns.front().is_some_and(|t| self.pinned.is_none_or(|pin| t.zxid <= pin))
        {
            self.txns.pop_front();
        }
    }

    /// Leaves out the newest so many (ZOOKEEPER-4925).
    #[cfg(feature = "mutants")]
    pub(super) fn forget_newest(&mut self, count: usize) {
        self.txns.truncate(self.txns.len().saturating_sub(count));
    }

    /// Forgets what is behind `to`, as the log on disk has.
    pub(super) fn truncate(&mut self, to: Zxid) {
        self.txns.truncate(self.txns.partition_point(|txn| txn.zxid <= to));
        self.last = to;
    }

    /// Begins anew behind a snapshot of `base`.
    pub(super) fn reset(&mut self, base: Zxid) {
        self.txns.clear();
        self.last = base;
    }

    /// Keeps what is behind `zxid`; `None` ends that.
    pub(super) fn pin(&mut self, zxid: Option<Zxid>) {
        self.pinned = zxid;
        self.pinned_bytes =
            zxid.map_or(0, |zxid| self.after(zxid).map(|txn| txn.bytes.len()).sum());
        self.trim();
    }

    /// Bytes that are kept because of the pin, and for that of no use once it is gone.
    pub(super) fn pinned_bytes(&self) -> usize {
        self.pinned_bytes
    }

    /// What is behind `zxid`, which lies no further back than the pin or the first kept.
    pub(super) fn after(&self, zxid: Zxid) -> impl Iterator<Item = &LoggedTxn> {
        self.txns.range(self.txns.partition_point(|txn| txn.zxid <= zxid)..)
    }

    /// How a learner whose log ends at `peer` gets to `last`. The order of the questions is
    /// Apache's.
    pub(super) fn plan(&self, peer: Zxid, log_sync: bool) -> SyncPlan {
        let (first, last) = (self.first(), self.last);
        // A leader that has been established but has proposed nothing says so when it comes back.
        let starts_epoch = peer.counter() == 0;
        if peer == last {
            SyncPlan::Diff { upto: peer, txns: Vec::new() }
        } else if peer > last && !starts_epoch {
            SyncPlan::Trunc { to: last, txns: Vec::new() }
        } else if first <= peer && peer <= last {
            self.plan_within(peer, starts_epoch)
        } else if peer < first && log_sync {
            SyncPlan::Log
        } else {
            SyncPlan::Snap
        }
    }

    /// `peer` lies between the first and the last that are kept.
    fn plan_within(&self, peer: Zxid, starts_epoch: bool) -> SyncPlan {
        let at = self.txns.partition_point(|txn| txn.zxid < peer);
        let from = |at: usize| self.txns.range(at..).cloned().collect::<Vec<_>>();
        match self.txns.get(at).map(|txn| txn.zxid) {
            Some(found) if found == peer => SyncPlan::Diff { upto: self.last, txns: from(at + 1) },
            _ if starts_epoch => SyncPlan::Diff { upto: self.last, txns: from(at) },
            Some(found) if found.epoch() == peer.epoch() && at > 0 => {
                SyncPlan::Trunc { to: self.txns[at - 1].zxid, txns: from(at) }
            }
            // Where the learner's epoch parted from ours can't be said.
            _ => SyncPlan::Snap,
        }
    }
}
