//! Damaged directories: after each of some hundred damages the server either serves everything
//! that was acknowledged, or refuses with a line that names file, place and transaction. It never
//! serves with loss, and never serves something else.

mod history;

use std::path::{Path, PathBuf};

use history::{create, dirs, every_type, file, recover_disk, text, Server};
use oxkeeper::sim::{Rng, SimDisk};
use oxkeeper::storage::{parse_log, parse_snapshot, Compression};
use oxkeeper::types::Zxid;

/// A directory before the damage.
struct Whole {
    disk: SimDisk,
    acked: Zxid,
    digest: u64,
}

/// Logs and snapshots as a server leaves them: three logs behind two snapshots, transactions of
/// every type, the newest log idle.
fn whole(compression: Compression, watermark: bool) -> Whole {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(6, 500).unwrap();
    server.snapshot(compression).unwrap();
    for txn in every_type() {
        server.append(txn).unwrap();
        server.sync().unwrap();
    }
    server.snapshot(compression).unwrap();
    for i in 0..6 {
        let path = format!("/last{i}");
        server.append(create(&path, &text(200 + 150 * i, i))).unwrap();
        server.sync().unwrap();
    }
    if watermark {
        server.log.publish_synced().unwrap();
    } else {
        disk.take(&file("oxkeeper.synced"));
    }
    Whole { disk, acked: server.acked, digest: server.replica.digest() }
}

/// What becomes of one damage.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Served,
    Refused,
}

fn outcome(whole: &Whole, disk: &SimDisk, story: &str) -> Outcome {
    match recover_disk(disk) {
        Ok(back) => {
            assert!(
                back.last_zxid >= whole.acked,
                "{story}: served up to {} of {}: {:?}",
                back.last_zxid,
                whole.acked,
                back.report
            );
            assert_eq!(back.replica.digest(), whole.digest, "{story}: another tree");
            Outcome::Served
        }
        Err(e) => {
            let name = e.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let line = e.to_string();
            assert!(line.contains(name) && !line.contains('\n'), "{story}: {line}");
            assert!(e.zxid.is_some(), "{story}: no zxid: {line}");
            assert!(e.offset.is_some() || parse_snapshot(name).is_some(), "{story}: {line}");
            Outcome::Refused
        }
    }
}

/// Damages `path` and looks at what becomes of it.
fn damage(whole: &Whole, path: &Path, story: &str, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let disk = whole.disk.fork();
    let mut bytes = disk.content(path).expect("the file is there");
    change(&mut bytes);
    disk.put(path, &bytes);
    outcome(whole, &disk, &format!("{}: {story}", path.display()))
}

fn files(disk: &SimDisk, is: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    disk.paths().into_iter().filter(|path| is(&name(path))).collect()
}

fn logs(disk: &SimDisk) -> Vec<PathBuf> {
    let mut logs = files(disk, |name| parse_log(name).is_some());
    logs.sort_by_key(|path| parse_log(path.file_name().unwrap().to_str().unwrap()));
    logs
}

fn snapshots(disk: &SimDisk) -> Vec<PathBuf> {
    files(disk, |name| parse_snapshot(name).is_some())
}

/// Every record of a log: where it begins and ends.
fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut at = 16;
    while bytes.len() >= at + 12 && bytes[at..at + 12] != [0; 12] {
        let len = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        all.push((at, at + 13 + len));
        at += 13 + len;
    }
    all
}

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

/// Runs damages and holds their number against what is expected at least.
#[derive(Default)]
struct Tally {
    served: usize,
    refused: usize,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Served => self.served += 1,
            Outcome::Refused => self.refused += 1,
        }
    }

    fn check(&self, served: usize, refused: usize) {
        assert!(self.served >= served, "{} served", self.served);
        assert!(self.refused >= refused, "{} refused", self.refused);
    }
}

/// A bit in checksum, length, body and end byte of every record of every log, with the watermark
/// and without.
#[test]
fn a_bit_in_a_log() {
    let mut tally = Tally::default();
    for watermark in [true, false] {
        let whole = whole(Compression::None, watermark);
        for path in logs(&whole.disk) {
            let bytes = whole.disk.content(&path).unwrap();
            for (start, end) in records(&bytes) {
                let places = [start + 4, start + 7, start + 8, start + 11, start + 12, start + 33];
                let places = places.into_iter().chain([(start + end) / 2, end - 2, end - 1]);
                for (i, at) in places.enumerate() {
                    let story = format!("bit at {at} of record {start}..{end}");
                    let bit = 1 << (i * 3 % 8);
                    tally.count(damage(&whole, &path, &story, |bytes| bytes[at] ^= bit));
                }
            }
        }
    }
    tally.check(100, 100);
}

/// Header bits: a newest log's is looked at, an old one's may not matter any more.
#[test]
fn a_bit_in_a_header() {
    let mut tally = Tally::default();
    for watermark in [true, false] {
        let whole = whole(Compression::None, watermark);
        for path in logs(&whole.disk) {
            for at in 0..16 {
                let story = format!("bit in byte {at} of the header");
                tally.count(damage(&whole, &path, &story, |bytes| bytes[at] ^= 1 << (at % 8)));
            }
        }
    }
    tally.check(16, 16);
}

/// Sectors that read as zeros, or half of them, or as what another sector holds.
#[test]
fn lost_torn_and_misdirected_sectors_of_a_log() {
    let mut tally = Tally::default();
    let whole = whole(Compression::None, true);
    for path in logs(&whole.disk) {
        let bytes = whole.disk.content(&path).unwrap();
        let used = records(&bytes).last().unwrap().1;
        for sector in 0..=used / 512 {
            let range = sector * 512..(sector + 1) * 512;
            let story = |what: &str| format!("sector {sector} {what}");
            let other = ((sector + 1) % (used / 512 + 1)) * 512;
            let range_of = |bytes: &mut Vec<u8>| bytes[range.clone()].to_vec();
            tally.count(damage(&whole, &path, &story("zeroed"), |b| b[range.clone()].fill(0)));
            tally.count(damage(&whole, &path, &story("torn"), |b| {
                b[range.start + 256..range.end].fill(0);
            }));
            tally.count(damage(&whole, &path, &story("torn in front"), |b| {
                b[range.start..range.start + 100].fill(0);
            }));
            tally.count(damage(&whole, &path, &story("misdirected"), |b| {
                let from = b[other..other + 512].to_vec();
                let _ = range_of(b);
                b[range.clone()].copy_from_slice(&from);
            }));
        }
    }
    tally.check(20, 20);
}

/// Cut at every boundary and inside every record; with and without the watermark a cut of the
/// newest log takes acknowledged records along, so only the watermark can tell.
#[test]
fn a_log_cut_short() {
    let mut tally = Tally::default();
    let whole = whole(Compression::None, true);
    for path in logs(&whole.disk) {
        let bytes = whole.disk.content(&path).unwrap();
        let mut lengths = vec![0, 1, 15, 16];
        lengths.extend(records(&bytes).iter().flat_map(|(a, b)| [*a, a + 5, (a + b) / 2, b - 1]));
        for len in lengths {
            let story = format!("cut to {len} bytes");
            tally.count(damage(&whole, &path, &story, |bytes| bytes.truncate(len)));
        }
    }
    tally.check(20, 20);
}

/// Snapshots in each encoding: cut, empty, a bit anywhere, zeroed in parts.
#[test]
fn a_damaged_snapshot() {
    let mut tally = Tally::default();
    for compression in ALL {
        let whole = whole(compression, true);
        for path in snapshots(&whole.disk) {
            let len = whole.disk.content(&path).unwrap().len();
            for cut in [0, 1, 9, 10, 16, 40, len / 2, len - 40, len - 13, len - 5, len - 1] {
                let cut = cut.min(len - 1);
                let story = format!("cut to {cut} of {len}");
                tally.count(damage(&whole, &path, &story, |bytes| bytes.truncate(cut)));
            }
            let mut rng = Rng::new(len as u64);
            for _ in 0..60 {
                let (at, bit) = (rng.below(len), rng.below(8));
                let story = format!("bit {bit} at {at} of {len}");
                tally.count(damage(&whole, &path, &story, |bytes| bytes[at] ^= 1 << bit));
            }
            for at in (0..len).step_by(len / 8 + 1) {
                let story = format!("zeros from {at}");
                let end = (at + 64).min(len);
                tally.count(damage(&whole, &path, &story, |bytes| bytes[at..end].fill(0)));
            }
        }
    }
    tally.check(500, 0);
}

/// All snapshots bad at once: nothing can be served.
#[test]
fn every_snapshot_damaged() {
    for compression in ALL {
        let whole = whole(compression, true);
        let disk = whole.disk.fork();
        for path in snapshots(&disk) {
            let bytes = disk.content(&path).unwrap();
            disk.put(&path, &bytes[..bytes.len() / 2]);
        }
        assert_eq!(outcome(&whole, &disk, "all snapshots cut"), Outcome::Refused);
    }
}

/// Files that are gone, one at a time and two.
#[test]
fn missing_files() {
    let mut tally = Tally::default();
    for compression in ALL {
        let whole = whole(compression, true);
        let paths = whole.disk.paths();
        for (i, first) in paths.iter().enumerate() {
            for second in &paths[i..] {
                let ours = |path: &PathBuf| path.ends_with("oxkeeper.synced");
                if first != second && (ours(first) || ours(second)) {
                    continue; // Whoever takes the watermark away, too, can hide the end.
                }
                let disk = whole.disk.fork();
                disk.take(first);
                disk.take(second);
                let story = format!("{} and {} gone", first.display(), second.display());
                tally.count(outcome(&whole, &disk, &story));
            }
        }
    }
    tally.check(10, 10);
}

/// Snapshots under the name of another transaction, earlier, later, far in the future.
#[test]
fn snapshots_named_wrongly() {
    let mut tally = Tally::default();
    for compression in ALL {
        let whole = whole(compression, true);
        for path in snapshots(&whole.disk) {
            for zxid in [1, 5, 8, 15, whole.acked.0, whole.acked.0 + 1, 0x7fff_ffff, 0x5_0000_0000]
            {
                let name = format!("snapshot.{zxid:x}{}", compression.extension());
                let disk = whole.disk.fork();
                let bytes = disk.content(&path).unwrap();
                if disk.content(&file(&name)).is_some() {
                    continue;
                }
                for copy in [true, false] {
                    let disk = disk.fork();
                    disk.put(&file(&name), &bytes);
                    if !copy {
                        disk.take(&path);
                    }
                    let story = format!("{} as {name}, copy: {copy}", path.display());
                    tally.count(outcome(&whole, &disk, &story));
                }
            }
        }
    }
    tally.check(50, 20);
}

/// Copies and leftovers beside the files, whole or damaged.
#[test]
fn stray_files() {
    for compression in ALL {
        let whole = whole(compression, true);
        for path in whole.disk.paths() {
            for suffix in [".bak", ".tmp", ".old.1", "~", ".swp"] {
                let disk = whole.disk.fork();
                let mut bytes = disk.content(&path).unwrap();
                bytes.truncate(bytes.len() / 2);
                let stray = PathBuf::from(format!("{}{suffix}", path.display()));
                disk.put(&stray, &bytes);
                let story = format!("{} beside", stray.display());
                assert_eq!(outcome(&whole, &disk, &story), Outcome::Served);
            }
        }
    }
}

/// Any damage to our own side files costs certainty at most.
#[test]
fn damaged_side_files() {
    let whole = whole(Compression::None, true);
    for name in ["oxkeeper.synced", "oxkeeper.snapshots"] {
        let len = whole.disk.content(&file(name)).unwrap().len();
        for at in 0..len {
            let story = format!("{name}: bit at {at}");
            let outcome = damage(&whole, &file(name), &story, |b| b[at] ^= 1 << (at % 8));
            assert_eq!(outcome, Outcome::Served, "{story}");
        }
        let outcome = damage(&whole, &file(name), "emptied", Vec::clear);
        assert_eq!(outcome, Outcome::Served);
    }
}

/// Another server's directory: its logs or its snapshots under ours.
#[test]
fn files_of_another_server() {
    let whole = whole(Compression::None, true);
    let other = SimDisk::new(2);
    let mut server = Server::start(&other).unwrap();
    server.create_nodes(40, 120).unwrap();
    server.snapshot(Compression::None).unwrap();
    server.create_nodes(10, 120).unwrap();
    let mut tally = Tally::default();
    for path in other.paths() {
        let disk = whole.disk.fork();
        disk.put(&path, &other.content(&path).unwrap());
        if let Ok(back) = recover_disk(&disk) {
            let ours = back.replica.digest() == whole.digest;
            assert!(ours, "{} of another server was served", path.display());
            tally.served += 1;
        } else {
            tally.refused += 1;
        }
    }
    tally.check(1, 1);
    assert_eq!(dirs().logs, dirs().snapshots);
}
