//! What servers say to each other.

use jute::data::Id;
use jute::proto::CreateRequest;
use jute::quorum::*;
use jute::txn::{CreateTxn, SetDataTxn, Txn, TxnRecord};
use jute::{Decode, Encode, Limits};

use crate::captured::captured;
use crate::{check, number, open_acl, text};

const EPOCH_ONE: i64 = 1 << 32;

/// NAME.hex is one packet, and its length can be told from any part of the stream.
fn check_packet(name: &str, kind: PacketType, zxid: i64, data: Option<&'static [u8]>) {
    check(name, QuorumPacket::new(kind, zxid, data));
    check_measured(name);
}

fn check_measured(name: &str) {
    let bytes = captured(name);
    for len in 0..bytes.len() {
        assert_eq!(QuorumPacket::measure(&bytes[..len], Limits::DEFAULT), Ok(None), "{name}");
    }
    let stream = [bytes, b"more"].concat();
    let measured = QuorumPacket::measure(&stream, Limits::DEFAULT);
    assert_eq!(measured, Ok(Some(bytes.len())), "{name}");
}

fn data(record: &impl Encode) -> Option<&'static [u8]> {
    Some(record.to_bytes().leak())
}

#[test]
fn discovery() {
    let info = |server_id| LearnerInfo {
        server_id,
        protocol_version: Some(PROTOCOL_VERSION),
        config_version: Some(0),
    };
    check_packet("quorum_follower_info", PacketType::FollowerInfo, 0, data(&info(1)));
    check_packet("quorum_observer_info", PacketType::ObserverInfo, 0, data(&info(3)));
    let version = ProtocolVersion { version: PROTOCOL_VERSION };
    check_packet("quorum_leader_info", PacketType::LeaderInfo, EPOCH_ONE, data(&version));
    check_packet("quorum_ack_epoch", PacketType::AckEpoch, 0, data(&AcceptedEpoch { epoch: 0 }));
}

#[test]
fn followers_of_old_releases_say_less_of_themselves() {
    let info = |protocol_version| {
        let info = LearnerInfo { server_id: 2, protocol_version, config_version: None };
        data(&info)
    };
    check_packet("quorum_follower_info_3_3", PacketType::FollowerInfo, 0, info(None));
    let version = Some(PROTOCOL_VERSION);
    check_packet("quorum_follower_info_3_4", PacketType::FollowerInfo, 0, info(version));
}

#[test]
fn synchronisation() {
    check_packet("quorum_diff", PacketType::Diff, 0, None);
    check_packet("quorum_snap", PacketType::Snap, EPOCH_ONE + 2, None);
    check_packet("quorum_trunc", PacketType::Trunc, EPOCH_ONE + 2, None);
    let config = QuorumPacket::from_bytes(captured("quorum_new_leader")).expect("a packet").data;
    let lines = config.expect("a configuration").split(|b| *b == b'\n').collect::<Vec<_>>();
    assert_eq!(lines.len(), 4);
    assert!(lines[2].starts_with(b"server.3=127.0.0.1:") && lines[2].ends_with(b":observer"));
    assert_eq!(lines[3], b"version=0");
    check_packet("quorum_new_leader", PacketType::NewLeader, EPOCH_ONE, config);
    check_packet("quorum_ack", PacketType::Ack, EPOCH_ONE, None);
    check_packet("quorum_up_to_date", PacketType::UpToDate, -1, None);
}

#[test]
fn broadcast() {
    let request = CreateRequest { path: text("/q"), data: Some(b"hi"), acl: open_acl(), flags: 0 };
    let forwarded = ForwardedRequest {
        session_id: number("quorum_session_id"),
        cxid: 1,
        op: 1,
        body: request.to_bytes().leak(),
    };
    let auth = Some(vec![
        Id::new("digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="),
        Id::new("ip", "127.0.0.1"),
    ]);
    let packet = QuorumPacket::new(PacketType::Request, -1, data(&forwarded));
    check("quorum_request", QuorumPacket { auth, ..packet });
    check_measured("quorum_request");

    let txn = CreateTxn {
        path: "/q".into(),
        data: Some(b"hi"),
        acl: open_acl(),
        ephemeral: false,
        parent_cversion: 1,
    };
    check_txn("quorum_proposal", PacketType::Proposal, EPOCH_ONE + 2, Txn::Create(txn));
    let txn = SetDataTxn { path: "/q".into(), data: Some(b"ho"), version: 1 };
    check_txn("quorum_inform", PacketType::Inform, EPOCH_ONE + 3, Txn::SetData(txn));
    check_packet("quorum_commit", PacketType::Commit, EPOCH_ONE + 1, None);
    check_packet("quorum_sync", PacketType::Sync, 0, None);
}

fn check_txn(name: &str, kind: PacketType, zxid: i64, txn: Txn<'static>) {
    let packet = QuorumPacket::from_bytes(captured(name)).expect("a packet");
    let found = TxnRecord::from_bytes(packet.data.expect("a transaction")).expect("one");
    assert_eq!((found.header.zxid, &found.txn), (zxid, &txn), "{name}");
    assert_eq!(found.header.client_id, number("quorum_session_id"), "{name}");
    assert!(found.digest.is_some(), "{name}");
    check_packet(name, kind, zxid, data(&TxnRecord { txn, ..found }));
}

#[test]
fn sessions() {
    let session_id = number("quorum_session_id");
    let session = SessionTimeout { session_id, timeout_ms: 10_000 };
    check_packet("quorum_revalidate_up", PacketType::Revalidate, -1, data(&session));
    let answer = Revalidated { session_id, valid: true };
    check_packet("quorum_revalidate_down", PacketType::Revalidate, -1, data(&answer));
    let sent = QuorumPacket::from_bytes(captured("quorum_ping_down")).expect("a packet");
    assert_eq!(sent.zxid >> 32, 1);
    check_packet("quorum_ping_down", PacketType::Ping, sent.zxid, None);
    let sent = QuorumPacket::from_bytes(captured("quorum_ping_up")).expect("a packet");
    let touched = Touched { sessions: vec![session] };
    check_packet("quorum_ping_up", PacketType::Ping, sent.zxid, data(&touched));
}

#[test]
fn reconfiguration() {
    let designated = DesignatedLeader { server_id: 1 };
    let zxid = EPOCH_ONE + 2;
    let kind = PacketType::CommitAndActivate;
    check_packet("quorum_commit_and_activate", kind, zxid, data(&designated));
    let activated = ActivatedTxn { designated_leader: 1, txn: captured("txn_reconfig") };
    let kind = PacketType::InformAndActivate;
    check_packet("quorum_inform_and_activate", kind, zxid, data(&activated));
}

#[test]
fn a_challenge() {
    let found = QuorumAuthPacket::from_bytes(captured("quorum_auth")).expect("a packet");
    let token = found.token.expect("a challenge");
    assert!(token.starts_with(b"realm=\"zk-quorum-sasl-md5\",nonce="));
    check("quorum_auth", QuorumAuthPacket { magic: AUTH_MAGIC, status: 0, token: Some(token) });
}

#[test]
fn elections() {
    let found = InitialMessage::from_bytes(captured("election_initial")).expect("a message");
    let InitialMessage::Addressed { address, .. } = found else { panic!("of before 3.5") };
    assert!(address.starts_with("127.0.0.1:"));
    let initial = InitialMessage::Addressed { several: false, server_id: 3, address };
    check("election_initial", initial);

    // An observer votes for nobody.
    let asked = captured("election_notification_observer");
    let asked = Notification::from_bytes(asked).expect("a vote");
    assert!(asked.config.is_some_and(|config| config.ends_with(b"\nversion=0")));
    let vote = Notification {
        state: ServerState::Looking,
        leader: i64::MIN,
        zxid: i64::MIN,
        round: 1,
        peer_epoch: i64::MIN,
        version: Notification::VERSION,
        config: asked.config,
    };
    check("election_notification_observer", vote.clone());
    // The leader answers with the vote that made it leader, and the epoch that came of it.
    let answered = captured("election_notification");
    let answered = Notification::from_bytes(answered).expect("a vote");
    let expected = Notification {
        state: ServerState::Leading,
        leader: 2,
        zxid: 0,
        round: answered.round,
        peer_epoch: 1,
        config: answered.config,
        ..vote
    };
    check("election_notification", expected);
}

#[test]
fn elections_of_old_releases() {
    check("election_initial_3_3", InitialMessage::Sid(2));
    check("election_initial_3_4", InitialMessage::Sid(2));
    // Both vote for themselves, with an empty history, in their first round.
    let vote = Notification {
        state: ServerState::Looking,
        leader: 2,
        zxid: 0,
        round: 1,
        peer_epoch: 0,
        version: 0,
        config: None,
    };
    let oldest = captured("election_notification_3_3");
    assert_eq!((oldest.len(), Notification::from_bytes(oldest)), (28, Ok(vote.clone())));
    // The version that 3.4 writes counts for nothing: the length says what this is.
    let old = captured("election_notification_3_4");
    assert_eq!((old.len(), old.last()), (40, Some(&1)));
    assert_eq!(Notification::from_bytes(old), Ok(vote));
}
