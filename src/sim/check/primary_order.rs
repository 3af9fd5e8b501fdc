//! LocalPrimaryOrder, GlobalPrimaryOrder and PrimaryIntegrity of the TLA+ specification and of the
//! Zab paper: what one leader has broadcast is delivered in the order of its broadcasts; what an
//! earlier leader has broadcast is delivered before; and a leader has delivered all of the earlier
//! epochs that anybody ever delivers before it broadcasts anything of its own.

use std::collections::BTreeMap;
use std::ops::Bound;

use jute::quorum::PacketType;

use super::{serves, Act, Check, Note, WorldView};
use crate::types::{Epoch, Zxid};
use crate::zab::Role;

/// Who has broadcast what, and how far everybody has come.
#[derive(Debug, Default)]
pub struct PrimaryOrder {
    epochs: BTreeMap<Epoch, Broadcast>,
    /// The last that anybody has delivered of each epoch.
    delivered: BTreeMap<Epoch, Zxid>,
    /// The last in each replica.
    applied: BTreeMap<usize, Zxid>,
}

/// What the leader of an epoch has broadcast.
#[derive(Debug)]
struct Broadcast {
    /// What it had delivered before.
    began: Zxid,
    /// Each one, with the one before it.
    before: BTreeMap<Zxid, Option<Zxid>>,
}

impl Check for PrimaryOrder {
    fn name(&self) -> &'static str {
        "primary_order"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        let (sid, role) = (view.nodes[node].sid.0, view.nodes[node].role);
        match (&note.act, role) {
            (Act::Starts { applied } | Act::Role { applied, .. }, _) => {
                self.applied.insert(node, *applied);
            }
            (Act::Says { dialled: false, packets, .. }, Role::Leading { epoch }) => {
                let own = packets.iter().filter(|packet| {
                    packet.kind == Some(PacketType::Proposal) && packet.zxid.epoch() == epoch
                });
                for packet in own {
                    let told = self.broadcasts(node, epoch, packet.zxid);
                    told.map_err(|what| format!("{sid} {what}"))?;
                }
            }
            (Act::Applies(txns), _) => {
                for txn in txns {
                    if role == (Role::Leading { epoch: txn.zxid.epoch() }) {
                        let told = self.keeps(node, txn.zxid);
                        told.map_err(|what| format!("{sid} {what}"))?;
                    }
                    let before = self.applied.insert(node, txn.zxid).unwrap_or(Zxid::ZERO);
                    if serves(role) {
                        let told = self.delivers(before, txn.zxid);
                        told.map_err(|what| format!("{sid} {what}"))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl PrimaryOrder {
    fn broadcasts(&mut self, node: usize, epoch: Epoch, zxid: Zxid) -> Result<(), String> {
        self.begins(node, epoch, zxid)?;
        let before = &mut self.epochs.get_mut(&epoch).expect("it has begun").before;
        if before.contains_key(&zxid) {
            return Ok(());
        }
        let last = before.last_key_value().map(|(last, _)| *last);
        if let Some(last) = last.filter(|last| *last > zxid) {
            return Err(format!("broadcasts {zxid} behind {last}"));
        }
        before.insert(zxid, last);
        Ok(())
    }

    /// A leader is one of those to whom it broadcasts. When nobody else is there and it is a
    /// quorum alone, this is heard of when it delivers, which may be behind later broadcasts.
    fn keeps(&mut self, node: usize, zxid: Zxid) -> Result<(), String> {
        let epoch = zxid.epoch();
        self.begins(node, epoch, zxid)?;
        let before = &mut self.epochs.get_mut(&epoch).expect("it has begun").before;
        if before.contains_key(&zxid) {
            return Ok(());
        }
        let last = before.range(..zxid).next_back().map(|(last, _)| *last);
        before.insert(zxid, last);
        let next = before.range_mut((Bound::Excluded(zxid), Bound::Unbounded)).next();
        if let Some((_, last)) = next {
            *last = Some(zxid);
        }
        Ok(())
    }

    /// Before its first one a leader must have delivered what anybody has of earlier epochs.
    fn begins(&mut self, node: usize, epoch: Epoch, zxid: Zxid) -> Result<(), String> {
        if self.epochs.contains_key(&epoch) {
            return Ok(());
        }
        let began = self.applied.get(&node).copied().unwrap_or(Zxid::ZERO);
        self.epochs.insert(epoch, Broadcast { began, before: BTreeMap::new() });
        let missed = self.delivered.range(..epoch).map(|(_, last)| *last).max();
        match missed.filter(|missed| *missed > began) {
            Some(missed) => {
                Err(format!("broadcasts {zxid}, has delivered {began}, but {missed} was delivered"))
            }
            None => Ok(()),
        }
    }

    fn delivers(&mut self, before: Zxid, zxid: Zxid) -> Result<(), String> {
        let epoch = zxid.epoch();
        if epoch < before.epoch() {
            return Err(format!("delivers {zxid} behind {before}: an earlier epoch"));
        }
        let known = self.epochs.get(&epoch).and_then(|broadcast| broadcast.before.get(&zxid));
        // Where an epoch begins there is no transaction, but a replica may be there.
        let last_own = Some(before).filter(|it| it.epoch() == epoch && it.counter() != 0);
        if let Some(first) = known.filter(|first| **first != last_own) {
            let first = first.map_or("nothing".to_owned(), |zxid| zxid.to_string());
            return Err(format!("delivers {zxid} behind {before}, broadcast behind {first}"));
        }
        let mut later = self.epochs.range(Epoch(epoch.0 + 1)..);
        if let Some((later, _)) = later.find(|(_, broadcast)| broadcast.began < zxid) {
            return Err(format!(
                "delivers {zxid}, which the leader of {:#x} had not when it began",
                later.0
            ));
        }
        let last = self.delivered.entry(epoch).or_insert(zxid);
        *last = zxid.max(*last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{leading, learning, proposal, says, txn, zxid, Stage, Verdict};
    use super::*;

    fn take(stage: &mut Stage, check: &mut PrimaryOrder, node: usize, role: Role, applied: Zxid) {
        stage.act(check, node, Act::Role { role, applied }).expect("roles are not judged here");
    }

    fn proposes(
        stage: &mut Stage,
        check: &mut PrimaryOrder,
        node: usize,
        epoch: u32,
        counter: u32,
    ) -> Verdict {
        stage.act(check, node, says(false, vec![proposal(&txn(epoch, counter))]))
    }

    /// Server 1 leads epoch 1 and has proposed two; server 2 follows.
    fn broadcast() -> (Stage, PrimaryOrder) {
        let (mut stage, mut check) = (Stage::new(), PrimaryOrder::default());
        take(&mut stage, &mut check, 0, leading(1), Zxid::ZERO);
        take(&mut stage, &mut check, 1, learning(1), Zxid::ZERO);
        proposes(&mut stage, &mut check, 0, 1, 1).expect("the first");
        proposes(&mut stage, &mut check, 0, 1, 2).expect("the second");
        proposes(&mut stage, &mut check, 0, 1, 1).expect("the first, to somebody else");
        (stage, check)
    }

    #[test]
    fn a_leaders_own_order_is_kept() {
        let (mut stage, mut check) = broadcast();
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1), txn(1, 2)])).expect("in order");
        let (mut stage, mut check) = broadcast();
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 2)])).expect_err("1 comes before");
    }

    #[test]
    fn a_leader_may_be_all_that_hears_it() {
        let (mut stage, mut check) = (Stage::new(), PrimaryOrder::default());
        take(&mut stage, &mut check, 0, leading(1), Zxid::ZERO);
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 1)])).expect("a quorum alone");
        // Somebody comes, and has 2 out of the leader's files before the leader delivers it.
        proposes(&mut stage, &mut check, 0, 1, 3).expect("the first that is seen");
        stage.act(&mut check, 0, Act::Applies(vec![txn(1, 2), txn(1, 3)])).expect("in order");
        take(&mut stage, &mut check, 1, learning(1), zxid(1, 1));
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 3)])).expect_err("2 comes before");
    }

    #[test]
    fn broadcasts_must_rise() {
        let (mut stage, mut check) = broadcast();
        proposes(&mut stage, &mut check, 0, 1, 4).expect("the next");
        proposes(&mut stage, &mut check, 0, 1, 3).expect_err("behind 4");
    }

    #[test]
    fn epochs_never_go_back() {
        let (mut stage, mut check) = broadcast();
        take(&mut stage, &mut check, 1, learning(2), zxid(2, 1));
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect_err("epoch 1 behind 2");
    }

    #[test]
    fn a_leader_that_lacks_what_was_delivered_is_refused() {
        let (mut stage, mut check) = broadcast();
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect("in order");
        take(&mut stage, &mut check, 2, leading(2), Zxid::ZERO);
        proposes(&mut stage, &mut check, 2, 2, 1).expect_err("it has not delivered 1");
    }

    #[test]
    fn what_a_later_leader_has_not_had_is_refused() {
        let (mut stage, mut check) = broadcast();
        take(&mut stage, &mut check, 2, leading(2), Zxid::ZERO);
        proposes(&mut stage, &mut check, 2, 2, 1).expect("nobody has delivered anything");
        stage.act(&mut check, 1, Act::Applies(vec![txn(1, 1)])).expect_err("too late");
    }
}
