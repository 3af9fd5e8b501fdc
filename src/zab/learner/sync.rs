//! The leader's history on its way to a learner (Apache's `Learner.syncWithLeader`).

use std::collections::VecDeque;

use jute::quorum::{ActivatedTxn, PacketType};
use jute::{Decode, Reader};

use super::super::history::follows;
#[cfg(feature = "mutants")]
use super::super::packets::packet;
use super::super::standing::Standing;
#[cfg(feature = "mutants")]
use super::super::LinkId;
use super::super::{Packet, SyncMode};
use super::Refusal;
use crate::types::{Epoch, LoggedTxn, Zxid};

#[derive(Debug)]
pub(super) struct Sync {
    /// Named by the first packet.
    pub(super) mode: Option<SyncMode>,
    /// Where the leader's stream begins: our last, the TRUNC's target or the snapshot's zxid.
    pub(super) base: Zxid,
    /// The disk has not said yet whether it could truncate.
    pub(super) truncating: bool,
    /// The snapshot's body has not been read whole.
    pub(super) receiving: bool,
    /// NEWLEADER has come.
    pub(super) complete: bool,
    /// Committed behind `base`, before NEWLEADER.
    pub(super) history: Vec<LoggedTxn>,
    /// Proposed behind that. Neither logged nor acknowledged before UPTODATE (ZOOKEEPER-4394).
    pub(super) queued: VecDeque<LoggedTxn>,
    /// How many at the front of `queued` have been committed since NEWLEADER.
    pub(super) committed: usize,
    /// The last proposal that has come.
    pub(super) last: Zxid,
}

impl Sync {
    pub(super) fn new(base: Zxid) -> Sync {
        Sync {
            mode: None,
            base,
            truncating: false,
            receiving: false,
            complete: false,
            history: Vec::new(),
            queued: VecDeque::new(),
            committed: 0,
            last: base,
        }
    }

    /// The first packet: DIFF, TRUNC or SNAP.
    pub(super) fn handle_mode(
        &mut self,
        standing: &mut Standing,
        packet: &Packet,
    ) -> Result<(), Refusal> {
        match packet.kind {
            Some(PacketType::Diff) => self.mode = Some(SyncMode::Diff),
            Some(PacketType::Trunc) if packet.zxid > self.base || packet.zxid < Zxid::ZERO => {
                return Err("TRUNC to a zxid that this server has not reached");
            }
            Some(PacketType::Trunc) => {
                self.mode = Some(SyncMode::Trunc);
                self.truncating = true;
                self.base = packet.zxid;
                standing.truncate(packet.zxid);
            }
            Some(PacketType::Snap) => {
                self.mode = Some(SyncMode::Snap);
                self.receiving = true;
                self.base = packet.zxid;
            }
            // As Apache's learner: pings don't count.
            Some(PacketType::Ping) => {}
            _ => return Err("the leader began the sync with none of DIFF, TRUNC and SNAP"),
        }
        self.last = self.base;
        Ok(())
    }

    /// What follows, but for NEWLEADER and UPTODATE.
    pub(super) fn handle(&mut self, epoch: Epoch, packet: Packet) -> Result<(), Refusal> {
        let Packet { kind: Some(kind), zxid, data, .. } = packet else { return Ok(()) };
        match kind {
            PacketType::Proposal => self.propose(epoch, zxid, data.unwrap_or_default()),
            PacketType::Commit | PacketType::CommitAndActivate => self.commit(zxid),
            PacketType::Inform => {
                self.propose(epoch, zxid, data.unwrap_or_default())?;
                self.commit(zxid)
            }
            PacketType::InformAndActivate => {
                self.propose(epoch, zxid, activated_txn(data)?)?;
                self.commit(zxid)
            }
            PacketType::NewLeader | PacketType::UpToDate => {
                Err("the leader lost count of the sync")
            }
            // As Apache's learner: PINGs are not answered here, and what is unknown means nothing.
            _ => Ok(()),
        }
    }

    fn propose(&mut self, epoch: Epoch, zxid: Zxid, bytes: bytes::Bytes) -> Result<(), Refusal> {
        if self.is_in_snapshot(zxid) {
            return Ok(());
        }
        if !follows(self.last, zxid) || zxid.epoch() > epoch {
            return Err("a hole in the history that the leader sends");
        }
        self.last = zxid;
        self.queued.push_back(LoggedTxn { zxid, bytes });
        Ok(())
    }

    fn commit(&mut self, zxid: Zxid) -> Result<(), Refusal> {
        if self.is_in_snapshot(zxid) {
            return Ok(());
        }
        if self.queued.get(self.committed).map(|txn| txn.zxid) != Some(zxid) {
            return Err("COMMIT of another transaction than the next");
        }
        if self.complete && mutant!(CommitDropped) {
            return Ok(());
        }
        if self.complete || mutant!(DiffLoggedLate) {
            self.committed += 1;
        } else {
            self.history.extend(self.queued.pop_front());
        }
        Ok(())
    }

    /// Acknowledges what was logged of it already; answers how much that was.
    #[cfg(feature = "mutants")]
    pub(super) fn ack_logged(&self, standing: &mut Standing, link: Option<LinkId>) -> usize {
        let logged = self.queued.iter().filter(|txn| txn.zxid <= standing.last_logged());
        let zxids: Vec<Zxid> = logged.map(|txn| txn.zxid).collect();
        for (zxid, link) in zxids.iter().zip(link.into_iter().cycle()) {
            standing.send(link, packet(PacketType::Ack, *zxid, None));
        }
        zxids.len()
    }

    /// Apache's leader reads the snapshot's zxid after it has begun to queue what is behind it: the
    /// first of that is in the snapshot already.
    fn is_in_snapshot(&self, zxid: Zxid) -> bool {
        self.mode == Some(SyncMode::Snap) && zxid <= self.base
    }
}

/// The transaction in INFORMANDACTIVATE.
pub(super) fn activated_txn(data: Option<bytes::Bytes>) -> Result<bytes::Bytes, Refusal> {
    let data = data.unwrap_or_default();
    let activated = ActivatedTxn::decode(&mut Reader::new(&data))
        .map_err(|_| "INFORMANDACTIVATE can't be read")?;
    Ok(data.slice_ref(activated.txn))
}
