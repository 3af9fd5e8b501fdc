//! Whole ensembles in the simulator: a few seeds at each `cargo test`, many more by
//! `oxkeeper-sim`. docs/SIMULATION.md tells what is checked. Seeds that have found something are in
//! `tests/regression.rs`.

use oxkeeper::sim::{run, Options};

/// Seeds of each run, from this one on. They are fixed: a test that fails must fail again.
const FIRST: u64 = 1;
const SEEDS: u64 = 16;

fn runs_well(seed: u64) {
    let closing = run(seed, Options::default());
    let broken = closing.broken();
    assert!(broken.is_empty(), "`oxkeeper-sim --seed {seed:#x}` shows it again:\n{broken}");
    assert!(closing.committed > 0, "seed {seed:#x}: nothing was ever agreed upon");
}

#[test]
fn seeds_keep_all_promises() {
    for seed in FIRST..FIRST + SEEDS / 2 {
        runs_well(seed);
    }
}

#[test]
fn more_seeds_keep_all_promises() {
    for seed in FIRST + SEEDS / 2..FIRST + SEEDS {
        runs_well(seed);
    }
}

/// More disks are damaged than anybody can bear: nobody has to serve, and nobody may lie.
#[test]
fn damaged_disks_make_nobody_lie() {
    for seed in FIRST..FIRST + 4 {
        let closing = run(seed, Options { over_damage: true, ..Options::default() });
        let (broken, how) = (closing.broken(), format!("--over-damage --seed {seed:#x}"));
        assert!(broken.is_empty(), "`oxkeeper-sim {how}` shows it again:\n{broken}");
    }
}

#[test]
fn a_seed_says_everything() {
    for seed in [3, 7, 11] {
        let (one, two) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!(one.trace, two.trace, "two runs of seed {seed} differ");
        assert_eq!(one.events, two.events);
    }
}
