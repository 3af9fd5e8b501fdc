//! request -> txn -> reply: lane, prep, commit, finalize. Pure.
//!
//! A write walks [`prep`] (checks, zxid, transaction), the log, [`commit`] (the replica) and comes
//! back as [`Effects`]; a read runs [`finalize`] where it was decoded. [`Lane`] keeps the two in
//! order for each connection.

mod batch;
mod commit;
pub mod finalize;
mod lane;
mod overlay;
mod prep;
pub mod reply;
mod request;

pub use batch::{Batch, BatchBuilder, Entry, Outcome, SessionEffect};
pub use commit::{commit, Effect, Effects, Item, WorkerEffects};
pub use lane::{Lane, Parked, Verdict, Way};
pub use prep::{check_body, denied, may_make_ephemerals, Context, Prep, PrepOptions, Unreadable};
pub use request::{Ask, Origin, Request};
