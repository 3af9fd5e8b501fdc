//! Who is alive: the sessions of a standalone server or a leader, and when each expires.

use hashbrown::HashMap;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::SessionSlot;
use crate::types::{SessionId, Sid};

/// All sessions and their deadlines.
///
/// A deadline is `((heard + timeout) / tick + 1) * tick`, so that sessions end in batches, between
/// `timeout` and `timeout + tick` after their last request (Apache's `ExpiryQueue`). Requests only
/// write to the slot: a session is filed under the deadline known when it was filed, and when that
/// one falls due its slot tells whether it has really passed or has moved on.
///
/// A check that comes late says that this process stood still (a stopped container, a busy
/// machine). Clients could not be heard meanwhile, so everybody heard of before gets that time
/// on top.
#[derive(Debug)]
pub struct SessionTable {
    tick_ms: i64,
    sessions: HashMap<SessionId, Entry, foldhash::fast::FixedState>,
    /// (deadline, session) for every session that is not closing.
    filed: BTreeSet<(i64, SessionId)>,
    /// When the next check is due: a multiple of the tick.
    next_check_ms: i64,
    /// Late checks, oldest first.
    pauses: VecDeque<Pause>,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<SessionSlot>,
    /// Under which deadline it is filed; `None` while closing.
    filed_ms: Option<i64>,
    owner: Option<Owner>,
}

impl Entry {
    /// The slot says it too: reads are answered without asking this table.
    fn give_to(&mut self, owner: Owner) {
        if self.owner != Some(owner) {
            self.owner = Some(owner);
            self.slot.set_elsewhere(owner != Owner::Here);
        }
    }
}

/// The process stood still for `lasted_ms` and went on at `end_ms`.
#[derive(Debug, Clone, Copy)]
struct Pause {
    end_ms: i64,
    lasted_ms: i64,
}

/// The server that serves a session's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This one.
    Here,
    /// The learner with that id.
    Learner(Sid),
}

/// Why a request of a session is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// Never heard of, or removed.
    #[error("the session is unknown")]
    Unknown,
    /// Its closeSession is under way.
    #[error("the session is closing")]
    Closing,
    /// Another server serves the session by now: close this connection.
    #[error("the session has moved to another server")]
    Moved,
}

/// Sessions that end at the same time, for `dump`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Monotonic milliseconds.
    pub deadline_ms: i64,
    /// In ascending order.
    pub sessions: Vec<SessionId>,
}

impl SessionTable {
    /// No session yet. `tick_ms` is `tickTime` and above 0; no result depends on `hash_seed`.
    pub fn new(tick_ms: i32, hash_seed: u64, now_ms: i64) -> SessionTable {
        assert!(tick_ms > 0, "the configuration refuses a tickTime below 1");
        let mut table = SessionTable {
            tick_ms: i64::from(tick_ms),
            sessions: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(hash_seed)),
            filed: BTreeSet::new(),
            next_check_ms: 0,
            pauses: VecDeque::new(),
        };
        table.next_check_ms = table.next_tick(now_ms);
        table
    }

    /// Tracks a session, new or read from disk, with its whole timeout ahead of it. One that is
    /// tracked already keeps its slot and is touched.
    pub fn track(&mut self, id: SessionId, timeout_ms: i32, now_ms: i64) -> Arc<SessionSlot> {
        if self.filed.is_empty() {
            // Nobody waited for a check, so none is late.
            self.next_check_ms = self.next_tick(now_ms);
        }
        if self.sessions.contains_key(&id) {
            self.resume(id, timeout_ms, now_ms);
            return Arc::clone(&self.sessions[&id].slot);
        }
        let slot = Arc::new(SessionSlot::new(id, timeout_ms, now_ms));
        let entry = Entry { slot: Arc::clone(&slot), filed_ms: None, owner: None };
        self.sessions.insert(id, entry);
        self.file(id);
        slot
    }

    /// Tracks a session that has a slot already: one that was known here alone becomes everybody's.
    /// One that is tracked under another slot keeps that.
    pub fn adopt(&mut self, slot: Arc<SessionSlot>, now_ms: i64) {
        let id = slot.id();
        if self.filed.is_empty() {
            self.next_check_ms = self.next_tick(now_ms);
        }
        self.sessions.entry(id).or_insert(Entry { slot, filed_ms: None, owner: None });
        self.file(id);
    }

    /// Stops tracking a session without ending it: somebody else decides about it now.
    pub fn release(&mut self, id: SessionId) {
        self.unfile(id);
        self.sessions.remove(&id);
    }

    /// A client takes up its session again, perhaps with another timeout. `None` when the session
    /// is unknown or closing: then the client is refused.
    pub fn resume(
        &mut self,
        id: SessionId,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Option<Arc<SessionSlot>> {
        let slot = Arc::clone(&self.sessions.get(&id)?.slot);
        if !slot.touch(now_ms) {
            return None;
        }
        slot.set_timeout_ms(timeout_ms);
        self.file(id);
        Some(slot)
    }

    /// A learner reports that it heard of the session (what its own clients sent it). False when
    /// the session is unknown or closing.
    pub fn touch(&mut self, id: SessionId, timeout_ms: i32, now_ms: i64) -> bool {
        self.resume(id, timeout_ms, now_ms).is_some()
    }

    /// The slot of a session, closing or not.
    pub fn slot(&self, id: SessionId) -> Option<&Arc<SessionSlot>> {
        self.sessions.get(&id).map(|entry| &entry.slot)
    }

    /// Whether the session is known, closing or not.
    pub fn contains(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id)
    }

    /// Sessions known, closing ones included (`global_sessions`).
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is known.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Checks that a request of the session may be executed for `owner`. The first one to ask
    /// owns a session that nobody owns (Apache's `checkSession`).
    pub fn check_owner(&mut self, id: SessionId, owner: Owner) -> Result<(), OwnerError> {
        let entry = self.sessions.get_mut(&id).ok_or(OwnerError::Unknown)?;
        if entry.slot.is_closing() {
            return Err(OwnerError::Closing);
        }
        match entry.owner {
            Some(now) if now != owner => Err(OwnerError::Moved),
            _ => {
                entry.give_to(owner);
                Ok(())
            }
        }
    }

    /// The session's client is at `owner` now: it was made there, or came back there.
    pub fn set_owner(&mut self, id: SessionId, owner: Owner) -> Result<(), OwnerError> {
        let entry = self.sessions.get_mut(&id).ok_or(OwnerError::Unknown)?;
        if entry.slot.is_closing() {
            return Err(OwnerError::Closing);
        }
        entry.give_to(owner);
        Ok(())
    }

    /// closeSession is under way: no touch succeeds any more, and expiry leaves it alone.
    pub fn mark_closing(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.get_mut(&id) {
            entry.slot.mark_closing();
            self.unfile(id);
        }
    }

    /// closeSession has been applied.
    pub fn remove(&mut self, id: SessionId) {
        self.mark_closing(id);
        self.sessions.remove(&id);
    }

    /// Every session starts its whole timeout anew: a leader begins its reign. Sessions that were
    /// closing stay so.
    pub fn restart_all(&mut self, now_ms: i64) {
        self.next_check_ms = self.next_tick(now_ms);
        let mut alive: Vec<SessionId> = self.filed.iter().map(|&(_, id)| id).collect();
        alive.retain(|id| self.sessions[id].slot.touch(now_ms));
        alive.into_iter().for_each(|id| self.file(id));
    }

    /// When [`SessionTable::expired`] wants to be called next; `None` without sessions.
    pub fn poll_timeout(&self) -> Option<i64> {
        (!self.filed.is_empty()).then_some(self.next_check_ms)
    }

    /// The sessions whose deadline has passed, in the order of deadline and id. They are closing
    /// from this moment on: a touch either came before and saved the session, or fails. Each is
    /// reported once; the caller proposes its closeSession.
    pub fn expired(&mut self, now_ms: i64) -> Vec<SessionId> {
        if now_ms < self.next_check_ms {
            return Vec::new();
        }
        self.note_pause(now_ms);
        self.next_check_ms = self.next_tick(now_ms);
        let later = self.filed.split_off(&(now_ms.saturating_add(1), SessionId(i64::MIN)));
        let due = std::mem::replace(&mut self.filed, later);
        let mut expired = Vec::new();
        for (_, id) in due {
            self.sessions.get_mut(&id).expect("filed sessions are tracked").filed_ms = None;
            if self.close_if_overdue(id, now_ms) {
                expired.push(id);
            }
        }
        expired
    }

    /// The deadlines as they stand now, for `dump`.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut deadlines: Vec<(i64, SessionId)> = Vec::with_capacity(self.filed.len());
        for &(_, id) in &self.filed {
            let slot = &self.sessions[&id].slot;
            deadlines.extend(slot.heard_ms().map(|heard| (self.deadline(slot, heard), id)));
        }
        deadlines.sort_unstable();
        let same = deadlines.chunk_by(|a, b| a.0 == b.0);
        same.map(|bucket| Bucket {
            deadline_ms: bucket[0].0,
            sessions: bucket.iter().map(|&(_, id)| id).collect(),
        })
        .collect()
    }

    /// Looks into the slot. A touch between reading and closing sends us round again.
    fn close_if_overdue(&mut self, id: SessionId, now_ms: i64) -> bool {
        let slot = Arc::clone(&self.sessions[&id].slot);
        while let Some(heard) = slot.heard_ms() {
            if self.deadline(&slot, heard) > now_ms {
                self.file(id);
                return false;
            }
            if slot.close_unless_touched(heard) {
                return true;
            }
        }
        // A worker has marked it closing: its closeSession is on the way already.
        false
    }

    /// Files the session under its deadline as it stands now.
    fn file(&mut self, id: SessionId) {
        self.unfile(id);
        let slot = Arc::clone(&self.sessions[&id].slot);
        let Some(heard) = slot.heard_ms() else { return };
        let deadline = self.deadline(&slot, heard);
        self.filed.insert((deadline, id));
        self.sessions.get_mut(&id).expect("looked up above").filed_ms = Some(deadline);
    }

    fn unfile(&mut self, id: SessionId) {
        let filed = self.sessions.get_mut(&id).and_then(|entry| entry.filed_ms.take());
        if let Some(deadline) = filed {
            self.filed.remove(&(deadline, id));
        }
    }

    fn deadline(&self, slot: &SessionSlot, heard_ms: i64) -> i64 {
        let since = self.pauses.iter().rev().take_while(|pause| pause.end_ms > heard_ms);
        let paused_ms: i64 = since.map(|pause| pause.lasted_ms).sum();
        self.next_tick(heard_ms + i64::from(slot.timeout_ms()) + paused_ms)
    }

    /// Remembers how late this check is, unless it is no more than the grain of a timer.
    fn note_pause(&mut self, now_ms: i64) {
        let lasted_ms = now_ms - self.next_check_ms;
        if lasted_ms <= self.tick_ms / LATE_TICK_DIVISOR || mutant!(ExpiredOnResume) {
            return;
        }
        if self.pauses.len() == PAUSES_MAX {
            // Merged into the next one while a session may be as old as that: too long a life
            // rather than too short a one.
            let paused_ms: i64 = self.pauses.iter().map(|pause| pause.lasted_ms).sum();
            let life_ms = self.longest_timeout_ms() + self.tick_ms + paused_ms;
            let oldest = self.pauses.pop_front().expect("the list is full");
            let next = self.pauses.front_mut().expect("the list holds more than one");
            if oldest.end_ms + life_ms > now_ms {
                next.lasted_ms += oldest.lasted_ms;
            }
        }
        self.pauses.push_back(Pause { end_ms: now_ms, lasted_ms });
    }

    fn longest_timeout_ms(&self) -> i64 {
        let timeouts = self.sessions.values().map(|entry| entry.slot.timeout_ms());
        i64::from(timeouts.max().unwrap_or(0))
    }

    fn next_tick(&self, at_ms: i64) -> i64 {
        next_tick(at_ms, self.tick_ms)
    }
}

/// The first multiple of `tick_ms` after `at_ms`: where Apache's `ExpiryQueue` puts a deadline.
/// Connections without a session use it too, with a tick of their own.
pub fn next_tick(at_ms: i64, tick_ms: i64) -> i64 {
    (at_ms / tick_ms + 1) * tick_ms
}

/// A check that is late by less than this part of a tick is on time.
const LATE_TICK_DIVISOR: i64 = 20;
/// Late checks that are kept apart.
const PAUSES_MAX: usize = 16;

#[cfg(test)]
mod tests;
