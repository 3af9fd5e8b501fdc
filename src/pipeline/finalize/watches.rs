//! setWatches, addWatch, checkWatches, removeWatches.

use std::borrow::Cow;

use jute::proto::{AddWatchRequest, ErrorResponse, SetWatches, SetWatches2, WatcherTypeRequest};
use jute::{Encode, ErrorCode, Writer};

use super::{parse, ReadContext};
use crate::auth::perms;
use crate::pipeline::reply;
use crate::types::Zxid;
use crate::watch::{Lists, Mode, NodeView, WatcherType};

/// A null path can be watched, and never fires: no znode has a NUL in its path.
const NO_PATH: &str = "\0";

/// setWatches: as setWatches2, before there were persistent watches.
pub(super) fn set_watches(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let r = parse::<SetWatches<'_>>(body)?;
    let request = SetWatches2 {
        relative_zxid: r.relative_zxid,
        data: r.data,
        exist: r.exist,
        child: r.child,
        persistent: Some(Vec::new()),
        persistent_recursive: Some(Vec::new()),
    };
    catch_up(cx, request, out)
}

/// setWatches2: tells what was missed, arms the rest. Whoever may not read a znode is told
/// nothing about it.
pub(super) fn set_watches_2(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    catch_up(cx, parse::<SetWatches2<'_>>(body)?, out)
}

fn catch_up(
    cx: &mut ReadContext<'_>,
    request: SetWatches2<'_>,
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let lists = Lists {
        data: paths(&request.data)?,
        exist: paths(&request.exist)?,
        child: paths(&request.child)?,
        persistent: paths(&request.persistent)?,
        recursive: paths(&request.persistent_recursive)?,
    };
    let (replica, auth, identities) = (cx.replica, cx.auth, cx.identities);
    let lookup = |path: &str| {
        let node = replica.node(replica.find(path)?);
        Some(NodeView {
            mzxid: Zxid(node.stat_persisted().mzxid),
            pzxid: Zxid(node.stat_persisted().pzxid),
            readable: auth.check(node.acl(), perms::READ, identities).is_ok(),
        })
    };
    let seen = Zxid(request.relative_zxid);
    cx.watches.set_watches(cx.conn, seen, lists, lookup, |kind, path| {
        reply::notification(out, Zxid::NONE, kind as i32, path);
    });
    Ok(())
}

/// addWatch: any path, there or not.
pub(super) fn add_watch(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    out: &mut Writer,
) -> Result<(), ErrorCode> {
    let request = parse::<AddWatchRequest<'_>>(body)?;
    let mode = Mode::from_add_watch(request.mode).ok_or(ErrorCode::MarshallingError)?;
    let path = request.path.unwrap_or(Cow::Borrowed(NO_PATH));
    cx.watches.add_watch(&path, cx.conn, mode);
    ErrorResponse { err: 0 }.encode(out);
    Ok(())
}

/// checkWatches: is there such a watch?
pub(super) fn check_watches(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    _: &mut Writer,
) -> Result<(), ErrorCode> {
    let (path, kind) = watcher(body)?;
    cx.watches.contains(&path, cx.conn, kind).then_some(()).ok_or(ErrorCode::NoWatcher)
}

/// removeWatches: takes it away, without an event.
pub(super) fn remove_watches(
    cx: &mut ReadContext<'_>,
    body: &[u8],
    _: &mut Writer,
) -> Result<(), ErrorCode> {
    let (path, kind) = watcher(body)?;
    cx.watches.remove(&path, cx.conn, kind).then_some(()).ok_or(ErrorCode::NoWatcher)
}

fn watcher(body: &[u8]) -> Result<(Cow<'_, str>, WatcherType), ErrorCode> {
    let request = parse::<WatcherTypeRequest<'_>>(body)?;
    let kind = WatcherType::from_wire(request.kind).ok_or(ErrorCode::MarshallingError)?;
    Ok((request.path.unwrap_or(Cow::Borrowed(NO_PATH)), kind))
}

/// Null lists and null paths in them can't be meant.
fn paths<'p>(
    list: &'p Option<Vec<Option<Cow<'_, str>>>>,
) -> Result<impl Iterator<Item = &'p str>, ErrorCode> {
    let list = list.as_ref().ok_or(ErrorCode::MarshallingError)?;
    if list.iter().any(Option::is_none) {
        return Err(ErrorCode::MarshallingError);
    }
    Ok(list.iter().filter_map(|p| p.as_deref()))
}
