//! The receiving end of a link between members: bytes, cut anywhere, become events, by the
//! decoder of the server's quorum port.

use bytes::BytesMut;
use jute::quorum::{PacketType, SNAPSHOT_SIGNATURE};

use super::SimDisk;
use crate::net::quorum::{check_txn, next_packet};
use crate::server::options::ServerOptions;
use crate::storage::{Dirs, SnapshotReceiver};
use crate::types::Zxid;
use crate::zab::{Event, LinkId};

/// What has come in over a link and is not used yet.
pub struct Inlet {
    link: LinkId,
    /// This server has opened the link: the other end leads.
    dialled: bool,
    buffer: BytesMut,
    taking: Taking,
}

#[allow(clippy::large_enum_variant)]
enum Taking {
    Packets,
    /// The body of a snapshot.
    Body(SnapshotReceiver<SimDisk>),
    /// What stands behind it.
    Signature(SnapshotReceiver<SimDisk>),
}

/// What came of some bytes.
#[derive(Default)]
pub struct Taken {
    pub events: Vec<Event>,
    /// A snapshot is whole: it goes to the shelf before the events are told.
    pub snapshot: Option<SnapshotReceiver<SimDisk>>,
    /// The link must be closed.
    pub failed: bool,
}

impl Inlet {
    pub fn new(link: LinkId, dialled: bool) -> Inlet {
        Inlet { link, dialled, buffer: BytesMut::new(), taking: Taking::Packets }
    }

    /// Takes in what has come.
    pub fn take(
        &mut self,
        bytes: &[u8],
        (disk, dirs, options): (&SimDisk, &Dirs, &ServerOptions),
    ) -> Taken {
        self.buffer.extend_from_slice(bytes);
        let mut taken = Taken::default();
        loop {
            match std::mem::replace(&mut self.taking, Taking::Packets) {
                Taking::Packets => match self.packet(&mut taken) {
                    Some(Next::Snapshot(zxid)) => {
                        let (tree, form) = (options.tree, options.compression);
                        match SnapshotReceiver::new(disk, dirs, zxid, tree, form) {
                            Ok(receiver) => self.taking = Taking::Body(receiver),
                            Err(_) => taken.failed = true,
                        }
                    }
                    Some(Next::Packet) => {}
                    None => break,
                },
                Taking::Body(mut receiver) => {
                    let chunk = self.buffer.split();
                    match receiver.feed(&chunk) {
                        Ok(Some(used)) => {
                            self.buffer = BytesMut::from(&chunk[used..]);
                            self.taking = Taking::Signature(receiver);
                        }
                        Ok(None) => {
                            self.taking = Taking::Body(receiver);
                            break;
                        }
                        Err(_) => {
                            let _ = receiver.abandon();
                            taken.failed = true;
                        }
                    }
                }
                Taking::Signature(receiver) => {
                    let len = 4 + SNAPSHOT_SIGNATURE.len();
                    if self.buffer.len() < len {
                        self.taking = Taking::Signature(receiver);
                        break;
                    }
                    let signature = self.buffer.split_to(len);
                    taken.failed = signature[4..] != *SNAPSHOT_SIGNATURE.as_bytes();
                    taken.snapshot = Some(receiver);
                    taken.events.push(Event::SnapshotReceived { link: self.link });
                }
            }
            if taken.failed {
                break;
            }
        }
        taken
    }

    /// Throws away what was not taken in whole.
    pub fn abandon(self) {
        if let Taking::Body(receiver) | Taking::Signature(receiver) = self.taking {
            let _ = receiver.abandon();
        }
    }

    fn packet(&mut self, taken: &mut Taken) -> Option<Next> {
        let packet = match next_packet(&mut self.buffer, jute::Limits::DEFAULT) {
            Ok(packet) => packet?,
            Err(_) => {
                taken.failed = true;
                return None;
            }
        };
        if self.dialled && check_txn(&packet).is_err() {
            taken.failed = true;
            return None;
        }
        let is_snapshot = self.dialled && packet.kind == Some(PacketType::Snap);
        let zxid = packet.zxid;
        taken.events.push(Event::Packet { link: self.link, packet });
        Some(if is_snapshot { Next::Snapshot(zxid) } else { Next::Packet })
    }
}

enum Next {
    Packet,
    Snapshot(Zxid),
}
