//! Delta debugging: from a seed that fails to the least of it that still fails the same check.
//!
//! Whole kinds of faults go first, then time, clients and requests by halving, then single faults
//! in ever smaller groups; around again until nothing goes any more. Each fault has random numbers
//! of its own, so that what stays is struck as before; what servers make of it may change, and
//! then the attempt has simply not failed.

use super::less::Less;
use super::Fault;

/// What a failing run was, as far as shrinking asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// When it failed, ms.
    pub at_ms: u64,
    pub clients: usize,
    /// Requests of the client that asked most.
    pub requests: u64,
    /// The faults that had been injected.
    pub struck: Vec<(Fault, u64)>,
}

/// What shrinking has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    pub less: Less,
    pub failure: Failure,
    /// So many runs it took.
    pub runs: u64,
}

/// The search.
struct Search<'a> {
    attempt: &'a mut dyn FnMut(&Less) -> Option<Failure>,
    best: Less,
    failure: Failure,
    runs: u64,
    runs_max: u64,
}

/// Finds a small failing run, beginning with `less`. `attempt` runs and answers how it failed, if
/// it failed in the way that is looked for; it is asked `runs_max` times at most. `None`: the
/// first run does not fail.
pub fn shrink(
    less: Less,
    runs_max: u64,
    attempt: &mut dyn FnMut(&Less) -> Option<Failure>,
) -> Option<Shrunk> {
    let failure = attempt(&less)?;
    let mut search = Search { attempt, best: less, failure, runs: 1, runs_max };
    loop {
        let before = search.best.clone();
        search.kinds();
        search.time();
        search.clients();
        search.requests();
        search.singles();
        if search.best == before || search.runs >= runs_max {
            let Search { best: less, failure, runs, .. } = search;
            return Some(Shrunk { less, failure, runs });
        }
    }
}

impl Search<'_> {
    /// Takes the change if the run still fails with it.
    fn try_less(&mut self, change: impl FnOnce(&mut Less)) -> bool {
        let mut less = self.best.clone();
        change(&mut less);
        if less == self.best || self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let Some(failure) = (self.attempt)(&less) else { return false };
        (self.best, self.failure) = (less, failure);
        true
    }

    fn kinds(&mut self) {
        for fault in Fault::ALL {
            if self.failure.struck.iter().any(|(kind, _)| *kind == fault) {
                self.try_less(|less| {
                    less.without.insert(fault);
                    less.skipped.retain(|(kind, _)| *kind != fault);
                });
            }
        }
    }

    /// Nothing behind the failure counts; then less and less of what is in front of it.
    fn time(&mut self) {
        let at_ms = self.failure.at_ms;
        if self.best.until_ms.is_none_or(|until_ms| until_ms > at_ms) {
            self.try_less(|less| less.until_ms = Some(at_ms));
        }
        let Some(mut good) = self.best.until_ms else { return };
        let mut bad = 0;
        while good - bad > 250 {
            let middle = bad + (good - bad) / 2;
            match self.try_less(|less| less.until_ms = Some(middle)) {
                true => good = middle,
                false => bad = middle,
            }
        }
    }

    fn clients(&mut self) {
        for clients in 1..self.failure.clients {
            if self.try_less(|less| less.clients = Some(clients)) {
                return;
            }
        }
    }

    fn requests(&mut self) {
        let mut good = self.best.requests.unwrap_or(self.failure.requests);
        let mut bad = 0;
        while good > bad + 1 {
            let middle = bad + (good - bad) / 2;
            match self.try_less(|less| less.requests = Some(middle)) {
                true => good = middle,
                false => bad = middle,
            }
        }
    }

    /// Leaves out groups of faults: halves, quarters, down to each alone.
    fn singles(&mut self) {
        let mut size = self.failure.struck.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.failure.struck.len() {
                let group = self.failure.struck.iter().skip(from).take(size);
                let group: Vec<_> = group.copied().collect();
                if !self.try_less(|less| less.skipped.extend(group)) {
                    from += size;
                }
                if self.runs >= self.runs_max {
                    return;
                }
            }
            size /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty faults of three kinds, one each 500 ms: fails by the second kill behind the first
    /// partition, if there are two clients and seven requests.
    fn attempt(less: &Less) -> Option<Failure> {
        let kinds = [Fault::Kill, Fault::Partition, Fault::Flip];
        let until_ms = less.until_ms.unwrap_or(20_000);
        let clients = less.clients.unwrap_or(6);
        let requests = less.requests.unwrap_or(90);
        let mut struck = Vec::new();
        let (mut is_cut, mut kills) = (false, 0);
        for n in 0..30 {
            let fault = (kinds[n as usize % 3], n / 3);
            let at_ms = 500 * n;
            let is_on = at_ms < until_ms && !less.without.contains(&fault.0);
            if !is_on || less.skipped.contains(&fault) {
                continue;
            }
            struck.push(fault);
            is_cut |= fault.0 == Fault::Partition;
            kills += u32::from(is_cut && fault.0 == Fault::Kill);
            if kills == 2 && clients >= 2 && requests >= 7 {
                return Some(Failure { at_ms: at_ms + 1, clients, requests, struck });
            }
        }
        None
    }

    #[test]
    fn the_least_is_found() {
        let shrunk = shrink(Less::default(), 500, &mut attempt).expect("it fails");
        let kinds: Vec<Fault> = shrunk.failure.struck.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Fault::Partition, Fault::Kill, Fault::Kill]);
        assert_eq!((shrunk.less.clients, shrunk.less.requests), (Some(2), Some(7)));
        assert!(shrunk.less.without.contains(&Fault::Flip));
        assert!(shrunk.less.until_ms.is_some_and(|ms| (3_001..=3_500).contains(&ms)));
        assert!(attempt(&shrunk.less).is_some());
    }

    #[test]
    fn runs_are_bounded() {
        let mut runs = 0;
        let shrunk = shrink(Less::default(), 9, &mut |less| {
            runs += 1;
            attempt(less)
        });
        assert_eq!(shrunk.expect("it fails").runs, 9);
        assert_eq!(runs, 9);
    }

    #[test]
    fn what_does_not_fail_is_not_shrunk() {
        let less = Less { clients: Some(1), ..Less::default() };
        assert_eq!(shrink(less, 9, &mut attempt), None);
    }
}
