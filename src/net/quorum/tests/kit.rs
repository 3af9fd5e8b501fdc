//! A port with a fake core, fake files and peers made of plain sockets.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Mutex, MutexGuard};

use jute::quorum::QuorumPacket;
use jute::Encode;
use socket2::{Domain, Socket, Type};

use super::*;

pub const ME: Sid = Sid(1);
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const DIAL_PAUSE_MS: u64 = 20;
pub const INPUT_BYTES_MAX: usize = 4 << 20;
pub const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// In front of the body: its length.
pub const FRAMED_BODY_HEAD: usize = 4;

/// The port under test.
pub struct Kit {
    pub ports: PeerPorts<FakeSink>,
    pub events: Receiver<Event>,
    pub notified: Receiver<(Sid, Notification)>,
    thread: QuorumThread,
    addresses: Arc<Mutex<BTreeMap<Sid, Vec<QuorumAddress>>>>,
    log: Arc<FakeLog>,
    /// Sinks wait for it before they take anything.
    gate: &'static Mutex<()>,
    sinks: Arc<SinkCount>,
}

impl Kit {
    /// Listens already.
    pub fn new() -> Kit {
        Kit::that_stalls_after(PATIENCE)
    }

    /// Transfers may stand still for so long.
    pub fn that_stalls_after(stall: Duration) -> Kit {
        let (sender, events) = channel();
        let (notify, notified) = channel();
        let addresses: Arc<Mutex<BTreeMap<Sid, Vec<QuorumAddress>>>> = Arc::default();
        let book = Arc::clone(&addresses);
        let settings = Settings {
            me: ME,
            addresses: Arc::new(move |sid| {
                book.lock().unwrap().get(&sid).cloned().unwrap_or_default()
            }),
            observer_port: None,
            listen_on_all_ips: false,
            limits: jute::Limits::DEFAULT,
            leader_nodelay: true,
            follower_nodelay: true,
            dial_pause_ms: DIAL_PAUSE_MS,
            input_bytes_max: INPUT_BYTES_MAX,
            transfer_stall_ms: stall.as_millis() as u64,
            output_bytes_max: OUTPUT_BYTES_MAX,
            // So that what is kept of it is kept right in every test.
            packets_told: Some(3),
        };
        let log = Arc::new(FakeLog::default());
        let gate: &'static Mutex<()> = Box::leak(Box::default());
        let sinks: Arc<SinkCount> = Arc::default();
        let count = Arc::clone(&sinks);
        let sources = Sources {
            log: Arc::clone(&log) as Arc<dyn LogSource>,
            receive: Arc::new(move |link, zxid| Ok(FakeSink::new(link, zxid, gate, &count))),
        };
        let sink: EventSink = Arc::new(move |events: &mut Vec<Event>| {
            for event in events.drain(..) {
                // A test that is over does not listen any more.
                let _ = sender.send(event);
            }
        });
        let setup = move |_| Box::new(FakeElection(notify)) as Box<dyn ElectionPort>;
        let (thread, mut ports) = QuorumThread::start(settings, sources, sink, setup).unwrap();
        let kit_address = refusing();
        addresses.lock().unwrap().insert(ME, vec![to_quorum(&kit_address)]);
        ports.listen(true);
        ports.flush(true);
        Kit { ports, events, notified, thread, addresses, log, gate, sinks }
    }

    pub fn set_address(&self, sid: Sid, addresses: &[SocketAddr]) {
        let addresses = addresses.iter().map(to_quorum).collect();
        self.addresses.lock().unwrap().insert(sid, addresses);
    }

    /// Where it listens, by the last of its addresses.
    pub fn quorum_address(&self) -> SocketAddr {
        let all = self.addresses.lock().unwrap();
        let address = all[&ME].last().expect("it has one");
        let host = if address.host == "0.0.0.0" { "127.0.0.1" } else { &address.host };
        SocketAddr::new(host.parse().unwrap(), address.port)
    }

    pub fn put_log(&self, zxids: std::ops::RangeInclusive<i64>) {
        self.log.zxids.lock().unwrap().extend(zxids);
    }

    /// Connects as soon as the port is there.
    pub fn connect(&self, address: SocketAddr) -> TcpStream {
        let begun = Instant::now();
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => {
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return stream;
                }
                Err(e) => assert!(begun.elapsed() < PATIENCE, "{e}"),
            }
            std::thread::yield_now();
        }
    }

    /// A learner that has connected.
    pub fn learner(&mut self) -> (TcpStream, LinkId) {
        let peer = self.connect(self.quorum_address());
        (peer, self.expect_opened())
    }

    /// A leader that was dialled.
    pub fn leader(&mut self) -> (TcpStream, LinkId) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.set_address(Sid(2), &[listener.local_addr().unwrap()]);
        self.ports.dial(Sid(2), 20_000);
        self.ports.flush(true);
        let (peer, _) = listener.accept().unwrap();
        peer.set_nodelay(true).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            match self.next_event() {
                Event::LinkOpened { link } => return (peer, link),
                // Of the one that was dialled before.
                Event::LinkClosed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The core takes the next event.
    pub fn next_event(&mut self) -> Event {
        let event = self.events.recv_timeout(PATIENCE).expect("an event");
        self.ports.heard(&event);
        self.ports.flush(true);
        event
    }

    pub fn expect_opened(&mut self) -> LinkId {
        match self.next_event() {
            Event::LinkOpened { link } => link,
            other => panic!("{other:?}"),
        }
    }

    pub fn expect_closed(&mut self, link: LinkId) {
        match self.next_event() {
            Event::LinkClosed { link: closed } => assert_eq!(closed, link),
            other => panic!("{other:?}"),
        }
    }

    pub fn expect_packet(
        &mut self,
        link: LinkId,
        kind: PacketType,
        zxid: i64,
        data: Option<&[u8]>,
    ) {
        match self.next_event() {
            Event::Packet { link: l, packet } => {
                assert_eq!((l, packet.kind, packet.zxid), (link, Some(kind), Zxid(zxid)));
                assert!(packet.data.as_deref() == data);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Sinks take nothing until this is dropped.
    pub fn hold_sinks(&self) -> MutexGuard<'static, ()> {
        self.gate.lock().unwrap()
    }

    /// Waits until there are so many sinks.
    pub fn expect_sinks(&self, count: usize) {
        let begun = Instant::now();
        while self.sinks.alive.load(Ordering::SeqCst) != count {
            assert!(begun.elapsed() < PATIENCE, "not {count} sinks");
            std::thread::yield_now();
        }
    }

    /// How many sinks there ever were at a time.
    pub fn most_sinks(&self) -> usize {
        self.sinks.most.load(Ordering::SeqCst)
    }

    /// Ends the thread; what had not been looked at of the events.
    pub fn finish(self) -> Vec<Event> {
        drop(self.ports);
        self.thread.join();
        self.events.try_iter().collect()
    }
}

pub fn opened(event: &Event) -> Option<LinkId> {
    match event {
        Event::LinkOpened { link } => Some(*link),
        _ => None,
    }
}

pub fn link_of(event: &Event) -> Option<LinkId> {
    match event {
        Event::LinkOpened { link }
        | Event::LinkClosed { link }
        | Event::Packet { link, .. }
        | Event::BulkSent { link }
        | Event::SnapshotReceived { link } => Some(*link),
        _ => None,
    }
}

fn to_quorum(address: &SocketAddr) -> QuorumAddress {
    QuorumAddress { host: address.ip().to_string(), port: address.port() }
}

/// An address of which the port was free a moment ago.
pub fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A port that is taken but refuses connections, until somebody listens on it.
pub struct Late(Socket);

impl Late {
    pub fn reserve() -> Late {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Late(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    pub fn listen(self) -> Socket {
        self.0.listen(5).unwrap();
        self.0
    }
}

pub fn packet(kind: PacketType, zxid: i64, data: Option<&[u8]>) -> Vec<u8> {
    QuorumPacket::new(kind, zxid, data).to_bytes()
}

/// What a learner is sent for these records.
pub fn proposals(zxids: std::ops::RangeInclusive<i64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for zxid in zxids {
        bytes.extend(packet(PacketType::Proposal, zxid, Some(&record(zxid))));
        bytes.extend(packet(PacketType::Commit, zxid, None));
    }
    bytes
}

fn record(zxid: i64) -> Vec<u8> {
    vec![zxid as u8; zxid as usize % 700]
}

#[derive(Default)]
struct FakeLog {
    zxids: Mutex<Vec<i64>>,
}

impl LogSource for FakeLog {
    fn read(
        &self,
        from: Zxid,
        upto: Zxid,
        each: &mut dyn FnMut(LoggedTxn) -> bool,
    ) -> io::Result<()> {
        for &zxid in self.zxids.lock().unwrap().iter().filter(|z| **z > from.0 && **z <= upto.0) {
            if !each(LoggedTxn { zxid: Zxid(zxid), bytes: record(zxid).into() }) {
                break;
            }
        }
        Ok(())
    }
}

struct FakeElection(Sender<(Sid, Notification)>);

impl ElectionPort for FakeElection {
    fn notify(&self, to: Sid, notification: Notification) {
        self.0.send((to, notification)).unwrap();
    }

    fn heard(&self, _from: Sid, _bytes: usize) {}
}

/// A body of `len` bytes for [`FakeSink`]: its length in front.
pub fn body(len: usize) -> Vec<u8> {
    let mut body = (len as i32).to_be_bytes().to_vec();
    body.extend((0..len).map(|i| (i % 251) as u8));
    body
}

/// A file with that body.
pub fn file(zxid: Zxid, body: Vec<u8>) -> SnapshotFile {
    SnapshotFile { zxid, open: Box::new(|| Ok(Box::new(FakeBody(body, 0)) as _)) }
}

struct FakeBody(Vec<u8>, usize);

impl SnapshotBody for FakeBody {
    fn next_chunk(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let end = self.0.len().min(self.1 + 100_000);
        out.extend_from_slice(&self.0[self.1..end]);
        self.1 = end;
        Ok(end < self.0.len())
    }
}

#[derive(Default)]
struct SinkCount {
    alive: AtomicUsize,
    most: AtomicUsize,
}

/// What a leader sends: SNAP, a body of `len` bytes, the signature.
pub fn snapshot(zxid: i64, len: usize) -> Vec<u8> {
    let mut bytes = packet(PacketType::Snap, zxid, None);
    bytes.extend(body(len));
    bytes.extend(b"\x00\x00\x00\x0aBenWasHere");
    bytes
}

/// Takes a body.
pub struct FakeSink {
    pub link: LinkId,
    pub zxid: Zxid,
    pub bytes: Vec<u8>,
    gate: &'static Mutex<()>,
    count: Arc<SinkCount>,
}

impl FakeSink {
    fn new(link: LinkId, zxid: Zxid, gate: &'static Mutex<()>, count: &Arc<SinkCount>) -> FakeSink {
        let alive = count.alive.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(alive, Ordering::SeqCst);
        FakeSink { link, zxid, bytes: Vec::new(), gate, count: Arc::clone(count) }
    }
}

impl Drop for FakeSink {
    fn drop(&mut self) {
        self.count.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SnapshotSink for FakeSink {
    fn feed(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        drop(self.gate.lock().unwrap());
        let before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let Some(len) = self.bytes.first_chunk::<FRAMED_BODY_HEAD>() else { return Ok(None) };
        let len = i32::from_be_bytes(*len);
        let len = usize::try_from(len).map_err(|_| io::Error::other("a negative length"))?;
        let whole = FRAMED_BODY_HEAD + len;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        self.bytes.truncate(whole);
        Ok(Some(whole - before))
    }
}
