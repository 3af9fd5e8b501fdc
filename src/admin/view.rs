//! What the four-letter words show, as plain values. The live server fills in what
//! [`super::Word::needs`] names and leaves the rest as it is by default.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::java::Zone;
use crate::metrics::{Gauges, QuotaGauges, ServerStats};
use crate::session::Bucket;
use crate::types::{Now, SessionId, Zxid};
use crate::watch::WatchSummary;
use jute::OpCode;

/// The state of a server at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// As whom the server serves. `None` while it doesn't: most words then only say so.
    pub role: Option<Role>,
    /// The full version: number, revision and date ([`super::version`]).
    pub version: String,
    /// What `gtmk` shows.
    pub trace_mask: i64,
    /// The zone that dates are printed in.
    pub zone: Zone,
    /// Traffic of the clients.
    pub stats: Traffic,
    /// Nodes of the tree, those below `/zookeeper` included.
    pub node_count: usize,
    /// The last transaction applied.
    pub last_zxid: Zxid,
    /// Last, smallest and largest proposal of a leader, bytes; -1 before the first.
    pub proposal_sizes: Option<[i64; 3]>,
    /// Every client connection on all ports, the asking one included.
    pub connections: Vec<Connection>,
    /// What `conf` shows.
    pub conf: Conf,
    /// Sessions and when they end.
    pub sessions: Sessions,
    /// Sessions that have ephemeral nodes, with the paths.
    pub ephemerals: Vec<(SessionId, Vec<String>)>,
    /// When connections are closed for silence.
    pub connection_deadlines: Vec<Deadline<ConnectionName>>,
    /// Keys and values of `envi`, in order.
    pub environment: Vec<(String, String)>,
    /// Zxid and digest of the tree, oldest first.
    pub digest_log: Vec<(Zxid, u64)>,
    /// The data watches in numbers.
    pub watch_summary: WatchSummary,
    /// The data watches of each connection, under its session.
    pub watches: Vec<(SessionId, Vec<String>)>,
    /// What `mntr` reads at the moment of asking.
    pub gauges: Gauges,
    /// Quotas by top-level path.
    pub quotas: QuotaGauges,
    /// `leading - broadcast` and the like; `None` standalone.
    pub peer_state: Option<String>,
}

/// As whom a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Alone.
    Standalone,
    /// Leads an ensemble.
    Leader,
    /// Votes and follows.
    Follower,
    /// Follows without a vote.
    Observer,
    /// Has no quorum and serves reads to clients that asked for that.
    ReadOnly,
}

impl Role {
    /// As `Mode:` and `zk_server_state` print it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Standalone => "standalone",
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Observer => "observer",
            Role::ReadOnly => "read-only",
        }
    }
}

/// The block of numbers in `srvr` and `stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Milliseconds.
    pub latency_min_ms: i64,
    /// Milliseconds, rounded to four decimals.
    pub latency_avg_ms: f64,
    /// Milliseconds.
    pub latency_max_ms: i64,
    /// Packets from clients.
    pub received: i64,
    /// Packets to clients.
    pub sent: i64,
    /// Client connections, the asking one included.
    pub connections: usize,
    /// Requests accepted and not yet answered.
    pub outstanding: i64,
}

impl Traffic {
    /// Reads the statistics of a server.
    pub fn new(stats: &ServerStats, connections: usize, outstanding: i64) -> Traffic {
        Traffic {
            latency_min_ms: stats.request_latency.min(),
            latency_avg_ms: stats.request_latency.avg(),
            latency_max_ms: stats.request_latency.max(),
            received: stats.packets_received.get(),
            sent: stats.packets_sent.get(),
            connections,
            outstanding,
        }
    }
}

/// One client connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Its client.
    pub remote: SocketAddr,
    /// What it waits for, as Java's selector would say: 1 to read, 4 to write, 5 both; 0 while
    /// a four-letter word is answered on it.
    pub interest: u8,
    /// Requests accepted and not yet answered.
    pub outstanding: i64,
    /// Packets received.
    pub received: i64,
    /// Packets sent.
    pub sent: i64,
    /// Its session, once there is one.
    pub session: Option<ConnectionSession>,
}

/// What a connection with a session shows in `cons`. `crst` resets all but the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSession {
    /// The session.
    pub id: SessionId,
    /// When the connection was accepted, wall clock.
    pub established_wall_ms: i64,
    /// The negotiated timeout.
    pub timeout_ms: i32,
    /// The last operation answered.
    pub last_op: Option<OpCode>,
    /// Its xid; negative before the first.
    pub last_cxid: i64,
    /// The zxid in the last reply, [`Zxid::NONE`] before it.
    pub last_zxid: Zxid,
    /// When that was, monotonic.
    pub last_response_ms: i64,
    /// How long that one took.
    pub last_latency_ms: i64,
    /// The quickest.
    pub min_latency_ms: i64,
    /// The mean, rounded down.
    pub avg_latency_ms: i64,
    /// The slowest.
    pub max_latency_ms: i64,
}

/// What `conf` prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conf {
    /// The plaintext port, -1 without.
    pub client_port: i32,
    /// The TLS port, -1 without.
    pub secure_client_port: i32,
    /// Where snapshots are: `<dataDir>/version-2`, absolute.
    pub data_dir: String,
    /// Bytes in it.
    pub data_dir_size: u64,
    /// Where logs are.
    pub data_log_dir: String,
    /// Bytes in it.
    pub data_log_size: u64,
    /// Milliseconds.
    pub tick_time_ms: i32,
    /// Per address; 0 is no limit.
    pub max_client_cnxns: i32,
    /// Milliseconds.
    pub min_session_timeout_ms: i32,
    /// Milliseconds.
    pub max_session_timeout_ms: i32,
    /// As configured, -1 when not.
    pub client_port_listen_backlog: i32,
    /// `myid`; 0 standalone.
    pub server_id: i64,
    /// The lines that a member of an ensemble has more.
    pub ensemble: Option<EnsembleConf>,
}

/// What `conf` prints of an ensemble.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnsembleConf {
    /// Ticks.
    pub init_limit: i32,
    /// Ticks.
    pub sync_limit: i32,
    /// One for each address.
    pub election_ports: Vec<u16>,
    /// One for each address.
    pub quorum_ports: Vec<u16>,
    /// Whether this server has no vote.
    pub observer: bool,
    /// The `server.N` lines and `version=`, without a line end behind the last. A read-only
    /// server leaves it out.
    pub membership: Option<String>,
}

/// Things that end at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline<T> {
    /// Wall clock.
    pub at_wall_ms: i64,
    /// What ends then.
    pub members: Vec<T>,
}

impl<T> Deadline<T> {
    /// Things with their monotonic deadlines, put together by deadline, earliest first.
    pub fn collect(things: impl IntoIterator<Item = (i64, T)>, now: Now) -> Vec<Deadline<T>> {
        let mut by_deadline: BTreeMap<i64, Vec<T>> = BTreeMap::new();
        for (at_ms, thing) in things {
            by_deadline.entry(at_ms).or_default().push(thing);
        }
        let wall_ms = |at_ms: i64| now.wall_ms + at_ms - now.mono_ms;
        let deadlines = by_deadline.into_iter();
        deadlines.map(|(at_ms, members)| Deadline { at_wall_ms: wall_ms(at_ms), members }).collect()
    }
}

impl Deadline<SessionId> {
    /// The buckets of [`crate::session::SessionTable::buckets`], with wall time.
    pub fn of_sessions(buckets: Vec<Bucket>, now: Now) -> Vec<Deadline<SessionId>> {
        let one_by_one = |bucket: Bucket| {
            bucket.sessions.into_iter().map(move |session| (bucket.deadline_ms, session))
        };
        Deadline::collect(buckets.into_iter().flat_map(one_by_one), now)
    }
}

/// The sessions that a server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// A standalone server or a leader decides when they end.
    Tracked {
        /// Local sessions, where they are enabled on a leader.
        local: Option<Vec<Deadline<SessionId>>>,
        /// All others.
        global: Vec<Deadline<SessionId>>,
    },
    /// A learner knows their timeouts.
    Learned {
        /// Local sessions, where they are enabled.
        local: Option<Vec<Deadline<SessionId>>>,
        /// Session and timeout in milliseconds.
        global: Vec<(SessionId, i32)>,
    },
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions::Tracked { local: None, global: Vec::new() }
    }
}

/// A connection in `dump`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionName {
    /// Its client.
    pub remote: SocketAddr,
    /// Its session; 0 before the handshake.
    pub session: SessionId,
}
