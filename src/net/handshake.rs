//! The first frame of a connection: a session, new or resumed (Apache's
//! `ZooKeeperServer.processConnectRequest`). The order of the refusals is Apache's, but that the
//! password is checked before anything happens to the connection that holds the session.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use jute::proto::ConnectRequest;
use jute::{Decode, OpCode};

use super::conn::{Conn, Phase, State};
use super::requests::Desk;
use super::serving::Serving;
use super::{local_sessions, read_only};
use crate::metrics::Tally;
use crate::pipeline::{reply, Ask, Origin, Request};
use crate::session::{self, SessionCost, SessionSlot};
use crate::types::{Now, SessionId, Zxid};

/// Takes the handshake in: leaves the connection opening, refused or closed.
pub(super) fn connect(desk: &mut Desk<'_>, conn: &Conn, state: &mut State, frame: &[u8]) {
    let (shared, now) = (desk.shared, desk.now);
    if desk.serving == Serving::No {
        tracing::info!("Closing {}: this server serves no clients now", conn.stats.peer);
        return state.close();
    }
    let Ok(request) = ConnectRequest::from_bytes(frame) else {
        tracing::warn!("Closing {}: its first frame is no connect request", conn.stats.peer);
        return state.close();
    };
    let cost = match request.session_id {
        0 if shared.settings.local_sessions => SessionCost::Local,
        0 => SessionCost::Global,
        _ => SessionCost::Renew,
    };
    if !shared.admits(cost, now) {
        tracing::info!("Closing {}: connection throttled", conn.stats.peer);
        shared.metrics.connection_rejected.add(1);
        return state.close();
    }
    shared.metrics.connection_request_count.add(1);
    let is_read_only = desk.serving == Serving::ReadOnly;
    if is_read_only && request.read_only != Some(true) {
        let peer = conn.stats.peer;
        tracing::info!("Refusing session request for not-read-only client /{peer}");
        return state.close();
    }
    let last_zxid = shared.last_told();
    if Zxid(request.last_zxid_seen) > last_zxid {
        tracing::info!(
            "Refusing session({:#x}) request for client /{} as it has seen zxid {:#x} our last \
             zxid is {} client must try another server",
            request.session_id,
            conn.stats.peer,
            request.last_zxid_seen,
            last_zxid,
        );
        return state.close();
    }
    let has_read_only = request.read_only.is_some();
    let min = shared.settings.min_session_timeout_ms;
    let max = shared.settings.max_session_timeout_ms;
    let timeout_ms = request.timeout_ms.clamp(min, max.max(min));
    if is_read_only {
        return read_only::connect(desk, conn, state, &request, timeout_ms);
    }
    let asked = SessionId(request.session_id);
    if local_sessions::concerns(shared, desk.serving, asked) {
        let proof = (asked, request.password.unwrap_or_default());
        let read_only = has_read_only.then_some(false);
        return local_sessions::connect(desk, conn, state, proof, timeout_ms, read_only);
    }
    if request.session_id == 0 {
        let session = shared.session_ids.allocate();
        desk.asks.push(Ask::Write(new_session(conn, state, session, timeout_ms, now)));
    } else {
        let session = SessionId(request.session_id);
        if !session::password_matches(session, request.password.unwrap_or_default()) {
            tracing::warn!("Incorrect password from /{} for session {session}", conn.stats.peer);
            let read_only = has_read_only.then_some(false);
            return refuse(desk.tally, conn, state, session, read_only);
        }
        shared.metrics.connection_revalidate_count.add(1);
        desk.asks.push(Ask::Resume { session, conn: conn.stats.id, timeout_ms });
    }
    desk.in_pipeline.enter(&shared.in_pipeline, 0);
    state.phase = Phase::Opening { has_read_only, asked: SessionId(request.session_id) };
}

/// Tells the client that its session is there, with the timeout in ms, and lets it go on.
/// `read_only` as in [`reply::connected`].
pub(super) fn accept(
    tally: &mut Tally,
    conn: &Conn,
    state: &mut State,
    (slot, timeout_ms): (&Arc<SessionSlot>, i32),
    read_only: Option<bool>,
) {
    let id = slot.id();
    let granted = Some((id, session::password(id), timeout_ms));
    reply::connected(&mut state.out, granted, read_only);
    state.phase = Phase::Open { slot: Arc::clone(slot) };
    conn.stats.packets_sent(1);
    tally.packets_sent += 1;
    conn.stats.session.store(id.0, Ordering::Relaxed);
    conn.stats.timeout_ms.store(timeout_ms, Ordering::Relaxed);
}

/// Tells the client that the session it asked for is not to be had, and closes.
pub(super) fn refuse(
    tally: &mut Tally,
    conn: &Conn,
    state: &mut State,
    asked: SessionId,
    read_only: Option<bool>,
) {
    // Apache's words, by which operators know a client that came back too late.
    tracing::info!("Invalid session {asked} for client /{}, probably expired", conn.stats.peer);
    reply::connected(&mut state.out, None, read_only);
    conn.stats.packets_sent(1);
    tally.packets_sent += 1;
    state.close();
}

fn new_session(
    conn: &Conn,
    state: &State,
    session: SessionId,
    timeout_ms: i32,
    now: Now,
) -> Request {
    Request {
        session,
        origin: Some(Origin {
            conn: conn.stats.id,
            xid: 0,
            received_ms: now.mono_ms,
            large_bytes: 0,
        }),
        cxid: 0,
        op: OpCode::CreateSession,
        body: Bytes::new(),
        identities: Arc::clone(&state.identities),
        is_local: false,
        session_timeout_ms: timeout_ms,
    }
}
