//! Ports that talk to each other, and bare sockets that talk to a port, on loopback.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jute::quorum::ServerState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::types::Zxid;

/// For whatever must happen; nothing here takes so long unless it has gone wrong.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(async {
        timeout(PATIENCE, story).await.expect("the story ends in time");
    }));
}

fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    probe.local_addr().expect("bound").port()
}

fn options(me: i64, port: u16) -> ElectionPortOptions {
    ElectionPortOptions {
        me: Sid(me),
        listen: vec![ListenAt::Address((Ipv4Addr::LOCALHOST, port).into())],
        announce: format!("127.0.0.1:{port}"),
        peers: BTreeMap::new(),
        multi_address: false,
        cnx_timeout_ms: 5000,
        handshake_timeout_ms: 10_000,
        bind_retries: 3,
        tcp_keep_alive: false,
    }
}

/// A port and what it has to say.
struct Station {
    port: ElectionPort,
    events: mpsc::UnboundedReceiver<Event>,
    at: SocketAddr,
}

impl Station {
    async fn with(options: ElectionPortOptions) -> Station {
        let (sink, events) = mpsc::unbounded_channel();
        let sink: ElectionEvents = Rc::new(move |event| sink.send(event).expect("still read"));
        let port = ElectionPort::start(options, sink).await.expect("a free port");
        let at = port.listening()[0];
        Station { port, events, at }
    }

    async fn new(me: i64) -> Station {
        Station::with(options(me, free_port())).await
    }

    fn know(&self, peers: &[(i64, SocketAddr)]) {
        let peer =
            |(sid, at): &(i64, SocketAddr)| (Sid(*sid), vec![(at.ip().to_string(), at.port())]);
        self.port.set_peers(&peers.iter().map(peer).collect());
    }

    fn say(&self, to: i64, round: i64) {
        self.port.send(Sid(to), &note(round));
    }

    /// Who says something next, and in which round.
    async fn hears(&mut self) -> (i64, i64) {
        match self.events.recv().await.expect("the port lives") {
            Event::Notification { from, notification } => {
                assert_eq!(notification, note(notification.round));
                (from.0, notification.round)
            }
            other => panic!("no notification: {other:?}"),
        }
    }

    async fn is_refused(&mut self) -> i64 {
        match self.events.recv().await.expect("the port lives") {
            Event::ElectionRefused { sid } => sid.0,
            other => panic!("no refusal: {other:?}"),
        }
    }
}

fn note(round: i64) -> Notification {
    Notification {
        state: ServerState::Following,
        leader: Sid(3),
        zxid: Zxid(0x1_0000_0002),
        round,
        peer_epoch: 1,
        version: 2,
        config: Some(Bytes::from_static(b"version=0")),
    }
}

/// The first words of a server of 3.5 and later.
fn initial(version: i64, sid: i64, address: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(version.to_be_bytes());
    bytes.extend(sid.to_be_bytes());
    bytes.extend((address.len() as i32).to_be_bytes());
    bytes.extend(address);
    bytes
}

const V1: i64 = -65_536;
const V2: i64 = -65_535;

/// A bare socket that has said something to a port.
async fn dial(at: SocketAddr, words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("the port listens");
    stream.write_all(words).await.expect("written");
    stream
}

async fn reads_note(stream: &mut TcpStream) -> i64 {
    let len = stream.read_i32().await.expect("a length");
    let mut frame = vec![0; len as usize];
    stream.read_exact(&mut frame).await.expect("a frame");
    i64::from_be_bytes(frame[20..28].try_into().expect("eight bytes"))
}

async fn is_closed(stream: &mut TcpStream) {
    // A reset is as good as an end: the port may close over unread bytes.
    assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "not a word, only the end");
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    (listener, at)
}

// ---- ports among themselves ----

#[test]
fn two_ports_talk_whoever_begins() {
    for (first, second) in [(1, 2), (2, 1)] {
        run(async {
            let (mut a, mut b) = (Station::new(first).await, Station::new(second).await);
            a.know(&[(second, b.at)]);
            b.know(&[(first, a.at)]);
            a.say(second, 7);
            assert_eq!(b.hears().await, (first, 7));
            b.say(first, 8);
            assert_eq!(a.hears().await, (second, 8));
            a.say(second, 9);
            assert_eq!(b.hears().await, (first, 9));
        });
    }
}

#[test]
fn three_ports_talk_all_at_once() {
    run(async {
        let mut stations = Vec::new();
        for me in 1..=3 {
            stations.push(Station::new(me).await);
        }
        let all: Vec<_> = stations.iter().zip(1..).map(|(s, sid)| (sid, s.at)).collect();
        for station in &stations {
            station.know(&all);
        }
        for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)] {
            stations[from - 1].say(to as i64, from as i64 * 10);
        }
        for (station, me) in stations.iter_mut().zip(1..) {
            let mut missing: Vec<(i64, i64)> =
                (1..=3).filter(|sid| *sid != me).map(|sid| (sid, sid * 10)).collect();
            // Crossing dials may close a connection that had served already: words are said twice.
            while !missing.is_empty() {
                let heard = station.hears().await;
                missing.retain(|expected| *expected != heard);
            }
        }
    });
}

#[test]
fn ports_talk_over_ipv6_and_by_name() {
    run(async {
        let port = free_port();
        let any = ElectionPortOptions {
            listen: vec![ListenAt::AnyAddress(port)],
            announce: format!("[::]:{port}"),
            ..options(1, port)
        };
        let mut a = Station::with(any).await;
        let mut b = Station::new(2).await;
        let targets = if a.at.is_ipv6() { vec!["::1", "localhost"] } else { vec!["localhost"] };
        a.know(&[(2, b.at)]);
        for (host, round) in targets.into_iter().zip(1..) {
            let peers = BTreeMap::from([(Sid(1), vec![(host.to_owned(), port)])]);
            b.port.set_peers(&peers);
            b.port.inner.hang_up(Sid(1));
            b.say(1, round);
            assert_eq!(a.hears().await, (2, round));
        }
        // The wildcard it has announced is nowhere; it is called back where the configuration says.
        b.port.inner.hang_up(Sid(1));
        a.port.inner.hang_up(Sid(2));
        a.say(2, 5);
        assert_eq!(b.hears().await, (1, 5));
    });
}

#[test]
fn of_several_addresses_the_first_that_answers_is_taken() {
    run(async {
        let (mut a, b) = (Station::new(1).await, Station::new(2).await);
        let hosts = vec![
            ("127.0.0.1".to_owned(), free_port()),
            ("no-such-name.invalid".to_owned(), 1),
            ("127.0.0.1".to_owned(), a.at.port()),
        ];
        b.port.set_peers(&BTreeMap::from([(Sid(1), hosts)]));
        b.say(1, 3);
        assert_eq!(a.hears().await, (2, 3));
    });
}

#[test]
fn only_the_newest_vote_is_kept_and_said_again_on_a_new_connection() {
    run(async {
        let (listener, at) = listener().await;
        let b = Station::new(2).await;
        b.know(&[(1, at)]);
        b.say(1, 1);
        b.say(1, 2);
        b.say(1, 3);
        let (mut stream, _) = listener.accept().await.expect("dialled");
        let mut first = vec![0; initial(V1, 2, b.at.to_string().as_bytes()).len()];
        stream.read_exact(&mut first).await.expect("the first words");
        assert_eq!(reads_note(&mut stream).await, 3);
        // Lost without a trace: it dials again by itself and repeats the last words.
        drop(stream);
        let (mut stream, _) = listener.accept().await.expect("dialled again");
        stream.read_exact(&mut first).await.expect("the first words");
        assert_eq!(reads_note(&mut stream).await, 3);
    });
}

#[test]
fn a_closed_port_is_reported_and_a_name_that_is_none_does_no_harm() {
    run(async {
        let mut a = Station::new(1).await;
        let refusing: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
        let nowhere = vec![("no-such-name.invalid".to_owned(), 1)];
        let peers = BTreeMap::from([
            (Sid(3), nowhere),
            (Sid(2), vec![("127.0.0.1".to_owned(), refusing.port())]),
        ]);
        a.port.set_peers(&peers);
        a.say(3, 1);
        a.say(2, 1);
        assert_eq!(a.is_refused().await, 2);
        // Each further try is a new dial.
        a.say(2, 2);
        assert_eq!(a.is_refused().await, 2);
        // It comes up: the vote that found nobody is still there.
        let mut b = Station::with(options(2, refusing.port())).await;
        b.know(&[(1, a.at)]);
        b.say(1, 4);
        assert_eq!(a.hears().await, (2, 4));
        assert_eq!(b.hears().await, (1, 2));
    });
}

#[test]
fn a_server_that_dies_is_found_out_by_the_next_vote() {
    run(async {
        let (mut a, mut b) = (Station::new(1).await, Station::new(2).await);
        a.know(&[(2, b.at)]);
        b.know(&[(1, a.at)]);
        a.say(2, 1);
        assert_eq!(b.hears().await, (1, 1));
        drop(b);
        a.say(2, 2);
        assert_eq!(a.is_refused().await, 2);
    });
}

#[test]
fn an_address_in_use_ends_with_an_error_that_names_it() {
    run(async {
        let a = Station::new(1).await;
        let again = ElectionPortOptions { bind_retries: 1, ..options(1, a.at.port()) };
        let error = ElectionPort::start(again, Rc::new(|_| {})).await.err().expect("in use");
        assert_eq!((error.attempts, error.listen.as_str()), (1, a.at.to_string().as_str()));
        assert!(error.to_string().contains("can't be opened"), "{error}");
        // Another address of the same server is enough.
        let mut two = ElectionPortOptions { bind_retries: 1, ..options(1, free_port()) };
        two.listen.insert(0, ListenAt::Address(a.at));
        Station::with(two).await;
    });
}

// ---- a port and bare sockets ----

#[test]
fn a_smaller_id_is_called_back_at_the_address_it_gave_even_if_nobody_knows_it() {
    run(async {
        let (listener, at) = listener().await;
        let mut b = Station::new(5).await;
        let mut knock = dial(b.at, &initial(V1, 4, at.to_string().as_bytes())).await;
        is_closed(&mut knock).await;
        let (mut stream, _) = listener.accept().await.expect("called back");
        let expected = initial(V1, 5, b.at.to_string().as_bytes());
        let mut first = vec![0; expected.len()];
        stream.read_exact(&mut first).await.expect("the first words");
        assert_eq!(first, expected);
        stream.write_all(&encode(&note(6))).await.expect("written");
        assert_eq!(b.hears().await, (4, 6));
        b.say(4, 7);
        assert_eq!(reads_note(&mut stream).await, 7);
    });
}

#[test]
fn a_smaller_id_that_gave_no_usable_address_is_called_back_at_its_configured_one() {
    run(async {
        let (listener, at) = listener().await;
        let b = Station::new(5).await;
        b.know(&[(4, at)]);
        let dead = format!("127.0.0.1:{}", free_port());
        for words in [
            4i64.to_be_bytes().to_vec(),
            initial(V1, 4, b"0.0.0.0:1"),
            initial(V1, 4, dead.as_bytes()),
        ] {
            let mut knock = dial(b.at, &words).await;
            is_closed(&mut knock).await;
            listener.accept().await.expect("called back");
        }
    });
}

#[test]
fn a_larger_id_keeps_its_connection_and_takes_the_place_of_its_older_one() {
    run(async {
        let mut b = Station::new(5).await;
        // Both versions, and the bare id of 3.4.
        let words =
            [initial(V1, 6, b"h:1"), initial(V2, 6, b"h:1|[::1]:2"), 6i64.to_be_bytes().into()];
        let mut older: Option<TcpStream> = None;
        for (words, round) in words.into_iter().zip(1..) {
            let mut stream = dial(b.at, &words).await;
            stream.write_all(&encode(&note(round))).await.expect("written");
            assert_eq!(b.hears().await, (6, round));
            if let Some(mut older) = older.take() {
                is_closed(&mut older).await;
                assert_eq!(reads_note(&mut stream).await, round - 1, "the last words again");
            }
            b.say(6, round);
            assert_eq!(reads_note(&mut stream).await, round);
            older = Some(stream);
        }
    });
}

#[test]
fn knocking_at_a_larger_id_leaves_the_first_words_and_goes() {
    run(async {
        let (listener, at) = listener().await;
        let a =
            Station::with(ElectionPortOptions { multi_address: true, ..options(1, free_port()) });
        let a = a.await;
        a.know(&[(5, at)]);
        a.say(5, 1);
        let (mut stream, _) = listener.accept().await.expect("dialled");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.expect("read");
        assert_eq!(said, initial(V2, 1, a.at.to_string().as_bytes()));
        let mut back = dial(a.at, &initial(V1, 5, at.to_string().as_bytes())).await;
        assert_eq!(reads_note(&mut back).await, 1);
    });
}

#[test]
fn observers_without_an_id_are_called_back_too() {
    run(async {
        let (listener, at) = listener().await;
        let mut b = Station::new(1).await;
        for (expected, round) in [(-1, 1), (-2, 2)] {
            let mut knock = dial(b.at, &initial(V1, i64::MAX, at.to_string().as_bytes())).await;
            is_closed(&mut knock).await;
            let (mut stream, _) = listener.accept().await.expect("called back");
            stream.write_all(&encode(&note(round))).await.expect("written");
            assert_eq!(b.hears().await, (expected, round));
        }
    });
}

#[test]
fn the_first_words_may_come_byte_by_byte_and_glued_to_what_follows() {
    run(async {
        let mut b = Station::new(1).await;
        let mut words = initial(V1, 9, b"127.0.0.1:1");
        words.extend_from_slice(&encode(&note(1)));
        let mut slow = dial(b.at, &[]).await;
        slow.set_nodelay(true).expect("set");
        for byte in &words {
            slow.write_all(&[*byte]).await.expect("written");
            tokio::task::yield_now().await;
        }
        assert_eq!(b.hears().await, (9, 1));
        let _kept = dial(b.at, &words).await;
        assert_eq!(b.hears().await, (9, 1));
    });
}

#[test]
fn whoever_says_nothing_is_closed_in_time() {
    run(async {
        let quick = ElectionPortOptions { handshake_timeout_ms: 50, ..options(1, free_port()) };
        let b = Station::with(quick).await;
        let mut stream = dial(b.at, &initial(V1, 9, b"127.0.0.1:1")[..19]).await;
        is_closed(&mut stream).await;
    });
}

#[test]
fn many_who_say_nothing_do_not_keep_others_out() {
    run(async {
        let mut b = Station::new(1).await;
        let mut silent = Vec::new();
        for _ in 0..limits::ELECTION_HANDSHAKES_MAX + 3 {
            silent.push(dial(b.at, &[0xff]).await);
        }
        let mut words = initial(V1, 9, b"127.0.0.1:1");
        words.extend_from_slice(&encode(&note(1)));
        let _kept = dial(b.at, &words).await;
        assert_eq!(b.hears().await, (9, 1));
        is_closed(&mut silent[0]).await;
    });
}

#[test]
fn another_server_with_the_same_id_is_turned_away() {
    run(async {
        let b = Station::new(1).await;
        let mut twin = dial(b.at, &initial(V1, 1, b"127.0.0.1:1")).await;
        is_closed(&mut twin).await;
    });
}

#[test]
fn garbage_closes_its_own_connection_only() {
    run(async {
        let mut b = Station::new(5).await;
        let mut good = dial(b.at, &initial(V1, 9, b"127.0.0.1:1")).await;
        let mut long = initial(V1, 8, b"");
        long[16..].copy_from_slice(&2049i32.to_be_bytes());
        let mut negative = long.clone();
        negative[16..].copy_from_slice(&(-1i32).to_be_bytes());
        for garbage in [
            b"\xffET / HTTP/1.1\r\n\r\n".to_vec(),
            initial(-65_534, 8, b"127.0.0.1:1"),
            initial(V1, 8, b""),
            initial(V1, 8, b"nowhere"),
            initial(V1, 8, b"127.0.0.1:70000"),
            long,
            negative,
        ] {
            is_closed(&mut dial(b.at, &garbage).await).await;
        }
        for len in [0, -1, i32::MIN, i32::MAX, 512 * 1024 + 1] {
            let mut stream = dial(b.at, &initial(V1, 8, b"127.0.0.1:1")).await;
            stream.write_all(&len.to_be_bytes()).await.expect("written");
            is_closed(&mut stream).await;
        }
        // What can't be read is passed over: it may be of some later time.
        let mut no_config = encode(&note(1))[4..].to_vec();
        no_config.truncate(42);
        for unknown in [vec![0; 27], vec![9; 44], vec![0; 36], no_config] {
            good.write_i32(unknown.len() as i32).await.expect("written");
            good.write_all(&unknown).await.expect("written");
        }
        good.write_all(&encode(&note(2))).await.expect("written");
        assert_eq!(b.hears().await, (9, 2));
    });
}

#[test]
fn a_flood_is_heard_to_the_end_and_closes_nothing() {
    run(async {
        let mut b = Station::new(1).await;
        let mut stream = dial(b.at, &initial(V1, 9, b"127.0.0.1:1")).await;
        let rounds = 2 * limits::ELECTION_NOTIFICATIONS_IN_A_ROW as i64 + 1;
        for round in 1..=rounds {
            stream.write_all(&encode(&note(round))).await.expect("written");
        }
        for round in 1..=rounds {
            assert_eq!(b.hears().await, (9, round));
        }
    });
}

/// What waits for the core of one server is bounded in bytes; others are heard meanwhile.
#[test]
fn who_says_more_than_is_heard_is_read_no_further() {
    const COUNT: usize = 12;
    run(async {
        let mut b = Station::new(1).await;
        let nowhere = (Ipv6Addr::LOCALHOST, 1).into();
        b.know(&[(8, nowhere), (9, nowhere)]);
        let config = Some(Bytes::from(vec![b'#'; limits::ELECTION_INPUT_BYTES_MAX / 4]));
        let large = Notification { config, ..note(1) };
        let mut stream = dial(b.at, &initial(V1, 9, b"127.0.0.1:1")).await;
        let frames = encode(&large).repeat(COUNT);
        let writing = tokio::task::spawn_local(async move {
            stream.write_all(&frames).await.expect("written");
            stream
        });
        for _ in 0..4 {
            assert!(matches!(b.events.recv().await, Some(Event::Notification { .. })));
        }
        let mut other = dial(b.at, &initial(V1, 8, b"127.0.0.1:1")).await;
        for round in 1..=50 {
            other.write_all(&encode(&note(round))).await.expect("written");
            assert_eq!(b.hears().await, (8, round), "the first is not read further");
        }
        for _ in 4..COUNT {
            b.port.heard(Sid(9), large.weight());
            match b.events.recv().await {
                Some(Event::Notification { from, .. }) => assert_eq!(from, Sid(9)),
                other => panic!("no notification: {other:?}"),
            }
        }
        writing.await.expect("all of it was read");
    });
}

#[test]
fn the_ids_of_servers_that_nobody_knows_are_counted() {
    run(async {
        let mut b = Station::new(1).await;
        let mut kept = Vec::new();
        for sid in 0..limits::ELECTION_STRANGERS_MAX as i64 {
            let mut stream = dial(b.at, &initial(V1, 100 + sid, b"127.0.0.1:1")).await;
            stream.write_all(&encode(&note(1))).await.expect("written");
            b.hears().await;
            kept.push(stream);
        }
        is_closed(&mut dial(b.at, &initial(V1, 99, b"127.0.0.1:1")).await).await;
        b.know(&[(99, (Ipv6Addr::LOCALHOST, 1).into())]);
        let mut known = dial(b.at, &initial(V1, 99, b"127.0.0.1:1")).await;
        known.write_all(&encode(&note(2))).await.expect("written");
        assert_eq!(b.hears().await, (99, 2));
    });
}
