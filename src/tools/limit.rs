//! `oxkeeper bench-limit`: what this machine could do, for `oxkeeper bench` to measure against.
//!
//! - `echo`: a bare tokio server that reads the load's frames and answers each with a reply of the
//!   size that a server's would have. It keeps nothing. With `--sync DIR` what a server would have
//!   to log is appended to a file and synced before it is answered.
//! - `sync`: how long one append and `fdatasync` takes, without any client.

mod disk;
mod echo;
mod replies;

use std::io;
use std::path::PathBuf;

use clap::{value_parser, Args, Subcommand};

/// The command line of `oxkeeper bench-limit`.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    #[command(subcommand)]
    limit: Limit,
}

#[derive(Debug, Clone, Subcommand)]
enum Limit {
    /// Answers the frames of `oxkeeper bench` on 127.0.0.1 and does nothing else, until killed
    Echo(EchoArgs),
    /// Times appends of records to a file in a directory, a sync behind each batch
    Sync(SyncArgs),
}

#[derive(Debug, Clone, Args)]
struct EchoArgs {
    /// Port to listen on; 0 takes a free one and says which
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Bytes of data in replies to getData
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=1_000_000))]
    size: u32,
    /// Names in replies to getChildren
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=100_000))]
    children: u32,
    /// Append writes to a file in this directory and sync it before they are answered
    #[arg(long)]
    sync: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
struct SyncArgs {
    /// Where the file is made: on the disk that is to be measured
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Records in each append
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    records: u32,
    /// Bytes of a record; a create of a small znode is logged in about 220
    #[arg(long, default_value_t = 220, value_parser = value_parser!(u32).range(1..=10_000))]
    bytes: u32,
    /// How many appends are timed
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    count: u32,
}

/// Why a limit could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    #[error("can't listen on 127.0.0.1:{port}: {source}")]
    Listen { port: u16, source: io::Error },
    #[error("can't start: {0}")]
    Runtime(io::Error),
    #[error("can't write to a file in {dir}: {source}")]
    File { dir: PathBuf, source: io::Error },
}

/// Runs what the command line says.
pub fn run(args: &LimitArgs) -> Result<(), LimitError> {
    match &args.limit {
        Limit::Echo(args) => echo::run(args),
        Limit::Sync(args) => disk::run(args),
    }
}
