//! The shell: threads, sockets, clock and shutdown around the pure core.

mod announce;
mod backstage;
mod client_port;
pub mod clock;
mod count;
mod dirs;
mod driver;
mod election_port;
mod ensemble;
mod exit;
mod log_format;
mod member;
mod member_view;
mod options;
mod oracle;
mod peer_files;
mod purge_task;
mod quotas;
mod recover;
mod run;
mod snapshots;
mod start;
mod words;

pub use client_port::ClientPort;
pub use exit::{leave, ExitCode, Failure};
pub use log_format::init as init_logging;
pub use options::{Purge, ServerOptions};
pub use run::Server;
pub use start::{first_run, serve};
