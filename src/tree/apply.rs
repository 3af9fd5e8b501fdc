//! The one way the state changes: a transaction is applied (Apache's `DataTree.processTxn`).
//!
//! The same transactions in the same order make the same state everywhere. Applying one that the
//! state contains already, as happens when a log is replayed on a snapshot that Apache wrote
//! while it went on, ends in the same state too; what such a replay stumbles over comes back as
//! an error and is not one.

use std::sync::Arc;

use jute::txn::{
    CreateContainerTxn, CreateTtlTxn, CreateTxn, SetAclTxn, SetDataTxn, Txn, TxnHeader, TxnRecord,
};
use jute::{Acl, ErrorCode, Stat, StatPersisted};

use super::arena::{NodeId, Znode};
use super::fired::{Events, Fired};
use super::owner::{ttl_owner, CONTAINER_OWNER};
use super::quota::{root_of, stats_path, QuotaText, LIMITS_NAME, STATS_NAME};
use super::replica::{client_stat, Replica, CONFIG_PATH};
use crate::types::{EventKind, SessionId, Table, Zxid};

/// What became of a transaction: all that its reply needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// 0, or the error number for the reply. Of a multi: the first one of its parts.
    pub err: i32,
    /// Of a create that was done: the path of the new node. Not during recovery.
    pub path: Option<Arc<str>>,
    /// Of a create, setData or setACL that was done: the node's stat right after it.
    pub stat: Option<Stat>,
    /// Of a multi: its parts in order.
    pub parts: Vec<Applied>,
    /// Whether the tree's digest is what the transaction said; `None` if that can't be compared.
    pub digest_matches: Option<bool>,
}

impl Applied {
    fn failed(err: ErrorCode) -> Applied {
        Applied { err: err.code(), ..Applied::default() }
    }
}

/// What all operations of one transaction share.
#[derive(Clone, Copy)]
struct Origin {
    session: SessionId,
    zxid: Zxid,
    time_ms: i64,
}

/// A create of any kind.
struct Creation<'t> {
    path: &'t str,
    data: Option<&'t [u8]>,
    acl: Option<&'t [Acl<'t>]>,
    owner: i64,
    parent_cversion: i32,
}

impl Replica {
    /// Applies the next transaction and appends what it fires.
    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn<'_>, fired: &mut Vec<Fired>) -> Applied {
        self.apply_whole(header, txn, &mut Events::to(fired))
    }

    /// [`apply`](Replica::apply), and compares the digest that came with the transaction.
    pub fn apply_record(&mut self, record: &TxnRecord<'_>, fired: &mut Vec<Fired>) -> Applied {
        let mut applied = self.apply(&record.header, &record.txn, fired);
        applied.digest_matches = self.compare_digest(record.digest.as_ref());
        applied
    }

    /// [`apply_record`](Replica::apply_record) without events: for recovery, when nobody watches.
    pub fn replay(&mut self, record: &TxnRecord<'_>) -> Applied {
        let mut applied = self.apply_whole(&record.header, &record.txn, &mut Events::nowhere());
        applied.digest_matches = self.compare_digest(record.digest.as_ref());
        applied
    }

    /// The node of the ensemble's configuration gets its text. No transaction: every member does
    /// it by itself when it starts, so its time differs from server to server, and the digest
    /// leaves it out (Apache's `ZKDatabase.initConfigInZKDatabase`). `version` is the
    /// configuration's, a zxid.
    pub fn write_config(&mut self, text: &[u8], version: Zxid, now_wall_ms: i64) {
        self.add_config_node();
        let origin = Origin { session: SessionId(0), zxid: version, time_ms: now_wall_ms };
        let txn = SetDataTxn { path: CONFIG_PATH.into(), data: Some(text), version: -1 };
        self.set_data(origin, &txn, &mut Events::nowhere()).expect("the node is there");
    }

    fn apply_whole(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        events: &mut Events<'_>,
    ) -> Applied {
        self.bury_ghosts();
        let origin = Origin {
            session: SessionId(header.client_id),
            zxid: Zxid(header.zxid),
            time_ms: header.time_ms,
        };
        let applied = match txn {
            Txn::Multi(parts) => self.apply_multi(origin, parts, events),
            txn => self.apply_one(origin, txn, events),
        };
        // Only now, so that no snapshot can hold a part of a multi and claim all of it.
        self.last_zxid = self.last_zxid.max(origin.zxid);
        self.note_digest(origin.zxid);
        applied
    }

    /// One part of type error makes all of them errors: 0 before it and -2 behind it.
    fn apply_multi(
        &mut self,
        origin: Origin,
        parts: &[Txn<'_>],
        events: &mut Events<'_>,
    ) -> Applied {
        let failed = parts.iter().any(|part| matches!(part, Txn::Error(_)));
        let mut behind = false;
        let mut whole = Applied::default();
        whole.parts.reserve_exact(parts.len());
        for part in parts {
            let applied = match part {
                Txn::Error(err) => {
                    behind = true;
                    Applied { err: *err, ..Applied::default() }
                }
                _ if failed && behind => Applied::failed(ErrorCode::RuntimeInconsistency),
                _ if failed => Applied::default(),
                part => self.apply_one(origin, part, events),
            };
            if whole.err == 0 {
                whole.err = applied.err;
            }
            whole.parts.push(applied);
        }
        whole
    }

    fn apply_one(&mut self, origin: Origin, txn: &Txn<'_>, events: &mut Events<'_>) -> Applied {
        let done = match txn {
            Txn::Create(t) => {
                let done = self.create(origin, &Creation::plain(origin, t), events);
                if done == Err(ErrorCode::NodeExists) {
                    // Only this type, as Apache: servers must agree on what a replay makes.
                    self.raise_parent(origin, &t.path, t.parent_cversion);
                }
                done
            }
            Txn::Create2(t) => self.create(origin, &Creation::plain(origin, t), events),
            Txn::CreateContainer(t) => self.create(origin, &Creation::container(t), events),
            Txn::CreateTtl(t) => self.create(origin, &Creation::ttl(t), events),
            Txn::Delete(t) | Txn::DeleteContainer(t) => {
                self.delete(origin, &t.path, events).map(|()| Applied::default())
            }
            Txn::SetData(t) | Txn::Reconfig(t) => self.set_data(origin, t, events),
            Txn::SetAcl(t) => self.set_acl(t),
            Txn::Check(_) => Ok(Applied::default()),
            Txn::CreateSession(timeout_ms) => {
                self.sessions.insert(origin.session, *timeout_ms);
                Ok(Applied::default())
            }
            Txn::CloseSession(paths) => {
                self.close_session(origin, paths.as_deref().unwrap_or_default(), events);
                Ok(Applied::default())
            }
            Txn::Error(err) => Ok(Applied { err: *err, ..Applied::default() }),
            // A multi in a multi can't be decoded.
            Txn::Multi(_) => Err(ErrorCode::MarshallingError),
        };
        done.unwrap_or_else(Applied::failed)
    }

    fn create(
        &mut self,
        origin: Origin,
        new: &Creation<'_>,
        events: &mut Events<'_>,
    ) -> Result<Applied, ErrorCode> {
        let (above, name) = split(new.path)?;
        let parent = self.find(above).ok_or(ErrorCode::NoNode)?;
        if let Some(id) = self.index.find(&self.arena, parent, name) {
            self.replace_acl(id, new.acl);
            return Err(ErrorCode::NodeExists);
        }
        let parent_guard = self.acls.unless_everyone_reads(self.arena[parent].acl);
        self.raise(parent, above, new.parent_cversion, origin.zxid);
        let stat = StatPersisted {
            czxid: origin.zxid.0,
            mzxid: origin.zxid.0,
            pzxid: origin.zxid.0,
            ctime: origin.time_ms,
            mtime: origin.time_ms,
            ephemeral_owner: new.owner,
            ..StatPersisted::default()
        };
        let acl = self.acls.acquire(new.acl);
        let id = self.attach(parent, name, new.path, new.data, Some(acl), &stat);
        let stat = client_stat(&self.arena[id], self.options.owners);
        if let Some(root) = root_of(above) {
            match name {
                LIMITS_NAME => self.quotas.insert(root),
                STATS_NAME => self.recount_quota(root),
                _ => {}
            }
        }
        self.add_to_quota(new.path, 1, len(new.data));
        let path = events.path(new.path);
        if let Some(path) = &path {
            let guard = self.acls.unless_everyone_reads(acl);
            events.node(path, origin.zxid, Table::Data, EventKind::NodeCreated, guard);
            events.parent(path, origin.zxid, parent_guard);
        }
        Ok(Applied { path, stat: Some(stat), ..Applied::default() })
    }

    fn delete(
        &mut self,
        origin: Origin,
        path: &str,
        events: &mut Events<'_>,
    ) -> Result<(), ErrorCode> {
        let (above, name) = split(path)?;
        let parent = self.find(above).ok_or(ErrorCode::NoNode)?;
        // Even if the node itself is gone already, as it may be in a snapshot of Apache's.
        self.change(parent, above, |node| node.pzxid = node.pzxid.max(origin.zxid.0));
        let id = self.index.find(&self.arena, parent, name).ok_or(ErrorCode::NoNode)?;
        let guard = self.acls.unless_everyone_reads(self.arena[id].acl);
        let parent_guard = self.acls.unless_everyone_reads(self.arena[parent].acl);
        self.remove_below(id);
        self.remove(id, path);
        if let Some(path) = events.path(path) {
            let kind = EventKind::NodeDeleted;
            events.node(&path, origin.zxid, Table::Data, kind, guard.clone());
            events.node(&path, origin.zxid, Table::Child, kind, guard);
            events.parent(&path, origin.zxid, parent_guard);
        }
        Ok(())
    }

    /// Takes a node without children out, and out of its quota.
    fn remove(&mut self, id: NodeId, path: &str) {
        let bytes = self.arena[id].data_len() as i64;
        self.detach(id, path);
        if let Ok((above, LIMITS_NAME)) = split(path) {
            if let Some(root) = root_of(above) {
                self.quotas.remove(root);
            }
        }
        self.add_to_quota(path, -1, -bytes);
    }

    /// Prep lets no node with children be deleted. In a replay they can be there: a snapshot that
    /// Apache wrote while it went on has children that the log creates only later. They go, and
    /// come back when the log comes to them.
    fn remove_below(&mut self, top: NodeId) {
        while let Some(child) = self.arena[top].first_child.some() {
            let mut leaf = child;
            while let Some(child) = self.arena[leaf].first_child.some() {
                leaf = child;
            }
            self.remove(leaf, &self.path_of(leaf));
        }
    }

    fn set_data(
        &mut self,
        origin: Origin,
        txn: &SetDataTxn<'_>,
        events: &mut Events<'_>,
    ) -> Result<Applied, ErrorCode> {
        let path = &*txn.path;
        let id = self.find(path).ok_or(ErrorCode::NoNode)?;
        let old_len = self.arena[id].data_len() as i64;
        self.change(id, path, |node| {
            node.mtime = origin.time_ms;
            node.mzxid = origin.zxid.0;
            node.version = txn.version;
        });
        self.replace_data(id, path, txn.data);
        let node = &self.arena[id];
        let stat = client_stat(node, self.options.owners);
        let acl = node.acl;
        self.add_to_quota(path, 0, len(txn.data) - old_len);
        if let Some(path) = events.path(if path.is_empty() { "/" } else { path }) {
            let guard = self.acls.unless_everyone_reads(acl);
            events.node(&path, origin.zxid, Table::Data, EventKind::NodeDataChanged, guard);
        }
        Ok(Applied { stat: Some(stat), ..Applied::default() })
    }

    fn set_acl(&mut self, txn: &SetAclTxn<'_>) -> Result<Applied, ErrorCode> {
        let id = self.find(&txn.path).ok_or(ErrorCode::NoNode)?;
        self.change(id, &txn.path, |node| node.aversion = txn.version);
        self.replace_acl(id, txn.acl.as_deref());
        let stat = client_stat(&self.arena[id], self.options.owners);
        Ok(Applied { stat: Some(stat), ..Applied::default() })
    }

    /// The paths in the transaction go first, in its order, whoever owns them; then what else the
    /// session owns.
    fn close_session(
        &mut self,
        origin: Origin,
        paths: &[std::borrow::Cow<'_, str>],
        events: &mut Events<'_>,
    ) {
        self.sessions.remove(&origin.session);
        for path in paths {
            // Whoever is gone already was deleted in a replay.
            let _ = self.delete(origin, path, events);
        }
        let left = |replica: &Replica| replica.ephemerals.get(&origin.session)?.first().copied();
        while let Some(id) = left(self) {
            let path = self.path_of(id);
            self.delete(origin, &path, events).expect("a listed ephemeral is in the tree");
        }
        self.ephemerals.remove(&origin.session);
    }

    /// A replayed create of a node that is there: the parent has to know of it all the same.
    fn raise_parent(&mut self, origin: Origin, path: &str, cversion: i32) {
        let Ok((above, _)) = split(path) else { return };
        if let Some(parent) = self.find(above) {
            self.raise(parent, above, cversion, origin.zxid);
        }
    }

    /// Takes the parent to the creations that the transaction says, unless it is there already.
    /// At the greatest number it stays.
    fn raise(&mut self, parent: NodeId, path: &str, cversion: i32, zxid: Zxid) {
        let stored = self.arena[parent].cversion;
        let cversion = if cversion == -1 { stored.wrapping_add(1) } else { cversion };
        if cversion > stored {
            self.change(parent, path, |node| {
                node.cversion = cversion;
                node.pzxid = zxid.0;
            });
        }
    }

    /// Changes a node's stat, and the digest with it.
    fn change(&mut self, id: NodeId, path: &str, change: impl FnOnce(&mut Znode)) {
        if let Some(image) = &mut self.image {
            image.before_change(&self.arena, id);
        }
        let before = self.digest_of(id, path);
        change(&mut self.arena[id]);
        let after = self.digest_of(id, path);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
    }

    /// Replaces a node's data and keeps the digest and the size right. Writes in place where that
    /// needs no allocation.
    fn replace_data(&mut self, id: NodeId, path: &str, data: Option<&[u8]>) {
        let crc = self.path_data_crc(path, data);
        self.change(id, path, |node| node.path_data_crc = crc);
        let keep_old = self.image.as_ref().is_some_and(|image| image.needs_data(id));
        let node = &mut self.arena[id];
        self.data_size -= node.data_len() as u64;
        self.data_size += data.map_or(0, <[u8]>::len) as u64;
        if keep_old || !node.overwrite_data(data) {
            let old = node.replace_data(data);
            if let Some(image) = &mut self.image {
                image.after_data_change(id, old);
            }
        }
    }

    fn replace_acl(&mut self, id: NodeId, acl: Option<&[Acl<'_>]>) {
        if let Some(image) = &mut self.image {
            image.before_change(&self.arena, id);
        }
        let new = self.acls.acquire(acl);
        let old = std::mem::replace(&mut self.arena[id].acl, new);
        self.acls.release(old);
    }

    /// Adds to the figures of the quota that `path` is under. Not a change that anybody is told
    /// of: neither version nor time moves.
    fn add_to_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(root) = self.quotas.deepest(path) else { return };
        let stats_path = stats_path(root);
        let Some(id) = self.find(&stats_path) else { return };
        let data = self.arena[id].data().unwrap_or_default();
        let mut text = QuotaText::parse(data).unwrap_or_default();
        text.add(count, bytes);
        self.replace_data(id, &stats_path, Some(text.to_string().as_bytes()));
    }

    /// Writes the figures of a quota root anew, from the tree. Walks all that is below.
    pub(super) fn recount_quota(&mut self, root: &str) {
        let stats_path = stats_path(root);
        let Some(id) = self.find(&stats_path) else { return };
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.find(root) {
            let next = |id: &NodeId| self.arena.next_below(top, *id);
            for id in std::iter::successors(Some(top), next) {
                count += 1;
                bytes += self.arena[id].data_len() as i64;
            }
        }
        let text = QuotaText::figures(count, bytes).to_string();
        self.replace_data(id, &stats_path, Some(text.as_bytes()));
    }
}

impl<'t> Creation<'t> {
    fn plain(origin: Origin, txn: &'t CreateTxn<'_>) -> Creation<'t> {
        Creation {
            path: &txn.path,
            data: txn.data,
            acl: txn.acl.as_deref(),
            owner: if txn.ephemeral { origin.session.0 } else { 0 },
            parent_cversion: txn.parent_cversion,
        }
    }

    fn container(txn: &'t CreateContainerTxn<'_>) -> Creation<'t> {
        Creation {
            path: &txn.path,
            data: txn.data,
            acl: txn.acl.as_deref(),
            owner: CONTAINER_OWNER,
            parent_cversion: txn.parent_cversion,
        }
    }

    fn ttl(txn: &'t CreateTtlTxn<'_>) -> Creation<'t> {
        Creation {
            path: &txn.path,
            data: txn.data,
            acl: txn.acl.as_deref(),
            owner: ttl_owner(txn.ttl_ms),
            parent_cversion: txn.parent_cversion,
        }
    }
}

/// Cuts a path at its last slash; the root as a parent is "". Prep lets only valid paths become
/// transactions, but a log may come from anywhere.
fn split(path: &str) -> Result<(&str, &str), ErrorCode> {
    match path.rsplit_once('/') {
        Some((above, name)) if !name.is_empty() => Ok((above, name)),
        _ => Err(ErrorCode::BadArguments),
    }
}

fn len(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| data.len() as i64)
}
