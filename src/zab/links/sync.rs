//! Bringing a learner up to date: what it lacks of the committed history, what is proposed behind
//! that, NEWLEADER, and from there on all that happens.

use jute::quorum::PacketType;
use tracing::info;

use super::super::history::SyncPlan;
use super::super::packets::{packet, start_of, Packets};
use super::super::standing::Standing;
use super::super::{LearnerKind, LinkId, Mark, Output, SyncMode};
use super::{Links, Stage};
use crate::types::{LoggedTxn, Zxid};

/// History is sent in pieces of about so many bytes.
const PIECE_BYTES: usize = 1024 * 1024;

impl Links {
    /// Decides how the learner, whose log ends at `peer`, gets to where we are.
    pub(in crate::zab) fn synchronise(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        peer: Zxid,
    ) {
        let plan = if standing.options.snapshot_sync_forced {
            SyncPlan::Snap
        } else {
            standing.history.plan(peer, standing.options.log_sync_enabled)
        };
        let snapshot = plan == SyncPlan::Snap;
        if !self.take_place(standing, link, snapshot) {
            return self.refuse(standing, link, "too many observers are being synchronised");
        }
        match plan {
            SyncPlan::Diff { upto, txns } => {
                self.set_mode(link, SyncMode::Diff);
                standing.send(link, packet(PacketType::Diff, upto, None));
                self.send_history(standing, link, &txns);
                self.finish(standing, now_ms, link);
            }
            SyncPlan::Trunc { to, txns } => {
                self.set_mode(link, SyncMode::Trunc);
                standing.send(link, packet(PacketType::Trunc, to, None));
                self.send_history(standing, link, &txns);
                self.finish(standing, now_ms, link);
            }
            SyncPlan::Log => {
                self.set_stage(link, Stage::FindingLog(peer));
                let upto = standing.last_committed();
                standing.put(Output::FindLog { link, from: peer, upto });
            }
            SyncPlan::Snap => self.begin_snapshot(standing, link),
        }
    }

    /// Apache counts TRUNC with DIFF.
    pub(in crate::zab) fn mark_sync(&self, standing: &mut Standing, mode: SyncMode, ended: bool) {
        let is_snapshot = mode == SyncMode::Snap;
        let in_progress = self.syncs_in_progress(is_snapshot);
        standing.mark(Mark::Sync { mode, ended, in_progress });
    }

    fn syncs_in_progress(&self, snapshots: bool) -> usize {
        let syncing = self.all.values().filter(|learner| learner.is_synchronising());
        syncing.filter(|l| (l.sync_mode == Some(SyncMode::Snap)) == snapshots).count()
    }

    pub(in crate::zab) fn set_stage(&mut self, link: LinkId, stage: Stage) {
        if let Some(learner) = self.all.get_mut(&link) {
            learner.stage = stage;
        }
    }

    fn set_mode(&mut self, link: LinkId, mode: SyncMode) {
        if let Some(learner) = self.all.get_mut(&link) {
            learner.sync_mode = Some(mode);
        }
    }

    /// Apache's `LearnerSyncThrottler`: followers are counted, but never turned away, whether they
    /// have a vote or not.
    fn take_place(&self, standing: &Standing, link: LinkId, snapshot: bool) -> bool {
        let taken = self.syncs_in_progress(snapshot);
        let places = match snapshot {
            true => standing.options.concurrent_snap_syncs_max,
            false => standing.options.concurrent_diff_syncs_max,
        };
        let is_follower =
            self.all.get(&link).is_some_and(|learner| learner.kind == LearnerKind::Follower);
        taken < places || is_follower
    }

    fn begin_snapshot(&mut self, standing: &mut Standing, link: LinkId) {
        self.set_mode(link, SyncMode::Snap);
        self.set_stage(link, Stage::BeginningSnapshot(standing.last_committed()));
        self.mark_sync(standing, SyncMode::Snap, false);
        self.repin(standing);
        standing.put(Output::Snapshot { link });
    }

    /// Gives up on learners whose snapshot is not begun while more and more is committed: all of
    /// that would have to be kept for them, and sent. Those who wait longest go first.
    pub(in crate::zab) fn bound_backlog(&mut self, standing: &mut Standing) {
        while standing.history.pinned_bytes() > standing.options.backlog_bytes_max {
            let waiting = self.all.iter().filter_map(|(link, learner)| match learner.stage {
                Stage::BeginningSnapshot(zxid) => Some((zxid, *link)),
                _ => None,
            });
            let Some((_, link)) = waiting.min() else { return };
            self.refuse(standing, link, "too much is committed while it waits for its snapshot");
        }
    }

    /// What is committed while images are being begun is kept for those who get them.
    pub(in crate::zab) fn repin(&self, standing: &mut Standing) {
        let begun = self.all.values().filter_map(|learner| match learner.stage {
            Stage::BeginningSnapshot(zxid) => Some(zxid),
            _ => None,
        });
        standing.history.pin(begun.min());
    }

    pub(in crate::zab) fn handle_snapshot_begun(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        zxid: Zxid,
    ) {
        let Some(learner) = self.all.get_mut(&link) else { return };
        let Stage::BeginningSnapshot(pinned) = learner.stage else { return };
        assert!(zxid >= pinned, "an image shows what was committed when it was asked for");
        learner.bulk = true;
        let behind: Vec<_> = standing.history.after(zxid).cloned().collect();
        self.send_history(standing, link, &behind);
        self.finish(standing, now_ms, link);
        self.repin(standing);
    }

    pub(in crate::zab) fn handle_log_found(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        found: Option<Zxid>,
    ) {
        let Some(learner) = self.all.get_mut(&link) else { return };
        let Stage::FindingLog(peer) = learner.stage else { return };
        // Where an epoch began there may be no record; whatever follows it follows the learner.
        let known = found == Some(peer) || (found.is_some() && peer.counter() == 0);
        if !known {
            return self.begin_snapshot(standing, link);
        }
        learner.bulk = true;
        learner.sync_mode = Some(SyncMode::Diff);
        // What has been committed while the log was searched is in the log as well.
        let upto = standing.last_committed();
        standing.send(link, packet(PacketType::Diff, upto, None));
        standing.put(Output::SendLog { link, from: peer, upto });
        self.finish(standing, now_ms, link);
    }

    fn send_history(&self, standing: &mut Standing, link: LinkId, txns: &[LoggedTxn]) {
        let mut packets = Packets::new();
        for txn in txns {
            packets.proposal(txn).commit(txn);
            if packets.len() >= PIECE_BYTES {
                standing.send(link, packets.take());
            }
        }
        if !packets.is_empty() {
            standing.send(link, packets.take());
        }
    }

    /// The learner has all that is committed: what is only proposed, and NEWLEADER.
    fn finish(&mut self, standing: &mut Standing, now_ms: i64, link: LinkId) {
        let Some(learner) = self.all.get_mut(&link) else { return };
        learner.stage = Stage::Synchronising;
        learner.heard_ms = now_ms;
        learner.synced_to = standing.last_committed();
        let mode = learner.sync_mode.unwrap_or(SyncMode::Diff);
        if mode != SyncMode::Snap {
            self.mark_sync(standing, mode, false);
        }
        let Some(learner) = self.all.get(&link) else { return };
        let mut packets = Packets::new();
        // Never to observers, which could not tell it from what is committed.
        if learner.kind == LearnerKind::Follower {
            for txn in &standing.tail {
                packets.proposal(txn);
            }
        }
        let config = standing.quorums.last_seen.as_ref().unwrap_or(&standing.quorums.committed);
        packets.push(PacketType::NewLeader, start_of(self.epoch), Some(&config.text));
        info!(
            "Synchronising learner {} by {} with zxid {}",
            learner.sid.map_or(-1, |sid| sid.0),
            mode,
            learner.synced_to
        );
        standing.send(link, packets.take());
    }

    pub(in crate::zab) fn send_up_to_date(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
    ) {
        let Some(learner) = self.all.get_mut(&link) else { return };
        learner.stage = Stage::Serving;
        learner.heard_ms = now_ms;
        learner.serving_since_ms = now_ms;
        standing.send(link, packet(PacketType::UpToDate, Zxid::NONE, None));
    }
}
