//! Read-only mode: a member without a quorum serves reads from its replica to clients that have
//! said that these will do (Apache's `ReadOnlyZooKeeperServer`). Their sessions are known to this
//! server alone and are no transactions; the pipeline hears of nothing here.

use std::sync::Mutex;

use jute::proto::ConnectRequest;
use jute::{ErrorCode, OpCode};

use super::conn::{Conn, Phase, State};
use super::handshake;
use super::queues::WorkerMail;
use super::requests::{self, Answer, Desk};
use super::shared::Shared;
use crate::pipeline::{reply, Effect, Item, WorkerEffects};
use crate::session::{self, Bucket, SessionTable};
use crate::tree::Replica;
use crate::types::{ConnId, SessionId};

/// The sessions of a read-only server. Empty while the server is anything else.
#[derive(Debug)]
pub struct LocalSessions {
    table: Mutex<Option<SessionTable>>,
    tick_ms: i32,
}

impl LocalSessions {
    /// None yet. `tick_ms` is the grain of their expiry.
    pub(super) fn new(tick_ms: i32) -> LocalSessions {
        LocalSessions { table: Mutex::new(None), tick_ms }
    }

    /// The sessions by their deadlines, for `dump`.
    pub fn buckets(&self) -> Vec<Bucket> {
        self.lock().as_ref().map(SessionTable::buckets).unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, SessionTable::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets them all.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<SessionTable>> {
        self.table.lock().expect("nobody panics while holding it")
    }

    fn with<T>(&self, now_ms: i64, act: impl FnOnce(&mut SessionTable) -> T) -> T {
        // Nobody outside can aim at the hash table: the ids are our own.
        act(self.lock().get_or_insert_with(|| SessionTable::new(self.tick_ms, 0, now_ms)))
    }
}

/// Takes in the handshake of a client that has asked for reads only; it is answered at once.
/// `timeout_ms` has been agreed on.
pub(super) fn connect(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &mut State,
    request: &ConnectRequest<'_>,
    timeout_ms: i32,
) {
    let (shared, now_ms) = (desk.shared, desk.now.mono_ms);
    let id = SessionId(request.session_id);
    if !shared.settings.local_sessions {
        // Every session would be the ensemble's, and nobody can make one now.
        tracing::info!("Closing {}: read-only without local sessions", conn.stats.peer);
        return state.close();
    }
    let slot = if id == SessionId(0) {
        let id = shared.session_ids.allocate();
        Some(shared.local_sessions.with(now_ms, |table| table.track(id, timeout_ms, now_ms)))
    } else if is_global(desk, id) {
        let peer = conn.stats.peer;
        tracing::info!("Refusing global session reconnection in RO mode /{peer}");
        return state.close();
    } else if !session::password_matches(id, request.password.unwrap_or_default()) {
        tracing::warn!("Incorrect password from {} for session {id}", conn.stats.peer);
        None
    } else {
        shared.metrics.connection_revalidate_count.add(1);
        shared.local_sessions.with(now_ms, |table| table.resume(id, timeout_ms, now_ms))
    };
    let Some(slot) = slot else {
        return handshake::refuse(desk.tally, conn, state, id, Some(true));
    };
    if let Some(before) = slot.attach(conn.stats.id) {
        hang_up(shared, before);
    }
    let answer = Answer {
        op: Some(OpCode::CreateSession),
        xid: 0,
        zxid: shared.last_applied(),
        received_ms: conn.last_read_ms.get(),
    };
    if id == SessionId(0) {
        desk.tally.read_answered(answer.note(conn, desk.now));
    }
    handshake::accept(desk.tally, conn, state, (&slot, timeout_ms), Some(true));
}

/// Whether a client's request gets NotReadOnly, out of hand and without a look at its body
/// (Apache's `ReadOnlyRequestProcessor`; a check outside of a multi never gets there).
pub(super) fn is_refused(op: OpCode) -> bool {
    op == OpCode::Sync
        || (op.is_write() && !matches!(op, OpCode::CreateSession | OpCode::CloseSession))
}

/// Answers such a request.
pub(super) fn refuse(desk: &mut Desk<'_>, conn: &Conn, state: &mut State, xid: i32) {
    let Phase::Open { slot } = &state.phase else { return };
    if !slot.touch(desk.now.mono_ms) {
        return;
    }
    let zxid = desk.shared.last_applied();
    reply::header_only(&mut state.out, xid, zxid, ErrorCode::NotReadOnly);
    requests::aside(desk, conn);
}

/// closeSession of a session that only this server knows.
pub(super) fn close_session(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &mut State,
    id: SessionId,
    xid: i32,
) {
    desk.shared.local_sessions.with(desk.now.mono_ms, |table| table.remove(id));
    let zxid = desk.shared.last_applied();
    reply::header_only(&mut state.out, xid, zxid, ErrorCode::Ok);
    requests::aside(desk, conn);
    state.close();
}

/// Ends the sessions that have been silent for too long, and closes their connections.
pub(super) fn expire(shared: &Shared, now_ms: i64) {
    let mut conns = Vec::new();
    if let Some(table) = shared.local_sessions.lock().as_mut() {
        for id in table.expired(now_ms) {
            tracing::info!("Expiring local session {id}");
            conns.extend(table.slot(id).and_then(|slot| slot.conn()));
            table.remove(id);
        }
    }
    conns.into_iter().for_each(|conn| hang_up(shared, conn));
}

/// A session of the ensemble, as far as the replica knows.
fn is_global(desk: &Desk<'_>, id: SessionId) -> bool {
    let known = |replica: &Replica| replica.session_timeout_ms(id).is_some();
    match desk.replica {
        Some(replica) => known(replica),
        None => known(&desk.shared.replica.read().expect("the pipeline aborts on a panic")),
    }
}

/// Has a connection closed by the worker that owns it.
fn hang_up(shared: &Shared, conn: ConnId) {
    let items = vec![Item { fired_before: 0, conn, effect: Effect::Close }];
    let effects = WorkerEffects { items, ..WorkerEffects::default() };
    let inbox = &shared.inboxes[conn.worker()];
    inbox.leave(WorkerMail::Effects { fired: Default::default(), effects });
    inbox.ring();
}
