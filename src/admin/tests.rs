//! Our answers against those of a running Apache 3.9.5 (`golden/`), filled with the numbers that
//! it had at that moment.
//!
//! The files hold what each word answered on a fresh server (`*_idle`), after some load from two
//! sessions, after `crst` (`cons_reset`), and after a one-shot watch of a third session had fired
//! (`*_fired`). The data directory and the values of `envi` are masked.

use std::collections::BTreeMap;

use super::*;
use crate::metrics::{Gauges, Metrics, QuotaGauges, Row};
use crate::session::Bucket;
use crate::types::{Now, SessionId, Zxid};
use crate::watch::WatchSummary;
use jute::OpCode;

const A: SessionId = SessionId(0x0100_0021_f455_0000);
const B: SessionId = SessionId(0x0100_0021_f455_0001);

fn check(word: Word, view: &View, golden: &str) {
    let text = String::from_utf8(answer(word, view, &Metrics::default())).expect("text");
    assert_eq!(text, golden, "{word}");
}

fn connection(port: u16, numbers: [i64; 2], session: Option<ConnectionSession>) -> Connection {
    Connection {
        remote: ([127, 0, 0, 1], port).into(),
        interest: u8::from(session.is_some()),
        outstanding: 0,
        received: numbers[0],
        sent: numbers[1],
        session,
    }
}

fn session_of_a() -> ConnectionSession {
    ConnectionSession {
        id: A,
        established_wall_ms: 1_795_255_143_249,
        timeout_ms: 10_000,
        last_op: Some(OpCode::Ping),
        last_cxid: 0x1c,
        last_zxid: Zxid(0x147),
        last_response_ms: 2_260_181,
        last_latency_ms: 0,
        min_latency_ms: 0,
        avg_latency_ms: 2,
        max_latency_ms: 33,
    }
}

fn session_of_b() -> ConnectionSession {
    ConnectionSession {
        id: B,
        established_wall_ms: 1_795_255_143_304,
        timeout_ms: 30_000,
        last_op: Some(OpCode::SetData),
        last_cxid: 0x132,
        last_response_ms: 2_260_180,
        last_latency_ms: 1,
        avg_latency_ms: 0,
        max_latency_ms: 38,
        ..session_of_a()
    }
}

/// As `crst` leaves a connection.
fn forgotten(session: ConnectionSession) -> ConnectionSession {
    ConnectionSession {
        last_op: None,
        last_cxid: -1,
        last_zxid: Zxid::NONE,
        last_response_ms: 0,
        last_latency_ms: 0,
        min_latency_ms: 0,
        avg_latency_ms: 0,
        max_latency_ms: 0,
        ..session
    }
}

/// The server of the golden files, as far as all words show the same.
fn serving() -> View {
    View {
        role: Some(Role::Standalone),
        version: "3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC"
            .into(),
        trace_mask: TRACE_MASK,
        node_count: 29,
        last_zxid: Zxid(0x147),
        stats: Traffic {
            latency_min_ms: 0,
            latency_avg_ms: 1.0236,
            latency_max_ms: 38,
            received: 357,
            sent: 359,
            connections: 3,
            outstanding: 0,
        },
        ..View::default()
    }
}

#[test]
fn srvr_and_stat() {
    let mut view = serving();
    view.connections = vec![
        connection(57122, [307, 308], Some(session_of_b())),
        connection(57116, [32, 33], Some(session_of_a())),
        connection(57132, [1, 0], None),
    ];
    check(Word::Stat, &view, include_str!("golden/stat.txt"));
    view.stats.received = 358;
    view.stats.sent = 360;
    check(Word::Srvr, &view, include_str!("golden/srvr.txt"));
    view.stats = Traffic { received: 9, sent: 8, connections: 1, ..Traffic::default() };
    (view.node_count, view.last_zxid) = (5, Zxid(0));
    check(Word::Srvr, &view, include_str!("golden/srvr_idle.txt"));
}

#[test]
fn roles_show_in_srvr() {
    let lines = |view: &View| -> Vec<String> {
        let text = String::from_utf8(answer(Word::Srvr, view, &Metrics::default()));
        text.expect("text").lines().map(str::to_string).collect()
    };
    let mut view = serving();
    view.role = Some(Role::Leader);
    view.proposal_sizes = Some([71, 36, 203]);
    assert_eq!(lines(&view)[9], "Proposal sizes last/min/max: 71/36/203");
    view.role = Some(Role::ReadOnly);
    assert_eq!(lines(&view)[1], "READ-ONLY mode; serving only read-only clients");
    assert_eq!(lines(&view)[8], "Mode: read-only");
    check(Word::Isro, &view, "ro");
}

#[test]
fn cons() {
    let mut view = serving();
    view.connections = vec![
        connection(57122, [307, 308], Some(session_of_b())),
        connection(57116, [32, 33], Some(session_of_a())),
        connection(57128, [1, 0], None),
    ];
    check(Word::Cons, &view, include_str!("golden/cons.txt"));
    view.connections = vec![
        connection(57122, [0, 0], Some(forgotten(session_of_b()))),
        connection(57294, [1, 0], None),
        connection(57116, [0, 0], Some(forgotten(session_of_a()))),
    ];
    check(Word::Cons, &view, include_str!("golden/cons_reset.txt"));
}

#[test]
fn conf_and_dirs() {
    let mut view = serving();
    view.conf = Conf {
        client_port: 57925,
        secure_client_port: -1,
        data_dir: "/var/lib/zookeeper/version-2".into(),
        data_dir_size: 67_109_358,
        data_log_dir: "/var/lib/zookeeper/version-2".into(),
        data_log_size: 67_109_358,
        tick_time_ms: 2000,
        max_client_cnxns: 60,
        min_session_timeout_ms: 4000,
        max_session_timeout_ms: 40_000,
        client_port_listen_backlog: -1,
        server_id: 0,
        ensemble: None,
    };
    check(Word::Conf, &view, include_str!("golden/conf.txt"));
    check(Word::Dirs, &view, include_str!("golden/dirs.txt"));
    view.conf.ensemble = Some(EnsembleConf {
        init_limit: 10,
        sync_limit: 5,
        election_ports: vec![3888, 3889],
        quorum_ports: vec![2888],
        observer: false,
        membership: Some("server.1=127.0.0.1:2888:3888:participant\nversion=0".into()),
    });
    let more = "initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888|3889\n\
        quorumPort=2888\npeerType=0\nmembership: \n\
        server.1=127.0.0.1:2888:3888:participant\nversion=0";
    let whole = String::from(include_str!("golden/conf.txt")) + more;
    check(Word::Conf, &view, &whole);
}

#[test]
fn dump() {
    let at = |second: i64| 1_795_255_153_000 + (second - 13) * 1000;
    let name = |port, session| ConnectionName { remote: ([127, 0, 0, 1], port).into(), session };
    let mut view = serving();
    let bucket = |second, members| Deadline { at_wall_ms: at(second), members };
    view.sessions = Sessions::Tracked {
        local: None,
        global: vec![
            bucket(13, vec![]),
            bucket(15, vec![A]),
            bucket(33, vec![]),
            bucket(35, vec![B]),
        ],
    };
    view.ephemerals = vec![
        (A, vec!["/app/eph".into(), "/app/eph-b".into()]),
        (B, vec!["/app/seq-0000000022".into()]),
    ];
    let bucket = |second, members| Deadline { at_wall_ms: at(second), members };
    view.connection_deadlines = vec![
        bucket(13, vec![]),
        bucket(23, vec![name(57116, A), name(57142, SessionId(0))]),
        bucket(33, vec![]),
        bucket(43, vec![name(57122, B)]),
    ];
    check(Word::Dump, &view, include_str!("golden/dump.txt"));
    view = serving();
    view.connection_deadlines = vec![bucket(13, vec![name(57000, SessionId(0))])];
    check(Word::Dump, &view, include_str!("golden/dump_idle.txt"));
}

#[test]
fn deadlines_are_put_together_and_told_in_wall_time() {
    let now = Now { mono_ms: 5000, wall_ms: 1_000_000 };
    let buckets = vec![
        Bucket { deadline_ms: 6000, sessions: vec![A] },
        Bucket { deadline_ms: 8000, sessions: vec![B] },
    ];
    let sets = Deadline::of_sessions(buckets, now);
    let times: Vec<i64> = sets.iter().map(|set| set.at_wall_ms).collect();
    assert_eq!(times, [1_001_000, 1_003_000]);
    let sets = Deadline::collect([(7000, 'b'), (6000, 'a'), (7000, 'c')], now);
    assert_eq!(sets[1], Deadline { at_wall_ms: 1_002_000, members: vec!['b', 'c'] });
}

#[test]
fn dump_on_learners_and_with_local_sessions() {
    let first_lines = |sessions| {
        let view = View { sessions, ..serving() };
        let text = String::from_utf8(answer(Word::Dump, &view, &Metrics::default()));
        let text = text.expect("text");
        text.split("ephemeral nodes").next().expect("a first part").to_string()
    };
    let learned = Sessions::Learned { local: None, global: vec![(A, 10_000)] };
    let text = "SessionTracker dump:\nGlobal Sessions(1):\n0x1000021f4550000\t10000ms\n";
    assert_eq!(first_lines(learned), text);
    let leading = Sessions::Tracked { local: Some(vec![]), global: vec![] };
    let text = "SessionTracker dump:\nLocal Session Sets (0)/(0):\nGlobal Session Sets (0)/(0):\n";
    assert_eq!(first_lines(leading), text);
}

#[test]
fn watches() {
    let paths = |paths: &[&str]| paths.iter().map(|path| path.to_string()).collect();
    let of_a = (A, paths(&["/rec", "/app/n2", "/nope"]));
    let of_b = (B, paths(&["/app/n1"]));
    let mut view = serving();
    view.watch_summary = WatchSummary { connections: 2, paths: 4, watches: 4 };
    view.watches = vec![of_b.clone(), of_a.clone()];
    check(Word::Wchs, &view, include_str!("golden/wchs.txt"));
    check(Word::Wchc, &view, include_str!("golden/wchc.txt"));
    // Apache lists paths in hash order, we in theirs.
    let ours = String::from_utf8(answer(Word::Wchp, &view, &Metrics::default())).expect("text");
    assert_eq!(blocks(&ours), blocks(include_str!("golden/wchp.txt")));
    view.watch_summary.connections = 3;
    view.watches = vec![of_b, (SessionId(B.0 + 1), vec![]), of_a];
    check(Word::Wchs, &view, include_str!("golden/wchs_fired.txt"));
    check(Word::Wchc, &view, include_str!("golden/wchc_fired.txt"));
    check(Word::Wchc, &serving(), include_str!("golden/wchc_idle.txt"));
    check(Word::Wchp, &serving(), include_str!("golden/wchc_idle.txt"));
}

/// Lines without a tab in front, each with the tabbed lines behind it, sorted.
fn blocks(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut blocks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut head = "";
    for line in text.split('\n') {
        if line.starts_with('\t') {
            blocks.get_mut(head).expect("a path comes first").push(line);
        } else {
            head = line;
            blocks.insert(line, Vec::new());
        }
    }
    blocks
}

#[test]
fn hash() {
    let mut view = serving();
    check(Word::Hash, &view, "");
    view.digest_log = vec![(Zxid(0x80), 55_915_200_439), (Zxid(0x100), 57_360_147_835)];
    check(Word::Hash, &view, include_str!("golden/hash.txt"));
}

#[test]
fn the_words_of_one_line() {
    let view = serving();
    check(Word::Ruok, &view, "imok");
    check(Word::Isro, &view, "rw");
    check(Word::Crst, &view, "Connection stats reset.\n");
    check(Word::Srst, &view, "Server stats reset.\n");
    check(Word::Gtmk, &view, "306");
    check(Word::TelnetClose, &view, "");
    let mask = trace_mask([0, 0, 0, 0, 0, 0, 0, 77]);
    check(Word::Stmk, &View { trace_mask: mask, ..view }, "77");
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    let view = View { trace_mask: TRACE_MASK, ..View::default() };
    let text = "This ZooKeeper instance is not currently serving requests";
    for &word in Word::ALL {
        match word {
            Word::Ruok => check(word, &view, "imok"),
            Word::Envi => check(word, &view, "Environment:\n"),
            Word::Gtmk | Word::Stmk => check(word, &view, "306"),
            Word::Isro => check(word, &view, "null"),
            Word::Hash => check(word, &view, text),
            Word::TelnetClose => check(word, &view, ""),
            _ => check(word, &view, &format!("{text}\n")),
        }
    }
}

#[test]
fn envi_has_the_keys_of_apache_in_its_order() {
    let host = Host { memory_free_mb: 369, ..Host::default() };
    let view = View { environment: environment(&host), ..serving() };
    let ours = String::from_utf8(answer(Word::Envi, &view, &Metrics::default())).expect("text");
    let keys = |text: &str| -> Vec<String> {
        let key = |line: &str| line.split('=').next().map(str::to_string);
        text.lines().filter_map(key).collect()
    };
    assert_eq!(keys(&ours), keys(include_str!("golden/envi.txt")));
    assert!(ours.contains("\nos.memory.free=369MB\n"), "{ours}");
}

/// The metrics of the golden `mntr`: one namespace was read and written.
fn used_metrics() -> Metrics {
    let metrics = Metrics::default();
    for bytes in [82, 144, 96, 98, 98, 98] {
        metrics.read_per_namespace.get("app").expect("there is room").add(bytes);
    }
    metrics.write_per_namespace.get("app").expect("there is room").add(5);
    metrics
}

#[test]
fn mntr_has_every_key_of_a_standalone_apache_and_no_other() {
    let ours = String::from_utf8(answer(Word::Mntr, &serving(), &used_metrics())).expect("text");
    let golden = include_str!("golden/mntr.txt");
    assert_eq!(forms(&ours), forms(golden));
    let head = |text: &str| text.lines().take(2).map(str::to_string).collect::<Vec<_>>();
    assert_eq!(head(&ours), head(golden), "the two lines of text come first");
    for line in golden.lines().filter(|line| line.contains("app_read_per_namespace")) {
        assert!(ours.contains(&format!("{line}\n")), "{line}");
    }
}

/// Each key with the form of its value: text, whole number or decimal.
fn forms(mntr: &str) -> BTreeMap<&str, &str> {
    let form = |value: &str| match (value.parse::<i64>(), value.parse::<f64>()) {
        (Ok(_), _) => "whole",
        (_, Ok(_)) => "decimal",
        _ => "text",
    };
    let mut forms = BTreeMap::new();
    for line in mntr.lines() {
        let (key, value) = line.split_once('\t').expect("a tab in every line");
        assert_eq!(forms.insert(key, form(value)), None, "{key} comes once");
    }
    forms
}

#[test]
fn mntr_in_an_ensemble_has_more() {
    let mut view = serving();
    view.role = Some(Role::Leader);
    view.peer_state = Some("leading - broadcast".into());
    view.gauges = Gauges {
        learners: Some(3),
        synced_followers: Some(2),
        quorum_size: Some(3),
        ..Gauges::default()
    };
    view.quotas =
        QuotaGauges { quota_count_limit_per_namespace: vec![("app".into(), 10)], ..view.quotas };
    let metrics = Metrics::default();
    metrics.ack_latency.get("3").expect("there is room").add(4);
    metrics.quota_exceeded_error_per_namespace.get("a b").expect("there is room").add(1);
    let text = String::from_utf8(answer(Word::Mntr, &view, &metrics)).expect("text");
    for line in [
        "zk_server_state\tleader",
        "zk_peer_state\tleading - broadcast",
        "zk_learners\t3",
        "zk_quorum_size\t3",
        "zk_app_quota_count_limit_per_namespace\t10",
        "zk_a_b_quota_exceeded_error_per_namespace\t1",
        "zk_avg_3_ack_latency\t4.0",
        "zk_p999_3_ack_latency\t4",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}");
    }
    assert!(!text.contains("zk_pending_syncs"), "an empty gauge is left out");
}

#[test]
fn every_family_of_the_exporter_is_in_the_tables() {
    let rows = || Gauges::ROWS.iter().chain(Metrics::ROWS);
    let mut names: Vec<&str> = rows().map(|row: &Row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Gauges::ROWS.len() + Metrics::ROWS.len(), "each name once");
    // 160 families of the exporter, and observer_master_id, which only mntr has.
    assert_eq!(names.len() + QUOTA_SETS, 161);
    assert!(rows().all(|row| row.meaning.ends_with('.')));
}

const QUOTA_SETS: usize = 4;
