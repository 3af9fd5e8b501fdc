//! What the pipeline thread counts. Apache has a thread and a queue for each of its processors;
//! here they are steps of one thread, and a batch's step is counted where Apache's would be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jute::txn::{Txn, TxnRecord};

use crate::metrics::{top_namespace, Tally};
use crate::net::{Serving, Shared};
use crate::pipeline::Ask;
use crate::tree::Applied;
use crate::types::Now;
use crate::zab::{Mark, SyncMode};

/// The pipeline thread's side of the metrics.
pub(super) struct Count {
    shared: Arc<Shared>,
    /// `forceSync`: without it nothing is synced, and no time of it noted.
    force_sync: bool,
    tally: Tally,
}

impl Count {
    /// Counts for `shared`.
    pub fn new(shared: Arc<Shared>, force_sync: bool) -> Count {
        Count { shared, force_sync, tally: Tally::default() }
    }

    /// Whether what is asked for here is another server's to prepare.
    fn forwards(&self) -> bool {
        matches!(self.shared.serving(), Serving::Follower | Serving::Observer)
    }

    /// What stands in front of prep, or of the way to the leader's.
    pub fn asked(&self, asks: &[Ask], now: Now) {
        let metrics = &self.shared.metrics;
        if self.forwards() {
            metrics.learner_request_processor_queue_size.add(asks.len() as i64);
            return;
        }
        metrics.prep_processor_queue_size.add(asks.len() as i64);
        metrics.prep_processor_request_queued.add(asks.len() as i64);
        let origins = asks.iter().filter_map(|ask| match ask {
            Ask::Write(request) => request.origin,
            Ask::Resume { .. } | Ask::Upgrade(_) => None,
        });
        for origin in origins {
            metrics.prep_processor_queue_time_ms.add((now.mono_ms - origin.received_ms).max(0));
        }
    }

    /// Prep has noted so many more changes that wait to be applied.
    pub fn prepared(&self, changes: usize) {
        if !self.forwards() {
            self.shared.metrics.outstanding_changes_queued.add(changes as i64);
        }
    }

    /// Quotas have refused so many operations; what is below one top-level path adds up, as in
    /// Apache's `ZooKeeperServer.checkQuota`.
    pub fn over_quota(&self, refused: BTreeMap<String, u64>) {
        for (root, operations) in refused {
            let family = &self.shared.metrics.quota_exceeded_error_per_namespace;
            let member = top_namespace(&root).and_then(|namespace| family.get(namespace));
            if let Some(member) = member {
                member.add(operations as i64);
            }
        }
    }

    /// What a leader's core has noted.
    pub fn marked(&self, marks: &[Mark], now: Now) {
        let metrics = &self.shared.metrics;
        for mark in marks {
            match *mark {
                Mark::Sync { mode, ended, in_progress } => {
                    metrics.learner_syncs(mode == SyncMode::Snap, ended, in_progress as i64);
                }
                Mark::Acked { sid, made_wall_ms } => {
                    metrics.acked_by(sid.0, now.wall_ms - made_wall_ms);
                }
            }
        }
    }

    /// A follower has told its observers of so many transactions, in one go that took so long.
    pub fn informed(&self, txns: usize, took_ms: impl FnOnce() -> i64) {
        if txns > 0 {
            let took_ms = took_ms();
            (0..txns).for_each(|_| self.shared.metrics.om_commit_process_time_ms.add(took_ms));
        }
    }

    /// Prep has found all ephemerals of a session that is being closed.
    pub fn closed_session(&self, took_ms: i64) {
        if !self.forwards() {
            self.shared.metrics.close_session_prep_time.add(took_ms);
        }
    }

    /// So many sessions have been silent for too long.
    pub fn expired(&self, sessions: u64) {
        self.shared.metrics.stale_sessions_expired.add(sessions as i64);
    }

    /// So many transactions are durable: when the log got the first, when the sync began, when it
    /// ended.
    pub fn synced(&self, txns: i64, [began, syncing, synced]: [Now; 3]) {
        let metrics = &self.shared.metrics;
        let flush_ms = synced.mono_ms - syncing.mono_ms;
        metrics.sync_processor_request_queued.add(txns);
        metrics.sync_processor_queue_size.add(txns);
        metrics.sync_processor_batch_size.add(txns);
        metrics.sync_processor_queue_flush_time_ms.add(flush_ms);
        metrics.sync_processor_queue_and_flush_time_ms.add(synced.mono_ms - began.mono_ms);
        metrics.sync_process_time.add(synced.mono_ms - began.mono_ms);
        if self.force_sync {
            metrics.fsynctime.add(flush_ms);
        }
    }

    /// A transaction is in the replica.
    pub fn applied(&mut self, record: &TxnRecord<'_>, applied: &Applied, now: Now) {
        let age_ms = now.wall_ms - record.header.time_ms;
        // The wall clock may have been set back in between.
        if age_ms >= 0 {
            self.shared.metrics.propagation_latency.add(age_ms);
        }
        if applied.err == 0 {
            self.written(&record.txn);
        }
    }

    /// So many transactions left the tree with another digest than they said.
    pub fn mismatched(&mut self, txns: u64) {
        let metrics = &self.shared.metrics;
        metrics.digest_mismatches_count.add(txns as i64);
        self.tally.flush(metrics, &self.shared.stats);
    }

    /// So many changes are applied and no longer noted.
    pub fn retired(&self, changes: usize) {
        if !self.forwards() {
            self.shared.metrics.outstanding_changes_removed.add(changes as i64);
        }
    }

    /// Bytes written, as Apache's `DataTree.updateWriteStat` counts them.
    fn written(&mut self, txn: &Txn<'_>) {
        let (path, bytes) = match txn {
            Txn::Create(t) | Txn::Create2(t) => (&t.path, t.data.map_or(0, <[u8]>::len)),
            Txn::CreateContainer(t) => (&t.path, t.data.map_or(0, <[u8]>::len)),
            Txn::CreateTtl(t) => (&t.path, t.data.map_or(0, <[u8]>::len)),
            Txn::SetData(t) => (&t.path, t.data.map_or(0, <[u8]>::len)),
            Txn::Delete(t) | Txn::DeleteContainer(t) => (&t.path, 0),
            Txn::Multi(parts) => return parts.iter().for_each(|part| self.written(part)),
            Txn::CloseSession(Some(paths)) => {
                return paths.iter().for_each(|path| self.tally.node_written(path, 0));
            }
            _ => return,
        };
        self.tally.node_written(path, bytes);
    }
}
