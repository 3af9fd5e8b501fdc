//! The recovery table of docs/DURABILITY.md, a test for each row, by its number.

mod history;

use history::{create, every_type, file, recover_disk, Server};
use oxkeeper::sim::SimDisk;
use oxkeeper::storage::Compression;
use oxkeeper::types::Zxid;

/// A disk on which every transaction type was logged, behind a snapshot in between.
fn whole() -> (SimDisk, Server) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for txn in every_type() {
        server.append(txn).unwrap();
    }
    server.sync().unwrap();
    (disk, server)
}

#[test]
fn what_was_written_comes_back() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let (disk, mut server) = whole();
        server.snapshot(compression).unwrap();
        server.append(create("/later", b"x")).unwrap();
        server.sync().unwrap();
        let back = recover_disk(&disk).unwrap();
        assert_eq!(back.last_zxid, server.acked);
        assert_eq!(back.replica.digest(), server.replica.digest());
        assert_eq!(back.report.txns, 1);
        assert_eq!(back.report.digest_mismatches, 0);
        assert_eq!(back.report.bad_snapshots, []);
        assert!(disk.content(&file(&format!("log.{:x}", server.acked.0))).is_some());
    }
}

#[test]
fn an_empty_directory_becomes_a_fresh_one() {
    let disk = SimDisk::new(1);
    let back = recover_disk(&disk).unwrap();
    assert!(back.report.fresh);
    assert_eq!(back.last_zxid, Zxid::ZERO);
    assert!(disk.content(&file("snapshot.0")).is_some());
    assert!(!recover_disk(&disk).unwrap().report.fresh);
}
