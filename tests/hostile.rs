//! Bytes from outside that mean harm, and members that say anything at any time: nothing panics,
//! and memory stays in proportion to the bytes. `jute/tests/hostile.rs` does the same for records.
//!
//! The bytes are good ones with damage done to them, or drawn, by a seeded generator; the seed is
//! fixed, so that a failure is there again in the next run. `OXKEEPER_FUZZ_ROUNDS` multiplies the
//! rounds. What the fuzzer has found worth keeping (`fuzz/run --keep`), and what has failed once,
//! is in `fuzz/corpus/TARGET.hex` and tried by each run.

#[path = "../jute/tests/hostile/counting.rs"]
mod counting;
#[path = "../jute/tests/hostile/damage.rs"]
mod damage;
mod history;

use std::fs;
use std::path::Path;

use counting::memory_of;
use damage::damage;
use history::{file, Server};
use jute::proto::AuthPacket;
use jute::{Acl, Encode, Id, Writer};
use oxkeeper::sim::fuzzing::{self, target, targets, Reach, Target};
use oxkeeper::sim::{Rng, SimDisk};
use oxkeeper::storage::Compression;

/// A target's inputs are tried `rounds` times this.
fn factor() -> usize {
    std::env::var("OXKEEPER_FUZZ_ROUNDS")
        .map_or(1, |text| text.parse().expect("OXKEEPER_FUZZ_ROUNDS is a number"))
}

fn try_one(target: &Target, bytes: &[u8]) {
    let Target { name, body, .. } = target;
    let shown = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let outcome = std::panic::catch_unwind(|| memory_of(|| body(bytes)));
    let Ok(memory) = outcome else {
        panic!("put these bytes into fuzz/corpus/{name}.hex: {}", shown());
    };
    let max = target.memory_max(bytes.len());
    assert!(memory <= max, "{name}: {memory} bytes held for {}: {}", bytes.len(), shown());
}

/// What is kept of a target's inputs: one a line, in hex.
fn kept(target: &Target) -> Vec<Vec<u8>> {
    let file = format!("{}/fuzz/corpus/{}.hex", env!("CARGO_MANIFEST_DIR"), target.name);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

/// Feeds a target with `seeds`, as they are and damaged.
fn torment(name: &str, seeds: &[Vec<u8>], rounds: usize) {
    let target = target(name);
    let mut rng = Rng::new(0x0dd_5eed);
    seeds.iter().for_each(|bytes| try_one(target, bytes));
    for round in 0..rounds * factor() {
        let mut bytes = seeds[round % seeds.len()].clone();
        damage(&mut bytes, seeds, |n| rng.below(n));
        try_one(target, &bytes);
    }
}

/// Feeds a target with what the generator draws.
fn draw(name: &str, length: usize, rounds: usize) {
    let target = target(name);
    let mut rng = Rng::new(0x0dd_5eed);
    for _ in 0..rounds * factor() {
        let length = 1 + rng.below(length);
        let bytes: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).collect();
        try_one(target, &bytes);
    }
}

#[test]
fn what_the_fuzzer_has_kept() {
    for target in targets() {
        let inputs = kept(target);
        assert!(inputs.len() >= 10, "{} has {} kept inputs", target.name, inputs.len());
        inputs.iter().for_each(|bytes| try_one(target, bytes));
    }
}

#[test]
fn auth_packets_and_the_lists_behind_them() {
    let credentials: [(&str, &[u8]); 6] = [
        ("digest", b"bob:pw"),
        ("digest", b"nobody"),
        ("ip", b""),
        ("ensemble", b"ours"),
        ("digest", b"\xff:\xff"),
        ("sasl", b"x"),
    ];
    let lists = [
        vec![Acl::open_unsafe()],
        vec![Acl::new(31, Id::new("auth", "")), Acl::new(1, Id::new("digest", "a:b"))],
        vec![Acl::new(5, Id::new("ip", "10.0.0.0/8")), Acl::new(1, Id::new("ip", "::1/64"))],
    ];
    let mut seeds = Vec::new();
    for (scheme, auth) in credentials {
        for list in &lists {
            let packet = AuthPacket { kind: 0, scheme: Some(scheme.into()), auth: Some(auth) };
            let mut w = Writer::new();
            packet.encode(&mut w);
            w.vector(Some(list));
            seeds.push(w.into_vec());
        }
    }
    torment("auth", &seeds, 20_000);
}

#[test]
fn configuration_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let mut seeds: Vec<Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "cfg"))
        .map(|path| fs::read(path).unwrap())
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    seeds.push(
        b"dataDir=/d\nclientPort=2181\ntickTime=500\ninitLimit=5\nsyncLimit=2\n\
          server.1=a:2888:3888;2181\nserver.2=b:2888:3888|c:1:2:observer;[::1]:2181\n\
          group.1=1:2\nweight.1=0\nweight.2=3\nautopurge.snapRetainCount=3\n\
          4lw.commands.whitelist=*\nmaxClientCnxns=\\u0031\nquorumListenOnAllIPs=true\n"
            .to_vec(),
    );
    torment("zoo_cfg", &seeds, 2_000);
}

/// A server's log, up to its zeros, and its snapshots in each form.
fn files() -> (Vec<u8>, Vec<Vec<u8>>) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(6, 40).unwrap();
    server.sync().unwrap();
    let mut log = disk.content(&file("log.1")).unwrap();
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    log.truncate(end + 20);
    let mut snapshots = Vec::new();
    let forms = [(0, Compression::None), (1, Compression::Gzip), (2, Compression::Snappy)];
    for (choice, compression) in forms {
        let disk = disk.fork();
        let mut server = Server::go_on(&disk, history::recover_disk(&disk).unwrap().replica);
        server.snapshot(compression).unwrap();
        let name = disk
            .paths()
            .into_iter()
            .filter(|path| path.to_string_lossy().contains("/snapshot."))
            .max_by_key(|path| disk.content(path).map_or(0, |content| content.len()))
            .unwrap();
        snapshots.push([&[choice], disk.content(&name).unwrap().as_slice()].concat());
    }
    (log, snapshots)
}

#[test]
fn logs() {
    let (log, _) = files();
    torment("log", &[log], 1_500);
}

#[test]
fn snapshots() {
    let (_, snapshots) = files();
    torment("snapshot", &snapshots, 1_500);
}

/// Draws runs of a state machine, and sees to it that they come somewhere.
fn draw_runs(name: &str, run: fn(&[u8]) -> Reach) {
    const RUNS: usize = 3_000;
    const BYTES: usize = 1_500;
    draw(name, BYTES, RUNS);
    let mut rng = Rng::new(0x0dd_5eed);
    let (mut led, mut learnt, mut replaced) = (0, 0, 0);
    for _ in 0..RUNS {
        let bytes: Vec<u8> = (0..BYTES).map(|_| rng.next_u64() as u8).collect();
        let reach = run(&bytes);
        led += usize::from(reach.led);
        learnt += usize::from(reach.learnt);
        replaced += usize::from(reach.replaced);
    }
    let reached = format!("{name}: {led} led, {learnt} learnt, {replaced} replaced");
    println!("{reached}");
    assert!(led >= 20 && learnt >= 20 && replaced >= 20, "of {RUNS} only so many: {reached}");
}

#[test]
fn what_members_tell_the_core() {
    draw_runs("zab", fuzzing::zab);
}

#[test]
fn what_members_and_clients_tell_a_peer() {
    draw_runs("peer", fuzzing::peer);
}
