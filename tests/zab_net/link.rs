//! Connections between quorum ports: in order while they last.

use std::collections::VecDeque;

use bytes::Bytes;
use jute::quorum::{PacketType, QuorumPacket};
use jute::{Decode, Limits, Reader};
use oxkeeper::types::{LoggedTxn, Zxid};
use oxkeeper::zab::{Event, LinkId, Packet};

use super::node::Dial;
use super::{Net, What};

/// What travels.
pub enum Message {
    Packet(Packet),
    /// A snapshot's body.
    Image(Vec<LoggedTxn>),
    /// The end, behind all that was sent.
    End,
}

pub struct Connection {
    /// The dialling end, then the accepting one.
    pub ends: [(usize, LinkId); 2],
    /// To each end.
    queues: [VecDeque<Message>; 2],
    /// When the last message on its way to each end arrives.
    arrives_ms: [i64; 2],
    /// Who still believes in it.
    open: [bool; 2],
    broken: bool,
}

impl Net {
    /// A dial takes effect, or is tried again until its time is up.
    pub(super) fn dialled(&mut self, index: usize, dial: Dial) {
        if self.nodes[index].dial != Some(dial) {
            return;
        }
        let target = self.nodes.iter().position(|node| node.sid == dial.to);
        let reachable = target.filter(|target| {
            let node = &self.nodes[*target];
            let listens = if dial.to_observe { node.listens_for_observers } else { node.listens };
            listens && !self.cut.contains(&(index, *target))
        });
        let Some(target) = reachable else {
            if self.now_ms >= dial.deadline_ms {
                self.nodes[index].dial = None;
                self.tell(index, Event::DialFailed);
            } else {
                self.at(20, What::Dialled(index, dial));
            }
            return;
        };
        self.nodes[index].dial = None;
        self.serial += 2;
        let ends = [(index, LinkId(self.serial)), (target, LinkId(self.serial + 1))];
        let key = self.serial;
        self.ends.insert(ends[0], (key, 0));
        self.ends.insert(ends[1], (key, 1));
        self.connections.insert(
            key,
            Connection {
                ends,
                queues: [VecDeque::new(), VecDeque::new()],
                arrives_ms: [0; 2],
                open: [true; 2],
                broken: false,
            },
        );
        self.tell(target, Event::LinkOpened { link: ends[1].1 });
        self.tell(index, Event::LinkOpened { link: ends[0].1 });
        self.serial += 2;
    }

    pub(super) fn send(&mut self, index: usize, link: LinkId, message: Message) {
        let Some(&(key, end)) = self.ends.get(&(index, link)) else { return };
        let delay = self.delay(5, 150);
        let now_ms = self.now_ms;
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if connection.broken {
            return;
        }
        let to = 1 - end;
        connection.queues[to].push_back(message);
        let at = connection.arrives_ms[to].max(now_ms + delay);
        connection.arrives_ms[to] = at;
        self.at(at - now_ms, What::Arrive(key, to));
    }

    pub(super) fn send_packets(&mut self, index: usize, link: LinkId, packets: &Bytes) {
        let mut rest = packets.clone();
        while !rest.is_empty() {
            let len = QuorumPacket::measure(&rest, Limits::default())
                .expect("what a core sends can be read")
                .expect("packets are whole");
            let one = rest.split_to(len);
            let packet = owned(&one);
            self.nodes[index].check_packet(&packet);
            self.send(index, link, Message::Packet(packet));
        }
    }

    pub(super) fn arrive(&mut self, key: u64, end: usize) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if connection.broken || !connection.open[end] {
            return;
        }
        let Some(message) = connection.queues[end].pop_front() else { return };
        let (index, link) = connection.ends[end];
        match message {
            Message::Packet(packet) => self.tell(index, Event::Packet { link, packet }),
            Message::Image(image) => {
                self.nodes[index].disk.aside.push((link, image));
                self.tell(index, Event::SnapshotReceived { link });
            }
            Message::End => self.gone(key, end),
        }
    }

    /// One end has closed it: that is heard at once here, and there when all has arrived.
    pub(super) fn close(&mut self, index: usize, link: LinkId) {
        let Some(&(key, end)) = self.ends.get(&(index, link)) else { return };
        self.send(index, link, Message::End);
        self.at(0, What::Gone(key, end));
    }

    /// The connection is lost, with all that is on its way.
    pub(super) fn break_connection(&mut self, key: u64) {
        let late = [self.delay(10, 300), self.delay(10, 300)];
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.broken = true;
        self.at(late[0], What::Gone(key, 0));
        self.at(late[1], What::Gone(key, 1));
    }

    pub(super) fn break_all(&mut self, matches: impl Fn(usize, usize) -> bool) {
        let broken: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| matches(c.ends[0].0, c.ends[1].0))
            .map(|(key, _)| *key)
            .collect();
        for key in broken {
            self.break_connection(key);
        }
    }

    pub(super) fn gone(&mut self, key: u64, end: usize) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if !std::mem::replace(&mut connection.open[end], false) {
            return;
        }
        let (index, link) = connection.ends[end];
        let both = connection.open == [false; 2];
        self.ends.remove(&(index, link));
        if both {
            self.connections.remove(&key);
        }
        // A link that a crash has taken away is nothing to the next process.
        if self.nodes[index].knows(link) {
            self.tell(index, Event::LinkClosed { link });
        }
    }

    pub(super) fn links_of(&self, index: usize, accepted: bool) -> Vec<LinkId> {
        self.ends
            .iter()
            .filter(|((of, _), (_, end))| *of == index && (!accepted || *end == 1))
            .map(|((_, link), _)| *link)
            .collect()
    }
}

fn owned(bytes: &Bytes) -> Packet {
    let packet = QuorumPacket::decode(&mut Reader::new(bytes)).expect("it has been measured");
    Packet {
        kind: PacketType::from_code(packet.kind),
        zxid: Zxid(packet.zxid),
        data: packet.data.map(|data| bytes.slice_ref(data)),
        identities: Vec::new(),
    }
}
