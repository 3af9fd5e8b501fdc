//! What words and metrics tell of a member of an ensemble. The pipeline fills it in; nothing else
//! looks at it.

use bytes::Bytes;

use super::serving::Serving;
use crate::types::Sid;

/// A member's view of its ensemble. The pipeline tells it anew when something of it has changed
/// ([`super::Shared::tell_member`]), a leader at least once a tick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberView {
    /// The committed configuration as text: `server.N=…` lines and `version=`, without a line
    /// end behind the last.
    pub membership: Bytes,
    /// Voters of the committed configuration.
    pub quorum_size: usize,
    /// Whom an observer gets its transactions from.
    pub observer_master: Option<Sid>,
    /// The observers that are up to date with this follower, if it serves any.
    pub own_observers: Option<usize>,
    /// What only a leader knows.
    pub leader: LeaderView,
}

/// A leader's learners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaderView {
    /// Connected ones, up to date or not.
    pub learners: usize,
    /// Followers with a vote that are up to date.
    pub synced_followers: usize,
    /// Followers without a vote that are up to date.
    pub synced_non_voting_followers: usize,
    /// Observers that are up to date.
    pub synced_observers: usize,
    /// Syncs that wait for a commit.
    pub pending_syncs: usize,
}

/// By how much `globalOutstandingLimit` is divided: who leads or follows three voters or more
/// takes only a part of it (Apache's `LeaderZooKeeperServer.getGlobalOutstandingLimit`).
pub(super) fn outstanding_divisor(serving: Serving, quorum_size: usize) -> i64 {
    match serving {
        Serving::Leader | Serving::Follower if quorum_size > 2 => quorum_size as i64 - 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voters_share_the_outstanding_requests() {
        let divisor = outstanding_divisor;
        assert_eq!(divisor(Serving::Leader, 5), 4);
        assert_eq!(divisor(Serving::Follower, 3), 2);
        assert_eq!(divisor(Serving::Follower, 2), 1);
        assert_eq!(divisor(Serving::Observer, 5), 1);
        assert_eq!(divisor(Serving::Standalone, 0), 1);
    }
}
