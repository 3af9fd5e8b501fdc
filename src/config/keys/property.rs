//! Rows that are system properties with the prefix `zookeeper.`: a zoo.cfg line that Apache's
//! reader does not know by name sets the property of that name.

use super::Kind::{
    Class, DecodedInt, DecodedLong, ExactTrue, Flag, Float, Host, LenientLong, NotFalse, NotNo,
    StrictFloat, StrictInt, Text, Words, Yes,
};
use super::Outside::{Clamp, Default};
use super::Work::{Ensemble, Operator, Security};
use super::{prop, Key, Scope};

const ONE_STACK: &str = "one network stack serves every connection";
const NO_DELAY: &str = "a flush never waits for company";
const WAIT_OUTSIDE: &str = "requests wait in their connection and go with it";
const NO_JMX: &str = "there is no JMX";
const TEST_ONLY: &str = "a switch of Apache's own tests";

pub(super) static LIMITS: &[Key] = &[
    prop("globalOutstandingLimit", DecodedInt, "1000")
        .doc("requests in the server above which connections are read no further"),
    prop("maxCnxns", DecodedInt, "0")
        .at_least(0, Default)
        .doc("connections from all clients together; 0 is unlimited"),
    prop("flushDelay", DecodedLong, "0")
        .unit("ms")
        .without_meaning(NO_DELAY)
        .doc("longest wait for company before a flush"),
    prop("maxWriteQueuePollTime", DecodedLong, "=flushDelay / 3")
        .unit("ms")
        .without_meaning(NO_DELAY)
        .doc("wait for the next write before a flush"),
    prop("maxBatchSize", DecodedInt, "1000").doc("transactions after which a flush is due"),
    prop("maxResponseCacheSize", DecodedInt, "400")
        .without_meaning("replies are encoded straight into the connection")
        .doc("serialized getData replies; 0 is off"),
    prop("maxGetChildrenResponseCacheSize", DecodedInt, "400")
        .without_meaning("replies are encoded straight into the connection")
        .doc("serialized getChildren2 replies; 0 is off"),
    prop("intBufferStartingSizeBytes", DecodedInt, "1024")
        .unit("bytes")
        .without_meaning("buffers belong to connections")
        .doc("first size of a buffer"),
    prop("largeRequestMaxBytes", DecodedInt, "104857600")
        .unit("bytes")
        .at_least(1, Default)
        .doc("sum of large requests in flight above which more are refused"),
    prop("largeRequestThreshold", DecodedInt, "-1")
        .unit("bytes")
        .at_least(-1, Default)
        .doc("size above which a request is large; -1 is never"),
    prop("request_throttle_max_requests", DecodedInt, "0")
        .doc("requests in the pipeline; 0 is unlimited"),
    prop("request_throttle_stall_time", DecodedInt, "100")
        .unit("ms")
        .doc("wait before looking again whether there is room"),
    prop("request_throttle_drop_stale", Flag, "true")
        .without_meaning(WAIT_OUTSIDE)
        .doc("drop stale requests while waiting"),
    prop("request_stale_latency_check", Flag, "false")
        .without_meaning(
            "a session that waits longer than its timeout expires, and its requests with it",
        )
        .doc("a request older than its session's timeout is stale"),
    prop("request_stale_connection_check", Flag, "true")
        .without_meaning(WAIT_OUTSIDE)
        .doc("a request of a closed connection is stale"),
    prop("request_throttler.shutdownTimeout", DecodedInt, "10000")
        .unit("ms")
        .without_meaning("what is in the pipeline is always finished")
        .doc("time to finish requests when stopping"),
    prop("throttled_op_wait_time", DecodedInt, "0")
        .unit("ms")
        .doc("queueing time above which a request is refused with THROTTLEDOP; 0 is never"),
    prop("connection_throttle_tokens", DecodedInt, "0")
        .doc("size of the bucket from which a new connection takes a token; 0 is off"),
    prop("connection_throttle_fill_time", DecodedInt, "1")
        .at_least(1, Default)
        .unit("ms")
        .doc("time between two fills"),
    prop("connection_throttle_fill_count", DecodedInt, "1").doc("tokens of a fill"),
    prop("connection_throttle_freeze_time", DecodedInt, "-1")
        .unit("ms")
        .doc("time between two changes of the drop probability; -1 is off"),
    prop("connection_throttle_drop_increase", StrictFloat, "0.02")
        .doc("growth of the drop probability when the bucket is empty"),
    prop("connection_throttle_drop_decrease", StrictFloat, "0.002")
        .doc("its decrease when the bucket is full enough"),
    prop("connection_throttle_decrease_ratio", StrictFloat, "0")
        .doc("share of the bucket that is full enough"),
    prop("connection_throttle_weight_enabled", Flag, "false")
        .doc("kinds of sessions cost different numbers of tokens"),
    prop("connection_throttle_global_session_weight", DecodedInt, "3")
        .at_least(1, Default)
        .doc("cost of a new session"),
    prop("connection_throttle_local_session_weight", DecodedInt, "1")
        .at_least(1, Default)
        .doc("cost of a new local session"),
    prop("connection_throttle_renew_session_weight", DecodedInt, "2")
        .at_least(1, Default)
        .doc("cost of a session that comes back"),
    prop("enforceQuota", Flag, "false").doc("refuse what exceeds a hard quota"),
];

pub(super) static STORAGE: &[Key] = &[
    prop("preAllocSize", LenientLong, "65536").unit("KB").doc("step in which logs are allocated"),
    prop("snapCount", DecodedInt, "100000")
        .at_least(2, Clamp)
        .doc("transactions between snapshots, at random from half of it up"),
    prop("snapSizeLimitInKb", DecodedLong, "4194304")
        .unit("KB")
        .doc("log between snapshots, likewise at random; 0 and less is off"),
    prop("txnLogSizeLimitInKb", DecodedLong, "-1")
        .unit("KB")
        .doc("size at which a new log begins; 0 and less is off"),
    prop("forceSync", NotNo, "yes").doc("no: acknowledge what may not be on disk yet"),
    prop("fsync.warningthresholdms", DecodedLong, "1000")
        .bare()
        .unit("ms")
        .doc("duration of a sync worth a warning"),
    prop("commitLogCount", LenientLong, "500")
        .at_least(500, Clamp)
        .in_ensemble()
        .doc("transactions kept in memory for learners"),
    prop("snapshotSizeFactor", Float, "0.33")
        .in_ensemble()
        .doc("log on disk that may go to a learner, as a share of the snapshot; below 0 is off"),
    prop("snapshot.compression.method", Text, "").doc("gz or snappy; anything else is plain"),
    prop("snapshot.trust.empty", Flag, "false").doc("start on logs without any snapshot"),
    prop("datadir.autocreate", Flag, "true").doc("create missing data directories"),
    prop("db.autocreate", Flag, "true").doc("take an empty data directory for a new database"),
    prop("digest.enabled", Flag, "true").doc("keep a digest of the tree and check it"),
    prop("closeSessionTxn.enabled", Flag, "true")
        .doc("the transaction that closes a session lists its ephemeral nodes"),
    prop("serializeLastProcessedZxid.enabled", Flag, "true")
        .doc("snapshots end with the zxid they reach"),
    prop("extendedTypesEnabled", Flag, "false").doc("allow nodes with a time to live"),
    prop("emulate353TTLNodes", Flag, "false").doc("read such nodes as 3.5.3 wrote them"),
    prop("skipACL", Yes, "no").doc("yes: nobody is refused by an ACL"),
    prop("enableEagerACLCheck", Flag, "false")
        .in_ensemble()
        .doc("a member refuses what its own ACLs forbid without asking the leader"),
];

pub(super) static NETWORK: &[Key] = &[
    prop("serverCnxnFactory", Class, "org.apache.zookeeper.server.NIOServerCnxnFactory")
        .without_meaning(ONE_STACK)
        .doc("the NIO or the Netty class; either is taken"),
    prop("nio.sessionlessCnxnTimeout", DecodedInt, "10000")
        .at_least(1, Default)
        .unit("ms")
        .doc("time for a connection to ask for a session"),
    prop("nio.numSelectorThreads", DecodedInt, "=max(sqrt(cores / 2), 1)")
        .without_meaning(ONE_STACK)
        .doc("threads"),
    prop("nio.numWorkerThreads", DecodedInt, "=2 * cores")
        .without_meaning(ONE_STACK)
        .doc("threads"),
    prop("nio.directBufferBytes", DecodedInt, "65536")
        .unit("bytes")
        .without_meaning(ONE_STACK)
        .doc("write buffer"),
    prop("nio.shutdownTimeout", DecodedLong, "5000")
        .unit("ms")
        .without_meaning(ONE_STACK)
        .doc("time for threads to end"),
    prop("netty.advancedFlowControl.enabled", Flag, "false")
        .without_meaning(ONE_STACK)
        .doc("flow control for slow readers"),
    prop("netty.server.outstandingHandshake.limit", DecodedInt, "-1")
        .later(Security)
        .doc("TLS handshakes at the same time; -1 is unlimited"),
    prop("netty.server.earlyDropSecureConnectionHandshakes", Flag, "false")
        .later(Security)
        .doc("drop a TLS connection before its handshake if it cannot be served"),
    prop("clientTcpKeepAlive", Flag, "false").doc("SO_KEEPALIVE on connections of clients"),
    prop("tcpKeepAlive", Flag, "false").in_ensemble().doc("SO_KEEPALIVE on election connections"),
    prop("cnxTimeout", DecodedInt, "5000")
        .unit("ms")
        .in_ensemble()
        .doc("time to connect to a member"),
    prop("quorumCnxnTimeoutMs", DecodedInt, "-1")
        .unit("ms")
        .in_ensemble()
        .doc("read timeout of election connections; -1 is syncLimit ticks"),
    prop("electionPortBindRetry", DecodedInt, "3")
        .in_ensemble()
        .doc("attempts, a second apart, to bind the election port; 0 is for ever"),
    prop("commitProcessor.numWorkerThreads", DecodedInt, "=cores")
        .without_meaning("reads run on the connection's own worker")
        .doc("threads"),
    prop("commitProcessor.maxReadBatchSize", DecodedInt, "-1")
        .without_meaning("reads run on the connection's own worker")
        .doc("reads between two commits"),
    prop("commitProcessor.maxCommitBatchSize", DecodedInt, "1")
        .without_meaning("reads run on the connection's own worker")
        .doc("commits between two reads"),
    prop("commitProcessor.shutdownTimeout", DecodedLong, "5000")
        .unit("ms")
        .without_meaning("reads run on the connection's own worker")
        .doc("time for threads to end"),
    prop("watchManagerName", Class, "org.apache.zookeeper.server.watch.WatchManager")
        .without_meaning("one watch table serves both")
        .doc("either shipped class is taken"),
    prop("watcherCleanThreshold", DecodedInt, "1000")
        .without_meaning("dead watches go at once")
        .doc("dead watches before they are removed"),
    prop("watcherCleanIntervalInSeconds", DecodedInt, "600")
        .unit("s")
        .without_meaning("dead watches go at once")
        .doc("time before they are removed"),
    prop("watcherCleanThreadsNum", DecodedInt, "2")
        .without_meaning("dead watches go at once")
        .doc("threads that remove them"),
    prop("maxInProcessingDeadWatchers", DecodedInt, "-1")
        .without_meaning("dead watches go at once")
        .doc("dead watches before connections wait"),
    prop("bitHashCacheSize", DecodedInt, "10")
        .without_meaning("watches are not kept as bit sets")
        .doc("cache of a bit set"),
    prop("pathStats.enabled", Flag, "false").later(Operator).doc("log the busiest paths"),
    prop("pathStats.slotCapacity", DecodedInt, "60")
        .later(Operator)
        .doc("slots of path statistics"),
    prop("pathStats.slotDuration", DecodedInt, "15")
        .unit("s")
        .later(Operator)
        .doc("length of a slot"),
    prop("pathStats.maxDepth", DecodedInt, "6").later(Operator).doc("depth at which paths are cut"),
    prop("pathStats.sampleRate", StrictFloat, "0.1").later(Operator).doc("share of requests seen"),
    prop("pathStats.initialDelay", DecodedLong, "5")
        .unit("min")
        .later(Operator)
        .doc("first report"),
    prop("pathStats.delay", DecodedLong, "5").unit("min").later(Operator).doc("further reports"),
    prop("pathStats.topPathMax", DecodedInt, "20").later(Operator).doc("paths of a report"),
    prop("messageTracker.Enabled", Flag, "false")
        .later(Ensemble)
        .doc("remember the last messages of a learner"),
    prop("messageTracker.BufferSize", DecodedInt, "10").later(Ensemble).doc("how many of them"),
    prop("jute.maxbuffer.extrasize", DecodedInt, "=jute.maxbuffer")
        .unit("bytes")
        .in_ensemble()
        .doc(
            "what a record between members may have above jute.maxbuffer; on disk none is too long",
        ),
];

pub(super) static ENSEMBLE: &[Key] = &[
    prop("leaderServes", NotNo, "yes").in_ensemble().doc("no: a leader takes no clients"),
    prop("observer.syncEnabled", Flag, "true").in_ensemble().doc("wins over syncEnabled"),
    prop("observer.reconnectDelayMs", DecodedLong, "0")
        .unit("ms")
        .in_ensemble()
        .doc("wait of an observer before it connects again"),
    prop("observer.election.DelayMs", DecodedLong, "200")
        .unit("ms")
        .in_ensemble()
        .doc("wait of an observer before it looks for a leader"),
    prop("observerMaster.sizeLimit", DecodedInt, "33554432")
        .unit("bytes")
        .without_meaning("observers start from the committed log; there is no queue")
        .doc("queue of a follower for observers"),
    prop("fastleader.minNotificationInterval", DecodedInt, "200")
        .unit("ms")
        .in_ensemble()
        .doc("first wait for votes"),
    prop("fastleader.maxNotificationInterval", DecodedInt, "60000")
        .unit("ms")
        .in_ensemble()
        .doc("longest wait for votes"),
    prop("leader.maxConcurrentSnapSyncs", DecodedInt, "10")
        .in_ensemble()
        .doc("snapshots sent at the same time"),
    prop("leader.maxConcurrentDiffSyncs", DecodedInt, "100")
        .in_ensemble()
        .doc("logs sent at the same time"),
    prop("leader.maxTimeToWaitForEpoch", DecodedInt, "-1")
        .unit("ms")
        .in_ensemble()
        .doc("then a leader gives up if one who elected it looks again; -1: after initLimit"),
    prop("leader.ackLoggingFrequency", DecodedInt, "1000")
        .later(Ensemble)
        .doc("measure one of so many acknowledgements"),
    prop("leaderConnectDelayDuringRetryMs", DecodedInt, "100")
        .unit("ms")
        .in_ensemble()
        .doc("wait between two attempts to connect to a leader"),
    prop("leader.closeSocketAsync", Flag, "false")
        .bare()
        .without_meaning("closing a socket never waits")
        .doc("close sockets of learners on another thread"),
    prop("learner.closeSocketAsync", Flag, "false")
        .bare()
        .without_meaning("closing a socket never waits")
        .doc("close the socket to the leader on another thread"),
    prop("learner.asyncSending", Flag, "false")
        .bare()
        .without_meaning("sending never waits")
        .doc("send to the leader on another thread"),
    prop("forceSnapshotSync", Flag, "false").in_ensemble().doc("learners always get a snapshot"),
    prop("forward_learner_requests_to_commit_processor_disabled", Flag, "false")
        .without_meaning("a switch for debugging Apache's request chain")
        .doc("part of the leader's request chain"),
    prop("follower.skipLearnerRequestToNextProcessor", Flag, "false")
        .without_meaning("a switch for debugging Apache's request chain")
        .doc("part of the follower's request chain"),
];

pub(super) static ADMIN: &[Key] = &[
    prop("4lw.commands.whitelist", Words, "")
        .doc("four-letter words allowed besides srvr; `*` is all"),
    prop("admin.enableServer", NotFalse, "true").later(Operator).doc("false: no admin server"),
    prop("admin.serverAddress", Host, "0.0.0.0").later(Operator).doc("its address"),
    prop("admin.serverPort", DecodedInt, "8080").later(Operator).doc("its port"),
    prop("admin.commandURL", Text, "/commands").later(Operator).doc("its root"),
    prop("admin.idleTimeout", DecodedInt, "30000")
        .unit("ms")
        .later(Operator)
        .doc("idle connections"),
    prop("admin.httpVersion", DecodedInt, "11").later(Operator).doc("11 is HTTP/1.1"),
    prop("admin.portUnification", Flag, "false").later(Operator).doc("HTTP and HTTPS on one port"),
    prop("admin.forceHttps", Flag, "false").later(Operator).doc("HTTPS only"),
    prop("admin.needClientAuth", Flag, "false").later(Operator).doc("ask for a certificate"),
    prop("admin.snapshot.enabled", Flag, "true").later(Operator).doc("the snapshot command"),
    prop("admin.restore.enabled", Flag, "true").later(Operator).doc("the restore command"),
    prop("admin.rateLimiterIntervalInMS", StrictInt, "300000")
        .unit("ms")
        .later(Operator)
        .doc("time between two snapshot or restore commands"),
    prop("audit.enable", Flag, "false").later(Operator).doc("write an audit log"),
    prop("audit.impl.class", Class, "org.apache.zookeeper.audit.Slf4jAuditLogger")
        .without_meaning("no Java class can be loaded")
        .doc("who writes it"),
    prop("jmx.log4j.disable", ExactTrue, "false").without_meaning(NO_JMX).doc("log beans"),
    prop("jmx.log4j.mbean", Text, "").without_meaning(NO_JMX).doc("name of the log beans"),
    prop("controllerPort", DecodedInt, "").without_meaning(TEST_ONLY).doc("embedded controller"),
    prop("test.allowDiscontinuousProposals", Flag, "false")
        .without_meaning(TEST_ONLY)
        .doc("checks"),
    prop("testingonly.initialZxid", DecodedLong, "").without_meaning(TEST_ONLY).doc("first zxid"),
];

impl Key {
    /// Also read as `-D` without the prefix `zookeeper.`.
    const fn bare(self) -> Key {
        Key { scope: Scope::PropertyOrBare, ..self }
    }
}
