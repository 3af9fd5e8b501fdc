//! `oxkeeper-check`: holds a history of clients against what members committed, and looks for an
//! order that explains it without any zxid.
//!
//! ```text
//! oxkeeper-check HISTORY [--log DIR]... [--synced-reads] [--steps N]
//! ```
//!
//! HISTORY is a file in the form of `oxkeeper::sim::history::text`. Each DIR is a member's
//! directory of logs (`version-2`), of a member that has served in the end; without any, only the
//! search is made. The exit status is 0 if all is well, 1 if the history is refused, 2 if
//! something can't be read or a search was given up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use oxkeeper::sim::history::linear::judge_workloads;
use oxkeeper::sim::history::{judge, logs, History, Rules};
use oxkeeper::types::LoggedTxn;

/// Judges a history of ZooKeeper clients.
#[derive(Parser)]
struct Options {
    /// The history, one record a line.
    history: PathBuf,
    /// A member's directory of logs; once for each member.
    #[arg(long = "log", value_name = "DIR")]
    logs: Vec<PathBuf>,
    /// A read behind a sync has to see what was acknowledged before the sync.
    #[arg(long)]
    synced_reads: bool,
    /// States that a search may keep for each object.
    #[arg(long, default_value_t = 1_000_000)]
    steps: usize,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(what) => {
            eprintln!("oxkeeper-check: {what}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let text = read(&options.history)?;
    let text = String::from_utf8(text).map_err(|_| "the history is no UTF-8".to_owned())?;
    let history = History::parse(&text).map_err(|error| error.to_string())?;
    let mut is_good = true;
    if !options.logs.is_empty() {
        let members: Result<Vec<_>, String> = options.logs.iter().map(|dir| member(dir)).collect();
        let committed = logs::committed(members?)?;
        let rules = Rules { synced_reads: options.synced_reads };
        let report = judge(&committed, &history, rules);
        print!("replay of {} transactions: {report}", committed.len());
        is_good &= report.is_good();
    }
    let (report, searched) = judge_workloads(&history, options.synced_reads, options.steps);
    for (object, calls) in &searched.calls {
        println!("search: {object}, {calls} calls");
    }
    report.violations.iter().for_each(|violation| println!("  {violation}"));
    is_good &= report.is_good();
    if !is_good {
        println!("refused");
        return Ok(ExitCode::FAILURE);
    }
    if !searched.undecided.is_empty() {
        return Err(format!("not decided within the bound: {}", searched.undecided.join(" ")));
    }
    println!("accepted");
    Ok(ExitCode::SUCCESS)
}

/// All records of a member's logs.
fn member(dir: &Path) -> Result<Vec<LoggedTxn>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut txns = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", dir.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("log.") {
            let bytes = read(&path)?;
            let found = logs::parse_log(&bytes);
            txns.extend(found.map_err(|what| format!("{}: {what}", path.display()))?);
        }
    }
    Ok(txns)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
