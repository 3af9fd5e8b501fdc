//! Reads: evaluated on the worker that decoded them, under the replica's shared lock, straight
//! into the connection's output (Apache's `FinalRequestProcessor`).

mod node;
mod watches;

use std::borrow::Cow;

use jute::proto::{ClientInfo, PathRequest, WhoAmIResponse};
use jute::{Decode, DecodeError, Encode, ErrorCode, Id, OpCode, Writer};

use super::reply;
use crate::auth::Auth;
use crate::tree::Replica;
use crate::types::{ConnId, SessionId, Zxid};
use crate::watch::WatchTable;

/// Who reads, and from what.
pub struct ReadContext<'a> {
    pub replica: &'a Replica,
    pub auth: &'a Auth,
    pub watches: &'a mut WatchTable,
    pub conn: ConnId,
    pub session: SessionId,
    pub identities: &'a [Id<'static>],
    /// Told of every znode that is read: its path, and the bytes of its data or of its children's
    /// names (Apache's `DataTree.updateReadStat`).
    pub on_read: &'a mut dyn FnMut(&str, usize),
}

/// Whether a connection may go on behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Keep,
    Close,
}

/// Whether the operation is one this module answers.
pub fn is_read(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::GetAllChildrenNumber
            | OpCode::GetEphemerals
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::MultiRead
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::WhoAmI
    )
}

/// Evaluates a read and appends its reply (and the events that must precede it) to `out`.
pub fn read(cx: &mut ReadContext<'_>, op: OpCode, xid: i32, body: &[u8], out: &mut Writer) {
    let zxid = cx.replica.last_zxid();
    if op == OpCode::Ping {
        ping(zxid, out);
        return;
    }
    let start = out.len();
    let at = out.begin_frame();
    jute::proto::ReplyHeader { xid, zxid: zxid.0, err: 0 }.encode(out);
    let body_at = out.len();
    let result = match op {
        OpCode::SetWatches | OpCode::SetWatches2 => {
            // What the client missed comes before the reply.
            out.truncate(start);
            let result = watches::set_watches(cx, op, body, out);
            reply::frame(out, xid, zxid, result, |_| {});
            return;
        }
        OpCode::MultiRead => node::multi_read(cx, body, out),
        _ => evaluate(cx, op, body, out),
    };
    if let Err(code) = result {
        if op != OpCode::MultiRead {
            out.truncate(body_at);
        }
        out.patch_i32(body_at - 4, code.code());
    }
    out.end_frame(at);
}

/// A ping's reply needs no more than the last zxid applied.
pub fn ping(zxid: Zxid, out: &mut Writer) {
    reply::header_only(out, reply::PING_XID, zxid, ErrorCode::Ok);
}

fn evaluate(
    cx: &mut ReadContext<'_>,
    op: OpCode,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    match op {
        OpCode::Exists => node::exists(cx, body, out),
        OpCode::GetData => node::get_data(cx, body, out),
        OpCode::GetAcl => node::get_acl(cx, body, out),
        OpCode::GetChildren => node::get_children(cx, body, out, false),
        OpCode::GetChildren2 => node::get_children(cx, body, out, true),
        OpCode::GetAllChildrenNumber => node::get_all_children_number(cx, body, out),
        OpCode::GetEphemerals => get_ephemerals(cx, body, out),
        OpCode::Sync => sync(body, out),
        OpCode::AddWatch => watches::add_watch(cx, body, out),
        OpCode::CheckWatches => watches::check_watches(cx, body),
        OpCode::RemoveWatches => watches::remove_watches(cx, body),
        OpCode::WhoAmI => who_am_i(cx, out),
        _ => Err(ErrorCode::Unimplemented),
    }
}

/// sync echoes its path, whatever it is. Alone, a server has nothing to wait for.
fn sync(body: &[u8], out: &mut Writer) -> Result<(), ErrorCode> {
    parse::<PathRequest<'_>>(body)?.encode(out);
    Ok(())
}

/// The session's own ephemerals, by a plain prefix of their paths.
fn get_ephemerals(cx: &ReadContext<'_>, body: &[u8], out: &mut Writer) -> Result<(), ErrorCode> {
    let request = parse::<PathRequest<'_>>(body)?;
    // Java's trim takes every character up to the blank.
    let prefix = request.path.as_deref().unwrap_or("");
    let all = matches!(prefix.trim_matches(|c| c <= ' '), "" | "/");
    let count_at = out.begin_frame();
    let mut count = 0;
    for path in cx.replica.ephemerals_of(cx.session) {
        if all || path.starts_with(prefix) {
            out.string(Some(&path));
            count += 1;
        }
    }
    out.patch_i32(count_at, count);
    Ok(())
}

fn who_am_i(cx: &ReadContext<'_>, out: &mut Writer) -> Result<(), ErrorCode> {
    let infos = cx.auth.client_infos(cx.identities);
    let info = |(scheme, user): (String, String)| ClientInfo {
        auth_scheme: Some(Cow::Owned(scheme)),
        user: Some(Cow::Owned(user)),
    };
    WhoAmIResponse { client_info: Some(infos.into_iter().map(info).collect()) }.encode(out);
    Ok(())
}

fn parse<'a, T: Decode<'a>>(body: &'a [u8]) -> Result<T, ErrorCode> {
    T::from_bytes(body).map_err(|_: DecodeError| ErrorCode::MarshallingError)
}
