//! What the server is asked for at the moment of the query: its gauges.

use super::table::Row;
use super::{Kind, Number, Sink};

macro_rules! gauges_table {
    ($($(#[doc = $meaning:literal])+ $name:ident: $type:ty,)*) => {
        /// The gauges of one server. An empty one is left out: it belongs to another role.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Gauges { $($(#[doc = $meaning])+ pub $name: $type,)* }

        impl Gauges {
            /// The table, in the order of `mntr`.
            pub const ROWS: &'static [Row] = &[$(Row {
                name: stringify!($name),
                kind: Kind::Gauge,
                meaning: concat!($($meaning),+),
            },)*];

            /// Hands every gauge that there is to `sink`.
            pub fn walk(&self, sink: &mut dyn Sink) {
                $(if let Some(number) = self.$name.number() {
                    sink.number(&[stringify!($name)], number);
                })*
            }
        }
    };
}

gauges_table! {
    /// Bytes of paths + data, cached value, not walked on each scrape.
    approximate_data_size: i64,
    /// Netty: client-certificate authentications that failed, since start (srst leaves it).
    auth_failed_count: i64,
    /// Mean request latency ms since start or srst (4 decimals).
    avg_latency: f64,
    /// Current drop chance of the connection throttle (0..1).
    connection_drop_probability: f64,
    /// Ephemeral nodes.
    ephemerals_count: i64,
    /// Global sessions known.
    global_sessions: i64,
    /// Bytes of the last reply, -1 before the first.
    last_client_response_size: i64,
    /// Bytes of the last proposal, -1 before the first.
    last_proposal_size: Option<i64>,
    /// Ms as leader.
    leader_uptime: Option<i64>,
    /// Connected learners, voters and observers alike (this is what 3.5 called followers).
    learners: Option<i64>,
    /// Local sessions.
    local_sessions: i64,
    /// Largest reply, -1 before the first.
    max_client_response_size: i64,
    /// Soft limit of open files.
    max_file_descriptor_count: i64,
    /// Largest latency ms since start or srst.
    max_latency: i64,
    /// Largest proposal.
    max_proposal_size: Option<i64>,
    /// Smallest reply, -1 before the first.
    min_client_response_size: i64,
    /// Smallest latency ms since start or srst.
    min_latency: i64,
    /// Smallest proposal.
    min_proposal_size: Option<i64>,
    /// Netty: loopback connections without TLS, since start.
    non_mtls_local_conn_count: i64,
    /// Netty: non-loopback connections without TLS, since start.
    non_mtls_remote_conn_count: i64,
    /// Client connections, both ports, the asking 4lw included.
    num_alive_connections: i64,
    /// Open files of the process.
    open_file_descriptor_count: i64,
    /// Requests accepted and not yet answered.
    outstanding_requests: i64,
    /// Netty handshakes in progress.
    outstanding_tls_handshake: i64,
    /// Client packets received since start or srst.
    packets_received: i64,
    /// Client packets sent since start or srst.
    packets_sent: i64,
    /// Sync requests waiting for a commit.
    pending_syncs: Option<i64>,
    /// Voting members of the current config.
    quorum_size: Option<i64>,
    /// Voting followers in sync.
    synced_followers: Option<i64>,
    /// Followers in sync that do not vote (joining during reconfig).
    synced_non_voting_followers: Option<i64>,
    /// Observers in sync; on a follower: those of its observer master (default provider omits it
    /// when there is none, this exporter prints 0).
    synced_observers: Option<i64>,
    /// Ms since this role's server object was made (not since process start).
    uptime: i64,
    /// Data + child watches.
    watch_count: i64,
    /// Nodes in the tree, /zookeeper/* included.
    znode_count: i64,
    /// Server id of the observer master that an observer is connected to; observers only.
    observer_master_id: Option<i64>,
}

/// Quotas by top-level path; each list is printed as `zk_<path>_<name>`, without the slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaGauges {
    /// Byte quota limit by top-level path; key = namespace; only once a quota exists.
    pub quota_bytes_limit_per_namespace: Vec<(String, i64)>,
    /// Bytes used against it; key = namespace.
    pub quota_bytes_usage_per_namespace: Vec<(String, i64)>,
    /// Node quota limit; key = namespace.
    pub quota_count_limit_per_namespace: Vec<(String, i64)>,
    /// Nodes used against it; key = namespace.
    pub quota_count_usage_per_namespace: Vec<(String, i64)>,
}

impl QuotaGauges {
    /// Hands every member of the four sets to `sink`.
    pub fn walk(&self, sink: &mut dyn Sink) {
        for (name, set) in [
            ("quota_bytes_limit_per_namespace", &self.quota_bytes_limit_per_namespace),
            ("quota_bytes_usage_per_namespace", &self.quota_bytes_usage_per_namespace),
            ("quota_count_limit_per_namespace", &self.quota_count_limit_per_namespace),
            ("quota_count_usage_per_namespace", &self.quota_count_usage_per_namespace),
        ] {
            for (key, value) in set {
                sink.number(&[key, "_", name], Number::Integer(*value));
            }
        }
    }
}

trait Gauge {
    fn number(&self) -> Option<Number>;
}

impl Gauge for i64 {
    fn number(&self) -> Option<Number> {
        Some(Number::Integer(*self))
    }
}

impl Gauge for f64 {
    fn number(&self) -> Option<Number> {
        Some(Number::Double(*self))
    }
}

impl Gauge for Option<i64> {
    fn number(&self) -> Option<Number> {
        self.map(Number::Integer)
    }
}
