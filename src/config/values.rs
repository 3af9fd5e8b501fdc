//! The typed values, in the groups in which the rooms of the server ask for them. Each group reads
//! itself by the rows of the table; what Apache corrects silently is corrected here with a finding.

use std::path::PathBuf;

use super::error::{ConfigError, ExitCode, What};
use super::java;
use super::members::HostPort;
use super::settings::Reader;

/// Session timeouts. All of it in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// The unit of the timeouts, of session expiry and of the ensemble's limits.
    pub tick_time_ms: i32,
    /// Shortest timeout granted.
    pub min_timeout_ms: i32,
    /// Longest timeout granted.
    pub max_timeout_ms: i32,
    /// Time that a new connection has for asking for a session.
    pub sessionless_timeout_ms: i32,
}

impl Sessions {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Sessions, ConfigError> {
        let tick_time_ms = reader.int("tickTime")?;
        if tick_time_ms <= 0 {
            return Err(reader.refuse("tickTime", "tickTime is not set", "write tickTime=2000"));
        }
        let sessions = Sessions {
            sessionless_timeout_ms: reader.int("nio.sessionlessCnxnTimeout")?,
            ..Sessions::of_tick(tick_time_ms)
        };
        let or = |said: Option<i64>, default: i32| match said {
            None | Some(-1) => default,
            Some(said) => i32::try_from(said).expect("read as 32 bits"),
        };
        let min_timeout_ms =
            or(reader.optional_long("minSessionTimeout")?, sessions.min_timeout_ms);
        let max_timeout_ms =
            or(reader.optional_long("maxSessionTimeout")?, sessions.max_timeout_ms);
        if min_timeout_ms > max_timeout_ms {
            let key = match reader.place("minSessionTimeout") {
                Some(_) => "minSessionTimeout",
                None => "maxSessionTimeout",
            };
            let words = "minSessionTimeout must not be larger than maxSessionTimeout";
            let advice = format!("they are {min_timeout_ms} and {max_timeout_ms} ms here");
            return Err(reader.refuse(key, words, &advice));
        }
        Ok(Sessions { min_timeout_ms, max_timeout_ms, ..sessions })
    }

    /// What follows from a tick alone. Wraps like Java's ints, so that an absurd tick is refused
    /// for the same reason.
    pub(super) fn of_tick(tick_time_ms: i32) -> Sessions {
        Sessions {
            tick_time_ms,
            min_timeout_ms: tick_time_ms.wrapping_mul(2),
            max_timeout_ms: tick_time_ms.wrapping_mul(20),
            sessionless_timeout_ms: 10_000,
        }
    }
}

/// How much of anything a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections from one address; 0 is unlimited.
    pub max_client_cnxns: i32,
    /// Connections from all clients together; 0 is unlimited.
    pub max_cnxns: i32,
    /// Largest packet from a client, in bytes. A record on disk may be longer by the extra size.
    pub jute_max_buffer: i32,
    /// Bytes that a record on disk or between members may have above `jute_max_buffer`.
    pub jute_extra_size: i32,
    /// Requests in the server above which a connection with requests in it is read no further.
    pub global_outstanding_limit: i32,
    /// Sum of large requests in flight, in bytes.
    pub large_request_max_bytes: i32,
    /// Size above which a request counts as large, in bytes; `None` is never.
    pub large_request_threshold: Option<i32>,
    /// Queueing time above which a request is answered with THROTTLEDOP; `None` is never.
    pub throttled_op_wait_time_ms: Option<i32>,
}

impl ClientLimits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<ClientLimits, ConfigError> {
        let jute_max_buffer = reader.int("jute.maxbuffer")?;
        let extra = reader.optional_long("jute.maxbuffer.extrasize")?;
        let threshold = reader.int("largeRequestThreshold")?;
        if threshold == 0 {
            let message = "0 is out of bounds; -1 is used, as in Apache".to_owned();
            reader.remark(What::Value, "largeRequestThreshold", message);
        }
        Ok(ClientLimits {
            max_client_cnxns: reader.int("maxClientCnxns")?,
            max_cnxns: reader.int("maxCnxns")?,
            jute_max_buffer,
            jute_extra_size: extra
                .map_or(jute_max_buffer, |bytes| i32::try_from(bytes).expect("read as 32 bits")),
            global_outstanding_limit: reader.int("globalOutstandingLimit")?,
            large_request_max_bytes: reader.int("largeRequestMaxBytes")?,
            large_request_threshold: Some(threshold).filter(|&bytes| bytes > 0),
            throttled_op_wait_time_ms: Some(reader.int("throttled_op_wait_time")?)
                .filter(|&ms| ms > 0),
        })
    }
}

/// The request throttler: how many requests may be in the pipeline, and which of those waiting in
/// front of it are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests in the pipeline; 0 and less is unlimited.
    pub max_requests: i32,
    /// Wait before looking again whether there is room.
    pub stall_time_ms: i32,
    /// Drop stale requests while waiting.
    pub drop_stale: bool,
    /// A request older than its session's timeout is stale.
    pub stale_latency_check: bool,
    /// A request of a closed connection is stale.
    pub stale_connection_check: bool,
    /// Time to finish requests when stopping.
    pub shutdown_timeout_ms: i32,
}

impl RequestThrottle {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<RequestThrottle, ConfigError> {
        Ok(RequestThrottle {
            max_requests: reader.int("request_throttle_max_requests")?,
            stall_time_ms: reader.int("request_throttle_stall_time")?,
            drop_stale: reader.switch("request_throttle_drop_stale")?,
            stale_latency_check: reader.switch("request_stale_latency_check")?,
            stale_connection_check: reader.switch("request_stale_connection_check")?,
            shutdown_timeout_ms: reader.int("request_throttler.shutdownTimeout")?,
        })
    }
}

/// The token bucket from which each new session takes (Apache's `BlueThrottle`). Tokens and fill
/// count are as said: with weights the throttle counts them in global sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionThrottle {
    /// Size of the bucket; 0 and less is off.
    pub tokens: i32,
    /// Time between two fills.
    pub fill_time_ms: i32,
    /// Tokens of a fill.
    pub fill_count: i32,
    /// Time between two changes of the drop probability; -1 is off.
    pub freeze_time_ms: i32,
    pub drop_increase: f64,
    pub drop_decrease: f64,
    pub decrease_ratio: f64,
    /// What kinds of sessions cost; `None`: each costs one token.
    pub weights: Option<SessionWeights>,
}

/// Tokens that a session costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWeights {
    /// A new session of the ensemble.
    pub global: i32,
    /// A new session of one server.
    pub local: i32,
    /// A session that comes back.
    pub renew: i32,
}

impl ConnectionThrottle {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<ConnectionThrottle, ConfigError> {
        let weights = SessionWeights::read(reader)?;
        let weighted = reader.switch("connection_throttle_weight_enabled")?;
        Ok(ConnectionThrottle {
            tokens: reader.int("connection_throttle_tokens")?,
            fill_time_ms: reader.int("connection_throttle_fill_time")?,
            fill_count: reader.int("connection_throttle_fill_count")?,
            freeze_time_ms: reader.int("connection_throttle_freeze_time")?,
            drop_increase: reader.float("connection_throttle_drop_increase")?,
            drop_decrease: reader.float("connection_throttle_drop_decrease")?,
            decrease_ratio: reader.float("connection_throttle_decrease_ratio")?,
            weights: weighted.then_some(weights),
        })
    }
}

impl SessionWeights {
    /// Neither a global session nor one that comes back may cost less than a local one. A weight
    /// that is not positive is replaced by its default before, and that is not compared any more.
    fn read(reader: &mut Reader<'_>) -> Result<SessionWeights, ConfigError> {
        let local = reader.int("connection_throttle_local_session_weight")?;
        let mut at_least_local = |name: &str| -> Result<i32, ConfigError> {
            let weight = reader.int(name)?;
            let said = reader.settings.text(name).and_then(java::decode_int);
            if said.is_some_and(|weight| weight <= 0) {
                return Ok(weight);
            }
            if weight < local {
                let message =
                    format!("{weight} is less than the {local} of a local session, which is used");
                reader.remark(What::Value, name, message);
            }
            Ok(weight.max(local))
        };
        Ok(SessionWeights {
            global: at_least_local("connection_throttle_global_session_weight")?,
            renew: at_least_local("connection_throttle_renew_session_weight")?,
            local,
        })
    }
}

/// How snapshots are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotCompression {
    Plain,
    Gzip,
    Snappy,
}

/// Logs, snapshots, and when which of them is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Transactions between snapshots, at least 2; the writer varies it from half of it up.
    pub snap_count: i32,
    /// Log between snapshots, varied likewise, in KB; `None` is no limit.
    pub snap_size_limit_kb: Option<i64>,
    /// Step in which logs are allocated, in KB; 0 and less: only as they grow.
    pub pre_alloc_size_kb: i64,
    /// Size at which a new log begins, in KB; `None` is never.
    pub txn_log_size_limit_kb: Option<i64>,
    /// `false`: writes are acknowledged that may not be on disk.
    pub force_sync: bool,
    /// Duration of a sync above which a warning is due.
    pub fsync_warning_threshold_ms: i64,
    /// Longest wait for company before a flush.
    pub flush_delay_ms: i64,
    /// Wait for the next write before a flush.
    pub max_write_queue_poll_time_ms: i64,
    /// Transactions after which a flush is due; 0 and less: their number does not matter.
    pub max_batch_size: i32,
    pub snapshot_compression: SnapshotCompression,
    /// Start on logs without any snapshot.
    pub snapshot_trust_empty: bool,
    /// Create missing data directories.
    pub datadir_autocreate: bool,
    /// Take an empty data directory for a new database.
    pub db_autocreate: bool,
    /// Snapshots end with the zxid they reach.
    pub serialize_last_zxid: bool,
    /// Snapshots that a purge keeps, at least 3.
    pub snap_retain_count: i32,
    /// Hours between purges; `None` is never.
    pub purge_interval_hours: Option<i32>,
}

impl Storage {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Storage, ConfigError> {
        let flush_delay_ms = reader.long("flushDelay")?;
        let poll_time = reader.optional_long("maxWriteQueuePollTime")?;
        Ok(Storage {
            snap_count: reader.int("snapCount")?,
            snap_size_limit_kb: positive(reader.long("snapSizeLimitInKb")?),
            pre_alloc_size_kb: reader.long("preAllocSize")?,
            txn_log_size_limit_kb: positive(reader.long("txnLogSizeLimitInKb")?),
            force_sync: reader.switch("forceSync")?,
            fsync_warning_threshold_ms: reader.long("fsync.warningthresholdms")?,
            flush_delay_ms,
            max_write_queue_poll_time_ms: poll_time.unwrap_or(flush_delay_ms / 3),
            max_batch_size: reader.int("maxBatchSize")?,
            snapshot_compression: compression(reader),
            snapshot_trust_empty: reader.switch("snapshot.trust.empty")?,
            datadir_autocreate: reader.switch("datadir.autocreate")?,
            db_autocreate: reader.switch("db.autocreate")?,
            serialize_last_zxid: reader.switch("serializeLastProcessedZxid.enabled")?,
            snap_retain_count: reader.int("autopurge.snapRetainCount")?,
            purge_interval_hours: Some(reader.int("autopurge.purgeInterval")?)
                .filter(|&hours| hours > 0),
        })
    }
}

fn positive(number: i64) -> Option<i64> {
    (number > 0).then_some(number)
}

fn compression(reader: &mut Reader<'_>) -> SnapshotCompression {
    const KEY: &str = "snapshot.compression.method";
    let method = reader.text(KEY).unwrap_or_default();
    match method.to_lowercase().as_str() {
        "gz" => SnapshotCompression::Gzip,
        "snappy" => SnapshotCompression::Snappy,
        other => {
            if !other.is_empty() {
                let message = format!("{method:?} is neither gz nor snappy; snapshots are plain");
                reader.remark(What::Value, KEY, message);
            }
            SnapshotCompression::Plain
        }
    }
}

/// What the replicated tree does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Keep a digest of the tree and check it.
    pub digest_enabled: bool,
    /// The transaction that closes a session lists its ephemeral nodes.
    pub close_session_txn: bool,
    /// Allow nodes with a time to live.
    pub extended_types: bool,
    /// Read such nodes as 3.5.3 wrote them.
    pub emulate_353_ttl: bool,
    /// Refuse what exceeds a hard quota.
    pub enforce_quota: bool,
    /// Time between two looks for empty containers and expired nodes.
    pub container_check_interval_ms: i32,
    /// Deletions of such nodes a minute.
    pub container_max_per_minute: i32,
    /// Age at which a container that never had a child goes; 0 is never.
    pub container_max_never_used_ms: i64,
}

impl Tree {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Tree, ConfigError> {
        Ok(Tree {
            digest_enabled: reader.switch("digest.enabled")?,
            close_session_txn: reader.switch("closeSessionTxn.enabled")?,
            extended_types: reader.switch("extendedTypesEnabled")?,
            emulate_353_ttl: reader.switch("emulate353TTLNodes")?,
            enforce_quota: reader.switch("enforceQuota")?,
            container_check_interval_ms: reader.int("znode.container.checkIntervalMs")?,
            container_max_per_minute: reader.int("znode.container.maxPerMinute")?,
            container_max_never_used_ms: reader.long("znode.container.maxNeverUsedIntervalMs")?,
        })
    }
}

/// Sockets and probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Listen backlog; `None` leaves it to the system.
    pub listen_backlog: Option<i32>,
    /// SO_KEEPALIVE on connections of clients.
    pub client_tcp_keep_alive: bool,
    /// Four-letter words that are answered.
    pub four_letter_words: FourLetterWords,
    /// Serve reads without a quorum.
    pub read_only_mode: bool,
    /// The class named for watches; without effect.
    pub watch_manager_name: String,
    /// Serialized replies that Apache would keep; without effect.
    pub response_cache_size: i32,
    /// The same for lists of children; without effect.
    pub children_response_cache_size: i32,
}

impl Network {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Network, ConfigError> {
        let read_only_mode = reader.switch("readonlymode.enabled")?;
        known_class(reader, "serverCnxnFactory", CNXN_FACTORIES)?;
        Ok(Network {
            listen_backlog: Some(reader.int("clientPortListenBacklog")?).filter(|&n| n > 0),
            client_tcp_keep_alive: reader.switch("clientTcpKeepAlive")?,
            four_letter_words: FourLetterWords::read(reader, read_only_mode),
            read_only_mode,
            watch_manager_name: known_class(reader, "watchManagerName", WATCH_MANAGERS)?,
            response_cache_size: reader.int("maxResponseCacheSize")?,
            children_response_cache_size: reader.int("maxGetChildrenResponseCacheSize")?,
        })
    }
}

const CNXN_FACTORIES: &[&str] = &[
    "org.apache.zookeeper.server.NIOServerCnxnFactory",
    "org.apache.zookeeper.server.NettyServerCnxnFactory",
];

const WATCH_MANAGERS: &[&str] = &[
    "org.apache.zookeeper.server.watch.WatchManager",
    "org.apache.zookeeper.server.watch.WatchManagerOptimized",
];

/// A class that Apache would load at start: without it, exit status 1.
fn known_class(reader: &Reader<'_>, key: &str, classes: &[&str]) -> Result<String, ConfigError> {
    let class = reader.text(key).unwrap_or_default();
    if classes.contains(&class.as_str()) {
        return Ok(class);
    }
    let advice = format!("the classes that mean something are {}", classes.join(" and "));
    let error = reader.refuse(key, &format!("Couldn't instantiate {class}"), &advice);
    Err(error.exiting(ExitCode::Unexpected))
}

/// The four-letter words that are answered; others get a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FourLetterWords {
    all: bool,
    words: Vec<String>,
}

impl FourLetterWords {
    /// Scripts depend on srvr, so it is always there; isro comes with the read-only mode.
    fn read(reader: &Reader<'_>, read_only_mode: bool) -> FourLetterWords {
        let mut words = reader.words("4lw.commands.whitelist");
        let all = words.iter().any(|word| word == "*");
        words.extend(read_only_mode.then(|| "isro".to_owned()));
        words.push("srvr".to_owned());
        words.sort_unstable();
        words.dedup();
        FourLetterWords { all, words }
    }

    /// Whether a word that the server knows may be answered.
    pub fn allows(&self, word: &str) -> bool {
        self.all || self.words.iter().any(|allowed| allowed == word)
    }
}

/// Where the admin server listens. The rest of its keys is read when it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub enabled: bool,
    /// As said; Apache takes 8080 for a port that is no number.
    pub host: String,
    pub port: i32,
    /// The root of its commands.
    pub command_url: String,
    pub idle_timeout_ms: i32,
    pub snapshot_enabled: bool,
    pub restore_enabled: bool,
    pub audit_enabled: bool,
}

impl Admin {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Admin, ConfigError> {
        Ok(Admin {
            enabled: reader.switch("admin.enableServer")?,
            host: reader.text("admin.serverAddress").unwrap_or_default(),
            port: reader.int("admin.serverPort")?,
            command_url: reader.text("admin.commandURL").unwrap_or_default(),
            idle_timeout_ms: reader.int("admin.idleTimeout")?,
            snapshot_enabled: reader.switch("admin.snapshot.enabled")?,
            restore_enabled: reader.switch("admin.restore.enabled")?,
            audit_enabled: reader.switch("audit.enable")?,
        })
    }
}

/// Who collects metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metrics {
    /// For mntr and the admin server only.
    Default,
    /// The same, and over HTTP for Prometheus.
    Prometheus(HostPort),
    /// Nobody.
    Null,
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Metrics, ConfigError> {
        const KEY: &str = "metricsProvider.className";
        match reader.text(KEY).unwrap_or_default().as_str() {
            "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider" => Ok(Metrics::Default),
            "org.apache.zookeeper.metrics.impl.NullMetricsProvider" => Ok(Metrics::Null),
            "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider" => {
                let host = reader.text("metricsProvider.httpHost").unwrap_or_default();
                let number = reader.int("metricsProvider.httpPort")?;
                let port = u16::try_from(number).map_err(|_| {
                    let words = format!("port out of range:{number}");
                    reader.refuse("metricsProvider.httpPort", &words, "0 to 65535")
                })?;
                Ok(Metrics::Prometheus(HostPort { host, port }))
            }
            other => {
                let advice = format!("{other}; the shipped ones are {SHIPPED_PROVIDERS}");
                Err(reader.refuse(KEY, "metrics provider class was not found", &advice))
            }
        }
    }
}

const SHIPPED_PROVIDERS: &str = "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider, \
     org.apache.zookeeper.metrics.impl.NullMetricsProvider and \
     org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";

/// The two data directories, which may be one. Files are in `version-2` below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirs {
    /// Snapshots and myid.
    pub snapshots: PathBuf,
    /// Transaction logs.
    pub logs: PathBuf,
}

impl DataDirs {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<DataDirs, ConfigError> {
        let said = |reader: &Reader<'_>, key| reader.text(key).filter(|path| !path.is_empty());
        let Some(snapshots) = said(reader, "dataDir") else {
            let advice = "write dataDir=/var/lib/zookeeper, or where the data shall be";
            return Err(reader.refuse("dataDir", "dataDir is not set", advice));
        };
        for key in ["dataDir", "dataLogDir"] {
            let Some(path) = said(reader, key) else { continue };
            if !path.starts_with('/') && !path.starts_with("./") {
                let message =
                    format!("{path} is relative. Prepend ./ to indicate that you're sure!");
                reader.remark(What::Advice, key, message);
            }
        }
        let logs = said(reader, "dataLogDir").unwrap_or_else(|| snapshots.clone());
        Ok(DataDirs { snapshots: snapshots.into(), logs: logs.into() })
    }
}
