//! The points at which a process can end: each call of its disk, each packet that leaves it, each
//! arrival at it. They are counted from the start of the world, so that one run tells which there
//! are and another one ends a process exactly there.

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};

use super::World;
use crate::sim::Rng;

/// Where in a run a server loses its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrashPoint {
    /// From 0.
    pub node: usize,
    pub place: Place,
}

/// What it does at that instant. Everything is counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// This call of its disk has been made and does not come back.
    Call(u64),
    /// This packet has left it, and arrives; a vote, a quorum packet, a stretch of a file or
    /// replies to a client.
    Sent(u64),
    /// This has arrived and is not looked at.
    Received(u64),
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, n) = match self.place {
            Place::Call(n) => ("call", n),
            Place::Sent(n) => ("sent", n),
            Place::Received(n) => ("received", n),
        };
        write!(f, "{}:{kind}:{n}", self.node + 1)
    }
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<CrashPoint, String> {
        let wrong = || format!("{text:?} is no crash point such as 1:call:17 or 2:sent:3");
        let mut parts = text.split(':');
        let (Some(sid), Some(kind), Some(n), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let sid: usize = sid.parse().map_err(|_| wrong())?;
        let n = n.parse().map_err(|_| wrong())?;
        let place = match kind {
            "call" => Place::Call(n),
            "sent" => Place::Sent(n),
            "received" => Place::Received(n),
            _ => return Err(wrong()),
        };
        Ok(CrashPoint { node: sid.checked_sub(1).ok_or_else(wrong)?, place })
    }
}

/// What has been counted so far, and the point that a run is to end a process at.
#[derive(Debug, Default)]
pub(in crate::sim) struct Points {
    aim: Option<CrashPoint>,
    /// For each server what it has sent, and what has arrived there.
    sent: Vec<u64>,
    received: Vec<u64>,
    /// It has just come to its point.
    doomed: Option<usize>,
    reached: bool,
}

impl Points {
    pub fn new(nodes: usize) -> Points {
        Points { sent: vec![0; nodes], received: vec![0; nodes], ..Points::default() }
    }

    /// Nothing leaves this server any more.
    pub fn is_doomed(&self, node: usize) -> bool {
        self.doomed == Some(node)
    }

    /// Whether the run has come to its point.
    pub fn is_reached(&self) -> bool {
        self.reached
    }

    /// `count` packets leave; answers how many of them really do.
    fn leaves(&mut self, node: usize, count: usize) -> usize {
        let before = self.sent[node];
        self.sent[node] += count as u64;
        match self.aim {
            Some(CrashPoint { node: of, place: Place::Sent(n) })
                if of == node && (before..self.sent[node]).contains(&n) =>
            {
                self.doomed = Some(node);
                (n - before) as usize + 1
            }
            _ => count,
        }
    }
}

impl World {
    /// Ends a server at this point when the run comes to it.
    pub(in crate::sim) fn aim(&mut self, point: CrashPoint) {
        self.points.aim = Some(point);
        self.arm(point.node);
    }

    /// All points that the run has come across.
    pub(in crate::sim) fn points_met(&self) -> Vec<CrashPoint> {
        let mut met = Vec::new();
        for (node, it) in self.nodes.iter().enumerate() {
            let calls = (0..it.disk.calls()).map(Place::Call);
            let sent = (0..self.points.sent[node]).map(Place::Sent);
            let received = (0..self.points.received[node]).map(Place::Received);
            let places = calls.chain(sent).chain(received);
            met.extend(places.map(|place| CrashPoint { node, place }));
        }
        met
    }

    /// Tells a server's disk of its point, if it is still to come.
    pub(super) fn arm(&mut self, node: usize) {
        let Some(CrashPoint { node: of, place: Place::Call(n) }) = self.points.aim else { return };
        let disk = &self.nodes[node].disk;
        if of == node && !self.points.reached && n >= disk.calls() {
            disk.crash_at(n - disk.calls());
        }
    }

    /// What decides what the end of a process leaves, and what else is drawn for it. It depends
    /// on the process alone, or on the point that it ends at: other faults don't change it.
    pub(super) fn seed_of_end(&mut self, node: usize) -> (u64, Rng) {
        let at_call = self.nodes[node].disk.has_crashed();
        let life = self.nodes[node].life_number;
        let drawn = match self.points.aim {
            Some(CrashPoint { node: of, place: Place::Call(n) })
                if at_call && of == node && !self.points.reached =>
            {
                self.points.reached = true;
                n ^ 0x4341_4c4c
            }
            Some(CrashPoint { place: Place::Sent(n) | Place::Received(n), .. })
                if self.points.is_doomed(node) =>
            {
                self.points.reached = true;
                n ^ 0x5041_434b
            }
            _ => life ^ 0x4c49_4645,
        };
        let mut rng = Rng::new(self.seed ^ drawn ^ ((node as u64) << 48));
        (rng.next_u64(), rng)
    }

    /// A server that has come to its point ends behind the event that brought it there.
    pub(super) fn end_doomed(&mut self) {
        if let Some(node) = self.points.doomed {
            self.crash(node, true);
            self.points.doomed = None;
        }
    }

    /// Encoded packets leave a server: answers what of them does.
    pub(super) fn leaving(&mut self, node: usize, packets: Bytes) -> Bytes {
        let ends = ends_of(&packets);
        let left = self.points.leaves(node, ends.len());
        match ends.get(left.wrapping_sub(1)) {
            Some(end) if left < ends.len() => packets.slice(..*end),
            _ => packets,
        }
    }

    /// One packet leaves a server, whatever it is.
    pub(super) fn leaves(&mut self, node: usize) {
        self.points.leaves(node, 1);
    }

    /// Something arrives at a server that runs. False: it is not looked at any more.
    pub(super) fn comes(&mut self, node: usize) -> bool {
        let n = self.points.received[node];
        self.points.received[node] += 1;
        let place = Place::Received(n);
        if self.points.aim == Some(CrashPoint { node, place }) {
            self.points.doomed = Some(node);
        }
        !self.points.is_doomed(node)
    }
}

/// Where each of these packets ends.
fn ends_of(packets: &Bytes) -> Vec<usize> {
    let mut buffer = BytesMut::from(&packets[..]);
    let mut ends = Vec::new();
    while let Ok(Some(_)) = crate::net::quorum::next_packet(&mut buffer, jute::Limits::DEFAULT) {
        ends.push(packets.len() - buffer.len());
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_reads_as_it_is_written() {
        for text in ["1:call:17", "2:sent:0", "7:received:123"] {
            assert_eq!(text.parse::<CrashPoint>().map(|point| point.to_string()), Ok(text.into()));
        }
        for text in ["", "0:call:1", "1:call", "1:called:3", "1:call:x", "1:call:1:1"] {
            assert!(text.parse::<CrashPoint>().is_err(), "{text:?}");
        }
    }
}
