//! One connection under load: keeps a number of requests in flight, times each reply.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use jute::proto::{ConnectRequest, ConnectResponse, RequestHeader};
use jute::{Decode, Encode, OpCode, Writer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::stats::Stats;
use super::workload::{node_number, Kind, Workload};
use super::BenchError;

/// Length, xid, zxid and error of a reply.
const REPLY_HEAD_LEN: usize = 20;
/// Larger replies than this mean that we have lost the frame boundaries.
const REPLY_LEN_MAX: usize = 256 << 20;
/// The xid of watch events.
const XID_EVENT: i32 = -1;
/// The xid of pings and of their answers.
const XID_PING: i32 = -2;
/// A connection that only listens says something so often.
const PING_NS: u64 = 5_000_000_000;
/// Before a batch of requests grows beyond this, it is sent.
const OUTPUT_LEN_SOFT_MAX: usize = 256 << 10;

/// When to measure, in nanoseconds since `start`; and how much.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The instant that all connections count from.
    pub start: Instant,
    /// Replies before this one are not counted.
    pub measure_from_ns: u64,
    /// No request is sent after this, no reply counted.
    pub measure_until_ns: u64,
}

impl Window {
    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("no run lasts 500 years")
    }
}

/// A session of its own, ready for load.
pub struct Connection {
    addr: SocketAddr,
    stream: TcpStream,
    input: Box<[u8]>,
    /// Received and not yet parsed: `input[..filled]`.
    filled: usize,
    /// Bytes of a reply still to come that nobody looks at.
    skip: usize,
    /// The error number of the reply whose head has come; it is counted when it is whole.
    arriving: Option<i32>,
    output: Vec<u8>,
    written: usize,
    in_flight: VecDeque<Sent>,
    next_xid: i32,
    /// The nodes that events have told of, until [`Connection::take_events`] takes them.
    events: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Sent {
    at_ns: u64,
    xid: i32,
    kind: Kind,
}

impl Connection {
    /// Connects and opens a session. `input_len` bytes are read at a time.
    pub async fn open(
        addr: SocketAddr,
        session_timeout_ms: i32,
        input_len: usize,
    ) -> Result<Connection, BenchError> {
        assert!(input_len >= 64, "a handshake and a reply's head must fit");
        let connect = |source| BenchError::Connect { addr, source };
        let stream = TcpStream::connect(addr).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        let mut connection = Connection {
            addr,
            stream,
            input: vec![0; input_len].into(),
            filled: 0,
            skip: 0,
            arriving: None,
            output: Vec::new(),
            written: 0,
            in_flight: VecDeque::new(),
            next_xid: 1,
            events: Vec::new(),
        };
        connection.handshake(session_timeout_ms).await?;
        Ok(connection)
    }

    /// Runs the load until the window ends, `quota` requests are sent or none are left to send;
    /// then waits for the replies that are due.
    pub async fn drive(
        &mut self,
        workload: &mut Workload,
        depth: usize,
        mut quota: u64,
        window: &Window,
        stats: &Rc<RefCell<Stats>>,
    ) -> Result<(), BenchError> {
        self.in_flight.reserve(depth);
        let mut now_ns = window.now_ns();
        loop {
            while self.in_flight.len() < depth
                && quota > 0
                && now_ns < window.measure_until_ns
                && self.output.len() < OUTPUT_LEN_SOFT_MAX
            {
                let Some(kind) = workload.write_next(self.next_xid, &mut self.output) else {
                    quota = 0;
                    break;
                };
                self.in_flight.push_back(Sent { at_ns: now_ns, xid: self.next_xid, kind });
                self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
                // Only what is measured counts against the quota.
                quota -= u64::from(now_ns >= window.measure_from_ns);
            }
            if self.in_flight.is_empty() {
                return Ok(());
            }
            self.exchange().await?;
            now_ns = window.now_ns();
            self.take_replies(now_ns, window, &mut stats.borrow_mut())?;
        }
    }

    /// Waits for `wanted` events; `each` is told the node's number and when it was read. Pings, so
    /// that the session outlives the wait; needs a runtime with timers.
    pub async fn take_events(
        &mut self,
        wanted: u64,
        window: &Window,
        mut each: impl FnMut(u64, u64),
    ) -> Result<(), BenchError> {
        let mut none = Stats::default();
        let mut seen = 0;
        let mut pinged_ns = window.now_ns();
        loop {
            let now_ns = window.now_ns();
            for number in self.events.drain(..) {
                each(number, now_ns);
                seen += 1;
            }
            if seen >= wanted {
                return Ok(());
            }
            if now_ns - pinged_ns > PING_NS {
                self.queue_frame(&RequestHeader { xid: XID_PING, op: OpCode::Ping.code() });
                pinged_ns = now_ns;
            }
            // Woken by events, or to ping.
            let wake = Duration::from_nanos(PING_NS);
            if let Ok(exchanged) = tokio::time::timeout(wake, self.exchange()).await {
                exchanged?;
            }
            self.take_replies(window.now_ns(), window, &mut none)?;
        }
    }

    /// Closes the session, so that the server need not wait for its timeout.
    pub async fn close(mut self) -> Result<(), BenchError> {
        let header = RequestHeader { xid: self.next_xid, op: OpCode::CloseSession.code() };
        self.queue_frame(&header);
        loop {
            match self.exchange().await {
                // The server closes the socket behind its answer; the answer itself is no news.
                Err(BenchError::Closed { .. }) => return Ok(()),
                Err(e) => return Err(e),
                Ok(()) => self.filled = 0,
            }
        }
    }

    async fn handshake(&mut self, timeout_ms: i32) -> Result<(), BenchError> {
        self.queue_frame(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: 0,
            password: Some(&[0; 16]),
            read_only: Some(false),
        });
        let frame_len = loop {
            self.exchange().await?;
            match self.input.first_chunk::<4>() {
                Some(len) if self.filled >= 4 => {
                    let end = (i32::from_be_bytes(*len).max(0) as usize).saturating_add(4);
                    if self.filled >= end.min(self.input.len()) {
                        break end;
                    }
                }
                _ => {}
            }
        };
        let response = self
            .input
            .get(4..frame_len)
            .and_then(|bytes| ConnectResponse::from_bytes(bytes).ok())
            .ok_or_else(|| self.nonsense("the answer to the handshake"))?;
        if response.timeout_ms <= 0 {
            return Err(self.nonsense("a refusal of a new session"));
        }
        self.filled = 0;
        Ok(())
    }

    fn queue_frame(&mut self, record: &impl Encode) {
        let mut w = Writer::from_vec(std::mem::take(&mut self.output));
        let frame = w.begin_frame();
        record.encode(&mut w);
        w.end_frame(frame);
        self.output = w.into_vec();
    }

    /// Sends what can be sent and waits until something was received.
    async fn exchange(&mut self) -> Result<(), BenchError> {
        poll_fn(|cx| self.poll_exchange(cx)).await
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BenchError>> {
        let addr = self.addr;
        let lost = |source| BenchError::Lost { addr, source };
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(lost(io::ErrorKind::WriteZero.into())))
                }
                Poll::Ready(Ok(n)) => self.written += n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(lost(e))),
                Poll::Pending => break,
            }
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        let mut room = ReadBuf::new(&mut self.input[self.filled..]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if room.filled().is_empty() => {
                Poll::Ready(Err(BenchError::Closed { addr }))
            }
            Poll::Ready(Ok(())) => {
                self.filled += room.filled().len();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(lost(e))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Counts every reply that is complete. Of a long one only the head must fit the buffer.
    fn take_replies(
        &mut self,
        now_ns: u64,
        window: &Window,
        stats: &mut Stats,
    ) -> Result<(), BenchError> {
        let mut at = 0;
        loop {
            let here = self.skip.min(self.filled - at);
            at += here;
            self.skip -= here;
            if self.skip > 0 {
                break;
            }
            if let Some(err) = self.arriving.take() {
                let sent = self.in_flight.pop_front().expect("checked when its head came");
                stats.count(window, sent.at_ns, now_ns, sent.kind, err);
            }
            let Some(head) = self.input[at..self.filled].first_chunk::<REPLY_HEAD_LEN>() else {
                break;
            };
            let int =
                |i: usize| i32::from_be_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
            let (len, xid, err) = (int(0), int(4), int(16));
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            if !(REPLY_HEAD_LEN - 4..=REPLY_LEN_MAX).contains(&len) {
                return Err(self.nonsense("a reply of impossible length"));
            }
            if xid == XID_EVENT {
                // Its path is its end; one that the buffer can't hold is none of ours.
                match self.input[at..self.filled].get(REPLY_HEAD_LEN..len + 4) {
                    Some(event) => self.events.extend(node_number(event)),
                    None if len + 4 <= self.input.len() => break,
                    None => {}
                }
            } else if xid != XID_PING {
                if self.in_flight.front().map(|sent| sent.xid) != Some(xid) {
                    return Err(self.nonsense("a reply to another request than the oldest one"));
                }
                self.arriving = Some(err);
            }
            at += REPLY_HEAD_LEN;
            self.skip = len + 4 - REPLY_HEAD_LEN;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }

    fn nonsense(&self, what: &'static str) -> BenchError {
        BenchError::Nonsense { addr: self.addr, what }
    }
}

#[cfg(test)]
mod tests {
    use super::super::workload::{Operation, Places, Shape};
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as Blocking};
    use std::thread;

    fn read_frame(stream: &mut Blocking) -> Vec<u8> {
        let mut len = [0; 4];
        stream.read_exact(&mut len).expect("a length");
        let mut frame = vec![0; i32::from_be_bytes(len) as usize];
        stream.read_exact(&mut frame).expect("a frame");
        frame
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        [&(body.len() as i32).to_be_bytes(), body].concat()
    }

    /// A server for one session: answers request n (from 0) with what `answer` makes of its xid.
    fn serve_once(answer: impl Fn(usize, i32) -> Vec<u8> + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.set_nodelay(true).expect("a socket");
            read_frame(&mut stream);
            let response = ConnectResponse {
                protocol_version: 0,
                timeout_ms: 30_000,
                session_id: 1,
                password: Some(&[0; 16]),
                read_only: Some(false),
            };
            stream.write_all(&frame(&response.to_bytes())).expect("handshake");
            for n in 0.. {
                let request = read_frame(&mut stream);
                let header = RequestHeader::from_bytes(&request).expect("header");
                if header.op == OpCode::CloseSession.code() {
                    return;
                }
                // In two pieces, so that frames begin and end anywhere.
                let bytes = answer(n, header.xid);
                let (head, tail) = bytes.split_at(bytes.len().min(7));
                let sent = stream.write_all(head).and_then(|()| stream.flush());
                if sent.and_then(|()| stream.write_all(tail)).is_err() {
                    return;
                }
            }
        });
        addr
    }

    fn reply(xid: i32, err: i32, body_len: usize) -> Vec<u8> {
        let header = jute::proto::ReplyHeader { xid, zxid: 1, err };
        frame(&[header.to_bytes(), vec![0; body_len]].concat())
    }

    fn run(addr: SocketAddr, quota: u64) -> Result<Stats, BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let shape = Shape {
            operation: Operation::Get,
            places: Places { root: "/b".into(), crowd: false },
            nodes: 10,
            data_len: 10,
            read_percent: 100,
            multi_ops: 1,
            deletable: 0,
            seed: 1,
        };
        let window =
            Window { start: Instant::now(), measure_from_ns: 0, measure_until_ns: u64::MAX };
        let stats = Rc::new(RefCell::new(Stats::default()));
        runtime.expect("a runtime").block_on(async {
            let mut connection = Connection::open(addr, 30_000, 64).await?;
            let mut workload = Workload::new(&shape, 0);
            connection.drive(&mut workload, 8, quota, &window, &stats).await?;
            connection.close().await
        })?;
        Ok(stats.take())
    }

    #[test]
    fn replies_are_counted_though_they_are_longer_than_the_buffer_and_cut_anywhere() {
        let addr = serve_once(|n, xid| {
            let event = if n % 10 == 0 { reply(-1, 0, 30) } else { Vec::new() };
            [event, reply(xid, if n % 4 == 0 { -101 } else { 0 }, n % 200)].concat()
        });
        let stats = run(addr, 1_000).expect("a run");
        assert_eq!((stats.reads.count(), stats.writes.count()), (1_000, 0));
        assert_eq!(stats.errors, [(-101, 250)]);
    }

    #[test]
    fn a_reply_out_of_order_ends_the_run() {
        let addr = serve_once(|n, xid| reply(if n == 50 { xid + 1 } else { xid }, 0, 0));
        assert!(matches!(run(addr, 1_000), Err(BenchError::Nonsense { .. })));
    }

    #[test]
    fn a_reply_of_negative_length_ends_the_run() {
        let addr = serve_once(|_, _| vec![0xff; 24]);
        assert!(matches!(run(addr, 10), Err(BenchError::Nonsense { .. })));
    }
}
