//! Every metric that the server counts by itself, in one table: `metrics_table!` makes of it the
//! struct, its reset and its walk. Names are Apache's. What is read from the live server at the
//! moment of asking is a gauge and stands in `gauges.rs`.

use super::{Advanced, AdvancedSet, Basic, BasicSet, Counter, CounterSet, Kind, Metric, Sink};

/// One row of a table, for documentation and for exporters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// As Apache's exporter prints it: `mntr` puts `zk_` in front.
    pub name: &'static str,
    /// What is printed for it.
    pub kind: Kind,
    /// What it tells.
    pub meaning: &'static str,
}

macro_rules! metrics_table {
    ($($(#[doc = $meaning:literal])+ $name:ident: $kind:ident,)*) => {
        /// Counters and summaries of one server. Any thread may add to any of them.
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[doc = $meaning])+ pub $name: $kind,)* }

        impl Metrics {
            /// The table, in the order of `mntr`.
            pub const ROWS: &'static [Row] = &[$(Row {
                name: stringify!($name),
                kind: Kind::$kind,
                meaning: concat!($($meaning),+),
            },)*];

            /// Back to zero: what `srst` does to everything that is no gauge.
            pub fn reset(&self) {
                $(self.$name.reset();)*
            }

            /// Hands every value to `sink`, kind after kind as `mntr` prints them.
            pub fn walk(&self, sink: &mut dyn Sink) {
                $(self.$name.walk(stringify!($name), sink);)*
            }
        }
    };
}

metrics_table! {
    /// Ms callers were stalled because the dead-watcher backlog was over its limit
    /// (WatchManagerOptimized only).
    add_dead_watcher_stall_time: Counter,
    /// Bytes read from clients (both connection factories).
    bytes_received_count: Counter,
    /// Netty: connections refused because the server is not serving.
    cnxn_closed_without_zk_server_running: Counter,
    /// COMMIT broadcasts.
    commit_count: Counter,
    /// Client sockets that ended without a closeSession request.
    connection_drop_count: Counter,
    /// Connections turned away (maxClientCnxns, maxCnxns, throttle, TLS limits).
    connection_rejected: Counter,
    /// ConnectRequest packets processed.
    connection_request_count: Counter,
    /// Sessions offered again with an existing id (reconnects).
    connection_revalidate_count: Counter,
    /// Dead watchers removed.
    dead_watchers_cleared: Counter,
    /// Dead watchers queued for removal.
    dead_watchers_queued: Counter,
    /// Learners brought up by DIFF (or TRUNC).
    diff_count: Counter,
    /// Data-tree digest differed from the one carried by a txn: alert on any growth.
    digest_mismatches_count: Counter,
    /// Ensemble auth with a wrong name.
    ensemble_auth_fail: Counter,
    /// Ensemble auth not configured or empty name.
    ensemble_auth_skip: Counter,
    /// Ensemble auth accepted.
    ensemble_auth_success: Counter,
    /// Plaintext connections accepted by AdminServer with admin.portUnification.
    insecure_admin_count: Counter,
    /// Requests refused by largeRequestMaxBytes.
    large_requests_rejected: Counter,
    /// COMMIT / INFORM packets received.
    learner_commit_received_count: Counter,
    /// PROPOSAL packets received.
    learner_proposal_received_count: Counter,
    /// Times this peer entered LOOKING.
    looking_count: Counter,
    /// Pending change records created by the first processor.
    outstanding_changes_queued: Counter,
    /// Pending change records retired.
    outstanding_changes_removed: Counter,
    /// Requests handed to the first processor.
    prep_processor_request_queued: Counter,
    /// Proposals made.
    proposal_count: Counter,
    /// Times the leader resigned because a voter had joined another leader.
    quit_leading_due_to_disloyal_voter: Counter,
    /// Commits handed to the commit processor.
    request_commit_queued: Counter,
    /// Times the throttler stalled.
    request_throttle_wait_count: Counter,
    /// Learner requests answered without the commit processor.
    requests_not_forwarded_to_commit_processor: Counter,
    /// Bytes of replies.
    response_bytes: Counter,
    /// Read replies from the serialized-response cache.
    response_packet_cache_hits: Counter,
    /// Read replies not in it.
    response_packet_cache_misses: Counter,
    /// Same for getChildren.
    response_packet_get_children_cache_hits: Counter,
    /// Same for getChildren.
    response_packet_get_children_cache_misses: Counter,
    /// Failed admin restores.
    restore_error_count: Counter,
    /// Admin restores refused with 429.
    restore_rate_limited_count: Counter,
    /// Session revalidations asked by learners.
    revalidate_count: Counter,
    /// NIO connections closed because no session was made in time.
    sessionless_connections_expired: Counter,
    /// Requests not passed on (flag follower.skipLearnerRequestToNextProcessor).
    skip_learner_request_to_next_processor_count: Counter,
    /// Learners brought up by SNAP.
    snap_count: Counter,
    /// Failed admin snapshots.
    snapshot_error_count: Counter,
    /// Admin snapshots refused with 429.
    snapshot_rate_limited_count: Counter,
    /// Replies computed for a connection already gone.
    stale_replies: Counter,
    /// Requests found stale by the throttler.
    stale_requests: Counter,
    /// Stale requests dropped.
    stale_requests_dropped: Counter,
    /// Sessions expired by timeout.
    stale_sessions_expired: Counter,
    /// Requests handed to the log processor.
    sync_processor_request_queued: Counter,
    /// Requests marked throttled (throttled_op_wait_time).
    throttled_ops: Counter,
    /// Handshakes refused by the outstanding limit.
    tls_handshake_exceeded: Counter,
    /// Deaths of critical threads.
    unrecoverable_error_count: Counter,
    /// Failed TLS handshakes (Netty).
    unsuccessful_handshake: Counter,
    /// Bytes of watch notifications sent.
    watch_bytes: Counter,

    /// Requests refused (enforceQuota) ; key = namespace.
    quota_exceeded_error_per_namespace: CounterSet,

    /// Commit queue length at each CommitProcessor wake-up.
    commit_commit_proc_req_queued: Basic,
    /// Ms of one CommitProcessor iteration.
    commit_process_time: Basic,
    /// Requests in flight when the commit processor must wait for an empty pool.
    concurrent_request_processing_in_commit_processor: Basic,
    /// Missing tokens seen by the connection throttle at each connect.
    connection_token_deficit: Basic,
    /// Ms to load snapshot + replay logs.
    dbinittime: Basic,
    /// Ms of finished elections.
    election_time: Basic,
    /// Ms from start of syncing with the leader to serving.
    follower_sync_time: Basic,
    /// Ms of each fsync of the transaction log (absent when forceSync=no).
    fsynctime: Basic,
    /// DIFF syncs in progress, recorded at begin and end of each.
    inflight_diff_count: Basic,
    /// SNAP syncs in progress, recorded at begin and end of each.
    inflight_snap_count: Basic,
    /// Ms without a serving state before this server began to lead.
    leader_unavailable_time: Basic,
    /// First-processor queue length at each dequeue.
    learner_request_processor_queue_size: Basic,
    /// Capacity of a Netty receive buffer held for a partial packet.
    netty_queued_buffer_capacity: Basic,
    /// Watchers fired by one data change.
    node_changed_watch_count: Basic,
    /// Watchers fired by one child change.
    node_children_watch_count: Basic,
    /// Watchers fired by one creation.
    node_created_watch_count: Basic,
    /// Watchers fired by one deletion.
    node_deleted_watch_count: Basic,
    /// Ms from start of syncing to serving.
    observer_sync_time: Basic,
    /// Sessions with a blocked queue when a commit is handled.
    pending_session_queue_size: Basic,
    /// Ms in the first processor.
    prep_process_time: Basic,
    /// First-processor queue length at each dequeue.
    prep_processor_queue_size: Basic,
    /// Ms to hand a prepared request to the next processor.
    proposal_process_time: Basic,
    /// Reads issued per iteration.
    read_commit_proc_issued: Basic,
    /// Reads queued at each wake-up.
    read_commit_proc_req_queued: Basic,
    /// Reads queued right behind a write in a session.
    reads_after_write_in_session_queue: Basic,
    /// Reads freed by a commit.
    reads_issued_from_session_queue: Basic,
    /// Queue length of one session.
    requests_in_session_queue: Basic,
    /// Ms of admin restores.
    restore_time: Basic,
    /// Session queues freed per iteration.
    session_queues_drained: Basic,
    /// Ms to write a snapshot.
    snapshottime: Basic,
    /// Ms to close a quorum socket.
    socket_closing_time: Basic,
    /// Ms to load the snapshot.
    startup_snap_load_time: Basic,
    /// Ms to replay the logs.
    startup_txns_load_time: Basic,
    /// Transactions replayed.
    startup_txns_loaded: Basic,
    /// Ms in the log processor.
    sync_process_time: Basic,
    /// Transactions per flush.
    sync_processor_batch_size: Basic,
    /// Log queue length at each dequeue.
    sync_processor_queue_size: Basic,
    /// Ms waiting for readers to finish before a write.
    time_waiting_empty_pool_in_commit_processor_read_ms: Basic,
    /// Ms between losing a quorum and serving again.
    unavailable_time: Basic,
    /// Ms to apply one batch of commits.
    write_batch_time_in_commit_processor: Basic,
    /// Writes issued per iteration.
    write_commit_proc_issued: Basic,
    /// Writes queued at each wake-up.
    write_commit_proc_req_queued: Basic,

    /// Ms to expand a closeSession into ephemeral deletions.
    close_session_prep_time: Advanced,
    /// Ms from proposal creation (leader wall clock) to arrival of the commit; negative values are
    /// dropped.
    commit_propagation_latency: Advanced,
    /// Ms of one dead-watcher cleaning pass.
    dead_watchers_cleaner_latency: Advanced,
    /// Pauses over the threshold (jvm.pause.monitor=true).
    jvm_pause_time_ms: Advanced,
    /// Ms from commit arrival to application, for writes that entered here.
    local_write_committed_time_ms: Advanced,
    /// Observer master: ms to relay one commit.
    om_commit_process_time_ms: Advanced,
    /// Observer master: ms to relay one proposal.
    om_proposal_process_time_ms: Advanced,
    /// Ms waiting for the first processor.
    prep_processor_queue_time_ms: Advanced,
    /// Ms from txn creation (leader wall clock) to application here.
    propagation_latency: Advanced,
    /// Ms from txn creation to this server's own ACK.
    proposal_ack_creation_latency: Advanced,
    /// Ms from txn creation (leader wall clock) to proposal arrival.
    proposal_latency: Advanced,
    /// Ms from txn creation to quorum.
    quorum_ack_latency: Advanced,
    /// Ms a read spent in the commit processor.
    read_commitproc_time_ms: Advanced,
    /// Ms a read spent in the last processor.
    read_final_proc_time_ms: Advanced,
    /// Ms from arrival to reply of reads.
    readlatency: Advanced,
    /// Ms in the request throttler.
    request_throttle_queue_time_ms: Advanced,
    /// Ms from commit arrival to application, for writes that entered elsewhere.
    server_write_committed_time_ms: Advanced,
    /// Ms from queueing to durable.
    sync_processor_queue_and_flush_time_ms: Advanced,
    /// Ms per flush.
    sync_processor_queue_flush_time_ms: Advanced,
    /// Ms waiting in the log queue.
    sync_processor_queue_time_ms: Advanced,
    /// Ms from arrival to reply of writes that entered here.
    updatelatency: Advanced,
    /// Ms a local write spent in the commit processor.
    write_commitproc_time_ms: Advanced,
    /// Ms a write spent in the last processor.
    write_final_proc_time_ms: Advanced,

    /// Send-queue length toward one learner at each dequeue; key = sid.
    learner_handler_qp_size: BasicSet,
    /// Path + data bytes + 68 for the Stat, per read; key = first path segment.
    read_per_namespace: BasicSet,
    /// Bytes (path + data) per write; key = first path segment.
    write_per_namespace: BasicSet,

    /// Ms from proposal creation (leader wall clock) to the ACK of one voter; key = sid; only zxids
    /// divisible by leader.ackLoggingFrequency (1000) are sampled.
    ack_latency: AdvancedSet,
    /// Time a marker packet spent in that queue; key = sid.
    learner_handler_qp_time_ms: AdvancedSet,
}
