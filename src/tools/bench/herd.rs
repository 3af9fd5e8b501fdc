//! A herd of sessions: all of them lose their connections at the same moment and come back.
//!
//! Either the load generator cuts the connections, or, with `--hold`, it waits for the server to
//! end. A session tries again a moment after each failure, with the next server of the list, until
//! one takes it or says that it has expired. A latency runs from the loss to the welcome.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jute::proto::{ConnectRequest, ConnectResponse, RequestHeader};
use jute::{Decode, Encode, ErrorCode, OpCode, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::connection::Window;
use super::report::Report;
use super::stats::Stats;
use super::workload::Kind;
use super::{unix_now, BenchArgs, BenchError, OPENING_MAX};

/// How soon a session tries again.
const RETRY: Duration = Duration::from_millis(10);
/// A session that nobody has taken for so long ends the run.
const PATIENCE: Duration = Duration::from_secs(120);
/// No answer to a handshake is longer.
const ANSWER_LEN_MAX: usize = 256;

/// A session and the connection that it has now.
struct Held {
    number: usize,
    stream: TcpStream,
    id: i64,
    password: [u8; 16],
}

/// Opens all sessions, has them cut off, sees all of them return, and closes them.
pub fn measure(args: &BenchArgs, addrs: &[SocketAddr]) -> Result<Report, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::Thread)?;
    let tasks = LocalSet::new();
    let ends = Rc::new(Ends { addrs: addrs.to_vec(), timeout_ms: args.session_timeout });
    runtime.block_on(tasks.run_until(async {
        let started = Instant::now();
        let held = open(args, &ends).await?;
        let open_s = started.elapsed().as_secs_f64();
        if args.hold {
            println!("open");
        }
        let cut = if args.hold { wait_for_cut(held).await } else { cut(held) };
        let start = cut.iter().map(|one| one.at).min().unwrap_or_else(Instant::now);
        let first_cut_unix = unix_now() - start.elapsed().as_secs_f64();
        let (held, stats) = come_back(cut, start, &ends).await?;
        let took = start.elapsed();
        let all_back_unix = unix_now();
        let started = Instant::now();
        close(held, &ends).await?;
        let mut report = Report::new(args, Some(took.as_nanos() as u64), stats);
        report.more = vec![
            ("open_seconds", open_s),
            ("close_seconds", started.elapsed().as_secs_f64()),
            ("first_cut_unix", first_cut_unix),
            ("all_back_unix", all_back_unix),
        ];
        Ok(report)
    }))
}

/// Where the sessions live, and what they ask for.
struct Ends {
    addrs: Vec<SocketAddr>,
    timeout_ms: i32,
}

impl Ends {
    fn addr(&self, turn: usize) -> SocketAddr {
        self.addrs[turn % self.addrs.len()]
    }

    /// How long an attempt may take: as clients have it, a server's share of the timeout.
    fn attempt(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.max(0) as u64) / self.addrs.len() as u32
    }
}

/// A session without a connection.
struct Cut {
    number: usize,
    id: i64,
    password: [u8; 16],
    at: Instant,
}

impl From<Held> for Cut {
    fn from(held: Held) -> Cut {
        let Held { number, id, password, .. } = held;
        Cut { number, id, password, at: Instant::now() }
    }
}

async fn open(args: &BenchArgs, ends: &Rc<Ends>) -> Result<Vec<Held>, BenchError> {
    let mut held = Vec::with_capacity(args.connections as usize);
    let numbers: Vec<usize> = (0..args.connections as usize).collect();
    for batch in numbers.chunks(OPENING_MAX) {
        let mut opening = JoinSet::new();
        for number in batch.iter().copied() {
            let ends = ends.clone();
            opening.spawn_local(async move {
                let addr = ends.addr(number);
                let new = Cut { number, id: 0, password: [0; 16], at: Instant::now() };
                let what = "a refusal of a new session";
                attach(addr, &new, ends.timeout_ms)
                    .await?
                    .ok_or(BenchError::Nonsense { addr, what })
            });
        }
        while let Some(done) = opening.join_next().await {
            held.push(done.expect("a session's task is never cancelled")?);
        }
    }
    Ok(held)
}

/// Closes all sockets without a word.
fn cut(held: Vec<Held>) -> Vec<Cut> {
    held.into_iter().map(Cut::from).collect()
}

/// Returns when the server has closed every connection, or has died.
async fn wait_for_cut(held: Vec<Held>) -> Vec<Cut> {
    let mut waiting = JoinSet::new();
    for mut one in held {
        waiting.spawn_local(async move {
            let mut rest = [0; ANSWER_LEN_MAX];
            while one.stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            Cut::from(one)
        });
    }
    let mut all = Vec::with_capacity(waiting.len());
    while let Some(one) = waiting.join_next().await {
        all.push(one.expect("a session's task is never cancelled"));
    }
    all
}

/// All sessions at once. Those that have expired are counted as errors.
async fn come_back(
    cut: Vec<Cut>,
    start: Instant,
    ends: &Rc<Ends>,
) -> Result<(Vec<Held>, Stats), BenchError> {
    let window = Window { start, measure_from_ns: 0, measure_until_ns: u64::MAX };
    let stats = Rc::new(RefCell::new(Stats::default()));
    let mut coming = JoinSet::new();
    for one in cut {
        let (ends, stats) = (ends.clone(), stats.clone());
        coming.spawn_local(async move {
            let back = persist(&one, &ends).await?;
            let err = if back.is_some() { 0 } else { ErrorCode::SessionExpired.code() };
            let cut_ns = (one.at - window.start).as_nanos() as u64;
            stats.borrow_mut().count(&window, cut_ns, window.now_ns(), Kind::Write, err);
            Ok(back)
        });
    }
    let mut held = Vec::with_capacity(coming.len());
    while let Some(done) = coming.join_next().await {
        held.extend(done.expect("a session's task is never cancelled")?);
    }
    let stats = stats.take();
    Ok((held, stats))
}

/// Tries until a server takes the session (`None`: it has expired).
async fn persist(cut: &Cut, ends: &Ends) -> Result<Option<Held>, BenchError> {
    let mut turn = cut.number;
    loop {
        let addr = ends.addr(turn);
        let attempt = attach(addr, cut, ends.timeout_ms);
        match tokio::time::timeout(ends.attempt(), attempt).await {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(e)) if cut.at.elapsed() > PATIENCE => return Err(e),
            Err(_) if cut.at.elapsed() > PATIENCE => return Err(BenchError::Closed { addr }),
            Ok(Err(_)) | Err(_) => {}
        }
        turn += 1;
        tokio::time::sleep(RETRY).await;
    }
}

/// Connects and shakes hands; `None` if the server does not know the session.
async fn attach(addr: SocketAddr, cut: &Cut, timeout_ms: i32) -> Result<Option<Held>, BenchError> {
    let connect = |source| BenchError::Connect { addr, source };
    let lost = |source| BenchError::Lost { addr, source };
    let mut stream = TcpStream::connect(addr).await.map_err(connect)?;
    stream.set_nodelay(true).map_err(connect)?;
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms,
        session_id: cut.id,
        password: Some(&cut.password),
        read_only: Some(false),
    };
    stream.write_all(&frame(&request)).await.map_err(lost)?;
    let mut len = [0; 4];
    stream.read_exact(&mut len).await.map_err(lost)?;
    let len = usize::try_from(i32::from_be_bytes(len)).unwrap_or(usize::MAX);
    let nonsense = || BenchError::Nonsense { addr, what: "the answer to the handshake" };
    if len > ANSWER_LEN_MAX {
        return Err(nonsense());
    }
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer).await.map_err(lost)?;
    let response = ConnectResponse::from_bytes(&answer).map_err(|_| nonsense())?;
    if response.timeout_ms <= 0 || response.session_id == 0 {
        return Ok(None);
    }
    let password = response.password.and_then(|p| p.try_into().ok()).ok_or_else(nonsense)?;
    Ok(Some(Held { number: cut.number, stream, id: response.session_id, password }))
}

/// Ends all sessions, and waits until the server has closed their connections.
async fn close(held: Vec<Held>, ends: &Rc<Ends>) -> Result<(), BenchError> {
    let mut closing = JoinSet::new();
    for mut one in held {
        let addr = ends.addr(one.number);
        closing.spawn_local(async move {
            let header = RequestHeader { xid: 1, op: OpCode::CloseSession.code() };
            let lost = |source| BenchError::Lost { addr, source };
            one.stream.write_all(&frame(&header)).await.map_err(lost)?;
            let mut rest = [0; ANSWER_LEN_MAX];
            while one.stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            Ok(())
        });
    }
    while let Some(done) = closing.join_next().await {
        done.expect("a session's task is never cancelled")?;
    }
    Ok(())
}

fn frame(record: &impl Encode) -> Vec<u8> {
    let mut w = Writer::new();
    let frame = w.begin_frame();
    record.encode(&mut w);
    w.end_frame(frame);
    w.into_vec()
}
