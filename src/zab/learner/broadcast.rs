//! A learner that is up to date: log what is proposed, acknowledge what is durable, put out what
//! is committed.

use std::collections::VecDeque;

use jute::quorum::PacketType;
use tracing::warn;

use super::super::history::follows;
use super::super::packets::Packets;
use super::super::standing::Standing;
use super::super::{LearnerKind, LinkId, Output, Packet};
use super::master::Master;
use super::sync::{activated_txn, Sync};
use super::Refusal;
use crate::types::{Epoch, LoggedTxn, Zxid};

#[derive(Debug)]
pub(super) struct Broadcast {
    link: LinkId,
    kind: LearnerKind,
    epoch: Epoch,
    /// The last proposal that has come.
    last: Zxid,
    /// Proposals of this batch, not yet handed to the log.
    unlogged: Vec<LoggedTxn>,
    /// The last that the leader has committed.
    committed: Zxid,
    /// Up to where the leader has our ACK.
    acked: Zxid,
    /// For each forwarded sync that the leader has answered: what it must wait for, and whose it
    /// is, if it is an observer's.
    syncs: VecDeque<(Zxid, Option<LinkId>)>,
    /// Those who observe through this server.
    pub(super) master: Option<Master>,
}

impl Broadcast {
    /// Takes over what was proposed and committed while the history was made durable.
    pub(super) fn begin(
        standing: &mut Standing,
        link: LinkId,
        kind: LearnerKind,
        epoch: Epoch,
        sync: Sync,
    ) -> Broadcast {
        let base = standing.last_committed();
        let mut broadcast = Broadcast {
            link,
            kind,
            epoch,
            last: sync.last.max(base),
            unlogged: Vec::new(),
            committed: base,
            acked: base,
            syncs: VecDeque::new(),
            master: None,
        };
        if let Some(at) = sync.committed.checked_sub(1) {
            broadcast.committed = sync.queued[at].zxid;
        }
        broadcast.unlogged = sync.queued.into();
        if mutant!(ProposalAckedFirst) {
            broadcast.unlogged.retain(|txn| txn.zxid > standing.last_logged());
        }
        broadcast.flush(standing);
        broadcast
    }

    pub(super) fn handle(
        &mut self,
        standing: &mut Standing,
        packet: Packet,
    ) -> Result<(), Refusal> {
        let Packet { kind: Some(kind), zxid, ref data, .. } = packet else { return Ok(()) };
        let follows_others = self.kind == LearnerKind::Follower;
        match kind {
            PacketType::Proposal if follows_others => {
                self.propose(zxid, data.clone().unwrap_or_default())
            }
            PacketType::Commit if follows_others => self.commit(standing, zxid),
            PacketType::CommitAndActivate if follows_others => {
                if let Some(master) = &mut self.master {
                    master.activate(zxid, data.as_deref());
                }
                self.commit(standing, zxid)
            }
            PacketType::Inform => {
                self.propose(zxid, data.clone().unwrap_or_default())?;
                self.commit(standing, zxid)
            }
            PacketType::InformAndActivate => {
                self.propose(zxid, activated_txn(data.clone())?)?;
                self.commit(standing, zxid)
            }
            PacketType::Ping => {
                standing.put(Output::PingWanted { zxid });
                Ok(())
            }
            PacketType::Sync => {
                let asker = self.master.as_mut().and_then(Master::take_sync);
                self.syncs.push_back((self.committed, asker));
                Ok(())
            }
            PacketType::Revalidate => {
                let for_us = match &mut self.master {
                    Some(master) => master.pass_revalidated(standing, packet),
                    None => Some(packet),
                };
                if let Some(packet) = for_us {
                    standing.put(Output::FromLeader { packet });
                }
                Ok(())
            }
            _ => {
                warn!("The leader sent a packet that means nothing here: {kind:?}, zxid {zxid}");
                Ok(())
            }
        }
    }

    /// Apache's followers let holes pass here; ours asks anew (ZOOKEEPER-4925).
    fn propose(&mut self, zxid: Zxid, bytes: bytes::Bytes) -> Result<(), Refusal> {
        if zxid.epoch() != self.epoch {
            return Err("a proposal of another epoch than the leader's");
        }
        if !follows(self.last, zxid) {
            return Err("a hole in the leader's proposals");
        }
        self.last = zxid;
        self.unlogged.push(LoggedTxn { zxid, bytes });
        Ok(())
    }

    fn commit(&mut self, standing: &mut Standing, zxid: Zxid) -> Result<(), Refusal> {
        self.flush(standing);
        let next = standing.tail.partition_point(|txn| txn.zxid <= self.committed);
        if standing.tail.get(next).map(|txn| txn.zxid) != Some(zxid) {
            return Err("COMMIT of another transaction than the next");
        }
        self.committed = zxid;
        Ok(())
    }

    /// Hands what has been proposed to the log, as one batch.
    fn flush(&mut self, standing: &mut Standing) {
        if !self.unlogged.is_empty() {
            standing.append(std::mem::take(&mut self.unlogged));
        }
    }

    pub(super) fn handle_persisted(&mut self, standing: &mut Standing) {
        if self.kind == LearnerKind::Observer {
            return;
        }
        let durable = standing.last_durable();
        let mut acks = Packets::new();
        let first = standing.tail.partition_point(|txn| txn.zxid <= self.acked);
        for txn in standing.tail.range(first..).take_while(|txn| txn.zxid <= durable) {
            acks.push(PacketType::Ack, txn.zxid, None);
            self.acked = txn.zxid;
        }
        if !acks.is_empty() {
            standing.send(self.link, acks.take());
        }
    }

    pub(super) fn settle(&mut self, standing: &mut Standing) {
        self.flush(standing);
        let logs_first = self.kind == LearnerKind::Follower || standing.options.sync_observer;
        let ready = match logs_first {
            true => self.committed.min(standing.last_durable()),
            false => self.committed,
        };
        // A sync is answered between what was committed before it and what was after: the requests
        // that wait for either stand in that order, too.
        while let Some((after, asker)) = self.syncs.front().copied().filter(|(at, _)| *at <= ready)
        {
            self.syncs.pop_front();
            self.put_out(standing, after);
            match (asker, &self.master) {
                (Some(link), Some(master)) => master.send_synced(standing, link),
                _ => standing.put(Output::Synced),
            }
        }
        self.put_out(standing, ready);
    }

    fn put_out(&mut self, standing: &mut Standing, upto: Zxid) {
        let count = standing.tail.partition_point(|txn| txn.zxid <= upto);
        if let Some(master) = &mut self.master {
            master.inform(standing, count);
        }
        standing.commit(count);
        if let Some(master) = &mut self.master {
            master.bound_backlog(standing);
        }
    }
}
