//! Client sockets: frames in, frames out. One worker is one thread with its own runtime; a
//! connection stays with its worker for life, and so do its watches.
//!
//! ```text
//!   socket ──▶ frames ──▶ handshake │ lane ──▶ reads, under the shared lock ──▶ output ──▶ socket
//!                                   └──▶ asks ──▶ (pipeline) ──▶ inbox ──▶ drain ──▶ output
//! ```

mod conn;
mod drain;
mod frames;
mod handshake;
mod listener;
mod requests;
mod shared;
mod stats;
mod words;
mod worker;

pub use listener::{accept, bind, bind_any};
pub use shared::{
    AskQueue, Inbox, RequestLimits, SessionDesk, Settings, Shared, Totals, WorkerMail,
};
pub use stats::{ConnStats, Registry};
pub use words::{Question, WatchReport, Words};
pub use worker::run as run_worker;
