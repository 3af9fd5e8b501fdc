//! Consensus: elections, discovery, synchronisation, broadcast (Zab, as Apache's servers speak
//! it). Pure: events in, outputs out, time an argument. Knows transactions as bytes with a zxid
//! and never sees a znode.
//!
//! ```text
//!   election port ── Notification ──▶ ┌──────────────────────────┐ ──▶ Notify ──▶ election port
//!   quorum port ──── Packet ────────▶ │ Zab                      │ ──▶ Send ────▶ quorum port
//!   peer ─────────── propose, … ────▶ │  looking · leading ·     │ ──▶ Persist ─▶ log, epochs
//!   disk ─────────── Persisted ─────▶ │  following · observing   │ ──▶ Committed ▶ peer ▶ replica
//!                                     └──────────────────────────┘ ──▶ Role, Learner… ▶ peer
//! ```
//!
//! Every durable step is an output with a token; whatever depends on it (an ACK, a vote, an
//! epoch) leaves only from the handler of `Persisted`.

mod election;
mod io;
mod quorum;

pub use election::{Election, ElectionOptions, ElectionOutput, Vote};
pub use io::{
    Event, LearnerKind, LinkId, Notification, Output, Packet, Role, Step, SyncMode, Token,
};
pub use quorum::{Membership, QuorumRule, Quorums};

/// TEMP
pub struct Zab;
impl Zab {
    pub fn handle(&mut self, _now: i64, _e: Event) {}
    pub fn poll_output(&mut self) -> Option<Output> { None }
    pub fn poll_timeout(&self) -> Option<i64> { None }
    pub fn propose(&mut self, _now: i64, _t: Vec<crate::types::LoggedTxn>) {}
    pub fn sync_local(&mut self, _t: u64) {}
    pub fn sync_for(&mut self, _l: LinkId) {}
    pub fn send_to_leader(&mut self, _p: bytes::Bytes) {}
    pub fn send_to(&mut self, _l: LinkId, _p: bytes::Bytes) {}
    pub fn pong(&mut self, _z: crate::types::Zxid, _t: bytes::Bytes) {}
}
