//! create, create2, createContainer, createTTL. The order of the checks is Apache's
//! (`pRequest2TxnCreate`), since it decides which error a client sees.

use std::borrow::Cow;
use std::sync::Arc;

use jute::proto::{CreateRequest, CreateTtlRequest};
use jute::txn::{CreateContainerTxn, CreateTtlTxn, CreateTxn, Txn};
use jute::{Acl, ErrorCode, OpCode, StatPersisted};

use super::{Op, Prep};
use crate::auth::perms;
use crate::pipeline::overlay::Pending;
use crate::tree;
use crate::types::{parent_and_name, validate_path};

/// The flags of a create request (Apache's `CreateMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Persistent,
    Ephemeral,
    PersistentSequential,
    EphemeralSequential,
    Container,
    Ttl,
    TtlSequential,
}

impl Mode {
    pub(super) fn from_flags(flags: i32) -> Option<Mode> {
        Some(match flags {
            0 => Mode::Persistent,
            1 => Mode::Ephemeral,
            2 => Mode::PersistentSequential,
            3 => Mode::EphemeralSequential,
            4 => Mode::Container,
            5 => Mode::Ttl,
            6 => Mode::TtlSequential,
            _ => return None,
        })
    }

    pub(super) fn is_sequential(self) -> bool {
        matches!(self, Mode::PersistentSequential | Mode::EphemeralSequential | Mode::TtlSequential)
    }

    pub(super) fn is_ephemeral(self) -> bool {
        matches!(self, Mode::Ephemeral | Mode::EphemeralSequential)
    }

    pub(super) fn is_ttl(self) -> bool {
        matches!(self, Mode::Ttl | Mode::TtlSequential)
    }
}

/// What kind of znode a create makes, decided by the operation, not by stray flags (so that what
/// is predicted is what is applied).
enum Kind {
    Plain(OpCode, Mode),
    Container(Mode),
    Ttl(Mode, i64),
}

impl Kind {
    fn mode(&self) -> Mode {
        match self {
            Kind::Plain(_, mode) | Kind::Container(mode) | Kind::Ttl(mode, _) => *mode,
        }
    }
}

/// The quota of the root would hide in a znode whose own creation it then counts.
pub(super) fn is_reserved(path: &str) -> bool {
    path == "/zookeeper/quota/zookeeper_limits"
}

impl Prep {
    /// create, create2 and createContainer.
    pub(super) fn create<'b>(
        &mut self,
        op: &Op<'_>,
        code: OpCode,
        r: CreateRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        let mode = Mode::from_flags(r.flags).ok_or(ErrorCode::BadArguments)?;
        if mode.is_ttl() {
            // These requests carry no ttl: with extended types it counts as -1, out of range.
            let extended = self.options.owners.extended_types;
            return Err(if extended { ErrorCode::BadArguments } else { ErrorCode::Unimplemented });
        }
        let kind = match code {
            OpCode::CreateContainer => Kind::Container(mode),
            _ => Kind::Plain(code, mode),
        };
        self.create_kind(op, kind, r.path, r.data, r.acl)
    }

    /// createTTL. A life for a znode that has none to lose is refused, also a negative one.
    pub(super) fn create_ttl<'b>(
        &mut self,
        op: &Op<'_>,
        r: CreateTtlRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        let mode = Mode::from_flags(r.flags).ok_or(ErrorCode::BadArguments)?;
        if mode.is_ttl() && !self.options.owners.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        if !mode.is_ttl() || !(1..=tree::TTL_MAX_MS).contains(&r.ttl_ms) {
            return Err(ErrorCode::BadArguments);
        }
        self.create_kind(op, Kind::Ttl(mode, r.ttl_ms), r.path, r.data, r.acl)
    }

    fn create_kind<'b>(
        &mut self,
        op: &Op<'_>,
        kind: Kind,
        path: Option<Cow<'b, str>>,
        data: Option<&'b [u8]>,
        acl: Option<Vec<Acl<'b>>>,
    ) -> Result<Txn<'b>, ErrorCode> {
        op.cx.session?;
        if kind.mode().is_ephemeral() {
            op.cx.ephemerals?;
        }
        let path = path.ok_or(ErrorCode::MarshallingError)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let (parent_path, _) = parent_and_name(&path).ok_or(ErrorCode::BadArguments)?;
        let parent_path = parent_path.to_owned();
        let acl = op.cx.auth.fix_up(acl.as_deref(), op.identities)?;
        let parent = self.find(op, &parent_path)?;
        op.cx.auth.check(&parent.acl, perms::CREATE, op.identities)?;
        let path = if kind.mode().is_sequential() {
            Cow::Owned(format!("{path}{:010}", parent.stat.cversion))
        } else {
            path
        };
        validate_path(&path).map_err(|_| ErrorCode::BadArguments)?;
        if is_reserved(&path) {
            return Err(ErrorCode::BadArguments);
        }
        if self.overlay.exists(op.cx.replica, &path) {
            return Err(ErrorCode::NodeExists);
        }
        if self.is_session_owned(&parent.stat) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.check_create_quota(op, &path, data)?;
        self.note_created(op, &kind, &parent_path, parent, &path, data, &acl);
        let cversion = self.find(op, &parent_path)?.stat.cversion;
        Ok(kind.txn(path, data, acl, cversion))
    }

    #[allow(clippy::too_many_arguments)]
    fn note_created(
        &mut self,
        op: &Op<'_>,
        kind: &Kind,
        parent_path: &str,
        parent: Pending,
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl<'static>],
    ) {
        let mut after = parent.clone();
        after.zxid = op.zxid;
        after.child_count += 1;
        after.stat.cversion = after.stat.cversion.wrapping_add(1);
        after.stat.pzxid = op.zxid.0;
        self.update(parent_path, &parent, after);
        let stat = StatPersisted {
            czxid: op.zxid.0,
            mzxid: op.zxid.0,
            pzxid: op.zxid.0,
            ctime: op.cx.now.wall_ms,
            mtime: op.cx.now.wall_ms,
            ephemeral_owner: kind.owner(op.session_id),
            ..StatPersisted::default()
        };
        let node = Pending {
            zxid: op.zxid,
            stat,
            child_count: 0,
            acl: Arc::from(acl),
            crc: tree::path_data_crc(path, data),
            data_len: data.map_or(0, <[u8]>::len) as i64,
        };
        self.insert(path, node);
    }
}

impl Kind {
    fn owner(&self, session_id: i64) -> i64 {
        match self {
            Kind::Plain(_, mode) if mode.is_ephemeral() => session_id,
            Kind::Plain(..) => 0,
            Kind::Container(_) => tree::CONTAINER_OWNER,
            Kind::Ttl(_, ttl_ms) => tree::ttl_owner(*ttl_ms),
        }
    }

    fn txn<'b>(
        self,
        path: Cow<'b, str>,
        data: Option<&'b [u8]>,
        acl: Vec<Acl<'static>>,
        parent_cversion: i32,
    ) -> Txn<'b> {
        let acl = Some(acl);
        match self {
            Kind::Plain(code, mode) => {
                let txn =
                    CreateTxn { path, data, acl, ephemeral: mode.is_ephemeral(), parent_cversion };
                if code == OpCode::Create {
                    Txn::Create(txn)
                } else {
                    Txn::Create2(txn)
                }
            }
            Kind::Container(_) => {
                Txn::CreateContainer(CreateContainerTxn { path, data, acl, parent_cversion })
            }
            Kind::Ttl(_, ttl_ms) => {
                Txn::CreateTtl(CreateTtlTxn { path, data, acl, parent_cversion, ttl_ms })
            }
        }
    }
}
