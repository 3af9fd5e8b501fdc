//! Words of a server in each of its roles. The texts are those of a running ensemble of Apache's.

use bytes::Bytes;

use super::*;
use crate::auth::Auth;
use crate::config::{Config, JvmFlags};
use crate::metrics::Metrics;
use crate::net::{LeaderView, SessionDesk};
use crate::server::start;
use crate::session::SessionIds;
use crate::tree::TreeOptions;
use crate::types::{Epoch, Sid};

fn stats() -> ConnStats {
    ConnStats::new(ConnId(7), ([127, 0, 0, 1], 5).into(), 1000)
}

#[test]
fn a_connection_shows_its_session_once_it_has_one() {
    let stats = stats();
    assert_eq!(connection(&stats, ConnId(8)).session, None);
    stats.session.store(9, Relaxed);
    stats.answered(OpCode::GetData.code(), 3, 5, 200, 4);
    let shown = connection(&stats, ConnId(8));
    let session = shown.session.expect("a session");
    assert_eq!((shown.interest, session.id), (1, SessionId(9)));
    assert_eq!((session.last_op, session.last_cxid), (Some(OpCode::GetData), 3));
    assert_eq!((session.min_latency_ms, session.avg_latency_ms), (4, 4));
    assert_eq!(connection(&stats, stats.id).interest, 0, "the one that asks");
}

#[test]
fn crst_forgets_what_a_connection_did() {
    let stats = stats();
    stats.session.store(9, Relaxed);
    stats.answered(OpCode::GetData.code(), 3, 5, 200, 4);
    stats.reset();
    let session = connection(&stats, ConnId(8)).session.expect("it keeps its session");
    assert_eq!((session.last_op, session.last_cxid), (None, -1));
    assert_eq!((session.last_zxid, session.last_response_ms), (Zxid::NONE, 0));
    assert_eq!((session.min_latency_ms, session.max_latency_ms), (0, 0));
}

#[test]
fn the_summary_counts_a_path_of_two_workers_once() {
    let report = |hashes: &[u64]| WatchReport {
        summary: WatchSummary { connections: 1, paths: hashes.len(), watches: hashes.len() },
        path_hashes: hashes.to_vec(),
        ..WatchReport::default()
    };
    let summary = watch_summary(&[report(&[7, 9]), report(&[9])]);
    assert_eq!(summary, WatchSummary { connections: 2, paths: 2, watches: 3 });
}

const MEMBERS: &str = "server.1=127.0.0.1:2801:2811:participant;127.0.0.1:2821\n\
    server.2=127.0.0.1:2802:2812:observer;127.0.0.1:2822\nversion=0";

fn clock() -> Now {
    Now { mono_ms: 5000, wall_ms: 1_000_000 }
}

/// Server 2 of an ensemble, as whatever it is told to be.
fn member() -> Shared {
    let text =
        "dataDir=/x\nclientPort=2181\ninitLimit=10\nsyncLimit=5\nlocalSessionsEnabled=true\n\
         server.1=127.0.0.1:2801:2811\nserver.2=127.0.0.1:2802:2812:observer\n\
         server.3=127.0.0.1:2803:2813\n";
    let read = |path: &str| match path {
        "/x/myid" => Ok(b"2".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let (config, _) =
        Config::parse("zoo.cfg", text.as_bytes(), &JvmFlags::default(), &read).expect("is valid");
    let backstage =
        Backstage { conf: start::conf(&config), sessions: Arc::new(SessionDesk::default()) };
    let shared = Shared::new(
        start::net_settings(&config),
        Replica::new(TreeOptions::default()),
        1,
        Arc::new(Auth::new(false, Vec::new())),
        clock,
        SessionIds::new(2, 0, std::iter::empty()),
        Arc::new(Metrics::default()),
        Arc::new(LiveWords::new(Whitelist::new(|_| true), backstage)),
    );
    shared.tell_member(MemberView {
        membership: Bytes::from(MEMBERS),
        quorum_size: 2,
        observer_master: Some(Sid(1)),
        own_observers: Some(2),
        leader: LeaderView {
            learners: 3,
            synced_followers: 1,
            synced_non_voting_followers: 0,
            synced_observers: 1,
            pending_syncs: 4,
        },
    });
    shared
}

fn said(shared: &Shared, word: &[u8; 4]) -> String {
    let question = Question { word: *word, rest: &[], conn: ConnId(1), watches: &[] };
    String::from_utf8(shared.words.answer(shared, &question)).expect("text")
}

#[test]
fn a_leader_tells_of_its_proposals_and_its_learners() {
    let shared = member();
    shared.serve(Serving::Leader, Some(Epoch(1)));
    shared.proposal_sizes.record(48);
    shared.proposal_sizes.record(92);
    let srvr = said(&shared, b"srvr");
    let end = "Zxid: 0x100000000\nMode: leader\nNode count: 5\n\
               Proposal sizes last/min/max: 92/48/92\n";
    assert!(srvr.ends_with(end), "{srvr}");
    let mntr = said(&shared, b"mntr");
    for line in [
        "zk_server_state\tleader",
        "zk_peer_state\tleading - broadcast",
        "zk_quorum_size\t2",
        "zk_learners\t3",
        "zk_synced_followers\t1",
        "zk_synced_non_voting_followers\t0",
        "zk_synced_observers\t1",
        "zk_pending_syncs\t4",
        "zk_last_proposal_size\t92",
        "zk_min_proposal_size\t48",
        "zk_leader_uptime\t0",
        "zk_local_sessions\t0",
    ] {
        assert!(mntr.lines().any(|other| other == line), "{line} in {mntr}");
    }
    said(&shared, b"srst");
    assert!(said(&shared, b"srvr").ends_with("last/min/max: -1/-1/-1\n"));
    assert_eq!(said(&shared, b"isro"), "rw");
}

#[test]
fn a_learner_tells_of_no_learners_and_of_timeouts_for_deadlines() {
    let shared = member();
    shared.serve(Serving::Observer, Some(Epoch(1)));
    let mntr = said(&shared, b"mntr");
    for line in ["zk_peer_state\tobserving - broadcast", "zk_observer_master_id\t1"] {
        assert!(mntr.lines().any(|other| other == line), "{line} in {mntr}");
    }
    for name in ["zk_learners", "zk_pending_syncs", "zk_last_proposal_size", "zk_leader_uptime"] {
        assert!(!mntr.contains(name), "{name}");
    }
    assert!(said(&shared, b"srvr").ends_with("Mode: observer\nNode count: 5\n"));
    let dump = said(&shared, b"dump");
    let begin = "SessionTracker dump:\nLocal Session Sets (0)/(0):\nGlobal Sessions(0):\n";
    assert!(dump.starts_with(begin), "{dump}");
}

#[test]
fn a_follower_counts_the_observers_that_it_serves() {
    let shared = member();
    shared.serve(Serving::Follower, Some(Epoch(1)));
    let mntr = said(&shared, b"mntr");
    assert!(mntr.lines().any(|line| line == "zk_synced_observers\t2"), "{mntr}");
    assert!(!mntr.contains("zk_observer_master_id"), "{mntr}");
    shared.tell_member(MemberView { own_observers: None, ..shared.member() });
    let mntr = said(&shared, b"mntr");
    assert!(!mntr.contains("zk_synced_observers"), "no port for observers: {mntr}");
}

#[test]
fn conf_of_a_member_ends_with_the_members_and_of_a_read_only_one_before_them() {
    let shared = member();
    shared.serve(Serving::Follower, Some(Epoch(1)));
    let limits = "serverId=2\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=2812\n\
                  quorumPort=2802\npeerType=1\n";
    let conf = said(&shared, b"conf");
    assert!(conf.ends_with(&format!("{limits}membership: \n{MEMBERS}")), "{conf}");
    shared.stop_serving();
    shared.serve(Serving::ReadOnly, None);
    assert!(said(&shared, b"conf").ends_with(limits));
    let mntr = said(&shared, b"mntr");
    assert!(mntr.contains("zk_server_state\tread-only\n"));
    assert!(!mntr.contains("zk_peer_state") && !mntr.contains("zk_quorum_size"));
    assert_eq!(said(&shared, b"isro"), "ro");
}

#[test]
fn whoever_serves_nobody_says_so() {
    let shared = member();
    let not_serving = "This ZooKeeper instance is not currently serving requests";
    for word in [b"srvr", b"stat", b"mntr", b"conf", b"dump", b"cons", b"crst", b"wchs", b"dirs"] {
        assert_eq!(said(&shared, word), format!("{not_serving}\n"));
    }
    assert_eq!(said(&shared, b"hash"), not_serving);
    assert_eq!((said(&shared, b"isro"), said(&shared, b"ruok")), ("null".into(), "imok".into()));
}
