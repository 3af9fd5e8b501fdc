//! A leader whose follower acknowledges the first part of a batch, or takes a client over.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jute::quorum::{AcceptedEpoch, LearnerInfo, PacketType, SessionTimeout};
use jute::{Encode, OpCode};

use super::{Input, Output, Peer, PeerOptions, ReaperOptions};
use crate::auth::Auth;
use crate::pipeline::{self, Ask, Effect, Origin, PrepOptions, Request};
use crate::tree::{Replica, TreeOptions};
use crate::types::{ConnId, Epoch, Now, SessionId, Sid, Zxid};
use crate::zab::{
    Event, LinkId, Membership, Packet, QuorumRule, Quorums, Role, Start, Token, Zab, ZabOptions,
};

const FOLLOWER: LinkId = LinkId(5);
const EPOCH: Epoch = Epoch(1);

struct Leader {
    peer: Peer,
    replica: Replica,
    now: Now,
    issued: Token,
    applied: Vec<Zxid>,
    roles: Vec<Role>,
    /// The xids of requests that ended their connections because the session has moved.
    moved: Vec<i32>,
}

impl Leader {
    /// Member 1 of three, and member 2 follows it.
    fn with_a_follower() -> Leader {
        let text = Bytes::from_static(b"version=0");
        let voters: BTreeSet<Sid> = [1, 2, 3].map(Sid).into();
        let (observers, rule) = (BTreeSet::new(), QuorumRule::Majority);
        let membership = Membership { version: 0, voters, observers, rule, text };
        let options = ZabOptions::new(Sid(1), Quorums::settled(membership));
        let mut zab = Zab::new(options, 0, Start::default());
        zab.take_role(0, Sid(1));
        let mut leader = Leader {
            peer: Peer::member(peer_options(), Arc::new(Auth::default()), zab),
            replica: Replica::new(TreeOptions::default()),
            now: Now { mono_ms: 0, wall_ms: 1 },
            issued: Token(0),
            applied: Vec::new(),
            roles: Vec::new(),
            moved: Vec::new(),
        };
        leader.tell(Event::LinkOpened { link: FOLLOWER });
        let protocol_version = Some(0x10000);
        let info = LearnerInfo { server_id: 2, protocol_version, config_version: Some(0) };
        leader.hear(PacketType::FollowerInfo, Zxid::ZERO, Some(info.to_bytes()));
        leader.persisted();
        let promised = AcceptedEpoch { epoch: 0 };
        leader.hear(PacketType::AckEpoch, Zxid::ZERO, Some(promised.to_bytes()));
        leader.persisted();
        leader.hear(PacketType::Ack, Zxid::new(EPOCH, 0), None);
        assert_eq!(leader.roles.last(), Some(&Role::Leading { epoch: EPOCH }));
        leader
    }

    fn tell(&mut self, event: Event) {
        let input = match event {
            Event::Timeout => Input::Timeout,
            event => Input::Zab(event),
        };
        self.peer.handle(self.now, &self.replica, input);
        self.work();
    }

    fn hear(&mut self, kind: PacketType, zxid: Zxid, data: Option<Vec<u8>>) {
        let data = data.map(Bytes::from);
        let packet = Packet { kind: Some(kind), zxid, data, identities: Vec::new() };
        self.tell(Event::Packet { link: FOLLOWER, packet });
    }

    /// The disk has done all it was asked for.
    fn persisted(&mut self) {
        self.peer.handle(self.now, &self.replica, Input::Persisted { upto: self.issued });
        self.work();
    }

    fn work(&mut self) {
        while let Some(output) = self.peer.poll_output(self.now, &self.replica) {
            match output {
                Output::Persist { upto, .. } => self.issued = upto,
                Output::Commit { batch } => {
                    self.applied.extend(batch.records().map(|(zxid, _)| zxid));
                    let effects = pipeline::commit(&mut self.replica, &batch, 1, &mut |_, _| {});
                    let items = effects.workers.iter().flat_map(|worker| &worker.items);
                    self.moved.extend(items.filter_map(|item| match item.effect {
                        Effect::Moved { origin } => Some(origin.xid),
                        _ => None,
                    }));
                    let zxid = self.replica.last_zxid();
                    self.peer.handle(self.now, &self.replica, Input::Applied { zxid });
                }
                Output::Role(role) => self.roles.push(role),
                Output::TakeSnapshot | Output::Wire(_) => {}
            }
        }
    }

    /// Two writes at once: each becomes a transaction, be it that of a failure.
    fn ask_for_two(&mut self) {
        for cxid in [1, 2] {
            let request = Request { cxid, ..request(SessionId(7), OpCode::Delete) };
            self.peer.handle(self.now, &self.replica, Input::Ask(Ask::Write(request)));
        }
        self.work();
        self.persisted();
    }

    /// A client of its own asks, by `conn`.
    fn ask(&mut self, conn: ConnId, xid: i32, request: Request) {
        let origin = Some(Origin { conn, xid, received_ms: 0, large_bytes: 0 });
        let ask = Ask::Write(Request { cxid: xid, origin, ..request });
        self.peer.handle(self.now, &self.replica, Input::Ask(ask));
        self.work();
    }

    fn is_elsewhere(&self, session: SessionId) -> bool {
        let sessions = self.peer.sessions().expect("it leads");
        sessions.slot(session).expect("it is known").is_elsewhere()
    }
}

fn request(session: SessionId, op: OpCode) -> Request {
    Request {
        session,
        cxid: 0,
        origin: None,
        op,
        body: [[0, 0, 0, 2].as_slice(), b"/a", &[0; 4]].concat().into(),
        identities: Arc::from([]),
        is_local: false,
        session_timeout_ms: 10_000,
    }
}

fn peer_options() -> PeerOptions {
    PeerOptions {
        prep: PrepOptions::default(),
        reaper: ReaperOptions {
            check_interval_ms: 1_000,
            max_per_minute: 10_000,
            max_never_used_ms: 0,
        },
        tick_ms: 500,
        snap_count: 50,
        snap_bytes: 0,
        local_sessions: false,
        eager_acl_check: false,
        session_id_byte: 1,
        read_change: None,
        seed: 1,
    }
}

#[test]
fn what_a_quorum_has_of_a_batch_is_applied_without_the_rest() {
    let (first, second) = (Zxid::new(EPOCH, 1), Zxid::new(EPOCH, 2));
    let mut leader = Leader::with_a_follower();
    leader.ask_for_two();
    assert!(leader.applied.is_empty(), "nobody else has them");
    leader.hear(PacketType::Ack, first, None);
    assert_eq!(leader.applied, [first]);
    leader.hear(PacketType::Ack, second, None);
    assert_eq!(leader.applied, [first, second]);
}

#[test]
fn a_leader_that_goes_in_the_middle_of_a_batch_has_no_hole_behind_that() {
    let (first, second) = (Zxid::new(EPOCH, 1), Zxid::new(EPOCH, 2));
    let mut leader = Leader::with_a_follower();
    leader.ask_for_two();
    leader.hear(PacketType::Ack, first, None);
    leader.tell(Event::LinkClosed { link: FOLLOWER });
    while leader.roles.last() != Some(&Role::Looking) {
        leader.now.mono_ms += 100;
        assert!(leader.now.mono_ms < 60_000, "it has no quorum, and leads");
        leader.tell(Event::Timeout);
    }
    assert_eq!(leader.applied, [first, second], "what is in its log is its history");
}

#[test]
fn nothing_is_answered_to_a_client_that_has_gone_to_a_follower_and_its_writes_take_zxids() {
    let mut leader = Leader::with_a_follower();
    let (session, conn) = (SessionId(9), ConnId(4));
    let zxids = [1, 2].map(|counter| Zxid::new(EPOCH, counter));
    leader.ask(conn, 0, request(session, OpCode::CreateSession));
    leader.persisted();
    leader.hear(PacketType::Ack, zxids[0], None);
    assert!(!leader.is_elsewhere(session));
    let asked = SessionTimeout { session_id: session.0, timeout_ms: 10_000 };
    leader.hear(PacketType::Revalidate, Zxid(-1), Some(asked.to_bytes()));
    assert!(leader.is_elsewhere(session), "a worker answers no read");
    leader.ask(conn, 1, request(session, OpCode::Delete));
    leader.ask(conn, 2, request(session, OpCode::Sync));
    assert_eq!(leader.moved, [], "a sync waits for the write in front of it");
    leader.persisted();
    leader.hear(PacketType::Ack, zxids[1], None);
    assert_eq!((&leader.applied[..], &leader.moved[..]), (&zxids[..], &[1, 2][..]));
    let resume = Ask::Resume { session, conn: ConnId(5), timeout_ms: 10_000 };
    leader.peer.handle(leader.now, &leader.replica, Input::Ask(resume));
    assert!(!leader.is_elsewhere(session), "it has come back");
}
