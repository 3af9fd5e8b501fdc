//! The shell: threads, sockets, clock and shutdown around the pure core.

mod backstage;
pub mod clock;
mod count;
mod driver;
mod exit;
mod log_format;
mod options;
mod quotas;
mod run;
mod snapshots;
mod start;
mod words;

pub use exit::{ExitCode, Failure};
pub use log_format::init as init_logging;
pub use options::{Purge, ServerOptions};
pub use run::Server;
pub use start::{first_run, serve};
