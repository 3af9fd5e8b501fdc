//! Turns a request into a transaction, or into the record of its failure (Apache's
//! `PrepRequestProcessor`). Every write takes a zxid before it is judged, so a failed one has
//! its place in the order too; only what can't be parsed takes none.

mod create;
mod disarm;
mod eager;
mod modify;
mod multi;
mod quota;
mod session;

use std::collections::BTreeMap;

use jute::txn::{Txn, TxnDigest, TxnHeader};
use jute::{Decode, DecodeError, Encode, ErrorCode, Id, OpCode, Reader, StatPersisted};

pub use self::eager::denied;
use super::batch::{BatchBuilder, Outcome, SessionEffect};
use super::overlay::{Overlay, Pending};
use super::request::Request;
use crate::auth::{perms, Auth};
use crate::tree::{self, Owner, OwnerRules, Replica};
use crate::types::{Now, Zxid};

/// Settings that decide what becomes of a request.
#[derive(Debug, Clone, Default)]
pub struct PrepOptions {
    /// How a znode's owner is read: whether TTL nodes may be created.
    pub owners: OwnerRules,
    /// `enforceQuota`: hard limits refuse.
    pub enforce_quota: bool,
    /// `closeSessionTxn.enabled`: closeSession lists what it deletes.
    pub close_session_lists: bool,
    /// `digest.enabled`: transactions carry the tree's digest.
    pub digest: bool,
    /// `reconfigEnabled`.
    pub reconfig: bool,
}

/// The first processor. Owns what is prepared and not applied yet.
#[derive(Debug)]
pub struct Prep {
    options: PrepOptions,
    overlay: Overlay,
    /// The last zxid given out.
    last_zxid: Zxid,
    /// The tree's digest once everything prepared is applied.
    digest: u64,
    /// Operations refused since somebody asked, by the znode that has the quota: as many members
    /// as there are quotas.
    over_quota: BTreeMap<String, u64>,
}

/// What preparing one request may look at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub replica: &'a Replica,
    pub auth: &'a Auth,
    pub now: Now,
    /// Whether the asking session is there and not closing; else the error it gets.
    pub session: Result<(), ErrorCode>,
    /// Whether the asking session may own ephemerals: not one that a single server knows.
    pub ephemerals: Result<(), ErrorCode>,
    /// What the ensemble has against a reconfig, if that is what is asked for.
    pub reconfig: Result<(), ErrorCode>,
}

/// One operation's surroundings: the transaction it will be part of and who asks.
#[derive(Clone, Copy)]
struct Op<'a> {
    cx: Context<'a>,
    zxid: Zxid,
    session_id: i64,
    identities: &'a [Id<'static>],
}

impl Prep {
    /// Goes on behind what `replica` has applied. `last` is the zxid before the first one given
    /// out: the replica's, or the beginning of a new leader's epoch.
    pub fn new(options: PrepOptions, replica: &Replica, last: Zxid, seed: u64) -> Self {
        Prep {
            options,
            overlay: Overlay::new(seed),
            last_zxid: last,
            digest: replica.digest(),
            over_quota: BTreeMap::new(),
        }
    }

    /// The last zxid given out.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Changes prepared and not applied yet.
    pub fn outstanding(&self) -> usize {
        self.overlay.outstanding()
    }

    /// Operations that a quota refused since the last call, by the znode that has the quota.
    pub fn take_over_quota(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.over_quota)
    }

    /// Everything up to `zxid` is in the replica now.
    pub fn applied(&mut self, zxid: Zxid) {
        self.overlay.applied(zxid);
    }

    /// Judges `request` and appends what became of it to `out`.
    pub fn prepare(
        &mut self,
        cx: &Context<'_>,
        request: &Request,
        effect: SessionEffect,
        out: &mut BatchBuilder,
    ) {
        if let Err(code) = self.append_txn(cx, request, effect, out) {
            out.push(request.origin, request.op, Outcome::Refused(code));
        }
    }

    /// Parses, takes a zxid, judges, encodes. `Err`: can't be parsed, no zxid taken. A multi that
    /// is none takes one all the same, as Apache's clients are used to; and so does whatever a
    /// learner has forwarded, for it waits for the transaction.
    fn append_txn(
        &mut self,
        cx: &Context<'_>,
        request: &Request,
        effect: SessionEffect,
        out: &mut BatchBuilder,
    ) -> Result<(), ErrorCode> {
        let body: &[u8] = &request.body;
        let parsed = match Parsed::read(request.op, body) {
            Ok(parsed) => parsed,
            Err(_) if request.origin.is_none() => Parsed::Unreadable,
            Err(DecodeError::Null) => return Err(ErrorCode::MarshallingError),
            Err(_) if request.op == OpCode::Multi => Parsed::Unreadable,
            Err(_) => return Err(ErrorCode::MarshallingError),
        };
        let zxid = self.take_zxid();
        let op =
            Op { cx: *cx, zxid, session_id: request.session.0, identities: &request.identities };
        let digest_before = self.digest;
        let judged = self.judge(&op, request, parsed);
        let digested = self.options.digest && judged.is_ok();
        let txn = judged.unwrap_or_else(|code| {
            self.digest = digest_before;
            Txn::Error(code.code())
        });
        let header = TxnHeader {
            client_id: request.session.0,
            cxid: request.cxid,
            zxid: zxid.0,
            time_ms: cx.now.wall_ms,
            kind: txn.kind(),
        };
        let digest = TxnDigest { version: tree::DIGEST_VERSION, tree_digest: self.digest as i64 };
        out.encode(request.origin, request.op, (zxid, effect), |w| {
            header.encode(w);
            txn.encode(w);
            if digested {
                digest.encode(w);
            }
        });
        Ok(())
    }

    fn judge<'b>(
        &mut self,
        op: &Op<'_>,
        request: &Request,
        parsed: Parsed<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        match parsed {
            Parsed::Create(r) => self.create(op, request.op, r),
            Parsed::CreateTtl(r) => self.create_ttl(op, r),
            Parsed::Delete(r) => self.delete(op, r),
            Parsed::DeleteContainer(r) => self.delete_container(op, r),
            Parsed::SetData(r) => self.set_data(op, r),
            Parsed::SetAcl(r) => self.set_acl(op, r),
            Parsed::Multi(r) => Ok(self.multi(op, r)),
            Parsed::Reconfig if !self.options.reconfig => Err(ErrorCode::ReconfigDisabled),
            Parsed::Reconfig => Err(self.refuse_reconfig(op)),
            Parsed::Unreadable => Err(ErrorCode::MarshallingError),
            Parsed::CreateSession => Ok(Txn::CreateSession(request.session_timeout_ms)),
            Parsed::CloseSession => Ok(self.close_session(op)),
        }
    }

    /// Changing the members is not built yet. Whoever could not do it on Apache's server either
    /// hears why; anybody else hears what a standalone server says to all.
    fn refuse_reconfig(&self, op: &Op<'_>) -> ErrorCode {
        let checked = op.cx.session.and(op.cx.reconfig).and_then(|()| {
            let node = self.find(op, tree::CONFIG_PATH)?;
            op.cx.auth.check(&node.acl, perms::WRITE, op.identities)
        });
        checked.err().unwrap_or(ErrorCode::Unimplemented)
    }

    fn take_zxid(&mut self) -> Zxid {
        self.last_zxid = self.last_zxid.next().expect("the peer stops before the counter ends");
        self.last_zxid
    }

    /// The znode at `path` as this request must see it.
    fn find(&self, op: &Op<'_>, path: &str) -> Result<Pending, ErrorCode> {
        self.overlay.find(op.cx.replica, path).ok_or(ErrorCode::NoNode)
    }

    /// `before` becomes `after` at `path`, in the overlay and in the digest.
    fn update(&mut self, path: &str, before: &Pending, after: Pending) {
        self.undigest(path, before);
        self.insert(path, after);
    }

    /// A new znode at `path`.
    fn insert(&mut self, path: &str, node: Pending) {
        self.digest = self.digest.wrapping_add(tree::node_digest(node.crc, path, &node.stat));
        self.overlay.put(path, node);
    }

    /// The znode at `path` goes.
    fn remove(&mut self, path: &str, before: &Pending, zxid: Zxid) {
        self.undigest(path, before);
        self.overlay.delete(path, zxid);
    }

    fn undigest(&mut self, path: &str, before: &Pending) {
        self.digest = self.digest.wrapping_sub(tree::node_digest(before.crc, path, &before.stat));
    }

    /// Whether a znode with this owner belongs to a session (and so can't have children).
    fn is_session_owned(&self, stat: &StatPersisted) -> bool {
        matches!(self.options.owners.read(stat.ephemeral_owner), Owner::Session(_))
    }
}

/// What becomes of a learner's client's request whose body can't be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It gets MarshallingError in its turn, and nobody else hears of it.
    Refused,
    /// It fails as a transaction of its own, like any multi.
    Logged,
}

/// Whether a write's or sync's body can be parsed: what can't be must not leave this server.
/// `Some`: nor must this body, but the one here in its place.
pub fn check_body(op: OpCode, body: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let read = match op {
        OpCode::Sync => jute::proto::PathRequest::from_bytes(body).map(|_| None),
        _ => Parsed::read(op, body).map(|parsed| disarm::disarm(parsed, body)),
    };
    read.map_err(|error| match error {
        DecodeError::Null => Unreadable::Refused,
        _ if op == OpCode::Multi => Unreadable::Logged,
        _ => Unreadable::Refused,
    })
}

/// Whether a request may make ephemerals: a session that only one server knows must be made known
/// to all first (Apache's `ZooKeeperServer.checkUpgradeSession`).
pub fn may_make_ephemerals(op: OpCode, body: &[u8]) -> bool {
    let is_ephemeral = |flags| create::Mode::from_flags(flags).is_some_and(|m| m.is_ephemeral());
    match Parsed::read(op, body) {
        Ok(Parsed::Create(request)) => is_ephemeral(request.flags),
        Ok(Parsed::Multi(parts)) => parts.iter().any(|part| match part {
            multi::SubOp::Create(_, request) => is_ephemeral(request.flags),
            _ => false,
        }),
        _ => false,
    }
}

/// A write's body, parsed.
enum Parsed<'a> {
    Create(jute::proto::CreateRequest<'a>),
    CreateTtl(jute::proto::CreateTtlRequest<'a>),
    Delete(jute::proto::DeleteRequest<'a>),
    DeleteContainer(jute::proto::DeleteContainerRequest<'a>),
    SetData(jute::proto::SetDataRequest<'a>),
    SetAcl(jute::proto::SetAclRequest<'a>),
    Reconfig,
    Multi(Vec<multi::SubOp<'a>>),
    /// A multi whose body makes no sense.
    Unreadable,
    CreateSession,
    CloseSession,
}

impl<'a> Parsed<'a> {
    fn read(op: OpCode, body: &'a [u8]) -> Result<Parsed<'a>, DecodeError> {
        let r = &mut Reader::new(body);
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                Parsed::Create(Decode::decode(r)?)
            }
            OpCode::CreateTtl => Parsed::CreateTtl(Decode::decode(r)?),
            OpCode::Delete => Parsed::Delete(Decode::decode(r)?),
            OpCode::DeleteContainer => Parsed::DeleteContainer(Decode::decode(r)?),
            OpCode::SetData => Parsed::SetData(Decode::decode(r)?),
            OpCode::SetAcl => Parsed::SetAcl(Decode::decode(r)?),
            OpCode::Reconfig => {
                jute::proto::ReconfigRequest::decode(r)?;
                Parsed::Reconfig
            }
            OpCode::Multi => Parsed::Multi(multi::sub_ops(Decode::decode(r)?)?),
            OpCode::CreateSession => Parsed::CreateSession,
            OpCode::CloseSession => Parsed::CloseSession,
            _ => return Err(DecodeError::UnknownType(op.code())),
        })
    }
}
