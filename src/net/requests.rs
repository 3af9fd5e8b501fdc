//! From a frame to a reply, a place in the lane, or an ask to the pipeline.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use jute::proto::{AuthPacket, RequestHeader, SaslToken};
use jute::{Decode, Encode, ErrorCode, OpCode, Reader};

use super::conn::{Conn, Phase, State};
use super::serving::{InPipeline, Serving};
use super::shared::Shared;
use super::{local_sessions, read_only};
use crate::auth::AuthOutcome;
use crate::metrics::{Metrics, Tally};
use crate::pipeline::finalize::{self, ReadContext};
use crate::pipeline::{reply, Ask, Origin, Parked, Request, Verdict, Way};
use crate::session::SessionSlot;
use crate::tree::Replica;
use crate::types::{Now, Zxid};
use crate::watch::WatchTable;

/// What stands in front of a request's body.
const REQUEST_HEADER_BYTES: usize = 8;
/// A reply of nothing but a header.
const REPLY_HEADER_BYTES: i64 = 16;
/// What stands in front of a frame, and counts as no part of a reply.
pub(super) const LENGTH_BYTES: usize = 4;

/// What a worker lends to the handling of one request.
pub(super) struct Desk<'a> {
    pub shared: &'a Shared,
    /// The replica, when the worker holds the shared lock.
    pub replica: Option<&'a Replica>,
    pub watches: &'a mut WatchTable,
    pub asks: &'a mut Vec<Ask>,
    pub tally: &'a mut Tally,
    pub in_pipeline: &'a InPipeline,
    pub serving: Serving,
    /// The last zxid that a reply may show which is made without the replica.
    pub shown: Zxid,
    pub now: Now,
}

impl Desk<'_> {
    /// Who deals with a request. A sync has something to wait for only in an ensemble.
    fn way(&self, op: OpCode) -> Way {
        if op.is_write() || (op == OpCode::Sync && self.serving.is_member()) {
            Way::Pipeline
        } else {
            Way::Here
        }
    }
}

/// Whether a frame could be dealt with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dealt {
    Done,
    /// It is a read whose turn it is: come again with the replica.
    NeedsReplica,
}

/// Deals with one frame of a connection that has a session.
pub(super) fn frame(desk: &mut Desk<'_>, conn: &Conn, state: &mut State, frame: &[u8]) -> Dealt {
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else {
        tracing::warn!("Closing {}: a frame without a request header", conn.stats.peer);
        state.close();
        return Dealt::Done;
    };
    let body = reader.remaining();
    let op = OpCode::from_code(header.op);
    match op {
        Some(OpCode::Auth) => auth(desk, conn, state, header.xid, body),
        Some(OpCode::Sasl) => sasl(desk, conn, state, header.xid, body),
        _ if !is_authenticated(desk, state) => {
            let code = ErrorCode::SessionClosedRequireSaslAuth;
            reply::header_only(&mut state.out, header.xid, Zxid::ZERO, code);
            aside(desk, conn);
            state.close();
        }
        Some(op) if desk.serving == Serving::ReadOnly && read_only::is_refused(op) => {
            read_only::refuse(desk, conn, state, header.xid);
        }
        Some(op) if is_request(op) => return request(desk, conn, state, op, header.xid, body),
        _ => {
            // Out of turn, and with no zxid at all: Apache answers unknown operations so.
            let code = ErrorCode::Unimplemented;
            reply::header_only(&mut state.out, header.xid, Zxid::NONE, code);
            aside(desk, conn);
            state.close();
        }
    }
    Dealt::Done
}

/// What a client may ask. deleteContainer and createSession are the server's own.
fn is_request(op: OpCode) -> bool {
    finalize::is_read(op)
        || (op.is_write() && !matches!(op, OpCode::DeleteContainer | OpCode::CreateSession))
}

fn request(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &mut State,
    op: OpCode,
    xid: i32,
    body: &[u8],
) -> Dealt {
    let Phase::Open { slot } = &state.phase else { return Dealt::Done };
    let slot = Arc::clone(slot);
    let way = match op {
        // Nobody else knows the session.
        OpCode::CloseSession if slot.is_local() => Way::Here,
        op => desk.way(op),
    };
    let is_plain_read = way == Way::Here && op != OpCode::Ping;
    let is_next = state.lane.outstanding() == 0 || mutant!(ReadOvertakesWrite);
    if is_plain_read && desk.replica.is_none() && is_next {
        return Dealt::NeedsReplica;
    }
    if slot.is_closing() {
        // The session is on its way out: nothing of it is answered any more.
        return Dealt::Done;
    }
    slot.touch(desk.now.mono_ms);
    let received_ms = conn.last_read_ms.get();
    if has_waited_too_long(desk, op, received_ms) {
        let zxid = desk.shown;
        reply::header_only(&mut state.out, xid, zxid, ErrorCode::ThrottledOp);
        desk.shared.metrics.throttled_ops.add(1);
        conn.stats.packets_sent(1);
        desk.tally.response(REPLY_HEADER_BYTES);
        let latency_ms = Answer { op: None, xid, zxid, received_ms }.note(conn, desk.now);
        desk.tally.read_answered(latency_ms);
        return Dealt::Done;
    }
    match state.lane.admit(op, way) {
        Verdict::Run => run(desk, conn, state, &slot, op, xid, body, received_ms),
        Verdict::Submit => {
            let body = Bytes::copy_from_slice(body);
            submit(desk, conn, state, &slot, Parked { xid, op, way, body, received_ms });
            note_queued(conn, state);
        }
        Verdict::Wait => {
            let body = Bytes::copy_from_slice(body);
            state.lane.park(Parked { xid, op, way, body, received_ms });
            note_queued(conn, state);
        }
        Verdict::Drop => {}
    }
    Dealt::Done
}

/// `throttled_op_wait_time`. Pings and the end of a session are never refused.
fn has_waited_too_long(desk: &Desk<'_>, op: OpCode, received_ms: i64) -> bool {
    let limits = &desk.shared.settings.requests;
    if limits.in_pipeline_max == 0 {
        // Waiting for anything but the throttler does not count, as in Apache.
        return false;
    }
    let Some(max) = limits.wait_ms_max else { return false };
    desk.now.mono_ms - received_ms > max && !matches!(op, OpCode::Ping | OpCode::CloseSession)
}

/// Lets go whatever was parked and has its turn now. Needs the replica.
pub(super) fn unpark(desk: &mut Desk<'_>, conn: &Conn, state: &mut State) {
    while let Phase::Open { slot } = &state.phase {
        let slot = Arc::clone(slot);
        match state.lane.next_turn() {
            Some((Verdict::Run, p)) => {
                run(desk, conn, state, &slot, p.op, p.xid, &p.body, p.received_ms);
            }
            Some((_, parked)) => submit(desk, conn, state, &slot, parked),
            None => break,
        }
    }
    note_queued(conn, state);
}

/// How many requests `cons` shows as queued.
fn note_queued(conn: &Conn, state: &State) {
    conn.stats.outstanding.store(state.lane.outstanding() as i64, Ordering::Relaxed);
}

#[allow(clippy::too_many_arguments)]
fn run(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &mut State,
    slot: &SessionSlot,
    op: OpCode,
    xid: i32,
    body: &[u8],
    received_ms: i64,
) {
    if slot.is_elsewhere() {
        // Apache's leader (`PrepRequestProcessor`, `FinalRequestProcessor`) answers no ping either.
        tracing::info!("Closing {}: its session has moved", conn.stats.peer);
        return state.close();
    }
    if op == OpCode::CloseSession {
        return local_sessions::close(desk, conn, state, slot.id(), xid);
    }
    let start = state.out.len();
    match desk.replica {
        Some(replica) => {
            let tally = &mut *desk.tally;
            let mut cx = ReadContext {
                replica,
                auth: &desk.shared.auth,
                watches: desk.watches,
                conn: conn.stats.id,
                session: slot.id(),
                identities: &state.identities,
                on_read: &mut |path, bytes| tally.node_read(path, bytes),
            };
            finalize::read(&mut cx, op, xid, body, &mut state.out);
        }
        None => {
            assert!(op == OpCode::Ping, "only a ping is answered without the replica");
            finalize::ping(desk.shown, &mut state.out);
        }
    }
    let zxid = desk.shown;
    sent(desk.tally, conn, op, &state.out.as_slice()[start..]);
    let latency_ms = Answer { op: Some(op), xid, zxid, received_ms }.note(conn, desk.now);
    desk.tally.read_answered(latency_ms);
}

fn submit(
    desk: &mut Desk<'_>,
    conn: &Conn,
    state: &State,
    slot: &Arc<SessionSlot>,
    parked: Parked,
) {
    let Parked { xid, op, body, received_ms, way: _ } = parked;
    if slot.is_local() {
        local_sessions::upgrade_for(desk, slot, op, &body);
    }
    let large_bytes = desk.shared.large_size(body.len() + REQUEST_HEADER_BYTES) as u32;
    desk.in_pipeline.enter(&desk.shared.in_pipeline, i64::from(large_bytes));
    desk.asks.push(Ask::Write(Request {
        session: slot.id(),
        origin: Some(Origin { conn: conn.stats.id, xid, received_ms, large_bytes }),
        cxid: xid,
        op,
        body,
        identities: Arc::clone(&state.identities),
        is_local: slot.is_local(),
        session_timeout_ms: 0,
    }));
}

/// An answer to a request, as `cons` shows it.
pub(super) struct Answer {
    /// `None` for a write that failed.
    pub op: Option<OpCode>,
    pub xid: i32,
    pub zxid: Zxid,
    pub received_ms: i64,
}

impl Answer {
    /// Notes it with its connection; returns how long it took.
    pub fn note(&self, conn: &Conn, now: Now) -> i64 {
        let latency_ms = (now.mono_ms - self.received_ms).max(0);
        let op = self.op.map_or(0, OpCode::code);
        conn.stats.answered(op, self.xid, self.zxid.0, now.mono_ms, latency_ms);
        latency_ms
    }
}

/// Counts the frames that a read has put out: its reply, the last one, and in front of it what a
/// setWatches caught up with.
fn sent(tally: &mut Tally, conn: &Conn, op: OpCode, mut frames: &[u8]) {
    while let Some((length, rest)) = frames.split_first_chunk::<LENGTH_BYTES>() {
        let bytes = i32::from_be_bytes(*length);
        frames = &rest[bytes as usize..];
        conn.stats.packets_sent(1);
        match (frames.is_empty(), op) {
            (false, _) => tally.event(i64::from(bytes)),
            (true, OpCode::Ping) => tally.aside(i64::from(bytes)),
            (true, _) => tally.response(i64::from(bytes)),
        }
    }
}

/// Counts a reply out of turn that is no more than a header.
pub(super) fn aside(desk: &mut Desk<'_>, conn: &Conn) {
    conn.stats.packets_sent(1);
    desk.tally.aside(REPLY_HEADER_BYTES);
}

/// auth: answered at once, in front of whatever is still on its way. Counts for what follows.
fn auth(desk: &mut Desk<'_>, conn: &Conn, state: &mut State, xid: i32, body: &[u8]) {
    let Ok(packet) = AuthPacket::from_bytes(body) else {
        tracing::warn!("Closing {}: an auth packet that can't be read", conn.stats.peer);
        return state.close();
    };
    let scheme = packet.scheme.as_deref().unwrap_or("");
    let outcome = desk.shared.auth.authenticate(scheme, packet.auth, conn.stats.peer.ip());
    count_ensemble(&desk.shared.metrics, scheme, &outcome);
    match outcome {
        AuthOutcome::RightEnsemble => {
            reply::header_only(&mut state.out, xid, Zxid::ZERO, ErrorCode::Ok);
            aside(desk, conn);
        }
        AuthOutcome::Accepted(new) => {
            let mut identities = state.identities.to_vec();
            for id in new {
                if !identities.contains(&id) {
                    identities.push(id);
                }
            }
            state.identities = identities.into();
            reply::header_only(&mut state.out, xid, Zxid::ZERO, ErrorCode::Ok);
            aside(desk, conn);
        }
        AuthOutcome::Refused => {
            tracing::warn!("Authentication failed for scheme {scheme:?} from {}", conn.stats.peer);
            reply::header_only(&mut state.out, xid, Zxid::ZERO, ErrorCode::AuthFailed);
            aside(desk, conn);
            state.close();
        }
        AuthOutcome::TryAnotherServer => state.close(),
    }
}

/// Whether clients that care find the ensemble they mean (Apache's
/// `EnsembleAuthenticationProvider`).
fn count_ensemble(metrics: &Metrics, scheme: &str, outcome: &AuthOutcome) {
    match outcome {
        AuthOutcome::RightEnsemble => metrics.ensemble_auth_success.add(1),
        AuthOutcome::TryAnotherServer => metrics.ensemble_auth_fail.add(1),
        AuthOutcome::Accepted(_) if scheme == "ensemble" => metrics.ensemble_auth_skip.add(1),
        AuthOutcome::Accepted(_) | AuthOutcome::Refused => {}
    }
}

/// sasl, without SASL being configured: an empty answer, and on it goes.
fn sasl(desk: &mut Desk<'_>, conn: &Conn, state: &mut State, xid: i32, body: &[u8]) {
    match SaslToken::from_bytes(body) {
        Ok(SaslToken { token: Some(_) }) => {
            let start = state.out.len();
            reply::frame(&mut state.out, xid, Zxid::ZERO, Ok(()), |w| {
                SaslToken { token: None }.encode(w);
            });
            conn.stats.packets_sent(1);
            desk.tally.aside((state.out.len() - start - LENGTH_BYTES) as i64);
        }
        _ => {
            tracing::warn!("Closing {}: a sasl packet without a token", conn.stats.peer);
            state.close();
        }
    }
}

/// Whether the connection has an identity of a scheme that is asked for, if one is.
fn is_authenticated(desk: &Desk<'_>, state: &State) -> bool {
    let Some(schemes) = &desk.shared.settings.required_schemes else { return true };
    state.identities.iter().any(|id| schemes.iter().any(|s| s == id.scheme()))
}
