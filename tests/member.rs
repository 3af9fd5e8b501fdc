//! The rows of docs/DURABILITY.md that are for members of an ensemble only: a test for each, by
//! its number.

mod history;

use std::path::Path;

use history::{create, dirs, file, log_options, receive, recover_as_member, recover_disk, Server};
use oxkeeper::sim::{Call, SimDisk};
use oxkeeper::storage::{
    purge, recover_member, truncate, write_accepted, write_current, Compression, Dirs, Epochs,
    LogRange, Member, MemberOptions, RecoverOptions, Refusal, SnapshotReceiver, Stranger, TxnLog,
};
use oxkeeper::types::{Epoch, Zxid};

fn epochs(accepted: u32, current: u32) -> Epochs {
    Epochs { accepted: Epoch(accepted), current: Epoch(current) }
}

fn write_epochs(disk: &SimDisk, accepted: &str, current: &str) {
    disk.put(&file("acceptedEpoch"), accepted.as_bytes());
    disk.put(&file("currentEpoch"), current.as_bytes());
}

fn text_of(disk: &SimDisk, name: &str) -> Option<String> {
    disk.content(&file(name)).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// A member of epoch 2 with some acknowledged transactions, the last of them `0x200000005`.
fn written() -> (SimDisk, Server) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(4, 300).unwrap();
    server.append_as(Zxid::new(Epoch(2), 1), create("/epoch", b"2")).unwrap();
    server.create_nodes(4, 300).unwrap();
    write_epochs(&disk, "2", "2");
    (disk, server)
}

fn served(disk: &SimDisk, server: &Server) -> Member {
    let back = recover_as_member(disk).unwrap_or_else(|e| panic!("refused: {e}"));
    assert_eq!(back.stranger, None);
    assert_eq!(back.last_zxid, server.acked);
    assert_eq!(back.replica.digest(), server.replica.digest());
    back
}

fn stranger(disk: &SimDisk, said: &str) -> Member {
    let back = recover_as_member(disk).unwrap_or_else(|e| panic!("refused: {e}"));
    let reason = back.stranger.as_ref().expect("a stranger").reason();
    assert!(reason.contains(said), "{reason}");
    assert_eq!(back.last_zxid, Zxid::NONE);
    assert_eq!(back.replica.last_zxid(), Zxid::ZERO);
    assert!(back.history.is_empty());
    back
}

/// Another server's state of `zxid`, ready to be installed.
fn leaders_body(zxid: Zxid) -> Vec<u8> {
    let disk = SimDisk::new(5);
    let mut server = Server::start(&disk).unwrap();
    server.append_as(zxid, create("/leader", b"s state")).unwrap();
    server.sync().unwrap();
    server.snapshot(Compression::None).unwrap();
    history::body(&disk, &format!("snapshot.{:x}", zxid.0))
}

#[test]
fn a_member_comes_back_with_its_newest_transactions() {
    let (disk, server) = written();
    let back = served(&disk, &server);
    let zxids: Vec<i64> = back.history.iter().map(|txn| txn.zxid.0).collect();
    let second = 2 << 32;
    assert_eq!(zxids, [1, 2, 3, 4, second + 1, second + 2, second + 3, second + 4, second + 5]);
    assert_eq!(back.epochs, epochs(2, 2));
    let options = MemberOptions { history_max: 3, ..MemberOptions::default() };
    let short = recover_member(&disk, &dirs(), &options).unwrap();
    assert_eq!(short.history, back.history[6..]);
}

#[test]
fn row_35_a_leaders_snapshot_ahead_of_the_logs_is_no_loss() {
    let (disk, mut server) = written();
    server.log.publish_synced().unwrap();
    // As Apache's followers leave it: the old logs stay where they are.
    let zxid = Zxid::new(Epoch(2), 90);
    let (other, _) = written();
    receive(&other, zxid, &leaders_body(zxid), 100).unwrap().install().unwrap();
    disk.put(&file("snapshot.20000005a"), &other.content(&file("snapshot.20000005a")).unwrap());
    let back = recover_as_member(&disk).unwrap();
    assert_eq!((back.stranger, back.last_zxid), (None, zxid));
    let mut server = Server::go_on(&disk, back.replica);
    server.create_nodes(3, 50).unwrap();
    let back = served(&disk, &server);
    assert_eq!(back.history.len(), 3, "nothing from before the hole");
}

#[test]
fn row_36_a_damaged_member_is_a_stranger_and_its_files_are_set_aside() {
    let (disk, _) = written();
    disk.take(&file("oxkeeper.synced"));
    let mut log = disk.content(&file("log.1")).unwrap();
    log[70] ^= 1;
    disk.put(&file("log.1"), &log);
    let back = stranger(&disk, "log.1 at offset");
    assert_eq!(back.epochs, epochs(2, 0), "it keeps its promise and claims nothing");
    assert!(matches!(back.stranger, Some(Stranger::Damaged(_))));
    assert_eq!(disk.content(&file("oxkeeper.bad.log.1")), Some(log));
    assert!(disk.content(&file("log.1")).is_none());
    assert!(disk.content(&file("oxkeeper.bad.snapshot.0")).is_some());
    // Alone it does not serve what is left.
    let refused = recover_disk(&disk).err().expect("refused");
    assert_eq!(refused.refusal, Refusal::Lost);
    assert!(refused.to_string().contains("log.1 at offset"), "{refused}");
}

#[test]
fn row_36_what_the_system_or_the_operator_must_answer_for_is_refused() {
    // A sector that cannot be read is no damage yet: not to the logs, not to the snapshots.
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let (disk, mut server) = written();
        server.snapshot(compression).unwrap();
        let reads = disk.fork();
        served(&reads, &server);
        for n in 0..reads.count(Call::Read) - disk.count(Call::Read) {
            let disk = disk.fork();
            disk.fail(Call::Read, n, std::io::ErrorKind::Other);
            let refused = recover_as_member(&disk).err().expect("refused");
            assert_eq!(refused.refusal, Refusal::Io, "{compression:?}, read {n}: {refused}");
            served(&disk, &server);
        }
    }
    let (disk, server) = written();
    disk.take(&file("snapshot.0"));
    assert_eq!(recover_as_member(&disk).err().unwrap().refusal, Refusal::NoSnapshot);
    let mut options = MemberOptions::default();
    options.recover.trust_empty_snapshot = true;
    let back = recover_member(&disk, &dirs(), &options).unwrap();
    assert_eq!((back.stranger, back.last_zxid), (None, server.acked));
}

#[test]
fn row_37_a_stranger_stays_one_until_it_has_a_leaders_whole_history() {
    let (disk, _) = written();
    disk.take(&file("log.1"));
    let mut log = disk.content(&file("snapshot.0")).unwrap();
    log[30] ^= 1;
    disk.put(&file("snapshot.0"), &log);
    stranger(&disk, "snapshot.0");
    stranger(&disk, "snapshot.0");
    // A leader begins to tell it what there is, and goes away.
    let back = recover_as_member(&disk).unwrap();
    let mut server = Server::go_on(&disk, back.replica);
    server.create_nodes(2, 10).unwrap();
    stranger(&disk, "snapshot.0");
    assert_eq!(disk.content(&file("oxkeeper.bad.snapshot.0")), Some(log), "still the damaged one");
    let zxid = Zxid::new(Epoch(3), 1);
    let receiver = receive(&disk, zxid, &leaders_body(zxid), 64).unwrap();
    receiver.install().unwrap();
    stranger(&disk, "snapshot.0");
    let receiver = receive(&disk, zxid, &leaders_body(zxid), 64).unwrap();
    let server = Server::go_on(&disk, receiver.install().unwrap());
    write_accepted(&disk, &dirs(), Epoch(4)).unwrap();
    write_current(&disk, &dirs(), Epoch(4)).unwrap();
    assert_eq!(served(&disk, &server).epochs, epochs(4, 4));
}

#[test]
fn row_37_the_operators_initialize_makes_a_stranger_a_fresh_member() {
    let (disk, _) = written();
    disk.take(&file("log.1"));
    disk.take(&file("snapshot.0"));
    stranger(&disk, "there is a currentEpoch");
    disk.put(&dirs().logs.with_file_name("initialize"), b"");
    let back = recover_as_member(&disk).unwrap();
    assert_eq!((back.stranger, back.last_zxid), (None, Zxid::ZERO));
    assert_eq!(back.epochs, epochs(2, 0));
    assert!(disk.content(&dirs().logs.with_file_name("initialize")).is_none());
}

#[test]
fn row_38_an_empty_directory_is_a_fresh_member_or_a_stranger() {
    let disk = SimDisk::new(1);
    let recover = RecoverOptions { autocreate: false, ..RecoverOptions::default() };
    let untrusting = MemberOptions { recover, ..MemberOptions::default() };
    for _ in 0..2 {
        let back = recover_member(&disk, &dirs(), &untrusting).unwrap();
        assert!(matches!(back.stranger, Some(Stranger::Empty(_))));
        assert_eq!(back.last_zxid, Zxid::NONE);
    }
    let told = disk.fork();
    told.put(&dirs().logs.with_file_name("initialize"), b"");
    for (disk, options) in [(&disk, &MemberOptions::default()), (&told, &untrusting)] {
        let back = recover_member(disk, &dirs(), options).unwrap();
        assert_eq!((back.stranger, back.last_zxid), (None, Zxid::ZERO));
        assert_eq!(back.epochs, epochs(0, 0));
        assert_eq!(text_of(disk, "currentEpoch").as_deref(), Some("0"));
        assert!(disk.content(&file("snapshot.0")).is_some());
    }
}

#[test]
fn row_39_a_directory_that_was_emptied_is_a_strangers() {
    let disk = SimDisk::new(1);
    write_epochs(&disk, "5", "4");
    let back = stranger(&disk, "there is a currentEpoch, but no snapshot and no log");
    assert_eq!(back.epochs, epochs(5, 0));
}

#[test]
fn row_40_an_installation_that_was_decided_on_is_finished() {
    let zxid = Zxid::new(Epoch(2), 3);
    let body = leaders_body(zxid);
    let (disk, _) = written();
    let whole = disk.fork();
    receive(&whole, zxid, &body, 4096).unwrap().install().unwrap();
    // The power goes behind the decision, which is the first directory sync but one.
    for standalone in [false, true] {
        let disk = disk.fork();
        let receiver = receive(&disk, zxid, &body, 4096).unwrap();
        disk.fail(Call::List, 0, std::io::ErrorKind::Other);
        receiver.install().err().expect("the disk failed");
        assert!(disk.content(&file("oxkeeper.install")).is_some());
        assert!(disk.content(&file("log.1")).is_some());
        let (replica, notes) = if standalone {
            let back = recover_disk(&disk).unwrap();
            (back.replica, back.report.notes)
        } else {
            let back = recover_as_member(&disk).unwrap();
            (back.replica, back.report.notes)
        };
        assert_eq!(replica.last_zxid(), zxid);
        assert!(notes.iter().any(|note| note.contains("snapshot.200000003")), "{notes:?}");
        assert_eq!(
            disk.content(&file("snapshot.200000003")),
            whole.content(&file("snapshot.200000003"))
        );
        assert!(disk.content(&file("log.1")).is_none());
        assert!(disk.content(&file("oxkeeper.install")).is_none());
    }
}

#[test]
fn row_40_an_installation_clears_a_log_directory_of_its_own_too() {
    let split = Dirs::new(Path::new("/data"), Some(Path::new("/logs")));
    let options = MemberOptions::default();
    let disk = SimDisk::new(1);
    let back = recover_member(&disk, &split, &options).unwrap();
    let mut log = TxnLog::new(disk.clone(), &split.logs, log_options(), back.last_zxid);
    let (whole, _) = written();
    let mut records = LogRange::open(&whole, &dirs(), Zxid(0), Zxid::new(Epoch(2), 5)).unwrap();
    while let Some(txn) = records.next_txn().unwrap() {
        log.append(txn.zxid, &txn.bytes).unwrap();
    }
    log.sync().unwrap();
    log.publish_synced().unwrap();
    let back = recover_member(&disk, &split, &options).unwrap();
    assert_eq!(back.last_zxid, Zxid::new(Epoch(2), 5));
    let cut = truncate(&disk, &split, Zxid(3), &options).unwrap().expect("it is there");
    let back = recover_member(&disk, &split, &options).unwrap();
    assert_eq!((back.last_zxid, back.replica.digest()), (Zxid(3), cut.replica.digest()));
    let zxid = Zxid(2);
    let (tree, packing) = (options.recover.tree, Compression::Gzip);
    let mut receiver = SnapshotReceiver::new(&disk, &split, zxid, tree, packing).unwrap();
    assert!(receiver.feed(&leaders_body(zxid)).unwrap().is_some());
    receiver.install().unwrap();
    let back = recover_member(&disk, &split, &options).unwrap();
    assert_eq!((back.stranger, back.last_zxid), (None, zxid));
    let left: Vec<_> = disk.paths().into_iter().filter(|p| p.starts_with("/logs")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn row_40_a_damaged_decision_is_damage() {
    let zxid = Zxid::new(Epoch(2), 3);
    let (disk, _) = written();
    let receiver = receive(&disk, zxid, &leaders_body(zxid), 4096).unwrap();
    disk.fail(Call::List, 0, std::io::ErrorKind::Other);
    receiver.install().err().expect("the disk failed");
    let text = disk.content(&file("oxkeeper.install")).unwrap();
    for i in 0..text.len() {
        let disk = disk.fork();
        let mut damaged = text.clone();
        damaged[i] ^= 1;
        disk.put(&file("oxkeeper.install"), &damaged);
        stranger(&disk, "oxkeeper.install: the file has been damaged");
        assert!(disk.content(&file("oxkeeper.bad.log.1")).is_some());
    }
    disk.take(&file("oxkeeper.part.200000003"));
    stranger(&disk, "the snapshot that was to be installed is gone");
}

#[test]
fn row_41_missing_epochs_are_those_of_the_last_transaction() {
    let (disk, server) = written();
    disk.take(&file("acceptedEpoch"));
    disk.take(&file("currentEpoch"));
    assert_eq!(served(&disk, &server).epochs, epochs(2, 2));
    assert_eq!(text_of(&disk, "acceptedEpoch").as_deref(), Some("2"));
    assert_eq!(text_of(&disk, "currentEpoch").as_deref(), Some("2"));
    for (accepted, current, found) in
        [(None, Some("5"), epochs(5, 5)), (Some("5"), None, epochs(5, 2))]
    {
        for (name, text) in [("acceptedEpoch", accepted), ("currentEpoch", current)] {
            match text {
                None => disk.take(&file(name)),
                Some(text) => disk.put(&file(name), text.as_bytes()),
            }
        }
        assert_eq!(served(&disk, &server).epochs, found);
    }
}

#[test]
fn row_42_a_current_epoch_behind_the_log_stays_unless_the_next_was_written() {
    for (temp, current) in [
        (None, 1),
        (Some("2"), 2),
        // Nothing that was ever written for a history that is here.
        (Some(""), 1),
        (Some("x"), 1),
        (Some("1"), 1),
        (Some("4"), 1),
    ] {
        let (disk, server) = written();
        write_epochs(&disk, "3", "1");
        if let Some(temp) = temp {
            disk.put(&file("currentEpoch.tmp"), temp.as_bytes());
        }
        assert_eq!(served(&disk, &server).epochs, epochs(3, current), "{temp:?}");
        assert_eq!(text_of(&disk, "currentEpoch"), Some(current.to_string()));
        assert_eq!(text_of(&disk, "currentEpoch.tmp"), None);
        assert_eq!(served(&disk, &server).epochs, epochs(3, current), "{temp:?}");
    }
}

#[test]
fn row_43_a_promise_that_the_log_proves_is_repaired() {
    for (accepted, current, found) in
        [("1", "1", epochs(2, 1)), ("1", "2", epochs(2, 2)), ("0", "1", epochs(2, 1))]
    {
        let (disk, server) = written();
        write_epochs(&disk, accepted, current);
        assert_eq!(served(&disk, &server).epochs, found);
        assert_eq!(text_of(&disk, "acceptedEpoch").as_deref(), Some("2"));
    }
}

#[test]
fn row_44_an_epoch_that_cannot_be_is_damage() {
    for (accepted, current, kept) in [
        ("2", "3", 3),
        ("", "2", 2),
        ("2", "", 2),
        ("2", "2x", 2),
        ("+2", "2", 2),
        ("99999999999", "2", 2),
        ("\u{0}", "\u{0}", 0),
    ] {
        let (disk, _) = written();
        write_epochs(&disk, accepted, current);
        let back = stranger(&disk, "Epoch");
        assert_eq!(back.epochs, epochs(kept, 0), "{accepted:?}, {current:?}");
        assert!(disk.content(&file("oxkeeper.bad.log.1")).is_some());
    }
}

/// Turns every bit of both files: the member never claims more than it did, and breaks no promise
/// that its claim or its log knows of.
#[test]
fn row_44_a_bit_in_an_epoch_file() {
    for name in ["acceptedEpoch", "currentEpoch"] {
        for bit in 0..16 {
            let (disk, _) = written();
            write_epochs(&disk, "12", "12");
            let mut text = disk.content(&file(name)).unwrap();
            text[bit / 8] ^= 1 << (bit % 8);
            disk.put(&file(name), &text);
            let back = recover_as_member(&disk).unwrap();
            let Epochs { accepted, current } = back.epochs;
            assert!(current <= Epoch(12), "{name}, bit {bit}");
            assert!(accepted >= Epoch(12) || back.stranger.is_some(), "{name}, bit {bit}");
        }
    }
}

#[test]
fn row_45_what_an_unfinished_write_of_an_epoch_left_is_removed() {
    let (disk, server) = written();
    disk.put(&file("acceptedEpoch.tmp"), b"9");
    disk.put(&file("currentEpoch.tmp"), b"9");
    assert_eq!(served(&disk, &server).epochs, epochs(2, 2));
    assert!(!disk.paths().iter().any(|path| path.ends_with(".tmp")));
    assert_eq!(text_of(&disk, "currentEpoch.tmp"), None);
    assert_eq!(text_of(&disk, "acceptedEpoch.tmp"), None);
}

#[test]
fn row_46_a_follower_of_apaches_may_have_applied_more_than_it_logged() {
    let (disk, mut server) = written();
    server.append(create("/applied", b"")).unwrap();
    let mut ahead = Server::start(&disk.fork()).unwrap();
    ahead.append(create("/applied", b"")).unwrap();
    ahead.sync().unwrap();
    ahead.snapshot(Compression::None).unwrap();
    let snapshot = ahead.disk.content(&file("snapshot.200000006")).unwrap();
    // The name says where the snapshot began.
    disk.put(&file("snapshot.200000005"), &snapshot);
    disk.take(&file("oxkeeper.snapshots"));
    let back = recover_as_member(&disk).unwrap();
    assert_eq!((back.stranger, back.last_zxid), (None, Zxid::new(Epoch(2), 5)));
    assert_eq!(recover_disk(&disk).err().unwrap().refusal, Refusal::Lost);
}

#[test]
fn what_was_set_aside_is_purged_with_its_elders() {
    let (disk, _) = written();
    disk.put(&file("log.1"), b"ZKLG, and so on: no log");
    stranger(&disk, "log.1");
    let zxid = Zxid::new(Epoch(3), 1);
    let receiver = receive(&disk, zxid, &leaders_body(zxid), 64).unwrap();
    let mut server = Server::go_on(&disk, receiver.install().unwrap());
    for _ in 0..3 {
        server.create_nodes(2, 10).unwrap();
        server.snapshot(Compression::None).unwrap();
    }
    assert!(disk.content(&file("oxkeeper.bad.log.1")).is_some());
    purge(&disk, &dirs(), 3).unwrap();
    let bad = disk.paths().into_iter().filter(|path| path.to_string_lossy().contains(".bad."));
    assert_eq!(bad.count(), 0);
}
