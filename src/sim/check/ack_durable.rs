//! ackConsistent (ZOOKEEPER-4643, ZOOKEEPER-4646): no acknowledgement leaves before what it speaks
//! of is on the disk for certain; that of NEWLEADER speaks of all the history in front of it.

use std::collections::BTreeMap;

use jute::quorum::PacketType;

use super::{Act, Check, Note, Said, WorldView};
use crate::types::{Epoch, Zxid};
use crate::zab::LinkId;

/// The epoch of whoever wants a snapshot, whatever it has.
const NO_EPOCH: Epoch = Epoch(0x7fff_ffff);

/// Where the history ends that each learner has been given before NEWLEADER.
#[derive(Debug, Default)]
pub struct AckDurable {
    histories: BTreeMap<(usize, LinkId), History>,
}

#[derive(Debug, Default)]
struct History {
    last: Zxid,
    is_complete: bool,
}

impl Check for AckDurable {
    fn name(&self) -> &'static str {
        "ack_durable"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let (link, dialled, packets) = match &note.act {
            Act::Says { link, dialled, packets, .. } => (link, dialled, packets),
            Act::Hears { link, dialled: true, packets, .. } => {
                let history = self.histories.entry((node, *link)).or_default();
                packets.iter().for_each(|packet| history.hear(packet));
                return Ok(());
            }
            Act::Starts { .. } => {
                self.histories.retain(|(of, _), _| *of != node);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if view.nodes[node].is_damaged {
            // What its disk holds can't be read any more.
            return Ok(());
        }
        for packet in packets {
            let outcome = match dialled {
                true => learner_says(note, packet, self.histories.get(&(node, *link))),
                false => leader_says(note, packet),
            };
            outcome.map_err(|what| format!("{} {what}", view.nodes[node].sid.0))?;
        }
        Ok(())
    }
}

impl History {
    fn hear(&mut self, packet: &Said) {
        match packet.kind {
            Some(PacketType::NewLeader) => self.is_complete = true,
            // A SNAP is of its zxid; a DIFF's is where it ends, or where the learner has been.
            Some(PacketType::Snap | PacketType::Diff | PacketType::Trunc) => {
                self.last = packet.zxid;
            }
            Some(PacketType::Commit) if !self.is_complete => self.last = packet.zxid,
            _ => {}
        }
    }
}

fn learner_says(note: &Note, packet: &Said, history: Option<&History>) -> Result<(), String> {
    let (durable, zxid) = (&note.durable, packet.zxid);
    // What it says it has is what the leader goes on from (ZOOKEEPER-5094).
    let has_something = zxid >= Zxid::ZERO && zxid.epoch() != NO_EPOCH;
    if packet.kind == Some(PacketType::AckEpoch) && has_something && durable.last != zxid {
        return Err(format!("says it ends at {zxid}, but the disk ends at {}", durable.last));
    }
    if packet.kind != Some(PacketType::Ack) {
        return Ok(());
    }
    // Counter 0: the ACK of NEWLEADER or of UPTODATE.
    let accepts_epoch = zxid.counter() == 0;
    if accepts_epoch && durable.current != zxid.epoch() {
        let current = durable.current.0;
        return Err(format!("accepts {zxid}, but currentEpoch on disk is {current:#x}"));
    }
    if let Some(missed) = history.map(|it| it.last).filter(|last| durable.last < *last) {
        let ends = durable.last;
        return Err(format!("acks {zxid}, has been given {missed}, and its disk ends at {ends}"));
    }
    if !accepts_epoch && durable.last < zxid {
        return Err(format!("acks {zxid}, but the disk ends at {}", durable.last));
    }
    Ok(())
}

fn leader_says(note: &Note, packet: &Said) -> Result<(), String> {
    let accepted = note.durable.accepted;
    let promises = matches!(packet.kind, Some(PacketType::LeaderInfo | PacketType::NewLeader));
    if promises && accepted < packet.zxid.epoch() {
        let zxid = packet.zxid;
        return Err(format!("begins {zxid}, but acceptedEpoch on disk is {:#x}", accepted.0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::stage::{hears, said, says, txn, zxid, Stage, Verdict};
    use super::*;
    use crate::types::{Epoch, Zxid};

    /// Its disk has one transaction of epoch 1, which is accepted and current.
    fn speaks(dialled: bool, kind: PacketType, zxid: Zxid) -> Verdict {
        let mut stage = Stage::new();
        stage.log(0, &[txn(1, 1)]);
        stage.nodes[0].durable.accepted = Epoch(1);
        stage.nodes[0].durable.current = Epoch(1);
        stage.act(&mut AckDurable::default(), 0, says(dialled, vec![said(kind, zxid)]))
    }

    #[test]
    fn a_learner_acks_what_it_has() {
        speaks(true, PacketType::Ack, zxid(1, 1)).expect("it has it");
        speaks(true, PacketType::Ack, zxid(1, 2)).expect_err("it has it not");
        speaks(true, PacketType::Ack, zxid(1, 0)).expect("it is in epoch 1");
        speaks(true, PacketType::Ack, zxid(2, 0)).expect_err("it is not in epoch 2");
    }

    #[test]
    fn a_learner_says_what_it_has() {
        speaks(true, PacketType::AckEpoch, zxid(1, 1)).expect("it ends there");
        speaks(true, PacketType::AckEpoch, zxid(1, 2)).expect_err("cut off (ZOOKEEPER-5094)");
        speaks(true, PacketType::AckEpoch, Zxid::NONE).expect("a stranger");
    }

    #[test]
    fn newleader_is_acked_behind_its_history() {
        let accepts = |counter| {
            let (mut stage, mut check) = (Stage::new(), AckDurable::default());
            stage.log(0, &[txn(1, 1), txn(1, 2)]);
            stage.nodes[0].durable.current = Epoch(2);
            let history = [said(PacketType::Diff, zxid(1, counter))];
            let end = said(PacketType::NewLeader, zxid(2, 0));
            stage.act(&mut check, 0, hears(true, [&history[..], &[end]].concat()))?;
            stage.act(&mut check, 0, says(true, vec![said(PacketType::Ack, zxid(2, 0))]))
        };
        accepts(2).expect("it is on the disk");
        accepts(3).expect_err("it is not (ZOOKEEPER-4646)");
    }

    #[test]
    fn a_leader_begins_an_epoch_that_it_has_promised() {
        speaks(false, PacketType::LeaderInfo, zxid(1, 0)).expect("it has promised");
        speaks(false, PacketType::LeaderInfo, zxid(2, 0)).expect_err("it has not");
        speaks(false, PacketType::NewLeader, zxid(2, 0)).expect_err("nor for NEWLEADER");
    }
}
