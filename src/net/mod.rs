//! Client sockets: frames in, frames out. One worker is one thread with its own runtime; a
//! connection stays with its worker for life, and so do its watches.
//!
//! ```text
//!   socket ──▶ frames ──▶ handshake │ lane ──▶ reads, under the shared lock ──▶ output ──▶ socket
//!                                   └──▶ asks ──▶ (pipeline) ──▶ inbox ──▶ drain ──▶ output
//! ```
//!
//! Beside the clients' sockets stands the election port, on a thread of its own.
//!
//! What every request moves is counted in the worker's own [`crate::metrics::Tally`], which the
//! server's numbers get once for each wake-up; what is rare is added to them at once.

mod conn;
mod drain;
mod election;
mod frames;
mod handshake;
mod listener;
mod local_sessions;
mod member;
mod queues;
pub mod quorum;
mod read_only;
mod requests;
mod seldom;
mod served;
mod serving;
mod shared;
mod socket;
mod stats;
mod words;
mod worker;

pub use election::{
    ElectionEvents, ElectionPort, ElectionPortError, ElectionPortOptions, ListenAt,
};
pub use listener::{accept, bind, bind_any};
pub use local_sessions::LocalSessions;
pub use member::{LeaderView, MemberView};
pub use queues::{AskQueue, Inbox, WorkerMail};
pub use served::{Served, ServingDesk};
pub use serving::{PipelineLoad, Serving, Term};
pub use shared::{RequestLimits, SessionDesk, Settings, Shared};
pub use socket::ClientSocket;
pub use stats::{ConnStats, Registry};
pub use words::{Question, WatchReport, WatchesWanted, Words};
pub use worker::run as run_worker;
