//! A client's requests and the replies to them, as bytes.

use jute::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use jute::proto::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, DeleteRequest,
    GetChildren2Response, GetDataResponse, NamesResponse, PathRequest, PathWatchRequest,
    RequestHeader, SetDataRequest, SetWatches, StatResponse,
};
use jute::{Acl, Decode, DecodeError, Encode, OpCode, Writer};

use super::super::history::{Created, Part, Reply, Request};

/// Writes a request.
pub(super) fn request(w: &mut Writer, xid: i32, request: &Request) {
    let op = op_of(request);
    RequestHeader { xid, op: op.code() }.encode(w);
    match request {
        Request::Create { .. } => create(request).encode(w),
        Request::Delete { path, version } => delete(path, *version).encode(w),
        Request::SetData { path, data, version } => set(path, data, *version).encode(w),
        Request::GetData { path, watch }
        | Request::Exists { path, watch }
        | Request::Children { path, watch, .. } => {
            PathWatchRequest { path: Some(path.as_str().into()), watch: *watch }.encode(w);
        }
        Request::Sync { path } => PathRequest { path: Some(path.as_str().into()) }.encode(w),
        Request::Multi(parts) => {
            MultiRequest { ops: parts.iter().map(multi_op).collect() }.encode(w);
        }
        Request::SetWatches(watches) => {
            let list = |paths: &[String]| {
                Some(paths.iter().map(|path| Some(path.clone().into())).collect())
            };
            SetWatches {
                relative_zxid: watches.relative_zxid,
                data: list(&watches.data),
                exist: list(&watches.exist),
                child: list(&watches.child),
            }
            .encode(w);
        }
        Request::Ping | Request::CloseSession => {}
        other => unreachable!("no client asks {other:?} alone"),
    }
}

fn op_of(request: &Request) -> OpCode {
    match request {
        Request::Create { with_stat: false, .. } => OpCode::Create,
        Request::Create { with_stat: true, .. } => OpCode::Create2,
        Request::Delete { .. } => OpCode::Delete,
        Request::SetData { .. } => OpCode::SetData,
        Request::GetData { .. } => OpCode::GetData,
        Request::Exists { .. } => OpCode::Exists,
        Request::Children { with_stat: false, .. } => OpCode::GetChildren,
        Request::Children { with_stat: true, .. } => OpCode::GetChildren2,
        Request::Sync { .. } => OpCode::Sync,
        Request::Multi(_) => OpCode::Multi,
        Request::SetWatches(_) => OpCode::SetWatches,
        Request::Ping => OpCode::Ping,
        Request::CloseSession => OpCode::CloseSession,
        other => unreachable!("no client asks {other:?} alone"),
    }
}

fn create(request: &Request) -> CreateRequest<'_> {
    let Request::Create { path, data, flags, .. } = request else {
        unreachable!("only a create is one");
    };
    CreateRequest {
        path: Some(path.as_str().into()),
        data: data.as_deref(),
        acl: Some(vec![Acl::open_unsafe()]),
        flags: *flags,
    }
}

fn delete(path: &str, version: i32) -> DeleteRequest<'_> {
    DeleteRequest { path: Some(path.into()), version }
}

fn set<'a>(path: &'a str, data: &'a Option<Vec<u8>>, version: i32) -> SetDataRequest<'a> {
    SetDataRequest { path: Some(path.into()), data: data.as_deref(), version }
}

fn multi_op(request: &Request) -> MultiOp<'_> {
    match request {
        Request::Create { .. } => MultiOp::Create(op_of(request), create(request)),
        Request::Delete { path, version } => MultiOp::Delete(delete(path, *version)),
        Request::SetData { path, data, version } => MultiOp::SetData(set(path, data, *version)),
        Request::Check { path, version } => MultiOp::Check(CheckVersionRequest {
            path: Some(path.as_str().into()),
            version: *version,
        }),
        other => unreachable!("no client puts {other:?} into a multi"),
    }
}

/// Reads what answers a request.
pub(super) fn reply(request: &Request, body: &[u8]) -> Result<Reply, DecodeError> {
    Ok(match request {
        Request::Create { with_stat: false, .. } => path(CreateResponse::from_bytes(body)?.path),
        Request::Create { with_stat: true, .. } => created(Create2Response::from_bytes(body)?),
        Request::SetData { .. } | Request::Exists { .. } => {
            Reply::Stat(StatResponse::from_bytes(body)?.stat)
        }
        Request::GetData { .. } => {
            let GetDataResponse { data, stat } = GetDataResponse::from_bytes(body)?;
            Reply::Data(data.map(<[u8]>::to_vec), stat)
        }
        Request::Children { with_stat: false, .. } => {
            Reply::Children(names(NamesResponse::from_bytes(body)?.names), None)
        }
        Request::Children { with_stat: true, .. } => {
            let GetChildren2Response { children, stat } = GetChildren2Response::from_bytes(body)?;
            Reply::Children(names(children), Some(stat))
        }
        Request::Sync { .. } => path(PathRequest::from_bytes(body)?.path),
        Request::Multi(_) => {
            let results = MultiResponse::from_bytes(body)?.results;
            Reply::Multi(results.into_iter().map(part).collect())
        }
        _ => Reply::None,
    })
}

fn path(path: Option<std::borrow::Cow<'_, str>>) -> Reply {
    Reply::Path(path.unwrap_or_default().into_owned())
}

fn created(response: Create2Response<'_>) -> Reply {
    let path = response.path.unwrap_or_default().into_owned();
    Reply::Created(Created { path, stat: response.stat })
}

fn names(names: Option<Vec<std::borrow::Cow<'_, str>>>) -> Vec<String> {
    names.unwrap_or_default().into_iter().map(|name| name.into_owned()).collect()
}

fn part(result: MultiResult<'_>) -> Part {
    let (error, reply) = match result {
        MultiResult::Create(response) => (0, path(response.path)),
        MultiResult::Create2(response) => (0, created(response)),
        MultiResult::SetData(response) => (0, Reply::Stat(response.stat)),
        MultiResult::Error(error) => (error, Reply::None),
        _ => (0, Reply::None),
    };
    Part { error, reply }
}
