//! What a server's clients see when its role changes: a worker with real sockets, and the test in
//! the place of the pipeline.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jute::txn::{Txn, TxnHeader, TxnRecord};
use jute::OpCode;
use oxkeeper::auth::Auth;
use oxkeeper::metrics::Metrics;
use oxkeeper::net::{
    self, Question, RequestLimits, Serving, Settings, Shared, WatchesWanted, Words, WorkerMail,
};
use oxkeeper::pipeline::{reply, Ask, Effect, Item, Request, WorkerEffects};
use oxkeeper::session::{self, SessionIds, SessionTable, ThrottleConfig};
use oxkeeper::tree::{Replica, TreeOptions};
use oxkeeper::types::{Epoch, Now, SessionId, Zxid};
use oxkeeper::zab;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing expires in these tests.
const TIMEOUT_MS: i32 = 600_000;

/// A session that the ensemble knows.
const GLOBAL_SESSION: i64 = 0x0200_0000_0000_0007;

const GET_DATA: i32 = 4;
const SYNC: i32 = 9;
const PING: i32 = 11;

const SET_DATA: i32 = 5;
const CLOSE_SESSION: i32 = -11;
const NOT_READ_ONLY: i32 = -119;

fn clock() -> Now {
    Now { mono_ms: 1, wall_ms: 1 }
}

/// Answers every word with what the server is.
struct ModeWord;

impl Words for ModeWord {
    fn is_word(&self, first: [u8; 4]) -> bool {
        &first == b"srvr"
    }

    fn watches_wanted(&self, _first: [u8; 4]) -> WatchesWanted {
        WatchesWanted::Nothing
    }

    fn answer(&self, shared: &Shared, _question: &Question<'_>) -> Vec<u8> {
        format!("{:?}", shared.serving()).into_bytes()
    }
}

/// A server with one worker. What the worker asks of the pipeline, the test answers.
struct Server {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<std::io::Result<()>>>,
    listener: TcpListener,
    sessions: SessionTable,
}

impl Server {
    fn start() -> Server {
        Server::with(settings(), Replica::new(TreeOptions::default()))
    }

    /// Serves reads only, from a replica that knows one session.
    fn read_only(local_sessions: bool) -> Server {
        let mut replica = Replica::new(TreeOptions::default());
        let header = TxnHeader {
            client_id: GLOBAL_SESSION,
            cxid: 0,
            zxid: 0x2_0000_0001,
            time_ms: 1,
            kind: OpCode::CreateSession.code(),
        };
        let txn = Txn::CreateSession(TIMEOUT_MS);
        replica.apply_record(&TxnRecord { header, txn, digest: None }, &mut Vec::new());
        let server = Server::with(Settings { local_sessions, ..settings() }, replica);
        server.shared.serve(Serving::ReadOnly, None);
        server
    }

    fn with(settings: Settings, replica: Replica) -> Server {
        let shared = Arc::new(Shared::new(
            settings,
            replica,
            1,
            Arc::new(Auth::new(false, Vec::new())),
            clock,
            SessionIds::new(1, 0, std::iter::empty()),
            Arc::new(Metrics::default()),
            Arc::new(ModeWord),
        ));
        let for_worker = Arc::clone(&shared);
        let worker = std::thread::spawn(move || net::run_worker(for_worker, 0, 1));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sessions = SessionTable::new(TIMEOUT_MS, 1, 1);
        Server { shared, worker: Some(worker), listener, sessions }
    }

    /// A client's connection, taken in by the worker.
    fn connect(&self) -> Client {
        let socket = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (stream, peer) = self.listener.accept().unwrap();
        self.shared.inboxes[0].leave(WorkerMail::Accepted(stream, peer));
        self.shared.inboxes[0].ring();
        Client { socket }
    }

    /// A client with a session.
    fn open(&mut self) -> Client {
        let mut client = self.connect();
        client.send_handshake(0, false);
        let request = self.ask();
        self.answer(&request);
        assert_eq!(client.receive().unwrap().len(), 37);
        client
    }

    /// The next request that arrives in the pipeline.
    fn ask(&self) -> Request {
        let mut asks = Vec::new();
        self.shared.asks.take(&mut asks, &mut Vec::new(), PATIENCE);
        match asks.pop() {
            Some(Ask::Write(request)) if asks.is_empty() => request,
            other => panic!("one request, not {other:?} behind {asks:?}"),
        }
    }

    /// Waits until the pipeline is woken, and finds nothing asked.
    fn expect_no_ask(&self) {
        let mut asks = Vec::new();
        self.shared.asks.wake();
        self.shared.asks.take(&mut asks, &mut Vec::new(), PATIENCE);
        assert!(asks.is_empty(), "{asks:?}");
    }

    /// Leaves the answer to a request, a handshake's or another's.
    fn answer(&mut self, request: &Request) {
        let origin = request.origin.unwrap();
        let mut out = jute::Writer::new();
        let effect = if request.op == OpCode::CreateSession {
            let slot = self.sessions.track(request.session, TIMEOUT_MS, 1);
            slot.attach(origin.conn);
            Effect::Opened { slot, timeout_ms: TIMEOUT_MS, new: Some((Zxid(1), 1)) }
        } else {
            reply::synced(&mut out, origin.xid, Zxid(1), &request.body);
            Effect::Reply {
                frame: 0..out.len(),
                origin,
                op: request.op,
                zxid: Zxid(1),
                failed: false,
                then_close: false,
            }
        };
        let items = vec![Item { fired_before: 0, conn: origin.conn, effect }];
        let effects = WorkerEffects { bytes: out.into_vec(), items };
        let inbox = &self.shared.inboxes[0];
        inbox.leave(WorkerMail::Effects { fired: Arc::default(), effects });
        inbox.ring();
    }

    /// What `cons` shows as queued, of the only connection.
    fn queued(&self) -> i64 {
        let all = self.shared.registry.all();
        assert_eq!(all.len(), 1);
        all[0].outstanding.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn outstanding(&self) -> i64 {
        self.shared.in_pipeline.requests.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.hang_up();
        let ended = self.worker.take().expect("ended once").join();
        assert!(std::thread::panicking() || matches!(ended, Ok(Ok(()))), "{ended:?}");
    }
}

fn settings() -> Settings {
    Settings {
        frame_bytes_max: 1 << 20,
        min_session_timeout_ms: 1,
        max_session_timeout_ms: TIMEOUT_MS,
        tick_ms: TIMEOUT_MS,
        local_sessions: false,
        local_session_upgrades: false,
        max_per_ip: 0,
        max_connections: 0,
        outstanding_max: 1000,
        sessionless_timeout_ms: i64::from(TIMEOUT_MS),
        required_schemes: None,
        tcp_keep_alive: false,
        connections: ThrottleConfig::default(),
        requests: RequestLimits {
            in_pipeline_max: 0,
            stall_ms: 1,
            wait_ms_max: None,
            large_above: None,
            large_bytes_max: 0,
        },
    }
}

/// A client, spoken by hand.
struct Client {
    socket: TcpStream,
}

impl Client {
    fn send_handshake(&mut self, last_zxid_seen: i64, read_only: bool) {
        self.resume(last_zxid_seen, read_only, 0, &[0; 16]);
    }

    fn resume(&mut self, last_zxid_seen: i64, read_only: bool, session: i64, password: &[u8]) {
        let mut body = 0_i32.to_be_bytes().to_vec();
        body.extend(last_zxid_seen.to_be_bytes());
        body.extend(TIMEOUT_MS.to_be_bytes());
        body.extend(session.to_be_bytes());
        body.extend((password.len() as i32).to_be_bytes());
        body.extend(password);
        body.push(u8::from(read_only));
        self.send(&body);
    }

    /// A request that has nothing but a path in it, or nothing at all.
    fn request(&mut self, xid: i32, op: i32, path: Option<&str>) {
        let mut body = xid.to_be_bytes().to_vec();
        body.extend(op.to_be_bytes());
        if let Some(path) = path {
            body.extend((path.len() as i32).to_be_bytes());
            body.extend(path.as_bytes());
        }
        if op == GET_DATA {
            body.push(0);
        }
        self.send(&body);
    }

    fn send(&mut self, body: &[u8]) {
        let mut frame = (body.len() as i32).to_be_bytes().to_vec();
        frame.extend(body);
        self.socket.write_all(&frame).unwrap();
    }

    fn receive(&mut self) -> std::io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let mut body = vec![0; i32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut body)?;
        Ok(body)
    }

    /// The xids of the next replies.
    fn xids(&mut self, count: usize) -> Vec<i32> {
        let xid = |body: Vec<u8>| i32::from_be_bytes(body[..4].try_into().unwrap());
        (0..count).map(|_| xid(self.receive().unwrap())).collect()
    }

    /// The error in the next reply.
    fn error(&mut self) -> i32 {
        i32::from_be_bytes(self.receive().unwrap()[12..16].try_into().unwrap())
    }

    /// What the next answer to a handshake grants: session, password, and whether it is a
    /// read-only server's.
    fn session(&mut self) -> (i64, Vec<u8>, u8) {
        let body = self.receive().unwrap();
        let session = i64::from_be_bytes(body[8..16].try_into().unwrap());
        (session, body[20..36].to_vec(), body[36])
    }

    /// The server lets go of the connection without another byte.
    fn expect_close(&mut self) {
        match self.receive().map_err(|e| e.kind()) {
            Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {}
            other => panic!("an end, not {other:?}"),
        }
    }
}

#[test]
fn whoever_comes_while_nobody_is_served_is_let_go_and_words_are_answered() {
    let server = Server::start();
    let mut client = server.connect();
    client.send_handshake(0, true);
    client.expect_close();
    let mut word = server.connect();
    word.socket.write_all(b"srvr").unwrap();
    let mut answer = String::new();
    word.socket.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "No");
    server.expect_no_ask();
}

#[test]
fn an_end_of_a_role_closes_every_connection_and_forgets_what_was_asked() {
    let mut server = Server::start();
    server.shared.serve(Serving::Leader, Some(Epoch(1)));
    let (mut busy, mut opening, mut silent) = (server.open(), server.connect(), server.connect());
    busy.request(7, SYNC, Some("/a"));
    let asked = server.ask();
    opening.send_handshake(0, false);
    let handshake = server.ask();
    assert_eq!((asked.cxid, handshake.cxid), (7, 0));
    assert_eq!(server.outstanding(), 2);
    server.shared.stop_serving();
    for client in [&mut busy, &mut opening, &mut silent] {
        client.expect_close();
    }
    assert_eq!(server.outstanding(), 0);
    // What the pipeline had taken comes too late for anybody, and upsets no count.
    server.shared.serve(Serving::Follower, Some(Epoch(2)));
    server.answer(&asked);
    server.answer(&handshake);
    let mut next = server.open();
    next.request(1, PING, None);
    assert_eq!(next.xids(1), [-2]);
    assert_eq!(server.outstanding(), 0);
}

#[test]
fn reads_behind_a_members_sync_wait_for_it() {
    let mut server = Server::start();
    server.shared.serve(Serving::Observer, Some(Epoch(1)));
    let mut client = server.open();
    client.request(1, SYNC, Some("/"));
    client.request(2, GET_DATA, Some("/"));
    let sync = server.ask();
    assert_eq!((sync.op, &sync.body[..]), (OpCode::Sync, &b"\0\0\0\x01/"[..]));
    assert!(server.queued() >= 1, "the sync, and the read if it has come in");
    server.answer(&sync);
    assert_eq!(client.xids(2), [1, 2]);
    assert_eq!(server.queued(), 0);
}

#[test]
fn a_lone_server_answers_a_sync_at_once() {
    let mut server = Server::start();
    server.shared.serve(Serving::Standalone, None);
    let mut client = server.open();
    client.request(1, SYNC, Some("/"));
    assert_eq!(client.xids(1), [1]);
    server.expect_no_ask();
}

#[test]
fn a_client_that_has_seen_the_start_of_the_epoch_is_let_in_before_its_first_transaction() {
    let mut server = Server::start();
    server.shared.serve(Serving::Follower, Some(Epoch(3)));
    let mut ahead = server.connect();
    ahead.send_handshake(0x3_0000_0001, false);
    ahead.expect_close();
    let mut client = server.connect();
    client.send_handshake(0x3_0000_0000, false);
    let request = server.ask();
    server.answer(&request);
    assert_eq!(client.receive().unwrap().len(), 37);
}

#[test]
fn a_read_only_server_serves_reads_to_whoever_is_content_with_them() {
    let server = Server::read_only(true);
    for ahead in [false, true] {
        let mut client = server.connect();
        client.send_handshake(if ahead { 0x2_0000_0002 } else { 0 }, ahead);
        client.expect_close();
    }
    let mut client = server.connect();
    client.send_handshake(0x2_0000_0001, true);
    let (session, _, read_only) = client.session();
    assert_eq!((session >> 56, read_only), (1, 1));
    client.request(1, GET_DATA, Some("/"));
    client.request(2, SET_DATA, None);
    client.request(3, SYNC, Some("/"));
    client.request(4, PING, None);
    assert_eq!([(); 4].map(|()| client.error()), [0, NOT_READ_ONLY, NOT_READ_ONLY, 0]);
    client.request(5, CLOSE_SESSION, None);
    assert_eq!(client.error(), 0);
    client.expect_close();
    assert!(server.shared.local_sessions.is_empty());
    server.expect_no_ask();
}

#[test]
fn a_local_session_moves_between_connections_and_ends_with_the_mode() {
    let server = Server::read_only(true);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.send_handshake(0, true);
    let (session, password, _) = first.session();
    second.resume(0, true, session, &password);
    assert_eq!(second.session(), (session, password.clone(), 1));
    first.expect_close();
    server.shared.stop_serving();
    second.expect_close();
    server.shared.serve(Serving::ReadOnly, None);
    let mut third = server.connect();
    third.resume(0, true, session, &password);
    assert_eq!(third.session(), (0, vec![0; 16], 1), "nobody knows it any more");
    third.expect_close();
}

#[test]
fn a_read_only_server_has_no_say_over_sessions_of_the_ensemble() {
    let server = Server::read_only(true);
    let mut client = server.connect();
    let password = session::password(SessionId(GLOBAL_SESSION));
    client.resume(0, true, GLOBAL_SESSION, &password);
    client.expect_close();
    let mut client = server.connect();
    client.resume(0, true, GLOBAL_SESSION + 1, &password);
    assert_eq!(client.session(), (0, vec![0; 16], 1), "a wrong password");
    client.expect_close();
}

#[test]
fn without_local_sessions_a_read_only_server_lets_nobody_in() {
    let server = Server::read_only(false);
    let mut client = server.connect();
    client.send_handshake(0, true);
    client.expect_close();
}

#[test]
fn events_of_other_servers_reach_the_pipeline_beside_asks() {
    let server = Server::start();
    server.shared.asks.push_events(&mut vec![zab::Event::DialFailed]);
    let (mut asks, mut events) = (Vec::new(), Vec::new());
    server.shared.asks.take(&mut asks, &mut events, PATIENCE);
    assert!(asks.is_empty() && matches!(events[..], [zab::Event::DialFailed]));
}
