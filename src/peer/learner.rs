//! The sessions' side of a follower or observer: writes go to the leader, and come back as
//! transactions that everybody applies; those that were asked for here are answered here.
//!
//! ```text
//!   Ask ─▶ pending ──REQUEST──▶ leader ──▶ PROPOSAL, COMMIT ─▶ committed ─▶ entry with its origin
//! ```
//!
//! The leader makes exactly one transaction of each REQUEST, in their order, so the oldest pending
//! write is the only one that a transaction can belong to (Apache's `CommitProcessor`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jute::quorum::{ForwardedRequest, PacketType, Revalidated, SessionTimeout, Touched};
use jute::txn::TxnHeader;
use jute::{Decode, Encode, ErrorCode, OpCode, Reader};

use super::wire;
use crate::pipeline::{self, Batch, Entry, Origin, Outcome, Request, SessionEffect};
use crate::session::SessionSlot;
use crate::types::{ConnId, LoggedTxn, Now, SessionId};

/// Requests on their way to the leader, and the sessions whose clients are here.
pub(super) struct Learner {
    slots: HashMap<SessionId, Arc<SessionSlot>, FixedState>,
    pending: VecDeque<Pending>,
    /// REVALIDATE packets without an answer.
    resuming: VecDeque<Resuming>,
    /// When the leader was told last which sessions were heard of.
    told_ms: i64,
    /// The sessions that observers have heard of since then, with their timeouts, ms.
    relayed: BTreeMap<SessionId, i32>,
}

/// What waits for the leader, or behind something that does.
struct Pending {
    session: SessionId,
    cxid: i32,
    origin: Option<Origin>,
    op: OpCode,
    timeout_ms: i32,
    wait: Wait,
}

enum Wait {
    /// For its transaction.
    Txn,
    /// For the leader's SYNC.
    Sync { path: Bytes },
    /// For nothing but its turn.
    Refused(ErrorCode),
}

struct Resuming {
    session: SessionId,
    conn: ConnId,
    timeout_ms: i32,
}

impl Learner {
    pub fn new(seed: u64, now: Now) -> Learner {
        Learner {
            slots: HashMap::with_hasher(FixedState::with_seed(seed)),
            pending: VecDeque::new(),
            resuming: VecDeque::new(),
            told_ms: now.mono_ms,
            relayed: BTreeMap::new(),
        }
    }

    /// Takes a write or sync in: what to send to the leader, and what can be answered at once.
    /// What can't be parsed never leaves this server: it would be no transaction there.
    pub fn write(&mut self, request: Request) -> (Option<Bytes>, Option<Entry>) {
        let body = &request.body;
        let wait = match pipeline::check_body(request.op, body) {
            Err(code) => Wait::Refused(code),
            // The leader knows nothing of the session and could only say that it has expired.
            Ok(()) if request.is_local && pipeline::may_make_ephemerals(request.op, body) => {
                Wait::Refused(ErrorCode::EphemeralOnLocalSession)
            }
            Ok(()) if request.op == OpCode::Sync => Wait::Sync { path: request.body.clone() },
            Ok(()) => Wait::Txn,
        };
        let packet = match wait {
            Wait::Refused(_) => None,
            _ => Some(request_packet(&request)),
        };
        self.pend(&request, wait);
        (packet, self.next_refused())
    }

    /// A session that only this server knew becomes everybody's: what to send to the leader, in
    /// front of the write that needs it.
    pub fn upgrade(&mut self, slot: Arc<SessionSlot>) -> Bytes {
        let request = Request {
            session: slot.id(),
            cxid: 0,
            origin: None,
            op: OpCode::CreateSession,
            body: Bytes::new(),
            identities: Arc::from([]),
            is_local: false,
            session_timeout_ms: slot.timeout_ms(),
        };
        self.slots.insert(slot.id(), slot);
        let packet = request_packet(&request);
        self.pend(&request, Wait::Txn);
        packet
    }

    /// A client wants its session back: the leader must say whether it still is one.
    pub fn resume(&mut self, session: SessionId, conn: ConnId, timeout_ms: i32) -> Bytes {
        self.resuming.push_back(Resuming { session, conn, timeout_ms });
        let asked = SessionTimeout { session_id: session.0, timeout_ms };
        wire::packet(PacketType::Revalidate, -1, Some(&asked.to_bytes()))
    }

    /// The leader's answer to a REVALIDATE.
    pub fn revalidated(&mut self, answer: Revalidated, now: Now) -> Option<Entry> {
        let session = SessionId(answer.session_id);
        let at = self.resuming.iter().position(|resuming| resuming.session == session)?;
        let Resuming { conn, timeout_ms, .. } = self.resuming.remove(at)?;
        let outcome = if answer.valid {
            let slot = self.open(session, timeout_ms, now);
            let replaces = slot.attach(conn);
            Outcome::Resumed { slot, conn, timeout_ms, replaces }
        } else {
            Outcome::NotResumed { conn }
        };
        Some(Entry { origin: None, op: OpCode::CreateSession, outcome })
    }

    /// Transactions agreed upon become a batch; those that were asked for here get their origin
    /// back.
    pub fn committed(&mut self, txns: Vec<LoggedTxn>, now: Now) -> Batch {
        let mut batch = Batch::default();
        for txn in txns {
            let entry = self.committed_one(txn, now);
            batch.entries.push(entry);
            batch.entries.extend(std::iter::from_fn(|| self.next_refused()));
        }
        batch
    }

    /// The leader's SYNC: everything committed before it has been put out.
    pub fn synced(&mut self) -> Vec<Entry> {
        let is_next =
            self.pending.front().is_some_and(|next| matches!(next.wait, Wait::Sync { .. }));
        if !is_next {
            tracing::warn!("The leader answered a sync that nobody has asked for now");
            return Vec::new();
        }
        let mut entries = Vec::new();
        if let Some(Pending { origin, op, wait: Wait::Sync { path }, .. }) =
            self.pending.pop_front()
        {
            entries.push(Entry { origin, op, outcome: Outcome::Synced { body: path } });
        }
        entries.extend(std::iter::from_fn(|| self.next_refused()));
        entries
    }

    /// The sessions heard of since the last call, for the answer to a PING: the leader expires
    /// the others. Sessions whose connection is gone are forgotten here; they live on there.
    pub fn touched(&mut self, now: Now) -> Vec<u8> {
        let since_ms = self.told_ms;
        self.told_ms = now.mono_ms;
        let mut touched = Touched::default();
        for (id, timeout_ms) in std::mem::take(&mut self.relayed) {
            touched.sessions.push(SessionTimeout { session_id: id.0, timeout_ms });
        }
        self.slots.retain(|id, slot| {
            let heard = slot.heard_ms().is_some_and(|heard_ms| heard_ms >= since_ms);
            if heard {
                let timeout_ms = slot.timeout_ms();
                touched.sessions.push(SessionTimeout { session_id: id.0, timeout_ms });
            }
            heard || slot.conn().is_some()
        });
        touched.sessions.sort_unstable_by_key(|session| session.session_id);
        touched.sessions.dedup_by_key(|session| session.session_id);
        touched.to_bytes()
    }

    /// An observer has heard of a session: the leader hears of it with the next PING.
    pub fn relay_touch(&mut self, session: SessionId, timeout_ms: i32) {
        self.relayed.insert(session, timeout_ms);
    }

    /// Requests that wait for the leader.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn pend(&mut self, request: &Request, wait: Wait) {
        self.pending.push_back(Pending {
            session: request.session,
            cxid: request.cxid,
            origin: request.origin,
            op: request.op,
            timeout_ms: request.session_timeout_ms,
            wait,
        });
    }

    fn committed_one(&mut self, txn: LoggedTxn, now: Now) -> Entry {
        let header = TxnHeader::decode(&mut Reader::new(&txn.bytes))
            .expect("zab puts out nothing that has no header");
        let asked_here = self.take_asked(&header);
        let kind = OpCode::from_code(header.kind);
        let session = SessionId(header.client_id);
        let effect = match (kind, &asked_here) {
            (Some(OpCode::CreateSession), Some(asked)) => {
                let slot = self.open(session, asked.timeout_ms, now);
                if let Some(origin) = asked.origin {
                    slot.attach(origin.conn);
                }
                SessionEffect::Opened { slot, timeout_ms: asked.timeout_ms }
            }
            (Some(OpCode::CloseSession), _) => {
                let slot = self.slots.remove(&session);
                slot.iter().for_each(|slot| slot.mark_closing());
                SessionEffect::Closed { conn: slot.and_then(|slot| slot.conn()) }
            }
            _ => SessionEffect::None,
        };
        let op = asked_here.as_ref().map(|asked| asked.op).or(kind).unwrap_or(OpCode::Ping);
        Entry {
            origin: asked_here.and_then(|asked| asked.origin),
            op,
            outcome: Outcome::Txn { zxid: txn.zxid, record: txn.bytes, effect },
        }
    }

    fn take_asked(&mut self, header: &TxnHeader) -> Option<Pending> {
        let next = self.pending.front()?;
        let is_it = matches!(next.wait, Wait::Txn)
            && next.session.0 == header.client_id
            && next.cxid == header.cxid;
        if is_it {
            self.pending.pop_front()
        } else {
            None
        }
    }

    fn next_refused(&mut self) -> Option<Entry> {
        let Wait::Refused(code) = self.pending.front()?.wait else { return None };
        let Pending { origin, op, .. } = self.pending.pop_front()?;
        Some(Entry { origin, op, outcome: Outcome::Refused(code) })
    }

    fn open(&mut self, session: SessionId, timeout_ms: i32, now: Now) -> Arc<SessionSlot> {
        let fresh = || Arc::new(SessionSlot::new(session, timeout_ms, now.mono_ms));
        let slot = self.slots.entry(session).or_insert_with(fresh);
        slot.set_timeout_ms(timeout_ms);
        slot.touch(now.mono_ms);
        Arc::clone(slot)
    }
}

/// A write or sync as the leader gets it. createSession's body is the timeout.
pub(super) fn request_packet(request: &Request) -> Bytes {
    let timeout = request.session_timeout_ms.to_be_bytes();
    let body: &[u8] = match request.op {
        OpCode::CreateSession => &timeout,
        _ => &request.body,
    };
    let forwarded = ForwardedRequest {
        session_id: request.session.0,
        cxid: request.cxid,
        op: request.op.code(),
        body,
    };
    wire::packet_of(PacketType::Request, -1, &forwarded.to_bytes(), &request.identities)
}
