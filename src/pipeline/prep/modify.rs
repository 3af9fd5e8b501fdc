//! delete, deleteContainer, setData, setACL, check: Apache's order of checks.

use std::borrow::Cow;
use std::sync::Arc;

use jute::proto::{
    CheckVersionRequest, DeleteContainerRequest, DeleteRequest, SetAclRequest, SetDataRequest,
};
use jute::txn::{CheckVersionTxn, DeleteTxn, SetAclTxn, SetDataTxn, Txn};
use jute::ErrorCode;

use super::{Op, Prep};
use crate::auth::perms;
use crate::pipeline::overlay::Pending;
use crate::tree;
use crate::types::{parent_and_name, validate_path};

/// Nobody may delete these (Apache's `DataTree.isSpecialPath`).
const SPECIAL_PATHS: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

impl Prep {
    /// delete needs a permission on the parent only.
    pub(super) fn delete<'b>(
        &mut self,
        op: &Op<'_>,
        r: DeleteRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        op.cx.session?;
        let path = r.path.ok_or(ErrorCode::MarshallingError)?;
        let parent_path = deletable_parent(&path)?;
        let parent = self.find(op, parent_path)?;
        op.cx.auth.check(&parent.acl, perms::DELETE, op.identities)?;
        let node = self.find(op, &path)?;
        next_version(node.stat.version, r.version)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.note_deleted(op, &path, node, parent_path, parent);
        Ok(Txn::Delete(DeleteTxn { path }))
    }

    /// deleteContainer, by the reaper: the znode must still be empty and nobody's ephemeral.
    pub(super) fn delete_container<'b>(
        &mut self,
        op: &Op<'_>,
        r: DeleteContainerRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        let path = r.path.map(jute::decode_text).ok_or(ErrorCode::MarshallingError)?;
        let parent_path = deletable_parent(&path)?;
        let node = self.find(op, &path)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if self.is_session_owned(&node.stat) {
            return Err(ErrorCode::BadVersion);
        }
        let parent = self.find(op, parent_path)?;
        self.note_deleted(op, &path, node, parent_path, parent);
        Ok(Txn::DeleteContainer(DeleteTxn { path }))
    }

    /// setData: the quota comes before the version.
    pub(super) fn set_data<'b>(
        &mut self,
        op: &Op<'_>,
        r: SetDataRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        op.cx.session?;
        let path = valid(r.path)?;
        let node = self.find(op, &path)?;
        op.cx.auth.check(&node.acl, perms::WRITE, op.identities)?;
        self.check_set_quota(op, &path, node.data_len, r.data)?;
        let version = next_version(node.stat.version, r.version)?;
        let mut after = node.clone();
        after.zxid = op.zxid;
        after.stat.version = version;
        after.stat.mtime = op.cx.now.wall_ms;
        after.stat.mzxid = op.zxid.0;
        after.crc = tree::path_data_crc(&path, r.data);
        after.data_len = r.data.map_or(0, <[u8]>::len) as i64;
        self.update(&path, &node, after);
        Ok(Txn::SetData(SetDataTxn { path, data: r.data, version }))
    }

    /// setACL: requests behind it are judged by the new list.
    pub(super) fn set_acl<'b>(
        &mut self,
        op: &Op<'_>,
        r: SetAclRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        op.cx.session?;
        let path = valid(r.path)?;
        let acl = op.cx.auth.fix_up(r.acl.as_deref(), op.identities)?;
        let node = self.find(op, &path)?;
        op.cx.auth.check(&node.acl, perms::ADMIN, op.identities)?;
        let version = next_version(node.stat.aversion, r.version)?;
        let mut after = node.clone();
        after.zxid = op.zxid;
        after.stat.aversion = version;
        after.acl = Arc::from(acl.as_slice());
        self.update(&path, &node, after);
        Ok(Txn::SetAcl(SetAclTxn { path, acl: Some(acl), version }))
    }

    /// check, inside a multi: changes nothing, but must hold.
    pub(super) fn check<'b>(
        &mut self,
        op: &Op<'_>,
        r: CheckVersionRequest<'b>,
    ) -> Result<Txn<'b>, ErrorCode> {
        op.cx.session?;
        let path = valid(r.path)?;
        let node = self.find(op, &path)?;
        op.cx.auth.check(&node.acl, perms::READ, op.identities)?;
        let version = next_version(node.stat.version, r.version)?;
        Ok(Txn::Check(CheckVersionTxn { path, version }))
    }

    /// The overlay and the digest without `path`.
    pub(super) fn note_deleted(
        &mut self,
        op: &Op<'_>,
        path: &str,
        node: Pending,
        parent_path: &str,
        parent: Pending,
    ) {
        let mut after = parent.clone();
        after.zxid = op.zxid;
        after.child_count -= 1;
        after.stat.pzxid = op.zxid.0;
        self.update(parent_path, &parent, after);
        self.remove(path, &node, op.zxid);
    }
}

/// The parent of a path that may be deleted.
fn deletable_parent(path: &str) -> Result<&str, ErrorCode> {
    if path.contains('\0') || SPECIAL_PATHS.contains(&path) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(parent_and_name(path).ok_or(ErrorCode::BadArguments)?.0)
}

/// A null path is just another path that is not valid.
fn valid(path: Option<Cow<'_, str>>) -> Result<Cow<'_, str>, ErrorCode> {
    let path = path.unwrap_or_default();
    validate_path(&path).map_err(|_| ErrorCode::BadArguments)?;
    Ok(path)
}

/// -1 expects any version. Versions wrap as Java's ints do.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    Ok(current.wrapping_add(1))
}
