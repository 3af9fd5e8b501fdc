//! Reads of znodes. No path rules: what is not there is not there, and "" is the root.

use std::sync::Arc;

use jute::multi::{MultiHeader, MultiOp, MultiRequest};
use jute::proto::{PathRequest, PathWatchRequest};
use jute::{Encode, ErrorCode, OpCode, Writer};

use super::{parse, ReadContext};
use crate::auth::perms;
use crate::tree::{AclId, NodeRef};
use crate::watch::Table;

/// exists: the watch stays also when the znode is missing.
pub(super) fn exists(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let request = parse::<PathWatchRequest<'_>>(body)?;
    let path = request.path.as_deref().ok_or(ErrorCode::MarshallingError)?;
    if path.contains('\0') {
        return Err(ErrorCode::BadArguments);
    }
    let found = cx.replica.find(path).map(|id| cx.replica.node(id));
    if let Some(node) = &found {
        check(cx, node, perms::READ)?;
    }
    if request.watch {
        cx.watches.add(path, cx.conn, Table::Data);
    }
    found.ok_or(ErrorCode::NoNode)?.stat().encode(out);
    (cx.on_read)(path, 0);
    Ok(())
}

/// getData: no watch unless the read succeeds.
pub(super) fn get_data(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let request = parse::<PathWatchRequest<'_>>(body)?;
    let (path, node) = readable(cx, &request)?;
    out.buffer(node.data());
    node.stat().encode(out);
    (cx.on_read)(path, node.data().map_or(0, <[u8]>::len));
    if request.watch {
        cx.watches.add(path, cx.conn, Table::Data);
    }
    Ok(())
}

/// getChildren.
pub(super) fn get_children(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    children(cx, body, out, false)
}

/// getChildren2: the Stat behind the names.
pub(super) fn get_children_and_stat(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    children(cx, body, out, true)
}

fn children(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
    with_stat: bool,
) -> Result<(), ErrorCode> {
    let request = parse::<PathWatchRequest<'_>>(body)?;
    let (path, node) = readable(cx, &request)?;
    (cx.on_read)(path, names(&node, out));
    if with_stat {
        node.stat().encode(out);
    }
    if request.watch {
        cx.watches.add(path, cx.conn, Table::Child);
    }
    Ok(())
}

/// getAllChildrenNumber: strict descendants.
pub(super) fn get_all_children_number(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let request = parse::<PathRequest<'_>>(body)?;
    let (path, node) = named(cx, request.path.as_deref())?;
    check(cx, &node, perms::READ)?;
    out.i32(cx.replica.descendant_count(path).ok_or(ErrorCode::NoNode)?);
    Ok(())
}

/// getACL: whoever is no admin of the znode does not see its passwords' hashes.
pub(super) fn get_acl(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let request = parse::<PathRequest<'_>>(body)?;
    let (_, node) = named(cx, request.path.as_deref())?;
    check(cx, &node, perms::READ | perms::ADMIN)?;
    let list = Arc::clone(node.acl());
    if check(cx, &node, perms::ADMIN).is_ok() {
        out.vector(Some(&list));
    } else {
        out.vector(Some(&crate::auth::redact(&list)));
    }
    node.stat().encode(out);
    Ok(())
}

/// multiRead: each read with its own result; watch flags mean nothing here. Something that can't
/// be done ends the list where it stands and fails the whole; a list of writes and reads is none.
pub(super) fn multi_read(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let request = parse::<MultiRequest<'_>>(body)?;
    if request.ops.iter().any(MultiOp::is_read) && !request.ops.iter().all(MultiOp::is_read) {
        return Err(ErrorCode::MarshallingError);
    }
    let whole = request.ops.iter().try_for_each(|op| sub_read(cx, op, out));
    MultiHeader::END.encode(out);
    whole
}

fn sub_read(cx: &mut ReadContext<'_>, op: &MultiOp<'_>, out: &mut Writer) -> Result<(), ErrorCode> {
    let (MultiOp::GetData(request) | MultiOp::GetChildren(request)) = op else {
        return Err(ErrorCode::MarshallingError);
    };
    if request.path.is_none() {
        return Err(ErrorCode::MarshallingError);
    }
    match readable(cx, request) {
        Ok((path, node)) => {
            MultiHeader { op: op.op().code(), done: false, err: 0 }.encode(out);
            if op.op() == OpCode::GetData {
                out.buffer(node.data());
                node.stat().encode(out);
                (cx.on_read)(path, node.data().map_or(0, <[u8]>::len));
            } else {
                (cx.on_read)(path, names(&node, out));
            }
        }
        Err(code) => {
            MultiHeader { op: -1, done: false, err: code.code() }.encode(out);
            out.i32(code.code());
        }
    }
    Ok(())
}

/// Writes the children's names; returns their bytes.
fn names(node: &NodeRef<'_>, out: &mut Writer) -> usize {
    out.i32(node.child_count() as i32);
    let mut bytes = 0;
    for name in node.children_bytes() {
        out.utf8(name);
        bytes += name.len();
    }
    bytes
}

/// The znode of a request that must exist and be readable.
fn readable<'a, 'r>(
    cx: &ReadContext<'a>,
    request: &'r PathWatchRequest<'_>,
) -> Result<(&'r str, NodeRef<'a>), ErrorCode> {
    let (path, node) = named(cx, request.path.as_deref())?;
    check(cx, &node, perms::READ)?;
    Ok((path, node))
}

/// The znode a request names.
fn named<'a, 'r>(
    cx: &ReadContext<'a>,
    path: Option<&'r str>,
) -> Result<(&'r str, NodeRef<'a>), ErrorCode> {
    let path = path.ok_or(ErrorCode::MarshallingError)?;
    let id = cx.replica.find(path).ok_or(ErrorCode::NoNode)?;
    Ok((path, cx.replica.node(id)))
}

pub(super) fn check(
    cx: &ReadContext<'_>,
    node: &NodeRef<'_>,
    permission: i32,
) -> Result<(), ErrorCode> {
    if node.acl_id() == AclId::OPEN {
        return Ok(());
    }
    cx.auth.check(node.acl(), permission, cx.identities)
}
