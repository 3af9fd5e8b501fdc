//! What is logged.

use std::borrow::Cow;

use jute::data::{Acl, Id};
use jute::txn::*;
use jute::{Decode, Encode};

use crate::captured::captured;
use crate::{check, number, open_acl, stat};

fn path(s: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(s)
}

/// NAME.hex is a whole record: `txn` between a header with this zxid and time and a digest that
/// the tree's own tests look into. The time is checked if it is known.
fn check_txn(name: &str, zxid: i64, time_ms: Option<i64>, txn: Txn<'static>) -> TxnRecord<'static> {
    let found = TxnRecord::from_bytes(captured(name)).expect(name);
    let header = found.header;
    assert!((number("time_from")..=number("time_until")).contains(&header.time_ms), "{name}");
    assert_eq!((header.zxid, header.kind), (zxid, txn.kind()), "{name}");
    assert_eq!(header.time_ms, time_ms.unwrap_or(header.time_ms), "{name}");
    assert_eq!(found.digest.map_or(2, |digest| digest.version), 2, "{name}");
    let expected = TxnRecord { header, txn, digest: found.digest };
    check(name, expected.clone());
    expected
}

#[test]
fn sessions() {
    let found = check_txn("txn_create_session", 1, None, Txn::CreateSession(10_000));
    assert_eq!((found.header.client_id, found.header.cxid), (number("session_id"), 0));
    // The digest of the tree that is empty but for Apache's own nodes.
    assert_eq!(found.digest, Some(TxnDigest { version: 2, tree_digest: 0x51c6_d660 }));
    let paths = Some(vec![path("/golden/ephemeral")]);
    let found = check_txn("txn_close_session", 15, None, Txn::CloseSession(paths));
    assert_eq!(found.header.client_id, number("session_id"));
}

#[test]
fn creates() {
    let txn = |name, data, ephemeral, parent_cversion| CreateTxn {
        path: path(name),
        data,
        acl: open_acl(),
        ephemeral,
        parent_cversion,
    };
    let at = |fact| (stat(fact).czxid, Some(stat(fact).ctime));
    let (zxid, time) = at("stat_create");
    let create = Txn::Create(txn("/golden", Some(b"hi"), false, 1));
    let found = check_txn("txn_create", zxid, time, create);
    assert_eq!((found.header.client_id, found.header.cxid), (number("session_id"), 1));
    let (zxid, time) = at("stat_create2");
    let create = Txn::Create2(txn("/golden/two0000000000", None, false, 1));
    check_txn("txn_create2", zxid, time, create);
    let (zxid, time) = at("stat_ephemeral");
    let create = Txn::Create(txn("/golden/ephemeral", Some(b"hi"), true, 4));
    check_txn("txn_create_ephemeral", zxid, time, create);
    let (zxid, time) = at("stat_create_container");
    let create = CreateContainerTxn {
        path: path("/golden/container"),
        data: Some(b""),
        acl: open_acl(),
        parent_cversion: 2,
    };
    check_txn("txn_create_container", zxid, time, Txn::CreateContainer(create));
    let (zxid, time) = at("stat_create_ttl");
    let create = CreateTtlTxn {
        path: path("/golden/ttl"),
        data: Some(b"hi"),
        acl: open_acl(),
        parent_cversion: 3,
        ttl_ms: 3_600_000,
    };
    check_txn("txn_create_ttl", zxid, time, Txn::CreateTtl(create));
}

#[test]
fn other_writes() {
    let set = stat("stat_set_data");
    let txn = SetDataTxn { path: path("/golden"), data: Some("hé!".as_bytes()), version: 1 };
    check_txn("txn_set_data", set.mzxid, Some(set.mtime), Txn::SetData(txn));
    let acl = vec![
        Acl::new(31, Id::new("digest", "göl:F8BSZYmi4J35Vti/argSHZIbnH8=")),
        Acl::new(1, Id::new("ip", "127.0.0.1/32")),
    ];
    let txn = SetAclTxn { path: path("/golden/two0000000000"), acl: Some(acl), version: 1 };
    check_txn("txn_set_acl", 7, None, Txn::SetAcl(txn));
    let txn = DeleteTxn { path: path("/golden/mc") };
    check_txn("txn_delete", 14, None, Txn::Delete(txn));
    let txn = DeleteTxn { path: path("/golden/container") };
    check_txn("txn_delete_container", 17, None, Txn::DeleteContainer(txn));
    let found = check_txn("txn_error", 9, None, Txn::Error(-103));
    assert_eq!(found.digest, None);
}

#[test]
fn a_reconfig_is_logged_as_a_write_of_the_configuration() {
    let found = TxnRecord::from_bytes(captured("txn_reconfig")).expect("a transaction");
    let Txn::Reconfig(SetDataTxn { data, .. }) = found.txn else { panic!("no reconfig") };
    let text = std::str::from_utf8(data.expect("a configuration")).expect("text");
    assert!(text.starts_with("server.1=127.0.0.1:") && text.ends_with("\nversion=100000002"));
    let txn = SetDataTxn { path: path("/zookeeper/config"), data, version: -1 };
    check("txn_reconfig", TxnRecord { txn: Txn::Reconfig(txn), ..found });
}

#[test]
fn multis() {
    let create = CreateTxn {
        path: path("/golden/m"),
        data: Some(b"hi"),
        acl: open_acl(),
        ephemeral: false,
        parent_cversion: 5,
    };
    let container = CreateContainerTxn {
        path: path("/golden/mc"),
        data: Some(b"hi"),
        acl: open_acl(),
        parent_cversion: 6,
    };
    let ttl = CreateTtlTxn {
        path: path("/golden/mt"),
        data: Some(b"hi"),
        acl: open_acl(),
        parent_cversion: 7,
        ttl_ms: 3_600_000,
    };
    let parts = vec![
        Txn::Create(create),
        Txn::CreateContainer(container),
        Txn::CreateTtl(ttl),
        Txn::SetData(SetDataTxn { path: path("/golden/m"), data: None, version: 1 }),
        // Apache logs the version after the one that was asked for.
        Txn::Check(CheckVersionTxn { path: path("/golden/m"), version: 2 }),
        Txn::Delete(DeleteTxn { path: path("/golden/m") }),
    ];
    let zxid = stat("stat_multi_create2").czxid;
    check_txn("txn_multi", zxid, Some(stat("stat_multi_create2").ctime), Txn::Multi(parts));
    // What failed, and what stood behind it, is an error; what stood before is as it was.
    let set = SetDataTxn { path: path("/golden"), data: Some(b"hi"), version: 2 };
    let parts = vec![Txn::SetData(set), Txn::Error(-103), Txn::Error(-2)];
    check_txn("txn_multi_failed", zxid + 1, None, Txn::Multi(parts));
}

#[test]
fn a_create_of_3_3_says_nothing_of_its_parent() {
    let bytes = captured("txn_create_3_3");
    let found = TxnRecord::from_bytes(bytes).expect("a transaction");
    let header = TxnHeader { cxid: 1, zxid: 2, kind: 1, ..found.header };
    let txn = CreateTxn {
        path: path("/old"),
        data: Some(b"hi"),
        acl: open_acl(),
        ephemeral: true,
        parent_cversion: -1,
    };
    let expected = TxnRecord { header, txn: Txn::Create(txn), digest: None };
    assert_eq!(found, expected);
    // Encoded in today's form.
    assert_eq!(expected.to_bytes(), [bytes, &(-1i32).to_be_bytes()].concat());
}

#[test]
fn a_close_session_may_be_without_body_and_even_then_with_a_digest() {
    for (name, digested) in [("txn_close_session_3_5", false), ("txn_close_session_bare", true)] {
        let found = TxnRecord::from_bytes(captured(name)).expect(name);
        let header = TxnHeader { cxid: 2, zxid: 3, kind: -11, ..found.header };
        assert_eq!(found.digest.map(|digest| digest.version), digested.then_some(2), "{name}");
        let txn = Txn::CloseSession(None);
        check(name, TxnRecord { header, txn, digest: found.digest });
    }
}
