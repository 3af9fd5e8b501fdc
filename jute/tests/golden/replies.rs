//! What the server answers.

use std::borrow::Cow;

use jute::data::{Acl, Id, Stat};
use jute::multi::{MultiResponse, MultiResult};
use jute::proto::*;
use jute::{Decode, Encode, ErrorCode, Writer};

use crate::captured::captured;
use crate::{check, check_reply, fact, number, stat, text, Nothing};

#[test]
fn handshakes_are_answered_in_the_form_they_were_made() {
    let granted = ConnectResponse::from_bytes(captured("connect_response")).expect("granted");
    let password = granted.password.expect("a password");
    let hex: String = password.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, fact("session_password"));
    let expected = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 10_000,
        session_id: number("session_id"),
        password: Some(password),
        read_only: Some(false),
    };
    check("connect_response", expected.clone());
    let old = ConnectResponse::from_bytes(captured("connect_response_old")).expect("granted");
    // Session ids count up from the first one.
    let session_id = expected.session_id + 1;
    let password = old.password;
    assert_eq!(password.map(<[u8]>::len), Some(16));
    check(
        "connect_response_old",
        ConnectResponse { session_id, password, read_only: None, ..expected },
    );
    check(
        "connect_response_refused",
        ConnectResponse {
            protocol_version: 0,
            timeout_ms: 0,
            session_id: 0,
            password: Some(&[0; 16]),
            read_only: Some(false),
        },
    );
}

#[test]
fn creates() {
    let header = check_reply("reply_create", 0, CreateResponse { path: text("/golden") });
    assert_eq!((header.xid, header.zxid), (1, stat("stat_create").czxid));
    check_reply("reply_create_ephemeral", 0, CreateResponse { path: text("/golden/ephemeral") });
    for (name, path, fact) in [
        ("reply_create2", "/golden/two0000000000", "stat_create2"),
        ("reply_create_container", "/golden/container", "stat_create_container"),
        ("reply_create_ttl", "/golden/ttl", "stat_create_ttl"),
    ] {
        let stat = stat(fact);
        let header = check_reply(name, 0, Create2Response { path: text(path), stat });
        assert_eq!(header.zxid, stat.czxid);
    }
}

#[test]
fn other_writes() {
    check_reply("reply_set_data", 0, StatResponse { stat: stat("stat_set_data") });
    check_reply("reply_set_acl", 0, StatResponse { stat: stat("stat_set_acl") });
    check_reply("reply_delete", ErrorCode::BadVersion.code(), Nothing);
    check_reply("reply_delete_container", 0, Nothing);
    check_reply("reply_reconfig", ErrorCode::Unimplemented.code(), Nothing);
    check_reply("reply_close_session", 0, Nothing);
}

#[test]
fn a_reconfig_is_answered_with_the_new_configuration() {
    let body = &captured("reply_reconfig_done")[16..];
    let found = GetDataResponse::from_bytes(body).expect("a configuration");
    let data = found.data.expect("a text");
    assert!(data.starts_with(b"server.1=127.0.0.1:") && data.ends_with(b"\nversion=100000002"));
    let expected = Stat {
        mzxid: (1 << 32) + 2,
        mtime: found.stat.mtime,
        version: -1,
        aversion: -1,
        data_length: data.len() as i32,
        ..Stat::default()
    };
    let expected = GetDataResponse { data: Some(data), stat: expected };
    check_reply("reply_reconfig_done", 0, expected);
}

#[test]
fn reads() {
    check_reply("reply_exists", 0, StatResponse { stat: stat("stat_create") });
    let data = Some("hé!".as_bytes());
    check_reply("reply_get_data", 0, GetDataResponse { data, stat: stat("stat_get_data") });
    let children =
        || ["container", "two0000000000", "ephemeral", "ttl"].map(Cow::Borrowed).to_vec();
    check_reply("reply_get_children", 0, NamesResponse { names: Some(children()) });
    check_reply(
        "reply_get_children2",
        0,
        GetChildren2Response { children: Some(children()), stat: stat("stat_children2") },
    );
    let acl = vec![
        Acl::new(31, Id::new("digest", "göl:F8BSZYmi4J35Vti/argSHZIbnH8=")),
        Acl::new(1, Id::new("ip", "127.0.0.1/32")),
    ];
    check_reply("reply_get_acl", 0, GetAclResponse { acl: Some(acl), stat: stat("stat_get_acl") });
    check_reply("reply_get_all_children_number", 0, GetAllChildrenNumberResponse { total: 4 });
    let names = Some(vec![Cow::Borrowed("/golden/ephemeral")]);
    check_reply("reply_get_ephemerals", 0, NamesResponse { names });
    check_reply("reply_sync", 0, PathRequest { path: text("/golden") });
    check_reply("reply_get_data_missing", ErrorCode::NoNode.code(), Nothing);
}

#[test]
fn a_supplementary_character_comes_back_as_two_surrogates() {
    let mut w = Writer::new();
    ReplyHeader::from_bytes(captured("reply_sync_supplementary")).expect("a header").encode(&mut w);
    w.string(Some("/\u{1f600}"));
    assert_eq!(w.as_slice(), captured("reply_sync_supplementary"));
}

#[test]
fn identities() {
    let header = check_reply("reply_auth", 0, Nothing);
    assert_eq!((header.xid, header.zxid), (-4, 0));
    check_reply("reply_sasl", 0, SaslToken { token: None });
    let client = |scheme, user| ClientInfo { auth_scheme: text(scheme), user: text(user) };
    let client_info = Some(vec![client("digest", "göl"), client("ip", "127.0.0.1")]);
    check_reply("reply_who_am_i", 0, WhoAmIResponse { client_info });
}

#[test]
fn watches() {
    check_reply("reply_get_data_watch", 0, {
        let data = Some("hé!".as_bytes());
        GetDataResponse { data, stat: stat("stat_multi_read") }
    });
    check_reply("reply_set_watches", 0, Nothing);
    check_reply("reply_set_watches2", 0, Nothing);
    check_reply("reply_add_watch", 0, ErrorResponse { err: 0 });
    check_reply("reply_check_watches", 0, Nothing);
    check_reply("reply_remove_watches", 0, Nothing);
    let header = check_reply("event", 0, WatcherEvent { kind: 3, state: 3, path: text("/golden") });
    assert_eq!((header.xid, header.zxid), (-1, 13));
}

#[test]
fn multis() {
    let create2 =
        |path, fact| MultiResult::Create2(Create2Response { path: text(path), stat: stat(fact) });
    let results = vec![
        MultiResult::Create(CreateResponse { path: text("/golden/m") }),
        create2("/golden/mc", "stat_multi_create2"),
        create2("/golden/mt", "stat_multi_create_ttl"),
        MultiResult::SetData(StatResponse { stat: stat("stat_multi_set_data") }),
        MultiResult::Check,
        MultiResult::Delete,
    ];
    check_reply("reply_multi", 0, MultiResponse { results });
    let results = [0, -103, -2].map(MultiResult::Error).to_vec();
    check_reply("reply_multi_failing", 0, MultiResponse { results });
    let data = Some("hé!".as_bytes());
    let results = vec![
        MultiResult::GetData(GetDataResponse { data, stat: stat("stat_multi_read") }),
        MultiResult::GetChildren(NamesResponse { names: Some(Vec::new()) }),
        MultiResult::Error(ErrorCode::NoNode.code()),
    ];
    check_reply("reply_multi_read", 0, MultiResponse { results });
}
