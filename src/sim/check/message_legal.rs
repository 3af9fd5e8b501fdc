//! messageLegal and ShouldNotBeTriggered of the TLA+ specifications (ZOOKEEPER-3023, 4394, 4685):
//! no packet comes in where Zab 1.0 has no place for it. Each link is followed on its own, at both
//! ends, from what comes in and what the same end has said:
//!
//! ```text
//! learner hears: LEADERINFO, one of DIFF TRUNC SNAP, PROPOSAL and COMMIT, NEWLEADER,
//!                (PROPOSAL COMMIT | INFORM, PING), UPTODATE, the same and SYNC and REVALIDATE
//! leader hears:  FOLLOWERINFO or OBSERVERINFO, ACKEPOCH, ACK of NEWLEADER,
//!                then ACK (of followers), PING, REQUEST, REVALIDATE
//! ```
//!
//! Proposals follow each other without a hole (ZOOKEEPER-4925), each commit is of the oldest one
//! that is open, and acknowledgements are of what was proposed over that link. Nobody leaves a role
//! for what another one has sent. Reconfiguration is not simulated: no packet of it is legal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jute::quorum::PacketType;

use super::{Act, Check, Note, Said, WorldView};
use crate::types::{Epoch, Zxid};
use crate::zab::{LinkId, Role};

/// Why a server may leave its role where nobody sends anything wrong.
const REASONS: [&str; 14] = [
    "the leader can't be reached",
    "the leader has closed the connection",
    "the leader has been silent for too long",
    "the leader's epoch is older than one that this server has promised",
    "the leader was asked for a snapshot and begins with something else",
    "having learnt anew all that was lost, this server may vote again",
    "no quorum of followers came along within initLimit",
    "there is no quorum of followers any more",
    "this server's own disk has not taken a proposal within syncLimit",
    "a voter looks for another leader, and there is no epoch yet",
    "a voter has promised a later epoch than this leader's",
    "the epoch's last zxid is used up (ZOOKEEPER-1277)",
    "there is no epoch left",
    "shutting down",
];

/// What is going on over each link, at each end.
#[derive(Debug, Default)]
pub struct MessageLegal {
    learners: BTreeMap<(usize, LinkId), Learner>,
    leaders: BTreeMap<(usize, LinkId), Leader>,
}

/// The end of a link at which a learner is.
#[derive(Debug, Default)]
struct Learner {
    hears: Phase,
    epoch: Epoch,
    last: Zxid,
    /// What it has said it has.
    has: Zxid,
    /// It came as an observer: it is one, or a voter who has lost its disk.
    observes: bool,
    /// Proposed and not committed.
    open: VecDeque<Zxid>,
    /// It has acknowledged NEWLEADER.
    has_accepted: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Discovery,
    Mode,
    History,
    Accepting,
    Broadcast,
}

/// The end of a link at which a leader is.
#[derive(Debug, Default)]
struct Leader {
    hears: Stage,
    is_follower: bool,
    epoch: Epoch,
    proposed: BTreeSet<Zxid>,
    acked: Zxid,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Silent,
    Promising,
    Synchronising,
    Serving,
}

/// Why a packet has no place here.
type Illegal = Result<(), &'static str>;

impl Check for MessageLegal {
    fn name(&self) -> &'static str {
        "message_legal"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let it = &view.nodes[node];
        match &note.act {
            Act::Starts { .. } | Act::Ends => {
                self.learners.retain(|(of, _), _| *of != node);
                self.leaders.retain(|(of, _), _| *of != node);
                Ok(())
            }
            Act::Says { link, dialled: true, packets, .. } => {
                let learner = self.learners.entry((node, *link)).or_default();
                packets.iter().for_each(|packet| learner.says(packet));
                Ok(())
            }
            Act::Says { link, dialled: false, packets, .. } => {
                let leader = self.leaders.entry((node, *link)).or_default();
                packets.iter().for_each(|packet| leader.says(packet));
                Ok(())
            }
            Act::Hears { link, dialled: true, packets, from } => {
                let learner = self.learners.entry((node, *link)).or_default();
                packets.iter().try_for_each(|packet| {
                    let (phase, told) = (learner.hears, learner.hear(packet));
                    told.map_err(|why| text(it.sid.0, from.0, packet, &phase, why))
                })
            }
            Act::Hears { link, dialled: false, packets, from } => {
                let leader = self.leaders.entry((node, *link)).or_default();
                packets.iter().try_for_each(|packet| {
                    let (stage, told) = (leader.hears, leader.hear(packet));
                    told.map_err(|why| text(it.sid.0, from.0, packet, &stage, why))
                })
            }
            Act::Role { role: Role::Leaving | Role::Looking, .. } => match it.left {
                Some(why) if !REASONS.contains(&why) => {
                    Err(format!("{} has left its role: {why}", it.sid.0))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn text(at: i64, from: i64, packet: &Said, when: &dyn std::fmt::Debug, why: &str) -> String {
    let Said { kind, zxid, .. } = packet;
    format!("{at} hears {kind:?} {zxid} from {from} in {when:?}: {why}")
}

impl Learner {
    fn says(&mut self, packet: &Said) {
        match packet.kind {
            Some(PacketType::ObserverInfo) => self.observes = true,
            Some(PacketType::AckEpoch) => self.has = packet.zxid,
            Some(PacketType::Ack) if packet.zxid.counter() == 0 => self.has_accepted = true,
            _ => {}
        }
    }

    fn hear(&mut self, packet: &Said) -> Illegal {
        use PacketType as P;
        let Some(kind) = packet.kind else { return Err("nobody knows it") };
        let zxid = packet.zxid;
        match (self.hears, kind) {
            (Phase::Discovery, P::LeaderInfo) => {
                (self.epoch, self.hears) = (zxid.epoch(), Phase::Mode);
            }
            (Phase::Mode, P::Diff | P::Trunc | P::Snap) => {
                // A DIFF says where it ends, the others where the history begins.
                self.last = if kind == P::Diff { self.has } else { zxid };
                self.hears = Phase::History;
            }
            (Phase::History, P::Proposal) if zxid.epoch() > self.epoch => {
                return Err("history of an epoch to come");
            }
            (Phase::History, P::Proposal) => self.propose(zxid)?,
            (Phase::History, P::Commit) => self.commit(zxid)?,
            (Phase::History, P::NewLeader) if zxid != Zxid::new(self.epoch, 0) => {
                return Err("another epoch than LEADERINFO's");
            }
            (Phase::History, P::NewLeader) => self.hears = Phase::Accepting,
            (Phase::Accepting, P::UpToDate) if !self.has_accepted => {
                return Err("NEWLEADER is not acknowledged");
            }
            (Phase::Accepting, P::UpToDate) => self.hears = Phase::Broadcast,
            (Phase::Accepting | Phase::Broadcast, P::Proposal | P::Inform)
                if zxid.epoch() != self.epoch =>
            {
                return Err("a proposal of another epoch");
            }
            (Phase::Accepting | Phase::Broadcast, P::Proposal) if !self.observes => {
                self.propose(zxid)?
            }
            (Phase::Accepting | Phase::Broadcast, P::Commit) if !self.observes => {
                self.commit(zxid)?
            }
            (Phase::Accepting | Phase::Broadcast, P::Inform) if self.observes => {
                self.propose(zxid)?;
                self.commit(zxid)?;
            }
            (Phase::Accepting | Phase::Broadcast, P::Ping) => {}
            (Phase::Broadcast, P::Sync | P::Revalidate) => {}
            _ => return Err("it has no place there"),
        }
        Ok(())
    }

    fn propose(&mut self, zxid: Zxid) -> Illegal {
        let begins_epoch = zxid.epoch() > self.last.epoch() && zxid.counter() == 1;
        if self.last.next() != Some(zxid) && !begins_epoch {
            return Err("it does not follow the last proposal");
        }
        self.last = zxid;
        self.open.push_back(zxid);
        Ok(())
    }

    fn commit(&mut self, zxid: Zxid) -> Illegal {
        match self.open.pop_front() {
            Some(oldest) if oldest == zxid => Ok(()),
            _ => Err("it is not the oldest proposal that is open"),
        }
    }
}

impl Leader {
    fn says(&mut self, packet: &Said) {
        match packet.kind {
            Some(PacketType::LeaderInfo) => self.epoch = packet.zxid.epoch(),
            Some(PacketType::Proposal) => {
                self.proposed.insert(packet.zxid);
            }
            _ => {}
        }
    }

    fn hear(&mut self, packet: &Said) -> Illegal {
        use PacketType as P;
        let Some(kind) = packet.kind else { return Err("nobody knows it") };
        let zxid = packet.zxid;
        match (self.hears, kind) {
            (Stage::Silent, P::FollowerInfo | P::ObserverInfo) => {
                self.is_follower = kind == P::FollowerInfo;
                self.hears = Stage::Promising;
            }
            (Stage::Promising, P::AckEpoch) => self.hears = Stage::Synchronising,
            (Stage::Synchronising, P::Ack) if zxid == Zxid::new(self.epoch, 0) => {
                self.hears = Stage::Serving;
            }
            (Stage::Synchronising, P::Ack) => return Err("NEWLEADER's comes first"),
            // UPTODATE's.
            (Stage::Serving, P::Ack) if zxid == Zxid::new(self.epoch, 0) => {}
            (Stage::Serving, P::Ack) if !self.is_follower => return Err("observers have no say"),
            (Stage::Serving, P::Ack) if zxid <= self.acked => return Err("ACKs rise"),
            (Stage::Serving, P::Ack) if !self.proposed.remove(&zxid) => {
                return Err("it was not proposed over this link");
            }
            (Stage::Serving, P::Ack) => self.acked = zxid,
            (Stage::Serving, P::Ping | P::Request | P::Revalidate) => {}
            _ => return Err("it has no place there"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{self, hears, said, says, txn, zxid, Verdict};
    use super::*;
    use PacketType as P;

    fn learner_hears(packets: &[Said]) -> Verdict {
        let (mut stage, mut check) = (stage::Stage::new(), MessageLegal::default());
        stage.act(&mut check, 0, says(true, vec![said(P::AckEpoch, zxid(1, 1))]))?;
        for packet in packets {
            let accepts = packet.kind == Some(P::UpToDate);
            if accepts {
                stage.act(&mut check, 0, says(true, vec![said(P::Ack, zxid(2, 0))]))?;
            }
            stage.act(&mut check, 0, hears(true, vec![packet.clone()]))?;
        }
        Ok(())
    }

    fn joining() -> Vec<Said> {
        vec![
            said(P::LeaderInfo, zxid(2, 0)),
            said(P::Diff, zxid(1, 2)),
            stage::proposal(&txn(1, 2)),
            said(P::Commit, zxid(1, 2)),
            said(P::NewLeader, zxid(2, 0)),
        ]
    }

    fn behind(more: &[Said]) -> Verdict {
        learner_hears(&[joining(), more.to_vec()].concat())
    }

    #[test]
    fn a_learners_whole_way_is_legal() {
        behind(&[
            stage::proposal(&txn(2, 1)),
            said(P::Commit, zxid(2, 1)),
            said(P::UpToDate, Zxid::NONE),
            said(P::Ping, zxid(2, 1)),
            said(P::Sync, Zxid::ZERO),
            stage::proposal(&txn(2, 2)),
        ])
        .expect("as Zab 1.0 has it");
    }

    #[test]
    fn each_packet_has_its_place() {
        let wrong: [&[Said]; 6] = [
            &[said(P::Commit, zxid(2, 1))],
            &[stage::proposal(&txn(1, 3))],
            &[said(P::NewLeader, zxid(2, 0))],
            &[said(P::Sync, Zxid::ZERO)],
            &[said(P::Inform, zxid(2, 1))],
            &[stage::proposal(&txn(2, 2)), stage::proposal(&txn(2, 1))],
        ];
        for wrong in wrong {
            behind(wrong).expect_err(&format!("{wrong:?}"));
        }
        learner_hears(&joining()[1..]).expect_err("LEADERINFO comes first");
        learner_hears(&[&joining()[..1], &joining()[2..]].concat()).expect_err("no mode");
        let nothing = Said { kind: None, zxid: Zxid::ZERO, data: None };
        behind(&[nothing]).expect_err("no such packet");
    }

    #[test]
    fn commits_are_in_the_order_of_proposals() {
        let proposals = [stage::proposal(&txn(2, 1)), stage::proposal(&txn(2, 2))];
        behind(&[&proposals[..], &[said(P::Commit, zxid(2, 2))]].concat()).expect_err("1 first");
        behind(&[&proposals[..], &[said(P::Commit, zxid(2, 1))]].concat()).expect("1 first");
    }

    #[test]
    fn proposals_go_on_from_what_the_learner_has() {
        let begins = |at: Zxid, first| {
            let (mut stage, mut check) = (stage::Stage::new(), MessageLegal::default());
            stage.act(&mut check, 0, says(true, vec![said(P::AckEpoch, at)]))?;
            let history = [&joining()[..2], &[stage::proposal(&txn(1, first))]].concat();
            stage.act(&mut check, 0, hears(true, history))
        };
        begins(zxid(1, 1), 2).expect("the next");
        begins(zxid(1, 1), 3).expect_err("a hole (ZOOKEEPER-4925)");
        begins(zxid(1, 1), 1).expect_err("it has that");
    }

    #[test]
    fn who_observes_is_informed() {
        let (mut stage, mut check) = (stage::Stage::new(), MessageLegal::default());
        let greeting = vec![said(P::ObserverInfo, zxid(1, 0)), said(P::AckEpoch, zxid(1, 1))];
        stage.act(&mut check, 0, says(true, greeting)).expect("it may");
        stage.act(&mut check, 0, hears(true, joining())).expect("as Zab 1.0 has it");
        let inform = || hears(true, vec![said(P::Inform, zxid(2, 1))]);
        stage.act(&mut check, 0, inform()).expect("a voter may be a stranger");
        let proposal = hears(true, vec![stage::proposal(&txn(2, 2))]);
        stage.act(&mut check, 0, proposal).expect_err("it has no say");
    }

    #[test]
    fn nobody_is_accused_where_all_is_legal() {
        let (mut stage, mut check) = (stage::Stage::new(), MessageLegal::default());
        let leaves = || Act::Role { role: Role::Leaving, applied: Zxid::ZERO };
        stage.nodes[0].left = Some("the leader has closed the connection");
        stage.act(&mut check, 0, leaves()).expect("that happens");
        stage.nodes[0].left = Some("a hole in the leader's proposals");
        stage.act(&mut check, 0, leaves()).expect_err("the leader left none");
    }

    #[test]
    fn uptodate_waits_for_the_ack() {
        let (mut stage, mut check) = (stage::Stage::new(), MessageLegal::default());
        stage.act(&mut check, 0, says(true, vec![said(P::AckEpoch, zxid(1, 1))])).expect("it is");
        stage.act(&mut check, 0, hears(true, joining())).expect("as Zab 1.0 has it");
        let up_to_date = hears(true, vec![said(P::UpToDate, Zxid::NONE)]);
        stage.act(&mut check, 0, up_to_date).expect_err("it has not acknowledged NEWLEADER");
    }

    /// A leader of epoch 2 has proposed one transaction to somebody who comes in this way.
    fn leader_hears(kind: P, more: &[Said]) -> Verdict {
        let (mut stage, mut check) = (stage::Stage::new(), MessageLegal::default());
        stage.act(&mut check, 0, hears(false, vec![said(kind, Zxid::ZERO)]))?;
        let welcome = vec![said(P::LeaderInfo, zxid(2, 0)), stage::proposal(&txn(2, 1))];
        stage.act(&mut check, 0, says(false, welcome))?;
        stage.act(&mut check, 0, hears(false, more.to_vec()))
    }

    #[test]
    fn a_leader_hears_acks_in_their_order() {
        let (promise, accepts) = (said(P::AckEpoch, zxid(1, 2)), said(P::Ack, zxid(2, 0)));
        let ack = |counter| said(P::Ack, zxid(2, counter));
        let hears = |more: &[Said]| leader_hears(P::FollowerInfo, more);
        let start = [promise.clone(), accepts.clone()];
        hears(&[&start[..], &[accepts.clone(), ack(1)]].concat()).expect("as Zab 1.0 has it");
        hears(&[promise.clone(), ack(1)]).expect_err("before NEWLEADER's (ZOOKEEPER-4685)");
        hears(std::slice::from_ref(&accepts)).expect_err("before ACKEPOCH");
        hears(&[&start[..], &[ack(2)]].concat()).expect_err("never proposed");
        hears(&[&start[..], &[ack(1), ack(1)]].concat()).expect_err("twice");
        hears(&[&start[..], &[said(P::Commit, zxid(2, 1))]].concat()).expect_err("a leader's");
        leader_hears(P::ObserverInfo, &[&start[..], &[ack(1)]].concat()).expect_err("no voter");
        leader_hears(P::Request, &[]).expect_err("a stranger's request");
    }
}
