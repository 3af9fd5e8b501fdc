//! What holds for every record, whatever its values: what is encoded decodes to itself, no part
//! of it is mistaken for the whole, and it is never shorter than it claims.
//!
//! Text is the exception that Java makes: a supplementary character leaves as two surrogates and
//! comes back as two replacements, once and for all.

#[path = "properties/arbitrary.rs"]
mod arbitrary;

use std::borrow::Cow;
use std::fmt::Debug;

use jute::multi::{MultiRequest, MultiResponse};
use jute::proto::*;
use jute::quorum::*;
use jute::txn::*;
use jute::{data, decode_text, disk, encode_text, encoded_len, fuzzing, multi};
use jute::{Decode, DecodeError, Encode, Limits, Reader, Writer};
use proptest::prelude::*;

use arbitrary::Any;

/// One test for each record, named as it is.
macro_rules! records {
    ($($test:ident: $record:ty,)*) => {
        proptest! {
            $(
                #[test]
                fn $test(record in <$record>::any()) {
                    check(&record);
                }
            )*
        }
    };
}

records! {
    id: data::Id,
    acl: data::Acl,
    stat: data::Stat,
    stat_persisted: data::StatPersisted,
    connect_request: ConnectRequest,
    connect_response: ConnectResponse,
    request_header: RequestHeader,
    reply_header: ReplyHeader,
    create_request: CreateRequest,
    create_ttl_request: CreateTtlRequest,
    create_response: CreateResponse,
    create2_response: Create2Response,
    delete_request: DeleteRequest,
    delete_container_request: DeleteContainerRequest,
    path_watch_request: PathWatchRequest,
    stat_response: StatResponse,
    get_data_response: GetDataResponse,
    set_data_request: SetDataRequest,
    path_request: PathRequest,
    get_acl_response: GetAclResponse,
    set_acl_request: SetAclRequest,
    names_response: NamesResponse,
    get_children2_response: GetChildren2Response,
    check_version_request: CheckVersionRequest,
    reconfig_request: ReconfigRequest,
    get_all_children_number_response: GetAllChildrenNumberResponse,
    auth_packet: AuthPacket,
    set_watches: SetWatches,
    set_watches2: SetWatches2,
    add_watch_request: AddWatchRequest,
    watcher_type_request: WatcherTypeRequest,
    error_response: ErrorResponse,
    watcher_event: WatcherEvent,
    sasl_token: SaslToken,
    who_am_i_response: WhoAmIResponse,
    multi_header: multi::MultiHeader,
    multi_request: MultiRequest,
    multi_response: MultiResponse,
    txn_record: TxnRecord,
    file_header: disk::FileHeader,
    log_record: disk::LogRecord,
    session_entry: disk::SessionEntry,
    acl_entry: disk::AclEntry,
    snapshot_node: disk::SnapshotNode,
    seal: disk::Seal,
    snapshot_digest: disk::SnapshotDigest,
    quorum_packet: QuorumPacket,
    learner_info: LearnerInfo,
    forwarded_request: ForwardedRequest,
    session_timeout: SessionTimeout,
    touched: Touched,
    revalidated: Revalidated,
    protocol_version: ProtocolVersion,
    accepted_epoch: AcceptedEpoch,
    designated_leader: DesignatedLeader,
    activated_txn: ActivatedTxn,
    quorum_auth_packet: QuorumAuthPacket,
    initial_message: InitialMessage,
    notification: Notification,
}

fn check<T: Encode + Decode<'static> + PartialEq + Debug>(record: &T) {
    // Some megabytes in all that records borrow from until the test ends.
    let bytes: &'static [u8] = record.to_bytes().leak();
    assert!(bytes.len() >= T::MIN_LEN, "{} bytes are less than MIN_LEN", bytes.len());
    let mut r = Reader::new(bytes);
    let once = T::decode(&mut r).expect("what was encoded decodes");
    assert_eq!(r.remaining(), b"");
    let again: &'static [u8] = once.to_bytes().leak();
    if again == bytes {
        assert_eq!(&once, record);
    } else {
        assert!(has_surrogates(bytes), "changed, though not by its text: {record:?}");
        assert_eq!(T::from_bytes(again).as_ref(), Ok(&once));
        assert_eq!(once.to_bytes(), again);
    }
    for cut in 0..bytes.len() {
        assert_ne!(T::from_bytes(&bytes[..cut]).as_ref(), Ok(&once), "a part as the whole");
    }
}

/// Whether there is anything that Java writes for a supplementary character.
fn has_surrogates(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair[0] == 0xed && pair[1] >= 0xa0)
}

proptest! {
    #[test]
    fn text_changes_only_where_java_changes_it(text in String::any()) {
        let mut bytes = Vec::new();
        encode_text(&text, &mut bytes);
        prop_assert_eq!(bytes.len(), encoded_len(&text));
        let expected: String = text
            .chars()
            .flat_map(|c| if c > '\u{ffff}' { vec!['\u{fffd}'; 2] } else { vec![c] })
            .collect();
        prop_assert_eq!(decode_text(&bytes), expected);
    }

    #[test]
    fn a_stream_of_packets_comes_apart_as_it_was_put_together(
        packets in proptest::collection::vec(QuorumPacket::any(), 1..5),
    ) {
        let mut w = Writer::new();
        packets.iter().for_each(|packet| packet.encode(&mut w));
        let mut rest = w.as_slice();
        for packet in &packets {
            let len = QuorumPacket::measure(rest, Limits::DEFAULT).expect("a packet");
            let (head, tail) = rest.split_at(len.expect("a whole one"));
            prop_assert_eq!(head, packet.to_bytes());
            rest = tail;
        }
        prop_assert_eq!(rest, b"");
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(
        op in proptest::sample::select(vec![1, 2, 5, 7, 14, 21, 22, 100, 101, 105, 106]),
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
    ) {
        let request = [&[0; 4], &i32::to_be_bytes(op)[..], &bytes].concat();
        fuzzing::request(&request);
        fuzzing::frame(&bytes);
        fuzzing::reply(&bytes);
        fuzzing::txn(&bytes);
        fuzzing::file(&bytes);
        fuzzing::quorum_packet(&bytes);
    }
}

#[test]
fn a_multi_within_a_multi_is_refused() {
    let inner = Txn::Multi(vec![Txn::Error(-1)]);
    let outer = Txn::Multi(vec![inner]).to_bytes();
    let found = Txn::decode_kind(14, &mut Reader::new(&outer));
    assert_eq!(found, Err(DecodeError::UnknownType(14)));
    let mut w = Writer::new();
    multi::MultiHeader { op: 14, done: false, err: -1 }.encode(&mut w);
    assert_eq!(MultiRequest::from_bytes(w.as_slice()), Err(DecodeError::UnknownType(14)));
}

#[test]
fn strings_and_buffers_end_at_the_limit() {
    let limits = Limits { max_length: 10 };
    let mut w = Writer::new();
    w.buffer(Some(&[b'x'; 10]));
    assert!(Reader::with_limits(w.as_slice(), limits).buffer().is_ok());
    let mut w = Writer::new();
    w.string(Some("01234567890"));
    let found = Reader::with_limits(w.as_slice(), limits).string();
    assert_eq!(found, Err(DecodeError::TooLong { len: 11, max: 10 }));
    // The same limit holds inside a transaction's parts.
    let part = SetDataTxn { path: Cow::Borrowed("/"), data: Some(&[0; 11]), version: 0 };
    let multi = Txn::Multi(vec![Txn::SetData(part)]).to_bytes();
    let limits = Limits { max_length: 24 };
    assert!(Txn::decode_kind(14, &mut Reader::with_limits(&multi, limits)).is_ok());
    let limits = Limits { max_length: 10 };
    let found = Txn::decode_kind(14, &mut Reader::with_limits(&multi, limits));
    assert_eq!(found, Err(DecodeError::TooLong { len: 24, max: 10 }));
}

#[test]
fn what_has_been_taken_in_is_bounded_by_its_own_length_alone() {
    let data = vec![b'x'; 3 * Limits::DEFAULT.max_length];
    let part = SetDataTxn { path: Cow::Borrowed("/"), data: Some(&data), version: 0 };
    let bytes = part.to_bytes();
    assert_eq!(SetDataTxn::from_bytes(&bytes), Ok(part));
    let cut = SetDataTxn::from_bytes(&bytes[..bytes.len() / 2]);
    assert!(matches!(cut, Err(DecodeError::Truncated { .. })), "{cut:?}");
}

#[test]
fn notifications_of_each_generation_are_told_apart_by_their_length() {
    let whole = Notification {
        state: ServerState::Following,
        leader: 3,
        zxid: (7 << 32) | 5,
        round: 9,
        peer_epoch: 8,
        version: 2,
        config: Some(b"version=0"),
    };
    let bytes = whole.to_bytes();
    let oldest = Notification { peer_epoch: 7, version: 0, config: None, ..whole.clone() };
    assert_eq!(Notification::from_bytes(&bytes[..28]), Ok(oldest));
    let old = Notification { version: 0, config: None, ..whole.clone() };
    assert_eq!(Notification::from_bytes(&bytes[..40]), Ok(old));
    for len in (0..28).chain(29..40).chain(41..bytes.len()) {
        assert!(Notification::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
    }
}
