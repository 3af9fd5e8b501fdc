//! Votes, and when two of them agree (Apache's `Vote`).

use std::collections::{BTreeMap, BTreeSet};

use jute::quorum::ServerState;

use crate::types::{Sid, Zxid};
use crate::zab::Notification;

/// A vote: who shall lead, why, and in which round that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Who shall lead; `i64::MIN` from those without a vote.
    pub leader: Sid,
    /// That server's last zxid when it began to look.
    pub zxid: Zxid,
    /// That server's epoch; once a leader is established, its new epoch (ZOOKEEPER-1732).
    pub peer_epoch: i64,
    /// The round of elections.
    pub round: i64,
}

impl Vote {
    pub(super) fn of(notification: &Notification) -> Vote {
        Vote {
            leader: notification.leader,
            zxid: notification.zxid,
            peer_epoch: notification.peer_epoch,
            round: notification.round,
        }
    }

    /// Whether this candidate is the better one: by epoch, then by zxid, then by id, all signed.
    /// The round plays no part.
    pub(super) fn is_better_than(&self, other: &Vote) -> bool {
        let rank = |vote: &Vote| (vote.peer_epoch, vote.zxid, vote.leader);
        rank(self) > rank(other)
    }
}

/// What was last heard from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    pub vote: Vote,
    pub state: ServerState,
    /// Format version of the notification: 0 before ZOOKEEPER-1732.
    pub version: i32,
}

impl Heard {
    /// Whether both stand for the same leadership. Votes of those who look must be equal. Those
    /// who have settled may have done so in different rounds and know different zxids of the
    /// same leader, but they know its epoch; unless one of them is too old to tell it.
    fn agrees_with(&self, other: &Heard) -> bool {
        if self.state == ServerState::Looking || other.state == ServerState::Looking {
            return self.vote == other.vote;
        }
        let comparable = (self.version > 0) == (other.version > 0);
        self.vote.leader == other.vote.leader
            && (!comparable || self.vote.peer_epoch == other.vote.peer_epoch)
    }
}

/// What was last heard from each server.
#[derive(Debug, Default)]
pub(super) struct Ballots(BTreeMap<Sid, Heard>);

impl Ballots {
    pub fn insert(&mut self, sid: Sid, heard: Heard) {
        self.0.insert(sid, heard);
    }

    pub fn remove(&mut self, sid: Sid) {
        self.0.remove(&sid);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Who agrees with `probe`.
    pub fn agreeing_with(&self, probe: &Heard) -> BTreeSet<Sid> {
        self.0.iter().filter(|(_, heard)| probe.agrees_with(heard)).map(|(sid, _)| *sid).collect()
    }

    /// Whether the server itself has said that it leads.
    pub fn says_it_leads(&self, sid: Sid) -> bool {
        self.0.get(&sid).is_some_and(|heard| heard.state == ServerState::Leading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(leader: i64, zxid: i64, peer_epoch: i64) -> Vote {
        Vote { leader: Sid(leader), zxid: Zxid(zxid), peer_epoch, round: 1 }
    }

    #[test]
    fn the_epoch_decides_before_the_zxid_and_the_zxid_before_the_id() {
        let order = [vote(9, 9, -1), vote(1, 9, 0), vote(1, -1, 1), vote(3, 7, 1), vote(4, 7, 1)];
        for (at, low) in order.iter().enumerate() {
            assert!(!low.is_better_than(low));
            for high in &order[at + 1..] {
                assert!(high.is_better_than(low) && !low.is_better_than(high));
            }
        }
        let observer = vote(i64::MIN, i64::MIN, i64::MIN);
        assert!(order[0].is_better_than(&observer));
    }

    #[test]
    fn the_settled_agree_on_leader_and_epoch_and_those_who_look_on_everything() {
        let heard = |vote, state, version| Heard { vote, state, version };
        let (old, new) = (vote(3, 7, 1), Vote { round: 4, ..vote(3, 9, 1) });
        let following = heard(old, ServerState::Following, 2);
        assert!(following.agrees_with(&heard(new, ServerState::Leading, 2)));
        assert!(!following.agrees_with(&heard(new, ServerState::Looking, 2)));
        assert!(following.agrees_with(&heard(old, ServerState::Looking, 0)));
        let next_epoch = Vote { peer_epoch: 2, ..old };
        assert!(!following.agrees_with(&heard(next_epoch, ServerState::Leading, 1)));
        assert!(following.agrees_with(&heard(next_epoch, ServerState::Leading, 0)));
    }
}
