//! A peer as a member of an ensemble: what zab puts out is done here, or passed on.

use bytes::Bytes;
use jute::quorum::{ForwardedRequest, PacketType, Revalidated, SessionTimeout, Touched};
use jute::{Decode, Encode, ErrorCode, OpCode};

use super::learner::Learner;
use super::primary::{Primary, View};
use super::{wire, Due, Duty, Output, Peer};
use crate::pipeline::{self, Ask, Batch, Entry, Outcome, Request, SessionEffect};
use crate::session::Owner;
use crate::types::{LoggedTxn, Now, SessionId, Sid, Zxid};
use crate::zab::{self, LinkId, Packet, Role};

impl Peer {
    /// Does or passes on what zab wants.
    pub(super) fn member_output(&mut self, view: View<'_>, output: zab::Output) {
        match output {
            zab::Output::Persist { step, upto } => self.persist(step, upto),
            zab::Output::Committed { txns } => self.committed(view.now, txns),
            zab::Output::Role(role) => self.take_role(view, role),
            zab::Output::FromLearner { link, sid, packet } => {
                self.hear_learner(view, link, sid, packet);
            }
            zab::Output::FromLeader { packet } => self.hear_leader(view.now, packet),
            zab::Output::Synced => {
                if let Duty::Learner(learner) = &mut self.duty {
                    let entries = learner.synced();
                    self.answer(entries);
                }
            }
            zab::Output::LocalSynced { tag } => self.synced_here(tag),
            zab::Output::PingWanted { zxid } => {
                if let (Duty::Learner(learner), Some(zab)) = (&mut self.duty, &mut self.zab) {
                    let touched = learner.touched(view.now);
                    zab.pong(zxid, &touched);
                }
            }
            zab::Output::LearnerGone { sid } => {
                tracing::debug!("Learner {} is gone; its sessions live on", sid.0);
            }
            wire => self.outputs.push_back(Output::Wire(wire)),
        }
    }

    /// A sync of an own client: done when everything proposed before it is.
    pub(super) fn sync_here(&mut self, now: Now, request: Request) {
        // What was asked before it must have been proposed before it.
        self.send_batch(now);
        match &mut self.zab {
            Some(zab) => {
                let tag = self.next_sync;
                self.next_sync += 1;
                self.syncing.push_back((tag, request));
                zab.sync_local(tag);
            }
            // Nobody else writes: it is in step by nature.
            None => self.answer(vec![synced(request)]),
        }
    }

    /// A learner's client asks: the leader must hear of it.
    pub(super) fn forward(&mut self, view: View<'_>, ask: Ask) {
        let denied = match &ask {
            Ask::Write(request) => self.denied(view, request),
            Ask::Upgrade(_) | Ask::Resume { .. } => None,
        };
        let (Duty::Learner(learner), Some(zab)) = (&mut self.duty, &mut self.zab) else { return };
        match ask {
            Ask::Write(request) => {
                let is_sync = request.op == OpCode::Sync;
                let (packet, refused) = learner.write(request, denied);
                match packet {
                    Some(packet) if is_sync => zab.sync_with_leader(packet),
                    Some(packet) => zab.send_to_leader(packet),
                    None => {}
                }
                self.answer(refused.into_iter().collect());
            }
            Ask::Upgrade(slot) => zab.send_to_leader(learner.upgrade(slot)),
            Ask::Resume { session, conn, timeout_ms } => {
                let packet = learner.resume(session, conn, timeout_ms);
                zab.revalidate_with_leader(session, packet);
            }
        }
    }

    /// Why this member need not ask anybody else about a write of its own client.
    pub(super) fn denied(&self, view: View<'_>, request: &Request) -> Option<ErrorCode> {
        if !self.options.eager_acl_check || self.zab.is_none() {
            return None;
        }
        pipeline::denied(view.replica, &self.auth, request)
    }

    fn take_role(&mut self, view: View<'_>, role: Role) {
        if let Duty::Primary(primary) = &self.duty {
            self.expired_before += primary.expired_sessions();
        }
        self.in_flight.clear();
        self.syncing.clear();
        self.duty = match role {
            Role::Leaving | Role::Looking => Duty::None,
            Role::Leading { epoch } => {
                let first = Zxid::new(epoch, 0);
                Duty::Primary(Box::new(Primary::new(&self.options, &self.auth, view, first)))
            }
            Role::Learning { .. } => Duty::Learner(Learner::new(self.options.seed, view.now)),
        };
        self.outputs.push_back(Output::Role(role));
    }

    fn committed(&mut self, now: Now, txns: Vec<LoggedTxn>) {
        let Some(last) = txns.last().map(|txn| txn.zxid) else { return };
        match &mut self.duty {
            Duty::Primary(_) => self.release(Due::Agreed(last)),
            Duty::Learner(learner) => {
                let batch = learner.committed(txns, now);
                self.outputs.push_back(Output::Commit { batch });
            }
            // History, before anybody is served.
            Duty::None => {
                let batch = history(txns);
                self.outputs.push_back(Output::Commit { batch });
            }
        }
    }

    /// Entries that are no transactions and wait for nothing any more.
    fn answer(&mut self, entries: Vec<Entry>) {
        if !entries.is_empty() {
            let batch = Batch { entries };
            self.outputs.push_back(Output::Commit { batch });
        }
    }

    fn synced_here(&mut self, tag: u64) {
        while self.syncing.front().is_some_and(|(at, _)| *at <= tag) {
            let (_, request) = self.syncing.pop_front().expect("looked at it");
            self.answer(vec![synced(request)]);
        }
    }

    fn hear_learner(&mut self, view: View<'_>, link: LinkId, sid: Sid, packet: Packet) {
        let read = match packet.kind {
            Some(PacketType::Request) => self.forwarded(view, link, sid, &packet),
            Some(PacketType::Revalidate) => self.revalidate(view.now, link, sid, &packet),
            Some(PacketType::Ping) => self.touched(view.now, &packet),
            _ => Some(()),
        };
        if read.is_none() {
            tracing::warn!(
                "Learner {} sent a {:?} packet that can't be read; its link is closed",
                sid.0,
                packet.kind
            );
            self.outputs.push_back(Output::Wire(zab::Output::Close { link }));
        }
    }

    /// A REQUEST: one transaction comes of it, whatever it is, or the learner waits for ever.
    fn forwarded(&mut self, view: View<'_>, link: LinkId, sid: Sid, packet: &Packet) -> Option<()> {
        let data = packet.data.as_ref()?;
        let forwarded = ForwardedRequest::from_bytes(data).ok()?;
        let op = OpCode::from_code(forwarded.op)?;
        if op == OpCode::Sync {
            self.send_batch(view.now);
            if let Some(zab) = &mut self.zab {
                zab.sync_for(link);
            }
            return Some(());
        }
        let body = data.slice_ref(forwarded.body);
        let session_timeout_ms = match op {
            OpCode::CreateSession => i32::from_be_bytes(body.get(..4)?.try_into().ok()?),
            _ => 0,
        };
        let request = Request {
            session: SessionId(forwarded.session_id),
            cxid: forwarded.cxid,
            origin: None,
            op,
            body,
            identities: packet.identities.clone().into(),
            is_local: false,
            session_timeout_ms,
        };
        self.write(view, &request, Owner::Learner(sid));
        Some(())
    }

    /// Answered at once, in front of what its link still waits for, as Apache does.
    fn revalidate(&mut self, now: Now, link: LinkId, sid: Sid, packet: &Packet) -> Option<()> {
        let asked = SessionTimeout::from_bytes(packet.data.as_ref()?).ok()?;
        let session = SessionId(asked.session_id);
        let (Duty::Primary(primary), Some(zab)) = (&mut self.duty, &mut self.zab) else {
            return Some(());
        };
        let valid = primary.revalidate(now, session, asked.timeout_ms, sid);
        let answer = Revalidated { session_id: asked.session_id, valid };
        let packet = wire::packet(PacketType::Revalidate, packet.zxid.0, Some(&answer.to_bytes()));
        zab.send_to(link, packet);
        Some(())
    }

    fn touched(&mut self, now: Now, packet: &Packet) -> Option<()> {
        let Some(data) = &packet.data else { return Some(()) };
        let touched = Touched::from_bytes(data).ok()?;
        for SessionTimeout { session_id, timeout_ms } in touched.sessions {
            match &mut self.duty {
                Duty::Primary(primary) => primary.touch(now, SessionId(session_id), timeout_ms),
                // An observer's, on their way to the leader.
                Duty::Learner(learner) => learner.relay_touch(SessionId(session_id), timeout_ms),
                Duty::None => {}
            }
        }
        Some(())
    }

    fn hear_leader(&mut self, now: Now, packet: Packet) {
        let Duty::Learner(learner) = &mut self.duty else { return };
        if packet.kind != Some(PacketType::Revalidate) {
            return;
        }
        match packet.data.as_deref().map(Revalidated::from_bytes) {
            Some(Ok(answer)) => {
                let entry = learner.revalidated(answer, now);
                self.answer(entry.into_iter().collect());
            }
            _ => tracing::warn!("The leader's answer to a REVALIDATE can't be read"),
        }
    }
}

fn synced(request: Request) -> Entry {
    let body: Bytes = request.body;
    Entry { origin: request.origin, op: OpCode::Sync, outcome: Outcome::Synced { body } }
}

/// Transactions that nobody here has asked for.
fn history(txns: Vec<LoggedTxn>) -> Batch {
    let entry = |LoggedTxn { zxid, bytes }| {
        let outcome = Outcome::Txn { zxid, record: bytes, effect: SessionEffect::None };
        Entry { origin: None, op: OpCode::Ping, outcome }
    };
    Batch { entries: txns.into_iter().map(entry).collect() }
}
