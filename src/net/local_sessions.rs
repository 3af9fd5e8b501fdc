//! Sessions that this server alone knows: those of a read-only server, and those of a member with
//! `localSessionsEnabled` (Apache's `LocalSessionTracker`). They are made and ended here, without
//! a transaction; they end with the server's role. The first ephemeral makes a session everybody's,
//! where `localSessionsUpgradingEnabled` allows it.

use std::sync::{Arc, Mutex, MutexGuard};

use jute::{ErrorCode, OpCode};

use super::conn::{Conn, State};
use super::queues::WorkerMail;
use super::requests::{self, Answer, Desk};
use super::shared::Shared;
use super::{handshake, Serving};
use crate::pipeline::{may_make_ephemerals, reply, Ask, Effect, Item, WorkerEffects};
use crate::session::{self, Bucket, SessionSlot, SessionTable};
use crate::types::{ConnId, SessionId};

/// The sessions that only this server knows.
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

    fn knows(&self, id: SessionId) -> bool {
        self.lock().as_ref().is_some_and(|table| table.contains(id))
    }

    fn lock(&self) -> MutexGuard<'_, Option<SessionTable>> {
        self.table.lock().expect("nobody panics while holding it")
    }

    fn with<T>(&self, now_ms: i64, act: impl FnOnce(&mut SessionTable) -> T) -> T {
        // Nobody outside can aim at the hash table: the ids are our own.
        act(self.lock().get_or_insert_with(|| SessionTable::new(self.tick_ms, 0, now_ms)))
    }
}

/// Whether a handshake that asks for session `id` (0: a new one) is a matter of this server alone.
pub(super) fn concerns(shared: &Shared, serving: Serving, id: SessionId) -> bool {
    shared.settings.local_sessions
        && serving.is_member()
        && (id == SessionId(0) || shared.local_sessions.knows(id))
}

/// Gives the connection a new session (`id` 0) or its old one, or refuses; answered at once.
/// `timeout_ms` has been agreed on; `read_only` as in [`reply::connected`].
pub(super) fn connect(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &mut State,
    (id, password): (SessionId, &[u8]),
    timeout_ms: i32,
    read_only: Option<bool>,
) {
    let (shared, now_ms) = (desk.shared, desk.now.mono_ms);
    let slot = if id == SessionId(0) {
        let id = shared.session_ids.allocate();
        let slot = shared.local_sessions.with(now_ms, |table| table.track(id, timeout_ms, now_ms));
        slot.set_local(true);
        Some(slot)
    } else if !session::password_matches(id, password) {
        tracing::warn!("Incorrect password from /{} for session {id}", conn.stats.peer);
        None
    } else {
        shared.metrics.connection_revalidate_count.add(1);
        shared.local_sessions.with(now_ms, |table| table.resume(id, timeout_ms, now_ms))
    };
    let Some(slot) = slot else {
        return handshake::refuse(desk.tally, conn, state, id, read_only);
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
    handshake::accept(desk.tally, conn, state, (&slot, timeout_ms), read_only);
}

/// In front of a write of a local session: makes the session everybody's if the write may need
/// that and it is allowed. Else the leader refuses the ephemeral.
pub(super) fn upgrade_for(desk: &mut Desk<'_>, slot: &Arc<SessionSlot>, op: OpCode, body: &[u8]) {
    if !desk.shared.settings.local_session_upgrades || !may_make_ephemerals(op, body) {
        return;
    }
    let id = slot.id();
    desk.shared.local_sessions.with(desk.now.mono_ms, |table| table.release(id));
    slot.set_local(false);
    tracing::info!("Upgrading session {id} to a global one");
    desk.asks.push(Ask::Upgrade(Arc::clone(slot)));
}

/// closeSession of a local session. Whatever it has asked before is answered.
pub(super) fn close(desk: &mut Desk<'_>, conn: &Conn, state: &mut State, id: SessionId, xid: i32) {
    desk.shared.local_sessions.with(desk.now.mono_ms, |table| table.remove(id));
    reply::header_only(&mut state.out, xid, desk.shown, ErrorCode::Ok);
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

/// Has a connection closed by the worker that owns it.
fn hang_up(shared: &Shared, conn: ConnId) {
    let items = vec![Item { fired_before: 0, conn, effect: Effect::Close }];
    let effects = WorkerEffects { items, ..WorkerEffects::default() };
    let inbox = &shared.inboxes[conn.worker()];
    inbox.leave(WorkerMail::Effects { fired: Default::default(), effects });
    inbox.ring();
}
