//! How to append to the transaction log: through a memory map or by `pwrite`, into blocks that
//! are only allocated or that zeros have been written to. One record a sync, and batches.
//!
//! `cargo bench --bench log_append [-- DIR]`: DIR must be on the disk that is to be measured.
//! The results on record are in docs/BENCHMARKS.md.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{fallocate, FallocateFlags};

/// A create of a small znode.
const RECORD: usize = 220;
const FILE_BYTES: u64 = 64 << 20;
/// Each way is measured so often, in turn with the others; the median round counts.
const ROUNDS: usize = 5;

#[derive(Clone, Copy, PartialEq)]
enum Room {
    Allocated,
    Zeroed,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Map,
    Pwrite,
}

fn main() {
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let dir = dir.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").to_owned());
    println!(
        "syncs of 1, 64 and 512 records of {RECORD} bytes in {dir}, median of {ROUNDS} rounds"
    );
    for (batch, syncs) in [(1, 400), (64, 300), (512, 100)] {
        let ways = [
            (Way::Pwrite, Room::Allocated),
            (Way::Pwrite, Room::Zeroed),
            (Way::Map, Room::Allocated),
            (Way::Map, Room::Zeroed),
        ];
        let mut rounds = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for (i, (way, room)) in ways.iter().enumerate() {
                rounds[i].push(run(Path::new(&dir), *way, *room, batch, syncs));
            }
        }
        for ((way, room), mut medians) in ways.iter().zip(rounds) {
            medians.sort();
            let (p50, p99) = medians[ROUNDS / 2];
            println!(
                "{batch:4} a sync  {:6} {:9}  p50 {:7.1} us  p99 {:7.1} us  {:9.0} records/s",
                if *way == Way::Map { "map" } else { "pwrite" },
                if *room == Room::Zeroed { "zeroed" } else { "allocated" },
                micros(p50),
                micros(p99),
                batch as f64 / p50.as_secs_f64(),
            );
        }
    }
}

fn run(dir: &Path, way: Way, room: Room, batch: usize, syncs: usize) -> (Duration, Duration) {
    let path = dir.join("log_append.bench");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
    let file = file.expect("the directory can be written to");
    make_room(&file, room);
    let mut map = (way == Way::Map).then(|| {
        // SAFETY: nobody else has this file.
        unsafe { MmapOptions::new().map_mut(&file).expect("a map") }
    });
    let bytes: Vec<u8> = (0..RECORD * batch).map(|i| i as u8 | 1).collect();
    let mut took: Vec<Duration> = (0..syncs)
        .map(|i| {
            let at = i * bytes.len();
            let start = Instant::now();
            append(&file, map.as_mut(), at, &bytes);
            file.sync_data().expect("a sync");
            start.elapsed()
        })
        .collect();
    took.sort();
    std::fs::remove_file(&path).expect("our own file");
    (took[syncs / 2], took[syncs * 99 / 100])
}

fn make_room(file: &File, room: Room) {
    fallocate(file, FallocateFlags::empty(), 0, FILE_BYTES).expect("room");
    if room == Room::Zeroed {
        let zeros = vec![0; 1 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at).expect("room");
        }
    }
    file.sync_all().expect("a sync");
}

fn append(file: &File, map: Option<&mut MmapMut>, at: usize, bytes: &[u8]) {
    match map {
        Some(map) => map[at..at + bytes.len()].copy_from_slice(bytes),
        None => file.write_all_at(bytes, at as u64).expect("a write"),
    }
}

fn micros(d: Duration) -> f64 {
    d.as_secs_f64() * 1e6
}
