//! Transactions (Apache's `org.apache.zookeeper.txn`): what is logged, proposed and replayed.

use std::borrow::Cow;

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::data::Acl;
use crate::op::OpCode;

record! {
    /// In front of every transaction: 32 bytes.
    #[derive(Copy)]
    TxnHeader {
        /// The session that asked.
        client_id: i64,
        cxid: i32,
        zxid: i64,
        /// Wall clock of the server that made the transaction, ms.
        time_ms: i64,
        /// An [`OpCode`] number, or -1 for a failed request.
        kind: i32,
    }
}

record! {
    /// Behind a transaction: the tree's digest once it is applied.
    #[derive(Copy)]
    TxnDigest { version: i32, tree_digest: i64, }
}

record! {
    /// create and create2.
    CreateTxn<'a> {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        acl: Option<Vec<Acl<'a>>>,
        ephemeral: bool,
        /// The parent's creations after this one; -1 (from logs of 3.3) counts one up.
        parent_cversion: i32,
    }
}

record! {
    /// createContainer.
    CreateContainerTxn<'a> {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        acl: Option<Vec<Acl<'a>>>,
        parent_cversion: i32,
    }
}

record! {
    /// createTTL.
    CreateTtlTxn<'a> {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        acl: Option<Vec<Acl<'a>>>,
        parent_cversion: i32,
        ttl_ms: i64,
    }
}

record! {
    /// delete and deleteContainer.
    DeleteTxn<'a> { path: Cow<'a, str>, }
}

record! {
    /// setData and reconfig.
    SetDataTxn<'a> { path: Cow<'a, str>, data: Option<&'a [u8]>, version: i32, }
}

record! {
    /// setACL.
    SetAclTxn<'a> { path: Cow<'a, str>, acl: Option<Vec<Acl<'a>>>, version: i32, }
}

record! {
    /// check, inside multi only.
    CheckVersionTxn<'a> { path: Cow<'a, str>, version: i32, }
}

/// A transaction's body, by the type in its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn<'a> {
    Create(CreateTxn<'a>),
    Create2(CreateTxn<'a>),
    CreateContainer(CreateContainerTxn<'a>),
    CreateTtl(CreateTtlTxn<'a>),
    Delete(DeleteTxn<'a>),
    DeleteContainer(DeleteTxn<'a>),
    SetData(SetDataTxn<'a>),
    Reconfig(SetDataTxn<'a>),
    SetAcl(SetAclTxn<'a>),
    /// Only as a part of a multi.
    Check(CheckVersionTxn<'a>),
    /// The session's timeout, ms.
    CreateSession(i32),
    /// The ephemerals to delete; `None` in logs of 3.5 and before, or when switched off.
    CloseSession(Option<Vec<Cow<'a, str>>>),
    /// A request that failed, with its error number.
    Error(i32),
    Multi(Vec<Txn<'a>>),
}

impl<'a> Txn<'a> {
    /// The type number for the header.
    pub fn kind(&self) -> i32 {
        match self {
            Txn::Create(_) => OpCode::Create,
            Txn::Create2(_) => OpCode::Create2,
            Txn::CreateContainer(_) => OpCode::CreateContainer,
            Txn::CreateTtl(_) => OpCode::CreateTtl,
            Txn::Delete(_) => OpCode::Delete,
            Txn::DeleteContainer(_) => OpCode::DeleteContainer,
            Txn::SetData(_) => OpCode::SetData,
            Txn::Reconfig(_) => OpCode::Reconfig,
            Txn::SetAcl(_) => OpCode::SetAcl,
            Txn::Check(_) => OpCode::Check,
            Txn::CreateSession(_) => OpCode::CreateSession,
            Txn::CloseSession(_) => OpCode::CloseSession,
            Txn::Error(_) => OpCode::Error,
            Txn::Multi(_) => OpCode::Multi,
        }
        .code()
    }

    /// Reads the body of a transaction of type `kind`.
    pub fn decode_kind(kind: i32, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let op = OpCode::from_code(kind).ok_or(DecodeError::UnknownType(kind))?;
        Ok(match op {
            OpCode::Create => Txn::Create(decode_create(r)?),
            OpCode::Create2 => Txn::Create2(CreateTxn::decode(r)?),
            OpCode::CreateContainer => Txn::CreateContainer(CreateContainerTxn::decode(r)?),
            OpCode::CreateTtl => Txn::CreateTtl(CreateTtlTxn::decode(r)?),
            OpCode::Delete => Txn::Delete(DeleteTxn::decode(r)?),
            OpCode::DeleteContainer => Txn::DeleteContainer(DeleteTxn::decode(r)?),
            OpCode::SetData => Txn::SetData(SetDataTxn::decode(r)?),
            OpCode::Reconfig => Txn::Reconfig(SetDataTxn::decode(r)?),
            OpCode::SetAcl => Txn::SetAcl(SetAclTxn::decode(r)?),
            OpCode::CreateSession => Txn::CreateSession(r.i32()?),
            OpCode::CloseSession => Txn::CloseSession(decode_close_session(r)?),
            OpCode::Error => Txn::Error(r.i32()?),
            OpCode::Multi => Txn::Multi(decode_multi(r)?),
            _ => return Err(DecodeError::UnknownType(kind)),
        })
    }
}

impl Encode for Txn<'_> {
    fn encode(&self, w: &mut Writer) {
        match self {
            Txn::Create(t) | Txn::Create2(t) => t.encode(w),
            Txn::CreateContainer(t) => t.encode(w),
            Txn::CreateTtl(t) => t.encode(w),
            Txn::Delete(t) | Txn::DeleteContainer(t) => t.encode(w),
            Txn::SetData(t) | Txn::Reconfig(t) => t.encode(w),
            Txn::SetAcl(t) => t.encode(w),
            Txn::Check(t) => t.encode(w),
            Txn::CreateSession(timeout_ms) => w.i32(*timeout_ms),
            Txn::CloseSession(None) => {}
            Txn::CloseSession(Some(paths)) => w.vector(Some(paths)),
            Txn::Error(code) => w.i32(*code),
            Txn::Multi(parts) => {
                w.i32(i32::try_from(parts.len()).expect("a multi fits into its frame"));
                for part in parts {
                    w.i32(part.kind());
                    let at = w.begin_frame();
                    part.encode(w);
                    w.end_frame(at);
                }
            }
        }
    }
}

/// Logs of 3.3 have no parent cversion: whoever runs out of bytes there meant "one more".
fn decode_create<'a>(r: &mut Reader<'a>) -> Result<CreateTxn<'a>, DecodeError> {
    let mut whole = r.clone();
    match CreateTxn::decode(&mut whole) {
        Ok(txn) => {
            *r = whole;
            Ok(txn)
        }
        Err(DecodeError::Truncated { .. }) => Ok(CreateTxn {
            path: Cow::decode(r)?,
            data: r.buffer()?,
            acl: r.vector()?,
            ephemeral: r.bool()?,
            parent_cversion: -1,
        }),
        Err(e) => Err(e),
    }
}

/// The body may be absent (3.5 and before). Twelve bytes that begin with 2 are then the digest
/// behind an absent body: as a list they would be two empty paths, which no session owns.
fn decode_close_session<'a>(r: &mut Reader<'a>) -> Result<Option<Vec<Cow<'a, str>>>, DecodeError> {
    let rest = r.remaining();
    if rest.is_empty() || (rest.len() == 12 && rest[..4] == [0, 0, 0, 2]) {
        return Ok(None);
    }
    Ok(Some(r.vector()?.unwrap_or_default()))
}

fn decode_multi<'a>(r: &mut Reader<'a>) -> Result<Vec<Txn<'a>>, DecodeError> {
    let count = r.i32()?.max(0) as usize;
    let have = r.remaining().len();
    // Each part has its type, its length, and at least an error number or an empty path in it.
    if count > have / 12 {
        return Err(DecodeError::TooMany { count, have });
    }
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = r.i32()?;
        let body = r.buffer()?.ok_or(DecodeError::Null)?;
        let mut body = r.nested(body);
        parts.push(match OpCode::from_code(kind) {
            Some(OpCode::Check) => Txn::Check(CheckVersionTxn::decode(&mut body)?),
            Some(
                OpCode::Create
                | OpCode::Create2
                | OpCode::CreateContainer
                | OpCode::CreateTtl
                | OpCode::Delete
                | OpCode::DeleteContainer
                | OpCode::SetData
                | OpCode::Error,
            ) => Txn::decode_kind(kind, &mut body)?,
            // Apache's `DataTree` knows no other part.
            _ => return Err(DecodeError::UnknownType(kind)),
        });
    }
    Ok(parts)
}

/// The body of a log record and of a proposal: header, transaction, digest if there is one.
/// What is too short for a digest counts as none (Apache's `SerializeUtils`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnRecord<'a> {
    pub header: TxnHeader,
    pub txn: Txn<'a>,
    pub digest: Option<TxnDigest>,
}

impl Encode for TxnRecord<'_> {
    fn encode(&self, w: &mut Writer) {
        self.header.encode(w);
        self.txn.encode(w);
        if let Some(digest) = &self.digest {
            digest.encode(w);
        }
    }
}

impl<'a> Decode<'a> for TxnRecord<'a> {
    const MIN_LEN: usize = TxnHeader::MIN_LEN;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let header = TxnHeader::decode(r)?;
        let txn = Txn::decode_kind(header.kind, r)?;
        let digest = match r.remaining().len() {
            TxnDigest::MIN_LEN.. => Some(TxnDigest::decode(r)?),
            _ => None,
        };
        Ok(TxnRecord { header, txn, digest })
    }
}
