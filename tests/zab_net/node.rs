//! One server: its core, its disk, its replica, and whoever does the core's outputs.

use std::collections::{BTreeMap, BTreeSet};

use jute::quorum::PacketType;
use oxkeeper::sim::Rng;
use oxkeeper::types::{LoggedTxn, Sid, Zxid};
use oxkeeper::zab::{
    ElectionOptions, Event, LearnerKind, LinkId, Membership, Output, Packet, QuorumRule, Quorums,
    Role, Start, Step, SyncMode, Zab, ZabOptions,
};

use super::disk::{Disk, Done};
use super::link::Message;
use super::{Net, Record, What, TICK_MS};

/// What all servers of a run share.
pub struct Shape {
    quorums: Quorums,
    keep: usize,
    log_sync: bool,
    sync_observer: bool,
    /// Observers ask followers.
    masters: bool,
}

impl Shape {
    pub fn draw(rng: &mut Rng, voters: usize, observers: usize) -> Shape {
        let sids = |range: std::ops::Range<usize>| -> BTreeSet<Sid> {
            range.map(|index| Sid(index as i64 + 1)).collect()
        };
        let weighted = rng.one_in(5);
        let rule = match weighted {
            false => QuorumRule::Majority,
            // One of them weighs as much as two others.
            true => QuorumRule::Groups {
                group_of: (1..=voters as i64).map(|sid| (Sid(sid), 1)).collect(),
                weight_of: BTreeMap::from([(Sid(1), 2)]),
            },
        };
        let membership = Membership {
            version: 0,
            voters: sids(0..voters),
            observers: sids(voters..voters + observers),
            rule,
            text: Vec::new().into(),
        };
        Shape {
            quorums: Quorums::settled(membership),
            keep: [2, 10, 500][rng.below(3)],
            log_sync: !rng.one_in(3),
            sync_observer: !rng.one_in(3),
            masters: !rng.one_in(3),
        }
    }
}

/// A connection that shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dial {
    pub to: Sid,
    /// On the port for observers.
    pub to_observe: bool,
    pub deadline_ms: i64,
}

pub struct Node {
    pub sid: Sid,
    options: ZabOptions,
    /// `None` while it is down.
    pub zab: Option<Zab>,
    pub disk: Disk,
    /// What its clients see.
    pub replica: Vec<LoggedTxn>,
    /// Whether they do see it.
    pub serving: Option<Role>,
    pub listens: bool,
    pub listens_for_observers: bool,
    /// The dial under way.
    pub dial: Option<Dial>,
    pub stranger: bool,
    pub stalled_until_ms: i64,
    disk_works: bool,
    timer_ms: Option<i64>,
    /// Links with smaller numbers belong to a process that has crashed.
    born: u64,
}

impl Node {
    pub fn new(index: usize, shape: &Shape) -> Node {
        let sid = Sid(index as i64 + 1);
        let mut options = ZabOptions::new(sid, shape.quorums.clone());
        if !shape.quorums.is_voter(sid) {
            options.kind = LearnerKind::Observer;
            options.sync_observer = shape.sync_observer;
        }
        options.observer_masters = shape.masters;
        options.observer_election_delay_ms = 50;
        options.tick_ms = TICK_MS;
        options.commit_log_count = shape.keep;
        options.log_sync_enabled = shape.log_sync;
        options.election = ElectionOptions {
            min_notification_interval_ms: 40,
            max_notification_interval_ms: 400,
            finalize_wait_ms: 20,
            early_finish: true,
        };
        Node {
            sid,
            options,
            zab: None,
            disk: Disk::default(),
            replica: Vec::new(),
            serving: None,
            listens: false,
            listens_for_observers: false,
            dial: None,
            stranger: false,
            stalled_until_ms: 0,
            disk_works: false,
            timer_ms: None,
            born: 0,
        }
    }

    pub fn is_quorum(&self, sids: &BTreeSet<Sid>) -> bool {
        self.options.quorums.is_quorum(sids)
    }

    pub fn knows(&self, link: LinkId) -> bool {
        self.zab.is_some() && link.0 > self.born
    }

    /// Nothing is said before it is durable.
    pub fn check_packet(&self, packet: &Packet) {
        let epoch = packet.zxid.epoch();
        match packet.kind {
            Some(PacketType::Ack) if packet.zxid.counter() != 0 => {
                assert!(self.disk.holds(packet.zxid), "{} acknowledged too early", packet.zxid);
            }
            Some(PacketType::Ack) => assert!(self.disk.current_epoch >= epoch, "NEWLEADER early"),
            Some(PacketType::LeaderInfo) => {
                assert!(self.disk.accepted_epoch >= epoch, "LEADERINFO early");
            }
            Some(PacketType::NewLeader | PacketType::UpToDate) => {
                assert!(self
                    .disk
                    .pending
                    .iter()
                    .all(|(step, _)| { !matches!(step, Step::AcceptedEpoch(_)) }));
            }
            _ => {}
        }
    }

    fn commit(&mut self, txns: &[LoggedTxn]) {
        for txn in txns {
            let last = self.replica.last().map_or(Zxid::ZERO, |txn| txn.zxid);
            let next = txn.zxid.0 == last.0 + 1;
            let first = txn.zxid.epoch() > last.epoch() && txn.zxid.counter() == 1;
            assert!(next || first, "{} put out behind {last}", txn.zxid);
            let logged = !self.options.sync_observer || self.disk.holds(txn.zxid);
            assert!(logged, "{} put out before it is durable", txn.zxid);
            self.replica.push(txn.clone());
        }
    }

    fn take_role(&mut self, role: Role) {
        self.serving = None;
        match role {
            Role::Leaving => {}
            Role::Looking => {
                assert!(self.disk.pending.is_empty(), "looking while the disk is busy");
                assert_eq!(self.replica, self.disk.history, "memory is not what the disk has");
            }
            Role::Leading { .. } | Role::Learning { .. } => self.serving = Some(role),
        }
    }
}

/// All is put out: clients see the role that the server has, and a learner that serves has been
/// synchronised.
fn check_service(zab: &Zab, serving: Option<Role>) {
    let role = Some(zab.role());
    let serves = role.filter(|role| matches!(role, Role::Leading { .. } | Role::Learning { .. }));
    assert_eq!(serving, serves, "clients see another role than the server has");
    let learns = matches!(serves, Some(Role::Learning { .. }));
    assert!(!learns || zab.synced_by().is_some(), "it serves without having been synchronised");
}

impl Net {
    /// The process starts, with what the disk has.
    pub(super) fn restart(&mut self, index: usize) {
        self.serial += 1;
        let (now_ms, born) = (self.now_ms, self.serial);
        let purge = self.rng.one_in(3);
        let node = &mut self.nodes[index];
        if node.zab.is_some() {
            return;
        }
        if purge {
            // What it begins with is history to it, committed or not, and so are its snapshots.
            node.disk.purge();
        }
        node.replica = node.disk.history.clone();
        let start = Start {
            accepted_epoch: node.disk.accepted_epoch,
            current_epoch: node.disk.current_epoch,
            last_logged: node.disk.last(),
            history: node.disk.history[node.disk.in_snapshot..].to_vec(),
            stranger: node.stranger,
        };
        node.zab = Some(Zab::new(node.options.clone(), now_ms, start));
        node.born = born;
        node.timer_ms = None;
        self.drain(index);
    }

    pub(super) fn crash(&mut self, index: usize) {
        let steps = self.rng.below(self.nodes[index].disk.pending.len() + 1);
        let more = self.rng.below(4);
        let node = &mut self.nodes[index];
        if node.zab.take().is_none() {
            return;
        }
        node.serving = None;
        node.listens = false;
        node.listens_for_observers = false;
        node.dial = None;
        node.disk.crash(steps, more);
        self.break_all(|a, b| a == index || b == index);
    }

    pub(super) fn tell(&mut self, index: usize, event: Event) {
        let now_ms = self.now_ms;
        if let Some(zab) = self.nodes[index].zab.as_mut() {
            zab.handle(now_ms, event);
            // Now and then several events are taken in before anything is done about them.
            if !self.rng.one_in(4) {
                self.drain(index);
            } else {
                self.at(0, What::Timer(index));
            }
        }
    }

    /// A deadline may have passed.
    pub(super) fn ring(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let Some(zab) = self.nodes[index].zab.as_mut() else { return };
        if zab.poll_timeout().is_some_and(|at| at <= now_ms) {
            zab.handle(now_ms, Event::Timeout);
        }
        self.nodes[index].timer_ms = None;
        self.drain(index);
    }

    pub(super) fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].zab.as_mut().and_then(|zab| zab.poll_output()) {
            self.do_output(index, output);
        }
        let node = &mut self.nodes[index];
        let Some(zab) = node.zab.as_ref() else { return };
        check_service(zab, node.serving);
        let relearnt = node.stranger && !zab.is_stranger();
        node.stranger &= zab.is_stranger();
        if let Some(at) = zab.poll_timeout() {
            if node.timer_ms.is_none_or(|timer| at < timer) {
                node.timer_ms = Some(at);
                let in_ms = (at - self.now_ms).max(0);
                self.at(in_ms, What::Timer(index));
            }
        }
        if relearnt {
            self.saw("a stranger learnt everything anew");
        }
    }

    fn do_output(&mut self, index: usize, output: Output) {
        match output {
            Output::Notify { to, notification } => self.notify(index, to, notification),
            Output::Listen(on) => {
                self.nodes[index].listens = on;
                self.hang_up(index, on);
            }
            Output::ListenForObservers(on) => {
                self.nodes[index].listens_for_observers = on;
                self.hang_up(index, on);
            }
            Output::Dial { leader, within_ms } => self.dial(index, leader, false, within_ms),
            Output::DialMaster { master, within_ms } => self.dial(index, master, true, within_ms),
            Output::Send { link, packets } => self.send_packets(index, link, &packets),
            Output::SendLog { link, from, upto } => self.send_log(index, link, from, upto),
            Output::FindLog { link, from, .. } => {
                let found = self.nodes[index].disk.log_from(from).map(|_| from);
                let delay = self.delay(10, 100);
                self.at(delay, What::Core(index, Box::new(Event::LogFound { link, found })));
            }
            Output::Snapshot { link } => self.send_snapshot(index, link),
            Output::Close { link } => self.close(index, link),
            Output::Persist { step, upto } => {
                self.nodes[index].disk.pending.push_back((step, upto));
                self.wake_disk(index);
            }
            Output::Committed { txns } => self.committed(index, &txns),
            Output::Role(role) => self.take_role(index, role),
            Output::FromLearner { .. } | Output::LearnerGone { .. } => {}
            Output::FromLeader { .. } | Output::Synced | Output::LocalSynced { .. } => {}
            Output::PingWanted { zxid } => {
                if let Some(zab) = self.nodes[index].zab.as_mut() {
                    zab.pong(zxid, &[]);
                }
            }
        }
    }

    fn hang_up(&mut self, index: usize, listens: bool) {
        if !listens {
            for link in self.links_of(index, true) {
                self.close(index, link);
            }
        }
    }

    fn dial(&mut self, index: usize, to: Sid, to_observe: bool, within_ms: i64) {
        let dial = Dial { to, to_observe, deadline_ms: self.now_ms + within_ms };
        self.nodes[index].dial = Some(dial);
        let delay = self.delay(5, 100);
        self.at(delay, What::Dialled(index, dial));
    }

    fn notify(&mut self, index: usize, to: Sid, notification: oxkeeper::zab::Notification) {
        let from = self.nodes[index].sid;
        let Some(target) = self.nodes.iter().position(|node| node.sid == to) else { return };
        if self.cut.contains(&(index, target)) {
            return;
        }
        let delay = self.delay(8, 200);
        if self.nodes[target].zab.is_none() {
            let refused = Event::ElectionRefused { sid: to };
            self.at(delay, What::Core(index, Box::new(refused)));
        } else if !(self.faults && self.rng.one_in(30)) {
            self.at(delay, What::Note(target, from, Box::new(notification)));
        }
    }

    fn send_log(&mut self, index: usize, link: LinkId, from: Zxid, upto: Zxid) {
        let disk = &self.nodes[index].disk;
        // What has been purged meanwhile can't be read.
        let Some(start) = disk.log_from(from) else { return self.close(index, link) };
        let txns = disk.history[start..].to_vec();
        let data = |txn: &LoggedTxn, kind, data| Packet {
            kind: Some(kind),
            zxid: txn.zxid,
            data,
            identities: Vec::new(),
        };
        for txn in txns.iter().take_while(|txn| txn.zxid <= upto) {
            let bytes = Some(txn.bytes.clone());
            self.send(index, link, Message::Packet(data(txn, PacketType::Proposal, bytes)));
            self.send(index, link, Message::Packet(data(txn, PacketType::Commit, None)));
        }
        self.saw("DIFF from the log on disk");
        self.at(5, What::Core(index, Box::new(Event::BulkSent { link })));
    }

    fn send_snapshot(&mut self, index: usize, link: LinkId) {
        let image = self.nodes[index].replica.clone();
        let zxid = image.last().map_or(Zxid::ZERO, |txn| txn.zxid);
        let header =
            Packet { kind: Some(PacketType::Snap), zxid, data: None, identities: Vec::new() };
        self.send(index, link, Message::Packet(header));
        self.send(index, link, Message::Image(image));
        let delay = self.delay(10, 100);
        self.at(delay, What::Core(index, Box::new(Event::SnapshotBegun { link, zxid })));
        self.at(delay + 5, What::Core(index, Box::new(Event::BulkSent { link })));
    }

    fn committed(&mut self, index: usize, txns: &[LoggedTxn]) {
        let node = &mut self.nodes[index];
        let first = node.replica.len();
        node.commit(txns);
        let (sid, serving) = (node.sid, node.serving);
        let epoch = match serving {
            Some(Role::Leading { epoch } | Role::Learning { epoch, .. }) => epoch,
            _ => return,
        };
        for (at, txn) in txns.iter().enumerate() {
            let (index, txn) = (first + at, txn.clone());
            self.trace.records.push(Record::Delivered { sid, epoch, index, txn });
        }
    }

    fn take_role(&mut self, index: usize, role: Role) {
        let node = &mut self.nodes[index];
        node.take_role(role);
        let (sid, history) = (node.sid, node.replica.clone());
        match role {
            Role::Leading { epoch } => {
                self.trace.records.push(Record::Established { sid, epoch, history });
            }
            Role::Learning { epoch, leader, .. } => {
                match self.nodes[index].zab.as_ref().and_then(|zab| zab.synced_by()) {
                    Some((SyncMode::Diff, _)) => self.saw("synchronised by DIFF"),
                    Some((SyncMode::Trunc, _)) => self.saw("synchronised by TRUNC"),
                    Some((SyncMode::Snap, _)) => self.saw("synchronised by SNAP"),
                    // Several events were taken in at once, and the last of them ended the role:
                    // that is put out behind this, or `check_service` finds out.
                    None => self.saw("a role that was over before it began"),
                }
                let master = self.nodes.iter().find(|node| node.sid == leader);
                if master.and_then(|node| node.zab.as_ref()).is_some_and(|z| z.serves_observers()) {
                    self.saw("an observer learnt from a follower");
                }
                self.trace.records.push(Record::Began { sid, epoch, history });
            }
            Role::Leaving | Role::Looking => {}
        }
    }

    // ---- the disk ----

    fn wake_disk(&mut self, index: usize) {
        if !std::mem::replace(&mut self.nodes[index].disk_works, true) {
            let stall = (self.nodes[index].stalled_until_ms - self.now_ms).max(0);
            let delay = self.delay(8, 200) + stall;
            self.at(delay, What::Disk(index));
        }
    }

    pub(super) fn disk_works(&mut self, index: usize) {
        self.nodes[index].disk_works = false;
        if self.faults && !self.nodes[index].disk.pending.is_empty() && self.rng.one_in(150) {
            return self.crash_at_work(index);
        }
        let steps = 1 + self.rng.below(4);
        let mut upto = None;
        for _ in 0..steps {
            let node = &mut self.nodes[index];
            let Some((token, done)) = node.disk.step() else { break };
            upto = Some(token);
            match done {
                Done::Nothing => {}
                Done::Rebuild => node.replica = node.disk.history.clone(),
                Done::Truncated(last) => {
                    node.replica = node.disk.history.clone();
                    if last.is_none() {
                        self.saw("TRUNC to an unknown zxid");
                    }
                    self.tell(index, Event::Truncated { last });
                }
            }
        }
        if let Some(upto) = upto {
            self.tell(index, Event::Persisted { upto });
        }
        if !self.nodes[index].disk.pending.is_empty() {
            self.wake_disk(index);
        }
    }
}
