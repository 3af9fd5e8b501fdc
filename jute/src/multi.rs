//! multi and multiRead: operations and results between nine-byte headers.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::op::OpCode;
use crate::proto::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteRequest, ErrorResponse, GetDataResponse, NamesResponse, PathWatchRequest, SetDataRequest,
    StatResponse,
};

record! {
    /// In front of each operation and each result; `done` ends the list.
    #[derive(Copy)]
    MultiHeader { op: i32, done: bool, err: i32, }
}

impl MultiHeader {
    /// Ends a list.
    pub const END: MultiHeader = MultiHeader { op: -1, done: true, err: -1 };
}

/// One operation of a multi or multiRead, still as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// create, create2 or createContainer: the operation says which.
    Create(OpCode, CreateRequest<'a>),
    CreateTtl(CreateTtlRequest<'a>),
    Delete(DeleteRequest<'a>),
    SetData(SetDataRequest<'a>),
    Check(CheckVersionRequest<'a>),
    GetData(PathWatchRequest<'a>),
    GetChildren(PathWatchRequest<'a>),
}

impl MultiOp<'_> {
    /// The number in the operation's header.
    pub fn op(&self) -> OpCode {
        match self {
            MultiOp::Create(op, _) => *op,
            MultiOp::CreateTtl(_) => OpCode::CreateTtl,
            MultiOp::Delete(_) => OpCode::Delete,
            MultiOp::SetData(_) => OpCode::SetData,
            MultiOp::Check(_) => OpCode::Check,
            MultiOp::GetData(_) => OpCode::GetData,
            MultiOp::GetChildren(_) => OpCode::GetChildren,
        }
    }

    /// Whether it belongs into a multiRead.
    pub fn is_read(&self) -> bool {
        matches!(self, MultiOp::GetData(_) | MultiOp::GetChildren(_))
    }
}

/// The body of multi and multiRead. Kinds may be mixed here; whoever runs it refuses that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultiRequest<'a> {
    pub ops: Vec<MultiOp<'a>>,
}

impl Encode for MultiRequest<'_> {
    fn encode(&self, w: &mut Writer) {
        for op in &self.ops {
            MultiHeader { op: op.op().code(), done: false, err: -1 }.encode(w);
            match op {
                MultiOp::Create(_, r) => r.encode(w),
                MultiOp::CreateTtl(r) => r.encode(w),
                MultiOp::Delete(r) => r.encode(w),
                MultiOp::SetData(r) => r.encode(w),
                MultiOp::Check(r) => r.encode(w),
                MultiOp::GetData(r) | MultiOp::GetChildren(r) => r.encode(w),
            }
        }
        MultiHeader::END.encode(w);
    }
}

impl<'a> Decode<'a> for MultiRequest<'a> {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut ops = Vec::new();
        loop {
            let header = MultiHeader::decode(r)?;
            if header.done {
                return Ok(MultiRequest { ops });
            }
            ops.push(match OpCode::from_code(header.op) {
                Some(op @ (OpCode::Create | OpCode::Create2 | OpCode::CreateContainer)) => {
                    MultiOp::Create(op, CreateRequest::decode(r)?)
                }
                Some(OpCode::CreateTtl) => MultiOp::CreateTtl(CreateTtlRequest::decode(r)?),
                Some(OpCode::Delete) => MultiOp::Delete(DeleteRequest::decode(r)?),
                Some(OpCode::SetData) => MultiOp::SetData(SetDataRequest::decode(r)?),
                Some(OpCode::Check) => MultiOp::Check(CheckVersionRequest::decode(r)?),
                Some(OpCode::GetData) => MultiOp::GetData(PathWatchRequest::decode(r)?),
                Some(OpCode::GetChildren) => MultiOp::GetChildren(PathWatchRequest::decode(r)?),
                _ => return Err(DecodeError::UnknownType(header.op)),
            });
        }
    }
}

/// What became of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult<'a> {
    Create(CreateResponse<'a>),
    /// create2, createContainer and createTTL alike.
    Create2(Create2Response<'a>),
    Delete,
    SetData(StatResponse),
    Check,
    GetData(GetDataResponse<'a>),
    GetChildren(NamesResponse<'a>),
    /// The operation failed, or stands beside one that did; 0 in front of the failing one.
    Error(i32),
}

impl MultiResult<'_> {
    fn header(&self) -> MultiHeader {
        let (op, err) = match self {
            MultiResult::Create(_) => (OpCode::Create, 0),
            MultiResult::Create2(_) => (OpCode::Create2, 0),
            MultiResult::Delete => (OpCode::Delete, 0),
            MultiResult::SetData(_) => (OpCode::SetData, 0),
            MultiResult::Check => (OpCode::Check, 0),
            MultiResult::GetData(_) => (OpCode::GetData, 0),
            MultiResult::GetChildren(_) => (OpCode::GetChildren, 0),
            MultiResult::Error(err) => (OpCode::Error, *err),
        };
        MultiHeader { op: op.code(), done: false, err }
    }
}

/// The answer to multi and multiRead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultiResponse<'a> {
    pub results: Vec<MultiResult<'a>>,
}

impl Encode for MultiResponse<'_> {
    fn encode(&self, w: &mut Writer) {
        for result in &self.results {
            result.header().encode(w);
            match result {
                MultiResult::Create(r) => r.encode(w),
                MultiResult::Create2(r) => r.encode(w),
                MultiResult::Delete | MultiResult::Check => {}
                MultiResult::SetData(r) => r.encode(w),
                MultiResult::GetData(r) => r.encode(w),
                MultiResult::GetChildren(r) => r.encode(w),
                MultiResult::Error(err) => ErrorResponse { err: *err }.encode(w),
            }
        }
        MultiHeader::END.encode(w);
    }
}

impl<'a> Decode<'a> for MultiResponse<'a> {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::decode(r)?;
            if header.done {
                return Ok(MultiResponse { results });
            }
            results.push(match OpCode::from_code(header.op) {
                Some(OpCode::Create) => MultiResult::Create(CreateResponse::decode(r)?),
                Some(OpCode::Create2) => MultiResult::Create2(Create2Response::decode(r)?),
                Some(OpCode::Delete) => MultiResult::Delete,
                Some(OpCode::SetData) => MultiResult::SetData(StatResponse::decode(r)?),
                Some(OpCode::Check) => MultiResult::Check,
                Some(OpCode::GetData) => MultiResult::GetData(GetDataResponse::decode(r)?),
                Some(OpCode::GetChildren) => MultiResult::GetChildren(NamesResponse::decode(r)?),
                Some(OpCode::Error) => MultiResult::Error(ErrorResponse::decode(r)?.err),
                _ => return Err(DecodeError::UnknownType(header.op)),
            });
        }
    }
}
