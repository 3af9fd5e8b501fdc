//! Whom an observer learns from: the leader, or, with observer masters, the followers in turn
//! (Apache's `QuorumPeer.nextObserverMaster`).

use std::collections::BTreeSet;

use crate::types::Sid;

/// The voters in an order of this observer's own, so that observers spread over them.
#[derive(Debug, Default)]
pub(super) struct Masters {
    shuffled: Vec<Sid>,
    next: usize,
}

/// Whom to ask now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// `None`: the leader itself.
    pub(super) master: Option<Sid>,
    /// Everybody has been asked before: time for `observer.reconnectDelayMs`.
    pub(super) again: bool,
}

impl Masters {
    pub(super) fn shuffle(voters: &BTreeSet<Sid>, dice: &mut Dice) -> Masters {
        let mut shuffled: Vec<Sid> = voters.iter().copied().collect();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, dice.below(at as i64 + 1) as usize);
        }
        Masters { shuffled, next: 0 }
    }

    /// Beyond Apache: the leader, which opens no port for observers, is passed over; and where
    /// there is nobody else, it is asked itself.
    pub(super) fn choose(&mut self, leader: Sid) -> Choice {
        let mut again = false;
        for _ in 0..self.shuffled.len() {
            if self.next >= self.shuffled.len() {
                self.next = 0;
                again = true;
            }
            let master = self.shuffled[self.next];
            self.next += 1;
            if master != leader {
                return Choice { master: Some(master), again };
            }
        }
        Choice { master: None, again: true }
    }
}

/// xorshift64*: spreads observers and their waits, guards nothing.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// One of 0 to `limit` - 1; 0 if there are none.
    pub(super) fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1) as i64;
        if limit > 0 {
            drawn % limit
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masters(voters: &[i64], seed: u64) -> Masters {
        let voters = voters.iter().copied().map(Sid).collect();
        Masters::shuffle(&voters, &mut Dice::new(seed))
    }

    #[test]
    fn everybody_but_the_leader_is_asked_in_turn() {
        for seed in 0..20 {
            let mut masters = masters(&[1, 2, 3], seed);
            let mut round = || {
                let chosen: Vec<_> = (0..2).map(|_| masters.choose(Sid(3))).collect();
                let sids: BTreeSet<_> = chosen.iter().filter_map(|choice| choice.master).collect();
                assert_eq!(sids, [Sid(1), Sid(2)].into());
                chosen.iter().any(|choice| choice.again)
            };
            assert!(!round(), "the first round has no wait");
            assert!(round(), "the second has one");
        }
    }

    #[test]
    fn orders_differ() {
        let orders: BTreeSet<_> = (0..50).map(|seed| masters(&[1, 2, 3], seed).shuffled).collect();
        assert!(orders.len() > 2, "{orders:?}");
    }

    #[test]
    fn a_leader_without_followers_is_asked_itself() {
        let choice = masters(&[3], 1).choose(Sid(3));
        assert_eq!(choice.master, None);
    }

    #[test]
    fn no_wait_is_longer_than_said() {
        let mut dice = Dice::new(7);
        assert!((0..100).all(|_| (0..200).contains(&dice.below(200))));
        assert_eq!(dice.below(0), 0);
    }
}
