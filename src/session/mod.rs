//! Sessions: ids, passwords, deadlines in Apache's tick buckets, admission of connections. Pure.
//!
//! A session's liveness is a [`SessionSlot`]: atomics that the workers of its connections touch
//! without any lock. The [`SessionTable`] belongs to whoever decides expiry (a standalone server,
//! a leader); it looks into the slots when a tick falls due and at no other time.

mod id;
mod slot;
mod table;
mod throttle;

pub use id::{initial_session_id, password, password_matches, SessionIds};
pub use slot::SessionSlot;
pub use table::{next_tick, Bucket, Owner, OwnerError, SessionTable};
pub use throttle::{ConnectionThrottle, SessionCost, ThrottleConfig, Weights};
