//! Frames to clients.

use std::borrow::Cow;

use jute::multi::MultiHeader;
use jute::proto::{ConnectResponse, PathRequest, ReplyHeader, WatcherEvent};
use jute::txn::Txn;
use jute::{Decode, Encode, ErrorCode, OpCode, Writer};

use crate::tree::Applied;
use crate::types::{SessionId, Zxid};

/// A notification's xid.
const NOTIFICATION_XID: i32 = -1;
/// Every ping's reply carries this, whatever the request's xid was.
pub const PING_XID: i32 = -2;
/// The only state a server ever sends.
const SYNC_CONNECTED: i32 = 3;

/// One reply: header, and a body if there is no error.
pub fn frame(
    w: &mut Writer,
    xid: i32,
    zxid: Zxid,
    result: Result<(), ErrorCode>,
    body: impl FnOnce(&mut Writer),
) {
    let at = w.begin_frame();
    let err = result.err().unwrap_or(ErrorCode::Ok).code();
    ReplyHeader { xid, zxid: zxid.0, err }.encode(w);
    if result.is_ok() {
        body(w);
    }
    w.end_frame(at);
}

/// A reply without a body.
pub fn header_only(w: &mut Writer, xid: i32, zxid: Zxid, code: ErrorCode) {
    let at = w.begin_frame();
    ReplyHeader { xid, zxid: zxid.0, err: code.code() }.encode(w);
    w.end_frame(at);
}

/// The answer to a sync: its path, whatever that is.
pub fn synced(w: &mut Writer, xid: i32, zxid: Zxid, body: &[u8]) {
    match PathRequest::from_bytes(body) {
        Ok(request) => frame(w, xid, zxid, Ok(()), |w| request.encode(w)),
        Err(_) => header_only(w, xid, zxid, ErrorCode::MarshallingError),
    }
}

/// A watch's notification. `zxid` is the change's, or -1 when the client is caught up.
pub fn notification(w: &mut Writer, zxid: Zxid, kind: i32, path: &str) {
    let at = w.begin_frame();
    ReplyHeader { xid: NOTIFICATION_XID, zxid: zxid.0, err: 0 }.encode(w);
    let path = Some(Cow::Borrowed(path));
    WatcherEvent { kind, state: SYNC_CONNECTED, path }.encode(w);
    w.end_frame(at);
}

/// The answer to a handshake. Without a session it is refused. `read_only` is whether the server
/// serves reads only; `None`: to a client whose request had no room for it.
pub fn connected(
    w: &mut Writer,
    session: Option<(SessionId, [u8; 16], i32)>,
    read_only: Option<bool>,
) {
    let (id, password, timeout_ms) = session.unwrap_or((SessionId(0), [0; 16], 0));
    let at = w.begin_frame();
    ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id: id.0,
        password: Some(&password),
        read_only,
    }
    .encode(w);
    w.end_frame(at);
}

/// The answer to a write: what the transaction was and what became of it.
pub fn applied(w: &mut Writer, xid: i32, zxid: Zxid, op: OpCode, txn: &Txn<'_>, applied: &Applied) {
    if let Txn::Multi(parts) = txn {
        // A multi that failed still has the answers of its parts, and no error in its header.
        frame(w, xid, zxid, Ok(()), |w| multi(w, parts, &applied.parts));
        return;
    }
    let at = w.begin_frame();
    let err = applied.err;
    ReplyHeader { xid, zxid: zxid.0, err }.encode(w);
    if err == 0 {
        match op {
            OpCode::Create => w.string(applied.path.as_deref()),
            OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => {
                w.string(applied.path.as_deref());
                applied.stat.unwrap_or_default().encode(w);
            }
            OpCode::SetData | OpCode::SetAcl => applied.stat.unwrap_or_default().encode(w),
            _ => {}
        }
    }
    w.end_frame(at);
}

/// One failing part makes all of them errors: 0 in front of it, its own, and -2 behind.
fn multi(w: &mut Writer, parts: &[Txn<'_>], results: &[Applied]) {
    let failed = parts.iter().any(|part| matches!(part, Txn::Error(_)));
    for (part, result) in parts.iter().zip(results) {
        if failed || result.err != 0 {
            MultiHeader { op: -1, done: false, err: result.err }.encode(w);
            w.i32(result.err);
        } else {
            sub_result(w, part, result);
        }
    }
    MultiHeader::END.encode(w);
}

fn sub_result(w: &mut Writer, part: &Txn<'_>, result: &Applied) {
    let op = match part {
        // All three answer with path and Stat, under the number that says so.
        Txn::Create2(_) | Txn::CreateTtl(_) | Txn::CreateContainer(_) => OpCode::Create2.code(),
        Txn::DeleteContainer(_) => OpCode::Delete.code(),
        other => other.kind(),
    };
    MultiHeader { op, done: false, err: 0 }.encode(w);
    match part {
        Txn::Create(_) => w.string(result.path.as_deref()),
        Txn::Create2(_) | Txn::CreateTtl(_) | Txn::CreateContainer(_) => {
            w.string(result.path.as_deref());
            result.stat.unwrap_or_default().encode(w);
        }
        Txn::SetData(_) => result.stat.unwrap_or_default().encode(w),
        _ => {}
    }
}
