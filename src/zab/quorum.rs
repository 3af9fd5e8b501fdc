//! Who may vote, and which sets of votes decide (Apache's `QuorumMaj` and `QuorumHierarchical`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::types::Sid;

/// The members of an ensemble under one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The zxid of the reconfig that made it; 0 for the file zoo.cfg itself.
    pub version: i64,
    /// The servers with the role participant.
    pub voters: BTreeSet<Sid>,
    /// The servers with the role observer.
    pub observers: BTreeSet<Sid>,
    pub rule: QuorumRule,
    /// The configuration as servers tell it each other: `server.N=…` lines and the version.
    pub text: Bytes,
}

/// What a file on this server's disk says for two voters, of which one alone is no quorum
/// (Apache's `QuorumOracleMaj`, `oraclePath`). Whoever writes the two files sees to it that they
/// never both say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oracle {
    /// There is none, or nobody has to ask it: the other voter is there.
    #[default]
    Silent,
    /// This server may go on alone.
    Yes,
    /// It must not; and whoever leads alone may.
    No,
}

/// What makes a quorum of the voters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuorumRule {
    /// More than half of the voters.
    Majority,
    /// More than half of the weight in more than half of the groups that weigh anything.
    Groups { group_of: BTreeMap<Sid, i64>, weight_of: BTreeMap<Sid, i64> },
}

impl Membership {
    /// Whether the server has a vote.
    pub fn is_voter(&self, sid: Sid) -> bool {
        self.voters.contains(&sid)
    }

    /// The weight of a voter's vote; 0 for everybody else. A server without weight never leads.
    pub fn weight(&self, sid: Sid) -> i64 {
        match &self.rule {
            _ if !self.is_voter(sid) => 0,
            QuorumRule::Majority => 1,
            QuorumRule::Groups { weight_of, .. } => weight_of.get(&sid).copied().unwrap_or(1),
        }
    }

    /// Two voters that decide by majority, that is, only together.
    fn is_pair(&self) -> bool {
        self.rule == QuorumRule::Majority && self.voters.len() == 2
    }

    /// Whether these servers decide. Whoever has no vote counts for nothing.
    pub fn is_quorum(&self, acks: &BTreeSet<Sid>) -> bool {
        match &self.rule {
            QuorumRule::Majority => {
                let short = usize::from(mutant!(SmallQuorum));
                acks.intersection(&self.voters).count() + short > self.voters.len() / 2
            }
            QuorumRule::Groups { group_of, .. } => self.is_group_quorum(group_of, acks),
        }
    }

    fn is_group_quorum(&self, group_of: &BTreeMap<Sid, i64>, acks: &BTreeSet<Sid>) -> bool {
        let mut groups: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for voter in &self.voters {
            let Some(group) = group_of.get(voter) else { continue };
            let (total, given) = groups.entry(*group).or_default();
            *total += self.weight(*voter);
            *given += if acks.contains(voter) { self.weight(*voter) } else { 0 };
        }
        groups.retain(|_, (total, _)| *total > 0);
        let won = groups.values().filter(|(total, given)| *given > total / 2).count();
        won > groups.len() / 2
    }
}

/// The configurations that must all agree: the committed one and, while a reconfig is under way,
/// the one to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorums {
    pub committed: Membership,
    /// Present only while its version is greater than the committed one's.
    pub last_seen: Option<Membership>,
    pub oracle: Oracle,
}

impl Quorums {
    /// Nothing but `committed`.
    pub fn settled(committed: Membership) -> Quorums {
        Quorums { committed, last_seen: None, oracle: Oracle::Silent }
    }

    /// Whether these servers decide under every configuration.
    pub fn is_quorum(&self, acks: &BTreeSet<Sid>) -> bool {
        self.all().all(|membership| {
            let alone = self.oracle == Oracle::Yes && membership.is_pair();
            membership.is_quorum(acks) || (alone && !acks.is_disjoint(&membership.voters))
        })
    }

    /// Whether the other one of two voters may lead without this one.
    pub fn yields_to_the_other(&self) -> bool {
        self.oracle == Oracle::No && self.all().all(Membership::is_pair)
    }

    /// Whether the server has a vote under any configuration.
    pub fn is_voter(&self, sid: Sid) -> bool {
        self.all().any(|membership| membership.is_voter(sid))
    }

    /// Whoever has a vote under any configuration.
    pub fn voters(&self) -> BTreeSet<Sid> {
        self.all().flat_map(|membership| membership.voters.iter().copied()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Membership> {
        std::iter::once(&self.committed).chain(&self.last_seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sids(ids: &[i64]) -> BTreeSet<Sid> {
        ids.iter().copied().map(Sid).collect()
    }

    fn majority(ids: &[i64]) -> Membership {
        Membership {
            version: 0,
            voters: sids(ids),
            observers: BTreeSet::new(),
            rule: QuorumRule::Majority,
            text: Bytes::new(),
        }
    }

    #[test]
    fn more_than_half_of_the_voters_decide_and_strangers_count_for_nothing() {
        let four = majority(&[1, 2, 3, 4]);
        assert!(!four.is_quorum(&sids(&[1, 2])));
        assert!(four.is_quorum(&sids(&[1, 2, 3])));
        assert!(!four.is_quorum(&sids(&[1, 2, 8, 9])));
    }

    #[test]
    fn groups_decide_by_weight_and_weightless_groups_are_left_out() {
        let group_of = [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 3)];
        let weight_of = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 0), (7, 0)];
        let of = |pairs: &[(i64, i64)]| pairs.iter().map(|&(s, n)| (Sid(s), n)).collect();
        let mut ensemble = majority(&[1, 2, 3, 4, 5, 6, 7]);
        ensemble.rule = QuorumRule::Groups { group_of: of(&group_of), weight_of: of(&weight_of) };
        assert!(!ensemble.is_quorum(&sids(&[1, 2, 3, 6, 7])), "one group of two");
        assert!(!ensemble.is_quorum(&sids(&[1, 2, 4, 6])), "half of the second group's weight");
        assert!(ensemble.is_quorum(&sids(&[1, 2, 4, 5])));
    }

    #[test]
    fn an_oracle_lets_one_of_two_decide() {
        let mut quorums = Quorums::settled(majority(&[1, 2]));
        assert!(!quorums.is_quorum(&sids(&[1])));
        quorums.oracle = Oracle::Yes;
        assert!(quorums.is_quorum(&sids(&[1])));
        assert!(!quorums.is_quorum(&sids(&[])) && !quorums.is_quorum(&sids(&[3])));
        quorums.oracle = Oracle::No;
        assert!(!quorums.is_quorum(&sids(&[1])) && quorums.yields_to_the_other());
        quorums.committed = majority(&[1, 2, 3]);
        quorums.oracle = Oracle::Yes;
        assert!(!quorums.is_quorum(&sids(&[1])), "of three voters it is asked for none");
    }

    #[test]
    fn while_a_reconfig_is_under_way_both_sides_must_agree() {
        let mut quorums = Quorums::settled(majority(&[1, 2, 3]));
        quorums.last_seen = Some(majority(&[3, 4, 5]));
        assert!(!quorums.is_quorum(&sids(&[1, 2])));
        assert!(!quorums.is_quorum(&sids(&[3, 4])));
        assert!(quorums.is_quorum(&sids(&[1, 3, 4])));
        assert_eq!(quorums.voters(), sids(&[1, 2, 3, 4, 5]));
    }
}
