//! What a member of an ensemble counts on the way of a transaction: which metrics move at which
//! step, as Apache's processors do it.
//!
//! Ages are measured from a transaction's header, which has the leader's wall clock. Where clocks
//! differ they can be negative; those are not recorded.

use super::{Advanced, Metrics};

/// How a learner was brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaughtUp {
    /// With transactions, perhaps behind a cut.
    Diff,
    /// With a snapshot.
    Snap,
}

impl Metrics {
    /// Leader: a transaction has been proposed.
    pub fn proposed(&self) {
        self.proposal_count.add(1);
    }

    /// Leader or follower: its own log has the transaction, and its own ACK is on its way.
    pub fn acked_here(&self, age_ms: i64) {
        note_age(&self.proposal_ack_creation_latency, age_ms);
    }

    /// Leader: the voter `sid` has acknowledged a transaction. One in a thousand is looked at
    /// (`leader.ackLoggingFrequency`).
    pub fn acked_by(&self, sid: i64, zxid: i64, age_ms: i64) {
        if zxid % ACKS_PER_SAMPLE == 0 {
            if let Some(latency) = self.ack_latency.get(&sid.to_string()) {
                note_age(&latency, age_ms);
            }
        }
    }

    /// Leader: a transaction has its quorum, and the COMMIT goes out.
    pub fn agreed(&self, age_ms: i64) {
        note_age(&self.quorum_ack_latency, age_ms);
        self.commit_count.add(1);
        self.request_commit_queued.add(1);
    }

    /// Follower: a PROPOSAL has come in.
    pub fn proposal_received(&self, age_ms: i64) {
        self.learner_proposal_received_count.add(1);
        note_age(&self.proposal_latency, age_ms);
    }

    /// Learner: a COMMIT or INFORM has come in.
    pub fn commit_received(&self, age_ms: i64) {
        self.learner_commit_received_count.add(1);
        self.request_commit_queued.add(1);
        note_age(&self.commit_propagation_latency, age_ms);
    }

    /// Leader: a learner is being brought up to date, the `in_progress`th at the moment.
    pub fn sync_began(&self, how: CaughtUp, in_progress: usize) {
        let (count, in_flight) = match how {
            CaughtUp::Diff => (&self.diff_count, &self.inflight_diff_count),
            CaughtUp::Snap => (&self.snap_count, &self.inflight_snap_count),
        };
        count.add(1);
        in_flight.add(in_progress as i64);
    }

    /// Leader: that is done, and `in_progress` are left.
    pub fn sync_ended(&self, how: CaughtUp, in_progress: usize) {
        match how {
            CaughtUp::Diff => self.inflight_diff_count.add(in_progress as i64),
            CaughtUp::Snap => self.inflight_snap_count.add(in_progress as i64),
        }
    }

    /// It looks for a leader.
    pub fn looking(&self) {
        self.looking_count.add(1);
    }

    /// A leader is found, after `took_ms` of looking.
    pub fn elected(&self, took_ms: i64) {
        self.election_time.add(took_ms);
    }

    /// It serves again, `took_ms` after it last did; `leads`, or learns.
    pub fn available_again(&self, took_ms: i64, leads: bool) {
        self.unavailable_time.add(took_ms);
        if leads {
            self.leader_unavailable_time.add(took_ms);
        }
    }
}

fn note_age(latency: &Advanced, age_ms: i64) {
    if age_ms >= 0 {
        latency.add(age_ms);
    }
}

/// Apache's default of `leader.ackLoggingFrequency`.
const ACKS_PER_SAMPLE: i64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_moves_its_own_metrics() {
        let metrics = Metrics::default();
        metrics.proposed();
        metrics.agreed(7);
        metrics.agreed(-1);
        assert_eq!((metrics.proposal_count.get(), metrics.commit_count.get()), (1, 2));
        let latency = metrics.quorum_ack_latency.basic();
        assert_eq!((latency.count(), latency.sum()), (1, 7), "no negative ages");
        metrics.proposal_received(3);
        metrics.commit_received(5);
        assert_eq!(metrics.learner_proposal_received_count.get(), 1);
        assert_eq!(metrics.learner_commit_received_count.get(), 1);
        assert_eq!(metrics.commit_propagation_latency.basic().sum(), 5);
        assert_eq!(metrics.request_commit_queued.get(), 3);
    }

    #[test]
    fn one_ack_in_a_thousand_is_looked_at() {
        let metrics = Metrics::default();
        for zxid in 1..=2000 {
            metrics.acked_by(3, zxid, 4);
        }
        let latency = metrics.ack_latency.get("3").expect("there is room");
        assert_eq!(latency.basic().count(), 2);
    }

    #[test]
    fn syncs_in_progress_are_noted_at_both_ends() {
        let metrics = Metrics::default();
        metrics.sync_began(CaughtUp::Snap, 1);
        metrics.sync_ended(CaughtUp::Snap, 0);
        metrics.sync_began(CaughtUp::Diff, 1);
        assert_eq!((metrics.snap_count.get(), metrics.diff_count.get()), (1, 1));
        assert_eq!(metrics.inflight_snap_count.count(), 2);
        assert_eq!(metrics.inflight_diff_count.count(), 1);
    }
}
