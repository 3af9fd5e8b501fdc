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
        self.try_less(|less| less.plain = true);
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
    use crate::sim::check::{Act, Check, Note, WorldView};
    use crate::sim::{run, Closing, Options, Shape};

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

    /// An invariant that a server's fourth start breaks, in one of two ways: it has begun, all
    /// servers begin anew at the end of a run, so that it was killed twice.
    #[derive(Debug)]
    struct Broken {
        starts: [u32; 3],
        panics: bool,
    }

    impl Check for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn after(&mut self, _: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
            self.starts[node] += u32::from(matches!(note.act, Act::Starts { .. }));
            match self.starts[node] {
                0..4 => Ok(()),
                _ if self.panics => panic!("a fourth start"),
                _ => Err("a fourth start".to_owned()),
            }
        }
    }

    fn real_run(less: &Less, panics: bool) -> Closing {
        let mut shape = Shape::quiet(3);
        shape.safety_ms = 4_000;
        (shape.faults.kill_every_ms, shape.faults.reset_every_ms) = (500, 300);
        let check: Box<dyn Check> = Box::new(Broken { starts: [0; 3], panics });
        let (shape, check, less) = (Some(shape), Some(check), less.clone());
        run(7, Options { shape, check, less, ..Options::default() })
    }

    fn shrink_real_runs(panics: bool, name: &str) {
        let shrunk = shrink(Less::default(), 100, &mut |less| {
            let closing = real_run(less, panics);
            closing.violations.iter().any(|violation| violation.check == name).then(|| Failure {
                at_ms: closing.simulated_ms,
                clients: less.clients.unwrap_or(3),
                requests: closing.requests,
                struck: closing.struck,
            })
        });
        let shrunk = shrunk.expect("it fails");
        let kinds: Vec<Fault> = shrunk.failure.struck.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Fault::Kill, Fault::Kill]);
        assert_eq!((shrunk.less.clients, shrunk.less.requests), (Some(1), Some(1)));
        assert!(shrunk.runs < 100, "it has come to its end");
        let again = real_run(&shrunk.less, panics);
        assert_eq!(again.violations[0].check, name, "the options say everything");
    }

    #[test]
    fn a_broken_invariant_is_shrunk() {
        shrink_real_runs(false, "broken");
    }

    /// It prints what it says for each run: that is so with whatever panics.
    #[test]
    fn a_panic_is_shrunk() {
        shrink_real_runs(true, "panic");
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
