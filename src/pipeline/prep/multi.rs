//! multi: all or nothing, under one zxid.

use jute::multi::{MultiOp, MultiRequest};
use jute::proto::{CreateRequest, CreateTtlRequest};
use jute::txn::Txn;
use jute::{DecodeError, ErrorCode, OpCode};

use super::create::Mode;
use super::{Op, Prep};

/// One operation of a multi, after Apache's conversions of creates.
pub(super) enum SubOp<'a> {
    Create(OpCode, CreateRequest<'a>),
    CreateTtl(CreateTtlRequest<'a>),
    Other(MultiOp<'a>),
}

/// Checks what must hold for a multi as a whole: only writes, known flags, a path in each. A
/// create without a list of ACLs is [`DecodeError::Null`], for which no zxid may be taken.
pub(super) fn sub_ops(request: MultiRequest<'_>) -> Result<Vec<SubOp<'_>>, DecodeError> {
    request.ops.into_iter().map(sub_op).collect()
}

fn sub_op(op: MultiOp<'_>) -> Result<SubOp<'_>, DecodeError> {
    let has_path = match &op {
        MultiOp::Create(_, r) => r.path.is_some(),
        MultiOp::CreateTtl(r) => r.path.is_some(),
        MultiOp::Delete(r) => r.path.is_some(),
        MultiOp::SetData(r) => r.path.is_some(),
        MultiOp::Check(r) => r.path.is_some(),
        MultiOp::GetData(_) | MultiOp::GetChildren(_) => {
            return Err(DecodeError::UnknownType(op.op().code()))
        }
    };
    if !has_path {
        return Err(DecodeError::UnknownType(op.op().code()));
    }
    match op {
        MultiOp::Create(_, r) if r.acl.is_none() => Err(DecodeError::Null),
        MultiOp::Create(code, r) => match Mode::from_flags(r.flags) {
            // These carry no ttl, and an unknown flag means nothing.
            Some(mode) if mode.is_ttl() => Err(DecodeError::UnknownType(r.flags)),
            None => Err(DecodeError::UnknownType(r.flags)),
            Some(Mode::Container) => Ok(SubOp::Create(OpCode::CreateContainer, r)),
            Some(_) => Ok(SubOp::Create(code, r)),
        },
        MultiOp::CreateTtl(r) => match Mode::from_flags(r.flags) {
            Some(mode) if mode.is_ttl() => Ok(SubOp::CreateTtl(r)),
            Some(Mode::Container) => Ok(SubOp::Create(OpCode::CreateContainer, plain(r))),
            // Apache makes of any other flag a plain create, also of an unknown one, which its
            // own check then refuses.
            _ => Ok(SubOp::Create(OpCode::Create, plain(r))),
        },
        other => Ok(SubOp::Other(other)),
    }
}

fn plain(r: CreateTtlRequest<'_>) -> CreateRequest<'_> {
    CreateRequest { path: r.path, data: r.data, acl: r.acl, flags: r.flags }
}

impl Prep {
    /// Judges each operation behind the effects of those before it. When one fails, what they
    /// would have changed is taken back; the multi is logged all the same, with the error at its
    /// place and `RuntimeInconsistency` behind it.
    pub(super) fn multi<'b>(&mut self, op: &Op<'_>, ops: Vec<SubOp<'b>>) -> Txn<'b> {
        let digest_before = self.digest;
        let mut failed = false;
        let mut parts = Vec::with_capacity(ops.len());
        self.overlay.begin();
        for sub in ops {
            if failed {
                parts.push(Txn::Error(ErrorCode::RuntimeInconsistency.code()));
                continue;
            }
            match self.sub_txn(op, sub) {
                Ok(txn) => parts.push(txn),
                Err(code) => {
                    failed = true;
                    parts.push(Txn::Error(code.code()));
                }
            }
        }
        if failed {
            self.overlay.roll_back();
            self.digest = digest_before;
        } else {
            self.overlay.keep();
        }
        Txn::Multi(parts)
    }

    fn sub_txn<'b>(&mut self, op: &Op<'_>, sub: SubOp<'b>) -> Result<Txn<'b>, ErrorCode> {
        match sub {
            SubOp::Create(code, r) => self.create(op, code, r),
            SubOp::CreateTtl(r) => self.create_ttl(op, r),
            SubOp::Other(MultiOp::Delete(r)) => self.delete(op, r),
            SubOp::Other(MultiOp::SetData(r)) => self.set_data(op, r),
            SubOp::Other(MultiOp::Check(r)) => self.check(op, r),
            SubOp::Other(_) => Err(ErrorCode::MarshallingError),
        }
    }
}
