//! What a member of an ensemble does to its files besides appending: truncation, a leader's
//! snapshot, epochs, setting a damaged history aside. The power goes at every single call to the
//! disk; whatever is left then is the state before, or the state behind, or (of a truncation) a
//! beginning of the history that still has the transaction.

mod history;

use std::collections::BTreeMap;
use std::ops::Range;

use history::{
    body, dirs, file, random_life, receive, recover_as_member, recover_disk, Life, Server,
};
use oxkeeper::sim::SimDisk;
use oxkeeper::storage::{
    parse_log, parse_snapshot, truncate, write_accepted, write_current, Compression, Epochs,
    Member, MemberOptions,
};
use oxkeeper::types::{Epoch, Zxid};

/// What is left of a disk.
struct Left {
    disk: SimDisk,
    story: String,
    /// The power went only when everything was done.
    done: bool,
}

/// Runs `act` on copies of `disk`, cuts the power at each of its calls in turn, and shows `check`
/// what is left: if only the process died, and behind some power failures.
fn crash_everywhere(
    disk: &SimDisk,
    seeds: Range<u64>,
    act: &dyn Fn(&SimDisk) -> bool,
    check: &dyn Fn(Left),
) {
    for n in 0.. {
        let running = disk.fork();
        running.crash_at(n);
        let succeeded = act(&running);
        let done = !running.has_crashed();
        assert_eq!(succeeded, done, "call {n}: failed by itself, or nobody noticed");
        let when = if done { "when it was done".to_owned() } else { format!("at call {n}") };
        check(Left { disk: running.fork(), story: format!("killed {when}"), done });
        for seed in seeds.clone() {
            let left = running.after_power_failure(seed * 1_000_003 + n);
            check(Left { disk: left, story: format!("power cut {when}, seed {seed}"), done });
        }
        if done {
            return;
        }
    }
}

fn member(disk: &SimDisk, story: &str) -> Member {
    let back = recover_as_member(disk).unwrap_or_else(|e| panic!("{story}: refused: {e}"));
    assert_eq!(back.stranger, None, "{story}");
    assert_eq!(back.report.digest_mismatches, 0, "{story}");
    let mut before = None;
    for txn in &back.history {
        assert!(before.is_none_or(|before| before < txn.zxid), "{story}");
        before = Some(txn.zxid);
    }
    assert!(
        before.is_none_or(|last| last == back.last_zxid),
        "{story}: history ends at {before:?}"
    );
    back
}

fn truncated(disk: &SimDisk, to: Zxid) -> bool {
    matches!(truncate(disk, &dirs(), to, &MemberOptions::default()), Ok(Some(_)))
}

fn names(disk: &SimDisk) -> Vec<String> {
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    disk.paths().into_iter().map(name).collect()
}

/// Everything that is on the disk, but our own side files.
fn data(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let names = names(disk).into_iter();
    let files = names.filter(|name| parse_log(name).is_some() || parse_snapshot(name).is_some());
    files.map(|name| (name.clone(), disk.content(&file(&name)).unwrap())).collect()
}

/// Truncation of a random history to each of its transactions is the same as never having had
/// what is behind it; and the server goes on from there.
#[test]
fn truncated_anywhere_a_history_is_its_own_beginning() {
    for seed in 0..40 {
        let life = random_life(seed, 30);
        for (to, digest) in &life.digests {
            let story = format!("seed {seed}, to {to}");
            let disk = life.disk.fork();
            let cut = truncate(&disk, &dirs(), *to, &MemberOptions::default())
                .unwrap_or_else(|e| panic!("{story}: {e}"))
                .unwrap_or_else(|| panic!("{story}: not found"));
            assert_eq!((cut.replica.last_zxid(), cut.replica.digest()), (*to, *digest), "{story}");
            for name in names(&disk) {
                let zxid = parse_log(&name).or(parse_snapshot(&name).map(|(zxid, _)| zxid));
                assert!(zxid.is_none_or(|zxid| zxid <= *to), "{story}: {name}");
            }
            let back = member(&disk.fork(), &story);
            assert_eq!((back.last_zxid, back.replica.digest()), (*to, *digest), "{story}");
            assert_eq!(back.history, cut.history, "{story}");
            let mut server = Server::go_on(&disk, cut.replica);
            server.create_nodes(3, 100).unwrap();
            let back = member(&disk, &story);
            assert_eq!(back.last_zxid, server.acked, "{story}");
            assert_eq!(back.replica.digest(), server.replica.digest(), "{story}");
        }
    }
}

#[test]
fn what_is_not_in_the_history_is_not_truncated_to() {
    for seed in 0..20 {
        let life = random_life(seed, 20);
        let before = data(&life.disk);
        for known in life.digests.keys() {
            for to in [Zxid(known.0 + 1), Zxid::new(Epoch(known.epoch().0 + 1), 0)] {
                if life.digests.contains_key(&to) {
                    continue;
                }
                let cut = truncate(&life.disk, &dirs(), to, &MemberOptions::default()).unwrap();
                assert!(cut.is_none(), "seed {seed}: {to}");
                assert_eq!(data(&life.disk), before, "seed {seed}: {to}: changed");
            }
        }
    }
}

#[test]
fn a_crash_at_every_call_of_a_truncation() {
    for seed in 0..6 {
        let life = random_life(seed, 24);
        for (to, _) in life.digests.iter().step_by(5) {
            crash_everywhere(&life.disk, 0..6, &|disk| truncated(disk, *to), &|left| {
                let story = format!("seed {seed}, to {to}, {}", left.story);
                let back = member(&left.disk, &story);
                let last = if left.done { *to } else { life.last };
                assert!(back.last_zxid >= *to && back.last_zxid <= last, "{story}");
                let digest = life.digests.get(&back.last_zxid);
                assert_eq!(digest, Some(&back.replica.digest()), "{story}");
            });
        }
    }
}

/// A leader's state for the member to take: a body, its zxid and digest.
struct Leader {
    zxid: Zxid,
    digest: u64,
    body: Vec<u8>,
}

/// A leader whose history is another one, and ends at `zxid`.
fn leader(zxid: Zxid) -> Leader {
    let disk = SimDisk::new(77);
    let mut server = Server::start(&disk).unwrap();
    for txn in history::every_type() {
        server.append(txn).unwrap();
    }
    if zxid > server.log.last_zxid() {
        server.append_as(zxid, history::create("/leader", b"of another history")).unwrap();
    }
    server.sync().unwrap();
    server.snapshot(Compression::Snappy).unwrap();
    let zxid = server.acked;
    let name = format!("snapshot.{:x}.snappy", zxid.0);
    Leader { zxid, digest: server.replica.digest(), body: body(&disk, &name) }
}

fn installed(disk: &SimDisk, leader: &Leader) -> bool {
    let received = receive(disk, leader.zxid, &leader.body, 1000);
    received.is_ok_and(|receiver| receiver.install().is_ok())
}

/// Leaders behind, inside and ahead of the member's history.
fn leaders(life: &Life) -> Vec<Leader> {
    let middle = *life.digests.keys().nth(life.digests.len() / 2).expect("there are some");
    let ahead = Zxid::new(Epoch(life.last.epoch().0 + 1), 7);
    [Zxid(14), middle, life.last, ahead].map(leader).into()
}

#[test]
fn behind_an_installation_there_is_nothing_but_the_leaders_state() {
    for seed in 0..20 {
        let life = random_life(seed, 30);
        for leader in leaders(&life) {
            let disk = life.disk.fork();
            let receiver = receive(&disk, leader.zxid, &leader.body, 313).unwrap();
            let replica = receiver.install().unwrap();
            assert_eq!((replica.last_zxid(), replica.digest()), (leader.zxid, leader.digest));
            let left = data(&disk).into_keys().collect::<Vec<_>>();
            assert_eq!(left, [format!("snapshot.{:x}", leader.zxid.0)]);
            assert!(!names(&disk).iter().any(|name| name.starts_with("oxkeeper.part")
                || name == "oxkeeper.install"
                || name == "oxkeeper.synced"));
            let mut server = Server::go_on(&disk, replica);
            server.create_nodes(3, 100).unwrap();
            server.log.publish_synced().unwrap();
            for back in [member(&disk, "member").replica, recover_disk(&disk).unwrap().replica] {
                assert_eq!(back.last_zxid(), server.acked);
                assert_eq!(back.digest(), server.replica.digest());
            }
        }
    }
}

#[test]
fn a_crash_at_every_call_of_an_installation() {
    for seed in 0..6 {
        let life = random_life(seed, 24);
        let old = (life.last, life.digests[&life.last]);
        for leader in leaders(&life) {
            let new = (leader.zxid, leader.digest);
            let act = |disk: &SimDisk| installed(disk, &leader);
            crash_everywhere(&life.disk, 0..6, &act, &|left| {
                let story = format!("seed {seed}, leader at {}, {}", leader.zxid, left.story);
                check_apache_sees_no_mixture(&left.disk.fork(), &life, new, &story);
                let back = member(&left.disk, &story);
                let found = (back.last_zxid, back.replica.digest());
                assert!(found == new || (found == old && !left.done), "{story}: {found:?}");
                // And that is for good.
                let again = member(&left.disk.after_power_failure(seed), &story);
                assert_eq!((again.last_zxid, again.replica.digest()), found, "{story}");
            });
        }
    }
}

/// To a server that does not know our side files the directory is a beginning of the old history,
/// or the new state.
fn check_apache_sees_no_mixture(disk: &SimDisk, life: &Life, new: (Zxid, u64), story: &str) {
    for name in names(disk).iter().filter(|name| name.starts_with("oxkeeper.")) {
        disk.take(&file(name));
    }
    let back = recover_disk(disk).unwrap_or_else(|e| panic!("{story}: refused: {e}"));
    let found = (back.last_zxid, back.replica.digest());
    let old = life.digests.get(&found.0) == Some(&found.1);
    assert!(old || found == new, "{story}: Apache would see {found:?}");
}

#[test]
fn a_crash_at_every_call_of_writing_an_epoch() {
    let life = random_life(3, 10);
    let promised = Epoch(life.last.epoch().0 + 3);
    let before = member(&life.disk, "before").epochs;
    let accept = |disk: &SimDisk| write_accepted(disk, &dirs(), promised).is_ok();
    let check = |before: Epochs, after: Epochs| {
        move |Left { disk, story, done }: Left| {
            let found = member(&disk, &story).epochs;
            assert!(found == after || (found == before && !done), "{story}: {found:?}");
            let again = member(&disk.after_power_failure(9), &story).epochs;
            assert_eq!(again, found, "{story}: it was used");
            assert!(!names(&disk).iter().any(|name| name.ends_with(".tmp")), "{story}");
        }
    };
    let accepted = Epochs { accepted: promised, ..before };
    crash_everywhere(&life.disk, 0..40, &accept, &check(before, accepted));
    assert!(accept(&life.disk));
    let current = |disk: &SimDisk| write_current(disk, &dirs(), promised).is_ok();
    let both = Epochs { accepted: promised, current: promised };
    crash_everywhere(&life.disk, 0..40, &current, &check(accepted, both));
    // The same once the history of the new epoch is there, and the number is not.
    let mut server = Server::start(&life.disk).unwrap();
    let opened = server.append_as(Zxid::new(promised, 1), history::create("/new", b""));
    opened.and_then(|_| server.sync()).unwrap();
    crash_everywhere(&life.disk, 0..40, &current, &check(accepted, both));
}

/// However often the power goes, a member that has lost something stays a stranger, and not a
/// byte of what was damaged is gone.
#[test]
fn a_crash_at_every_call_of_setting_a_history_aside() {
    for seed in [1, 4, 5] {
        let life = random_life(seed, 24);
        write_accepted(&life.disk, &dirs(), Epoch(90)).unwrap();
        write_current(&life.disk, &dirs(), Epoch(89)).unwrap();
        damage_first_log(&life.disk);
        let original = data(&life.disk);
        let act = |disk: &SimDisk| recover_as_member(disk).is_ok();
        crash_everywhere(&life.disk, 0..8, &act, &|Left { disk: left, story, .. }| {
            let back = recover_as_member(&left).unwrap_or_else(|e| panic!("{story}: refused: {e}"));
            assert!(back.stranger.is_some(), "{story}: trusted at {}", back.last_zxid);
            assert_eq!(back.last_zxid, Zxid::NONE, "{story}");
            assert_eq!(back.epochs, Epochs { accepted: Epoch(90), current: Epoch(0) }, "{story}");
            for (name, content) in &original {
                let aside = left.content(&file(&format!("oxkeeper.bad.{name}")));
                assert!(aside.as_ref() == Some(content), "{story}: {name} is gone");
            }
        });
    }
}

/// Turns a bit in the oldest record that a recovery must read, and takes the newer snapshots.
fn damage_first_log(disk: &SimDisk) {
    for name in names(disk) {
        if parse_snapshot(&name).is_some_and(|(zxid, _)| zxid > Zxid::ZERO) {
            disk.take(&file(&name));
        }
    }
    let mut log = disk.content(&file("log.1")).unwrap();
    log[60] ^= 4;
    disk.put(&file("log.1"), &log);
}
