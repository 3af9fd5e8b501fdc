//! The recovery table of docs/DURABILITY.md: a test for each row, by its number.

mod history;

use std::io;
use std::path::{Path, PathBuf};

use history::{create, dirs, every_type, file, log_options, recover_disk, text, Server};
use jute::txn::{SetDataTxn, Txn};
use oxkeeper::sim::{Call, SimDisk};
use oxkeeper::storage::{
    purge, recover, Compression, Dirs, RecoverOptions, Recovered, RecoveryRefused, Refusal, TxnLog,
    TxnLogOptions,
};
use oxkeeper::types::{Epoch, Zxid};

/// A disk with `n` acknowledged creates, and the server that wrote it.
fn written(n: usize) -> (SimDisk, Server) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create_nodes(n, 300).unwrap();
    (disk, server)
}

/// The same in logs of their own: `log.1` with the first `n`, and so on.
fn written_in_logs(logs: usize, n: usize) -> (SimDisk, Server) {
    let (disk, mut server) = written(n);
    for _ in 1..logs {
        server.log.roll().unwrap();
        server.create_nodes(n, 300).unwrap();
    }
    (disk, server)
}

fn without_watermark(disk: &SimDisk) {
    disk.take(&file("oxkeeper.synced"));
}

fn change(disk: &SimDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.content(path).expect("the file is there");
    change(&mut bytes);
    disk.put(path, &bytes);
}

/// Where the records of a log begin, and behind the last.
fn records(disk: &SimDisk, path: &Path) -> Vec<usize> {
    let bytes = disk.content(path).expect("the log is there");
    let mut at = 16;
    let mut all = vec![at];
    while bytes.len() >= at + 12 && bytes[at..at + 12] != [0; 12] {
        at += 13 + u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        all.push(at);
    }
    all
}

fn served(disk: &SimDisk, server: &Server) -> Recovered {
    let back = recover_disk(disk).unwrap_or_else(|e| panic!("refused: {e}"));
    assert_eq!(back.last_zxid, server.acked);
    assert_eq!(back.replica.digest(), server.replica.digest());
    back
}

fn refused(disk: &SimDisk, refusal: Refusal, name: &str) -> RecoveryRefused {
    let refused = match recover_disk(disk) {
        Ok(back) => panic!("served up to {}: {:?}", back.last_zxid, back.report),
        Err(e) => e,
    };
    assert_eq!(refused.refusal, refusal, "{refused}");
    assert_eq!(refused.file, file(name), "{refused}");
    refused
}

#[test]
fn row_01_zeros_end_the_newest_log() {
    let (disk, server) = written(5);
    let back = served(&disk, &server);
    assert_eq!((back.report.txns, back.report.cut), (5, None));
}

#[test]
fn row_02_a_torn_tail_is_cut() {
    let (disk, mut server) = written(5);
    let acked = server.acked;
    server.append(create("/torn", &text(2000, 1))).unwrap();
    server.append(create("/torn/more", &text(100, 1))).unwrap();
    server.log.sync().unwrap();
    let log = file("log.1");
    let at = records(&disk, &log)[5];
    // A sector inside the first of the two was never written; its end byte was.
    without_watermark(&disk);
    let sector = (at / 512 + 2) * 512;
    change(&disk, &log, |bytes| bytes[sector..sector + 512].fill(0));
    let back = recover_disk(&disk).unwrap();
    assert_eq!(back.last_zxid, acked);
    assert_eq!(back.report.cut, Some((log.clone(), at as u64)));
    assert_eq!(disk.content(&log).unwrap().len(), at, "the cut is on the disk");
    assert_eq!(recover_disk(&disk).unwrap().report.cut, None);
}

#[test]
fn row_03_a_record_whole_but_for_its_end_byte_is_kept() {
    let (disk, server) = written(5);
    without_watermark(&disk);
    let log = file("log.1");
    let end = records(&disk, &log)[5];
    change(&disk, &log, |bytes| bytes[end - 1] = 0);
    let back = served(&disk, &server);
    assert!(back.report.notes[0].contains("whole but for"), "{:?}", back.report);
    assert_eq!(disk.content(&log).unwrap()[end - 1..], [b'B'], "written and cut behind it");
    served(&disk, &server);
}

#[test]
fn row_04_a_tail_cut_short_is_cut() {
    let (disk, server) = written(5);
    without_watermark(&disk);
    let log = file("log.1");
    let all = records(&disk, &log);
    change(&disk, &log, |bytes| bytes.truncate(all[5] - 7));
    let back = recover_disk(&disk).unwrap();
    assert_eq!(back.last_zxid, Zxid(server.acked.0 - 1));
    assert_eq!(back.report.cut, Some((log, all[4] as u64)));
}

#[test]
fn row_05_a_changed_record_at_the_end_is_damage() {
    for (place, bit) in [(0, 3), (7, 0), (9, 1), (11, 2), (40, 7), (200, 4)] {
        let (disk, _) = written(5);
        without_watermark(&disk);
        let log = file("log.1");
        let at = records(&disk, &log)[4];
        change(&disk, &log, |bytes| bytes[at + place] ^= 1 << bit);
        let refused = refused(&disk, Refusal::Corrupt, "log.1");
        assert_eq!((refused.offset, refused.zxid), (Some(at as u64), Some(Zxid(4))));
    }
}

#[test]
fn row_05_a_changed_end_byte_is_damage() {
    let (disk, _) = written(5);
    without_watermark(&disk);
    let end = records(&disk, &file("log.1"))[5];
    change(&disk, &file("log.1"), |bytes| bytes[end - 1] ^= 1);
    refused(&disk, Refusal::Corrupt, "log.1");
}

#[test]
fn row_06_zeros_below_the_watermark_are_damage() {
    for from in 1..5 {
        let (disk, mut server) = written(5);
        server.log.publish_synced().unwrap();
        let log = file("log.1");
        let at = records(&disk, &log)[from];
        change(&disk, &log, |bytes| bytes[at..].fill(0));
        let refused = refused(&disk, Refusal::Corrupt, "log.1");
        assert_eq!((refused.offset, refused.zxid), (Some(at as u64), Some(Zxid(from as i64))));
    }
}

#[test]
fn row_06_above_the_watermark_zeros_are_a_tail() {
    let (disk, mut server) = written(3);
    server.log.publish_synced().unwrap();
    server.create_nodes(2, 300).unwrap();
    let log = file("log.1");
    let at = records(&disk, &log)[3];
    change(&disk, &log, |bytes| bytes[at..].fill(0));
    assert_eq!(recover_disk(&disk).unwrap().last_zxid, Zxid(3));
}

#[test]
fn row_07_a_bad_record_in_an_earlier_log_is_damage() {
    let damages: [fn(&mut [u8]); 4] = [
        |record| record[20] ^= 1,
        |record| record[11] ^= 4,
        |record| record[..12].fill(0),
        |record| *record.last_mut().unwrap() ^= 1,
    ];
    for damage in damages {
        for watermark in [false, true] {
            let (disk, _) = written_in_logs(3, 4);
            if !watermark {
                without_watermark(&disk);
            }
            let all = records(&disk, &file("log.5"));
            change(&disk, &file("log.5"), |bytes| damage(&mut bytes[all[1]..all[2]]));
            let refused = refused(&disk, Refusal::Corrupt, "log.5");
            assert_eq!((refused.offset, refused.zxid), (Some(all[1] as u64), Some(Zxid(5))));
        }
    }
}

#[test]
fn row_08_a_torn_tail_that_a_later_start_left_behind_is_no_loss() {
    let (disk, mut server) = written(3);
    // Another server found the unfinished record and went on in a new file, as Apache does.
    let log = file("log.1");
    let end = records(&disk, &log)[3];
    change(&disk, &log, |bytes| bytes[end..end + 70].copy_from_slice(&[9; 70]));
    server.log = TxnLog::new(disk.clone(), dirs().logs, log_options(), server.acked);
    server.create_nodes(3, 100).unwrap();
    let back = served(&disk, &server);
    assert!(back.report.notes[0].contains("a later start went on without it"));
}

#[test]
fn row_09_a_missing_log_is_a_hole() {
    for watermark in [true, false] {
        let (disk, _) = written_in_logs(4, 3);
        if !watermark {
            without_watermark(&disk);
        }
        disk.take(&file("log.4"));
        let refused = refused(&disk, Refusal::Hole, "log.7");
        assert_eq!((refused.offset, refused.zxid), (Some(16), Some(Zxid(7))));
    }
}

#[test]
fn row_09_a_cleanly_shortened_earlier_log_is_a_hole() {
    let (disk, _) = written_in_logs(3, 4);
    without_watermark(&disk);
    let all = records(&disk, &file("log.5"));
    change(&disk, &file("log.5"), |bytes| bytes.truncate(all[2]));
    refused(&disk, Refusal::Hole, "log.9");
}

#[test]
fn row_09_a_snapshot_covers_a_hole() {
    let (disk, mut server) = written_in_logs(3, 4);
    server.snapshot(Compression::None).unwrap();
    server.create_nodes(2, 10).unwrap();
    disk.take(&file("log.5"));
    assert_eq!(served(&disk, &server).report.txns, 2);
}

#[test]
fn row_10_transactions_out_of_order_are_damage() {
    let (disk, _) = written(5);
    let log = file("log.1");
    let all = records(&disk, &log);
    // Two records of the same length change places.
    change(&disk, &log, |bytes| {
        let (a, b) = (bytes[all[1]..all[2]].to_vec(), bytes[all[2]..all[3]].to_vec());
        bytes[all[1]..all[2]].copy_from_slice(&b);
        bytes[all[2]..all[3]].copy_from_slice(&a);
    });
    let refused = recover_disk(&disk).err().expect("refused");
    assert!(matches!(refused.refusal, Refusal::Hole | Refusal::Corrupt), "{refused}");
    assert_eq!(refused.zxid, Some(Zxid(3)));
}

#[test]
fn row_11_a_record_logged_twice_is_borne() {
    let (disk, server) = written(5);
    let log = file("log.1");
    let all = records(&disk, &log);
    change(&disk, &log, |bytes| {
        let last = bytes[all[4]..all[5]].to_vec();
        bytes[all[5]..all[5] + last.len()].copy_from_slice(&last);
    });
    let back = served(&disk, &server);
    assert!(back.report.notes[0].contains("logged twice"));
}

#[test]
fn row_12_a_log_with_a_wrong_header_is_damage() {
    for byte in 0..16 {
        let (disk, _) = written_in_logs(2, 3);
        without_watermark(&disk);
        let name = ["log.1", "log.4"][byte % 2];
        change(&disk, &file(name), |bytes| bytes[byte] ^= 0x10);
        let refused = refused(&disk, Refusal::Corrupt, name);
        assert_eq!(refused.offset, Some(0));
    }
}

#[test]
fn row_13_a_newest_log_without_records_is_removed() {
    let header = [b"ZKLG".as_slice(), &[0, 0, 0, 2], &[0; 8]].concat();
    let mut padded = header.clone();
    padded.resize(4096, 0);
    for content in [&[][..], &header[..5], &header, &padded, &[0; 4096]] {
        let (disk, server) = written(5);
        disk.put(&file("log.6"), content);
        served(&disk, &server);
        assert_eq!(disk.content(&file("log.6")), None);
    }
}

#[test]
fn row_13_an_empty_log_that_was_not_empty_is_damage() {
    let (disk, mut server) = written(5);
    server.log.publish_synced().unwrap();
    disk.put(&file("log.1"), &[]);
    refused(&disk, Refusal::Corrupt, "log.1");
}

#[test]
fn row_14_a_log_under_another_name_is_damage() {
    for name in ["log.3", "log.7"] {
        let (disk, _) = written_in_logs(2, 4);
        let bytes = disk.content(&file("log.5")).unwrap();
        disk.take(&file("log.5"));
        disk.put(&file(name), &bytes);
        refused(&disk, Refusal::Corrupt, name);
    }
}

#[test]
fn row_15_a_record_that_is_no_transaction_is_damage() {
    let (disk, _) = written(2);
    let log = file("log.1");
    let all = records(&disk, &log);
    change(&disk, &log, |bytes| {
        // An unknown type, with the right checksum.
        let body = all[1] + 12..all[2] - 1;
        bytes[body.start + 31] = 0x77;
        let sum = simd_adler32::adler32(&&bytes[body]);
        bytes[all[1] + 4..all[1] + 8].copy_from_slice(&sum.to_be_bytes());
    });
    let refused = refused(&disk, Refusal::Corrupt, "log.1");
    assert!(refused.what.contains("no transaction"), "{refused}");
}

/// A log with a digest that the tree will not have.
fn with_wrong_digest() -> (SimDisk, Server) {
    let (disk, mut server) = written(3);
    server.snapshot(Compression::None).unwrap();
    server.create_nodes(1, 10).unwrap();
    let log = file("log.4");
    let all = records(&disk, &log);
    change(&disk, &log, |bytes| {
        let body = all[0] + 12..all[1] - 1;
        bytes[body.end - 1] ^= 1;
        let sum = simd_adler32::adler32(&&bytes[body]);
        bytes[all[0] + 4..all[0] + 8].copy_from_slice(&sum.to_be_bytes());
    });
    (disk, server)
}

#[test]
fn row_16_another_digest_behind_our_snapshot_is_damage() {
    let (disk, _) = with_wrong_digest();
    let refused = refused(&disk, Refusal::Hole, "log.4");
    assert_eq!(refused.zxid, Some(Zxid(4)));
}

#[test]
fn row_17_another_digest_behind_apaches_snapshot_is_an_event() {
    let (disk, server) = with_wrong_digest();
    // Without our note of having written it the snapshot may be Apache's.
    disk.take(&file("oxkeeper.snapshots"));
    let back = served(&disk, &server);
    assert_eq!((back.report.digest_mismatches, back.report.first_mismatch), (1, Some(Zxid(4))));
}

#[test]
fn row_18_another_digest_behind_an_epochs_seam_is_a_hole() {
    let (disk, mut server) = written(3);
    server.log.roll().unwrap();
    server.append_as(Zxid::new(Epoch(1), 1), create("/e1", b"")).unwrap();
    server.create_nodes(2, 10).unwrap();
    served(&disk, &server);
    server.log.roll().unwrap();
    server.append_as(Zxid::new(Epoch(2), 1), create("/e2", b"")).unwrap();
    server.sync().unwrap();
    served(&disk, &server);
    disk.take(&file("oxkeeper.snapshots"));
    let log = file("log.100000001");
    let all = records(&disk, &log);
    change(&disk, &log, |bytes| bytes.truncate(all[1]));
    without_watermark(&disk);
    let refused = refused(&disk, Refusal::Hole, "log.200000001");
    assert_eq!(refused.zxid, Some(Zxid::new(Epoch(2), 1)));
}

/// Three snapshots, at 0, 3 and 6, and all logs.
fn with_snapshots(compression: Compression) -> (SimDisk, Server, PathBuf) {
    let (disk, mut server) = written(3);
    server.snapshot(compression).unwrap();
    server.create_nodes(3, 300).unwrap();
    server.snapshot(compression).unwrap();
    server.create_nodes(3, 300).unwrap();
    let newest = file(&format!("snapshot.6{}", compression.extension()));
    (disk, server, newest)
}

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

#[test]
fn row_19_an_older_snapshot_stands_in_for_a_bad_one() {
    for compression in ALL {
        let damages: [fn(&mut Vec<u8>); 4] = [
            |bytes| bytes.clear(),
            |bytes| bytes.truncate(bytes.len() / 2),
            |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
            },
            |bytes| bytes[..12].fill(0),
        ];
        for damage in damages {
            let (disk, server, newest) = with_snapshots(compression);
            change(&disk, &newest, damage);
            let back = served(&disk, &server);
            assert_eq!(back.report.txns, 6);
            assert_eq!(back.report.bad_snapshots[0].0, newest);
            assert_eq!(disk.content(&newest), None);
            let name = newest.file_name().unwrap().to_str().unwrap();
            assert!(disk.content(&file(&format!("oxkeeper.bad.{name}"))).is_some());
            served(&disk, &server);
        }
    }
}

#[test]
fn row_19_a_snapshot_named_after_a_later_transaction_is_bad() {
    let (disk, server, newest) = with_snapshots(Compression::None);
    let bytes = disk.content(&newest).unwrap();
    disk.put(&file("snapshot.8"), &bytes);
    let back = served(&disk, &server);
    assert!(back.report.bad_snapshots[0].1.contains("finished at 0x6"), "{:?}", back.report);
}

#[test]
fn row_20_without_a_good_snapshot_or_logs_that_reach_back_nothing_is_served() {
    let (disk, mut server, newest) = with_snapshots(Compression::None);
    server.snapshot(Compression::None).unwrap();
    purge(&disk, &dirs(), 3).unwrap();
    assert_eq!(disk.content(&file("snapshot.0")), None);
    for name in ["snapshot.3", "snapshot.9"] {
        change(&disk, &file(name), |bytes| bytes.truncate(40));
    }
    let all_bad = disk.fork();
    // One good one is left, and its logs.
    served(&disk, &server);
    change(&all_bad, &newest, |bytes| bytes.truncate(40));
    let refused = refused(&all_bad, Refusal::Corrupt, "snapshot.9");
    assert!(refused.what.contains("Not able to find valid snapshots"), "{refused}");
}

#[test]
fn row_21_logs_without_a_snapshot_are_replayed_only_if_trusted() {
    let (disk, server) = written(3);
    disk.take(&file("snapshot.0"));
    let refused = refused(&disk, Refusal::NoSnapshot, "log.1");
    assert!(refused.what.contains("No snapshot found, but there are log entries"), "{refused}");
    let trusting = RecoverOptions { trust_empty_snapshot: true, ..RecoverOptions::default() };
    let back = recover(&disk, &dirs(), &trusting).unwrap();
    assert_eq!(back.replica.digest(), server.replica.digest());
    // From now on there is a snapshot.
    served(&disk, &server);
}

#[test]
fn row_22_trusted_logs_must_begin_at_the_beginning() {
    let (disk, _) = written_in_logs(2, 3);
    disk.take(&file("snapshot.0"));
    disk.take(&file("log.1"));
    let trusting = RecoverOptions { trust_empty_snapshot: true, ..RecoverOptions::default() };
    let refused = recover(&disk, &dirs(), &trusting).err().expect("refused");
    assert_eq!(refused.refusal, Refusal::Hole, "{refused}");
}

#[test]
fn row_23_an_empty_directory_becomes_a_fresh_server() {
    let disk = SimDisk::new(1);
    let back = recover_disk(&disk).unwrap();
    assert!(back.report.fresh);
    assert_eq!((back.last_zxid, back.replica.digest()), (Zxid::ZERO, 0x51c6_d660));
    assert!(disk.content(&file("snapshot.0")).is_some());
    assert!(!recover_disk(&disk).unwrap().report.fresh);
}

#[test]
fn row_23_against_the_operators_word_an_empty_directory_is_refused() {
    let disk = SimDisk::new(1);
    let careful = RecoverOptions { autocreate: false, ..RecoverOptions::default() };
    let refused = recover(&disk, &dirs(), &careful).err().expect("refused");
    assert_eq!(refused.refusal, Refusal::Layout);
    assert!(refused.what.contains("an empty file /data/initialize"), "{refused}");
    assert_eq!(disk.content(&file("snapshot.0")), None);
    disk.put(Path::new("/data/initialize"), b"");
    assert!(recover(&disk, &dirs(), &careful).unwrap().report.fresh);
    // With data in it the word is kept.
    assert!(!recover(&disk, &dirs(), &careful).unwrap().report.fresh);
}

#[test]
fn row_24_the_operators_initialize_is_used_up() {
    let disk = SimDisk::new(1);
    disk.put(Path::new("/data/initialize"), b"");
    recover_disk(&disk).unwrap();
    assert_eq!(disk.content(Path::new("/data/initialize")), None);
}

#[test]
fn row_25_a_log_that_is_gone_is_missed() {
    let (disk, mut server) = written(5);
    server.log.publish_synced().unwrap();
    disk.take(&file("log.1"));
    let refused = refused(&disk, Refusal::Lost, "log.1");
    assert_eq!(refused.zxid, Some(Zxid::ZERO));
    disk.take(&file("snapshot.0"));
    self::refused(&disk, Refusal::Lost, "log.1");
}

#[test]
fn row_26_a_snapshot_that_knows_more_than_the_logs_tells_of_a_loss() {
    let (disk, _, newest) = with_snapshots(Compression::None);
    without_watermark(&disk);
    change(&disk, &newest, |bytes| bytes.truncate(50));
    disk.take(&file("log.4"));
    disk.take(&file("log.7"));
    let refused = refused(&disk, Refusal::Lost, "snapshot.6");
    assert_eq!(refused.zxid, Some(Zxid(3)));
}

#[test]
fn row_27_names_with_more_behind_the_number_are_nobodys() {
    let (disk, server, newest) = with_snapshots(Compression::None);
    let strays =
        ["snapshot.6.bak", "snapshot.9.tmp", "log.1.bak", "log.9.tmp", "log.zz", "acceptedEpoch"];
    for (i, stray) in strays.iter().enumerate() {
        let mut bytes = disk.content(&newest).unwrap();
        bytes[20] = i as u8;
        disk.put(&file(stray), &bytes);
    }
    served(&disk, &server);
    purge(&disk, &dirs(), 3).unwrap();
    for stray in strays {
        assert!(disk.content(&file(stray)).is_some(), "{stray} is not ours to remove");
    }
}

#[test]
fn row_28_an_unfinished_snapshot_is_removed() {
    let (disk, server, newest) = with_snapshots(Compression::None);
    let bytes = disk.content(&newest).unwrap();
    disk.put(&file("oxkeeper.part.9"), &bytes[..100]);
    served(&disk, &server);
    assert_eq!(disk.content(&file("oxkeeper.part.9")), None);
}

#[test]
fn row_29_files_in_the_wrong_directory_stop_the_start() {
    let split = Dirs::new(Path::new("/data"), Some(Path::new("/logs")));
    let check = |stray: &str, words: &str| {
        let disk = SimDisk::new(1);
        disk.put(Path::new(stray), b"");
        let refused = recover(&disk, &split, &RecoverOptions::default()).err().expect("refused");
        assert_eq!(refused.refusal, Refusal::Layout);
        assert!(refused.what.contains(words), "{refused}");
    };
    check("/logs/version-2/snapshot.5", "Log directory has snapshot files");
    check("/data/version-2/log.5.bak", "Snapshot directory has log files");
}

#[test]
fn row_29_a_split_directory_is_served() {
    let split = Dirs::new(Path::new("/data"), Some(Path::new("/logs")));
    let disk = SimDisk::new(1);
    let back = recover(&disk, &split, &RecoverOptions::default()).unwrap();
    let mut log = TxnLog::new(disk.clone(), &split.logs, TxnLogOptions::default(), back.last_zxid);
    log.append(Zxid(1), &[0; 10]).unwrap_err();
    assert!(disk.content(Path::new("/data/version-2/snapshot.0")).is_some());
}

#[test]
fn row_30_a_missing_directory_is_made_only_if_allowed() {
    let disk = SimDisk::new(1);
    let careful = RecoverOptions { create_dirs: false, ..RecoverOptions::default() };
    let refused = recover(&disk, &dirs(), &careful).err().expect("refused");
    assert_eq!(refused.refusal, Refusal::Layout);
    assert!(refused.what.contains("automatic data directory creation is disabled"), "{refused}");
}

#[test]
fn row_31_what_cannot_be_read_or_made_durable_is_not_served() {
    for call in [Call::List, Call::Open, Call::Read, Call::Sync, Call::SyncDir, Call::Length] {
        let (disk, server) = written(3);
        disk.fail(call, 0, io::ErrorKind::Other);
        let refused = recover_disk(&disk).err().expect("refused");
        assert_eq!(refused.refusal, Refusal::Io, "{call:?}: {refused}");
        served(&disk, &server);
    }
}

#[test]
fn row_32_what_a_failed_sync_left_in_the_cache_is_not_believed() {
    let (disk, mut server) = written(3);
    let set = SetDataTxn { path: "/n1".into(), data: Some(&[7; 3000]), version: 1 };
    server.append(Txn::SetData(set)).unwrap();
    disk.fail(Call::Sync, 0, io::ErrorKind::Other);
    server.sync().unwrap_err();
    let back = recover_disk(&disk).unwrap();
    // Ten seeds in eleven lose a sector of it; whatever came back is on the disk.
    let again = recover_disk(&disk.after_power_failure(3)).unwrap();
    assert_eq!(again.last_zxid, back.last_zxid);
}

#[test]
fn a_full_disk_is_noticed_before_anything_depends_on_it() {
    let (disk, mut server) = written(3);
    disk.set_quota(40_000);
    let mut acked = server.acked;
    let error = loop {
        match server.create_nodes(1, 1000) {
            Ok(()) => acked = server.acked,
            Err(e) => break e,
        }
    };
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let back = recover_disk(&disk).unwrap();
    assert!(back.last_zxid >= acked);
}

#[test]
fn every_type_comes_back_from_log_and_snapshot() {
    for compression in ALL {
        let disk = SimDisk::new(1);
        let mut server = Server::start(&disk).unwrap();
        for txn in every_type() {
            server.append(txn).unwrap();
        }
        server.sync().unwrap();
        served(&disk, &server);
        server.snapshot(compression).unwrap();
        let back = served(&disk, &server);
        assert_eq!(back.report.txns, 0);
        assert_eq!(back.replica.sessions().count(), server.replica.sessions().count());
    }
}

#[test]
fn row_33_snapshots_of_every_version_are_read() {
    // Behind the tree: nothing (3.5 and before), the digest (3.6), the last zxid (digests off),
    // both (3.9).
    for tail in [0, 33, 21, 54] {
        let (disk, server, newest) = with_snapshots(Compression::None);
        disk.take(&file("oxkeeper.snapshots"));
        change(&disk, &newest, |bytes| {
            let tree = bytes.len() - 54;
            match tail {
                0 => bytes.truncate(tree),
                33 => bytes.truncate(tree + 33),
                21 => {
                    bytes.truncate(tree);
                    bytes.extend_from_slice(&6i64.to_be_bytes());
                    let sum = i64::from(simd_adler32::adler32(&&bytes[..]));
                    bytes.extend_from_slice(&sum.to_be_bytes());
                    bytes.extend_from_slice(b"\0\0\0\x01/");
                }
                _ => {}
            }
        });
        let back = served(&disk, &server);
        assert_eq!(back.report.snapshot, Some(newest), "{tail} bytes behind the tree");
        assert_eq!(back.report.bad_snapshots, []);
    }
}

#[test]
fn row_33_we_leave_out_the_last_zxid_if_told_to() {
    let len = |with_last_zxid| {
        let disk = SimDisk::new(1);
        let options = RecoverOptions { with_last_zxid, ..RecoverOptions::default() };
        recover(&disk, &dirs(), &options).unwrap();
        let len = disk.content(&file("snapshot.0")).unwrap().len();
        assert_eq!(recover(&disk, &dirs(), &options).unwrap().last_zxid, Zxid::ZERO);
        len
    };
    assert_eq!(len(true), len(false) + 21);
}

#[test]
fn row_33_any_other_number_of_bytes_behind_the_tree_is_no_snapshot() {
    for cut in 1..54 {
        if [21, 54 - 33].contains(&cut) {
            continue; // One section less.
        }
        let (disk, server, newest) = with_snapshots(Compression::None);
        change(&disk, &newest, |bytes| bytes.truncate(bytes.len() - cut));
        assert_eq!(served(&disk, &server).report.bad_snapshots.len(), 1, "{cut}");
    }
}

#[test]
fn row_34_a_snapshot_taken_while_the_tree_changed_is_brought_up_to_date() {
    let (disk, server, newest) = with_snapshots(Compression::None);
    disk.take(&file("oxkeeper.snapshots"));
    // The tree of transaction 6 under the name of 4: 5 and 6 come again.
    let bytes = disk.content(&newest).unwrap();
    disk.take(&newest);
    disk.put(&file("snapshot.4"), &bytes);
    let back = served(&disk, &server);
    assert_eq!((back.report.txns, back.report.digest_mismatches), (5, 0));
}
