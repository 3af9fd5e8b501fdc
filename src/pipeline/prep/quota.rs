//! `enforceQuota`: hard limits refuse, soft ones only speak (Apache's
//! `ZooKeeperServer.checkQuota`). Judged against the applied tree, not against what is pending.

use jute::ErrorCode;

use super::{Op, Prep};

impl Prep {
    /// A new znode counts one, and its data.
    pub(super) fn check_create_quota(
        &mut self,
        op: &Op<'_>,
        path: &str,
        data: Option<&[u8]>,
    ) -> Result<(), ErrorCode> {
        self.check_quota(op, path, data.map_or(0, <[u8]>::len) as i64, 1)
    }

    /// New data counts by the difference to what is there.
    pub(super) fn check_set_quota(
        &mut self,
        op: &Op<'_>,
        path: &str,
        data_len: i64,
        data: Option<&[u8]>,
    ) -> Result<(), ErrorCode> {
        self.check_quota(op, path, data.map_or(0, <[u8]>::len) as i64 - data_len, 0)
    }

    fn check_quota(
        &mut self,
        op: &Op<'_>,
        path: &str,
        bytes: i64,
        count: i64,
    ) -> Result<(), ErrorCode> {
        if !self.options.enforce_quota {
            return Ok(());
        }
        let replica = op.cx.replica;
        let Some(root) = replica.quota_root(path) else { return Ok(()) };
        let (limits, used) = (replica.quota_limits(root), replica.quota_figures(root));
        let is_over =
            |diff: i64, used: i64, hard: i64| diff != 0 && hard > -1 && used + diff > hard;
        if is_over(count, used.count(), limits.count_hard_limit())
            || is_over(bytes, used.bytes(), limits.byte_hard_limit())
        {
            *self.over_quota.entry(root.to_owned()).or_default() += 1;
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }
}
