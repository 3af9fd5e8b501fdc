//! What log and snapshot files are made of.

use std::borrow::Cow;

use jute::data::{Acl, Id, StatPersisted};
use jute::disk::*;
use jute::Decode;

use crate::captured::captured;
use crate::{check, stat};

#[test]
fn headers() {
    check("log_header", FileHeader::LOG);
    check("snapshot_header", FileHeader::SNAPSHOT);
    assert_eq!(captured("log_header"), FileHeader::LOG.to_array());
    assert_eq!(captured("snapshot_header"), FileHeader::SNAPSHOT.to_array());
}

#[test]
fn a_log_record_holds_a_transaction_and_its_checksum() {
    let body = captured("txn_create");
    let checksum = adler32(body);
    check("log_record", LogRecord { checksum, body, end: LOG_RECORD_END });
}

#[test]
fn sessions_and_access_control_lists() {
    let session = SessionEntry::from_bytes(captured("snapshot_session")).expect("a session");
    // The raw sockets' sessions were never closed; the Java client's was.
    assert_eq!(session.id >> 56, 1);
    check("snapshot_session", SessionEntry { timeout_ms: 10_000, ..session });
    let acl = vec![
        Acl::new(31, Id::new("digest", "göl:F8BSZYmi4J35Vti/argSHZIbnH8=")),
        Acl::new(1, Id::new("ip", "127.0.0.1/32")),
    ];
    check("snapshot_acl", AclEntry { id: 3, acl });
}

#[test]
fn nodes() {
    let root = StatPersisted { cversion: 1, pzxid: 2, ..StatPersisted::default() };
    let node =
        |path, data, acl_id, stat| SnapshotNode { path: Cow::Borrowed(path), data, acl_id, stat };
    check("snapshot_root", node("", Some(b"".as_slice()), -1, root));
    let created = stat("stat_create");
    let found = SnapshotNode::from_bytes(captured("snapshot_node")).expect("a node").stat;
    let golden = StatPersisted {
        czxid: created.czxid,
        // Set once more at the end.
        mzxid: 13,
        ctime: created.ctime,
        mtime: found.mtime,
        version: 2,
        // Creations of children, where clients are told 2 x creations - children.
        cversion: 7,
        aversion: 0,
        ephemeral_owner: 0,
        // The container went last.
        pzxid: 17,
    };
    check("snapshot_node", node("/golden", Some(b"hi"), 2, golden));
    let created = stat("stat_create_ttl");
    let ttl = StatPersisted {
        czxid: created.czxid,
        mzxid: created.mzxid,
        ctime: created.ctime,
        mtime: created.mtime,
        ephemeral_owner: (0xff_u64 << 56) as i64 | 3_600_000,
        pzxid: created.pzxid,
        ..StatPersisted::default()
    };
    check("snapshot_ttl", node("/golden/ttl", Some(b"hi"), 2, ttl));
}

#[test]
fn seals() {
    for name in ["snapshot_seal_nodes", "snapshot_seal_digest", "snapshot_seal_last_zxid"] {
        let Seal { checksum, .. } = Seal::from_bytes(captured(name)).expect("a seal");
        assert!(u32::try_from(checksum).is_ok(), "an unsigned checksum");
        check(name, Seal { checksum, end: Cow::Borrowed(NODES_END) });
        assert_eq!(captured(name).len(), SEAL_LEN);
        assert!(captured(name).ends_with(&NODES_END_BYTES));
    }
    let SnapshotDigest { digest, .. } =
        SnapshotDigest::from_bytes(captured("snapshot_digest")).expect("a digest");
    check("snapshot_digest", SnapshotDigest { zxid: 19, version: 2, digest });
}

/// RFC 1950, by the letter.
fn adler32(bytes: &[u8]) -> i64 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    i64::from(b << 16 | a)
}
