//! What is in force, one line a value in Apache's words, for the greps of operators. Only values
//! that act here are told; docs/COMPAT.md names the lines of Apache's that are left out.

use crate::admin::{Conf, Whitelist};
use crate::config::{self, AuthProvider, Config, Severity, SnapshotCompression};

type Line = (Severity, String);

/// Before anything is opened: what was read, and what it came to.
pub(super) fn configuration(config: &Config, conf: &Conf, words: &Whitelist) {
    let parts = [
        of_file(config),
        vec![info(match config.role() {
            config::Role::Standalone => "Starting server".to_owned(),
            config::Role::Ensemble => {
                format!("Starting quorum peer, myid={}", my_id(config))
            }
        })],
        of_auth(config),
        of_storage(config),
        of_sessions(config, conf),
        of_connections(config, words),
    ];
    parts.into_iter().flatten().for_each(tell);
}

/// The threads run. A standalone server takes writes from now on; a member says so whenever it
/// begins to lead ([`Primary`]).
pub(super) fn running(config: &Config) {
    if config.role() == config::Role::Standalone {
        Primary::of(config).begins();
    }
    tell(info("ZooKeeper audit is disabled."));
}

/// What a server says when it begins to take writes: scripts know it by these lines.
#[derive(Debug, Clone, Default)]
pub struct Primary(Vec<String>);

impl Primary {
    /// In force by this configuration (Apache's `PrepRequestProcessor` and `ContainerManager`).
    pub(super) fn of(config: &Config) -> Primary {
        let tree = &config.tree;
        Primary(vec![
            format!(
                "PrepRequestProcessor (sid:{}) started, reconfigEnabled={}",
                my_id(config),
                config.ensemble.reconfig_enabled
            ),
            format!(
                "Using checkIntervalMs={} maxPerMinute={} maxNeverUsedIntervalMs={}",
                tree.container_check_interval_ms,
                tree.container_max_per_minute,
                tree.container_max_never_used_ms
            ),
        ])
    }

    /// It does now.
    pub(super) fn begins(&self) {
        self.0.iter().for_each(|line| tell(info(line)));
    }
}

/// A member's number, 0 of a standalone server.
fn my_id(config: &Config) -> i64 {
    let alone = config.role() == config::Role::Standalone;
    config.ensemble.my_id.filter(|_| !alone).map_or(0, |sid| sid.0)
}

fn tell((severity, line): Line) {
    match severity {
        Severity::Warning => tracing::warn!("{line}"),
        _ => tracing::info!("{line}"),
    }
}

fn info(line: impl Into<String>) -> Line {
    (Severity::Info, line.into())
}

/// Apache's `QuorumPeerConfig`, `DatadirCleanupManager` and `QuorumPeerMain`.
fn of_file(config: &Config) -> Vec<Line> {
    let Some(file) = &config.file else { return vec![] };
    let mut lines = vec![info(format!("Reading configuration from: {file}"))];
    lines.push(info(match &config.client {
        Some(address) => format!("clientPortAddress is {address}"),
        None => "clientPort is not set".to_owned(),
    }));
    if config.secure_client.is_none() {
        lines.push(info("secureClientPort is not set"));
    }
    let storage = &config.storage;
    lines.push(info(format!("autopurge.snapRetainCount set to {}", storage.snap_retain_count)));
    let hours = storage.purge_interval_hours.unwrap_or(0);
    lines.push(info(format!("autopurge.purgeInterval set to {hours}")));
    if storage.purge_interval_hours.is_none() {
        lines.push(info("Purge task is not scheduled."));
    }
    if config.role() == config::Role::Standalone {
        let words = "Either no config or no quorum defined in config, running in standalone mode";
        lines.push((Severity::Warning, words.to_owned()));
    }
    lines
}

/// Apache's `DigestAuthenticationProvider` and `AuthenticationHelper`.
fn of_auth(config: &Config) -> Vec<Line> {
    let auth = &config.auth;
    let algorithm = match auth.digest_algorithm {
        config::DigestAlgorithm::Sha1 => "SHA1",
        config::DigestAlgorithm::Sha224 => "SHA-224",
        config::DigestAlgorithm::Sha256 => "SHA-256",
        config::DigestAlgorithm::Sha384 => "SHA-384",
        config::DigestAlgorithm::Sha512 => "SHA-512",
    };
    let digest = auth.providers.contains(&AuthProvider::Digest);
    let enforced = !auth.enforced_schemes.is_empty();
    let mut lines = vec![
        info(format!("ACL digest algorithm is: {algorithm}")),
        info(format!("zookeeper.DigestAuthenticationProvider.enabled = {digest}")),
        info(format!("zookeeper.enforce.auth.enabled = {enforced}")),
        info(format!("zookeeper.enforce.auth.schemes = [{}]", auth.enforced_schemes.join(", "))),
    ];
    if auth.skip_acl {
        lines.push(info("zookeeper.skipACL==\"yes\", ACL checks will be skipped"));
    }
    lines
}

/// Apache's `FileTxnSnapLog`, `FileTxnLog`, `SnapStream`, and the files' part of
/// `ZooKeeperServer`.
fn of_storage(config: &Config) -> Vec<Line> {
    let (storage, tree) = (&config.storage, &config.tree);
    let method = match storage.snapshot_compression {
        SnapshotCompression::Plain => "CHECKED",
        SnapshotCompression::Gzip => "GZIP",
        SnapshotCompression::Snappy => "SNAPPY",
    };
    let trust = storage.snapshot_trust_empty;
    let mut lines = vec![
        info(format!("zookeeper.snapshot.trust.empty : {trust}")),
        info(format!("zookeeper.snapshot.compression.method = {method}")),
        info(format!("zookeeper.digest.enabled = {}", tree.digest_enabled)),
        info(format!("zookeeper.closeSessionTxn.enabled = {}", tree.close_session_txn)),
        info(format!(
            "zookeeper.serializeLastProcessedZxid.enabled = {}",
            storage.serialize_last_zxid
        )),
        info(format!("zookeeper.maxBatchSize={}", storage.max_batch_size)),
    ];
    if let Some(kilobytes) = storage.txn_log_size_limit_kb {
        lines.push(info(format!("zookeeper.txnLogSizeLimitInKb = {kilobytes}")));
    }
    if tree.enforce_quota {
        lines.push(info("zookeeper.enforceQuota = true, Quota Enforce enables"));
    }
    lines
}

/// Apache's `ZooKeeperServer`.
fn of_sessions(config: &Config, conf: &Conf) -> Vec<Line> {
    let (sessions, limits) = (&config.sessions, &config.limits);
    let (min, max) = (sessions.min_timeout_ms, sessions.max_timeout_ms);
    let threshold = limits.large_request_threshold.unwrap_or(-1);
    vec![
        info(format!("minSessionTimeout set to {min} ms")),
        info(format!("maxSessionTimeout set to {max} ms")),
        info(format!(
            "The max bytes for all large requests are set to {}",
            limits.large_request_max_bytes
        )),
        info(format!("The large request threshold is set to {threshold}")),
        info(format!(
            "Created server with tickTime {} ms minSessionTimeout {min} ms maxSessionTimeout \
             {max} ms clientPortListenBacklog {} dataLogdir {} snapdir {}",
            sessions.tick_time_ms,
            conf.client_port_listen_backlog,
            conf.data_log_dir,
            conf.data_dir
        )),
    ]
}

/// Apache's `BlueThrottle`, `ServerCnxnFactory` and `FourLetterCommands`.
fn of_connections(config: &Config, words: &Whitelist) -> Vec<Line> {
    let mut lines = match &config.connection_throttle.weights {
        None => vec![info("Weighed connection throttling is disabled")],
        Some(weights) => vec![
            info(
                "Weighed connection throttling is enabled. But it will only be effective if \
                 connection throttling is enabled",
            ),
            info(format!(
                "The weights for different session types are: global {} renew {} local {}",
                weights.global, weights.renew, weights.local
            )),
        ],
    };
    lines.push(match config.limits.max_cnxns {
        0 => {
            let words = "maxCnxns is not configured, using default value 0.";
            (Severity::Warning, words.to_owned())
        }
        most => info(format!("maxCnxns configured value is {most}.")),
    });
    let enabled: Vec<&str> = words.words().map(|word| word.name()).collect();
    let enabled = enabled.join(", ");
    lines.push(info(format!("The list of enabled four letter word commands is : [[{enabled}]]")));
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::{expect, Expect};

    use super::*;
    use crate::config::JvmFlags;

    fn all(more: &str) -> Vec<Line> {
        let text = format!("dataDir=/x\nclientPort=2181\n{more}");
        let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let (config, _) =
            Config::parse("zoo.cfg", text.as_bytes(), &JvmFlags::default(), &read).unwrap();
        let conf = Conf {
            data_dir: "/x/version-2".to_owned(),
            data_log_dir: "/y/version-2".to_owned(),
            client_port_listen_backlog: -1,
            ..Conf::default()
        };
        let words = Whitelist::new(|word| config.network.four_letter_words.allows(word));
        let parts = [
            of_file(&config),
            of_auth(&config),
            of_storage(&config),
            of_sessions(&config, &conf),
            of_connections(&config, &words),
            Primary::of(&config).0.into_iter().map(info).collect(),
        ];
        parts.into_iter().flatten().collect()
    }

    /// The lines with this zoo.cfg, warnings marked, without those too long for a page.
    /// interop/startlog compares all of them with a running 3.9.5.
    fn check(more: &str, expect: &Expect) {
        let mark = |(severity, line): Line| match severity {
            Severity::Warning => format!("WARN {line}\n"),
            _ => format!("{line}\n"),
        };
        let lines = all(more).into_iter().filter(|(_, line)| line.len() <= 80).map(mark);
        expect.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn a_plain_configuration() {
        check(
            "",
            &expect![[r#"
                Reading configuration from: zoo.cfg
                clientPortAddress is 0.0.0.0:2181
                secureClientPort is not set
                autopurge.snapRetainCount set to 3
                autopurge.purgeInterval set to 0
                Purge task is not scheduled.
                WARN Either no config or no quorum defined in config, running in standalone mode
                ACL digest algorithm is: SHA1
                zookeeper.DigestAuthenticationProvider.enabled = true
                zookeeper.enforce.auth.enabled = false
                zookeeper.enforce.auth.schemes = []
                zookeeper.snapshot.trust.empty : false
                zookeeper.snapshot.compression.method = CHECKED
                zookeeper.digest.enabled = true
                zookeeper.closeSessionTxn.enabled = true
                zookeeper.serializeLastProcessedZxid.enabled = true
                zookeeper.maxBatchSize=1000
                minSessionTimeout set to 6000 ms
                maxSessionTimeout set to 60000 ms
                The max bytes for all large requests are set to 104857600
                The large request threshold is set to -1
                Weighed connection throttling is disabled
                WARN maxCnxns is not configured, using default value 0.
                The list of enabled four letter word commands is : [[srvr]]
                PrepRequestProcessor (sid:0) started, reconfigEnabled=false
                Using checkIntervalMs=60000 maxPerMinute=10000 maxNeverUsedIntervalMs=0
            "#]],
        );
    }

    #[test]
    fn what_is_told_only_when_it_is_set() {
        check(
            "autopurge.purgeInterval=2\nskipACL=yes\nenforceQuota=true\ntxnLogSizeLimitInKb=100\n\
             maxCnxns=9\nconnection_throttle_weight_enabled=true\nlargeRequestMaxBytes=1000\n\
             largeRequestThreshold=100\nreconfigEnabled=true\n4lw.commands.whitelist=ruok, mntr\n\
             snapshot.compression.method=gz\nenforce.auth.enabled=true\n\
             enforce.auth.schemes=ip,digest\n",
            &expect![[r#"
                Reading configuration from: zoo.cfg
                clientPortAddress is 0.0.0.0:2181
                secureClientPort is not set
                autopurge.snapRetainCount set to 3
                autopurge.purgeInterval set to 2
                WARN Either no config or no quorum defined in config, running in standalone mode
                ACL digest algorithm is: SHA1
                zookeeper.DigestAuthenticationProvider.enabled = true
                zookeeper.enforce.auth.enabled = true
                zookeeper.enforce.auth.schemes = [ip, digest]
                zookeeper.skipACL=="yes", ACL checks will be skipped
                zookeeper.snapshot.trust.empty : false
                zookeeper.snapshot.compression.method = GZIP
                zookeeper.digest.enabled = true
                zookeeper.closeSessionTxn.enabled = true
                zookeeper.serializeLastProcessedZxid.enabled = true
                zookeeper.maxBatchSize=1000
                zookeeper.txnLogSizeLimitInKb = 100
                zookeeper.enforceQuota = true, Quota Enforce enables
                minSessionTimeout set to 6000 ms
                maxSessionTimeout set to 60000 ms
                The max bytes for all large requests are set to 1000
                The large request threshold is set to 100
                The weights for different session types are: global 3 renew 2 local 1
                maxCnxns configured value is 9.
                The list of enabled four letter word commands is : [[mntr, ruok, srvr]]
                PrepRequestProcessor (sid:0) started, reconfigEnabled=true
                Using checkIntervalMs=60000 maxPerMinute=10000 maxNeverUsedIntervalMs=0
            "#]],
        );
    }

    #[test]
    fn the_line_that_sums_up() {
        let line = "Created server with tickTime 3000 ms minSessionTimeout 6000 ms \
                    maxSessionTimeout 60000 ms clientPortListenBacklog -1 dataLogdir \
                    /y/version-2 snapdir /x/version-2";
        assert!(all("").iter().any(|(_, said)| said == line));
    }
}
