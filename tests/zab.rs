//! The stories in `tests/zab/*.txt`: each tells one server's core what happens (lines that begin
//! with `> `) and lists all it wants done about it. `UPDATE_EXPECT=1` writes what it says now.
//!
//! Zxids are written epoch:counter. `> a ; b` is taken in as one batch. Everything has a deadline
//! in virtual time only; the disk answers when the story says `persisted`.

mod zab_story;

use std::fs;
use std::path::Path;

/// A story that has a test of its own.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/zab/{name}.txt"));
    let text = fs::read_to_string(&path).unwrap();
    let told = zab_story::tell(&text);
    if told != text && std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &told).unwrap();
    } else {
        assert!(told == text, "{name} (UPDATE_EXPECT=1 rewrites)\n{}", difference(&text, &told));
    }
}

macro_rules! stories {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        const NAMED: &[&str] = &[$(stringify!($name)),*];
    };
}

stories! {
    // How it should be.
    discovery epoch_promised_before later_promise sync_table sync_under_load
    leader_with_one_follower follower batches
    learner_trunc learner_trunc_unknown learner_snap
    observer observers_of_a_leader observer_master observer_of_a_follower
    leader_without_an_epoch oracle
    follower_refuses same_server_again
    silence slow_follower disk_hangs quorum_loss reelection sync_between_commits
    snapshot_backlog
    stranger groups_and_weights
    // What has gone wrong elsewhere.
    zookeeper_1277 zookeeper_2845 zookeeper_3023 zookeeper_3104 zookeeper_3642 zookeeper_3911
    zookeeper_4394 zookeeper_4643 zookeeper_4646 zookeeper_4685 zookeeper_4712 zookeeper_4785
    zookeeper_4882 zookeeper_4925 zookeeper_5094
}

#[test]
fn every_story_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zab");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(NAMED.contains(&name.as_str()), "{name} is missing in tests/zab.rs");
    }
}

/// The first line that differs, with what stands before it.
fn difference(expected: &str, told: &str) -> String {
    let (expected, told): (Vec<_>, Vec<_>) = (expected.lines().collect(), told.lines().collect());
    let at = expected.iter().zip(&told).take_while(|(a, b)| a == b).count();
    let before = expected[at.saturating_sub(3)..at].join("\n");
    let line = |lines: &[&str]| lines.get(at).copied().unwrap_or("(the end)").to_owned();
    format!(
        "{before}\nline {}, expected: {}\n          told: {}",
        at + 1,
        line(&expected),
        line(&told)
    )
}
