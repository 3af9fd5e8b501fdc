//! What a member of an ensemble counts on the way of a transaction: which metrics move at which
//! step, as Apache's processors do it.
//!
//! Ages are measured from a transaction's header, which has the leader's wall clock. Where clocks
//! differ they can be negative; those are not recorded.

use super::{top_namespace, Advanced, Metrics};

impl Metrics {
    /// Leader: a transaction has been proposed.
    pub fn proposed(&self) {
        self.proposal_count.add(1);
    }

    /// Leader or follower: its own log has the transaction, and its own ACK is on its way.
    pub fn acked_here(&self, age_ms: i64) {
        note_age(&self.proposal_ack_creation_latency, age_ms);
    }

    /// Leader: a transaction has its quorum, and the COMMIT goes out.
    pub fn agreed(&self, age_ms: i64) {
        note_age(&self.quorum_ack_latency, age_ms);
        self.commit_count.add(1);
        self.request_commit_queued.add(1);
    }

    /// Leader: a voter has a transaction in its log, made so long ago. Only one in so many is told
    /// (`leader.ackLoggingFrequency`).
    pub fn acked_by(&self, sid: i64, age_ms: i64) {
        if let Some(latency) = self.ack_latency.get(&sid.to_string()) {
            note_age(&latency, age_ms);
        }
    }

    /// Leader: a learner begins to be brought up to date, or is by now (`ended`), and so many are
    /// in progress. A DIFF may also be a TRUNC.
    pub fn learner_syncs(&self, snapshot: bool, ended: bool, in_progress: i64) {
        let (count, in_flight) = match snapshot {
            true => (&self.snap_count, &self.inflight_snap_count),
            false => (&self.diff_count, &self.inflight_diff_count),
        };
        count.add(i64::from(!ended));
        in_flight.add(in_progress);
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

    /// The znode at `path` was written without a transaction, with `bytes` of data: the ensemble's
    /// configuration.
    pub fn node_written(&self, path: &str, bytes: usize) {
        let summary = top_namespace(path).and_then(|key| self.write_per_namespace.get(key));
        if let Some(summary) = summary {
            summary.add((path.len() + bytes) as i64);
        }
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
        metrics.acked_here(2);
        assert_eq!(metrics.proposal_ack_creation_latency.basic().sum(), 2);
    }

    #[test]
    fn learners_count_by_how_they_are_brought_up_to_date() {
        let metrics = Metrics::default();
        metrics.learner_syncs(false, false, 1);
        metrics.learner_syncs(true, false, 1);
        metrics.learner_syncs(false, false, 2);
        metrics.learner_syncs(false, true, 1);
        assert_eq!((metrics.diff_count.get(), metrics.snap_count.get()), (2, 1));
        let in_flight = &metrics.inflight_diff_count;
        assert_eq!((in_flight.count(), in_flight.sum()), (3, 4));
        metrics.acked_by(3, 8);
        metrics.acked_by(3, -8);
        let latency = metrics.ack_latency.get("3").expect("there is room");
        assert_eq!((latency.basic().count(), latency.basic().sum()), (1, 8));
    }

    #[test]
    fn only_a_leader_was_missed_as_a_leader() {
        let metrics = Metrics::default();
        metrics.available_again(5, false);
        metrics.available_again(7, true);
        assert_eq!(metrics.unavailable_time.sum(), 12);
        assert_eq!(metrics.leader_unavailable_time.sum(), 7);
    }

    #[test]
    fn the_configuration_counts_as_written() {
        let metrics = Metrics::default();
        metrics.node_written("/zookeeper/config", 83);
        let summary = metrics.write_per_namespace.get("zookeeper").expect("there is room");
        assert_eq!((summary.count(), summary.sum()), (1, 100));
    }
}
