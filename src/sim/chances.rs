//! How often the seldom ways of a server come, and how often they have come.

use std::collections::BTreeMap;

use super::Rng;
use crate::types::Chance;

/// One time in so many, for those that come at all.
pub type Odds = BTreeMap<Chance, usize>;

/// The odds of a seed: each way is off in half of them.
pub fn draw(seed: u64) -> Odds {
    let mut rng = Rng::new(seed ^ 0x4348_414e_4345);
    let drawn = Chance::ALL.into_iter().map(|way| (way, rng.one_in(2), rng.below(3)));
    // What is asked for seldom comes more often.
    let odds = |way, drawn: usize| match way {
        Chance::LogNotFound | Chance::PurgeSoon => [2, 3, 5][drawn],
        Chance::SnapshotNow => [40, 200, 1_000][drawn],
        _ => [4, 20, 200][drawn],
    };
    drawn.filter(|(_, on, _)| *on).map(|(way, _, drawn)| (way, odds(way, drawn))).collect()
}

/// A server's.
#[derive(Debug, Clone)]
pub struct Chances {
    odds: Odds,
    rng: Rng,
    /// How often each has come.
    pub taken: BTreeMap<Chance, u64>,
}

impl Default for Chances {
    /// Nothing ever comes.
    fn default() -> Chances {
        Chances::new(Odds::new(), 0)
    }
}

impl Chances {
    pub fn new(odds: Odds, seed: u64) -> Chances {
        Chances { odds, rng: Rng::new(seed), taken: BTreeMap::new() }
    }

    /// Whether it comes this time.
    pub fn comes(&mut self, way: Chance) -> bool {
        let Some(one_in) = self.odds.get(&way) else { return false };
        let comes = self.rng.one_in(*one_in);
        if comes {
            *self.taken.entry(way).or_default() += 1;
        }
        comes
    }

    /// A number below `n`, which is not 0, for what has come.
    pub fn below(&mut self, n: usize) -> usize {
        self.rng.below(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{run, Options, Shape};

    #[test]
    fn what_has_no_odds_never_comes() {
        let mut never = Chances::default();
        assert!((0..100).all(|_| !never.comes(Chance::LogRolls)));
        assert!(never.taken.is_empty());
        let mut always = Chances::new(Odds::from([(Chance::LogRolls, 1)]), 7);
        assert!((0..100).all(|_| always.comes(Chance::LogRolls)));
        assert!(!always.comes(Chance::BatchOfOne));
        assert_eq!(always.taken, BTreeMap::from([(Chance::LogRolls, 100)]));
    }

    /// Each alone, and everybody agrees in spite of it. How often all of them come in whole seeds
    /// is in the closing summary.
    #[test]
    fn a_way_with_odds_is_gone() {
        for way in [Chance::BatchOfOne, Chance::EventAlone, Chance::SnapshotNow] {
            let shape = Shape {
                chances: Odds::from([(way, 3)]),
                safety_ms: 4_000,
                snap_count: 60,
                commit_log_count: 1,
                ..Shape::quiet(3)
            };
            let closing = run(5, Options { shape: Some(shape), ..Options::default() });
            assert!(closing.violations.is_empty(), "{way:?}: {:?}", closing.violations);
            assert!(closing.chances.contains_key(&way), "{way:?} never came");
            assert_eq!(closing.chances.len(), 1, "{way:?} alone");
        }
    }
}
