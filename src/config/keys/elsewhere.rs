//! Rows that a zoo.cfg line does not reach: system properties without the prefix `zookeeper.`, and
//! names from the guide or from images in the wild that no code of 3.9.5 reads.

use super::Kind::{DecodedInt, DecodedLong, ExactTrue, Flag, Path, Text};
use super::Outside::Default;
use super::Work::{Operator, Security};
use super::{Key, Kind, Scope};

const fn dash_d(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key::row(name, Scope::DashD(name), kind, default)
}

const fn nowhere(name: &'static str, instead: &'static str) -> Key {
    let reason = "Apache reads no such name either";
    Key::row(name, Scope::Nowhere(instead), Text, "").without_meaning(reason)
}

const PROCESS: &str = "of interest only to a Java virtual machine";

pub(super) static DASH_D: &[Key] = &[
    dash_d("jute.maxbuffer", DecodedInt, "1048575")
        .unit("bytes")
        .doc("largest packet from a client, and with its extra size the largest record"),
    dash_d("readonlymode.enabled", ExactTrue, "false")
        .in_ensemble()
        .doc("serve reads without a quorum; allows the word isro"),
    dash_d("znode.container.checkIntervalMs", DecodedInt, "60000")
        .at_least(1, Default)
        .unit("ms")
        .doc("time between two looks for empty containers and expired nodes"),
    dash_d("znode.container.maxPerMinute", DecodedInt, "10000")
        .at_least(1, Default)
        .doc("deletions of such nodes a minute"),
    dash_d("znode.container.maxNeverUsedIntervalMs", DecodedLong, "0")
        .unit("ms")
        .doc("age at which a container that never had a child goes; 0 is never"),
    dash_d("leader.nodelay", ExactTrue, "true").in_ensemble().doc("TCP_NODELAY towards learners"),
    dash_d("follower.nodelay", ExactTrue, "true")
        .in_ensemble()
        .doc("TCP_NODELAY towards the leader"),
    Key::row("server.realm", Scope::DashD("zookeeper.server.realm"), Text, "")
        .later(Security)
        .doc("Kerberos realm; in zoo.cfg it would be a server line"),
    dash_d("java.security.auth.login.config", Path, "").later(Security).doc("JAAS file"),
    dash_d("java.security.krb5.conf", Path, "").later(Security).doc("Kerberos configuration file"),
    dash_d("sun.security.krb5.debug", Flag, "false")
        .without_meaning(PROCESS)
        .doc("trace of Java's own Kerberos code"),
    dash_d("sun.security.jgss.native", Flag, "false")
        .without_meaning(PROCESS)
        .doc("Java's choice of a GSSAPI library"),
];

const fn log(name: &'static str, property: &'static str, default: &'static str) -> Key {
    Key::row(name, Scope::DashD(property), Text, default).later(Operator)
}

/// Read by the logging configuration that Apache ships, before zoo.cfg.
pub(super) static LOGGING: &[Key] = &[
    log("console.threshold", "zookeeper.console.threshold", "INFO").doc("level on the console"),
    log("root.logger", "zookeeper.root.logger", "").doc("level and targets, in old versions"),
    log("log.dir", "zookeeper.log.dir", ".").doc("directory of the log file"),
    log("log.file", "zookeeper.log.file", "zookeeper.log").doc("its name"),
    log("log.threshold", "zookeeper.log.threshold", "INFO").doc("its level"),
    log("log.maxfilesize", "zookeeper.log.maxfilesize", "256MB").doc("its size before it rolls"),
    log("log.maxbackupindex", "zookeeper.log.maxbackupindex", "20").doc("rolled files kept"),
    log("auditlog.file", "zookeeper.auditlog.file", "zookeeper_audit.log").doc("audit log"),
    log("auditlog.threshold", "zookeeper.auditlog.threshold", "INFO").doc("its level"),
];

pub(super) static NOWHERE: &[Key] = &[
    nowhere("connectionMaxTokens", "connection_throttle_tokens").doc("a name of the guide"),
    nowhere("connectionTokenFillTime", "connection_throttle_fill_time").doc("a name of the guide"),
    nowhere("connectionTokenFillCount", "connection_throttle_fill_count")
        .doc("a name of the guide"),
    nowhere("connectionFreezeTime", "connection_throttle_freeze_time").doc("a name of the guide"),
    nowhere("connectionDropIncrease", "connection_throttle_drop_increase")
        .doc("a name of the guide"),
    nowhere("connectionDropDecrease", "connection_throttle_drop_decrease")
        .doc("a name of the guide"),
    nowhere("connectionDecreaseRatio", "connection_throttle_decrease_ratio")
        .doc("a name of the guide"),
    nowhere("requestThrottleLimit", "request_throttle_max_requests").doc("a name of the guide"),
    nowhere("requestThrottleStallTime", "request_throttle_stall_time").doc("a name of the guide"),
    nowhere("requestThrottleDropStale", "request_throttle_drop_stale").doc("a name of the guide"),
    nowhere("requestStaleLatencyCheck", "request_stale_latency_check").doc("a name of the guide"),
    nowhere("requestStaleConnectionCheck", "request_stale_connection_check")
        .doc("a name of the guide"),
    nowhere("advancedFlowControlEnabled", "netty.advancedFlowControl.enabled")
        .doc("a name of the guide"),
    nowhere("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs").doc("a name of the guide"),
    nowhere("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs").doc("a name of the guide"),
    nowhere("outstandingHandshake.limit", "netty.server.outstandingHandshake.limit")
        .doc("a name of the guide"),
    nowhere("throttledOpWaitTime", "throttled_op_wait_time").doc("a name of the guide"),
    nowhere("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch").doc("a name of the guide"),
    nowhere("traceFile", "").doc("a trace log of old versions"),
    nowhere("clientCnxnSocket", "").doc("concerns clients"),
    nowhere("client.secure", "").doc("concerns clients"),
    nowhere("requireClientAuthScheme", "enforce.auth.schemes").doc("a name seen in the wild"),
    nowhere("serverCnxnSocket", "serverCnxnFactory").doc("a name seen in the wild"),
    nowhere("zookeeper.*", "").doc("the prefix belongs to `-D` words, not to zoo.cfg keys"),
];
