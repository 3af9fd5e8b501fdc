//! Packets on their way out: encoded once, many to a buffer, shared by all who get them.

use bytes::Bytes;
use jute::quorum::{PacketType, QuorumPacket};
use jute::{Encode, Writer};

use crate::types::{Epoch, LoggedTxn, Sid, Zxid};

/// Encoded packets of one `Send`.
#[derive(Debug, Default)]
pub(super) struct Packets {
    writer: Writer,
}

impl Packets {
    pub(super) fn new() -> Packets {
        Packets::default()
    }

    pub(super) fn push(&mut self, kind: PacketType, zxid: Zxid, data: Option<&[u8]>) -> &mut Self {
        QuorumPacket::new(kind, zxid.0, data).encode(&mut self.writer);
        self
    }

    pub(super) fn proposal(&mut self, txn: &LoggedTxn) -> &mut Self {
        self.push(PacketType::Proposal, txn.zxid, Some(&txn.bytes))
    }

    pub(super) fn commit(&mut self, txn: &LoggedTxn) -> &mut Self {
        self.push(PacketType::Commit, txn.zxid, None)
    }

    pub(super) fn inform(&mut self, txn: &LoggedTxn) -> &mut Self {
        self.push(PacketType::Inform, txn.zxid, Some(&txn.bytes))
    }

    pub(super) fn len(&self) -> usize {
        self.writer.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// What has been pushed since the last time.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.writer).into_vec().into()
    }
}

/// One packet alone.
pub(super) fn packet(kind: PacketType, zxid: Zxid, data: Option<&[u8]>) -> Bytes {
    Packets::new().push(kind, zxid, data).take()
}

/// The zxid that stands for an epoch: in front of its first transaction.
pub(super) fn start_of(epoch: Epoch) -> Zxid {
    Zxid::new(epoch, 0)
}

/// How a server that has lost its disk's content calls itself to a leader: a number that no
/// configuration has, so that it is counted for nothing. To itself and back.
pub(super) fn stranger_name(sid: Sid) -> Sid {
    Sid(sid.0 ^ i64::MIN)
}
