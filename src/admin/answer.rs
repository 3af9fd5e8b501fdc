//! The answers to four-letter words. Pure text: what `crst`, `srst` and `stmk` change, the
//! caller changes, before it asks for the answer.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::java::{self, Address, Zone};
use super::view::{Conf, Connection, ConnectionName, Deadline, EnsembleConf, Role, Sessions, View};
use super::Word;
use crate::metrics::{Metrics, Number, Sink};
use crate::types::SessionId;
use jute::OpCode;

/// What an allowed `word` is answered, before the connection is closed. Empty for a closing
/// telnet, and for `hash` before the 128th transaction.
pub fn answer(word: Word, view: &View, metrics: &Metrics) -> Vec<u8> {
    let mut out = Text::default();
    match (word, view.role) {
        (Word::Ruok, _) => out.add("imok"),
        (Word::Envi, _) => environment(&mut out, view),
        (Word::Gtmk | Word::Stmk, _) => out.add(view.trace_mask),
        (Word::TelnetClose, _) => {}
        (Word::Isro, None) => out.add("null"),
        (Word::Hash, None) => out.add(NOT_SERVING),
        (_, None) => out.line(NOT_SERVING),
        (Word::Isro, Some(Role::ReadOnly)) => out.add("ro"),
        (Word::Isro, Some(_)) => out.add("rw"),
        (Word::Crst, Some(_)) => out.line("Connection stats reset."),
        (Word::Srst, Some(_)) => out.line("Server stats reset."),
        (Word::Dirs, Some(_)) => directories(&mut out, &view.conf),
        (Word::Srvr, Some(role)) => server(&mut out, view, role, false),
        (Word::Stat, Some(role)) => server(&mut out, view, role, true),
        (Word::Cons, Some(_)) => connections(&mut out, &view.connections, false),
        (Word::Conf, Some(_)) => configuration(&mut out, &view.conf),
        (Word::Dump, Some(_)) => dump(&mut out, view),
        (Word::Wchs, Some(_)) => watch_summary(&mut out, view),
        (Word::Wchc, Some(_)) => watches_by_session(&mut out, view),
        (Word::Wchp, Some(_)) => watches_by_path(&mut out, view),
        (Word::Hash, Some(_)) => digests(&mut out, view),
        (Word::Mntr, Some(role)) => monitor(&mut out, view, role, metrics),
    }
    out.0.into_bytes()
}

/// `stmk`: the eight bytes after the word.
pub fn trace_mask(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes)
}

/// The trace mask of a fresh server.
pub const TRACE_MASK: i64 = 306;

/// What most words say while the server doesn't serve.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

#[derive(Default)]
struct Text(String);

impl Text {
    fn add(&mut self, what: impl Display) {
        write!(self.0, "{what}").expect("a string takes everything");
    }

    fn line(&mut self, what: impl Display) {
        self.add(what);
        self.0.push('\n');
    }
}

/// `srvr`, and with the connections `stat`.
fn server(out: &mut Text, view: &View, role: Role, with_clients: bool) {
    out.line(format_args!("Zookeeper version: {}", view.version));
    if role == Role::ReadOnly {
        out.line("READ-ONLY mode; serving only read-only clients");
    }
    if with_clients {
        out.line("Clients:");
        connections(out, &view.connections, true);
    }
    let stats = &view.stats;
    let avg = java::double(stats.latency_avg_ms);
    let (min, max) = (stats.latency_min_ms, stats.latency_max_ms);
    out.line(format_args!("Latency min/avg/max: {min}/{avg}/{max}"));
    out.line(format_args!("Received: {}", stats.received));
    out.line(format_args!("Sent: {}", stats.sent));
    out.line(format_args!("Connections: {}", stats.connections));
    out.line(format_args!("Outstanding: {}", stats.outstanding));
    out.line(format_args!("Zxid: {}", view.last_zxid));
    out.line(format_args!("Mode: {}", role.name()));
    out.line(format_args!("Node count: {}", view.node_count));
    if let (Role::Leader, Some([last, min, max])) = (role, view.proposal_sizes) {
        out.line(format_args!("Proposal sizes last/min/max: {last}/{min}/{max}"));
    }
}

/// `cons`, and the middle of `stat`. A blank line ends the list.
fn connections(out: &mut Text, connections: &[Connection], brief: bool) {
    for connection in connections {
        connection_line(out, connection, brief);
    }
    out.line("");
}

fn connection_line(out: &mut Text, connection: &Connection, brief: bool) {
    let Connection { remote, interest, outstanding, received, sent, session } = connection;
    out.add(format_args!(" {}[{interest:x}]", Address(*remote)));
    out.add(format_args!("(queued={outstanding},recved={received},sent={sent}"));
    if let Some(session) = session.as_ref().filter(|_| !brief) {
        out.add(format_args!(",sid={}", session.id));
        out.add(format_args!(",lop={}", last_op(session.last_op)));
        out.add(format_args!(",est={}", session.established_wall_ms));
        out.add(format_args!(",to={}", session.timeout_ms));
        if session.last_cxid >= 0 {
            out.add(format_args!(",lcxid={:#x}", session.last_cxid));
        }
        out.add(format_args!(",lzxid={}", session.last_zxid));
        out.add(format_args!(",lresp={}", session.last_response_ms));
        out.add(format_args!(",llat={}", session.last_latency_ms));
        out.add(format_args!(",minlat={}", session.min_latency_ms));
        out.add(format_args!(",avglat={}", session.avg_latency_ms));
        out.add(format_args!(",maxlat={}", session.max_latency_ms));
    }
    out.line(")");
}

/// The short name of an operation in `cons`.
pub fn last_op(op: Option<OpCode>) -> &'static str {
    let Some(op) = op else { return "NA" };
    match op {
        OpCode::CreateSession => "SESS",
        OpCode::CloseSession => "CLOS",
        OpCode::Ping => "PING",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Reconfig => "RECO",
        OpCode::SetAcl => "SETA",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetAcl => "GETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::GetEphemerals => "GETE",
        OpCode::Notification | OpCode::Auth | OpCode::Sasl | OpCode::Error => "NA",
    }
}

fn configuration(out: &mut Text, conf: &Conf) {
    out.line(format_args!("clientPort={}", conf.client_port));
    out.line(format_args!("secureClientPort={}", conf.secure_client_port));
    out.line(format_args!("dataDir={}", conf.data_dir));
    out.line(format_args!("dataDirSize={}", conf.data_dir_size));
    out.line(format_args!("dataLogDir={}", conf.data_log_dir));
    out.line(format_args!("dataLogSize={}", conf.data_log_size));
    out.line(format_args!("tickTime={}", conf.tick_time_ms));
    out.line(format_args!("maxClientCnxns={}", conf.max_client_cnxns));
    out.line(format_args!("minSessionTimeout={}", conf.min_session_timeout_ms));
    out.line(format_args!("maxSessionTimeout={}", conf.max_session_timeout_ms));
    out.line(format_args!("clientPortListenBacklog={}", conf.client_port_listen_backlog));
    out.line(format_args!("serverId={}", conf.server_id));
    let Some(ensemble) = &conf.ensemble else { return };
    let EnsembleConf { init_limit, sync_limit, election_ports, quorum_ports, .. } = ensemble;
    out.line(format_args!("initLimit={init_limit}"));
    out.line(format_args!("syncLimit={sync_limit}"));
    out.line("electionAlg=3");
    out.line(format_args!("electionPort={}", ports(election_ports)));
    out.line(format_args!("quorumPort={}", ports(quorum_ports)));
    out.line(format_args!("peerType={}", i32::from(ensemble.observer)));
    if let Some(membership) = &ensemble.membership {
        out.line("membership: ");
        out.add(membership);
    }
}

fn ports(ports: &[u16]) -> String {
    let texts: Vec<String> = ports.iter().map(u16::to_string).collect();
    texts.join("|")
}

fn directories(out: &mut Text, conf: &Conf) {
    out.line(format_args!("datadir_size: {}", conf.data_dir_size));
    out.line(format_args!("logdir_size: {}", conf.data_log_size));
}

fn dump(out: &mut Text, view: &View) {
    out.line("SessionTracker dump:");
    sessions(out, &view.sessions, &view.zone);
    out.line("ephemeral nodes dump:");
    out.line(format_args!("Sessions with Ephemerals ({}):", view.ephemerals.len()));
    for (session, paths) in &view.ephemerals {
        out.line(format_args!("{session}:"));
        for path in paths {
            out.line(format_args!("\t{path}"));
        }
    }
    out.line("Connections dump:");
    out.add("Connections ");
    deadlines(out, &view.connection_deadlines, &view.zone, |out, name| {
        let ConnectionName { remote, session } = name;
        out.line(format_args!("\tip: {} sessionId: {session}", Address(*remote)));
    });
}

fn sessions(out: &mut Text, sessions: &Sessions, zone: &Zone) {
    let tracked = |out: &mut Text, prefix: &str, set: &[Deadline<SessionId>]| {
        out.add(prefix);
        deadlines(out, set, zone, |out, session| out.line(format_args!("\t{session}")));
    };
    match sessions {
        Sessions::Tracked { local: None, global } => tracked(out, "Session ", global),
        Sessions::Tracked { local: Some(local), global } => {
            tracked(out, "Local Session ", local);
            tracked(out, "Global Session ", global);
        }
        Sessions::Learned { local, global } => {
            if let Some(local) = local {
                tracked(out, "Local Session ", local);
            }
            out.line(format_args!("Global Sessions({}):", global.len()));
            for (session, timeout_ms) in global {
                out.line(format_args!("{session}\t{timeout_ms}ms"));
            }
        }
    }
}

fn deadlines<T>(out: &mut Text, sets: &[Deadline<T>], zone: &Zone, member: impl Fn(&mut Text, &T)) {
    let members: usize = sets.iter().map(|set| set.members.len()).sum();
    out.line(format_args!("Sets ({})/({members}):", sets.len()));
    for set in sets {
        let date = java::date(set.at_wall_ms, zone);
        out.line(format_args!("{} expire at {date}:", set.members.len()));
        set.members.iter().for_each(|one| member(out, one));
    }
}

fn environment(out: &mut Text, view: &View) {
    out.line("Environment:");
    for (key, value) in &view.environment {
        out.line(format_args!("{key}={value}"));
    }
}

fn watch_summary(out: &mut Text, view: &View) {
    let summary = &view.watch_summary;
    let (connections, paths) = (summary.connections, summary.paths);
    out.line(format_args!("{connections} connections watching {paths} paths"));
    out.line(format_args!("Total watches:{}", summary.watches));
}

fn watches_by_session(out: &mut Text, view: &View) {
    for (session, paths) in &view.watches {
        out.line(session);
        for path in paths {
            out.line(format_args!("\t{path}"));
        }
    }
    out.line("");
}

fn watches_by_path(out: &mut Text, view: &View) {
    let mut by_path: BTreeMap<&str, Vec<SessionId>> = BTreeMap::new();
    for (session, paths) in &view.watches {
        for path in paths {
            by_path.entry(path).or_default().push(*session);
        }
    }
    for (path, sessions) in by_path {
        out.line(path);
        for session in sessions {
            out.line(format_args!("\t{session}"));
        }
    }
    out.line("");
}

fn digests(out: &mut Text, view: &View) {
    for (zxid, digest) in &view.digest_log {
        out.line(format_args!("{:x}: {digest}", zxid.0));
    }
}

fn monitor(out: &mut Text, view: &View, role: Role, metrics: &Metrics) {
    out.line(format_args!("zk_version\t{}", view.version));
    out.line(format_args!("zk_server_state\t{}", role.name()));
    if let Some(state) = &view.peer_state {
        out.line(format_args!("zk_peer_state\t{state}"));
    }
    view.gauges.walk(out);
    view.quotas.walk(out);
    metrics.walk(out);
}

/// A line of `mntr`. Clients choose the names of namespaces: whatever the readers' patterns don't
/// know becomes `_`.
impl Sink for Text {
    fn number(&mut self, name: &[&str], value: Number) {
        self.0.push_str("zk_");
        let inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        for (at, c) in name.iter().flat_map(|part| part.chars()).enumerate() {
            let fits = inside(c) && (at > 0 || !".-".contains(c));
            self.0.push(if fits { c } else { '_' });
        }
        match value {
            Number::Integer(value) => self.line(format_args!("\t{value}")),
            Number::Double(value) => self.line(format_args!("\t{}", java::double(value))),
        }
    }
}
