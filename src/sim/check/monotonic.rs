//! What never goes back, across restarts too: a server's epochs on disk, what it has served
//! (committed), and what it has acknowledged of what was committed (processZxid of the TLA+
//! specifications' monotonicRead; ZOOKEEPER-2307 for the epochs).

use std::collections::BTreeMap;

use jute::quorum::PacketType;

use super::{serves, Act, Check, NodeView, Note, WorldView};
use crate::types::{Epoch, Sid, Zxid};
use crate::zab::Role;

/// How far every server has been.
#[derive(Debug, Default)]
pub struct Monotonic {
    servers: BTreeMap<usize, Reached>,
}

#[derive(Debug, Default)]
struct Reached {
    accepted: Epoch,
    current: Epoch,
    served: Zxid,
    /// Its own word, or what it has served.
    acked: Zxid,
}

impl Check for Monotonic {
    fn name(&self) -> &'static str {
        "monotonic"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        if view.nodes[node].is_damaged {
            // It may have learnt anew what it had, and be behind for a while.
            self.servers.remove(&node);
            return Ok(());
        }
        let reached = self.servers.entry(node).or_default();
        let told = reached.take(view, node, note);
        told.map_err(|what| format!("{} {what}", view.nodes[node].sid.0))
    }
}

impl Reached {
    fn take(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let durable = &note.durable;
        for (name, was, is) in [
            ("acceptedEpoch", &mut self.accepted, durable.accepted),
            ("currentEpoch", &mut self.current, durable.current),
        ] {
            let was = std::mem::replace(was, is);
            if is < was {
                return Err(format!("has {name} {:#x} on disk, was {:#x}", is.0, was.0));
            }
        }
        match &note.act {
            Act::Role { role, applied } if serves(*role) => self.serves(*applied)?,
            Act::Applies(txns) if serves(view.nodes[node].role) => {
                txns.iter().try_for_each(|txn| self.serves(txn.zxid))?;
            }
            // A leader may take back what it has not committed, and give it again: its count of
            // this server's acknowledgements begins anew with the link (seed 0x1e).
            Act::Hears { dialled: true, from, packets, .. } => {
                let taken_back = packets.iter().rev().find(|packet| {
                    matches!(packet.kind, Some(PacketType::Trunc | PacketType::Snap))
                });
                if let Some(packet) = taken_back {
                    if learns_from_a_follower(view, node, *from) {
                        self.served = self.served.min(packet.zxid);
                    }
                    self.acked = self.served.max(self.acked.min(packet.zxid));
                }
            }
            Act::Says { dialled: true, packets, .. } => {
                // Counter 0 is an epoch's: it says that a history was taken over, and that may be
                // the history of a leader who was never established.
                let acks = packets.iter().filter(|packet| {
                    packet.kind == Some(PacketType::Ack) && packet.zxid.counter() != 0
                });
                if let Some(last) = acks.map(|ack| ack.zxid).max() {
                    self.acked = self.served.max(last);
                }
            }
            _ => {}
        }
        let txns = view.committed.txns();
        let behind = txns.partition_point(|txn| txn.zxid <= self.acked);
        match behind.checked_sub(1).map(|at| txns[at].zxid) {
            Some(due) if durable.last < due => Err(format!(
                "has acknowledged {}, of which {due} is committed, and its disk ends at {}",
                self.acked, durable.last
            )),
            _ => Ok(()),
        }
    }

    fn serves(&mut self, zxid: Zxid) -> Result<(), String> {
        // Where an epoch begins there is no transaction.
        if zxid.counter() == 0 {
            return Ok(());
        }
        if zxid < self.served {
            return Err(format!("serves {zxid} and had served {}", self.served));
        }
        self.served = zxid;
        self.acked = self.acked.max(zxid);
        Ok(())
    }
}

/// An observer that comes from a faster follower goes back to where its new master is, as Apache's
/// do: see ENSEMBLE.md. Its clients are let in when it has caught up with them.
fn learns_from_a_follower(view: &WorldView<'_>, node: usize, from: Sid) -> bool {
    let is_leader = |it: &NodeView<'_>| it.sid == from && matches!(it.role, Role::Leading { .. });
    !view.nodes[node].is_voter && !view.nodes.iter().any(is_leader)
}

#[cfg(test)]
mod tests {
    use super::super::stage::{hears, leading, learning, said, says, txn, zxid, Stage};
    use super::*;

    fn acked() -> (Stage, Monotonic) {
        let (mut stage, mut check) = (Stage::new(), Monotonic::default());
        stage.log(0, &[txn(1, 1), txn(1, 2)]);
        stage.nodes[0].durable.accepted = Epoch(1);
        stage.nodes[0].durable.current = Epoch(1);
        let acks = says(true, vec![said(PacketType::Ack, zxid(1, 2))]);
        stage.act(&mut check, 0, acks).expect("it has it");
        (stage, check)
    }

    #[test]
    fn epochs_never_go_back() {
        let (mut stage, mut check) = acked();
        stage.act(&mut check, 0, Act::Ends).expect("it may end");
        stage.nodes[0].durable.accepted = Epoch(0);
        let start = Act::Starts { applied: zxid(1, 2) };
        stage.act(&mut check, 0, start.clone()).expect_err("it has forgotten its promise");
        let (mut stage, mut check) = acked();
        stage.nodes[0].durable.current = Epoch(0);
        stage.act(&mut check, 0, start).expect_err("it has forgotten its leader");
    }

    #[test]
    fn what_was_acked_and_not_committed_may_go() {
        let (mut stage, mut check) = acked();
        stage.nodes[0].durable.records.pop();
        stage.act(&mut check, 0, Act::Ends).expect("nobody has served 2");
    }

    #[test]
    fn what_a_leader_takes_back_may_go_though_others_commit_it() {
        let (mut stage, mut check) = acked();
        let trunc = hears(true, vec![said(PacketType::Trunc, zxid(1, 1))]);
        stage.act(&mut check, 0, trunc).expect("it is the leader's to say");
        stage.nodes[0].durable.records.pop();
        stage.committed.extend([txn(1, 1), txn(1, 2)].iter());
        stage.act(&mut check, 0, Act::Ends).expect("it will be given it again");
        stage.nodes[0].durable.records.pop();
        stage.act(&mut check, 0, Act::Ends).expect_err("1 was not taken back");
    }

    #[test]
    fn what_was_acked_and_is_committed_stays() {
        let (mut stage, mut check) = acked();
        stage.committed.extend([txn(1, 1), txn(1, 2)].iter());
        stage.act(&mut check, 0, Act::Ends).expect("it is there");
        stage.nodes[0].durable.records.pop();
        stage.act(&mut check, 0, Act::Ends).expect_err("2 is gone");
    }

    #[test]
    fn nobody_serves_an_older_state_than_before() {
        let (mut stage, mut check) = acked();
        for (counter, is_fine) in [(2, true), (1, false)] {
            let role = Act::Role { role: learning(1), applied: zxid(1, counter) };
            assert_eq!(stage.act(&mut check, 0, role).is_ok(), is_fine, "{counter}");
        }
    }

    #[test]
    fn only_an_observer_goes_back_to_where_another_follower_is() {
        let goes_back = |is_voter, master| {
            let (mut stage, mut check) = acked();
            stage.nodes[0].is_voter = is_voter;
            stage.nodes[1].role = master;
            let role = Act::Role { role: learning(1), applied: zxid(1, 2) };
            stage.act(&mut check, 0, role).expect("it serves both");
            let trunc = hears(true, vec![said(PacketType::Trunc, zxid(1, 1))]);
            stage.act(&mut check, 0, trunc).expect("nothing has gone yet");
            let role = Act::Role { role: learning(1), applied: zxid(1, 1) };
            stage.act(&mut check, 0, role)
        };
        goes_back(false, learning(1)).expect("its new master is slower");
        goes_back(false, leading(1)).expect_err("a leader has all that was served");
        goes_back(true, learning(1)).expect_err("a voter learns from leaders");
    }
}
