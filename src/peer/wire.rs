//! Packets of the quorum port, encoded.

use bytes::Bytes;
use jute::quorum::{PacketType, QuorumPacket};
use jute::{Encode, Id};

/// A packet without identities.
pub(super) fn packet(kind: PacketType, zxid: i64, data: Option<&[u8]>) -> Bytes {
    Bytes::from(QuorumPacket::new(kind, zxid, data).to_bytes())
}

/// A packet with a client's identities.
pub(super) fn packet_of(
    kind: PacketType,
    zxid: i64,
    data: &[u8],
    identities: &[Id<'static>],
) -> Bytes {
    let auth = Some(identities.to_vec());
    let packet = QuorumPacket { kind: kind.code(), zxid, data: Some(data), auth };
    Bytes::from(packet.to_bytes())
}
