//! Whether the members could be changed as a client asks: the ensemble's part of what Apache's
//! `PrepRequestProcessor` checks, in its order. The change itself is not built yet.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jute::proto::ReconfigRequest;
use jute::{Decode, ErrorCode};

use super::Peer;
use crate::types::Sid;
use crate::zab::{LearnerKind, Membership};

/// What a request would make of the members, or the error it gets.
type Read = dyn Fn(&ReconfigRequest<'_>) -> Result<Membership, ErrorCode> + Send + Sync;

/// Reads what a reconfig would make of the members. Whoever knows zoo.cfg's language does it.
#[derive(Clone)]
pub struct ReadChange(Arc<Read>);

impl ReadChange {
    /// By this function.
    pub fn new<F>(read: F) -> ReadChange
    where
        F: Fn(&ReconfigRequest<'_>) -> Result<Membership, ErrorCode> + Send + Sync + 'static,
    {
        ReadChange(Arc::new(read))
    }
}

impl fmt::Debug for ReadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadChange")
    }
}

impl Peer {
    /// What the ensemble has against a reconfig, as its leader sees it. A body that can't be read
    /// is refused elsewhere.
    pub(super) fn check_reconfig(&self, body: &[u8]) -> Result<(), ErrorCode> {
        let (Some(zab), Some(read)) = (&self.zab, &self.options.read_change) else {
            return Err(ErrorCode::Unimplemented);
        };
        let Ok(request) = ReconfigRequest::from_bytes(body) else { return Ok(()) };
        let quorums = zab.quorums();
        if quorums.last_seen.is_some() {
            return Err(ErrorCode::ReconfigInProgress);
        }
        if request.cur_config_id != -1 && request.cur_config_id != quorums.committed.version {
            return Err(ErrorCode::BadVersion);
        }
        let next = (read.0)(&request)?;
        let learners = zab.learners();
        let synced = learners.filter(|one| one.synced && one.kind == LearnerKind::Follower);
        let here: BTreeSet<Sid> = synced.map(|one| one.sid).chain([zab.me()]).collect();
        if next.is_quorum(&here) {
            Ok(())
        } else {
            Err(ErrorCode::NewConfigNoQuorum)
        }
    }
}
