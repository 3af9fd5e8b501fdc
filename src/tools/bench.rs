//! `oxkeeper bench`: load over the raw protocol, and how the server bears it.
//!
//! ```text
//!   build the nodes ─▶ open all sessions ─▶ warm up ─▶ measure ─▶ close ─▶ take the nodes away
//! ```
//!
//! The load is closed: each connection keeps `--in-flight` requests going and sends the next one
//! when a reply comes, so a server that stalls is asked less while it stalls. Latencies run from
//! the moment a request is put into the output buffer to the moment its reply is parsed.
//! It is meant to be cheap: one thread (`--threads`) with a current-thread runtime, requests
//! copied from templates and written in batches, replies counted in bulk, no allocation per
//! request.

mod connection;
mod fanout;
mod herd;
mod histogram;
mod report;
mod session;
mod stats;
mod tree;
mod workload;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::{value_parser, Args, ValueEnum};
use jute::OpCode;
use tokio::task::{JoinSet, LocalSet};

use connection::{Connection, Window};
use stats::Stats;
use tree::TreeClient;
use workload::{Places, Shape, Workload};

pub use histogram::Histogram;
pub use report::Report;
pub use workload::Operation;

/// Memory for input buffers, all connections together.
const INPUT_BUDGET: usize = 64 << 20;
const INPUT_LEN_MIN: usize = 4 << 10;
const INPUT_LEN_MAX: usize = 64 << 10;
/// Sessions that one thread opens at the same time: servers' listen queues are short.
const OPENING_MAX: usize = 32;

/// The command line of `oxkeeper bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Servers, host:port, separated by commas; connections go to them in turn
    #[arg(long, default_value = "127.0.0.1:2181", value_delimiter = ',')]
    pub server: Vec<String>,
    /// What to ask for
    #[arg(long, short, value_enum, default_value = "get")]
    pub operation: Operation,
    /// Connections, each with a session of its own
    #[arg(long, short, default_value_t = 32, value_parser = value_parser!(u32).range(1..=100_000))]
    pub connections: u32,
    /// Requests in flight on each connection
    #[arg(
        long, short = 'f', default_value_t = 16,
        value_parser = value_parser!(u32).range(1..=10_000)
    )]
    pub in_flight: u32,
    /// Measured time, seconds
    #[arg(long, short, default_value_t = 5.0, value_parser = seconds)]
    pub duration: f64,
    /// Time before measuring starts, seconds
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub warm_up: f64,
    /// Measure this many requests in place of a time
    #[arg(long)]
    pub ops: Option<u64>,
    /// Bytes of data in each node and each write
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=1_000_000))]
    pub size: u32,
    /// Data nodes to choose from
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=100_000_000))]
    pub nodes: u32,
    /// Create and delete beside the data nodes and not below a parent of their own
    #[arg(long)]
    pub crowd: bool,
    /// Children of the node that is listed
    #[arg(long, default_value_t = 100)]
    pub children: u32,
    /// Share of reads in `mixed`
    #[arg(long, default_value_t = 90, value_parser = value_parser!(u8).range(0..=100))]
    pub read_percent: u8,
    /// Operations in each multi
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1_000))]
    pub multi_ops: u32,
    /// Threads of the load generator
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Session timeout to ask for, milliseconds
    #[arg(long, default_value_t = 30_000)]
    pub session_timeout: i32,
    /// Parent of all nodes of the load; it must not exist yet, and is deleted afterwards
    #[arg(long, default_value = "/oxkeeper-bench")]
    pub root: String,
    /// Delete what an interrupted run left below --root before starting
    #[arg(long)]
    pub clean: bool,
    /// Leave the nodes in place
    #[arg(long)]
    pub keep: bool,
    /// Show the server to somebody: `watch` says `open`, waits for a line of standard input, says
    /// `armed` and waits again; `reconnect` says `open` and waits for the server to end
    #[arg(long)]
    pub hold: bool,
    /// In JSON, a histogram of each tenth of a second and when the first one began
    #[arg(long)]
    pub slices: bool,
    /// Seed of the choice of nodes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one object on one line.
    Json,
}

/// Why a load could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("{name} is no server address (host:port): {source}")]
    Address { name: String, source: io::Error },
    #[error("can't connect to {addr}: {source}")]
    Connect { addr: SocketAddr, source: io::Error },
    #[error("{addr} closed the connection (is it serving? does maxClientCnxns allow so many?)")]
    Closed { addr: SocketAddr },
    #[error("lost the connection to {addr}: {source}")]
    Lost { addr: SocketAddr, source: io::Error },
    #[error("{addr} sent {what}")]
    Nonsense { addr: SocketAddr, what: &'static str },
    #[error("{addr} answered {op:?} with error {err}")]
    Refused { addr: SocketAddr, op: OpCode, err: i32 },
    #[error("{root} exists already: choose another --root, or --clean to delete it first")]
    RootExists { root: String },
    #[error("--root must be a path with one name, such as /bench: {root}")]
    BadRoot { root: String },
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

/// Runs the load and prints the result to standard output.
pub fn run(args: &BenchArgs) -> Result<(), BenchError> {
    let report = measure(args)?;
    match args.format {
        Format::Table => print!("{report}"),
        Format::Json => println!("{}", report.to_json()),
    }
    Ok(())
}

/// Runs the load: builds the nodes, measures, takes the nodes away.
pub fn measure(args: &BenchArgs) -> Result<Report, BenchError> {
    if args.root.len() < 2 || args.root.rfind('/') != Some(0) {
        return Err(BenchError::BadRoot { root: args.root.clone() });
    }
    let addrs = args.server.iter().map(|name| resolve(name)).collect::<Result<Vec<_>, _>>()?;
    let shape = Shape {
        operation: args.operation,
        places: Places { root: args.root.clone(), crowd: args.crowd },
        nodes: u64::from(args.nodes),
        data_len: args.size as usize,
        read_percent: args.read_percent,
        multi_ops: args.multi_ops as usize,
        deletable: if args.operation == Operation::Delete { quota_of(args) } else { 0 },
        seed: args.seed,
    };
    build(args, &shape, addrs[0])?;
    let measured = match args.operation {
        Operation::Watch => fanout::measure(args, &shape, &addrs),
        Operation::Reconnect => herd::measure(args, &addrs),
        _ => load(args, &shape, &addrs),
    };
    if !args.keep {
        let mut client = TreeClient::open(addrs[0])?;
        take_away(&mut client, &shape.places)?;
        client.close()?;
    }
    measured
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.0..=1e6).contains(&s) => Ok(s),
        _ => Err("a number of seconds is wanted".into()),
    }
}

fn resolve(name: &str) -> Result<SocketAddr, BenchError> {
    let address = |source| BenchError::Address { name: name.to_owned(), source };
    let mut found = name.to_socket_addrs().map_err(address)?;
    found.next().ok_or_else(|| address(io::ErrorKind::NotFound.into()))
}

/// How many measured requests each connection may send.
fn quota_of(args: &BenchArgs) -> u64 {
    /// Deletes need nodes: without --ops there are this many.
    const DELETES_DEFAULT: u64 = 100_000;
    let total = match (args.ops, args.operation) {
        (Some(ops), _) => ops,
        (None, Operation::Delete) => DELETES_DEFAULT,
        (None, _) => return u64::MAX,
    };
    total.div_ceil(u64::from(args.connections))
}

fn build(args: &BenchArgs, shape: &Shape, addr: SocketAddr) -> Result<(), BenchError> {
    let places = &shape.places;
    let data = vec![b'x'; shape.data_len];
    let mut client = TreeClient::open(addr)?;
    if args.clean {
        take_away(&mut client, places)?;
    }
    if !client.create(&places.root)? {
        return Err(BenchError::RootExists { root: places.root.clone() });
    }
    client.create(&places.nursery())?;
    client.create(&places.directory())?;
    if shape.operation.needs_nodes() || args.crowd {
        client.create_all((0..shape.nodes).map(|n| places.node(n)), &data)?;
    }
    if shape.operation.needs_children() {
        let children = 0..u64::from(args.children);
        client.create_all(children.map(|n| places.child(n)), b"")?;
    }
    for connection in 0..args.connections as usize {
        let own = (0..shape.deletable).map(|n| places.own(connection, n));
        client.create_all(own, &data)?;
    }
    client.close()
}

fn take_away(client: &mut TreeClient, places: &Places) -> Result<(), BenchError> {
    for parent in [places.directory(), places.nursery(), places.root.clone()] {
        client.delete_children(&parent)?;
    }
    client.delete_all(std::iter::once(places.root.clone()))
}

/// Spreads the connections over the threads, starts them together, adds up what they counted.
fn load(args: &BenchArgs, shape: &Shape, addrs: &[SocketAddr]) -> Result<Report, BenchError> {
    let mut began_unix = 0.0;
    let stats = thread::scope(|scope| {
        let (ready, all_ready) = mpsc::channel();
        let mut threads = Vec::new();
        let mut starts = Vec::new();
        for index in 0..args.threads.min(args.connections) {
            let (start, started) = mpsc::channel();
            let ready = ready.clone();
            let body = move || run_thread(args, shape, addrs, index, ready, &started);
            let thread = thread::Builder::new().spawn_scoped(scope, body);
            threads.push(thread.map_err(BenchError::Thread)?);
            starts.push(start);
        }
        drop(ready);
        // A thread that fails drops its sender unused: then the channel ends before all are ready,
        // and the others, whose `starts` go here, give up.
        if all_ready.iter().take(threads.len()).count() == threads.len() {
            let window = window(args);
            began_unix = unix_now() + window.measure_from_ns as f64 / 1e9;
            for start in starts {
                start.send(window).expect("a thread that is ready waits for its start");
            }
        } else {
            drop(starts);
        }
        let mut total = Ok(Stats::default());
        for thread in threads {
            let counted = thread.join().expect("a bench thread gives its errors as values");
            match (&mut total, counted) {
                (Ok(total), Ok(stats)) => total.merge(&stats),
                (Ok(_), Err(e)) => total = Err(e),
                (Err(_), _) => {}
            }
        }
        total
    });
    let mut report = Report::new(args, measured_ns(args), stats?);
    if args.slices {
        report.more.push(("began_unix", began_unix));
    }
    Ok(report)
}

/// Seconds since 1970: for whoever looks at something else at the same time.
fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn window(args: &BenchArgs) -> Window {
    let ns = |seconds: f64| (seconds * 1e9) as u64;
    let warm_up = if args.operation == Operation::Delete { 0.0 } else { args.warm_up };
    let measure_from_ns = ns(warm_up);
    let measure_until_ns = measured_ns(args).map_or(u64::MAX, |len| measure_from_ns + len);
    Window { start: Instant::now(), measure_from_ns, measure_until_ns }
}

/// The length of a run by time; `None` for runs by count.
fn measured_ns(args: &BenchArgs) -> Option<u64> {
    let by_time = args.ops.is_none() && args.operation != Operation::Delete;
    by_time.then_some((args.duration * 1e9) as u64)
}

/// The connections whose number is `index` modulo the number of threads.
fn run_thread(
    args: &BenchArgs,
    shape: &Shape,
    addrs: &[SocketAddr],
    index: u32,
    ready: mpsc::Sender<()>,
    started: &mpsc::Receiver<Window>,
) -> Result<Stats, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(BenchError::Thread)?;
    let mine: Vec<usize> =
        (index..args.connections).step_by(args.threads as usize).map(|n| n as usize).collect();
    let addr_of = |n: usize| addrs[n % addrs.len()];
    let mut open = Vec::new();
    if args.operation != Operation::Session {
        for batch in mine.chunks(OPENING_MAX) {
            open.extend(runtime.block_on(open_all(args, batch, addr_of))?);
        }
    }
    // The main thread waits for this as long as it lives: it can't have gone.
    ready.send(()).expect("the main thread waits for all to be ready");
    drop(ready);
    let Ok(window) = started.recv() else { return Ok(Stats::default()) };
    let stats = Rc::new(RefCell::new(Stats::with_slices(args.slices)));
    let quota = quota_of(args);
    let tasks = LocalSet::new();
    let mut running = JoinSet::new();
    if args.operation == Operation::Session {
        for n in mine {
            let (stats, addr, timeout) = (stats.clone(), addr_of(n), args.session_timeout);
            let body = async move { session::drive(addr, timeout, quota, &window, &stats).await };
            running.spawn_local_on(body, &tasks);
        }
    }
    for (n, mut connection) in open {
        let mut workload = Workload::new(shape, n);
        let (stats, depth) = (stats.clone(), args.in_flight as usize);
        let body = async move {
            connection.drive(&mut workload, depth, quota, &window, &stats).await?;
            connection.close().await
        };
        running.spawn_local_on(body, &tasks);
    }
    runtime.block_on(tasks.run_until(async {
        while let Some(done) = running.join_next().await {
            done.expect("a connection's task is never cancelled")?;
        }
        Ok(())
    }))?;
    let counted = stats.take();
    Ok(counted)
}

async fn open_all(
    args: &BenchArgs,
    numbers: &[usize],
    addr_of: impl Fn(usize) -> SocketAddr,
) -> Result<Vec<(usize, Connection)>, BenchError> {
    let input_len = INPUT_BUDGET / args.connections as usize;
    let input_len = input_len.clamp(INPUT_LEN_MIN, INPUT_LEN_MAX);
    let mut opening = JoinSet::new();
    for n in numbers.iter().copied() {
        let open = Connection::open(addr_of(n), args.session_timeout, input_len);
        opening.spawn(async move { Ok((n, open.await?)) });
    }
    let mut open = Vec::with_capacity(numbers.len());
    while let Some(done) = opening.join_next().await {
        open.push(done.expect("a connection's task is never cancelled")?);
    }
    Ok(open)
}
