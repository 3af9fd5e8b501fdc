//! Looks for the seeds at which a mutant is found: each run is on a thread of its own, so that one
//! that panics takes nothing with it.

use std::thread;

use super::{run, Closing, Options};
use crate::mutants::{switch_on, Mutant};

/// As deep as the main thread's.
const STACK_BYTES: usize = 8 << 20;
/// What stands for the check if the server or the simulator itself has found it.
const PANIC: &str = "panic";

/// What came of it.
#[derive(Debug, Clone)]
pub struct Hunt {
    pub mutant: Mutant,
    /// So many seeds were run.
    pub seeds: u64,
    /// `None`: it has survived them.
    pub caught: Option<Caught>,
}

/// How it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    pub seed: u64,
    /// The first check that says something is broken, or `panic`.
    pub check: String,
    pub what: String,
}

/// Where a disk is read again there must be something wrong with it.
fn needs_damage(mutant: Mutant) -> bool {
    mutant == Mutant::HoleSkipped
}

/// Runs a seed, with a mutant or without; an error is what it panicked with.
fn run_apart(mutant: Option<Mutant>, seed: u64, over_damage: bool) -> Result<Closing, String> {
    let whole_run = move || {
        mutant.into_iter().for_each(switch_on);
        run(seed, Options { over_damage, ..Options::default() })
    };
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    let running = builder.spawn(whole_run).expect("a thread can be had");
    running.join().map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    })
}

/// What a seed finds, if anything.
fn finding(mutant: Option<Mutant>, seed: u64, over_damage: bool) -> Option<Caught> {
    match run_apart(mutant, seed, over_damage) {
        Ok(closing) => {
            let first = closing.violations.into_iter().next()?;
            Some(Caught { seed, check: first.check.to_owned(), what: first.what })
        }
        Err(what) => Some(Caught { seed, check: PANIC.to_owned(), what }),
    }
}

/// Runs seeds from `first` on, so many at most, until one finds the mutant. A seed that finds
/// something without it as well says nothing of it.
pub fn hunt(mutant: Mutant, first: u64, budget: u64) -> Hunt {
    let over_damage = needs_damage(mutant);
    for seed in first..first + budget {
        let caught = finding(Some(mutant), seed, over_damage);
        if caught.is_some() && finding(None, seed, over_damage).is_none() {
            return Hunt { mutant, seeds: seed - first + 1, caught };
        }
    }
    Hunt { mutant, seeds: budget, caught: None }
}
