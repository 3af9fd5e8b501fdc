//! What the pipeline has left for this worker: first what fired and what was answered, in the
//! order of the transactions, then, when the inbox is empty, whatever that lets go. Always before
//! a read is evaluated under the same hold of the lock, so that an event precedes every reply that
//! can show its change.

use std::rc::Rc;
use std::sync::Arc;

use jute::OpCode;

use super::conn::{Conn, Phase};
use super::requests::{self, Answer, LENGTH_BYTES};
use super::words::WatchReport;
use super::worker::Worker;
use super::{handshake, WorkerMail};
use crate::limits;
use crate::metrics::{Basic, Metrics};
use crate::pipeline::{reply, Effect, Item, WorkerEffects};
use crate::session::SessionSlot;
use crate::tree::{Fired, Replica};
use crate::types::{ConnId, EventKind, Now, Zxid};

impl Worker {
    /// Empties the inbox. Needs the shared lock; leaves the connections that have new output in
    /// the dirty list.
    pub(super) fn drain(self: &Rc<Self>, replica: &Replica, now: Now) {
        let mut answered = Vec::new();
        self.shown.set(self.shared.last_applied());
        for mail in self.shared.inboxes[self.index].take() {
            match mail {
                WorkerMail::Effects { fired, effects } => {
                    self.effects(&fired, effects, now, &mut answered);
                }
                WorkerMail::Serve(serving) => self.start_serving(serving),
                WorkerMail::StopServing(next) => self.stop_serving(next),
                WorkerMail::Accepted(stream, peer) => self.accepted(stream, peer, now),
                WorkerMail::Watches(wanted, asked) => {
                    // Whoever asked may be gone.
                    let _ = asked.send(WatchReport::of(&self.watches.borrow(), wanted));
                }
            }
        }
        // Not before: the replica shows all that was in the inbox, and what a parked read finds
        // there must not come to its client in front of the events.
        for conn in answered {
            self.let_go(replica, &conn, now);
        }
    }

    /// Leaves the connections that had a reply in `answered`.
    fn effects(
        self: &Rc<Self>,
        fired: &Arc<Vec<Fired>>,
        effects: WorkerEffects,
        now: Now,
        answered: &mut Vec<Rc<Conn>>,
    ) {
        let mut next_fired = 0;
        for item in &effects.items {
            self.fire(&fired[next_fired..item.fired_before]);
            next_fired = item.fired_before;
            self.item(&effects.bytes, item, now, answered);
        }
        self.fire(&fired[next_fired..]);
        #[cfg(feature = "mutants")]
        self.watches.borrow_mut().arm_late();
    }

    /// Tells this worker's watchers of changes.
    fn fire(&self, changes: &[Fired]) {
        let mut watches = self.watches.borrow_mut();
        if watches.is_empty() {
            return;
        }
        let mut told: Vec<ConnId> = Vec::new();
        for change in changes {
            told.clear();
            let watchers = watches.fire(change.path(), change.kind, change.table, &mut told);
            if watchers > 0 {
                watch_counts(&self.shared.metrics, change.kind).add(watchers as i64);
            }
            for id in &told {
                if let Some(conn) = self.find(*id) {
                    self.notify(&conn, change);
                }
            }
        }
    }

    /// A client that may not read the znode hears nothing (its one-shot watch is used up).
    fn notify(&self, conn: &Rc<Conn>, change: &Fired) {
        let mut state = conn.state.borrow_mut();
        if !matches!(state.phase, Phase::Open { .. }) {
            return;
        }
        if let Some(acl) = &change.acl {
            if !self.shared.auth.may_read(acl, &state.identities) {
                return;
            }
        }
        if state.unsent() > limits::OUTPUT_BYTES_MAX {
            tracing::warn!("Closing {}: it does not take its watch events", conn.stats.peer);
            state.phase = Phase::Dead;
        } else {
            let before = state.out.len();
            reply::notification(&mut state.out, change.zxid, change.kind as i32, change.path());
            conn.stats.packets_sent(1);
            self.tally.borrow_mut().event((state.out.len() - before - LENGTH_BYTES) as i64);
        }
        drop(state);
        self.mark_dirty(conn);
    }

    fn item(self: &Rc<Self>, bytes: &[u8], item: &Item, now: Now, let_go: &mut Vec<Rc<Conn>>) {
        let is_past = self.is_past(item.conn);
        let answers = match &item.effect {
            Effect::Reply { origin, .. } | Effect::Moved { origin } => {
                Some(i64::from(origin.large_bytes))
            }
            Effect::Opened { .. } | Effect::Refused => Some(0),
            Effect::Close => None,
        };
        if let (Some(large_bytes), false) = (answers, is_past) {
            self.in_pipeline.leave(&self.shared.in_pipeline, large_bytes);
        }
        let Some(conn) = self.find(item.conn).filter(|_| !is_past) else {
            if matches!(item.effect, Effect::Reply { .. }) {
                self.shared.metrics.stale_replies.add(1);
            }
            return;
        };
        match &item.effect {
            Effect::Reply { .. } => {
                self.reply(bytes, &item.effect, &conn, now);
                let_go.push(Rc::clone(&conn));
            }
            Effect::Opened { slot, timeout_ms, new } => {
                self.opened(&conn, slot, *timeout_ms, *new, now);
            }
            Effect::Refused => {
                let mut state = conn.state.borrow_mut();
                if let Phase::Opening { has_read_only, asked } = state.phase {
                    let mut tally = self.tally.borrow_mut();
                    let read_only = has_read_only.then_some(false);
                    handshake::refuse(&mut tally, &conn, &mut state, asked, read_only);
                }
            }
            Effect::Close => conn.state.borrow_mut().close(),
            Effect::Moved { .. } => {
                tracing::info!("Closing {}: its session has moved", conn.stats.peer);
                conn.state.borrow_mut().close();
            }
        }
        self.mark_dirty(&conn);
    }

    /// Puts a reply out. What its connection has parked goes on once all of the inbox is out.
    fn reply(&self, bytes: &[u8], effect: &Effect, conn: &Conn, now: Now) {
        let Effect::Reply { frame, origin, op, zxid, failed, then_close } = effect else { return };
        let mut state = conn.state.borrow_mut();
        let mut tally = self.tally.borrow_mut();
        state.out.raw(&bytes[frame.clone()]);
        state.lane.answered();
        conn.stats.packets_sent(1);
        tally.response((frame.len() - LENGTH_BYTES) as i64);
        let answer = Answer {
            op: (!failed).then_some(*op),
            xid: origin.xid,
            zxid: *zxid,
            received_ms: origin.received_ms,
        };
        let latency_ms = answer.note(conn, now);
        match op {
            OpCode::Sync => tally.read_answered(latency_ms),
            _ => tally.update_answered(latency_ms),
        }
        if *then_close {
            state.close();
        }
    }

    /// Whatever waited for the replies that a connection has had goes on.
    fn let_go(&self, replica: &Replica, conn: &Rc<Conn>, now: Now) {
        let mut state = conn.state.borrow_mut();
        self.at_desk(Some(replica), now, |desk| requests::unpark(desk, conn, &mut state));
        if state.stalled {
            conn.signal();
        }
    }

    /// The session of the connection's handshake exists. `new`: the zxid that made it, and when
    /// the handshake was read.
    fn opened(
        &self,
        conn: &Conn,
        slot: &Arc<SessionSlot>,
        timeout_ms: i32,
        new: Option<(Zxid, i64)>,
        now: Now,
    ) {
        let mut state = conn.state.borrow_mut();
        let Phase::Opening { has_read_only, .. } = state.phase else { return };
        let mut tally = self.tally.borrow_mut();
        if let Some((zxid, received_ms)) = new {
            let answer = Answer { op: Some(OpCode::CreateSession), xid: 0, zxid, received_ms };
            tally.update_answered(answer.note(conn, now));
        }
        let read_only = has_read_only.then_some(false);
        handshake::accept(&mut tally, conn, &mut state, (slot, timeout_ms), read_only);
        conn.signal();
    }
}

/// How many of this worker's connections watched a change: with several workers one change may be
/// recorded by each of them.
fn watch_counts(metrics: &Metrics, kind: EventKind) -> &Basic {
    match kind {
        EventKind::NodeCreated => &metrics.node_created_watch_count,
        EventKind::NodeDeleted => &metrics.node_deleted_watch_count,
        EventKind::NodeDataChanged => &metrics.node_changed_watch_count,
        EventKind::NodeChildrenChanged => &metrics.node_children_watch_count,
    }
}
