//! The shell: threads, sockets, clock and shutdown around the pure core.

mod announce;
mod backstage;
mod client_port;
pub mod clock;
mod count;
mod dirs;
pub(crate) mod driver;
mod election_port;
pub(crate) mod ensemble;
mod exit;
mod log_format;
pub(crate) mod member;
mod member_view;
pub(crate) mod options;
mod oracle;
mod peer_files;
pub mod platform;
mod purge_task;
mod quotas;
pub(crate) mod recover;
mod run;
pub(crate) mod snapshots;
pub(crate) mod start;
mod words;

pub use client_port::ClientPort;
pub use exit::{leave, ExitCode, Failure};
pub use log_format::init as init_logging;
pub use options::{Purge, ServerOptions};
pub use run::Server;
pub use start::{first_run, serve};
