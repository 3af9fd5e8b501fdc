//! What a member can refuse by its own replica, before the ensemble hears of it.

use jute::{ErrorCode, Id, OpCode};

use super::Parsed;
use crate::auth::{perms, Auth};
use crate::pipeline::Request;
use crate::tree::Replica;
use crate::types::parent_and_name;

/// Whether the ACLs of `replica` forbid this write, with the error it gets then
/// (`enableEagerACLCheck`, Apache's `ZooKeeperServer.authWriteRequest`). Only create, create2,
/// delete, setData and setACL are looked at. What the replica does not know is for the leader to
/// judge; so is everything else that may be wrong with the request.
pub fn denied(replica: &Replica, auth: &Auth, request: &Request) -> Option<ErrorCode> {
    let ids: &[Id<'static>] = &request.identities;
    let (path, permission, list) = match (request.op, Parsed::read(request.op, &request.body)) {
        (OpCode::Create | OpCode::Create2, Ok(Parsed::Create(r))) => {
            (r.path?, perms::CREATE, Some(r.acl))
        }
        (OpCode::Delete, Ok(Parsed::Delete(r))) => (r.path?, perms::DELETE, None),
        (OpCode::SetData, Ok(Parsed::SetData(r))) => (r.path?, perms::WRITE, None),
        (OpCode::SetAcl, Ok(Parsed::SetAcl(r))) => (r.path?, perms::ADMIN, Some(r.acl)),
        _ => return None,
    };
    // Who creates or deletes needs the permission on the parent.
    let judged = match permission {
        perms::CREATE | perms::DELETE => parent_and_name(&path)?.0,
        _ => &path,
    };
    if let Some(list) = list {
        if let Err(code @ ErrorCode::InvalidAcl) = auth.fix_up(list.as_deref(), ids) {
            return Some(code);
        }
    }
    auth.check(replica.get(judged)?.acl(), permission, ids).err()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;
    use jute::proto::{CreateRequest, DeleteRequest, SetAclRequest, SetDataRequest};
    use jute::txn::{CreateTxn, Txn, TxnHeader, TxnRecord};
    use jute::{Acl, Encode};

    use super::*;
    use crate::tree::TreeOptions;
    use crate::types::SessionId;

    fn list(perms: i32) -> Option<Vec<Acl<'static>>> {
        Some(vec![Acl::new(perms, Id::new("world", "anyone"))])
    }

    fn path(path: &str) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(path))
    }

    /// `/open` for everybody, `/closed` for reading only.
    fn replica() -> Replica {
        let mut replica = Replica::new(TreeOptions::default());
        for (zxid, path, perms) in [(1, "/open", perms::ALL), (2, "/closed", perms::READ)] {
            let txn = Txn::Create(CreateTxn {
                path: Cow::Borrowed(path),
                data: None,
                acl: list(perms),
                ephemeral: false,
                parent_cversion: 1,
            });
            let header = TxnHeader { client_id: 1, cxid: 1, zxid, time_ms: 1, kind: txn.kind() };
            let mut fired = Vec::new();
            replica.apply_record(&TxnRecord { header, txn, digest: None }, &mut fired);
        }
        replica
    }

    fn judge(op: OpCode, body: &impl Encode, ids: &[Id<'static>]) -> Option<ErrorCode> {
        let request = Request {
            session: SessionId(1),
            origin: None,
            cxid: 1,
            op,
            body: Bytes::from(body.to_bytes()),
            identities: ids.into(),
            is_local: false,
            session_timeout_ms: 0,
        };
        denied(&replica(), &Auth::default(), &request)
    }

    fn create(at: &str, perms: Option<Vec<Acl<'static>>>) -> Option<ErrorCode> {
        let body = CreateRequest { path: path(at), data: None, acl: perms, flags: 0 };
        assert_eq!(judge(OpCode::CreateContainer, &body, &[]), None, "not looked at");
        let super_user = [Id::new("super", "")];
        let invalid = Some(ErrorCode::InvalidAcl);
        let by_super = judge(OpCode::Create, &body, &super_user);
        assert!(by_super.is_none() || by_super == invalid, "{by_super:?}");
        let denied = judge(OpCode::Create, &body, &[]);
        assert_eq!(judge(OpCode::Create2, &body, &[]), denied);
        denied
    }

    #[test]
    fn what_the_replicas_lists_forbid_is_denied() {
        let no_auth = Some(ErrorCode::NoAuth);
        assert_eq!(create("/open/a", list(perms::ALL)), None);
        assert_eq!(create("/closed/a", list(perms::ALL)), no_auth);
        let delete =
            |at| judge(OpCode::Delete, &DeleteRequest { path: path(at), version: -1 }, &[]);
        assert_eq!(
            (delete("/open/a"), delete("/closed/a"), delete("/closed")),
            (None, no_auth, None)
        );
        let set = |at| {
            judge(OpCode::SetData, &SetDataRequest { path: path(at), data: None, version: 0 }, &[])
        };
        assert_eq!((set("/open"), set("/closed")), (None, no_auth));
        let set_acl = |at, acl| {
            judge(OpCode::SetAcl, &SetAclRequest { path: path(at), acl, version: 0 }, &[])
        };
        assert_eq!(set_acl("/open", list(perms::ALL)), None);
        assert_eq!(set_acl("/closed", list(perms::ALL)), no_auth);
    }

    #[test]
    fn a_list_that_is_none_is_denied_whoever_asks() {
        assert_eq!(create("/open/a", None), Some(ErrorCode::InvalidAcl));
        assert_eq!(create("/closed/a", Some(Vec::new())), Some(ErrorCode::InvalidAcl));
    }

    #[test]
    fn what_the_replica_does_not_know_is_the_leaders_to_judge() {
        assert_eq!(create("/nowhere/a", list(perms::ALL)), None);
        assert_eq!(create("no path", list(perms::ALL)), None);
        let nothing = DeleteRequest { path: None, version: 0 };
        assert_eq!(judge(OpCode::Delete, &nothing, &[]), None);
    }
}
