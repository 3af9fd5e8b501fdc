//! A leader whose follower acknowledges the first part of a batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jute::quorum::{AcceptedEpoch, LearnerInfo, PacketType};
use jute::{Encode, OpCode};

use super::{Input, Output, Peer, PeerOptions, ReaperOptions};
use crate::auth::Auth;
use crate::pipeline::{self, Ask, PrepOptions, Request};
use crate::tree::{Replica, TreeOptions};
use crate::types::{Epoch, Now, SessionId, Sid, Zxid};
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
                    pipeline::commit(&mut self.replica, &batch, 1, &mut |_, _| {});
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
            let request = Request {
                session: SessionId(7),
                cxid,
                origin: None,
                op: OpCode::Delete,
                body: [[0, 0, 0, 2].as_slice(), b"/a", &[0; 4]].concat().into(),
                identities: Arc::from([]),
                is_local: false,
                session_timeout_ms: 0,
            };
            self.peer.handle(self.now, &self.replica, Input::Ask(Ask::Write(request)));
        }
        self.work();
        self.persisted();
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
