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
