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
use jute::txn::{Txn, TxnHeader, TxnRecord};
use jute::{Decode, Encode, ErrorCode, OpCode, Reader};

use super::primary::has_left;
use super::wire;
use crate::pipeline::{self, Batch, Entry, Origin, Outcome, Request, SessionEffect, Unreadable};
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
    /// What the client hears in place of the leader's error, which can't know it.
    error: Option<ErrorCode>,
}

enum Wait {
    /// For its transaction.
    Txn,
    /// For the leader's SYNC.
    Sync { path: Bytes },
    /// For nothing but its turn.
    Refused(ErrorCode),
    /// The same, by this server's own ACLs.
    Denied(ErrorCode),
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
    /// The bytes of what can't be parsed never leave this server. Nor does what is `denied`.
    pub fn write(
        &mut self,
        mut request: Request,
        denied: Option<ErrorCode>,
    ) -> (Option<Bytes>, Option<Entry>) {
        // The leader knows nothing of the session and can only say that it has expired.
        let ephemeral =
            request.is_local && pipeline::may_make_ephemerals(request.op, &request.body);
        let error = ephemeral.then_some(ErrorCode::EphemeralOnLocalSession);
        let left = self.slots.get(&request.session).is_some_and(|slot| has_left(slot, &request));
        let wait = match (pipeline::check_body(request.op, &request.body), denied) {
            _ if left => Wait::Refused(ErrorCode::SessionMoved),
            (Err(Unreadable::Refused), _) => Wait::Refused(ErrorCode::MarshallingError),
            (Err(Unreadable::Logged), _) => {
                // One without operations and without an end: no leader can read that either.
                request.body = Bytes::new();
                Wait::Txn
            }
            (Ok(_), Some(code)) => Wait::Denied(code),
            _ if request.op == OpCode::Sync => Wait::Sync { path: request.body.clone() },
            (Ok(disarmed), None) => {
                if let Some(body) = disarmed {
                    request.body = body.into();
                }
                Wait::Txn
            }
        };
        let packet = match wait {
            Wait::Refused(_) | Wait::Denied(_) => None,
            _ => Some(request_packet(&request)),
        };
        self.pend(&request, wait, error);
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
        self.pend(&request, Wait::Txn, None);
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

    fn pend(&mut self, request: &Request, wait: Wait, error: Option<ErrorCode>) {
        self.pending.push_back(Pending {
            session: request.session,
            cxid: request.cxid,
            origin: request.origin,
            op: request.op,
            timeout_ms: request.session_timeout_ms,
            wait,
            error,
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
        let error = asked_here.as_ref().and_then(|asked| asked.error);
        let record = match error {
            // It changes nothing, whatever it says.
            Some(code) if header.kind == Txn::Error(0).kind() => failure(header, code),
            _ => txn.bytes,
        };
        Entry {
            origin: asked_here.and_then(|asked| asked.origin),
            op,
            outcome: Outcome::Txn { zxid: txn.zxid, record, effect },
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
        let outcome = match self.pending.front()?.wait {
            Wait::Refused(code) => Outcome::Refused(code),
            Wait::Denied(code) => Outcome::Denied(code),
            Wait::Txn | Wait::Sync { .. } => return None,
        };
        let Pending { origin, op, .. } = self.pending.pop_front()?;
        Some(Entry { origin, op, outcome })
    }

    fn open(&mut self, session: SessionId, timeout_ms: i32, now: Now) -> Arc<SessionSlot> {
        let fresh = || Arc::new(SessionSlot::new(session, timeout_ms, now.mono_ms));
        let slot = self.slots.entry(session).or_insert_with(fresh);
        slot.set_timeout_ms(timeout_ms);
        slot.touch(now.mono_ms);
        Arc::clone(slot)
    }
}

/// A transaction that failed with `code`.
fn failure(header: TxnHeader, code: ErrorCode) -> Bytes {
    TxnRecord { header, txn: Txn::Error(code.code()), digest: None }.to_bytes().into()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Zxid;

    const OURS: SessionId = SessionId(7);

    fn learner() -> Learner {
        Learner::new(1, Now { mono_ms: 0, wall_ms: 0 })
    }

    fn request(op: OpCode, body: Vec<u8>, is_local: bool) -> Request {
        Request {
            session: OURS,
            cxid: 3,
            origin: None,
            op,
            body: body.into(),
            identities: Arc::from([]),
            is_local,
            session_timeout_ms: 0,
        }
    }

    /// create of an ephemeral.
    fn ephemeral() -> Vec<u8> {
        let mut w = jute::Writer::new();
        w.buffer(Some(b"/e"));
        w.buffer(None);
        w.i32(0);
        w.i32(1);
        w.into_vec()
    }

    fn failed(code: ErrorCode) -> LoggedTxn {
        let txn = Txn::Error(code.code());
        let header = TxnHeader { client_id: 7, cxid: 3, zxid: 9, time_ms: 0, kind: txn.kind() };
        LoggedTxn { zxid: Zxid(9), bytes: failure(header, code) }
    }

    #[test]
    fn what_cannot_be_parsed_stays_here_and_a_multi_fails_in_its_turn() {
        let mut learner = learner();
        let (packet, refused) = learner.write(request(OpCode::Create, vec![0, 0], false), None);
        assert!(packet.is_none());
        let refused = refused.expect("nothing is in front of it");
        assert!(matches!(refused.outcome, Outcome::Refused(ErrorCode::MarshallingError)));
        // An operation that there is none of, so that nothing behind it can be read.
        let unreadable = [vec![0; 5], vec![0xee; 99]].concat();
        let (packet, refused) = learner.write(request(OpCode::Multi, unreadable, false), None);
        assert!(refused.is_none(), "its transaction is waited for");
        let packet = packet.expect("the leader hears of it");
        assert!(!packet.windows(2).any(|bytes| bytes == [0xee; 2]), "but gets none of its bytes");
    }

    #[test]
    fn the_client_of_a_local_session_hears_why_it_may_have_no_ephemeral() {
        for (is_local, heard) in
            [(true, ErrorCode::EphemeralOnLocalSession), (false, ErrorCode::SessionExpired)]
        {
            let mut learner = learner();
            let (packet, _) = learner.write(request(OpCode::Create, ephemeral(), is_local), None);
            assert!(packet.is_some(), "the leader gives it its zxid");
            let now = Now { mono_ms: 1, wall_ms: 1 };
            let batch = learner.committed(vec![failed(ErrorCode::SessionExpired)], now);
            let Outcome::Txn { zxid, record, .. } = &batch.entries[0].outcome else {
                panic!("a transaction")
            };
            let record = TxnRecord::from_bytes(record).expect("a record");
            assert_eq!((*zxid, record.txn), (Zxid(9), Txn::Error(heard.code())));
        }
    }
}
