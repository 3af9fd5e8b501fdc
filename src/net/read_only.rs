//! Read-only mode: a member without a quorum serves reads from its replica to clients that have
//! said that these will do (Apache's `ReadOnlyZooKeeperServer`). Their sessions are known to this
//! server alone and are no transactions; the pipeline hears of nothing here.

use jute::proto::ConnectRequest;
use jute::{ErrorCode, OpCode};

use super::conn::{Conn, Phase, State};
use super::local_sessions;
use super::requests::{self, Desk};
use crate::pipeline::reply;
use crate::tree::Replica;
use crate::types::SessionId;

/// Takes in the handshake of a client that has asked for reads only; it is answered at once.
/// `timeout_ms` has been agreed on.
pub(super) fn connect(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &mut State,
    request: &ConnectRequest<'_>,
    timeout_ms: i32,
) {
    let shared = desk.shared;
    let id = SessionId(request.session_id);
    if !shared.settings.local_sessions {
        // Every session would be the ensemble's, and nobody can make one now.
        tracing::info!("Closing {}: read-only without local sessions", conn.stats.peer);
        return state.close();
    }
    if id != SessionId(0) && is_global(desk, id) {
        let peer = conn.stats.peer;
        tracing::info!("Refusing global session reconnection in RO mode /{peer}");
        return state.close();
    }
    let password = request.password.unwrap_or_default();
    local_sessions::connect(desk, conn, state, (id, password), timeout_ms, Some(true));
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
    reply::header_only(&mut state.out, xid, desk.shown, ErrorCode::NotReadOnly);
    requests::aside(desk, conn);
}

/// A session of the ensemble, as far as the replica knows.
fn is_global(desk: &Desk<'_>, id: SessionId) -> bool {
    let known = |replica: &Replica| replica.session_timeout_ms(id).is_some();
    match desk.replica {
        Some(replica) => known(replica),
        None => known(&desk.shared.replica.read().expect("the pipeline aborts on a panic")),
    }
}
