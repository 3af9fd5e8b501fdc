//! Rows that Apache's own zoo.cfg reader knows by name (`QuorumPeerConfig.parseProperties`).

use super::Kind::{Bool, Class, Flag, Host, Int, Long, Member, Path, StrictInt, Text};
use super::Outside::{Clamp, Refuse};
use super::Work::{Operator, Reconfig, Security};
use super::{cfg, Key, Scope};

const NO_COLLECTOR: &str = "there is no garbage collector that could pause the process";

pub(super) static BASICS: &[Key] = &[
    cfg("dataDir", Path, "").doc("directory of snapshots and myid; required"),
    cfg("dataLogDir", Path, "=dataDir").doc("directory of transaction logs"),
    cfg("clientPort", Int, "")
        .within(0, 65535, Refuse)
        .doc("plaintext port for clients; 0 lets the system choose"),
    cfg("clientPortAddress", Host, "0.0.0.0").doc("address on which clientPort listens"),
    cfg("clientPortListenBacklog", Int, "-1").doc("listen backlog; -1 means 4096"),
    cfg("tickTime", Int, "3000").unit("ms").doc("the unit of session timeouts and limits"),
    cfg("maxClientCnxns", Int, "60").doc("connections from one address; 0 is unlimited"),
    cfg("minSessionTimeout", Int, "=2 ticks").unit("ms").doc("shortest session timeout granted"),
    cfg("maxSessionTimeout", Int, "=20 ticks").unit("ms").doc("longest session timeout granted"),
    cfg("autopurge.snapRetainCount", Int, "3")
        .at_least(3, Clamp)
        .doc("snapshots that a purge keeps, with the logs they need"),
    cfg("autopurge.purgeInterval", Int, "0")
        .unit("hours")
        .doc("time between purges, the first at start; 0 is never"),
    cfg("standaloneEnabled", Bool, "true")
        .doc("false: an ensemble of one server runs as an ensemble"),
    cfg("secureClientPort", Int, "")
        .within(0, 65535, Refuse)
        .later(Security)
        .doc("TLS port for clients"),
    cfg("secureClientPortAddress", Host, "0.0.0.0")
        .later(Security)
        .doc("address on which secureClientPort listens"),
];

pub(super) static MEMBERS: &[Key] = &[
    cfg("server.*", Member, "")
        .in_ensemble()
        .doc("`host:quorumPort:electionPort[:role][;[clientHost:]clientPort]`"),
    cfg("group.*", Member, "").in_ensemble().doc("`a:b:c`, the servers of a hierarchical group"),
    cfg("weight.*", Member, "1").in_ensemble().doc("votes of a server in its group"),
    cfg("dynamicConfigFile", Path, "")
        .in_ensemble()
        .doc("file with the server, group and weight lines, read at the start"),
];

pub(super) static ENSEMBLE: &[Key] = &[
    cfg("initLimit", Int, "").unit("ticks").in_ensemble().doc("time to join a leader; required"),
    cfg("syncLimit", Int, "").unit("ticks").in_ensemble().doc("time between heartbeats; required"),
    cfg("connectToLearnerMasterLimit", Int, "0")
        .unit("ticks")
        .in_ensemble()
        .doc("time to connect to a leader; 0 means initLimit"),
    cfg("observerMasterPort", Int, "0")
        .in_ensemble()
        .doc("port on which followers serve observers; 0 is off"),
    cfg("electionAlg", Int, "3").within(3, 3, Refuse).in_ensemble().doc("only 3 is left"),
    cfg("quorumListenOnAllIPs", Bool, "false")
        .in_ensemble()
        .doc("listen for members on every address"),
    cfg("peerType", Text, "participant")
        .in_ensemble()
        .doc("participant or observer; the server lines win"),
    cfg("syncEnabled", Bool, "true")
        .in_ensemble()
        .doc("observers write logs and snapshots; `observer.syncEnabled` wins"),
    cfg("localSessionsEnabled", Bool, "false").in_ensemble().doc("sessions known to one server"),
    cfg("localSessionsUpgradingEnabled", Bool, "false")
        .in_ensemble()
        .doc("a local session becomes global when it needs to"),
    cfg("reconfigEnabled", Bool, "false").later(Reconfig).doc("allow reconfig"),
    cfg("multiAddress.enabled", Bool, "false")
        .either()
        .in_ensemble()
        .doc("several addresses in a server line"),
    cfg("multiAddress.reachabilityCheckTimeoutMs", Int, "1000")
        .either()
        .unit("ms")
        .without_meaning("all of them are dialled at once; the first that answers is taken")
        .doc("time to find a reachable one among them"),
    cfg("multiAddress.reachabilityCheckEnabled", Bool, "true")
        .either()
        .without_meaning("all of them are dialled at once; the first that answers is taken")
        .doc("look for a reachable one among them"),
    cfg("oraclePath", Path, "").in_ensemble().doc("file that decides for two servers"),
    cfg("quorum.cnxn.threads.size", Int, "20")
        .at_least(20, Clamp)
        .without_meaning("connections between members need no thread pool")
        .doc("threads that connect members with SASL"),
];

pub(super) static MEMBER_SECURITY: &[Key] = &[
    cfg("sslQuorum", Bool, "false").later(Security).doc("TLS between members"),
    cfg("portUnification", Bool, "false")
        .later(Security)
        .doc("the quorum port takes TLS and plaintext"),
    cfg("sslQuorumReloadCertFiles", Bool, "false")
        .later(Security)
        .doc("read changed store files again"),
    cfg("quorum.auth.enableSasl", Bool, "false").later(Security).doc("SASL between members"),
    cfg("quorum.auth.serverRequireSasl", Bool, "false")
        .later(Security)
        .doc("refuse members that do not authenticate"),
    cfg("quorum.auth.learnerRequireSasl", Bool, "false")
        .later(Security)
        .doc("authenticate when connecting to members"),
    cfg("quorum.auth.learner.saslLoginContext", Text, "QuorumLearner")
        .later(Security)
        .doc("JAAS section for connecting"),
    cfg("quorum.auth.server.saslLoginContext", Text, "QuorumServer")
        .later(Security)
        .doc("JAAS section for accepting"),
    cfg("quorum.auth.kerberos.servicePrincipal", Text, "zkquorum/localhost")
        .later(Security)
        .doc("service principal of members; `_HOST` is replaced"),
];

pub(super) static METRICS: &[Key] = &[
    cfg(
        "metricsProvider.className",
        Class,
        "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    )
    .later(Operator)
    .doc("the shipped providers: default, Prometheus, null"),
    cfg("metricsProvider.httpHost", Host, "0.0.0.0").later(Operator).doc("address for Prometheus"),
    cfg("metricsProvider.httpPort", StrictInt, "7000").later(Operator).doc("port for Prometheus"),
    cfg("metricsProvider.exportJvmInfo", Flag, "true")
        .without_meaning("there is no Java virtual machine")
        .doc("metrics of the Java virtual machine"),
    cfg("metricsProvider.numWorkerThreads", StrictInt, "1")
        .without_meaning("summaries are updated in place")
        .doc("threads that update summaries"),
    cfg("metricsProvider.maxQueueSize", StrictInt, "1000000")
        .without_meaning("summaries are updated in place")
        .doc("updates waiting for those threads"),
    cfg("metricsProvider.workerShutdownTimeoutMs", StrictInt, "1000")
        .unit("ms")
        .without_meaning("summaries are updated in place")
        .doc("time to finish those updates"),
    cfg("metricsProvider.*", Text, "").later(Operator).doc("anything else goes to the provider"),
    cfg("jvm.pause.monitor", Bool, "false").without_meaning(NO_COLLECTOR).doc("pause detector"),
    cfg("jvm.pause.info-threshold.ms", Long, "1000")
        .unit("ms")
        .without_meaning(NO_COLLECTOR)
        .doc("pause worth a log line"),
    cfg("jvm.pause.warn-threshold.ms", Long, "10000")
        .unit("ms")
        .without_meaning(NO_COLLECTOR)
        .doc("pause worth a warning"),
    cfg("jvm.pause.sleep.time.ms", Long, "500")
        .unit("ms")
        .without_meaning(NO_COLLECTOR)
        .doc("time between two looks"),
];

impl Key {
    /// The zoo.cfg line first, then the system property of the same name.
    const fn either(self) -> Key {
        Key { scope: Scope::NativeOrProperty, ..self }
    }
}
