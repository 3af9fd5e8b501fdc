//! What servers say of themselves when they look for a leader: what the disk holds
//! (ZOOKEEPER-4712, ZOOKEEPER-5094). Who has lost what others count on proposes nobody (promise
//! P7), and each search has a round of its own.

use std::collections::BTreeMap;

use jute::quorum::{PacketType, ServerState};

use super::{serves, Act, Check, Note, WorldView};
use crate::types::Zxid;
use crate::zab::{Notification, Role};

/// What servers have said before.
#[derive(Debug, Default)]
pub struct Vote {
    servers: BTreeMap<usize, Said>,
    /// Up to where others count on each server's disk, across restarts.
    counted_on: BTreeMap<usize, Zxid>,
}

#[derive(Debug, Default)]
struct Said {
    /// The round whose outcome it has told.
    settled: Option<i64>,
    /// It looks again, and has not said in which round.
    begins: bool,
}

impl Check for Vote {
    fn name(&self) -> &'static str {
        "vote"
    }

    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String> {
        self.count(view, node, note);
        let said = self.servers.entry(node).or_default();
        match &note.act {
            // A new process knows of no rounds.
            Act::Starts { .. } | Act::Ends => *said = Said::default(),
            Act::Role { role: Role::Looking, .. } => said.begins = true,
            Act::Votes(vote) if vote.state != ServerState::Looking => {
                said.settled = Some(vote.round);
            }
            Act::Votes(vote) => {
                let sid = view.nodes[node].sid;
                said.opens_a_round(vote).map_err(|what| format!("{} {what}", sid.0))?;
                if vote.leader == sid && vote.zxid >= Zxid::ZERO {
                    self.proposes_itself(view, node, note, vote)
                        .map_err(|what| format!("{} {what}", sid.0))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Said {
    fn opens_a_round(&mut self, vote: &Notification) -> Result<(), String> {
        let begins = std::mem::take(&mut self.begins);
        match self.settled.take().filter(|settled| begins && vote.round <= *settled) {
            Some(settled) => {
                Err(format!("looks in round {}, and had settled {settled}", vote.round))
            }
            None => Ok(()),
        }
    }
}

impl Vote {
    fn count(&mut self, view: &WorldView<'_>, node: usize, note: &Note) {
        let counted_on = self.counted_on.entry(node).or_default();
        match &note.act {
            Act::Role { role, applied } if serves(*role) => *counted_on = *applied,
            Act::Applies(txns) if serves(view.nodes[node].role) => {
                let last = txns.last().map_or(Zxid::ZERO, |txn| txn.zxid);
                *counted_on = last.max(*counted_on);
            }
            Act::Says { dialled: true, packets, .. } => {
                let acks = packets.iter().filter(|packet| packet.kind == Some(PacketType::Ack));
                let zxids = acks.map(|ack| ack.zxid).filter(|zxid| zxid.counter() != 0);
                *counted_on = zxids.max().unwrap_or_default().max(*counted_on);
            }
            // A leader may take back what it has not committed.
            Act::Hears { dialled: true, packets, .. } => {
                let takes_back = |kind| matches!(kind, Some(PacketType::Trunc | PacketType::Snap));
                if let Some(packet) = packets.iter().find(|packet| takes_back(packet.kind)) {
                    *counted_on = packet.zxid.min(*counted_on);
                }
            }
            _ => {}
        }
    }

    fn proposes_itself(
        &self,
        view: &WorldView<'_>,
        node: usize,
        note: &Note,
        vote: &Notification,
    ) -> Result<(), String> {
        let (durable, says) = (&note.durable, (vote.zxid, vote.peer_epoch));
        let is = (durable.last, i64::from(durable.current.0));
        if !view.nodes[node].is_damaged && says != is {
            return Err(format!(
                "says it is at {}, epoch {:#x}, and its disk ends at {}, epoch {:#x}",
                says.0, says.1, is.0, is.1
            ));
        }
        let counted_on = self.counted_on.get(&node).copied().unwrap_or_default();
        let txns = view.committed.txns();
        let behind = txns.partition_point(|txn| txn.zxid <= counted_on);
        match behind.checked_sub(1).map(|at| txns[at].zxid).filter(|due| vote.zxid < *due) {
            Some(due) => Err(format!(
                "would lead from {} on, and has acknowledged {due}, which is committed",
                vote.zxid
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{learning, txn, zxid, Stage, Verdict};
    use super::*;
    use crate::types::{Epoch, Sid};

    fn vote(state: ServerState, round: i64, counter: u32) -> Act {
        Act::Votes(Notification {
            state,
            leader: Sid(1),
            zxid: zxid(1, counter),
            round,
            peer_epoch: 1,
            version: 2,
            config: None,
        })
    }

    fn plays(acts: Vec<Act>) -> Verdict {
        let (mut stage, mut check) = (Stage::new(), Vote::default());
        stage.log(0, &[txn(1, 1), txn(1, 2)]);
        stage.nodes[0].durable.current = Epoch(1);
        acts.into_iter().try_for_each(|act| stage.act(&mut check, 0, act))
    }

    fn looks() -> Act {
        Act::Role { role: Role::Looking, applied: Zxid::ZERO }
    }

    #[test]
    fn a_vote_for_oneself_is_what_the_disk_says() {
        plays(vec![looks(), vote(ServerState::Looking, 1, 2)]).expect("it is so");
        plays(vec![looks(), vote(ServerState::Looking, 1, 1)]).expect_err("the disk has more");
        plays(vec![looks(), vote(ServerState::Looking, 1, 3)]).expect_err("the disk has less");
    }

    #[test]
    fn each_search_has_a_round_of_its_own() {
        let first = || vec![looks(), vote(ServerState::Looking, 4, 2)];
        let settled = || vec![vote(ServerState::Following, 4, 2)];
        let again = |round| vec![looks(), vote(ServerState::Looking, round, 2)];
        plays([first(), settled(), again(5)].concat()).expect("a newer one");
        plays([first(), settled(), again(4)].concat()).expect_err("the same");
        plays([first(), again(4)].concat()).expect("it may have been one search");
    }

    #[test]
    fn who_has_lost_what_it_acknowledged_proposes_nobody() {
        let loses = |counter| {
            let (mut stage, mut check) = (Stage::new(), Vote::default());
            stage.committed.extend([txn(1, 1), txn(1, 2)].iter());
            stage.nodes[0].is_damaged = true;
            let role = Act::Role { role: learning(1), applied: zxid(1, 2) };
            stage.act(&mut check, 0, role)?;
            stage.act(&mut check, 0, Act::Starts { applied: Zxid::ZERO })?;
            stage.act(&mut check, 0, vote(ServerState::Looking, 1, counter))
        };
        loses(2).expect("it has it still");
        loses(0).expect_err("it is a stranger (M19)");
    }
}
