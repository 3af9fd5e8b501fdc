//! Proposals, acknowledgements, commits; pings and the watch over who is still there.

use std::collections::BTreeSet;

use jute::quorum::PacketType;

use super::super::links::Stage;
use super::super::packets::Packets;
use super::super::standing::Standing;
use super::super::{LearnerKind, LinkId, Output, Packet};
use super::{Leader, Phase, Syncer};
use crate::types::{LoggedTxn, Sid, Zxid};

impl Leader {
    pub(super) fn handle_packet(
        &mut self,
        standing: &mut Standing,
        now_ms: i64,
        link: LinkId,
        packet: Packet,
    ) {
        let Some(learner) = self.links.all.get_mut(&link) else { return };
        learner.heard_ms = now_ms;
        match learner.stage {
            Stage::Silent => self.handle_learner_info(standing, now_ms, link, &packet),
            Stage::Promising => self.handle_ack_epoch(standing, now_ms, link, &packet),
            Stage::Synchronising => {
                self.handle_new_leader_ack(standing, now_ms, link, packet.kind, packet.zxid);
            }
            Stage::Serving => self.handle_from_serving(standing, link, packet),
            // It has nothing to say there.
            Stage::Waiting | Stage::Comparing(_) | Stage::FindingLog(_) => {}
            Stage::BeginningSnapshot(_) | Stage::Synced | Stage::Closing => {}
        }
    }

    fn handle_from_serving(&mut self, standing: &mut Standing, link: LinkId, packet: Packet) {
        let Some(sid) = self.links.all.get(&link).and_then(|learner| learner.sid) else { return };
        match packet.kind {
            Some(PacketType::Ack) => self.handle_ack(standing, link, packet.zxid),
            Some(PacketType::Ping | PacketType::Request | PacketType::Revalidate) => {
                standing.put(Output::FromLearner { link, sid, packet });
            }
            // As Apache's leader: what is unknown means nothing.
            _ => {}
        }
    }

    fn handle_ack(&mut self, standing: &mut Standing, link: LinkId, zxid: Zxid) {
        let Some(learner) = self.links.all.get_mut(&link) else { return };
        // Counter 0: UPTODATE's. Beyond what we have proposed: nobody can have that from us.
        if zxid.counter() == 0 || zxid <= learner.acked || zxid > self.last_proposed {
            return;
        }
        let before = std::mem::replace(&mut learner.acked, zxid);
        if let Some(sid) = self.links.voter(standing, link) {
            standing.mark_acks(sid, before, zxid);
            self.acked.insert(sid, zxid);
            self.acks_uncounted = true;
        }
    }

    // ---- proposals ----

    /// Gives the transactions to all followers and to the log, in this order: the disks work at
    /// the same time.
    pub(in crate::zab) fn propose(&mut self, standing: &mut Standing, mut txns: Vec<LoggedTxn>) {
        if self.phase != Phase::Broadcast || standing.leaving.is_some() {
            return;
        }
        let last_counter = standing.options.last_counter;
        let is_last = |txn: &LoggedTxn| txn.zxid.counter() >= last_counter;
        if let (Some(end), false) = (txns.iter().position(is_last), mutant!(CounterRollsOver)) {
            txns.truncate(end);
            standing.leave("the epoch's last zxid is used up (ZOOKEEPER-1277)");
        }
        let Some(last) = txns.last() else { return };
        let mut expected = self.last_proposed;
        for txn in &txns {
            expected = Zxid(expected.0 + 1);
            assert!(txn.zxid == expected, "{} proposed in place of {expected}", txn.zxid);
        }
        self.last_proposed = last.zxid;
        let mut packets = Packets::new();
        for txn in &txns {
            packets.proposal(txn);
        }
        self.links.send_to_all(standing, LearnerKind::Follower, &packets.take());
        standing.append(txns);
    }

    pub(super) fn count_own_log(&mut self, standing: &mut Standing) {
        let (me, durable) = (standing.me(), standing.last_durable());
        if let Some(acked) = self.acked.get(&me).copied().filter(|acked| durable > *acked) {
            standing.mark_acks(me, acked, durable);
            self.acked.insert(me, durable);
            self.acks_uncounted = true;
        }
    }

    /// Commits what a quorum has acknowledged, all at once.
    pub(in crate::zab) fn settle(&mut self, standing: &mut Standing) {
        if !std::mem::take(&mut self.acks_uncounted) || self.phase != Phase::Broadcast {
            return;
        }
        let Some(upto) = self.agreed(standing) else { return };
        // A sync is answered behind what was proposed before it and ahead of what was after: its
        // learner has the requests in that order, and drops an answer that is not the next one's.
        while let Some((after, _)) = self.syncs.front().copied().filter(|(after, _)| *after <= upto)
        {
            self.commit_upto(standing, after);
            self.release_syncs(standing);
        }
        self.commit_upto(standing, upto);
    }

    /// Commits what is proposed up to and with `upto`, for everybody.
    fn commit_upto(&mut self, standing: &mut Standing, upto: Zxid) {
        let count = standing.tail.partition_point(|txn| txn.zxid <= upto);
        if count == 0 {
            return;
        }
        let (mut commits, mut informs) = (Packets::new(), Packets::new());
        let followers = self.links.has_forwarding(LearnerKind::Follower);
        let observers = self.links.has_forwarding(LearnerKind::Observer);
        for txn in standing.tail.range(..count) {
            if followers {
                commits.commit(txn);
            }
            if observers {
                informs.inform(txn);
            }
        }
        self.links.send_to_all(standing, LearnerKind::Follower, &commits.take());
        self.links.send_to_all(standing, LearnerKind::Observer, &informs.take());
        standing.commit(count);
        self.links.bound_backlog(standing);
    }

    /// The last zxid that a quorum, and this server among it, has on disk. Without its own disk it
    /// would have in memory what it may never have in its log (ZOOKEEPER-4882).
    fn agreed(&self, standing: &Standing) -> Option<Zxid> {
        let own = *self.acked.get(&standing.me())?;
        let candidates: BTreeSet<Zxid> = self.acked.values().map(|zxid| own.min(*zxid)).collect();
        candidates.into_iter().rev().find(|candidate| {
            let acks: BTreeSet<Sid> =
                self.acked.iter().filter(|(_, a)| *a >= candidate).map(|(sid, _)| *sid).collect();
            standing.quorums.is_quorum(&acks)
        })
    }

    // ---- syncs ----

    /// Answers a forwarded sync behind the commit of what is proposed now.
    pub(in crate::zab) fn sync_for(&mut self, standing: &mut Standing, link: LinkId) {
        self.sync(standing, Syncer::Link(link));
    }

    pub(in crate::zab) fn sync_local(&mut self, standing: &mut Standing, tag: u64) {
        self.sync(standing, Syncer::Local(tag));
    }

    fn sync(&mut self, standing: &mut Standing, syncer: Syncer) {
        if standing.tail.is_empty() {
            self.answer_sync(standing, syncer);
        } else {
            self.syncs.push_back((self.last_proposed, syncer));
        }
    }

    fn release_syncs(&mut self, standing: &mut Standing) {
        while let Some((after, syncer)) = self.syncs.front().copied() {
            if after > standing.last_committed() {
                break;
            }
            self.syncs.pop_front();
            self.answer_sync(standing, syncer);
        }
    }

    fn answer_sync(&self, standing: &mut Standing, syncer: Syncer) {
        match syncer {
            Syncer::Local(tag) => standing.put(Output::LocalSynced { tag }),
            Syncer::Link(link) => self.links.send_synced(standing, link),
        }
    }

    // ---- time ----

    /// Every half tick: PING to everybody; every tick: is a quorum still there?
    pub(super) fn ping(&mut self, standing: &mut Standing, now_ms: i64) {
        self.next_ping_ms = now_ms + (standing.options.tick_ms / 2).max(1);
        self.pings += 1;
        if self.phase == Phase::Broadcast {
            self.drop_slow_followers(standing, now_ms);
            if self.pings % 2 == 0 && !standing.quorums.is_quorum(&self.present_voters(standing)) {
                standing.leave("there is no quorum of followers any more");
            }
        }
        self.links.send_ping(standing, self.last_proposed);
    }

    /// Whoever has not acknowledged what was proposed `syncLimit` ago is let go of. Our own disk
    /// has the same limit: a leader that can't log must not keep its place (ZOOKEEPER-2247).
    fn drop_slow_followers(&mut self, standing: &mut Standing, now_ms: i64) {
        self.proposed_at.push_back((now_ms, self.last_proposed));
        let limit = now_ms - standing.sync_limit_ms();
        while self.proposed_at.get(1).is_some_and(|(at, _)| *at <= limit) {
            self.proposed_at.pop_front();
        }
        let Some(&(at, due)) = self.proposed_at.front() else { return };
        if at > limit {
            return;
        }
        let slow: Vec<_> = self
            .links
            .all
            .iter()
            .filter(|(_, l)| l.stage == Stage::Serving && l.kind == LearnerKind::Follower)
            .filter(|(_, l)| l.serving_since_ms <= at && l.acked < due)
            .map(|(link, _)| *link)
            .collect();
        for link in slow {
            self.links.refuse(
                standing,
                link,
                "it has not acknowledged a proposal within syncLimit",
            );
        }
        let is_late = self.acked.get(&standing.me()).is_none_or(|acked| *acked < due);
        if is_late && !mutant!(LeaderWithoutDisk) {
            standing.leave("this server's own disk has not taken a proposal within syncLimit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Role, Start, Step, Token, ZabOptions};
    use bytes::Bytes;

    use super::*;
    use crate::types::Epoch;
    use crate::zab::{Event, Membership, QuorumRule, Quorums};

    fn txn(zxid: Zxid) -> LoggedTxn {
        LoggedTxn { zxid, bytes: Bytes::from_static(b"txn") }
    }

    /// ZOOKEEPER-1277. What was proposed before the last zxid is logged and stays; the transaction
    /// that would have got it is lost, as any other that a leader had not proposed when it went.
    #[test]
    fn a_leader_goes_rather_than_give_the_last_zxid_of_its_epoch() {
        let me = Sid(1);
        let alone = Quorums::settled(Membership {
            version: 0,
            voters: [me].into(),
            observers: BTreeSet::new(),
            rule: QuorumRule::Majority,
            text: Bytes::new(),
        });
        let last = Zxid::new(Epoch(2), u32::MAX - 2);
        let start = Start {
            accepted_epoch: Epoch(1),
            current_epoch: Epoch(1),
            last_logged: last,
            ..Start::default()
        };
        let mut standing = Standing::new(ZabOptions::new(me, alone), start);
        let mut leader = Leader::become_leader(&mut standing, 0);
        for upto in [Token(1), Token(2)] {
            standing.handle_persisted(upto);
            leader.handle(&mut standing, 0, Event::Persisted { upto });
        }
        assert_eq!(leader.role(), Role::Leading { epoch: Epoch(3) });
        // Four thousand million proposals later:
        leader.last_proposed = last;
        standing.outputs.clear();
        let txns = [last.0 + 1, last.0 + 2].map(|zxid| txn(Zxid(zxid)));
        leader.propose(&mut standing, txns.to_vec());
        assert!(standing.leaving.is_some());
        let Some(Output::Persist { step: Step::Append(logged), .. }) = standing.outputs.pop_front()
        else {
            panic!("the first of the two is proposed")
        };
        assert_eq!(logged, txns[..1]);
        leader.propose(&mut standing, vec![txns[1].clone()]);
        assert!(standing.outputs.is_empty());
    }
}
