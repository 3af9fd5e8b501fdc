//! What operators see of a member's part in its ensemble: the words' view, the metrics, the lines
//! of the log about its roles.

use std::sync::Arc;

use super::driver::Driver;
use super::platform::Platform;
use crate::net::{LeaderView, MemberView, Serving};
use crate::pipeline::Batch;
use crate::types::{LoggedTxn, Now};
use crate::zab::{LearnerKind, Role, SyncMode, Zab};

/// How often the words' view is made anew, ms.
const REFRESH_MS: i64 = 100;

/// What is kept between two looks.
#[derive(Debug, Default)]
pub(super) struct ViewState {
    told_ms: i64,
    /// When the quorum was lost, monotonic ms.
    lost_ms: Option<i64>,
    /// When those were made that wait for a sync and an ACK.
    unacked_wall_ms: Vec<i64>,
}

impl<P: Platform> Driver<P> {
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
                // Apache's observers don't count theirs.
                if kind == LearnerKind::Follower {
                    metrics.election_time.add(election_ms);
                }
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

    /// From the loss of a quorum to the next service.
    fn note_unavailable(&mut self, role: Role, now_ms: i64) {
        let state = &mut self.member().view;
        match role {
            Role::Leaving | Role::Looking => {
                state.lost_ms.get_or_insert(now_ms);
            }
            Role::Leading { .. } | Role::Learning { .. } => {
                if let Some(lost_ms) = state.lost_ms.take() {
                    let leads = matches!(role, Role::Leading { .. });
                    self.shared.metrics.available_again(now_ms - lost_ms, leads);
                }
            }
        }
    }

    /// Counts what a member appends, as who it is.
    pub(super) fn note_proposals(&mut self, txns: &[LoggedTxn]) {
        let shared = Arc::clone(&self.shared);
        let (metrics, serving) = (&shared.metrics, shared.serving());
        if !matches!(serving, Serving::Leader | Serving::Follower) {
            return;
        }
        let now = P::now();
        for txn in txns {
            if serving == Serving::Leader {
                metrics.proposed();
                shared.proposal_sizes.record(txn.bytes.len() as i64);
            } else {
                metrics.proposal_received(age_ms(txn, now));
            }
        }
        let made = txns.iter().filter_map(LoggedTxn::made_wall_ms);
        self.member().view.unacked_wall_ms.extend(made);
    }

    /// Counts the ACKs that follow from a sync of the log.
    pub(super) fn note_acks(&mut self, now: Now) {
        if let Some(member) = &mut self.member {
            for made_ms in member.view.unacked_wall_ms.drain(..) {
                self.shared.metrics.acked_here(now.wall_ms - made_ms);
            }
        }
    }

    /// Counts what a member applies, as who it is.
    pub(super) fn note_commits(&self, batch: &Batch) {
        let (metrics, now) = (&self.shared.metrics, P::now());
        match self.shared.serving() {
            Serving::Leader => batch.logged().for_each(|txn| metrics.agreed(age_ms(&txn, now))),
            Serving::Follower | Serving::Observer => {
                batch.logged().for_each(|txn| metrics.commit_received(age_ms(&txn, now)));
            }
            Serving::No | Serving::ReadOnly | Serving::Standalone => {}
        }
    }
}

/// How long ago a transaction was made, if clocks can be believed.
fn age_ms(txn: &LoggedTxn, now: Now) -> i64 {
    txn.made_wall_ms().map_or(0, |made_ms| now.wall_ms - made_ms)
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
        own_observers: zab.serves_observers().then_some(leader.synced_observers),
        leader,
    }
}
