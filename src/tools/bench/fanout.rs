//! Watch fan-out: every connection watches every node, one more sets each node once.
//!
//! ```text
//!   arm all watches ─▶ set the nodes, `--in-flight` at a time ─▶ wait for every event ─▶ again
//! ```
//!
//! Only the time from the first set to the last event counts. A latency runs from the moment a
//! set is sent to the moment one watcher has read its event.

use std::cell::RefCell;
use std::io::BufRead;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use super::connection::{Connection, Window};
use super::report::Report;
use super::stats::Stats;
use super::workload::{Kind, Shape, Workload};
use super::{open_all, BenchArgs, BenchError, OPENING_MAX};

/// Watches that one connection has asked for and not got yet.
const ARMING_DEPTH: usize = 32;
/// All events of a round must have come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs rounds for the time that `args` say; or, to `--hold`, arms once and waits to be told.
pub fn measure(
    args: &BenchArgs,
    shape: &Shape,
    addrs: &[SocketAddr],
) -> Result<Report, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::Thread)?;
    let tasks = LocalSet::new();
    runtime.block_on(tasks.run_until(async {
        let mut watchers = Vec::new();
        let numbers: Vec<usize> = (0..args.connections as usize).collect();
        for batch in numbers.chunks(OPENING_MAX) {
            watchers.extend(open_all(args, batch, |n| addrs[n % addrs.len()]).await?);
        }
        let watchers: Vec<_> = watchers.into_iter().map(|(_, connection)| connection).collect();
        if args.hold {
            return hold(args, shape, watchers).await;
        }
        let (total, counted) = rounds(args, shape, addrs, watchers).await?;
        Ok(Report::new(args, Some(total.as_nanos() as u64), counted))
    }))
}

async fn rounds(
    args: &BenchArgs,
    shape: &Shape,
    addrs: &[SocketAddr],
    mut watchers: Vec<Connection>,
) -> Result<(Duration, Stats), BenchError> {
    let (warm_up, wanted) =
        (Duration::from_secs_f64(args.warm_up), Duration::from_secs_f64(args.duration));
    let mut writer = Connection::open(addrs[0], args.session_timeout, 4 << 10).await?;
    let started = Instant::now();
    let mut total = Duration::ZERO;
    let mut counted = Stats::default();
    // A round that counts takes some time; so does one that warms up.
    while total < wanted || counted.reads.count() == 0 {
        watchers = arm(shape, watchers).await?;
        let warm = started.elapsed() >= warm_up;
        let patience = tokio::time::timeout(PATIENCE, fire(args, shape, &mut writer, watchers));
        let (back, took, stats) = patience.await.map_err(|_| BenchError::Nonsense {
            addr: addrs[0],
            what: "fewer events than there were watches",
        })??;
        watchers = back;
        if warm {
            total += took;
            counted.merge(&stats);
        }
    }
    close_all(watchers).await?;
    writer.close().await?;
    Ok((total, counted))
}

/// Watches every node on every connection; returns when all watches are answered.
async fn arm(shape: &Shape, watchers: Vec<Connection>) -> Result<Vec<Connection>, BenchError> {
    let mut arming = JoinSet::new();
    for mut connection in watchers {
        let mut workload = Workload::new(shape, 0);
        let nodes = shape.nodes;
        arming.spawn_local(async move {
            let stats = Rc::new(RefCell::new(Stats::default()));
            let window = always();
            connection.drive(&mut workload, ARMING_DEPTH, nodes, &window, &stats).await?;
            Ok(connection)
        });
    }
    all_of(arming).await
}

/// Sets every node and waits for all events; tells how long that took.
async fn fire(
    args: &BenchArgs,
    shape: &Shape,
    writer: &mut Connection,
    watchers: Vec<Connection>,
) -> Result<(Vec<Connection>, Duration, Stats), BenchError> {
    let nodes = shape.nodes;
    let window = always();
    let stats = Rc::new(RefCell::new(Stats::default()));
    let set_at = Rc::new(RefCell::new(vec![0; nodes as usize]));
    let mut waiting = JoinSet::new();
    for mut connection in watchers {
        let (stats, set_at) = (stats.clone(), set_at.clone());
        waiting.spawn_local(async move {
            let each = |number: u64, now_ns: u64| {
                let sent_ns = set_at.borrow()[number as usize % nodes as usize];
                stats.borrow_mut().count(&window, sent_ns, now_ns, Kind::Read, 0);
            };
            connection.take_events(nodes, &window, each).await?;
            Ok(connection)
        });
    }
    let mut workload = Workload::setting_in_turn(shape);
    let unseen = Rc::new(RefCell::new(Stats::default()));
    let depth = u64::from(args.in_flight);
    for first in (0..nodes).step_by(args.in_flight as usize) {
        let last = nodes.min(first + depth);
        set_at.borrow_mut()[first as usize..last as usize].fill(window.now_ns());
        writer.drive(&mut workload, depth as usize, last - first, &window, &unseen).await?;
    }
    let watchers = all_of(waiting).await?;
    let took = Duration::from_nanos(stats.borrow().last_ns);
    Ok((watchers, took, stats.take()))
}

/// Arms once. Says when the connections are open and when the watches are set, and waits for a
/// line (or the end) of standard input each time: somebody looks at the server meanwhile.
async fn hold(
    args: &BenchArgs,
    shape: &Shape,
    watchers: Vec<Connection>,
) -> Result<Report, BenchError> {
    wait_for_line("open");
    let started = Instant::now();
    let watchers = arm(shape, watchers).await?;
    let took = started.elapsed();
    wait_for_line("armed");
    close_all(watchers).await?;
    let mut report = Report::new(args, Some(took.as_nanos() as u64), Stats::default());
    report.more.push(("armed_seconds", took.as_secs_f64()));
    Ok(report)
}

/// Prints a word and waits for a line.
pub fn wait_for_line(word: &str) {
    println!("{word}");
    // The end of the input and its failure mean the same: go on.
    std::io::stdin().lock().lines().next();
}

async fn close_all(connections: Vec<Connection>) -> Result<(), BenchError> {
    let mut closing = JoinSet::new();
    for connection in connections {
        closing.spawn_local(connection.close());
    }
    all_of(closing).await.map(|_: Vec<()>| ())
}

async fn all_of<T: 'static>(
    mut running: JoinSet<Result<T, BenchError>>,
) -> Result<Vec<T>, BenchError> {
    let mut done = Vec::with_capacity(running.len());
    while let Some(one) = running.join_next().await {
        done.push(one.expect("a connection's task is never cancelled")?);
    }
    Ok(done)
}

/// A window that begins now and never ends.
fn always() -> Window {
    Window { start: Instant::now(), measure_from_ns: 0, measure_until_ns: u64::MAX }
}
