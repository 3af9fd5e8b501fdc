//! What a leader reads from its files for a learner that is behind, and what the learner makes
//! of it: a stretch of the log, or the body of a snapshot.

mod history;

use history::{body, create, dirs, every_type, file, random_life, receive, Server};
use oxkeeper::sim::{Rng, SimDisk};
use oxkeeper::storage::{
    find_log, log_size_limit, BodyReader, Compression, LogRange, ReceiveError, RecoverOptions,
    SnapshotReceiver,
};
use oxkeeper::tree::Replica;
use oxkeeper::types::{Epoch, Zxid};

fn range(disk: &SimDisk, from: Zxid, upto: Zxid) -> std::io::Result<Vec<Zxid>> {
    let mut range = LogRange::open(disk, &dirs(), from, upto)?;
    let mut zxids = Vec::new();
    while let Some(txn) = range.next_txn()? {
        zxids.push(txn.zxid);
    }
    Ok(zxids)
}

fn find(disk: &SimDisk, from: Zxid, upto: Zxid) -> Option<Zxid> {
    find_log(disk, &dirs(), from, upto, None).unwrap()
}

/// Every stretch of a random history behind one of its transactions is found and read as it was
/// written, and what was never in it is not found.
#[test]
fn a_stretch_of_the_log_is_what_was_written() {
    for seed in 0..30 {
        let life = random_life(seed, 25);
        let known: Vec<Zxid> = life.digests.keys().copied().collect();
        for (i, from) in known.iter().enumerate() {
            for (j, upto) in known.iter().enumerate().skip(i + 1).step_by(3) {
                let story = format!("seed {seed}: {from} to {upto}");
                let found = Some(*from).filter(|from| *from != Zxid::ZERO);
                assert_eq!(find(&life.disk, *from, *upto), found, "{story}");
                let read = range(&life.disk, *from, *upto).unwrap();
                assert_eq!(read, known[i + 1..=j], "{story}");
            }
            let unknown = Zxid(from.0 + 1);
            if !life.digests.contains_key(&unknown) {
                assert_eq!(find(&life.disk, unknown, life.last), None, "seed {seed}: {unknown}");
            }
        }
    }
}

#[test]
fn a_record_is_read_with_its_bytes_while_the_log_goes_on() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    let mut bodies = Vec::new();
    for i in 0..40 {
        server.create_nodes(1, 20_000 * (i % 5)).unwrap();
        let mut range = LogRange::open(&disk, &dirs(), Zxid(i as i64), server.acked).unwrap();
        let txn = range.next_txn().unwrap().expect("the newest one");
        assert_eq!(txn.zxid, server.acked);
        bodies.push(txn);
        assert_eq!(range.next_txn().unwrap(), None);
    }
    let mut range = LogRange::open(&disk, &dirs(), Zxid(0), server.acked).unwrap();
    for txn in &bodies {
        // Nothing behind the end that was asked for is looked at.
        server.append(create(&format!("/more{:x}", txn.zxid.0), b"")).unwrap();
        assert_eq!(range.next_txn().unwrap().as_ref(), Some(txn));
    }
    assert_eq!(range.next_txn().unwrap(), None);
}

#[test]
fn the_first_zxid_of_an_epoch_is_a_place_in_the_log_though_no_transaction() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(5, 10).unwrap();
    server.append_as(Zxid::new(Epoch(3), 1), create("/three", b"")).unwrap();
    server.sync().unwrap();
    let upto = server.acked;
    for epoch in [1, 2, 3] {
        let led = Zxid::new(Epoch(epoch), 0);
        assert_eq!(find(&disk, led, upto), Some(led));
        assert_eq!(range(&disk, led, upto).unwrap(), [upto]);
    }
    // Whoever has this has something else.
    assert_eq!(find(&disk, Zxid::new(Epoch(1), 4), upto), None);
}

#[test]
fn between_two_epochs_a_leaders_snapshot_may_stand_for_what_is_missing() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.append_as(Zxid::new(Epoch(1), 1), create("/a", b"")).unwrap();
    server.append_as(Zxid::new(Epoch(1), 2), create("/b", b"")).unwrap();
    let first = server.log.last_zxid();
    server.log.roll().unwrap();
    server.append_as(Zxid::new(Epoch(2), 1), create("/c", b"")).unwrap();
    server.append_as(Zxid::new(Epoch(2), 2), create("/d", b"")).unwrap();
    server.sync().unwrap();
    assert_eq!(find(&disk, first, server.acked), Some(first));
    let snapshot = disk.content(&file("snapshot.0")).unwrap();
    for missing in [Zxid::new(Epoch(1), 9), Zxid::new(Epoch(2), 0)] {
        let disk = disk.fork();
        disk.put(&file(&format!("snapshot.{:x}", missing.0)), &snapshot);
        assert_eq!(find(&disk, first, server.acked), None);
        range(&disk, first, server.acked).unwrap_err();
        // Behind the snapshot all is there.
        assert_eq!(find(&disk, missing, server.acked), Some(missing));
        assert_eq!(range(&disk, missing, server.acked).unwrap().len(), 2);
    }
}

#[test]
fn a_damaged_or_missing_record_is_not_passed_over() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for _ in 0..3 {
        server.create_nodes(4, 200).unwrap();
        server.log.roll().unwrap();
    }
    let whole = disk.fork();
    let mut log = disk.content(&file("log.5")).unwrap();
    log[100] ^= 1;
    disk.put(&file("log.5"), &log);
    assert_eq!(find(&disk, Zxid(2), Zxid(12)), None);
    let mut stretch = LogRange::open(&disk, &dirs(), Zxid(2), Zxid(12)).unwrap();
    assert_eq!(stretch.next_txn().unwrap().unwrap().zxid, Zxid(3));
    assert_eq!(stretch.next_txn().unwrap().unwrap().zxid, Zxid(4));
    stretch.next_txn().unwrap_err();
    whole.take(&file("log.5"));
    assert_eq!(find(&whole, Zxid(2), Zxid(12)), None);
    range(&whole, Zxid(2), Zxid(12)).unwrap_err();
    assert_eq!(find(&whole, Zxid(9), Zxid(12)), Some(Zxid(9)));
    whole.take(&file("log.1"));
    assert_eq!(find(&whole, Zxid(2), Zxid(12)), None, "purged");
}

#[test]
fn a_stretch_that_is_longer_than_a_part_of_a_snapshot_is_not_found() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(10, 1000).unwrap();
    server.snapshot(Compression::None).unwrap();
    server.create_nodes(10, 1000).unwrap();
    let len = disk.content(&file("snapshot.a")).unwrap().len() as f64;
    let limit = log_size_limit(&disk, &dirs(), 0.33).unwrap();
    assert_eq!(limit, Some((len * 0.33) as u64));
    assert_eq!(log_size_limit(&disk, &dirs(), 0.0).unwrap(), None);
    let found = |from| find_log(&disk, &dirs(), Zxid(from), Zxid(20), limit).unwrap();
    assert_eq!(found(2), None);
    assert_eq!(found(15), None);
    assert_eq!(found(18), Some(Zxid(18)));
    // A snapshot that does not look whole does not count.
    disk.put(&file("snapshot.14"), b"ZKSN and no end");
    assert_eq!(log_size_limit(&disk, &dirs(), 0.33).unwrap(), limit);
}

/// As Apache's leader. It has a snapshot of what the learner has, of nothing at first.
#[test]
fn a_log_that_begins_behind_what_the_learner_has_is_not_found() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(5, 10).unwrap();
    server.snapshot(Compression::None).unwrap();
    server.log.roll().unwrap();
    server.create_nodes(5, 10).unwrap();
    assert!(disk.content(&file("snapshot.0")).is_some() && disk.content(&file("log.1")).is_some());
    assert_eq!(find(&disk, Zxid::ZERO, Zxid(10)), None);
    assert_eq!(find(&disk, Zxid(1), Zxid(10)), Some(Zxid(1)));
    assert_eq!(find(&disk, Zxid(5), Zxid(10)), Some(Zxid(5)));
    disk.take(&file("log.1"));
    assert!(disk.content(&file("snapshot.5")).is_some() && disk.content(&file("log.6")).is_some());
    assert_eq!(find(&disk, Zxid(5), Zxid(10)), None);
    assert_eq!(find(&disk, Zxid(6), Zxid(10)), Some(Zxid(6)));
}

/// A tree with every kind of znode, ACLs, sessions, and one znode of a megabyte.
fn rich(compression: Compression) -> (SimDisk, Replica, String) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for txn in every_type() {
        server.append(txn).unwrap();
    }
    server.append(create("/large", &history::text(1 << 20, 3))).unwrap();
    server.create_nodes(300, 700).unwrap();
    server.snapshot(compression).unwrap();
    let name = format!("snapshot.{:x}{}", server.acked.0, compression.extension());
    (disk, server.replica, name)
}

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

#[test]
fn a_body_is_the_file_without_header_and_seals_however_it_is_packed() {
    let (plain, _, name) = rich(Compression::None);
    let bytes = plain.content(&file(&name)).unwrap();
    let expected = &bytes[16..bytes.len() - 67];
    assert!(expected.ends_with(b"\0\0\0\x01/"));
    for compression in ALL {
        let (disk, _, name) = rich(compression);
        let mut reader = BodyReader::open(&disk, &file(&name)).unwrap();
        let (mut all, mut chunks) = (Vec::new(), 0);
        loop {
            let mut chunk = Vec::new();
            let more = reader.next_chunk(&mut chunk).unwrap();
            assert!(chunk.len() < (1 << 20) + (128 << 10), "a chunk of {}", chunk.len());
            all.extend_from_slice(&chunk);
            chunks += 1;
            if !more {
                break;
            }
        }
        assert!(all == expected && chunks > 3, "{compression:?}");
    }
}

/// A damaged snapshot never gets to its end: the last bytes of a body are only given out when all
/// seals are right.
#[test]
fn the_body_of_a_damaged_snapshot_has_no_end() {
    let mut rng = Rng::new(7);
    for compression in ALL {
        let (disk, _, name) = rich(compression);
        let whole = disk.content(&file(&name)).unwrap();
        let expected = body(&disk, &name);
        for round in 0..150 {
            let mut bytes = whole.clone();
            match round % 3 {
                0 => bytes.truncate(rng.below(whole.len())),
                // The last bits of a gzip stream are its own length and checksum.
                _ => bytes[rng.below(whole.len() - 8)] ^= 1 << rng.below(8),
            }
            disk.put(&file(&name), &bytes);
            let mut read = Vec::new();
            let outcome = BodyReader::open(&disk, &file(&name))
                .and_then(|mut reader| while_more(&mut reader, &mut read));
            let same = outcome.is_ok() && read == expected;
            assert!(outcome.is_err() || same, "{compression:?}, round {round}");
            assert!(outcome.is_ok() || read.len() < expected.len() || read != expected);
        }
    }
}

fn while_more(reader: &mut BodyReader, out: &mut Vec<u8>) -> std::io::Result<()> {
    while reader.next_chunk(out)? {}
    Ok(())
}

#[test]
fn a_body_in_any_pieces_makes_the_same_replica_and_the_same_file() {
    let (leader, replica, name) = rich(Compression::None);
    let body = body(&leader, &name);
    let snapshot = leader.content(&file(&name)).unwrap();
    for piece in [1, 2, 3, 5, 7, 64, 1000, 65_536, body.len()] {
        let learner = SimDisk::new(2);
        Server::start(&learner).unwrap();
        let receiver = receive(&learner, replica.last_zxid(), &body, piece).unwrap();
        let received = receiver.install().unwrap();
        assert_eq!(received.digest(), replica.digest(), "pieces of {piece}");
        assert!(received.sessions().eq(replica.sessions()));
        assert!(learner.content(&file(&name)).unwrap() == snapshot, "pieces of {piece}");
    }
}

#[test]
fn what_follows_the_body_is_left_to_the_caller() {
    let (leader, replica, name) = rich(Compression::None);
    let mut bytes = body(&leader, &name);
    let len = bytes.len();
    bytes.extend_from_slice(b"\0\0\0\x0aBenWasHere and more");
    let tree = RecoverOptions::default().tree;
    let zxid = replica.last_zxid();
    for first in [0, 1, 100, len - 1] {
        let disk = leader.fork();
        let packing = Compression::None;
        let mut receiver = SnapshotReceiver::new(&disk, &dirs(), zxid, tree, packing).unwrap();
        assert_eq!(receiver.feed(&bytes[..first]).unwrap(), None);
        assert_eq!(receiver.feed(&bytes[first..]).unwrap(), Some(len - first));
        receiver.abandon().unwrap();
        assert!(!disk.paths().iter().any(|path| path.to_string_lossy().contains(".part.")));
    }
}

/// A leader may send anything: it is refused, or it makes a tree; nothing is allocated for what
/// has not come.
#[test]
fn a_body_that_makes_no_tree_is_refused() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for txn in every_type() {
        server.append(txn).unwrap();
    }
    server.sync().unwrap();
    server.snapshot(Compression::None).unwrap();
    let good = body(&disk, "snapshot.e");
    let tree = RecoverOptions::default().tree;
    let mut rng = Rng::new(3);
    let (mut refused, mut waiting) = (0, 0);
    for _ in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(bytes.len());
            bytes[at] = [0xff, 0x7f, 0, 1 << rng.below(8)][rng.below(4)] ^ (bytes[at] & 1);
        }
        let mut receiver =
            SnapshotReceiver::new(&disk, &dirs(), Zxid(14), tree, Compression::None).unwrap();
        match receiver.feed(&bytes) {
            Err(ReceiveError::Body { .. }) => refused += 1,
            Err(e) => panic!("{e}"),
            Ok(None) => waiting += 1,
            Ok(Some(_)) => {}
        }
        receiver.abandon().unwrap();
    }
    assert!(refused > 300 && waiting > 300, "{refused} refused, {waiting} not whole");
    assert_eq!(history::recover_as_member(&disk).unwrap().last_zxid, Zxid(14));
}
