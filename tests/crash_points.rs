//! Crash points of the fixed scripts: all of some short ones at each `cargo test`, all of all by
//! `oxkeeper-sim --crash-points`. docs/SIMULATION.md tells more.

use oxkeeper::sim::script::{scripts, strike, survey, Script};
use oxkeeper::sim::Closing;

fn script(name: &str) -> Script {
    scripts().into_iter().find(|script| script.name == name).expect("there is such a script")
}

fn is_well(closing: &Closing, how: &str) {
    let broken = closing.broken();
    assert!(broken.is_empty(), "`oxkeeper-sim --crash-points {how}` shows it again:\n{broken}");
}

/// Crashes at each point of a script.
fn survives(name: &str) {
    let script = script(name);
    let (points, closing) = survey(&script, None);
    is_well(&closing, &format!("--script {name}"));
    let mut covered = 0;
    for point in &points {
        let struck = strike(&script, *point, None);
        is_well(&struck.closing, &format!("--script {name} --at {point}"));
        covered += usize::from(struck.is_reached);
    }
    println!("{name}: {covered} of {} points covered", points.len());
    assert_eq!(covered, points.len(), "each point that one run has met another one meets");
}

#[test]
fn a_crash_anywhere_in_a_few_writes_is_survived() {
    survives("writes");
}

#[test]
fn a_crash_anywhere_in_a_truncation_is_survived() {
    survives("trunc");
}

#[test]
fn all_scripts_run_well_without_a_crash() {
    for script in scripts() {
        let (points, closing) = survey(&script, None);
        is_well(&closing, &format!("--script {}", script.name));
        assert!(points.len() > 50, "{}: only {} points", script.name, points.len());
    }
}

#[test]
fn scripts_synchronize_learners_as_their_names_say() {
    for (name, how) in [
        ("diff", "DIFF"),
        ("diff-under-way", "DIFF"),
        ("observer-joins", "DIFF"),
        ("snap-rolling", "SNAP"),
        ("trunc", "TRUNC"),
        ("trunc-restart", "TRUNC"),
    ] {
        let (_, closing) = survey(&script(name), None);
        assert!(closing.syncs.contains_key(how), "{name}: {:?}", closing.syncs);
    }
}
