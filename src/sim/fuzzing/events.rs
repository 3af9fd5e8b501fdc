//! Bytes read as choices: numbers near those that matter, packets, notifications, transactions.

use bytes::Bytes;
use jute::quorum::{
    AcceptedEpoch, LearnerInfo, PacketType, ProtocolVersion, ServerState, SessionTimeout,
};
use jute::txn::{CreateTxn, DeleteTxn, Txn, TxnHeader, TxnRecord};
use jute::{Acl, Encode};

use crate::types::{Epoch, LoggedTxn, Sid, Zxid};
use crate::zab::{Notification, Packet};

/// What is left of the bytes. Where there are none, every choice is 0.
#[derive(Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { rest: bytes }
    }

    /// Nothing is left.
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *byte
    }

    /// A number below `n`, which is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// One of these; `None` if there are none.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        match items.len() {
            0 => None,
            n => Some(items[self.below(n.min(256))]),
        }
    }

    /// Some bytes as they are.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = self.below(24).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        piece
    }

    /// A number at which things go wrong, or any.
    fn long(&mut self) -> i64 {
        const EDGES: [i64; 8] =
            [0, 1, -1, i64::MIN, i64::MAX, u32::MAX as i64, (1 << 32) - 2, 1 << 32];
        match self.below(12) {
            at @ 0..8 => EDGES[at],
            _ => self.piece().iter().fold(0, |sum, byte| (sum << 8) | i64::from(*byte)),
        }
    }

    /// A zxid, mostly one near `last` or at the beginning of an epoch near its.
    pub fn zxid(&mut self, last: Zxid) -> Zxid {
        let epoch = last.epoch();
        match self.below(10) {
            0..=3 => Zxid(last.0.wrapping_add(1)),
            4 => last,
            5 => Zxid(last.0.wrapping_sub(self.below(4) as i64)),
            6 => Zxid::new(Epoch(epoch.0.wrapping_add(1)), 0),
            7 => Zxid::new(Epoch(epoch.0.wrapping_add(1)), 1),
            8 => Zxid::new(epoch, 0),
            _ => Zxid(self.long()),
        }
    }

    /// A member of three, seldom somebody else.
    pub fn sid(&mut self) -> Sid {
        match self.below(16) {
            0 => Sid(self.long()),
            n => Sid(n as i64 % 3 + 1),
        }
    }

    pub fn notification(&mut self, last: Zxid) -> Notification {
        let state = [
            ServerState::Looking,
            ServerState::Following,
            ServerState::Leading,
            ServerState::Observing,
        ];
        Notification {
            state: state[self.below(4)],
            leader: self.sid(),
            zxid: self.zxid(last),
            round: if self.below(4) == 0 { self.long() } else { self.below(4) as i64 },
            peer_epoch: if self.below(4) == 0 { self.long() } else { i64::from(last.epoch().0) },
            version: self.below(3) as i32,
            config: None,
        }
    }

    /// A packet of any type with any number, and mostly with data that its type has.
    pub fn packet(&mut self, last: Zxid) -> Packet {
        let kind = PacketType::from_code(self.below(24) as i32);
        let zxid = self.zxid(last);
        let data = match self.below(8) {
            0 => None,
            1 => Some(Bytes::copy_from_slice(self.piece())),
            _ => self.data_of(kind, zxid),
        };
        Packet { kind, zxid, data, identities: Vec::new() }
    }

    fn data_of(&mut self, kind: Option<PacketType>, zxid: Zxid) -> Option<Bytes> {
        let bytes = match kind? {
            PacketType::Proposal | PacketType::Inform => self.txn(zxid).bytes.to_vec(),
            PacketType::FollowerInfo | PacketType::ObserverInfo => {
                let (server_id, config_version) = (self.sid().0, (self.below(4) > 0).then_some(0));
                let protocol_version = match self.below(8) {
                    0 => None,
                    1 => Some(self.long() as i32),
                    _ => Some(0x10000),
                };
                LearnerInfo { server_id, protocol_version, config_version }.to_bytes()
            }
            PacketType::LeaderInfo => ProtocolVersion { version: 0x10000 }.to_bytes(),
            PacketType::AckEpoch => {
                let epoch = match self.below(4) {
                    0 => self.long() as i32,
                    _ => zxid.epoch().0 as i32,
                };
                AcceptedEpoch { epoch }.to_bytes()
            }
            PacketType::Ping | PacketType::Revalidate => {
                let (session_id, timeout_ms) = (self.long(), self.long() as i32);
                SessionTimeout { session_id, timeout_ms }.to_bytes()
            }
            _ => return None,
        };
        Some(bytes.into())
    }

    /// A transaction that can be read.
    pub fn txn(&mut self, zxid: Zxid) -> LoggedTxn {
        let path = ["/a", "/b", "/a/c", "/", "", "x", "/a//b"][self.below(7)];
        let txn = match self.below(6) {
            0 => Txn::Error(-101),
            1 => Txn::CreateSession(self.long() as i32),
            2 => Txn::Delete(DeleteTxn { path: path.into() }),
            3 => Txn::CloseSession(Some(vec![path.into()])),
            _ => Txn::Create(CreateTxn {
                path: path.into(),
                data: Some(b"x"),
                acl: Some(vec![Acl::open_unsafe()]),
                ephemeral: self.below(2) == 0,
                parent_cversion: self.long() as i32,
            }),
        };
        let header = TxnHeader {
            client_id: self.below(4) as i64,
            cxid: 1,
            zxid: zxid.0,
            time_ms: 1,
            kind: txn.kind(),
        };
        let bytes = TxnRecord { header, txn, digest: None }.to_bytes();
        LoggedTxn { zxid, bytes: bytes.into() }
    }
}
