//! The `oxkeeper` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use oxkeeper::server;
use oxkeeper::tools::{bench, limit};

/// A request's memory is taken by a worker and let go by the pipeline, a reply's the other way
/// round. The C library's allocator has a create cost the pipeline nearly twice the time, since it
/// keeps putting freed pieces together again (docs/BENCHMARKS.md).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A ZooKeeper server: Apache's protocols and files, without the pauses.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a server in the foreground, as its zoo.cfg says
    Serve {
        /// zoo.cfg, or: PORT DATADIR [TICKTIME] [MAXCNXNS]
        #[arg(required = true, num_args = 1..=4)]
        arguments: Vec<String>,
    },
    /// Puts load on a server and says how it bears it
    Bench(bench::BenchArgs),
    /// Measures what this machine could do: a bare server, a bare disk
    BenchLimit(limit::LimitArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Serve { arguments }) => server::leave(server::serve(&arguments)),
        Some(Command::Bench(args)) => told("bench", bench::run(&args)),
        Some(Command::BenchLimit(args)) => told("bench-limit", limit::run(&args)),
        None => server::leave(server::first_run()),
    }
}

/// The exit code of a tool; why it failed goes to standard error.
fn told<E: std::fmt::Display>(tool: &str, done: Result<(), E>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("oxkeeper {tool}: {e}");
            ExitCode::FAILURE
        }
    }
}
