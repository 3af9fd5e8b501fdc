//! The last packets of a connection, for the log (`messageTracker.*`, Apache's `MessageTracker`):
//! what went over it, and when, before it ended.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use jute::quorum::{PacketType, QuorumPacket};
use jute::Limits;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::OffsetDateTime;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second],[subsecond digits:3]");

/// A packet's type, as far as its number has a meaning, and when it went.
type Seen = (OffsetDateTime, Option<PacketType>);

/// Of one connection.
pub(super) struct Tracker {
    received: RefCell<Ring>,
    sent: RefCell<Ring>,
    /// What waits to be written: the bytes that are left of each packet.
    queued: RefCell<VecDeque<(usize, Option<PacketType>)>>,
}

impl Tracker {
    /// Keeps `max` packets in either direction, at least one.
    pub fn new(max: usize) -> Tracker {
        let ring = || RefCell::new(Ring { max: max.max(1), seen: VecDeque::new() });
        Tracker { received: ring(), sent: ring(), queued: RefCell::default() }
    }

    /// A packet has come.
    pub fn received(&self, kind: Option<PacketType>) {
        self.received.borrow_mut().push(kind);
    }

    /// These encoded packets, of which none is cut, wait behind what waits already.
    pub fn queued(&self, packets: &[u8]) {
        self.queued.borrow_mut().extend(kinds(packets));
    }

    /// So many bytes of what was queued have been handed to the system.
    pub fn wrote(&self, mut bytes: usize) {
        let (mut queued, mut sent) = (self.queued.borrow_mut(), self.sent.borrow_mut());
        while let Some((left, kind)) = queued.front_mut() {
            let taken = bytes.min(*left);
            *left -= taken;
            bytes -= taken;
            if *left > 0 {
                break;
            }
            sent.push(*kind);
            queued.pop_front();
        }
    }

    /// These packets of a log have gone out in front of what is queued.
    pub fn passed(&self, packets: &[u8]) {
        let mut sent = self.sent.borrow_mut();
        kinds(packets).for_each(|(_, kind)| sent.push(kind));
    }

    /// A snapshot goes out, in front of what is queued.
    pub fn snapshot(&self) {
        self.sent.borrow_mut().push(Some(PacketType::Snap));
    }

    /// Writes all of it into the log: the connection with `peer` has ended.
    pub fn tell(&self, peer: SocketAddr) {
        for (ring, what) in [(&self.received, "receivedBuffer from"), (&self.sent, "sentBuffer to")]
        {
            let lines = ring.borrow().lines(what, peer);
            if let [line] = &lines[..] {
                tracing::info!("{line}");
            } else {
                lines.iter().for_each(|line| tracing::warn!("{line}"));
            }
        }
    }
}

/// The newest packets, oldest first.
struct Ring {
    max: usize,
    seen: VecDeque<Seen>,
}

impl Ring {
    fn push(&mut self, kind: Option<PacketType>) {
        if self.seen.len() == self.max {
            self.seen.pop_front();
        }
        self.seen.push_back((OffsetDateTime::now_utc(), kind));
    }

    /// As Apache writes them, with times in UTC.
    fn lines(&self, what: &str, peer: SocketAddr) -> Vec<String> {
        if self.seen.is_empty() {
            return vec![format!("No buffered timestamps for messages {what} {peer}")];
        }
        let count = self.seen.len();
        let head = format!("Last {count} timestamps for messages {what} {peer}:");
        let each = self.seen.iter().map(|(at, kind)| {
            let at = at.format(TIME).unwrap_or_default();
            format!("{what} {peer}  TimeStamp: {at} Type: {}", name(*kind))
        });
        std::iter::once(head).chain(each).collect()
    }
}

/// Apache's `Leader.getPacketType`: the names are ours in capitals.
fn name(kind: Option<PacketType>) -> String {
    kind.map_or("UNKNOWN".to_owned(), |kind| format!("{kind:?}").to_uppercase())
}

/// Length and type of each packet.
fn kinds(mut packets: &[u8]) -> impl Iterator<Item = (usize, Option<PacketType>)> + '_ {
    const LIMITS: Limits = Limits { max_length: usize::MAX };
    std::iter::from_fn(move || {
        let code = i32::from_be_bytes(*packets.first_chunk()?);
        let len = QuorumPacket::measure(packets, LIMITS).ok()??;
        packets = &packets[len..];
        Some((len, PacketType::from_code(code)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jute::Encode;

    const PEER: &str = "127.0.0.1:2888";

    fn packet(kind: PacketType, data: &[u8]) -> Vec<u8> {
        QuorumPacket::new(kind, 7, Some(data)).to_bytes()
    }

    fn told(ring: &RefCell<Ring>) -> Vec<String> {
        let lines = ring.borrow().lines("sentBuffer to", PEER.parse().unwrap());
        // Type and all but the time of each line.
        let short = |line: &String| match line.split_once("  TimeStamp: ") {
            Some((front, rest)) => {
                assert_eq!(front, format!("sentBuffer to {PEER}"));
                let (time, kind) = rest.split_once(" Type: ").expect("both are there");
                assert_eq!(time.len(), "2026-11-21 19:45:00,123".len(), "{line}");
                kind.to_owned()
            }
            None => line.clone(),
        };
        lines.iter().map(short).collect()
    }

    #[test]
    fn a_packet_is_sent_when_its_last_byte_is() {
        let tracker = Tracker::new(10);
        let nothing = [format!("No buffered timestamps for messages sentBuffer to {PEER}")];
        assert_eq!(told(&tracker.sent), nothing);
        let both = [packet(PacketType::Proposal, b"txn"), packet(PacketType::Commit, b"")].concat();
        tracker.queued(&both);
        tracker.wrote(5);
        assert_eq!(told(&tracker.sent), nothing);
        tracker.wrote(both.len() - 6);
        let head = |count| format!("Last {count} timestamps for messages sentBuffer to {PEER}:");
        assert_eq!(told(&tracker.sent), [&head(1), "PROPOSAL"]);
        tracker.snapshot();
        tracker.passed(&packet(PacketType::UpToDate, b""));
        tracker.wrote(1);
        assert_eq!(told(&tracker.sent), [&head(4), "PROPOSAL", "SNAP", "UPTODATE", "COMMIT"]);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let tracker = Tracker::new(2);
        for kind in [Some(PacketType::FollowerInfo), None, Some(PacketType::AckEpoch)] {
            tracker.received(kind);
        }
        let head = format!("Last 2 timestamps for messages sentBuffer to {PEER}:");
        assert_eq!(told(&tracker.received), [&head, "UNKNOWN", "ACKEPOCH"]);
    }
}
