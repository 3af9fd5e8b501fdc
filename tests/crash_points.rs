//! The power goes off at every single call to the disk. Whatever is left then, the next start
//! succeeds, everything acknowledged is there, and the tree is the one that was.

mod history;

use std::collections::BTreeMap;

use history::{dirs, every_type, recover_disk, text, Server};
use jute::txn::{SetDataTxn, Txn};
use oxkeeper::sim::{Rng, SimDisk};
use oxkeeper::storage::{purge, Compression, StorageError};
use oxkeeper::types::Zxid;

/// What a server does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Transactions of every type, in one batch.
    Types,
    /// A batch of so many creates with data of this length each.
    Batch(usize, usize),
    /// Sync, and so acknowledge.
    Sync,
    /// Write the watermark, as an idle log does.
    Idle,
    Roll,
    Snapshot(Compression),
    Purge,
    /// Stop in good order and start again.
    Restart,
}

use Step::{Batch, Idle, Purge, Restart, Roll, Snapshot, Sync, Types};

const SCRIPTS: &[&[Step]] = &[
    &[Batch(1, 100), Sync, Batch(1, 100), Sync, Batch(1, 600), Sync],
    &[Types, Sync, Idle, Batch(7, 300), Sync, Batch(3, 1500), Sync, Idle],
    &[Types, Sync, Snapshot(Compression::None), Batch(2, 40), Sync, Roll, Batch(1, 5), Sync],
    &[Batch(2, 900), Sync, Restart, Batch(2, 900), Batch(2, 100), Sync, Restart, Restart],
    &[Batch(12, 2000), Sync, Roll, Batch(12, 2000), Sync],
    &[
        Types,
        Sync,
        Snapshot(Compression::Snappy),
        Batch(1, 64),
        Sync,
        Snapshot(Compression::Gzip),
        Batch(1, 64),
        Sync,
        Snapshot(Compression::None),
        Batch(1, 64),
        Sync,
        Snapshot(Compression::None),
        Purge,
        Batch(1, 64),
        Sync,
        Idle,
    ],
];

/// The digest of the tree of a fresh server.
const EMPTY_TREE: u64 = 0x51c6_d660;

/// A server that lives through a script until the disk stops it.
struct Run {
    server: Option<Server>,
    /// The digest behind each transaction ever made.
    digests: BTreeMap<Zxid, u64>,
    acked: Zxid,
}

impl Run {
    fn new() -> Run {
        let empty = (Zxid::ZERO, EMPTY_TREE);
        Run { server: None, digests: BTreeMap::from([empty]), acked: Zxid::ZERO }
    }

    /// Whether the script came to its end.
    fn live(&mut self, disk: &SimDisk, script: &[Step]) -> bool {
        self.server = Server::start(disk).ok();
        let Some(server) = &self.server else { return false };
        self.digests.insert(server.acked, server.replica.digest());
        // What it serves from here on must not go away either.
        self.acked = self.acked.max(server.acked);
        for step in script {
            let done = self.step(disk, *step);
            if let Some(server) = &mut self.server {
                self.acked = self.acked.max(server.acked);
                self.digests.extend(server.digests.drain(..));
            }
            if done.is_err() || self.server.is_none() {
                return false;
            }
        }
        true
    }

    fn step(&mut self, disk: &SimDisk, step: Step) -> Result<(), StorageError> {
        let server = self.server.as_mut().expect("it lives");
        match step {
            Types => every_type().into_iter().try_for_each(|txn| server.append(txn).map(drop)),
            Batch(n, len) => (0..n).try_for_each(|i| {
                let path = format!("/n{:x}", server.log.last_zxid().0 + 1);
                let data = text(len, i);
                server.append(history::create(&path, &data))?;
                Ok(())
            }),
            Sync => server.sync(),
            Idle => server.log.publish_synced(),
            Roll => server.log.roll().map(|()| server.acked = server.log.last_zxid()),
            Snapshot(compression) => server.snapshot(compression),
            Purge => purge(disk, &dirs(), 3).map(drop),
            Restart => {
                server.sync()?;
                self.acked = self.acked.max(server.acked);
                self.digests.extend(server.digests.drain(..));
                self.server = None;
                self.server = Server::start(disk).ok();
                Ok(())
            }
        }
    }

    /// What is on `disk` must be everything acknowledged, and nothing that never was.
    fn check(&self, disk: &SimDisk, story: &str) -> Zxid {
        let back = match recover_disk(disk) {
            Ok(back) => back,
            Err(e) => panic!("{story}: refused: {e}"),
        };
        assert!(back.last_zxid >= self.acked, "{story}: {} lost", self.acked);
        let digest = self.digests.get(&back.last_zxid);
        assert_eq!(digest, Some(&back.replica.digest()), "{story}: another tree");
        assert_eq!(back.report.digest_mismatches, 0, "{story}");
        back.last_zxid
    }
}

/// Runs the script, cuts the power at call `n`, lets `seed` decide what is left of the disk.
/// Answers false behind the last call.
fn crash(script: &[Step], n: u64, seeds: std::ops::Range<u64>) -> bool {
    let disk = SimDisk::new(1);
    disk.crash_at(n);
    let mut run = Run::new();
    if run.live(&disk, script) {
        return false;
    }
    assert!(disk.has_crashed(), "{script:?}: failed by itself, before call {n}");
    // The process died, the system lives: everything written is there.
    let story = format!("{script:?}, killed at call {n}");
    let last = run.check(&disk.fork(), &story);
    for seed in seeds.clone() {
        check_second_life(&run, &disk.fork(), last, seed, &story);
    }
    for seed in seeds {
        let left = disk.after_power_failure(seed * 1_000_003 + n);
        let story = format!("{script:?}, power cut at call {n}, seed {seed}");
        let last = run.check(&left.fork(), &story);
        check_second_life(&run, &left, last, seed, &story);
    }
    true
}

/// The server starts again and writes; the power goes somewhere in there. What was readable once
/// stays so.
fn check_second_life(run: &Run, left: &SimDisk, last: Zxid, seed: u64, story: &str) {
    const SCRIPT: &[Step] = &[Batch(1, 300), Sync, Batch(2, 500), Sync, Restart];
    let second = || {
        let digests = BTreeMap::from_iter(run.digests.get(&last).map(|d| (last, *d)));
        Run { server: None, digests, acked: last }
    };
    let counting = left.fork();
    let start = counting.calls();
    assert!(second().live(&counting, SCRIPT), "{story}: no second life");
    let n = Rng::new(seed).below((counting.calls() - start) as usize) as u64;
    let again = left.fork();
    again.crash_at(n);
    let mut life = second();
    life.acked = run.acked;
    life.live(&again, SCRIPT);
    if life.digests.len() == 1 {
        // It did not come to write: what it may find is what the first life left.
        life.digests.clone_from(&run.digests);
    }
    let left = again.after_power_failure(seed + 77);
    life.check(&left, &format!("{story}, then power cut at call {n} of the next life"));
}

#[test]
fn a_crash_at_every_call_loses_nothing_and_stops_no_start() {
    for script in SCRIPTS {
        let mut points = 0;
        while crash(script, points, 0..30) {
            points += 1;
        }
        assert!(points > 20, "{script:?}: {points} points only");
    }
}

#[test]
fn a_crash_at_every_call_of_random_scripts() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let script: Vec<Step> = (0..10)
            .map(|_| match rng.below(9) {
                0 => Types,
                1 | 2 => Batch(1 + rng.below(6), rng.below(1400)),
                3 | 4 => Sync,
                5 => Idle,
                6 => Roll,
                7 => Snapshot([Compression::None, Compression::Gzip][rng.below(2)]),
                _ => Restart,
            })
            .collect();
        let mut n = 0;
        while crash(&script, n, 0..8) {
            n += 1;
        }
    }
}

/// A failed sync kept some of the batch from the disk, and the cache goes on showing it.
#[test]
fn after_a_failed_sync_nothing_is_taken_and_the_next_start_asks_the_disk() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let mut server = Server::start(&disk).unwrap();
        server.create_nodes(3, 400).unwrap();
        let digest = server.replica.digest();
        disk.fail(oxkeeper::sim::Call::Sync, 0, std::io::ErrorKind::Other);
        let set = SetDataTxn { path: "/n2".into(), data: Some(&[7; 1200]), version: 1 };
        server.append(Txn::SetData(set)).unwrap();
        let syncs = disk.count(oxkeeper::sim::Call::Sync);
        server.sync().unwrap_err();
        assert!(matches!(server.sync(), Err(StorageError::Failed)));
        assert!(matches!(server.log.roll(), Err(StorageError::Failed)));
        assert_eq!(disk.count(oxkeeper::sim::Call::Sync), syncs + 1, "a sync was tried again");
        let back = recover_disk(&disk.fork()).unwrap();
        assert!(back.last_zxid >= server.acked);
        // Served means durable: the power may go now.
        let last = back.last_zxid;
        let left = disk.fork();
        recover_disk(&left).unwrap();
        let again = recover_disk(&left.after_power_failure(seed)).unwrap();
        assert_eq!(again.last_zxid, last);
        assert!(last > server.acked || again.replica.digest() == digest);
    }
}
