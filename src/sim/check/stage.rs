//! Where the checks' own tests play: servers that are nothing but what a check sees of them.

use bytes::Bytes;
use jute::quorum::PacketType;
use jute::txn::{CreateTxn, Txn, TxnHeader, TxnRecord};
use jute::Encode;

use super::{Act, Check, Committed, Lived, NodeView, Note, Queues, Said, WorldView};
use crate::sim::durable::DurableState;
use crate::sim::history::{Answer, Event, Op, Outcome, Record, Reply, Request};
use crate::tree::Replica;
use crate::types::{Epoch, LoggedTxn, Sid, Zxid};
use crate::zab::{LearnerKind, LinkId, Membership, QuorumRule, Role};

/// Three voters, or as many.
pub struct Stage {
    pub nodes: Vec<Actor>,
    pub committed: Committed,
    membership: Membership,
    pub now_ns: u64,
    pub calm_since_ns: u64,
}

/// What a check sees of a server.
pub struct Actor {
    pub is_voter: bool,
    pub role: Role,
    pub durable: DurableState,
    pub is_damaged: bool,
    pub replica: Option<Replica>,
    pub claims: Option<Zxid>,
    pub left: Option<&'static str>,
    pub pauses: Vec<(u64, u64)>,
    pub queues: Queues,
}

/// What a check says.
pub type Verdict = Result<(), String>;

impl Stage {
    pub fn new() -> Stage {
        let sids = 1..=3;
        let actor = |_| Actor {
            is_voter: true,
            role: Role::Looking,
            durable: DurableState::default(),
            is_damaged: false,
            replica: None,
            claims: None,
            left: None,
            pauses: Vec::new(),
            queues: Queues::default(),
        };
        Stage {
            nodes: sids.clone().map(actor).collect(),
            committed: Committed::default(),
            membership: Membership {
                version: 0,
                voters: sids.map(Sid).collect(),
                observers: Default::default(),
                rule: QuorumRule::Majority,
                text: Bytes::new(),
            },
            now_ns: 0,
            calm_since_ns: 0,
        }
    }

    /// Where two servers have begun to follow, with nothing applied, and a check that knows.
    pub fn serving<C: Check + Default>() -> (Stage, C) {
        let (mut stage, mut check) = (Stage::new(), C::default());
        for node in 0..2 {
            let role = Act::Role { role: learning(1), applied: Zxid::ZERO };
            stage.act(&mut check, node, role).expect("they may serve");
        }
        (stage, check)
    }

    /// The check hears of an act. As in the world, the role is taken before and what is applied
    /// by who serves is agreed upon behind it.
    pub fn act(&mut self, check: &mut dyn Check, node: usize, act: Act) -> Verdict {
        if let Act::Role { role, .. } = act {
            self.nodes[node].role = role;
        }
        let note = Note { act, durable: self.nodes[node].durable.summary() };
        let said = self.view(|view| check.after(view, node, &note));
        if let Act::Applies(txns) = &note.act {
            self.committed.extend(txns.iter());
        }
        said
    }

    /// The server is at rest.
    pub fn rest(&mut self, check: &mut dyn Check, node: usize) -> Verdict {
        self.view(|view| check.at_rest(view, node))
    }

    /// It is the end.
    pub fn end(&mut self, check: &mut dyn Check) -> Verdict {
        self.view(|view| check.at_end(view))
    }

    /// The server's disk gets these.
    pub fn log(&mut self, node: usize, txns: &[LoggedTxn]) {
        self.nodes[node].durable.records.extend_from_slice(txns);
    }

    fn view(&self, ask: impl FnOnce(&WorldView<'_>) -> Verdict) -> Verdict {
        let actors = self.nodes.iter().enumerate();
        let nodes: Vec<NodeView<'_>> = actors
            .map(|(at, actor)| NodeView {
                sid: Sid(at as i64 + 1),
                is_voter: actor.is_voter,
                is_up: true,
                role: actor.role,
                durable: &actor.durable,
                is_damaged: actor.is_damaged,
                replica: actor.replica.as_ref(),
                claims: actor.claims,
                left: actor.left,
                pauses: &actor.pauses,
                queues: actor.queues,
            })
            .collect();
        ask(&WorldView {
            now_ns: self.now_ns,
            nodes: &nodes,
            membership: &self.membership,
            committed: &self.committed,
            calm_since_ns: self.calm_since_ns,
            tick_ns: 100,
            slack_ns: 100,
            last_counter: 50,
        })
    }
}

pub fn leading(epoch: u32) -> Role {
    Role::Leading { epoch: Epoch(epoch) }
}

pub fn learning(epoch: u32) -> Role {
    Role::Learning { leader: Sid(1), epoch: Epoch(epoch), kind: LearnerKind::Follower }
}

pub fn zxid(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// A transaction with this session's number and cxid.
pub fn record(zxid: Zxid, session: i64, cxid: i32, txn: Txn<'_>) -> LoggedTxn {
    let kind = txn.kind();
    let header = TxnHeader { client_id: session, cxid, zxid: zxid.0, time_ms: 7, kind };
    LoggedTxn { zxid, bytes: TxnRecord { header, txn, digest: None }.to_bytes().into() }
}

/// Some transaction of this number.
pub fn txn(epoch: u32, counter: u32) -> LoggedTxn {
    let zxid = zxid(epoch, counter);
    create(zxid, "/some", false)
}

/// Session 5 creates: the parent's child of the zxid's counter.
pub fn create(zxid: Zxid, path: &str, ephemeral: bool) -> LoggedTxn {
    let acl = Some(vec![jute::Acl::open_unsafe()]);
    let path = path.into();
    let parent_cversion = zxid.counter() as i32;
    let made = CreateTxn { path, data: Some(b"x"), acl, ephemeral, parent_cversion };
    record(zxid, 5, zxid.counter() as i32, Txn::Create(made))
}

/// A packet.
pub fn said(kind: PacketType, zxid: Zxid) -> Said {
    Said { kind: Some(kind), zxid, data: None }
}

/// The packet that proposes it.
pub fn proposal(txn: &LoggedTxn) -> Said {
    let (zxid, data) = (txn.zxid, Some(txn.bytes.clone()));
    Said { kind: Some(PacketType::Proposal), zxid, data }
}

/// Says it to server 2, as one that was dialled or has dialled.
pub fn says(dialled: bool, packets: Vec<Said>) -> Act {
    Act::Says { to: Sid(2), link: LinkId(1), dialled, packets }
}

/// Hears it from server 2.
pub fn hears(dialled: bool, packets: Vec<Said>) -> Act {
    Act::Hears { from: Sid(2), link: LinkId(1), dialled, packets }
}

/// Session 5 is told of a write or a read over connection 1, from 1,000 to 2,000 ns.
pub fn told(cxid: i32, zxid: Zxid, is_write: bool) -> Act {
    let path = "/some".to_owned();
    let request = match is_write {
        true => Request::Delete { path, version: -1 },
        false => Request::Exists { path, watch: false },
    };
    let answer = Answer { returned_ns: 2_000, zxid: zxid.0, error: 0, reply: Reply::None };
    let outcome = Outcome::Answered(answer);
    lived(Record::Op(Op { conn: 1, cxid, invoked_ns: 1_000, request, outcome }))
}

/// Session 5 hears of a change over connection 1.
pub fn event(zxid: Zxid) -> Act {
    let (kind, path) = (3, "/some".to_owned());
    lived(Record::Event(Event { conn: 1, at_ns: 0, zxid: zxid.0, kind, path }))
}

fn lived(record: Record) -> Act {
    Act::Client(Lived { client: 0, session: 5, timeout_ms: 1_000, record })
}
