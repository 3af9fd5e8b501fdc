//! What operators see of a member's part in its ensemble: the words' view, the metrics, the lines
//! of the log about its roles.

use super::driver::Driver;
use crate::net::{LeaderView, MemberView, Serving};
use crate::types::LoggedTxn;
use crate::zab::{LearnerKind, Role, SyncMode, Zab};

/// How often the words' view is made anew, ms.
const REFRESH_MS: i64 = 100;

/// What is kept between two looks.
#[derive(Debug, Default)]
pub(super) struct ViewState {
    told_ms: i64,
    /// When the quorum was lost, monotonic ms.
    lost_ms: Option<i64>,
}

impl Driver {
    /// Makes the words' view anew, if it is old or the role has changed (`now`).
    pub(super) fn tell_of_member(&mut self, now_ms: i64, at_once: bool) {
        let state = &mut self.member().view;
        if !at_once && now_ms - state.told_ms < REFRESH_MS {
            return;
        }
        state.told_ms = now_ms;
        let pending_syncs = self.peer.pending_syncs();
        if let Some(zab) = self.peer.zab() {
            self.shared.tell_member(view(zab, pending_syncs));
        }
    }

    /// One line for each role, with what it took, and the same for the metrics.
    pub(super) fn note_role(&mut self, role: Role, now_ms: i64) {
        let metrics = &self.shared.metrics;
        let Some(zab) = self.peer.zab() else { return };
        let election_ms = zab.election().took_ms().unwrap_or(0);
        match role {
            Role::Leaving => {
                tracing::warn!("Leaving the role: no client is served before there is a leader");
            }
            Role::Looking => {
                metrics.looking_count.add(1);
                tracing::info!(
                    "LOOKING, last zxid {}, current epoch {:#x}",
                    zab.last_durable(),
                    zab.current_epoch().0
                );
            }
            Role::Leading { epoch } => {
                metrics.election_time.add(election_ms);
                tracing::info!(
                    "LEADING - LEADER ELECTION TOOK - {election_ms} MS, epoch {:#x}, {} learners",
                    epoch.0,
                    zab.learners().count()
                );
            }
            Role::Learning { leader, epoch, kind } => {
                metrics.election_time.add(election_ms);
                let (mode, took_ms) = zab.synced_by().unwrap_or((SyncMode::Diff, 0));
                let (what, time) = match kind {
                    LearnerKind::Follower => ("FOLLOWING", &metrics.follower_sync_time),
                    LearnerKind::Observer => ("OBSERVING", &metrics.observer_sync_time),
                };
                time.add(took_ms);
                tracing::info!(
                    "{what} - LEADER ELECTION TOOK - {election_ms} MS, leader {}, epoch {:#x}, \
                     synchronised by {mode} in {took_ms} ms",
                    leader.0,
                    epoch.0
                );
            }
        }
        self.note_unavailable(role, now_ms);
    }

    /// `leader_unavailable_time`: from the loss of a quorum to the next leader.
    fn note_unavailable(&mut self, role: Role, now_ms: i64) {
        let state = &mut self.member().view;
        match role {
            Role::Leaving | Role::Looking => {
                state.lost_ms.get_or_insert(now_ms);
            }
            Role::Leading { .. } | Role::Learning { .. } => {
                if let Some(lost_ms) = state.lost_ms.take() {
                    self.shared.metrics.leader_unavailable_time.add(now_ms - lost_ms);
                }
            }
        }
    }

    /// Counts what a member appends, as who it is.
    pub(super) fn note_proposals(&self, txns: &[LoggedTxn]) {
        let (shared, count) = (&self.shared, txns.len() as i64);
        match shared.serving() {
            Serving::Leader => {
                shared.metrics.proposal_count.add(count);
                for txn in txns {
                    shared.proposal_sizes.record(txn.bytes.len() as i64);
                }
            }
            Serving::Follower | Serving::Observer => {
                shared.metrics.learner_proposal_received_count.add(count);
            }
            Serving::No | Serving::ReadOnly | Serving::Standalone => {}
        }
    }

    /// Counts what a member applies, as who it is.
    pub(super) fn note_commits(&self, count: i64) {
        match self.shared.serving() {
            Serving::Leader => self.shared.metrics.commit_count.add(count),
            Serving::Follower | Serving::Observer => {
                self.shared.metrics.learner_commit_received_count.add(count);
            }
            Serving::No | Serving::ReadOnly | Serving::Standalone => {}
        }
    }
}

fn view(zab: &Zab, pending_syncs: usize) -> MemberView {
    let committed = &zab.quorums().committed;
    let mut leader = LeaderView { pending_syncs, ..LeaderView::default() };
    for learner in zab.learners() {
        leader.learners += 1;
        let count = match learner.kind {
            LearnerKind::Observer => &mut leader.synced_observers,
            LearnerKind::Follower if committed.is_voter(learner.sid) => {
                &mut leader.synced_followers
            }
            LearnerKind::Follower => &mut leader.synced_non_voting_followers,
        };
        *count += usize::from(learner.synced);
    }
    let observer_master = match zab.role() {
        Role::Learning { leader, kind: LearnerKind::Observer, .. } => Some(leader),
        _ => None,
    };
    MemberView {
        membership: committed.text.clone(),
        quorum_size: committed.voters.len(),
        observer_master,
        leader,
    }
}
