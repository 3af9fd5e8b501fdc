//! What goes between servers: votes, dials, packets, and files behind packets.

use std::io;

use bytes::Bytes;
use jute::quorum::{PacketType, QuorumPacket, SNAPSHOT_SIGNATURE};
use jute::{Encode, Writer};

use super::{What, World};
use crate::limits::LINK_LINGER_MS;
use crate::net::quorum::Door;
use crate::sim::check::{Act, Note, Said};
use crate::sim::inlet::Inlet;
use crate::sim::node::{Bulk, Dial, Item, LinkEnd};
use crate::sim::ports::Command;
use crate::sim::wire::{End, Piece, Port};
use crate::storage::{BodyReader, LogRange};
use crate::types::Sid;
use crate::zab::{Event, LinkId, Notification};

const MS: u64 = 1_000_000;
/// A way that is cut is tried again after so long, ns.
const RETRY_NS: u64 = 20 * MS;
/// Tries of a dial that is refused, and the pause between them (Apache's `Learner`).
const DIALS: u32 = 5;
const DIAL_PAUSE_NS: u64 = 100 * MS;

impl World {
    /// Does what a server has asked of its ports.
    pub(super) fn carry_out(&mut self, node: usize) {
        let Some(life) = &self.nodes[node].life else { return };
        let commands = std::mem::take(&mut life.desk.borrow_mut().commands);
        for (spent_ns, command) in commands {
            if self.points.is_doomed(node) {
                return;
            }
            self.command(node, spent_ns, command);
        }
    }

    fn command(&mut self, node: usize, spent_ns: u64, command: Command) {
        match command {
            Command::Notify { to, notification } => {
                self.serial += 1;
                let pair = (node, self.node_of(to));
                self.votes.insert(pair, (self.serial, notification.to_wire().to_bytes().into()));
                self.post(pair, spent_ns);
            }
            Command::Listen(door) => self.listens(node, door),
            Command::Dial { to, door, within_ms } => {
                let deadline_ns = self.now_ns + within_ms.max(0) as u64 * MS;
                self.serial += 1;
                let number = self.serial;
                self.begin_dial(node, Dial { number, to, door, deadline_ns, refusals: 0 });
            }
            Command::Send { link, packets } => {
                self.queue(node, link, Item::Packets(packets), spent_ns)
            }
            Command::SendLog { link, from, upto } => {
                self.queue(node, link, Item::Log { from, upto }, spent_ns);
            }
            Command::SendSnapshot { link, file } => {
                self.queue(node, link, Item::Snapshot(file), spent_ns);
            }
            Command::Close { link } => {
                if let Some(end) = self.link(node, link) {
                    end.closing = true;
                    self.pump_now(node, link, spent_ns);
                }
            }
        }
    }

    fn link(&mut self, node: usize, link: LinkId) -> Option<&mut LinkEnd> {
        self.nodes[node].life.as_mut()?.links.get_mut(&link)
    }

    // ---- votes ----

    /// Puts the last vote of a pair on its way.
    fn post(&mut self, pair: (usize, usize), after_ns: u64) {
        let Some((number, _)) = self.votes.get(&pair) else { return };
        let number = *number;
        self.leaves(pair.0);
        let at = self.now_ns + after_ns + self.wire.latency_ns();
        let at = at.max(self.votes_arrive_ns.get(&pair).copied().unwrap_or(0));
        self.votes_arrive_ns.insert(pair, at);
        let life = self.nodes[pair.0].life_number;
        let what = What::Vote { from: pair.0, life, to: pair.1, number };
        self.at(at - self.now_ns, what);
    }

    pub(super) fn vote(&mut self, from: usize, life: u64, to: usize, number: u64) {
        let newest = self.votes.get(&(from, to)).map(|(newest, _)| *newest);
        let is_late = self.late.contains(&(from, life));
        if !(self.is_alive(from, life) || is_late) || newest != Some(number) {
            return;
        }
        if self.wire.is_cut_between(Port::Election, from, to) {
            let what = What::Vote { from, life, to, number };
            self.at(RETRY_NS, what);
            return;
        }
        if self.nodes[to].life.is_none() {
            if !is_late {
                self.inform(from, Event::ElectionRefused { sid: Sid(to as i64 + 1) });
            }
            return;
        }
        if !self.comes(to) {
            return;
        }
        let frame = self.votes[&(from, to)].1.clone();
        let notification = Notification::from_wire(&frame).expect("a server's vote");
        self.trace = crate::sim::fold(self.trace, &frame);
        self.inform(to, Event::Notification { from: Sid(from as i64 + 1), notification });
        // On a new connection both say again what they said last.
        let pair = (from.min(to), from.max(to));
        if !is_late && self.acquainted.insert(pair) {
            self.post((to, from), 0);
        }
    }

    // ---- dials ----

    fn listens(&mut self, node: usize, door: Option<Door>) {
        let Some(life) = &mut self.nodes[node].life else { return };
        life.listens = door;
        life.desk.borrow_mut().shelf = None;
        if door.is_none() {
            self.close_links(node, false);
        }
    }

    fn close_links(&mut self, node: usize, dialled: bool) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let ends = life.links.iter_mut().filter(|(_, end)| end.dialled == dialled);
        let links: Vec<LinkId> = ends
            .map(|(link, end)| {
                end.closing = true;
                *link
            })
            .collect();
        for link in links {
            self.pump_now(node, link, 0);
        }
    }

    fn begin_dial(&mut self, node: usize, dial: Dial) {
        self.close_links(node, true);
        let Some(life) = &mut self.nodes[node].life else { return };
        life.desk.borrow_mut().shelf = None;
        life.dial = Some(dial);
        let number = dial.number;
        let life = self.nodes[node].life_number;
        let latency_ns = self.wire.latency_ns();
        self.at(latency_ns, What::Dial { node, life, number });
    }

    pub(super) fn dial(&mut self, node: usize, life: u64, number: u64) {
        if !self.is_alive(node, life) {
            return;
        }
        let dial = self.nodes[node].life.as_ref().and_then(|life| life.dial);
        let Some(mut dial) = dial.filter(|dial| dial.number == number) else { return };
        let target = self.node_of(dial.to);
        let is_cut = self.wire.is_cut_between(Port::Quorum, node, target);
        let is_still = self.nodes[target].paused_until_ns > self.now_ns;
        let other = self.nodes[target].life.as_ref();
        let listens = other.is_some_and(|life| life.listens == Some(dial.door));
        if !is_cut && !is_still && listens {
            self.nodes[node].life.as_mut().expect("it runs").dial = None;
            self.join(node, target);
            return;
        }
        dial.refusals += u32::from(!is_cut && !is_still);
        let it = self.nodes[node].life.as_mut().expect("it runs");
        if dial.refusals >= DIALS || self.now_ns + DIAL_PAUSE_NS > dial.deadline_ns {
            it.dial = None;
            self.inform(node, Event::DialFailed);
        } else {
            it.dial = Some(dial);
            self.at(DIAL_PAUSE_NS, What::Dial { node, life, number });
        }
    }

    fn join(&mut self, node: usize, target: usize) {
        self.serial += 2;
        let links = [LinkId(self.serial), LinkId(self.serial + 1)];
        self.serial += 2;
        let members = [node, target];
        let end_of = |at: usize| End::Member {
            node: members[at],
            life: self.nodes[members[at]].life_number,
            link: links[at],
        };
        let stream = self.wire.open([end_of(0), end_of(1)]);
        for at in [1, 0] {
            let end = LinkEnd {
                stream,
                end: at,
                to: members[1 - at],
                dialled: at == 0,
                inlet: Inlet::new(links[at], at == 0),
                outgoing: Default::default(),
                bulk: None,
                closing: false,
                written: 0,
                is_held_up: false,
            };
            let life = self.nodes[members[at]].life.as_mut().expect("both run");
            life.links.insert(links[at], end);
            self.inform(members[at], Event::LinkOpened { link: links[at] });
        }
    }

    // ---- packets and files ----

    fn queue(&mut self, node: usize, link: LinkId, item: Item, after_ns: u64) {
        let Some(end) = self.link(node, link) else { return };
        if end.closing {
            return;
        }
        let is_file = matches!(item, Item::Log { .. } | Item::Snapshot(_));
        end.outgoing.push_back(item);
        if end.is_held_up && is_file {
            self.be_patient(node, link);
        }
        self.pump_now(node, link, after_ns);
    }

    /// Sends packets at once, as far as there is room for them; whatever comes out of files takes
    /// steps of its own.
    fn pump_now(&mut self, node: usize, link: LinkId, after_ns: u64) {
        let life = self.nodes[node].life_number;
        loop {
            let Some(end) = self.link(node, link) else { return };
            let (stream, side) = (end.stream, end.end);
            if end.is_held_up && end.closing {
                return self.be_patient(node, link);
            }
            if end.bulk.is_some() || end.is_held_up || self.points.is_doomed(node) {
                return;
            }
            let Some(end) = self.link(node, link) else { return };
            let packets = match end.outgoing.pop_front() {
                Some(Item::Packets(packets)) => self.leaving(node, packets),
                Some(Item::Rest(packets)) => packets,
                Some(file) => {
                    end.outgoing.push_front(file);
                    return self.at(after_ns + MS, What::Pump { node, life, link });
                }
                None if end.closing => {
                    self.send(stream, side, Piece::Fin, after_ns);
                    return self.gone(node, link);
                }
                None => return,
            };
            if !self.write(node, link, packets, after_ns) {
                return;
            }
        }
    }

    /// Hands the sockets what they take of some packets; false: not all of it.
    fn write(&mut self, node: usize, link: LinkId, mut packets: Bytes, after_ns: u64) -> bool {
        let Some(end) = self.link(node, link) else { return false };
        let (stream, side) = (end.stream, end.end);
        let room = self.wire.room(stream, side);
        let rest = packets.split_off(packets.len().min(room));
        let Some(end) = self.link(node, link) else { return false };
        end.written += packets.len() as u64;
        let is_all = rest.is_empty();
        if !is_all {
            end.outgoing.push_front(Item::Rest(rest));
        }
        self.send(stream, side, Piece::Bytes(packets), after_ns);
        if !is_all {
            self.hold_up(node, link);
        }
        is_all
    }

    /// There is no room: something must arrive first.
    fn hold_up(&mut self, node: usize, link: LinkId) {
        self.held_up += 1;
        if let Some(end) = self.link(node, link) {
            end.is_held_up = true;
        }
        self.be_patient(node, link);
    }

    /// Looks after a link that is held up when its patience should be at an end.
    fn be_patient(&mut self, node: usize, link: LinkId) {
        let life = self.nodes[node].life_number;
        let stall_ms = self.shape.tick_ms * self.shape.init_limit;
        let Some(end) = self.link(node, link) else { return };
        let (written, closing, has_transfer) = (end.written, end.closing, end.has_transfer());
        let patience_ms = match (closing, has_transfer) {
            (true, _) => LINK_LINGER_MS,
            (false, true) => stall_ms,
            // The core has its own limits for who does not answer.
            (false, false) => return,
        };
        self.at(patience_ms * MS, What::HeldUp { node, life, link, written });
    }

    /// Nobody waits for ever for one that takes nothing of a file, or of what was left for it.
    pub(super) fn held_up_still(&mut self, node: usize, life: u64, link: LinkId, written: u64) {
        if !self.is_alive(node, life) {
            return;
        }
        let Some(end) = self.link(node, link) else { return };
        if end.is_held_up && end.written == written && (end.closing || end.has_transfer()) {
            let (stream, side) = (end.stream, end.end);
            self.send(stream, side, Piece::Fin, 0);
            self.gone(node, link);
        }
    }

    /// Something has arrived, and there is room behind it.
    fn let_go(&mut self, sender: Option<End>) {
        let Some(End::Member { node, life, link }) = sender else { return };
        if !self.is_alive(node, life) {
            return;
        }
        let Some(end) = self.link(node, link) else { return };
        if std::mem::take(&mut end.is_held_up) {
            self.at(0, What::Pump { node, life, link });
        }
    }

    /// The next stretch of a file.
    pub(super) fn pump(&mut self, node: usize, life: u64, link: LinkId) {
        if !self.is_alive(node, life) {
            return;
        }
        let Some(end) = self.link(node, link) else { return };
        let (stream, side) = (end.stream, end.end);
        let is_file = matches!(end.outgoing.front(), Some(Item::Log { .. } | Item::Snapshot(_)));
        if end.is_held_up {
            return;
        }
        if end.bulk.is_none() && !is_file {
            return self.pump_now(node, link, 0);
        }
        if self.wire.room(stream, side) == 0 {
            return self.hold_up(node, link);
        }
        self.nodes[node].enter(self.now_ns);
        let read = self.read_on(node, link);
        let spent_ns = self.leave_stage(node);
        if self.nodes[node].disk.has_crashed() {
            return self.crash(node, true);
        }
        let is_something = matches!(&read,
            Ok(Stretch::More(bytes) | Stretch::Last(bytes)) if !bytes.is_empty());
        if is_something {
            self.leaves(node);
        }
        let Some(end) = self.link(node, link) else { return };
        let (stream, side) = (end.stream, end.end);
        match read {
            Ok(Stretch::Wait) => self.at(5 * MS, What::Pump { node, life, link }),
            Ok(Stretch::More(bytes)) => {
                end.written += bytes.len() as u64;
                self.send(stream, side, Piece::Bytes(bytes), spent_ns);
                self.at(spent_ns + MS, What::Pump { node, life, link });
            }
            Ok(Stretch::Last(bytes)) => {
                end.bulk = None;
                end.written += bytes.len() as u64;
                let more = end.has_transfer();
                self.send(stream, side, Piece::Bytes(bytes), spent_ns);
                if !more {
                    self.inform(node, Event::BulkSent { link });
                }
                self.pump_now(node, link, spent_ns);
            }
            Err(e) => {
                self.tell(|| format!("{} can't send a file: {e}", node + 1));
                self.send(stream, side, Piece::Fin, spent_ns);
                self.gone(node, link);
            }
        }
    }

    fn read_on(&mut self, node: usize, link: LinkId) -> io::Result<Stretch> {
        let disk = self.nodes[node].disk.clone();
        let Some(life) = &mut self.nodes[node].life else { return Ok(Stretch::Wait) };
        let Some(end) = life.links.get_mut(&link) else { return Ok(Stretch::Wait) };
        if let Some(bulk) = &mut end.bulk {
            return bulk.read();
        }
        match end.outgoing.front() {
            Some(Item::Log { from, upto }) => {
                let (from, upto) = (*from, *upto);
                let range = LogRange::open(&disk, &life.dirs, from, upto)?;
                end.bulk = Some(Bulk::Log { range, last: from, upto });
                end.outgoing.pop_front();
                Ok(Stretch::More(Bytes::new()))
            }
            Some(Item::Snapshot(file)) => {
                let (zxid, path) = (file.zxid, file.path.borrow().clone());
                let Some(path) = path else { return Ok(Stretch::Wait) };
                let path = path.ok_or_else(|| io::Error::other("it was not finished"))?;
                end.bulk = Some(Bulk::Body(BodyReader::open(&disk, &path)?));
                end.outgoing.pop_front();
                *self.syncs.entry("SNAP").or_default() += 1;
                let snap = QuorumPacket::new(PacketType::Snap, zxid.0, None);
                Ok(Stretch::More(snap.to_bytes().into()))
            }
            _ => Ok(Stretch::Wait),
        }
    }

    /// Puts something on its way `after_ns` from now.
    pub(super) fn send(&mut self, stream: u64, from: usize, piece: Piece, after_ns: u64) {
        if matches!(&piece, Piece::Bytes(bytes) if bytes.is_empty()) {
            return;
        }
        for at in self.wire.send(stream, from, piece, self.now_ns + after_ns) {
            self.at(at - self.now_ns, What::Arrive { stream, to: 1 - from });
        }
    }

    pub(super) fn arrive(&mut self, stream: u64, to: usize) {
        let sender = self.wire.sender(stream, to);
        self.take_in(stream, to);
        self.let_go(sender);
    }

    fn take_in(&mut self, stream: u64, to: usize) {
        let arrived = match self.wire.arrive(stream, to) {
            Ok(arrived) => arrived,
            Err(()) => return self.at(RETRY_NS, What::Arrive { stream, to }),
        };
        match arrived {
            None => {}
            Some((End::Client { client }, piece)) => self.client_takes(client, stream, piece),
            Some((End::Served { node, life }, Piece::Bytes(_)))
                if self.is_alive(node, life) && !self.comes(node) => {}
            Some((End::Served { node, life }, piece)) => self.serve(node, life, stream, piece),
            Some((End::Member { node, life, .. }, _)) if !self.is_alive(node, life) => {}
            Some((End::Member { node, .. }, Piece::Bytes(_))) if !self.comes(node) => {}
            Some((End::Member { node, link, .. }, piece)) => self.member_takes(node, link, piece),
        }
    }

    fn member_takes(&mut self, node: usize, link: LinkId, piece: Piece) {
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Fin => return self.gone(node, link),
        };
        if self.link(node, link).is_some_and(|end| end.closing) {
            // Nothing is read any more.
            return;
        }
        self.nodes[node].enter(self.now_ns);
        let disk = self.nodes[node].disk.clone();
        let life = self.nodes[node].life.as_mut().expect("it runs");
        let files = (&disk, &life.dirs, &life.options);
        let taken = life.links.get_mut(&link).map(|end| end.inlet.take(&bytes, files));
        self.leave_stage(node);
        if disk.has_crashed() {
            return self.crash(node, true);
        }
        let Some(taken) = taken else { return };
        if let (Some(receiver), Some(life)) = (taken.snapshot, &self.nodes[node].life) {
            life.desk.borrow_mut().shelf = Some((link, receiver));
        }
        self.hears(node, link, &taken.events);
        self.inform_all(node, taken.events);
        if taken.failed {
            let end = self.link(node, link).map(|end| (end.stream, end.end));
            if let Some((stream, side)) = end {
                self.send(stream, side, Piece::Fin, 0);
            }
            self.gone(node, link);
        }
    }

    /// Checks hear of packets when they arrive, before the server does.
    fn hears(&mut self, node: usize, link: LinkId, events: &[Event]) {
        let Some(end) = self.link(node, link) else { return };
        let (from, dialled) = (Sid(end.to as i64 + 1), end.dialled);
        let said = events.iter().filter_map(|event| match event {
            Event::Packet { packet, .. } => Some(Said::from(packet)),
            _ => None,
        });
        let packets: Vec<Said> = said.collect();
        if !packets.is_empty() {
            let durable = self.nodes[node].durable.summary();
            self.heed(node, Note { act: Act::Hears { from, link, dialled, packets }, durable });
        }
    }

    /// A link is gone for this server.
    fn gone(&mut self, node: usize, link: LinkId) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let Some(end) = life.links.remove(&link) else { return };
        self.wire.leave(end.stream, end.end);
        self.nodes[node].enter(self.now_ns);
        end.inlet.abandon();
        self.leave_stage(node);
        self.inform(node, Event::LinkClosed { link });
    }

    pub(super) fn broken(&mut self, stream: u64, end: usize) {
        let Some(it) = self.wire.streams.get(&stream) else { return };
        if !it.open[end] {
            return;
        }
        match it.ends[end] {
            End::Client { client } => self.client_takes(client, stream, Piece::Fin),
            End::Served { node, life } => {
                self.serve(node, life, stream, Piece::Fin);
                self.wire.leave(stream, end);
            }
            End::Member { node, life, link } => {
                if self.is_alive(node, life) {
                    self.gone(node, link);
                }
                self.wire.leave(stream, end);
            }
        }
    }
}

/// What a file gives.
enum Stretch {
    /// It is not there yet.
    Wait,
    More(Bytes),
    Last(Bytes),
}

/// Records of the log in one stretch.
const RECORDS: usize = 16;

impl Bulk {
    fn read(&mut self) -> io::Result<Stretch> {
        match self {
            Bulk::Log { range, last, upto } => {
                let mut w = Writer::new();
                for _ in 0..RECORDS {
                    let Some(txn) = range.next_txn()? else {
                        // The first zxid of an epoch is nobody's transaction.
                        if *last < *upto && upto.counter() != 0 {
                            return Err(io::Error::other("the log ends too early"));
                        }
                        return Ok(Stretch::Last(w.into_vec().into()));
                    };
                    let zxid = txn.zxid;
                    QuorumPacket::new(PacketType::Proposal, zxid.0, Some(&txn.bytes))
                        .encode(&mut w);
                    QuorumPacket::new(PacketType::Commit, zxid.0, None).encode(&mut w);
                    *last = zxid;
                }
                Ok(Stretch::More(w.into_vec().into()))
            }
            Bulk::Body(body) => {
                let mut bytes = Vec::new();
                if body.next_chunk(&mut bytes)? {
                    return Ok(Stretch::More(bytes.into()));
                }
                let mut signature = Writer::new();
                signature.string(Some(SNAPSHOT_SIGNATURE));
                bytes.extend_from_slice(signature.as_slice());
                Ok(Stretch::Last(bytes.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::{run, Faults, Options, Shape};

    fn closing(socket_bytes: usize, faults: Faults) -> crate::sim::Closing {
        let shape = Shape {
            socket_bytes,
            faults,
            snap_count: 30,
            commit_log_count: 1,
            safety_ms: 5_000,
            ..Shape::quiet(4)
        };
        run(9, Options { shape: Some(shape), ..Options::default() })
    }

    #[test]
    fn writers_wait_for_room_and_lose_nothing() {
        let wide = closing(usize::MAX, Faults::default());
        assert_eq!(wide.held_up, 0, "there is room for everything");
        let narrow = closing(200, Faults::default());
        assert!(narrow.held_up > 0, "packets are longer than that");
        assert!(narrow.violations.is_empty(), "{:?}", narrow.violations);
        assert!(narrow.committed > 0);
    }

    /// Snapshots and logs are on their way while ways are clogged, cut and broken.
    #[test]
    fn transfers_wait_for_room_too() {
        let faults = Faults {
            kill_every_ms: 700,
            clog_every_ms: 500,
            partition_every_ms: 900,
            half_open_every_ms: 900,
            ..Faults::default()
        };
        let narrow = closing(200, faults);
        assert!(narrow.held_up > 0);
        assert!(narrow.syncs.contains_key("SNAP"), "{:?}", narrow.syncs);
        assert!(narrow.violations.is_empty(), "{:?}", narrow.violations);
    }
}
