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
