//! The four-letter words of the running server: collects what a word needs and answers it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use super::backstage::Backstage;
use super::quotas;
use crate::admin::java::{Address, Zone};
use crate::admin::{
    answer, environment, refusal, trace_mask, version, Connection, ConnectionName,
    ConnectionSession, Deadline, Fact, Role, Sessions, Traffic, View, Whitelist, Word, TRACE_MASK,
};
use crate::metrics::Gauges;
use crate::net::{ConnStats, Question, Serving, Shared, WatchReport, WatchesWanted, Words};
use crate::session::next_tick;
use crate::tree::Replica;
use crate::types::{ConnId, Now, SessionId, Zxid};
use crate::watch::{summarize, WatchSummary};
use jute::OpCode;

/// Answers the words.
pub(super) struct LiveWords {
    whitelist: Whitelist,
    backstage: Backstage,
    trace_mask: AtomicI64,
    /// Monotonic.
    started_ms: i64,
}

impl LiveWords {
    /// `started_ms` is when the server began to serve, monotonic.
    pub fn new(whitelist: Whitelist, backstage: Backstage, started_ms: i64) -> LiveWords {
        let trace_mask = AtomicI64::new(TRACE_MASK);
        LiveWords { whitelist, backstage, trace_mask, started_ms }
    }

    /// What the word changes, before it is answered.
    fn execute(&self, word: Word, shared: &Shared, rest: &[u8]) {
        match word {
            Word::Crst => shared.registry.all().iter().for_each(|conn| conn.reset()),
            Word::Srst => shared.stats.reset(&shared.metrics),
            Word::Stmk => {
                if let Some(bytes) = rest.first_chunk::<8>() {
                    self.trace_mask.store(trace_mask(*bytes), Relaxed);
                }
            }
            _ => {}
        }
    }

    fn view(&self, word: Word, shared: &Shared, question: &Question<'_>) -> View {
        let now = (shared.clock)();
        let mut view = View {
            role: if shared.is_stopping() { None } else { role(shared.serving()) },
            version: version(),
            trace_mask: self.trace_mask.load(Relaxed),
            zone: Zone::default(),
            ..View::default()
        };
        for fact in word.needs() {
            self.fill(*fact, &mut view, shared, question, now);
        }
        view
    }

    fn fill(
        &self,
        fact: Fact,
        view: &mut View,
        shared: &Shared,
        question: &Question<'_>,
        now: Now,
    ) {
        match fact {
            Fact::Stats => {
                view.stats = traffic(shared);
                view.last_zxid = shared.last_told();
                view.node_count = read(shared, Replica::node_count);
            }
            Fact::Connections => {
                let all = shared.registry.all();
                let shown = all.iter().map(|conn| connection(conn, question.conn));
                view.connections = shown.collect();
            }
            Fact::Conf | Fact::Directories => view.conf = self.backstage.conf(),
            Fact::Sessions => {
                let global = Deadline::of_sessions(self.backstage.session_buckets(shared), now);
                view.sessions = Sessions::Tracked { local: None, global };
                view.ephemerals = read(shared, ephemerals);
                view.connection_deadlines = connection_deadlines(shared, now);
            }
            Fact::Environment => view.environment = environment(&self.backstage.host()),
            Fact::DigestLog => {
                view.digest_log = read(shared, |replica| replica.digest_log().collect());
            }
            Fact::Gauges => {
                view.gauges = self.gauges(shared, question.watches, now);
                view.quotas = read(shared, quotas::gauges);
            }
            Fact::WatchSummary => view.watch_summary = watch_summary(question.watches),
            Fact::Watches => view.watches = watches(shared, question.watches),
        }
    }

    fn gauges(&self, shared: &Shared, watches: &[WatchReport], now: Now) -> Gauges {
        let [open_files, max_files] = self.backstage.file_descriptors();
        let replica = shared.replica.read().unwrap_or_else(PoisonError::into_inner);
        let mut gauges = Gauges {
            num_alive_connections: shared.registry.len() as i64,
            outstanding_requests: shared.in_pipeline.requests.load(Relaxed),
            connection_drop_probability: shared.drop_probability(),
            uptime: now.mono_ms - self.started_ms,
            znode_count: replica.node_count() as i64,
            watch_count: watches.iter().map(|report| report.watch_count as i64).sum(),
            ephemerals_count: replica.ephemeral_count() as i64,
            approximate_data_size: replica.approximate_data_size() as i64,
            global_sessions: replica.sessions().count() as i64,
            open_file_descriptor_count: open_files,
            max_file_descriptor_count: max_files,
            ..Gauges::default()
        };
        shared.stats.fill(&mut gauges);
        gauges
    }
}

impl Words for LiveWords {
    fn is_word(&self, first: [u8; 4]) -> bool {
        Word::recognize(first).is_some()
    }

    fn watches_wanted(&self, first: [u8; 4]) -> WatchesWanted {
        let word = Word::recognize(first).filter(|word| self.whitelist.allows(*word));
        let wanted = |fact: &Fact| match fact {
            Fact::Watches => WatchesWanted::Paths,
            Fact::WatchSummary => WatchesWanted::Summary,
            Fact::Gauges => WatchesWanted::Count,
            _ => WatchesWanted::Nothing,
        };
        let facts = word.map_or(&[][..], Word::needs);
        facts.iter().map(wanted).max().unwrap_or(WatchesWanted::Nothing)
    }

    fn answer(&self, shared: &Shared, question: &Question<'_>) -> Vec<u8> {
        let Some(word) = Word::recognize(question.word) else { return Vec::new() };
        if !self.whitelist.allows(word) {
            return refusal(word).into_bytes();
        }
        if question.rest.len() < word.extra_bytes() {
            return Vec::new();
        }
        let peer = shared.registry.all().into_iter().find(|conn| conn.id == question.conn);
        if let Some(peer) = peer {
            tracing::info!("Processing {word} command from {}", Address(peer.peer));
        }
        self.execute(word, shared, question.rest);
        answer(word, &self.view(word, shared, question), &shared.metrics)
    }
}

fn role(serving: Serving) -> Option<Role> {
    match serving {
        Serving::No => None,
        Serving::ReadOnly => Some(Role::ReadOnly),
        Serving::Standalone => Some(Role::Standalone),
        Serving::Leader => Some(Role::Leader),
        Serving::Follower => Some(Role::Follower),
        Serving::Observer => Some(Role::Observer),
    }
}

fn read<T>(shared: &Shared, look: impl FnOnce(&Replica) -> T) -> T {
    look(&shared.replica.read().unwrap_or_else(PoisonError::into_inner))
}

fn traffic(shared: &Shared) -> Traffic {
    let outstanding = shared.in_pipeline.requests.load(Relaxed);
    Traffic::new(&shared.stats, shared.registry.len(), outstanding)
}

/// The asking connection waits for nothing any more.
fn connection(conn: &ConnStats, asking: ConnId) -> Connection {
    Connection {
        remote: conn.peer,
        interest: u8::from(conn.id != asking),
        outstanding: conn.outstanding.load(Relaxed),
        received: conn.received.load(Relaxed) as i64,
        sent: conn.sent.load(Relaxed) as i64,
        session: session(conn),
    }
}

fn session(conn: &ConnStats) -> Option<ConnectionSession> {
    let id = SessionId(conn.session.load(Relaxed));
    let count = conn.latency_count.load(Relaxed);
    let min = Some(conn.min_latency_ms.load(Relaxed)).filter(|&min| min != i64::MAX);
    let op = conn.last_op.load(Relaxed);
    (id != SessionId(0)).then(|| ConnectionSession {
        id,
        established_wall_ms: conn.established_ms,
        timeout_ms: conn.timeout_ms.load(Relaxed),
        last_op: OpCode::from_code(op).filter(|_| op != 0),
        last_cxid: conn.last_cxid.load(Relaxed),
        last_zxid: Zxid(conn.last_zxid.load(Relaxed)),
        last_response_ms: conn.last_response_ms.load(Relaxed),
        last_latency_ms: conn.last_latency_ms.load(Relaxed),
        min_latency_ms: min.unwrap_or(0),
        avg_latency_ms: conn.total_latency_ms.load(Relaxed).checked_div(count).unwrap_or(0),
        max_latency_ms: conn.max_latency_ms.load(Relaxed),
    })
}

fn ephemerals(replica: &Replica) -> Vec<(SessionId, Vec<String>)> {
    let owners = replica.ephemeral_owners();
    owners.map(|(session, _)| (session, replica.ephemerals_of(session).collect())).collect()
}

/// When each connection is closed for silence: without a session some time after it was
/// accepted, with one a timeout after it was heard last; both in buckets of the former.
fn connection_deadlines(shared: &Shared, now: Now) -> Vec<Deadline<ConnectionName>> {
    let tick_ms = shared.settings.sessionless_timeout_ms.max(1);
    let deadline = |conn: &ConnStats| {
        let session = SessionId(conn.session.load(Relaxed));
        let ends_ms = if session == SessionId(0) {
            conn.established_ms - now.wall_ms + now.mono_ms + tick_ms
        } else {
            let timeout_ms = i64::from(conn.timeout_ms.load(Relaxed));
            conn.last_response_ms.load(Relaxed) + timeout_ms
        };
        (next_tick(ends_ms, tick_ms), ConnectionName { remote: conn.peer, session })
    };
    let all = shared.registry.all();
    Deadline::collect(all.iter().map(|conn| deadline(conn)), now)
}

fn watch_summary(reports: &[WatchReport]) -> WatchSummary {
    let mut hashes: Vec<u64> =
        reports.iter().flat_map(|report| &report.path_hashes).copied().collect();
    let tables: Vec<WatchSummary> = reports.iter().map(|report| report.summary).collect();
    summarize(&tables, &mut hashes)
}

fn watches(shared: &Shared, reports: &[WatchReport]) -> Vec<(SessionId, Vec<String>)> {
    let session = |conn: &Arc<ConnStats>| (conn.id, SessionId(conn.session.load(Relaxed)));
    let sessions: HashMap<ConnId, SessionId> = shared.registry.all().iter().map(session).collect();
    let by_conn = reports.iter().flat_map(|report| &report.by_conn);
    by_conn.filter_map(|(conn, paths)| Some((*sessions.get(conn)?, paths.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
