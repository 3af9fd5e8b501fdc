//! The bare server: one thread, one current-thread runtime, a task for each connection.
//!
//! A connection answers all frames that one read brought with one write. With a file, what has to
//! be logged from all connections that were ready together is appended and synced at once, by the
//! same thread: nothing is quicker for a lonely client, and under load the batch grows by itself.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use jute::proto::{ConnectResponse, RequestHeader};
use jute::{Decode, Encode, OpCode, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{watch, Notify};
use tokio::task::LocalSet;

use super::disk::Tail;
use super::replies::Replies;
use super::{EchoArgs, LimitError};

/// Bytes that are read at a time; a longer frame ends its connection.
const INPUT_LEN: usize = 64 << 10;
const LISTEN_BACKLOG: u32 = 4_096;
const SESSION_TIMEOUT_MS: i32 = 30_000;

/// Serves until the process is killed.
pub fn run(args: &EchoArgs) -> Result<(), LimitError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(LimitError::Runtime)?;
    let listen = |source| LimitError::Listen { port: args.port, source };
    let listener = runtime.block_on(async { bind(args.port) }).map_err(listen)?;
    let log = args.sync.as_deref().map(open_log).transpose()?;
    println!("listening on {}", listener.local_addr().map_err(listen)?);
    let replies = Rc::new(Replies::new(args.size as usize, args.children as usize));
    let tasks = LocalSet::new();
    if let Some(log) = log.clone() {
        tasks.spawn_local(sync_forever(log));
    }
    runtime.block_on(tasks.run_until(async {
        loop {
            let (stream, _) = listener.accept().await.map_err(listen)?;
            let (replies, log) = (replies.clone(), log.clone());
            // A client that goes away is no news.
            tokio::task::spawn_local(async move { serve(stream, &replies, log).await.ok() });
        }
    }))
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((std::net::Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(LISTEN_BACKLOG)
}

/// What the connections have to log, and how far it is on disk.
struct Log {
    tail: RefCell<Tail>,
    pending: RefCell<Pending>,
    wake: Notify,
    synced: watch::Sender<u64>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// The number of the batch that is being filled.
    batch: u64,
}

fn open_log(dir: &Path) -> Result<Rc<Log>, LimitError> {
    let failed = |source| LimitError::File { dir: dir.to_owned(), source };
    Ok(Rc::new(Log {
        tail: RefCell::new(Tail::new(dir).map_err(failed)?),
        pending: RefCell::new(Pending { bytes: Vec::new(), batch: 1 }),
        wake: Notify::new(),
        synced: watch::Sender::new(0),
    }))
}

/// Appends and syncs what has come together since the last time.
async fn sync_forever(log: Rc<Log>) {
    let mut bytes = Vec::new();
    loop {
        log.wake.notified().await;
        let batch = {
            let mut pending = log.pending.borrow_mut();
            std::mem::swap(&mut pending.bytes, &mut bytes);
            pending.batch += 1;
            pending.batch - 1
        };
        if let Err(e) = log.tail.borrow_mut().append(&bytes) {
            // Whoever measures must not take the quick answers for synced ones.
            eprintln!("oxkeeper bench-limit: can't append: {e}");
            std::process::exit(1);
        }
        bytes.clear();
        log.synced.send_replace(batch);
    }
}

async fn serve(mut stream: TcpStream, replies: &Replies, log: Option<Rc<Log>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut synced = log.as_ref().map(|log| log.synced.subscribe());
    let mut input = vec![0; INPUT_LEN];
    let mut output = Vec::new();
    let (mut filled, mut greeted) = (0, false);
    loop {
        let n = stream.read(&mut input[filled..]).await?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
        let mut at = 0;
        let (mut ending, mut batch) = (false, None);
        while let Some(frame) = frame_at(&input[at..filled]) {
            at += 4 + frame.len();
            let op =
                if greeted { answer(frame, replies, &mut output)? } else { greet(&mut output) };
            greeted = true;
            ending |= op == OpCode::CloseSession.code();
            if let Some(log) = &log {
                if OpCode::from_code(op).is_some_and(OpCode::is_write) {
                    let mut pending = log.pending.borrow_mut();
                    pending.bytes.extend_from_slice(frame);
                    batch = Some(pending.batch);
                }
            }
        }
        input.copy_within(at..filled, 0);
        filled -= at;
        if let (Some(log), Some(synced), Some(batch)) = (&log, &mut synced, batch) {
            log.wake.notify_one();
            synced.wait_for(|upto| *upto >= batch).await.expect("the log lives as long as we");
        }
        stream.write_all(&output).await?;
        output.clear();
        if ending {
            return Ok(());
        }
    }
}

/// The frame that begins here, without its length, if all of it has come.
fn frame_at(bytes: &[u8]) -> Option<&[u8]> {
    let len = i32::from_be_bytes(*bytes.first_chunk::<4>()?);
    bytes.get(4..4 + usize::try_from(len).ok()?)
}

/// Appends the answer to a request; tells its operation.
fn answer(frame: &[u8], replies: &Replies, out: &mut Vec<u8>) -> io::Result<i32> {
    let head = frame.get(..RequestHeader::MIN_LEN).ok_or(io::ErrorKind::InvalidData)?;
    let header = RequestHeader::from_bytes(head).map_err(|_| io::ErrorKind::InvalidData)?;
    replies.write(header.op, header.xid, out);
    Ok(header.op)
}

/// Appends the answer to a handshake: a new session, which has to be logged.
fn greet(out: &mut Vec<u8>) -> i32 {
    let mut w = Writer::from_vec(std::mem::take(out));
    let frame = w.begin_frame();
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: SESSION_TIMEOUT_MS,
        session_id: 1,
        password: Some(&[0; 16]),
        read_only: Some(false),
    };
    response.encode(&mut w);
    w.end_frame(frame);
    *out = w.into_vec();
    OpCode::CreateSession.code()
}
