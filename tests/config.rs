//! The configuration as an operator meets it: what is refused in which words and with which exit
//! status, what is taken, what is reported.
//!
//! Every refusal marked "ran" was compared with a running Apache 3.9.5 (QuorumPeerMain on the same
//! file, JDK 17): same words in its log, same exit status.

use std::collections::BTreeMap;
use std::io;

use oxkeeper::config::{
    keys, AuthProvider, Config, ConfigError, DataDir, DataDirFault, DigestAlgorithm, ExitCode,
    Finding, JvmFlags, Metrics, PeerRole, Role, Severity, SnapshotCompression, Watching, What,
};

/// A configuration file, the files beside it and the flags in the environment.
#[derive(Default)]
struct Given<'a> {
    text: &'a str,
    files: BTreeMap<&'a str, &'a str>,
    flags: &'a str,
}

impl Given<'_> {
    fn read(&self) -> Result<(Config, Vec<Finding>), ConfigError> {
        let read_file = |path: &str| match self.files.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let flags = JvmFlags::from_variables(None, Some(self.flags));
        Config::parse("zoo.cfg", self.text.as_bytes(), &flags, &read_file)
    }
}

/// What stands above the line in question in most tests.
const BASE: &str = "tickTime=2000\ndataDir=/data\nclientPort=2181\n";
const THREE: &str = "initLimit=10\nsyncLimit=5\nserver.1=a:2888:3888\nserver.2=b:2888:3888\n\
                     server.3=c:2888:3888\n";

fn parse(text: &str) -> Result<(Config, Vec<Finding>), ConfigError> {
    Given { text, ..Given::default() }.read()
}

fn config(lines: &str) -> Config {
    parse(&format!("{BASE}{lines}")).expect("a good configuration").0
}

fn findings(lines: &str) -> Vec<String> {
    let (_, findings) = parse(&format!("{BASE}{lines}")).expect("a good configuration");
    findings.iter().map(Finding::to_string).collect()
}

fn with_flags(lines: &str, flags: &str) -> (Config, Vec<Finding>) {
    let text = format!("{BASE}{lines}");
    let given = Given { text: &text, flags, ..Given::default() };
    given.read().expect("a good configuration")
}

/// Refused, with this exit status, blaming this line (0: the whole file) in these words.
fn check_refused(text: &str, exit: ExitCode, line: u32, words: &str) {
    check_refused_with(&Given { text, ..Given::default() }, exit, line, words);
}

fn check_refused_with(given: &Given<'_>, exit: ExitCode, line: u32, words: &str) {
    let error = given.read().expect_err(given.text);
    let shown = error.to_string();
    let place = if line == 0 { "zoo.cfg: ".to_owned() } else { format!("zoo.cfg:{line}: ") };
    assert!(shown.starts_with(&place), "{shown} must point at {place}");
    assert!(shown.contains(words), "{shown} must say {words}");
    assert_eq!(error.exit, exit, "{shown}");
    assert!(!error.advice.is_empty(), "{shown} must say what to do");
}

#[test]
fn native_numbers_are_refused_as_apache_refuses_them() {
    for key in [
        "clientPort", // ran
        "secureClientPort",
        "clientPortListenBacklog",
        "observerMasterPort",
        "maxClientCnxns", // ran
        "minSessionTimeout",
        "maxSessionTimeout",
        "initLimit",
        "syncLimit",
        "connectToLearnerMasterLimit",
        "electionAlg",
        "autopurge.snapRetainCount",
        "autopurge.purgeInterval",
        "quorum.cnxn.threads.size",
        "jvm.pause.warn-threshold.ms",
        "multiAddress.reachabilityCheckTimeoutMs",
    ] {
        let text = format!("tickTime=2000\ndataDir=/data\n{key}=abc\n");
        check_refused(&text, ExitCode::Configuration, 3, "For input string: \"abc\"");
        let text = format!("tickTime=2000\ndataDir=/data\n{key}=0x10\n");
        check_refused(&text, ExitCode::Configuration, 3, "For input string: \"0x10\"");
    }
    let text = "tickTime=2k\ndataDir=/data\n";
    check_refused(text, ExitCode::Configuration, 1, "tickTime: For input string: \"2k\"");
}

#[test]
fn a_complaint_is_one_line_whatever_the_value_holds() {
    let words = "zoo.cfg:2: clientPort: For input string: \"1\\n2\"";
    check_refused("dataDir=/data\nclientPort=1\\n2\n", ExitCode::Configuration, 2, words);
    assert_eq!(findings("a\\nb=1\n").len(), 1);
    assert!(findings("a\\nb=1\n")[0].starts_with("zoo.cfg:4: a\\nb: unknown key"));
}

#[test]
fn ports_are_refused_beyond_sixteen_bits() {
    for key in ["clientPort", "secureClientPort"] {
        let text = format!("dataDir=/data\n{key}=70000\n"); // ran
        check_refused(&text, ExitCode::Configuration, 2, "port out of range:70000");
        let text = format!("dataDir=/data\n{key}=-1\n");
        check_refused(&text, ExitCode::Configuration, 2, "port out of range:-1");
    }
}

#[test]
fn native_switches_take_two_words_only() {
    for key in [
        "quorumListenOnAllIPs",
        "syncEnabled",
        "localSessionsEnabled",
        "localSessionsUpgradingEnabled",
        "standaloneEnabled", // ran
        "reconfigEnabled",
        "sslQuorum",
        "portUnification",
        "sslQuorumReloadCertFiles",
        "quorum.auth.enableSasl",
        "quorum.auth.serverRequireSasl",
        "quorum.auth.learnerRequireSasl",
        "jvm.pause.monitor",
        "multiAddress.enabled",
        "multiAddress.reachabilityCheckEnabled",
    ] {
        let words = format!("Invalid option yes for {key}. Choose 'true' or 'false.'");
        let text = format!("dataDir=/data\n{key}=yes\n");
        check_refused(&text, ExitCode::Configuration, 2, &words);
    }
    assert!(config("localSessionsEnabled=TRUE\n").ensemble.local_sessions_enabled);
}

#[test]
fn what_is_missing_or_contradicts_itself_is_refused() {
    let bad = ExitCode::Configuration;
    check_refused("tickTime=2000\nclientPort=1\n", bad, 0, "dataDir is not set"); // ran
    check_refused("dataDir=/data\ntickTime=0\n", bad, 2, "tickTime is not set"); // ran
    let words = "clientPortAddress is set but clientPort is not set"; // ran
    check_refused("dataDir=/data\nclientPortAddress=127.0.0.1\n", bad, 2, words);
    let words = "secureClientPortAddress is set but secureClientPort is not set";
    check_refused("dataDir=/data\nsecureClientPortAddress=127.0.0.1\n", bad, 2, words);
    let words = "minSessionTimeout must not be larger than maxSessionTimeout"; // ran
    let text = format!("{BASE}minSessionTimeout=9000\nmaxSessionTimeout=8000\n");
    check_refused(&text, bad, 4, words);
    check_refused(&format!("{BASE}maxSessionTimeout=3999\n"), bad, 4, words);
    check_refused("dataDir=/data\ntickTime=2147483647\n", bad, 0, words);
    check_refused(&format!("{BASE}peerType=foo\n"), bad, 4, "Unrecognised peertype: foo"); // ran
    let words = "Invalid electionAlg value. Only 3 is supported."; // ran
    check_refused(&format!("{BASE}electionAlg=1\n"), bad, 4, words);
    let words = "metrics provider class was not found"; // ran
    check_refused(&format!("{BASE}metricsProvider.className=foo.Bar\n"), bad, 4, words);
    let text = format!("{BASE}foo=\\u00g0\n"); // ran
    check_refused(&text, bad, 4, "Malformed \\uxxxx encoding.");
}

/// All three ran.
#[test]
fn sasl_between_members_is_demanded_only_where_it_is_on() {
    let bad = ExitCode::Configuration;
    let words =
        "quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.serverRequireSasl";
    check_refused(&format!("{BASE}quorum.auth.serverRequireSasl=true\n"), bad, 4, words);
    let words =
        "quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.learnerRequireSasl";
    check_refused(&format!("{BASE}quorum.auth.learnerRequireSasl=true\n"), bad, 4, words);
    let words = "quorum.auth.learnerRequireSasl is disabled, so cannot enable \
                 quorum.auth.serverRequireSasl";
    let lines = "quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true\n";
    check_refused(&format!("{BASE}{lines}"), bad, 5, words);
}

/// Properties that Apache's classes read strictly while they are loaded: the process ends with 1.
/// All of them ran.
#[test]
fn what_kills_a_class_of_apache_ends_with_one() {
    let text = format!("{BASE}connection_throttle_drop_increase=abc\n");
    check_refused(&text, ExitCode::Unexpected, 4, "For input string: \"abc\"");
    let text = format!("{BASE}DigestAuthenticationProvider.digestAlg=FOO\n");
    let words = "don't support this ACL digest algorithm: FOO in the current environment";
    check_refused(&text, ExitCode::Unexpected, 4, words);
    let text = format!("{BASE}watchManagerName=foo\n");
    check_refused(&text, ExitCode::Unexpected, 4, "Couldn't instantiate foo");
    let text = format!("{BASE}serverCnxnFactory=foo\n");
    check_refused(&text, ExitCode::Unexpected, 4, "Couldn't instantiate foo");
}

/// All of them ran: a standalone Apache server calls these invalid arguments and ends with 2.
#[test]
fn enforced_schemes_need_a_provider() {
    let bad = ExitCode::Configuration;
    let words = "zookeeper.enforce.auth.enabled is true zookeeper.enforce.auth.schemes must be  \
                 configured.";
    check_refused(&format!("{BASE}enforce.auth.enabled=true\n"), bad, 4, words);
    let lines = "enforce.auth.enabled=true\nenforce.auth.schemes=foo\n";
    let words = "Authentication scheme foo is not available.";
    check_refused(&format!("{BASE}{lines}"), bad, 5, words);
    let words = "Authentication scheme sasl is not available.";
    check_refused(&format!("{BASE}sessionRequireClientSASLAuth=true\n"), bad, 4, words);

    let lines = "enforce.auth.enabled=true\nenforce.auth.schemes= digest , ip\n";
    assert_eq!(config(lines).auth.enforced_schemes, ["digest", "ip"]);
    assert!(config("enforce.auth.schemes=foo\n").auth.enforced_schemes.is_empty());
    let lines = "sessionRequireClientSASLAuth=true\n\
                 authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n";
    assert_eq!(config(lines).auth.enforced_schemes, ["sasl"]);
}

/// "Ran" as well: Apache checks the provider before it notices that NIO has no TLS.
#[test]
fn a_tls_port_needs_a_provider_for_its_scheme() {
    let words = "No auth provider configured for the SSL authentication scheme 'foo'.";
    let text = format!("{BASE}secureClientPort=2281\nssl.authProvider=foo\n");
    check_refused(&text, ExitCode::Configuration, 5, words);
    let secure = config("secureClientPort=2281\n").secure_client.expect("a TLS port");
    assert_eq!(secure.to_string(), "0.0.0.0:2281");
}

/// All of them ran.
#[test]
fn the_number_of_members_decides_or_is_refused() {
    let bad = ExitCode::Configuration;
    let observer = "server.9=o:2888:3888:observer\n";
    let words = "Observers w/o participants is an invalid configuration";
    check_refused(&format!("{BASE}{observer}"), bad, 0, words);
    let words = "Observers w/o quorum is an invalid configuration";
    check_refused(&format!("{BASE}server.1=a:2888:3888\n{observer}"), bad, 0, words);
    let words = "standaloneEnabled = false then number of participants should be >0";
    check_refused(&format!("{BASE}standaloneEnabled=false\n"), bad, 0, words);

    assert_eq!(config("").role(), Role::Standalone);
    let (one, said) = parse(&format!("{BASE}server.1=a:2888:3888\n")).expect("one server");
    assert_eq!(one.role(), Role::Standalone);
    let words = "Invalid configuration, only one server specified (ignoring)";
    assert!(said.iter().any(|finding| finding.message == words));
}

/// All of them ran.
#[test]
fn a_member_needs_limits_and_an_id_from_the_list() {
    let bad = ExitCode::Configuration;
    let text = format!("{BASE}{THREE}");
    let with_id = |id| BTreeMap::from([("/data/myid", id)]);
    let refused = |text: &str, id: Option<&'static str>, exit, words| {
        let files = id.map(with_id).unwrap_or_default();
        check_refused_with(&Given { text, files, flags: "" }, exit, 0, words);
    };
    refused(&text.replace("initLimit=10\n", ""), Some("1"), bad, "initLimit is not set");
    refused(&text.replace("syncLimit=5\n", ""), Some("1"), bad, "syncLimit is not set");
    refused(&text.replace("syncLimit=5\n", ""), None, bad, "syncLimit is not set");
    refused(&text, None, bad, "myid file is missing");
    refused(&text, Some("9\n"), ExitCode::Unexpected, "My id 9 not in the peer list");
    let words =
        "extendedTypesEnabled is true but Server ID is too large. Cannot be larger than 254";
    let text = format!("{text}server.255=d:2888:3888\nextendedTypesEnabled=true\n");
    refused(&text, Some("255\n"), ExitCode::Unexpected, words);
}

/// All of them ran, on a standalone server: Apache reads myid there too. It does not forgive the
/// blanks; we do.
#[test]
fn myid_must_be_a_number_even_where_nobody_needs_it() {
    for (id, words) in
        [("abc\n", "serverid abc is not a number"), ("", "serverid null is not a number")]
    {
        let given = Given { text: BASE, files: BTreeMap::from([("/data/myid", id)]), flags: "" };
        let error = given.read().expect_err("no number");
        assert!(error.to_string().starts_with("/data/myid:1: "), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.exit, ExitCode::Configuration);
    }
    let given = Given { text: BASE, files: BTreeMap::from([("/data/myid", " 7 \r\n")]), flags: "" };
    let (config, _) = given.read().expect("blanks are forgiven");
    assert_eq!(config.ensemble.my_id.map(|sid| sid.0), Some(7));
}

#[test]
fn a_good_ensemble_is_read_whole() {
    let text = format!("{BASE}{THREE}server.4=d:2888:3888:observer;2182\npeerType=participant\n");
    let files = BTreeMap::from([("/data/myid", "4\n")]);
    let text = text.replace("clientPort=2181\n", "");
    let (config, said) = Given { text: &text, files, flags: "" }.read().expect("a good ensemble");
    assert_eq!(config.role(), Role::Ensemble);
    assert_eq!(config.ensemble.members.participants().count(), 3);
    assert_eq!(config.ensemble.my_role, PeerRole::Observer);
    assert_eq!(config.client.expect("from the server line").to_string(), "0.0.0.0:2182");
    assert_eq!((config.ensemble.init_limit_ticks, config.ensemble.sync_limit_ticks), (10, 5));
    let words = "Peer type from servers list (observer) doesn't match peerType (participant). \
                 Defaulting to servers list.";
    assert!(said.iter().any(|finding| finding.message == words), "{said:?}");
}

#[test]
fn even_and_small_ensembles_are_warned_of() {
    let files = BTreeMap::from([("/data/myid", "1\n")]);
    let said = |text: &str| {
        let (_, said) = Given { text, files: files.clone(), flags: "" }.read().expect("good");
        said.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
    };
    let two = format!("{BASE}{}", THREE.replace("server.3=c:2888:3888\n", ""));
    let words = "No server failure will be tolerated. You need at least 3 servers.";
    assert!(said(&two).iter().any(|message| message == words));
    let words = "Non-optimal configuration, consider an odd number of servers.";
    let four = format!("{BASE}{THREE}server.4=d:2888:3888\n");
    assert!(said(&four).iter().any(|message| message == words));
}

/// All of them ran; a name that only begins like a member's is one, too.
#[test]
fn member_lines_are_refused_at_their_line() {
    let bad = ExitCode::Configuration;
    for (line, words) in [
        ("server.1=127.0.0.1", "127.0.0.1 does not have the form server_config or"),
        ("server.1=a:5:5", "Client and election port must be different! Please update"),
        ("server.1=a:x:5", "Address unresolved: a:x"),
        ("server.1=a:1:2:foo", "Unrecognised peertype: foo"),
        ("server.1=a:1:70000", "port out of range:70000"),
        ("server.x=a:1:2", "For input string: \"x\""),
        ("server.realm=EXAMPLE.ORG", "For input string: \"realm\""),
        ("groupFoo=1", "For input string: \"groupFoo\""),
        ("weightless=1", "For input string: \"weightless\""),
    ] {
        check_refused(&format!("{BASE}{line}\n"), bad, 4, words);
    }
    let text = format!("{BASE}{THREE}group.1=1:2\n");
    check_refused(&text, bad, 6, "Server 3is not in a group");
    let text = format!("{BASE}{THREE}group.1=1:2\ngroup.2=2:3\n");
    check_refused(&text, bad, 10, "Server 2is in multiple groups");
}

/// Apache takes several addresses only with the `-D` word; we take the zoo.cfg line as well.
#[test]
fn several_addresses_work_with_either_switch() {
    let line = "server.1=a:1:2|b:1:2\n";
    let words = "Multiple address feature is disabled, but multiple addresses were specified for \
                 sid 1";
    check_refused(&format!("{BASE}{line}"), ExitCode::Configuration, 4, words);
    assert!(config(&format!("{line}multiAddress.enabled=true\n")).ensemble.multi_address_enabled);
    let (config, _) = with_flags(line, "-Dzookeeper.multiAddress.enabled=true");
    assert!(config.ensemble.multi_address_enabled);
}

#[test]
fn a_dynamic_file_holds_the_members_and_its_name_the_version() {
    let lines = "initLimit=10\nsyncLimit=5\ndynamicConfigFile=/conf/zoo.cfg.dynamic.100000001\n";
    let text = format!("{BASE}{lines}");
    let members = "server.1=a:1:2;2181\nserver.2=b:1:2;2181\n";
    let next = "server.1=a:1:2;2181\nserver.3=c:1:2;2181\nversion=200000002\n";
    let files = BTreeMap::from([
        ("/conf/zoo.cfg.dynamic.100000001", members),
        ("zoo.cfg.dynamic.next", next),
        ("/data/myid", "2\n"),
    ]);
    let (config, _) = Given { text: &text, files, flags: "" }.read().expect("good files");
    assert_eq!(config.role(), Role::Ensemble);
    assert_eq!(config.ensemble.members.version, 0x1_0000_0001);
    let proposed = config.ensemble.proposed.expect("a proposal lies there");
    assert_eq!(proposed.version, 0x2_0000_0002);
    assert_eq!(proposed.all.len(), 2);
}

/// All of them ran.
#[test]
fn a_dynamic_file_is_refused_where_it_is_wrong() {
    let bad = ExitCode::Configuration;
    let text = format!("{BASE}initLimit=10\nsyncLimit=5\ndynamicConfigFile=dyn\n");
    let words = "Error processing dyn";
    check_refused(&text, bad, 6, words);
    let words = "parameter: server.1 must be in a separate dynamic config file";
    check_refused(&format!("{text}server.1=a:1:2\n"), bad, 7, words);

    let refused = |dynamic: &'static str| {
        let files = BTreeMap::from([("dyn", dynamic), ("/data/myid", "1")]);
        Given { text: &text, files, flags: "" }.read().expect_err(dynamic).to_string()
    };
    let words = "dyn:2: dynamic file shouldn't have version inside";
    assert!(refused("server.1=a:1:2\nversion=1\n").starts_with(words));
    assert!(refused("foo=1\n").starts_with("dyn:1: Unrecognised parameter: foo"));
    let words = "dyn: client address for this server (id = 1) in static config file is \
                 0.0.0.0:2181 is different from client address found in dynamic file: 0.0.0.0:2182";
    assert!(refused("server.1=a:1:2;2182\nserver.2=b:1:2\n").starts_with(words));
}

/// Ran: the port of the own server line counts where zoo.cfg has none, even standalone. That is
/// how the official image configures a single server.
#[test]
fn a_lone_server_line_may_bring_the_client_port() {
    let text = "dataDir=/data\nserver.1=localhost:2888:3888;2181\n";
    let files = BTreeMap::from([("/data/myid", "1\n")]);
    let (config, _) = Given { text, files, flags: "" }.read().expect("the image's own file");
    assert_eq!(config.role(), Role::Standalone);
    assert_eq!(config.client.expect("from the server line").port, 2181);

    let (config, said) = parse(text).expect("ran: Apache starts without any port");
    assert_eq!(config.client, None);
    assert!(said.iter().any(|finding| finding.message.starts_with("clientPort is not set")));
}

#[test]
fn a_missing_file_says_so() {
    let read_file = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
    let error = Config::load("zoo.cfg", &JvmFlags::none(), &read_file).expect_err("no file");
    assert!(error.to_string().contains("zoo.cfg file is missing"), "{error}"); // ran
    assert_eq!(error.exit, ExitCode::Configuration);
    assert_eq!(error.exit.last_words(), "Invalid config, exiting abnormally");
}

/// All of them ran.
#[test]
fn data_directories_fail_in_apaches_words_with_three() {
    let path = "/data/version-2";
    for (dir, fault, words) in [
        (
            DataDir::Logs,
            DataDirFault::CannotCreate,
            "Unable to create data directory /data/version-2",
        ),
        (
            DataDir::Snapshots,
            DataDirFault::CannotWrite,
            "Cannot write to snap directory /data/version-2",
        ),
        (
            DataDir::Logs,
            DataDirFault::Missing,
            "Missing data directory /data/version-2, automatic data directory creation is \
             disabled (zookeeper.datadir.autocreate is false). Please create this directory \
             manually.",
        ),
        (
            DataDir::Logs,
            DataDirFault::SnapshotsAmongLogs,
            "Log directory has snapshot files. Check if dataLogDir and dataDir configuration is \
             correct.",
        ),
        (
            DataDir::Snapshots,
            DataDirFault::LogsAmongSnapshots,
            "Snapshot directory has log files. Check if dataLogDir and dataDir configuration is \
             correct.",
        ),
    ] {
        let error = ConfigError::data_dir(dir, path, &fault, "Permission denied");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.exit.status(), 3);
    }
}

/// All but the last ran: no arguments, too many, no number.
#[test]
fn the_argument_form_takes_two_to_four_words() {
    let none = JvmFlags::none();
    for (arguments, words) in [
        (&[][..], "Invalid number of arguments:[]"),
        (&["0", "data", "1", "2", "3"], "Invalid number of arguments:[0, data, 1, 2, 3]"),
        (&["x", "data"], "For input string: \"x\""),
        (&["70000", "data"], "port out of range:70000"),
        (&["0", "data", "0"], "tickTime is not set"),
    ] {
        let error = Config::from_arguments(arguments, &none).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("port datadir [ticktime] [maxcnxns]"), "{error}");
        assert_eq!(error.exit, ExitCode::Configuration);
    }
    let (config, _) = Config::from_arguments(&["0", "data"], &none).expect("two are enough");
    assert_eq!(config.sessions.tick_time_ms, 3000);
    assert_eq!(config.limits.max_client_cnxns, 0);
    assert_eq!(config.data_dirs.logs.to_str(), Some("data"));
    let (config, _) = Config::from_arguments(&["7", "d", "500", "9"], &none).expect("four");
    assert_eq!((config.sessions.tick_time_ms, config.sessions.max_timeout_ms), (500, 10_000));
    assert_eq!(config.limits.max_client_cnxns, 9);
    assert_eq!(config.client.expect("the first argument").port, 7);
}

#[test]
fn the_first_run_needs_no_configuration_and_has_nothing_to_report() {
    let (config, said) = Config::default_first_run(&JvmFlags::none()).expect("nothing is wrong");
    assert_eq!(said, []);
    assert_eq!(config.client.clone().expect("2181").to_string(), "0.0.0.0:2181");
    assert_eq!(config.data_dirs.snapshots.to_str(), Some("./data"));
    assert_eq!((config.sessions.tick_time_ms, config.limits.max_client_cnxns), (2000, 60));
    assert_eq!(config.role(), Role::Standalone);
}

#[test]
fn defaults_are_apaches() {
    let config = parse("dataDir=/data\nclientPort=0\n").expect("a small file").0;
    let s = &config.sessions;
    assert_eq!((s.tick_time_ms, s.min_timeout_ms, s.max_timeout_ms), (3000, 6000, 60_000));
    assert_eq!(s.sessionless_timeout_ms, 10_000);
    let l = &config.limits;
    assert_eq!((l.max_client_cnxns, l.max_cnxns, l.global_outstanding_limit), (60, 0, 1000));
    assert_eq!((l.jute_max_buffer, l.jute_extra_size), (1_048_575, 1_048_575));
    assert_eq!((l.large_request_threshold, l.throttled_op_wait_time_ms), (None, None));
    let s = &config.storage;
    assert_eq!((s.snap_count, s.snap_size_limit_kb), (100_000, Some(4_194_304)));
    assert_eq!((s.pre_alloc_size_kb, s.txn_log_size_limit_kb), (65_536, None));
    assert_eq!((s.flush_delay_ms, s.max_batch_size, s.fsync_warning_threshold_ms), (0, 1000, 1000));
    assert!(s.force_sync && s.datadir_autocreate && s.db_autocreate && s.serialize_last_zxid);
    assert_eq!((s.snap_retain_count, s.purge_interval_hours), (3, None));
    assert_eq!(s.snapshot_compression, SnapshotCompression::Plain);
    let t = &config.tree;
    assert!(t.digest_enabled && t.close_session_txn);
    assert!(!t.extended_types && !t.emulate_353_ttl && !t.enforce_quota);
    assert_eq!((t.container_check_interval_ms, t.container_max_per_minute), (60_000, 10_000));
    let a = &config.auth;
    assert_eq!(a.providers, [AuthProvider::Ip, AuthProvider::Digest]);
    assert_eq!(a.digest_algorithm, DigestAlgorithm::Sha1);
    assert!(!a.skip_acl && a.super_digest.is_none() && a.enforced_schemes.is_empty());
    let r = &config.request_throttle;
    assert_eq!((r.max_requests, r.stall_time_ms), (0, 100));
    assert!(r.drop_stale && r.stale_connection_check && !r.stale_latency_check);
    let c = &config.connection_throttle;
    assert_eq!((c.tokens, c.fill_time_ms, c.fill_count, c.freeze_time_ms), (0, 1, 1, -1));
    assert_eq!((c.drop_increase, c.drop_decrease, c.decrease_ratio), (0.02, 0.002, 0.0));
    assert_eq!(c.weights, None);
    assert!(config.admin.enabled && config.admin.port == 8080);
    assert_eq!(config.metrics, Metrics::Default);
    assert_eq!(config.network.listen_backlog, None);
}

/// Ran: flushDelay and maxBatchSize are logged as 16 and 8, preAllocSize is complained of.
#[test]
fn property_numbers_are_decoded_and_garbage_means_the_default() {
    let lines = "flushDelay=0x10\nmaxBatchSize=010\npreAllocSize=0x10\nsnapCount=#ff\n\
                 request_throttle_stall_time=abc\n";
    let config = config(lines);
    assert_eq!((config.storage.flush_delay_ms, config.storage.max_batch_size), (16, 8));
    assert_eq!((config.storage.snap_count, config.storage.pre_alloc_size_kb), (255, 65_536));
    assert_eq!(config.storage.max_write_queue_poll_time_ms, 5);
    assert_eq!(config.request_throttle.stall_time_ms, 100);
    let said = findings(lines);
    // The third is that flushDelay has no effect here.
    assert_eq!(said.len(), 3, "{said:?}");
    let words = "zoo.cfg:6: preAllocSize: \"0x10\" is no number; 65536 is used, as in Apache";
    assert!(said.iter().any(|line| line == words), "{said:?}");
}

/// Ran, all with Apache's own warnings.
#[test]
fn numbers_out_of_bounds_are_corrected_as_in_apache() {
    let config = config(
        "snapCount=1\nautopurge.snapRetainCount=1\nmaxCnxns=-4\nlargeRequestMaxBytes=0\n\
         largeRequestThreshold=-7\nautopurge.purgeInterval=-1\nsnapSizeLimitInKb=-1\n",
    );
    assert_eq!((config.storage.snap_count, config.storage.snap_retain_count), (2, 3));
    assert_eq!((config.limits.max_cnxns, config.limits.large_request_max_bytes), (0, 104_857_600));
    assert_eq!(config.limits.large_request_threshold, None);
    assert_eq!(
        (config.storage.purge_interval_hours, config.storage.snap_size_limit_kb),
        (None, None)
    );
    let said = findings("snapCount=1\n");
    assert_eq!(said, ["zoo.cfg:4: snapCount: 1 is out of bounds; 2 is used"]);
    assert_eq!(findings("largeRequestThreshold=0\n").len(), 1);
}

#[test]
fn property_switches_know_one_word_each() {
    let config = config(
        "skipACL=true\nforceSync=false\ndigest.enabled=yes\nextendedTypesEnabled=TRUE\n\
         admin.enableServer=no\nclientTcpKeepAlive=1\n",
    );
    assert!(!config.auth.skip_acl, "only yes is yes");
    assert!(config.storage.force_sync, "only no is no");
    assert!(!config.tree.digest_enabled, "only true is true");
    assert!(config.tree.extended_types, "in any case");
    assert!(config.admin.enabled, "only false is false");
    assert!(!config.network.client_tcp_keep_alive);
    let said = findings("skipACL=true\n");
    assert_eq!(said, ["zoo.cfg:4: skipACL: \"true\" means off; write `yes` or `no`"]);
    let config = self::config("skipACL=yes\nforceSync=no\nadmin.enableServer=false\n");
    assert!(config.auth.skip_acl && !config.storage.force_sync && !config.admin.enabled);
}

/// Ran: flushDelay is 7 with both, and tickTime stays at its default with the -D words alone.
#[test]
fn a_line_wins_over_the_flag_of_its_name_and_native_keys_know_no_flag() {
    let (config, said) = with_flags("flushDelay=7\n", "-Dzookeeper.flushDelay=9");
    assert_eq!(config.storage.flush_delay_ms, 7);
    let words = "JVMFLAGS: flushDelay: zoo.cfg:4 says otherwise and wins";
    assert!(said.iter().any(|finding| finding.to_string() == words), "{said:?}");
    let (config, said) = with_flags("", "-Dzookeeper.flushDelay=9 -Dzookeeper.tickTime=5");
    assert_eq!(config.storage.flush_delay_ms, 9);
    assert_eq!(config.sessions.tick_time_ms, 2000);
    assert!(said.iter().any(|finding| finding.what == What::Unknown), "{said:?}");
}

#[test]
fn what_works_only_as_a_flag_is_reported_in_the_file() {
    let (config, said) = with_flags("jute.maxbuffer=10\n", "-Djute.maxbuffer=0x100000");
    assert_eq!(config.limits.jute_max_buffer, 1_048_576);
    assert_eq!(config.limits.jute_extra_size, 1_048_576);
    let words =
        "zoo.cfg:4: has an effect only as -Djute.maxbuffer in JVMFLAGS, as in Apache; this \
                 line has none";
    assert_eq!(said[0].to_string(), words);
    assert_eq!(self::config("jute.maxbuffer=10\n").limits.jute_max_buffer, 1_048_575);
    let (config, _) = with_flags("", "-Dzookeeper.jute.maxbuffer.extrasize=7");
    assert_eq!(config.limits.jute_extra_size, 7);
    let flags = "-Dreadonlymode.enabled=true -Dznode.container.checkIntervalMs=500";
    let (config, _) = with_flags("", flags);
    assert!(config.network.read_only_mode);
    assert_eq!(config.tree.container_check_interval_ms, 500);
    assert!(config.network.four_letter_words.allows("isro"));
}

#[test]
fn a_bare_flag_counts_where_apache_reads_it_and_loses_to_the_prefixed_one() {
    let (config, _) = with_flags("", "-Dfsync.warningthresholdms=5");
    assert_eq!(config.storage.fsync_warning_threshold_ms, 5);
    let flags = "-Dzookeeper.fsync.warningthresholdms=6 -Dfsync.warningthresholdms=5";
    assert_eq!(with_flags("", flags).0.storage.fsync_warning_threshold_ms, 6);
    let (config, _) = with_flags("fsync.warningthresholdms=7\n", flags);
    assert_eq!(config.storage.fsync_warning_threshold_ms, 7);
}

/// Ran: snapCount is still corrected to 2 from its own line, so the prefixed line did nothing.
#[test]
fn names_without_effect_are_reported_with_what_to_write() {
    let said = findings("foo=1\nzookeeper.snapCount=5\nrequestThrottleLimit=7\ntraceFile=x\n");
    assert_eq!(
        said,
        [
            "zoo.cfg:4: foo: unknown key; kept without effect, as Apache keeps it",
            "zoo.cfg:5: zookeeper.snapCount: has no effect in a file, as in Apache; write \
             snapCount",
            "zoo.cfg:6: requestThrottleLimit: has no effect, as in Apache; write \
             request_throttle_max_requests",
            "zoo.cfg:7: traceFile: has no effect, as in Apache",
        ]
    );
    assert_eq!(config("zookeeper.snapCount=5\n").storage.snap_count, 100_000);
}

#[test]
fn a_key_said_twice_is_reported_where_it_lost() {
    let lines = "snapCount=5\nsnapCount=6\n";
    assert_eq!(config(lines).storage.snap_count, 6);
    assert_eq!(findings(lines), ["zoo.cfg:4: snapCount: said again on line 5, which wins"]);
}

#[test]
fn words_of_a_java_virtual_machine_take_one_line() {
    let flags = "-Xmx1g -XX:+UseG1GC -Dcom.sun.management.jmxremote -Dzookeeper.foo=1";
    let (_, said) = with_flags("", flags);
    let lines: Vec<String> = said.iter().map(Finding::to_string).collect();
    assert_eq!(
        lines,
        [
            "JVMFLAGS: zookeeper.foo: no such system property; kept without effect",
            "JVMFLAGS: not used here: com.sun.management.jmxremote",
            "JVMFLAGS: for a Java virtual machine, ignored: -Xmx1g -XX:+UseG1GC",
        ]
    );
    assert!(said.iter().all(|finding| finding.severity == Severity::Info));
}

#[test]
fn relative_directories_are_used_with_a_warning() {
    let (config, said) = parse("dataDir=data\nclientPort=0\ndataLogDir=./logs\n").expect("good");
    assert_eq!(config.data_dirs.snapshots.to_str(), Some("data"));
    assert_eq!(config.data_dirs.logs.to_str(), Some("./logs"));
    let lines: Vec<String> = said.iter().map(Finding::to_string).collect();
    let words = "zoo.cfg:1: dataDir: data is relative. Prepend ./ to indicate that you're sure!";
    assert_eq!(lines, [words]);
}

#[test]
fn four_letter_words_are_srvr_and_what_the_list_allows() {
    let words = config("").network.four_letter_words;
    assert!(words.allows("srvr") && !words.allows("ruok") && !words.allows("isro"));
    let words = config("4lw.commands.whitelist= ruok , mntr,\n").network.four_letter_words;
    assert!(words.allows("ruok") && words.allows("mntr") && words.allows("srvr"));
    assert!(!words.allows("stat"));
    assert!(config("4lw.commands.whitelist=*\n").network.four_letter_words.allows("stat"));
}

/// Ran: an unknown provider class is a warning, not the end.
#[test]
fn providers_come_by_class_and_an_unknown_class_is_left_out() {
    let lines = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
                 authProvider.2=foo.Bar\nDigestAuthenticationProvider.enabled=false\n\
                 ensembleAuthName=a, b\nDigestAuthenticationProvider.digestAlg=sha256\n";
    let auth = config(lines).auth;
    assert_eq!(auth.providers, [AuthProvider::Ip, AuthProvider::Sasl]);
    assert_eq!(auth.ensemble_names, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(auth.digest_algorithm, DigestAlgorithm::Sha256);
    let said = findings(lines);
    assert_eq!(said, ["zoo.cfg:5: authProvider.2: Problems loading foo.Bar; it is left out"]);
}

#[test]
fn session_weights_leave_the_bucket_alone_and_respect_their_order() {
    let lines = "connection_throttle_tokens=10\nconnection_throttle_fill_count=2\n\
                 connection_throttle_weight_enabled=true\n\
                 connection_throttle_local_session_weight=4\n\
                 connection_throttle_global_session_weight=3\n\
                 connection_throttle_renew_session_weight=-1\n";
    let throttle = config(lines).connection_throttle;
    let weights = throttle.weights.expect("switched on");
    assert_eq!((weights.global, weights.local, weights.renew), (4, 4, 2));
    assert_eq!((throttle.tokens, throttle.fill_count), (10, 2));
    let plain = config("connection_throttle_tokens=10\n").connection_throttle;
    assert_eq!(plain.tokens, 10);
}

#[test]
fn prometheus_brings_its_address() {
    let class = "metricsProvider.className=\
                 org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n";
    let Metrics::Prometheus(address) = config(class).metrics else { panic!("another provider") };
    assert_eq!(address.to_string(), "0.0.0.0:7000");
    let text = format!("{BASE}{class}metricsProvider.httpPort=abc\n");
    check_refused(&text, ExitCode::Configuration, 5, "For input string: \"abc\"");
    assert_eq!(config("metricsProvider.httpPort=abc\n").metrics, Metrics::Default);
}

#[test]
fn the_samples_are_good_and_have_nothing_to_warn_of() {
    let text = include_str!("../conf/zoo_sample.cfg");
    let (config, said) = parse(text).expect("the sample");
    assert_eq!(said, []);
    assert_eq!(config.role(), Role::Standalone);

    let text = include_str!("../conf/zoo_ensemble_sample.cfg");
    let files = BTreeMap::from([("/var/lib/zookeeper/myid", "2\n")]);
    let (config, said) = Given { text, files, flags: "" }.read().expect("the sample");
    assert_eq!(config.role(), Role::Ensemble);
    assert!(said.iter().all(|finding| finding.severity == Severity::Info), "{said:?}");
}

/// Every commented-out example in the samples is a good line, too.
#[test]
fn the_examples_in_the_samples_are_good() {
    let text = include_str!("../conf/zoo_sample.cfg");
    let is_example =
        |line: &&str| line.starts_with('#') && line.contains('=') && !line.contains(' ');
    let examples: Vec<&str> = text.lines().filter(is_example).map(|line| &line[1..]).collect();
    assert!(examples.len() >= 5, "{examples:?}");
    let (_, said) = parse(&format!("{text}{}\n", examples.join("\n"))).expect("good lines");
    assert_eq!(said, []);
}

/// The page is written by the table. `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_page_of_keys_is_in_step_with_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md");
    let page = keys::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("docs/CONFIG.md can be written");
    }
    let on_disk = std::fs::read_to_string(path).expect("docs/CONFIG.md is there");
    assert!(on_disk == page, "run UPDATE_DOCS=1 cargo test --test config");
}

#[test]
fn secrets_show_up_in_no_debug_print() {
    let lines = "DigestAuthenticationProvider.superDigest=super:hidden\n\
                 ssl.keyStore.password=hidden\nSASLAuthenticationProvider.superPassword=hidden\n";
    let (config, said) = with_flags(lines, "-Dzookeeper.ssl.quorum.keyStore.password=hidden");
    let printed = format!("{config:?} {said:?}");
    assert!(!printed.contains("hidden"), "{printed}");
    let digest = config.auth.super_digest.expect("said on line 4");
    assert_eq!(digest.reveal(), "super:hidden");
    assert_eq!(config.settings.text("ssl.quorum.keyStore.password"), Some("hidden"));
}

/// Apache's own sample names the limits of an ensemble for a server that runs alone.
#[test]
fn keys_of_an_ensemble_take_one_line_where_there_is_none() {
    let lines = "initLimit=10\nsyncLimit=5\ntcpKeepAlive=true\n";
    let words = "zoo.cfg: of use in an ensemble only: initLimit, syncLimit, tcpKeepAlive";
    assert_eq!(findings(lines), [words]);
}

#[test]
fn ports_that_cannot_be_opened_blame_their_line() {
    let config = config("admin.serverPort=8081\nclientPortAddress=nowhere.invalid\n");
    let address = config.client.as_ref().expect("on line 3");
    let error =
        ConfigError::cannot_listen(&config, "clientPort", address, "Address already in use");
    let words = "zoo.cfg:3: clientPort: cannot listen on nowhere.invalid:2181: Address already in \
                 use (stop the other program, or write another clientPort)";
    assert_eq!((error.to_string().as_str(), error.exit), (words, ExitCode::Unexpected));
    let error =
        ConfigError::unresolvable(&config, "clientPortAddress", "nowhere.invalid", "unknown");
    let words = "zoo.cfg:5: clientPortAddress: nowhere.invalid: unknown (write an address of this \
                 machine)";
    assert_eq!((error.to_string().as_str(), error.exit), (words, ExitCode::Configuration));
    let error = ConfigError::admin_port(&config, "Address already in use");
    assert!(error.to_string().starts_with("zoo.cfg:4: admin.serverPort: "), "{error}");
    assert_eq!(error.exit.status(), 4);
}

#[test]
fn a_tick_below_zero_and_divisors_of_zero_are_not_taken() {
    let bad = ExitCode::Configuration;
    check_refused("dataDir=/data\ntickTime=-5\n", bad, 2, "tickTime is not set");
    let config = config("connection_throttle_fill_time=0\nnio.sessionlessCnxnTimeout=0\n");
    assert_eq!(config.connection_throttle.fill_time_ms, 1);
    assert_eq!(config.sessions.sessionless_timeout_ms, 10_000);
}

/// Every key of the table with values that nobody means, as a line and as a flag: nothing panics,
/// whatever is refused says where and what to do, and of the keys that are system properties only
/// those refuse that stop Apache, too.
#[test]
fn no_value_of_any_key_gets_past_the_table() {
    let odd = ["", "abc", "-1", "0", "0x10", "99999999999999999999", "true", "yes", "a:b:c", ",;|"];
    let mut refusing: Vec<&str> = vec![];
    for key in keys::all() {
        let name = key.name.replace('*', "7");
        for value in odd {
            let line = format!("{name}={value}\n");
            let text = format!("{BASE}{line}");
            if let Err(error) = parse(&text) {
                let shown = error.to_string();
                assert!(shown.starts_with("zoo.cfg:"), "{line}{shown}");
                assert!(!error.advice.is_empty(), "{line}{shown}");
                if !matches!(key.scope, keys::Scope::Native | keys::Scope::NativeOrProperty) {
                    refusing.push(key.name);
                }
            }
            let flags: Vec<String> = key
                .properties()
                .iter()
                .map(|p| format!("-D{p}={value}").replace('*', "7"))
                .collect();
            for flag in flags {
                let given = Given { text: BASE, flags: &flag, ..Given::default() };
                if let Err(error) = given.read() {
                    assert!(error.to_string().starts_with("JVMFLAGS: "), "{flag}: {error}");
                    refusing.push(key.name);
                }
            }
        }
    }
    refusing.dedup();
    let known = [
        "multiAddress.reachabilityCheckTimeoutMs",
        "server.realm",
        "connection_throttle_drop_increase",
        "connection_throttle_drop_decrease",
        "connection_throttle_decrease_ratio",
        "serverCnxnFactory",
        "watchManagerName",
        "DigestAuthenticationProvider.digestAlg",
        "sessionRequireClientSASLAuth",
        "enforce.auth.enabled",
    ];
    let unknown: Vec<_> = refusing.iter().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(known.iter().all(|name| refusing.contains(name)), "{refusing:?}");
}

/// Apache takes them as system properties, which zoo.cfg sets, too.
#[test]
fn links_between_members_are_watched_as_told() {
    let watching = |lines: &str| config(lines).quorum.watching;
    assert_eq!(watching(""), Watching { ack_every: 1000, packets_told: None });
    assert_eq!(watching("leader.ackLoggingFrequency=7\n").ack_every, 7);
    assert_eq!(watching("leader.ackLoggingFrequency=0\n").ack_every, 0);
    assert_eq!(watching("messageTracker.Enabled=true\n").packets_told, Some(10));
    assert_eq!(watching("messageTracker.BufferSize=3\n").packets_told, None);
    let both = "messageTracker.Enabled=true\nmessageTracker.BufferSize=";
    assert_eq!(watching(&format!("{both}0x10\n")).packets_told, Some(16));
    assert_eq!(watching(&format!("{both}0\n")).packets_told, None);
    let flags = "-Dzookeeper.leader.ackLoggingFrequency=-1 -Dzookeeper.messageTracker.Enabled=true";
    let (told, _) = with_flags("", flags);
    assert_eq!(told.quorum.watching, Watching { ack_every: -1, packets_told: Some(10) });
}
