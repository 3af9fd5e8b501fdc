//! ackConsistent (ZOOKEEPER-4643, ZOOKEEPER-4646): no acknowledgement leaves before what it speaks
//! of is on the disk for certain.

use jute::quorum::PacketType;

use super::{Act, Check, Note, Said, WorldView};

/// Needs no memory.
#[derive(Debug, Default)]
pub struct AckDurable;

impl Check for AckDurable {
    fn name(&self) -> &'static str {
        "ack_durable"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let Act::Says { dialled, packets, .. } = &note.act else { return Ok(()) };
        if view.nodes[node].is_damaged {
            // What its disk holds can't be read any more.
            return Ok(());
        }
        for packet in packets {
            let outcome = match dialled {
                true => learner_says(note, packet),
                false => leader_says(note, packet),
            };
            outcome.map_err(|what| format!("{} {what}", view.nodes[node].sid.0))?;
        }
        Ok(())
    }
}

fn learner_says(note: &Note, packet: &Said) -> Result<(), String> {
    let (durable, zxid) = (&note.durable, packet.zxid);
    if packet.kind != Some(PacketType::Ack) {
        return Ok(());
    }
    // Counter 0: the ACK of NEWLEADER or of UPTODATE.
    let accepts_epoch = zxid.counter() == 0;
    if accepts_epoch && durable.current != zxid.epoch() {
        let current = durable.current.0;
        return Err(format!("accepts {zxid}, but currentEpoch on disk is {current:#x}"));
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
    use super::super::stage::{said, says, txn, zxid, Stage, Verdict};
    use super::*;
    use crate::types::{Epoch, Zxid};

    /// Its disk has one transaction of epoch 1, which is accepted and current.
    fn speaks(dialled: bool, kind: PacketType, zxid: Zxid) -> Verdict {
        let mut stage = Stage::new();
        stage.log(0, &[txn(1, 1)]);
        stage.nodes[0].durable.accepted = Epoch(1);
        stage.nodes[0].durable.current = Epoch(1);
        stage.act(&mut AckDurable, 0, says(dialled, vec![said(kind, zxid)]))
    }

    #[test]
    fn a_learner_acks_what_it_has() {
        speaks(true, PacketType::Ack, zxid(1, 1)).expect("it has it");
        speaks(true, PacketType::Ack, zxid(1, 2)).expect_err("it has it not");
        speaks(true, PacketType::Ack, zxid(1, 0)).expect("it is in epoch 1");
        speaks(true, PacketType::Ack, zxid(2, 0)).expect_err("it is not in epoch 2");
    }

    #[test]
    fn a_leader_begins_an_epoch_that_it_has_promised() {
        speaks(false, PacketType::LeaderInfo, zxid(1, 0)).expect("it has promised");
        speaks(false, PacketType::LeaderInfo, zxid(2, 0)).expect_err("it has not");
        speaks(false, PacketType::NewLeader, zxid(2, 0)).expect_err("nor for NEWLEADER");
    }
}
