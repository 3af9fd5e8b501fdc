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

/// Writes the body of an answer.
type Evaluate = fn(&mut ReadContext<'_>, &[u8], &mut Writer) -> Result<(), ErrorCode>;

/// What the answer to a read consists of.
#[derive(Clone, Copy)]
enum Answer {
    /// A header and, without an error, a body.
    Whole(Evaluate),
    /// A header and a body that stays as far as it was written, error or not.
    Parts(Evaluate),
    /// Events of what the client has missed, and a header behind them.
    CatchUp(Evaluate),
    /// A header with a ping's xid.
    Ping,
}

/// How a read is answered: the one table of what this module knows. `None`: not a read.
fn answer_to(op: OpCode) -> Option<Answer> {
    Some(match op {
        OpCode::Exists => Answer::Whole(node::exists),
        OpCode::GetData => Answer::Whole(node::get_data),
        OpCode::GetAcl => Answer::Whole(node::get_acl),
        OpCode::GetChildren => Answer::Whole(node::get_children),
        OpCode::GetChildren2 => Answer::Whole(node::get_children_and_stat),
        OpCode::GetAllChildrenNumber => Answer::Whole(node::get_all_children_number),
        OpCode::GetEphemerals => Answer::Whole(get_ephemerals),
        OpCode::Sync => Answer::Whole(sync),
        OpCode::AddWatch => Answer::Whole(watches::add_watch),
        OpCode::CheckWatches => Answer::Whole(watches::check_watches),
        OpCode::RemoveWatches => Answer::Whole(watches::remove_watches),
        OpCode::WhoAmI => Answer::Whole(who_am_i),
        OpCode::MultiRead => Answer::Parts(node::multi_read),
        OpCode::SetWatches => Answer::CatchUp(watches::set_watches),
        OpCode::SetWatches2 => Answer::CatchUp(watches::set_watches_2),
        OpCode::Ping => Answer::Ping,
        _ => return None,
    })
}

/// Whether the operation is one this module answers.
pub fn is_read(op: OpCode) -> bool {
    answer_to(op).is_some()
}

/// Evaluates a read and appends its reply (and the events that must precede it) to `out`.
/// [`is_read`] says what a read is.
pub fn read(cx: &mut ReadContext<'_>, op: OpCode, xid: i32, body: &[u8], out: &mut Writer) {
    let zxid = cx.replica.last_zxid();
    let (evaluate, keeps_parts) = match answer_to(op).expect("the caller asks for reads only") {
        Answer::Ping => return ping(zxid, out),
        Answer::CatchUp(evaluate) => {
            let result = evaluate(cx, body, out);
            return reply::frame(out, xid, zxid, result, |_| {});
        }
        Answer::Whole(evaluate) => (evaluate, false),
        Answer::Parts(evaluate) => (evaluate, true),
    };
    let at = out.begin_frame();
    jute::proto::ReplyHeader { xid, zxid: zxid.0, err: 0 }.encode(out);
    let body_at = out.len();
    if let Err(code) = evaluate(cx, body, out) {
        if !keeps_parts {
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

/// sync echoes its path, whatever it is. Alone, a server has nothing to wait for.
fn sync(_: &mut ReadContext<'_>, body: &[u8], out: &mut Writer) -> Result<(), ErrorCode> {
    parse::<PathRequest<'_>>(body)?.encode(out);
    Ok(())
}

/// The session's own ephemerals, by a plain prefix of their paths.
fn get_ephemerals(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
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

fn who_am_i(cx: &mut ReadContext<'_>, _: &[u8], out: &mut Writer) -> Result<(), ErrorCode> {
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
