//! What clients send.

use jute::data::{Acl, Id};
use jute::multi::{MultiOp, MultiRequest};
use jute::proto::*;
use jute::OpCode;

use crate::captured::captured;
use crate::{check, check_request, fact, number, open_acl, text, Nothing};

#[test]
fn handshakes_decode_with_and_without_the_last_byte() {
    let fresh = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 10_000,
        session_id: 0,
        password: Some(&[0; 16]),
        read_only: Some(false),
    };
    check("connect_request", fresh.clone());
    check("connect_request_old", ConnectRequest { read_only: None, ..fresh.clone() });
    let password = captured("connect_request_again")[28..44].to_vec().leak();
    let hex: String = password.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, fact("session_password"));
    let last_zxid_seen = 12;
    let session_id = number("session_id");
    let password = Some(&*password);
    check(
        "connect_request_again",
        ConnectRequest { last_zxid_seen, session_id, password, ..fresh },
    );
}

#[test]
fn creates() {
    let create = |path, data| CreateRequest { path: text(path), data, acl: open_acl(), flags: 0 };
    check_request("request_create", 1, create("/golden", Some(b"hi")));
    let ephemeral = create("/golden/ephemeral", Some(b"hi"));
    check_request("request_create_ephemeral", 1, CreateRequest { flags: 1, ..ephemeral });
    check_request("request_create2", 15, CreateRequest { flags: 2, ..create("/golden/two", None) });
    let container = create("/golden/container", Some(b""));
    check_request("request_create_container", 19, CreateRequest { flags: 4, ..container });
    check_request(
        "request_create_ttl",
        21,
        CreateTtlRequest {
            path: text("/golden/ttl"),
            data: Some(b"hi"),
            acl: open_acl(),
            flags: 5,
            ttl_ms: 3_600_000,
        },
    );
}

#[test]
fn other_writes() {
    check_request("request_delete", 2, DeleteRequest { path: text("/golden"), version: 99 });
    check_request(
        "request_delete_container",
        20,
        DeleteContainerRequest { path: Some(b"/golden/container") },
    );
    check_request(
        "request_set_data",
        5,
        SetDataRequest { path: text("/golden"), data: Some("hé!".as_bytes()), version: 0 },
    );
    let acl = vec![Acl::new(31, Id::new("auth", "")), Acl::new(1, Id::new("ip", "127.0.0.1/32"))];
    check_request(
        "request_set_acl",
        7,
        SetAclRequest { path: text("/golden/two0000000000"), acl: Some(acl), version: 0 },
    );
    check_request(
        "request_reconfig",
        16,
        ReconfigRequest {
            joining_servers: text("server.9=127.0.0.1:1:2;3"),
            leaving_servers: text("7,8"),
            new_members: None,
            cur_config_id: -1,
        },
    );
    check_request("request_close_session", -11, Nothing);
}

#[test]
fn reads() {
    let of = |path, watch| PathWatchRequest { path: text(path), watch };
    check_request("request_exists", 3, of("/golden", false));
    check_request("request_get_data", 4, of("/golden", false));
    check_request("request_get_data_watch", 4, of("/golden", true));
    check_request("request_get_data_missing", 4, of("/missing", false));
    check_request("request_get_children", 8, of("/golden", false));
    check_request("request_get_children2", 12, of("/golden", false));
    let of = |path| PathRequest { path: text(path) };
    check_request("request_get_acl", 6, of("/golden/two0000000000"));
    check_request("request_sync", 9, of("/golden"));
    check_request("request_get_ephemerals", 103, of("/golden"));
    check_request("request_get_all_children_number", 104, of("/golden"));
}

#[test]
fn identities() {
    check_request(
        "request_auth",
        100,
        AuthPacket { kind: 0, scheme: text("digest"), auth: Some("göl:pw".as_bytes()) },
    );
    check_request("request_sasl", 102, SaslToken { token: Some(b"token") });
    check_request("request_who_am_i", 107, Nothing);
}

#[test]
fn watches() {
    let one = |path| Some(vec![text(path)]);
    check_request(
        "request_set_watches",
        101,
        SetWatches {
            relative_zxid: 12,
            data: one("/golden"),
            exist: one("/golden/none"),
            child: one("/golden"),
        },
    );
    check_request(
        "request_set_watches2",
        105,
        SetWatches2 {
            relative_zxid: 12,
            data: one("/golden"),
            exist: one("/golden/none"),
            child: one("/golden"),
            persistent: one("/golden/mc"),
            persistent_recursive: one("/golden/mt"),
        },
    );
    check_request("request_add_watch", 106, AddWatchRequest { path: text("/golden/mc"), mode: 0 });
    check_request(
        "request_check_watches",
        17,
        WatcherTypeRequest { path: text("/golden"), kind: 1 },
    );
    check_request(
        "request_remove_watches",
        18,
        WatcherTypeRequest { path: text("/golden/none"), kind: 2 },
    );
}

#[test]
fn multis() {
    let create =
        |path, flags| CreateRequest { path: text(path), data: Some(b"hi"), acl: open_acl(), flags };
    let ttl = CreateTtlRequest {
        path: text("/golden/mt"),
        data: Some(b"hi"),
        acl: open_acl(),
        flags: 5,
        ttl_ms: 3_600_000,
    };
    let set =
        |path, data, version| MultiOp::SetData(SetDataRequest { path: text(path), data, version });
    let check = |path, version| MultiOp::Check(CheckVersionRequest { path: text(path), version });
    let delete = |path, version| MultiOp::Delete(DeleteRequest { path: text(path), version });
    let ops = vec![
        MultiOp::Create(OpCode::Create, create("/golden/m", 0)),
        MultiOp::Create(OpCode::CreateContainer, create("/golden/mc", 4)),
        MultiOp::CreateTtl(ttl),
        set("/golden/m", None, 0),
        check("/golden/m", 1),
        delete("/golden/m", 1),
    ];
    check_request("request_multi", 14, MultiRequest { ops });
    let ops = vec![set("/golden", Some(b"hi"), -1), check("/golden", 77), delete("/golden/mc", -1)];
    check_request("request_multi_failing", 14, MultiRequest { ops });
    let read = |path| PathWatchRequest { path: text(path), watch: false };
    let ops = vec![
        MultiOp::GetData(read("/golden")),
        MultiOp::GetChildren(read("/golden/mc")),
        MultiOp::GetData(read("/missing")),
    ];
    check_request("request_multi_read", 22, MultiRequest { ops });
}
