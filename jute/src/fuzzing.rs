//! Fuzz bodies: what must hold whatever the bytes are. Run by `tests/hostile.rs` over damaged
//! golden bytes, and by libFuzzer (`fuzz/run`) as long as one likes.
//!
//! Each body must neither panic nor run out of memory; and whatever decodes must encode to bytes
//! that decode to the same. "The same" is after one round: text that Java's two directions treat
//! differently (supplementary characters) changes in the first round and never again.

use crate::codec::{measure_frame, Decode, DecodeError, Encode, Limits, Reader};
use crate::data::{Acl, Id, Stat, StatPersisted};
use crate::disk::{
    AclEntry, FileHeader, LogRecord, Seal, SessionEntry, SnapshotDigest, SnapshotNode,
};
use crate::multi::{MultiRequest, MultiResponse};
use crate::op::OpCode;
use crate::proto::*;
use crate::quorum::{
    AcceptedEpoch, ActivatedTxn, DesignatedLeader, ForwardedRequest, InitialMessage, LearnerInfo,
    Notification, PacketType, ProtocolVersion, QuorumAuthPacket, QuorumPacket, Revalidated,
    SessionTimeout, Touched, INITIAL_ADDRESS_LEN_MAX,
};
use crate::txn::{TxnHeader, TxnRecord};

/// A body, and the memory that it may hold at once.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its kept inputs too (`fuzz/corpus/NAME.hex`).
    pub name: &'static str,
    pub body: fn(&[u8]),
    /// Bytes for each byte of its input.
    pub per_byte: usize,
    /// Bytes whatever its input is.
    pub constant: usize,
}

impl Target {
    /// What it may hold for an input of `len` bytes, bytes.
    pub fn memory_max(&self, len: usize) -> usize {
        len * self.per_byte + self.constant
    }

    const fn record(name: &'static str, body: fn(&[u8])) -> Target {
        // A body holds the record three times, and its encoded forms.
        Target { name, body, per_byte: 3 * DECODED_PER_BYTE_MAX + 4, constant: 4 << 10 }
    }
}

/// The bodies of this module.
pub const TARGETS: [Target; 7] = [
    Target::record("frame", frame),
    Target::record("request", request),
    Target::record("multi", multi),
    // Clients decode these. A multi's result may be nine bytes, and is as wide as any in memory.
    Target { name: "reply", body: reply, per_byte: 128, constant: 4 << 10 },
    Target::record("txn", txn),
    Target::record("file", file),
    Target::record("quorum_packet", quorum_packet),
];

/// What a record from outside may hold in memory, for each byte that came. Records are wider there
/// than on the wire, and a growing list is held twice for a moment: the widest is a multi's
/// shortest operation, of 14 bytes. It is 19 of the 20 just behind a growth.
pub const DECODED_PER_BYTE_MAX: usize = 20;

/// What we encode may be longer than what was received: one bad byte is a character of three.
const ROUND_LIMITS: Limits = Limits { max_length: usize::MAX };

/// Decodes, encodes, decodes, encodes: by then nothing may change any more, and if the bytes did
/// not change, neither may the record.
macro_rules! round {
    ($record:ident, $bytes:expr) => {
        if let Ok(first) = $record::from_bytes($bytes) {
            let once = first.to_bytes();
            let second = $record::decode(&mut Reader::with_limits(&once, ROUND_LIMITS));
            let second = second.expect("what was encoded decodes");
            let twice = second.to_bytes();
            let third = $record::decode(&mut Reader::with_limits(&twice, ROUND_LIMITS));
            assert_eq!(third.as_ref(), Ok(&second));
            assert_eq!(second.to_bytes(), twice);
            if once == twice && !is_ambiguous(&once) {
                assert_eq!(first, second);
            }
        }
    };
}

/// Longest frame taken in these bodies.
const FRAME_LEN_MAX: usize = 0xf_ffff;

/// A stream of frames, as a client's socket delivers it: the handshake, then requests.
pub fn frame(bytes: &[u8]) {
    let mut rest = bytes;
    let mut first = true;
    // Each round takes at least the four bytes of a length.
    while let Ok(Some(len)) = measure_frame(rest, FRAME_LEN_MAX) {
        assert!((4..=rest.len()).contains(&len), "a frame of {len} in {} bytes", rest.len());
        let body = &rest[4..len];
        if first {
            round!(ConnectRequest, body);
            first = false;
        } else {
            request(body);
        }
        rest = &rest[len..];
    }
}

/// A request: header and body by operation.
pub fn request(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    let Ok(header) = RequestHeader::decode(&mut r) else { return };
    let Some(op) = OpCode::from_code(header.op) else { return };
    let body = r.remaining();
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => round!(CreateRequest, body),
        OpCode::CreateTtl => round!(CreateTtlRequest, body),
        OpCode::Delete => round!(DeleteRequest, body),
        OpCode::DeleteContainer => round!(DeleteContainerRequest, body),
        OpCode::Exists | OpCode::GetData | OpCode::GetChildren | OpCode::GetChildren2 => {
            round!(PathWatchRequest, body);
        }
        OpCode::SetData => round!(SetDataRequest, body),
        OpCode::GetAcl | OpCode::Sync | OpCode::GetEphemerals | OpCode::GetAllChildrenNumber => {
            round!(PathRequest, body);
        }
        OpCode::SetAcl => round!(SetAclRequest, body),
        OpCode::Check => round!(CheckVersionRequest, body),
        OpCode::Multi | OpCode::MultiRead => multi(body),
        OpCode::Reconfig => round!(ReconfigRequest, body),
        OpCode::CheckWatches | OpCode::RemoveWatches => round!(WatcherTypeRequest, body),
        OpCode::Auth => round!(AuthPacket, body),
        OpCode::Sasl => round!(SaslToken, body),
        OpCode::SetWatches => round!(SetWatches, body),
        OpCode::SetWatches2 => round!(SetWatches2, body),
        OpCode::AddWatch => round!(AddWatchRequest, body),
        OpCode::CreateSession | OpCode::CloseSession | OpCode::Ping | OpCode::WhoAmI => {}
        OpCode::Notification | OpCode::Error => {}
    }
}

/// A multi.
pub fn multi(bytes: &[u8]) {
    round!(MultiRequest, bytes);
}

/// What a server answers.
pub fn reply(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    if ReplyHeader::decode(&mut r).is_err() {
        return;
    }
    let body = r.remaining();
    round!(ConnectResponse, bytes);
    round!(WatcherEvent, body);
    round!(StatResponse, body);
    round!(GetDataResponse, body);
    round!(GetAclResponse, body);
    round!(GetChildren2Response, body);
    round!(NamesResponse, body);
    round!(CreateResponse, body);
    round!(Create2Response, body);
    round!(WhoAmIResponse, body);
    round!(GetAllChildrenNumberResponse, body);
    round!(ErrorResponse, body);
    round!(MultiResponse, body);
}

/// A transaction, as logged and proposed.
pub fn txn(bytes: &[u8]) {
    round!(TxnRecord, bytes);
}

/// The pieces of log and snapshot files.
pub fn file(bytes: &[u8]) {
    round!(FileHeader, bytes);
    round!(LogRecord, bytes);
    round!(SessionEntry, bytes);
    round!(AclEntry, bytes);
    round!(SnapshotNode, bytes);
    round!(Seal, bytes);
    round!(SnapshotDigest, bytes);
    round!(StatPersisted, bytes);
    round!(Stat, bytes);
    round!(Acl, bytes);
    round!(Id, bytes);
    if let Ok(record) = LogRecord::from_bytes(bytes) {
        txn(record.body);
    }
}

/// What servers send each other: a packet and its data by type, and elections.
pub fn quorum_packet(bytes: &[u8]) {
    let measured = QuorumPacket::measure(bytes, Limits::DEFAULT);
    let mut r = Reader::with_limits(bytes, Limits::DEFAULT);
    match QuorumPacket::decode(&mut r) {
        Ok(packet) => {
            assert_eq!(measured, Ok(Some(bytes.len() - r.remaining().len())));
            packet_data(&packet);
        }
        Err(DecodeError::Truncated { .. }) => assert_eq!(measured, Ok(None)),
        Err(_) => assert!(!matches!(measured, Ok(Some(_))), "measured, but no packet"),
    }
    round!(QuorumPacket, bytes);
    round!(QuorumAuthPacket, bytes);
    round!(Notification, bytes);
    // Longer addresses may outgrow their limit when their bad bytes become characters.
    if bytes.len() < INITIAL_ADDRESS_LEN_MAX / 3 {
        round!(InitialMessage, bytes);
    }
}

fn packet_data(packet: &QuorumPacket<'_>) {
    let Some(data) = packet.data else { return };
    match PacketType::from_code(packet.kind) {
        Some(PacketType::Request) => {
            round!(ForwardedRequest, data);
            if let Ok(forwarded) = ForwardedRequest::from_bytes(data) {
                // Its op and body are laid out as a request that has lost its xid.
                request(&data[data.len() - forwarded.body.len() - 8..]);
            }
        }
        Some(PacketType::Proposal | PacketType::Inform) => txn(data),
        Some(PacketType::Ping) => round!(Touched, data),
        Some(PacketType::Revalidate) => {
            round!(SessionTimeout, data);
            round!(Revalidated, data);
        }
        Some(PacketType::CommitAndActivate) => round!(DesignatedLeader, data),
        Some(PacketType::InformAndActivate) => round!(ActivatedTxn, data),
        Some(PacketType::FollowerInfo | PacketType::ObserverInfo) => round!(LearnerInfo, data),
        Some(PacketType::LeaderInfo) => round!(ProtocolVersion, data),
        Some(PacketType::AckEpoch) => round!(AcceptedEpoch, data),
        _ => {}
    }
}

/// A closeSession of two paths without text, from no session that ever was, is laid out as one
/// without a body in front of a digest. See `txn::decode_close_session`.
fn is_ambiguous(encoded: &[u8]) -> bool {
    let body = encoded.get(TxnHeader::MIN_LEN..).unwrap_or_default();
    body == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]
}
