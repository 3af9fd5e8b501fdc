//! From the command line to a running server.

use super::announce;
use super::client_port::ClientPort;
use super::ensemble;
use super::exit::{ExitCode, Failure};
use super::log_format;
use super::options::{Purge, ServerOptions};
use super::run::Server;
use crate::admin::{Conf, EnsembleConf, Whitelist};
use crate::auth::{Auth, DigestAlgorithm, DigestScheme, EnsembleScheme, Scheme};
use crate::config::{self, AuthProvider, Config, Finding, JvmFlags, PeerRole};
use crate::config::{Severity, SnapshotCompression};
use crate::limits;
use crate::net;
use crate::peer::{PeerOptions, ReaperOptions};
use crate::pipeline::PrepOptions;
use crate::session::{ThrottleConfig, Weights};
use crate::storage::{Compression, TxnLogOptions};
use crate::tree::{OwnerRules, TreeOptions};

/// `oxkeeper serve`: a configuration file, or Apache's `port datadir [ticktime] [maxcnxns]`.
pub fn serve(arguments: &[String]) -> Result<ExitCode, Failure> {
    log_format::init();
    let jvm = jvm_flags();
    let read = |path: &str| std::fs::read(path);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (config, findings) = match arguments[..] {
        [file] => Config::load(file, &jvm, &read),
        _ => Config::from_arguments(&arguments, &jvm),
    }?;
    report(&findings);
    start(config)?.run()
}

/// `oxkeeper` alone: a standalone server in `./data`, and a hint what to try.
pub fn first_run() -> Result<ExitCode, Failure> {
    log_format::init();
    let (config, findings) = Config::default_first_run(&jvm_flags())?;
    report(&findings);
    let server = start(config)?;
    let port = server.client_port().expect("the first run's configuration names a port");
    let me = std::env::args().next().unwrap_or_else(|| "oxkeeper".to_owned());
    println!("oxkeeper serves ZooKeeper clients on port {port}; its data is in ./data");
    println!("Try, from another terminal:");
    println!("    echo srvr | nc localhost {port}");
    println!("    {me} bench --server localhost:{port}     (or zkCli.sh, kazoo, curator ...)");
    println!("With a configuration of your own: {me} serve PATH/zoo.cfg. Ctrl-C stops it.");
    server.run()
}

fn start(config: Config) -> Result<Server, Failure> {
    let port = ClientPort::resolve(&config)?;
    let options = resolve(&config, random_seed()?)?;
    announce::configuration(&config, &options.conf, &options.words);
    let open_port = || port.map(|port| port.open(&config)).transpose();
    let server = Server::start(options, auth_rules(&config.auth), || Ok(open_port()?))?;
    announce::running(&config);
    Ok(server)
}

fn jvm_flags() -> JvmFlags {
    let variable = |name| std::env::var(name).ok();
    JvmFlags::from_variables(
        variable("SERVER_JVMFLAGS").as_deref(),
        variable("JVMFLAGS").as_deref(),
    )
}

fn report(findings: &[Finding]) {
    for finding in findings {
        match finding.severity {
            Severity::Warning => tracing::warn!("{finding}"),
            _ => tracing::info!("{finding}"),
        }
    }
}

pub(crate) fn auth_rules(config: &config::Auth) -> Auth {
    let algorithm = match config.digest_algorithm {
        config::DigestAlgorithm::Sha1 => DigestAlgorithm::Sha1,
        config::DigestAlgorithm::Sha224 => DigestAlgorithm::Sha224,
        config::DigestAlgorithm::Sha256 => DigestAlgorithm::Sha256,
        config::DigestAlgorithm::Sha384 => DigestAlgorithm::Sha384,
        config::DigestAlgorithm::Sha512 => DigestAlgorithm::Sha512,
    };
    let scheme = |provider: &AuthProvider| match provider {
        AuthProvider::Ip => Some(Scheme::Ip),
        AuthProvider::Digest => {
            let super_digest = config.super_digest.as_ref().map(|s| s.reveal().to_owned());
            Some(Scheme::Digest(DigestScheme { algorithm, super_digest }))
        }
        AuthProvider::Ensemble => {
            Some(Scheme::Ensemble(EnsembleScheme::new(config.ensemble_names.clone())))
        }
        AuthProvider::Sasl | AuthProvider::X509 | AuthProvider::Key => {
            tracing::warn!(
                "Authentication scheme {} is configured and not served by this version",
                provider.scheme()
            );
            None
        }
    };
    Auth::new(config.skip_acl, config.providers.iter().filter_map(scheme).collect())
}

/// Every value of the configuration goes to the room that asks for it.
/// Hash tables and snapshots are spread by `seed`.
pub(crate) fn resolve(config: &Config, seed: u64) -> Result<ServerOptions, Failure> {
    let (storage, tree) = (&config.storage, &config.tree);
    let owners =
        OwnerRules { extended_types: tree.extended_types, emulate_353_ttl: tree.emulate_353_ttl };
    Ok(ServerOptions {
        data_dir: config.data_dirs.snapshots.clone(),
        data_log_dir: Some(config.data_dirs.logs.clone()),
        tree: TreeOptions { hash_seed: seed, owners, digest_enabled: tree.digest_enabled },
        peer: peer_options(config, owners, seed),
        log: TxnLogOptions {
            prealloc_bytes: kilobytes(storage.pre_alloc_size_kb),
            size_limit_bytes: storage.txn_log_size_limit_kb.map(kilobytes),
            force_sync: storage.force_sync,
        },
        compression: match storage.snapshot_compression {
            SnapshotCompression::Plain => Compression::None,
            SnapshotCompression::Gzip => Compression::Gzip,
            SnapshotCompression::Snappy => Compression::Snappy,
        },
        with_last_zxid: storage.serialize_last_zxid,
        trust_empty_snapshot: storage.snapshot_trust_empty,
        create_dirs: storage.datadir_autocreate,
        autocreate: storage.db_autocreate,
        workers: workers(),
        net: net_settings(config),
        fsync_warning_ms: storage.fsync_warning_threshold_ms,
        batch_max: batch_max(storage.max_batch_size),
        purge: storage.purge_interval_hours.map(|hours| Purge {
            retain: storage.snap_retain_count.max(3) as usize,
            every_hours: hours as u64,
        }),
        words: whitelist(config),
        conf: conf(config),
        member: match config.role() {
            config::Role::Standalone => None,
            config::Role::Ensemble => Some(ensemble::resolve(config, seed)?),
        },
    })
}

fn whitelist(config: &Config) -> Whitelist {
    Whitelist::new(|word| config.network.four_letter_words.allows(word))
}

/// What `conf` shows of the configuration.
pub(super) fn conf(config: &Config) -> Conf {
    let version_2 = |dir: &std::path::Path| {
        let dir = dir.join("version-2");
        std::path::absolute(&dir).unwrap_or(dir).display().to_string()
    };
    let is_member = config.role() == config::Role::Ensemble;
    Conf {
        client_port: -1,
        secure_client_port: config.secure_client.as_ref().map_or(-1, |c| i32::from(c.port)),
        data_dir: version_2(&config.data_dirs.snapshots),
        data_log_dir: version_2(&config.data_dirs.logs),
        tick_time_ms: config.sessions.tick_time_ms,
        max_client_cnxns: config.limits.max_client_cnxns,
        min_session_timeout_ms: config.sessions.min_timeout_ms,
        max_session_timeout_ms: config.sessions.max_timeout_ms,
        client_port_listen_backlog: config.network.listen_backlog.unwrap_or(-1),
        // Known once they have been measured.
        data_dir_size: 0,
        data_log_size: 0,
        server_id: config.ensemble.my_id.filter(|_| is_member).map_or(0, |sid| sid.0),
        ensemble: is_member.then(|| ensemble_conf(config)),
    }
}

/// What `conf` shows of the ensemble's, but for the members, which change.
fn ensemble_conf(config: &Config) -> EnsembleConf {
    let ensemble = &config.ensemble;
    let me = ensemble.my_id.and_then(|sid| ensemble.members.all.get(&sid));
    let addresses = me.map_or(&[][..], |me| &me.addresses);
    EnsembleConf {
        init_limit: ensemble.init_limit_ticks,
        sync_limit: ensemble.sync_limit_ticks,
        election_ports: addresses.iter().map(|address| address.election_port).collect(),
        quorum_ports: addresses.iter().map(|address| address.quorum_port).collect(),
        observer: ensemble.my_role == PeerRole::Observer,
        membership: None,
    }
}

fn peer_options(config: &Config, owners: OwnerRules, seed: u64) -> PeerOptions {
    let (storage, tree) = (&config.storage, &config.tree);
    PeerOptions {
        prep: PrepOptions {
            owners,
            enforce_quota: tree.enforce_quota,
            close_session_lists: tree.close_session_txn,
            digest: tree.digest_enabled,
            reconfig: config.ensemble.reconfig_enabled,
        },
        reaper: ReaperOptions {
            check_interval_ms: i64::from(tree.container_check_interval_ms),
            max_per_minute: i64::from(tree.container_max_per_minute),
            max_never_used_ms: tree.container_max_never_used_ms,
        },
        tick_ms: config.sessions.tick_time_ms,
        snap_count: storage.snap_count.max(2) as u64,
        snap_bytes: storage.snap_size_limit_kb.map_or(0, kilobytes),
        local_sessions: config.ensemble.local_sessions_enabled,
        eager_acl_check: config.auth.eager_acl_check,
        session_id_byte: session_id_byte(config),
        read_change: ensemble::read_change(config),
        seed,
    }
}

/// The top byte of session ids: the server's number, or 1 alone.
fn session_id_byte(config: &Config) -> u8 {
    match config.role() {
        config::Role::Standalone => 1,
        config::Role::Ensemble => config.ensemble.my_id.map_or(1, |sid| sid.0 as u8),
    }
}

pub(super) fn net_settings(config: &Config) -> net::Settings {
    let (limits, sessions) = (&config.limits, &config.sessions);
    let schemes = config.auth.enforced_schemes.clone();
    net::Settings {
        frame_bytes_max: limits.jute_max_buffer.max(0) as usize,
        min_session_timeout_ms: sessions.min_timeout_ms,
        max_session_timeout_ms: sessions.max_timeout_ms,
        tick_ms: sessions.tick_time_ms,
        local_sessions: config.ensemble.local_sessions_enabled,
        local_session_upgrades: config.ensemble.local_sessions_upgrading_enabled,
        max_per_ip: limits.max_client_cnxns.max(0) as usize,
        max_connections: limits.max_cnxns.max(0) as usize,
        outstanding_max: i64::from(limits.global_outstanding_limit),
        sessionless_timeout_ms: i64::from(sessions.sessionless_timeout_ms),
        required_schemes: (!schemes.is_empty()).then_some(schemes),
        tcp_keep_alive: config.network.client_tcp_keep_alive,
        connections: connection_throttle(&config.connection_throttle),
        requests: net::RequestLimits {
            in_pipeline_max: i64::from(config.request_throttle.max_requests.max(0)),
            stall_ms: config.request_throttle.stall_time_ms.max(1) as u64,
            wait_ms_max: limits.throttled_op_wait_time_ms.map(i64::from),
            large_above: limits.large_request_threshold.map(|bytes| bytes as usize),
            large_bytes_max: i64::from(limits.large_request_max_bytes),
        },
    }
}

fn connection_throttle(config: &config::ConnectionThrottle) -> ThrottleConfig {
    let weights =
        config.weights.map(|w| Weights { global: w.global, renew: w.renew, local: w.local });
    ThrottleConfig {
        tokens: config.tokens,
        fill_time_ms: config.fill_time_ms,
        fill_count: config.fill_count,
        freeze_time_ms: config.freeze_time_ms,
        drop_increase: config.drop_increase,
        drop_decrease: config.drop_decrease,
        decrease_ratio: config.decrease_ratio,
        weights,
    }
}

/// `maxBatchSize` within our own bound; 0 and less leave it to that.
fn batch_max(said: i32) -> usize {
    match usize::try_from(said) {
        Ok(said) if said > 0 => said.min(limits::TXNS_PER_BATCH),
        _ => limits::TXNS_PER_BATCH,
    }
}

/// One core is the pipeline's, and the clients' if they live here.
fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).clamp(1, 64)
}

fn kilobytes(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0).saturating_mul(1024)
}

/// Seeds hash tables, so that nobody outside can aim at their collisions.
fn random_seed() -> Result<u64, Failure> {
    use std::io::Read;
    let mut seed = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut seed))
        .map_err(|e| Failure::new(ExitCode::Unexpected, format!("no randomness: {e}")))?;
    Ok(u64::from_ne_bytes(seed))
}
