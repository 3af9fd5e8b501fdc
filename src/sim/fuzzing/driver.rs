//! A driver that keeps its contract with the core and lets the bytes decide everything else: what
//! the other members send, in which order answers come, when links break and time passes.
//!
//! Whatever the others send, the core must not panic; its own assertions are the oracle.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jute::quorum::{AcceptedEpoch, LearnerInfo, PacketType, ProtocolVersion, ServerState};
use jute::Encode;

use super::events::Choices;
use crate::net::quorum::check_txn;
use crate::types::{Epoch, LoggedTxn, Sid, Zxid};
use crate::zab::{
    Event, LearnerKind, LinkId, Membership, Notification, Output, Packet, QuorumRule, Quorums,
    Role, Start, Step, Token, Vote, Zab, ZabOptions,
};

/// At most so many events: a state machine that still surprises then has had its chance.
const EVENTS_MAX: usize = 400;

/// How far a run has come: whether it was worth its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// It led an ensemble that served.
    pub led: bool,
    /// It learnt from a leader, up to serving.
    pub learnt: bool,
    /// What it had was cut, or replaced by a snapshot.
    pub replaced: bool,
}

/// The core of a member of three, as the bytes will have it.
pub fn zab(bytes: &[u8]) -> Reach {
    let mut choices = Choices::new(bytes);
    let (me, zab) = new_zab(&mut choices);
    let start = zab.last_durable();
    Driver::new(me, Alone { zab }, start).run(&mut choices)
}

/// A core that begins with nothing, with a history, as an observer or as a stranger.
pub fn new_zab(choices: &mut Choices<'_>) -> (Sid, Zab) {
    let me = Sid(1 + choices.below(3) as i64);
    let all: BTreeSet<Sid> = [1, 2, 3].map(Sid).into();
    let is_observer = choices.below(5) == 0;
    let (voters, observers) = match is_observer {
        true => (all.iter().copied().filter(|sid| *sid != me).collect(), BTreeSet::from([me])),
        false => (all, BTreeSet::new()),
    };
    let text = Bytes::from_static(b"version=0");
    let membership = Membership { version: 0, voters, observers, rule: QuorumRule::Majority, text };
    let mut options = ZabOptions::new(me, Quorums::settled(membership));
    if is_observer {
        options.kind = LearnerKind::Observer;
    }
    options.commit_log_count = 1 + choices.below(8);
    options.log_sync_enabled = choices.below(2) == 0;
    options.snapshot_sync_forced = choices.below(8) == 0;
    options.observer_masters = choices.below(2) == 0;
    let count = choices.below(6);
    let epoch = Epoch(1);
    let history: Vec<LoggedTxn> =
        (1..=count).map(|n| choices.txn(Zxid::new(epoch, n as u32))).collect();
    let last_logged = history.last().map_or(Zxid::ZERO, |txn| txn.zxid);
    let stranger = choices.below(8) == 0;
    let start = match (stranger, history.is_empty()) {
        (true, _) => Start { last_logged: Zxid::NONE, stranger, ..Start::default() },
        (false, true) => Start::default(),
        (false, false) => Start {
            accepted_epoch: Epoch(1 + choices.below(2) as u32),
            current_epoch: epoch,
            last_logged,
            history,
            stranger,
        },
    };
    (me, Zab::new(options, 0, start))
}

/// What the driver drives.
pub trait Core {
    fn handle(&mut self, now_ms: i64, event: Event);
    /// The next output for the driver.
    fn poll(&mut self, now_ms: i64) -> Option<Output>;
    /// Something that only this core does: clients ask, for instance.
    fn ask(&mut self, now_ms: i64, choices: &mut Choices<'_>);
    /// The log ends at `to` now.
    fn truncated(&mut self, to: Zxid);
    /// The state is a leader's of `zxid` now.
    fn installed(&mut self, zxid: Zxid);
    /// The core within.
    fn zab(&self) -> &Zab;
}

/// Zab without a peer.
struct Alone {
    zab: Zab,
}

impl Core for Alone {
    fn handle(&mut self, now_ms: i64, event: Event) {
        self.zab.handle(now_ms, event);
    }

    fn poll(&mut self, _now_ms: i64) -> Option<Output> {
        self.zab.poll_output()
    }

    /// A leader proposes what comes next; anybody syncs.
    fn ask(&mut self, now_ms: i64, choices: &mut Choices<'_>) {
        if let Role::Leading { epoch } = self.zab.role() {
            let last = self.zab.last_proposed().max(Zxid::new(epoch, 0));
            match choices.below(4) {
                0 => self.zab.sync_local(1),
                _ => {
                    let next = last.next().expect("no epoch is that long here");
                    let txn = choices.txn(next);
                    self.zab.propose(now_ms, vec![txn]);
                }
            }
        }
    }

    fn truncated(&mut self, _to: Zxid) {}

    fn installed(&mut self, _zxid: Zxid) {}

    fn zab(&self) -> &Zab {
        &self.zab
    }
}

/// Who made a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Accepted,
    Dialled,
}

#[derive(Debug)]
struct Link {
    origin: Origin,
    /// SNAP has come: next is the body's end.
    snapshot: Option<Zxid>,
    had_snapshot: bool,
    is_closing: bool,
    /// How many of the packets that an honest member sends have come.
    honest: u8,
}

/// An answer that the driver owes.
#[derive(Debug, Clone, Copy)]
enum Owed {
    Dial,
    FindLog(LinkId, Zxid),
    Snapshot(LinkId),
    Bulk(LinkId),
    Close(LinkId),
}

/// The sockets and the disk around a core.
pub struct Driver<C> {
    me: Sid,
    core: C,
    now_ms: i64,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    listens: bool,
    owed: Vec<Owed>,
    issued: Token,
    committed: Zxid,
    /// The log's end.
    logged: Zxid,
    /// What the log has a record of.
    known: BTreeSet<Zxid>,
    reach: Reach,
}

impl<C: Core> Driver<C> {
    pub fn new(me: Sid, core: C, last: Zxid) -> Driver<C> {
        let (links, owed) = (BTreeMap::new(), Vec::new());
        let (issued, committed) = (Token(0), last.max(Zxid::ZERO));
        Driver {
            me,
            core,
            now_ms: 0,
            links,
            next_link: 1,
            listens: false,
            owed,
            issued,
            committed,
            logged: last,
            known: BTreeSet::from([last]),
            reach: Reach::default(),
        }
    }

    pub fn run(mut self, choices: &mut Choices<'_>) -> Reach {
        self.drain();
        for _ in 0..EVENTS_MAX {
            if choices.is_over() {
                break;
            }
            self.step(choices);
            self.drain();
        }
        self.reach
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let ids: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| !link.is_closing).map(|(id, _)| *id).collect();
        match choices.below(16) {
            0 => {
                self.now_ms += [0, 1, 100, 100, 500, 500, 2_000, 30_000][choices.below(8)];
                self.tell(Event::Timeout);
            }
            1 => {
                let (from, near) = (choices.sid(), self.logged);
                let notification = choices.notification(near);
                self.tell(Event::Notification { from, notification });
            }
            2 => {
                let sid = choices.sid();
                self.tell(Event::ElectionRefused { sid });
            }
            3 if self.listens => self.open(Origin::Accepted),
            4 => {
                let leader = Sid(1 + choices.below(3) as i64);
                self.elect(leader);
            }
            5..=7 => self.answer(choices),
            8..=11 => {
                if let Some(link) = choices.one_of(&ids) {
                    self.hear(link, choices);
                }
            }
            12 | 13 => self.tell(Event::Persisted { upto: self.issued }),
            14 => {
                if choices.below(4) == 0 {
                    if let Some(link) = choices.one_of(&ids) {
                        self.close(link);
                    }
                }
            }
            _ => {
                let now_ms = self.now_ms;
                self.core.ask(now_ms, choices);
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.core.handle(self.now_ms, event);
    }

    /// The other two vote for `leader`, if this server is looking for one.
    fn elect(&mut self, leader: Sid) {
        let election = self.core.zab().election();
        let (me, round, mut vote) = (self.me, election.round(), election.vote());
        if leader != me {
            vote = Vote { leader, zxid: Zxid(vote.zxid.0.saturating_add(1)), ..vote };
        }
        for from in [1, 2, 3].map(Sid).into_iter().filter(|sid| *sid != me) {
            let notification = Notification {
                state: ServerState::Looking,
                leader: vote.leader,
                zxid: vote.zxid,
                round,
                peer_epoch: vote.peer_epoch,
                version: 2,
                config: None,
            };
            self.tell(Event::Notification { from, notification });
        }
        self.now_ms += 1_000;
        self.tell(Event::Timeout);
    }

    fn open(&mut self, origin: Origin) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let link =
            Link { origin, snapshot: None, had_snapshot: false, is_closing: false, honest: 0 };
        self.links.insert(id, link);
        self.tell(Event::LinkOpened { link: id });
    }

    fn close(&mut self, id: LinkId) {
        if self.links.remove(&id).is_some() {
            self.tell(Event::LinkClosed { link: id });
        }
    }

    /// What comes over a link: a packet, or the end of a snapshot if one is on its way.
    fn hear(&mut self, id: LinkId, choices: &mut Choices<'_>) {
        let near = self.logged;
        let link = self.links.get_mut(&id).expect("chosen from them");
        if link.snapshot.take().is_some() {
            return self.tell(Event::SnapshotReceived { link: id });
        }
        // Nobody comes far who never says what is due.
        let packet = match choices.below(4) {
            0 => choices.packet(near),
            _ => {
                let (origin, stage) = (link.origin, link.honest);
                link.honest = stage.saturating_add(1);
                self.honest_packet(origin, stage, choices)
            }
        };
        let link = self.links.get_mut(&id).expect("as above");
        if link.origin == Origin::Dialled {
            if check_txn(&packet).is_err() {
                return self.close(id);
            }
            if packet.kind == Some(PacketType::Snap) {
                if std::mem::replace(&mut link.had_snapshot, true) {
                    return self.close(id);
                }
                link.snapshot = Some(packet.zxid);
            }
        }
        self.tell(Event::Packet { link: id, packet });
        if choices.below(2) == 0 {
            self.drain();
            self.tell(Event::Persisted { upto: self.issued });
        }
    }

    /// What the other side of a link sends after `stage` others, if it is honest.
    fn honest_packet(&self, origin: Origin, stage: u8, choices: &mut Choices<'_>) -> Packet {
        let accepted = self.core.zab().accepted_epoch();
        let first = Zxid::new(accepted, 0);
        let (kind, zxid, data) = match (origin, stage) {
            (Origin::Dialled, 0) => {
                let version = ProtocolVersion { version: 0x10000 };
                (PacketType::LeaderInfo, Zxid::new(Epoch(accepted.0 + 1), 0), version.to_bytes())
            }
            (Origin::Dialled, 1) => match choices.below(4) {
                0 => (PacketType::Snap, Zxid(self.logged.0.max(0) + 5), Vec::new()),
                1 => (PacketType::Trunc, Zxid(self.logged.0 - 1), Vec::new()),
                _ => (PacketType::Diff, self.logged, Vec::new()),
            },
            (Origin::Dialled, 2) => (PacketType::NewLeader, first, Vec::new()),
            (Origin::Dialled, 3) => (PacketType::UpToDate, Zxid::NONE, Vec::new()),
            (Origin::Dialled, _) => {
                let next = if self.logged > first { Zxid(self.logged.0 + 1) } else { first };
                let next = if next == first { Zxid(first.0 + 1) } else { next };
                match choices.below(2) {
                    0 => (PacketType::Proposal, next, choices.txn(next).bytes.to_vec()),
                    _ => (PacketType::Commit, Zxid(self.committed.0 + 1), Vec::new()),
                }
            }
            (Origin::Accepted, 0) => {
                let others: Vec<Sid> =
                    [1, 2, 3].map(Sid).into_iter().filter(|sid| *sid != self.me).collect();
                let server_id = choices.one_of(&others).expect("two").0;
                let (protocol_version, config_version) = (Some(0x10000), Some(0));
                let info = LearnerInfo { server_id, protocol_version, config_version };
                let kind = match choices.below(4) {
                    0 => PacketType::ObserverInfo,
                    _ => PacketType::FollowerInfo,
                };
                (kind, first, info.to_bytes())
            }
            (Origin::Accepted, 1) => {
                let epoch = self.core.zab().current_epoch().0 as i32;
                let last = self.logged.max(Zxid::ZERO);
                (PacketType::AckEpoch, last, AcceptedEpoch { epoch }.to_bytes())
            }
            (Origin::Accepted, 2) => (PacketType::Ack, first, Vec::new()),
            (Origin::Accepted, _) => (PacketType::Ack, self.logged, Vec::new()),
        };
        let data = (!data.is_empty()).then(|| Bytes::from(data));
        Packet { kind: Some(kind), zxid, data, identities: Vec::new() }
    }

    /// Pays one of the answers that are due, in any order.
    fn answer(&mut self, choices: &mut Choices<'_>) {
        if self.owed.is_empty() {
            return;
        }
        let owed = self.owed.remove(choices.below(self.owed.len().min(256)));
        match owed {
            Owed::Dial if choices.below(4) == 0 => self.tell(Event::DialFailed),
            Owed::Dial => self.open(Origin::Dialled),
            Owed::FindLog(link, from) => {
                let found =
                    [Some(from), Some(Zxid(from.0.wrapping_sub(1))), None][choices.below(3)];
                self.tell(Event::LogFound { link, found });
            }
            Owed::Snapshot(link) if self.links.contains_key(&link) => {
                let zxid = self.committed;
                self.owed.push(Owed::Bulk(link));
                self.tell(Event::SnapshotBegun { link, zxid });
            }
            Owed::Bulk(link) if self.links.contains_key(&link) => {
                self.tell(Event::BulkSent { link });
            }
            Owed::Snapshot(_) | Owed::Bulk(_) => {}
            Owed::Close(link) => self.close(link),
        }
    }

    /// Does all outputs, in order.
    fn drain(&mut self) {
        let mut at_once = Vec::new();
        loop {
            while let Some(output) = self.core.poll(self.now_ms) {
                self.put_out(output, &mut at_once);
            }
            if at_once.is_empty() {
                return;
            }
            at_once.drain(..).for_each(|event| self.core.handle(self.now_ms, event));
        }
    }

    fn put_out(&mut self, output: Output, at_once: &mut Vec<Event>) {
        match output {
            Output::Listen(listens) | Output::ListenForObservers(listens) => {
                self.listens = listens;
                if !listens {
                    let accepted = self.links.iter_mut();
                    for (id, link) in accepted.filter(|(_, l)| l.origin == Origin::Accepted) {
                        if !std::mem::replace(&mut link.is_closing, true) {
                            self.owed.push(Owed::Close(*id));
                        }
                    }
                }
            }
            Output::Dial { .. } | Output::DialMaster { .. } => self.owed.push(Owed::Dial),
            Output::FindLog { link, from, .. } => self.owed.push(Owed::FindLog(link, from)),
            Output::Snapshot { link } => self.owed.push(Owed::Snapshot(link)),
            Output::SendLog { link, .. } => self.owed.push(Owed::Bulk(link)),
            Output::Close { link } => {
                if let Some(open) = self.links.get_mut(&link) {
                    if !std::mem::replace(&mut open.is_closing, true) {
                        self.owed.push(Owed::Close(link));
                    }
                }
            }
            Output::Persist { step, upto } => self.persist(step, upto, at_once),
            Output::Committed { txns } => {
                for txn in txns {
                    assert!(txn.zxid > self.committed, "{} again", txn.zxid);
                    self.committed = txn.zxid;
                }
            }
            Output::Role(Role::Leading { .. }) => self.reach.led = true,
            Output::Role(Role::Learning { .. }) => self.reach.learnt = true,
            _ => {}
        }
    }

    fn persist(&mut self, step: Step, upto: Token, at_once: &mut Vec<Event>) {
        assert!(upto > self.issued, "tokens grow");
        self.issued = upto;
        match step {
            Step::Append(txns) => {
                self.logged = txns.last().expect("nobody appends nothing").zxid;
                self.known.extend(txns.iter().map(|txn| txn.zxid));
            }
            Step::Truncate { to } => {
                let last = self.known.contains(&to).then_some(to);
                if let Some(to) = last {
                    self.reach.replaced = true;
                    self.known.retain(|zxid| *zxid <= to);
                    (self.logged, self.committed) = (to, to);
                    self.core.truncated(to);
                }
                at_once.push(Event::Truncated { last });
            }
            Step::InstallSnapshot { zxid, .. } => {
                (self.logged, self.committed) = (zxid, zxid);
                self.known = BTreeSet::from([zxid]);
                self.reach.replaced = true;
                self.core.installed(zxid);
            }
            Step::AcceptedEpoch(_) | Step::CurrentEpoch(_) => {}
        }
    }
}
