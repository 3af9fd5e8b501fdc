//! Integrity of the TLA+ specification and of the Zab paper: what is delivered has been broadcast
//! before, by a leader of its own epoch, in these very bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use jute::quorum::PacketType;

use super::{Act, Check, Note, Said, WorldView};
use crate::types::{Epoch, LoggedTxn, Zxid};
use crate::zab::Role;

/// What has been broadcast.
#[derive(Debug, Default)]
pub struct Integrity {
    broadcast: BTreeMap<Zxid, Bytes>,
    /// Who has led which epoch last, in its present life.
    led: BTreeMap<usize, Epoch>,
    /// Who was established in which epoch.
    leaders: BTreeMap<Epoch, usize>,
}

impl Check for Integrity {
    fn name(&self) -> &'static str {
        "integrity"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let sid = view.nodes[node].sid.0;
        self.own_log(view, node);
        match &note.act {
            Act::Starts { .. } => {
                self.led.remove(&node);
                Ok(())
            }
            Act::Role { role: Role::Leading { epoch }, .. } => {
                self.led.insert(node, *epoch);
                self.leaders.insert(*epoch, node);
                Ok(())
            }
            Act::Says { dialled: false, packets, .. } => {
                let Role::Leading { epoch } = view.nodes[node].role else { return Ok(()) };
                for packet in packets.iter().filter(|packet| packet.zxid.epoch() == epoch) {
                    self.says(packet).map_err(|what| format!("{sid} {what}"))?;
                }
                Ok(())
            }
            Act::Applies(txns) => self.applies(view, txns).map_err(|what| format!("{sid} {what}")),
            _ => Ok(()),
        }
    }
}

impl Integrity {
    /// A leader is one of those to whom it broadcasts, and may be the only one there is: what its
    /// log has of its own epoch may be agreed upon later.
    fn own_log(&mut self, view: &WorldView<'_>, node: usize) {
        let Some(epoch) = self.led.get(&node) else { return };
        for txn in view.nodes[node].durable.records.iter().rev() {
            if txn.zxid.epoch() != *epoch || self.broadcast.contains_key(&txn.zxid) {
                break;
            }
            self.broadcast.insert(txn.zxid, txn.bytes.clone());
        }
    }

    fn says(&mut self, packet: &Said) -> Result<(), String> {
        let (Some(PacketType::Proposal), Some(data)) = (packet.kind, &packet.data) else {
            return Ok(());
        };
        match self.broadcast.insert(packet.zxid, data.clone()) {
            Some(before) if before != data => Err(format!("proposes another {}", packet.zxid)),
            _ => Ok(()),
        }
    }

    fn applies(&mut self, view: &WorldView<'_>, txns: &[LoggedTxn]) -> Result<(), String> {
        for txn in txns {
            let leader = self.leaders.get(&txn.zxid.epoch());
            match self.broadcast.get(&txn.zxid) {
                Some(bytes) if *bytes == txn.bytes => {}
                // What a damaged log had of what its leader has broadcast to itself can't be seen.
                None if leader.is_some_and(|leader| view.nodes[*leader].is_damaged) => {
                    self.broadcast.insert(txn.zxid, txn.bytes.clone());
                }
                Some(_) => return Err(format!("delivers another {} than proposed", txn.zxid)),
                None => return Err(format!("delivers {}, which nobody proposed", txn.zxid)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{leading, proposal, says, txn, zxid, Stage};
    use super::*;

    fn proposed() -> (Stage, Integrity) {
        let (mut stage, mut check) = (Stage::new(), Integrity::default());
        let role = Act::Role { role: leading(1), applied: Zxid::ZERO };
        stage.act(&mut check, 0, role).expect("it may lead");
        let act = says(false, vec![proposal(&txn(1, 1))]);
        stage.act(&mut check, 0, act).expect("its own epoch");
        (stage, check)
    }

    #[test]
    fn what_a_leader_has_proposed_may_be_delivered() {
        let (mut stage, mut check) = proposed();
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect("proposed");
    }

    #[test]
    fn what_nobody_has_proposed_is_refused() {
        let (mut stage, mut check) = proposed();
        let what = stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect_err("nobody");
        assert!(what.contains("nobody proposed"), "{what}");
    }

    #[test]
    fn a_damaged_log_may_have_had_it() {
        let (mut stage, mut check) = proposed();
        stage.nodes[0].is_damaged = true;
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect("nobody can tell");
        stage.act(&mut check, 1, Act::Applies(vec![txn(2, 1)])).expect_err("nobody's epoch");
    }

    #[test]
    fn a_proposal_of_an_earlier_epoch_counts_for_nothing() {
        let (mut stage, mut check) = proposed();
        let role = Act::Role { role: leading(2), applied: zxid(1, 1) };
        stage.act(&mut check, 1, role).expect("it may lead");
        let act = says(false, vec![proposal(&txn(1, 2))]);
        stage.act(&mut check, 1, act).expect("history is no broadcast");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect_err("a forged history");
    }

    #[test]
    fn other_bytes_are_refused() {
        let (mut stage, mut check) = proposed();
        let forged = LoggedTxn { bytes: Bytes::from_static(b"forged"), ..txn(1, 1) };
        stage.act(&mut check, 1, Act::Applies(vec![forged.clone()])).expect_err("other bytes");
        let act = says(false, vec![proposal(&forged)]);
        stage.act(&mut check, 0, act).expect_err("twice, and not the same");
    }
}
