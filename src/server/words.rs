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
use crate::net::{
    ConnStats, MemberView, Question, Serving, Shared, WatchReport, WatchesWanted, Words,
};
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
}

impl LiveWords {
    /// With the trace mask of a fresh server.
    pub fn new(whitelist: Whitelist, backstage: Backstage) -> LiveWords {
        let trace_mask = AtomicI64::new(TRACE_MASK);
        LiveWords { whitelist, backstage, trace_mask }
    }

    /// What the word changes, before it is answered.
    fn execute(&self, word: Word, shared: &Shared, rest: &[u8]) {
        match word {
            Word::Crst => shared.registry.all().iter().for_each(|conn| conn.reset()),
            Word::Srst => {
                shared.stats.reset(&shared.metrics);
                shared.proposal_sizes.reset();
            }
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
        // Who serves nobody shows nothing that must be collected, but for the environment.
        let serves = view.role.is_some();
        for fact in word.needs().iter().filter(|&&f| serves || f == Fact::Environment) {
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
                view.proposal_sizes = Some(shared.proposal_sizes.get());
            }
            Fact::Connections => {
                let all = shared.registry.all();
                let shown = all.iter().map(|conn| connection(conn, question.conn));
                view.connections = shown.collect();
            }
            Fact::Conf | Fact::Directories => {
                view.conf = self.backstage.conf();
                if let Some(ensemble) = &mut view.conf.ensemble {
                    ensemble.membership = membership(shared, view.role);
                }
            }
            Fact::Sessions => {
                view.sessions = self.sessions(shared, view.role, now);
                view.ephemerals = read(shared, ephemerals);
                view.connection_deadlines = connection_deadlines(shared, now);
            }
            Fact::Environment => view.environment = environment(&self.backstage.host()),
            Fact::DigestLog => {
                view.digest_log = read(shared, |replica| replica.digest_log().collect());
            }
            Fact::Gauges => {
                view.gauges = self.gauges(shared, question.watches, now);
                if let Some(role) = view.role {
                    role_gauges(&mut view.gauges, shared, role);
                    view.peer_state = peer_state(role).map(str::to_owned);
                }
                view.quotas = read(shared, quotas::gauges);
            }
            Fact::WatchSummary => view.watch_summary = watch_summary(question.watches),
            Fact::Watches => view.watches = watches(shared, question.watches),
        }
    }

    /// Whoever decides when sessions end knows their deadlines; a learner knows their timeouts.
    fn sessions(&self, shared: &Shared, role: Option<Role>, now: Now) -> Sessions {
        let local = || Deadline::of_sessions(shared.local_sessions.buckets(), now);
        let local = match role {
            Some(Role::Standalone) | None => None,
            Some(_) => shared.settings.local_sessions.then(local),
        };
        match role {
            Some(Role::Standalone | Role::Leader) | None => {
                let buckets = self.backstage.session_buckets(shared);
                Sessions::Tracked { local, global: Deadline::of_sessions(buckets, now) }
            }
            Some(Role::Follower | Role::Observer | Role::ReadOnly) => {
                let global = read(shared, |replica| replica.sessions().collect());
                Sessions::Learned { local, global }
            }
        }
    }

    fn gauges(&self, shared: &Shared, watches: &[WatchReport], now: Now) -> Gauges {
        let [open_files, max_files] = self.backstage.file_descriptors();
        let replica = shared.replica.read().unwrap_or_else(PoisonError::into_inner);
        let mut gauges = Gauges {
            num_alive_connections: shared.registry.len() as i64,
            outstanding_requests: shared.in_pipeline.requests.load(Relaxed),
            connection_drop_probability: shared.drop_probability(),
            uptime: now.mono_ms - shared.serving_since_ms(),
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

/// What `mntr` calls a member's state. Whoever serves has got as far as broadcast.
fn peer_state(role: Role) -> Option<&'static str> {
    match role {
        Role::Leader => Some("leading - broadcast"),
        Role::Follower => Some("following - broadcast"),
        Role::Observer => Some("observing - broadcast"),
        Role::Standalone | Role::ReadOnly => None,
    }
}

/// The gauges that only some roles have.
fn role_gauges(gauges: &mut Gauges, shared: &Shared, role: Role) {
    let MemberView { quorum_size, observer_master, own_observers, leader, .. } = shared.member();
    let number = |count: usize| Some(count as i64);
    if peer_state(role).is_some() {
        gauges.quorum_size = number(quorum_size);
    }
    match role {
        Role::Standalone => {}
        Role::Follower => gauges.synced_observers = own_observers.and_then(number),
        Role::ReadOnly => gauges.local_sessions = shared.local_sessions.len() as i64,
        Role::Observer => gauges.observer_master_id = observer_master.map(|sid| sid.0),
        Role::Leader => {
            let [last, min, max] = shared.proposal_sizes.get();
            gauges.last_proposal_size = Some(last);
            gauges.min_proposal_size = Some(min);
            gauges.max_proposal_size = Some(max);
            gauges.leader_uptime = Some(gauges.uptime);
            gauges.learners = number(leader.learners);
            gauges.synced_followers = number(leader.synced_followers);
            gauges.synced_non_voting_followers = number(leader.synced_non_voting_followers);
            gauges.synced_observers = number(leader.synced_observers);
            gauges.pending_syncs = number(leader.pending_syncs);
        }
    }
}

/// The configuration as `conf` shows it; a read-only server doesn't.
fn membership(shared: &Shared, role: Option<Role>) -> Option<String> {
    let is_shown = role.and_then(peer_state).is_some();
    is_shown.then(|| String::from_utf8_lossy(&shared.member().membership).into_owned())
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
mod tests;
