//! The port on loopback: a fake core above, plain sockets as peers.

mod kit;
mod pace;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jute::quorum::{PacketType, ServerState};
use jute::txn::TxnHeader;
use jute::Encode;

use self::kit::{body, packet, proposals, Kit, FRAMED_BODY_HEAD};
use super::*;
use crate::limits;

const GARBAGE: [&[u8]; 4] = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff",
    b"\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe",
    b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\
      \x00\x00\x00\x01\xff\xff\xff\xfe",
];

#[test]
fn packets_come_through_byte_by_byte_and_many_at_once() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.learner();
    let ack = packet(PacketType::Ack, 5, None);
    for byte in &ack {
        peer.write_all(&[*byte]).unwrap();
    }
    kit.expect_packet(link, PacketType::Ack, 5, None);
    let mut many = Vec::new();
    for zxid in 0..20_000 {
        many.extend(packet(PacketType::Request, zxid, Some(&zxid.to_be_bytes())));
    }
    peer.write_all(&many).unwrap();
    for zxid in 0..20_000 {
        kit.expect_packet(link, PacketType::Request, zxid, Some(&zxid.to_be_bytes()));
    }
}

#[test]
fn the_longest_data_comes_through_and_one_byte_more_does_not() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.learner();
    let long = vec![7; jute::Limits::DEFAULT.max_length];
    peer.write_all(&packet(PacketType::Request, 1, Some(&long))).unwrap();
    kit.expect_packet(link, PacketType::Request, 1, Some(&long));
    let longer = vec![7; jute::Limits::DEFAULT.max_length + 1];
    // The connection may be closed before all of it is written.
    let _ = peer.write_all(&packet(PacketType::Request, 2, Some(&longer)));
    kit.expect_closed(link);
}

#[test]
fn rubbish_closes_its_own_connection_behind_what_was_good() {
    let mut kit = Kit::new();
    let (mut good, good_link) = kit.learner();
    for rubbish in GARBAGE {
        let (mut bad, link) = kit.learner();
        let mut bytes = packet(PacketType::Ack, 1, None);
        bytes.extend_from_slice(rubbish);
        bad.write_all(&bytes).unwrap();
        kit.expect_packet(link, PacketType::Ack, 1, None);
        kit.expect_closed(link);
    }
    good.write_all(&packet(PacketType::Ack, 2, None)).unwrap();
    kit.expect_packet(good_link, PacketType::Ack, 2, None);
}

/// A transaction's bytes, whose header says `zxid`: an error, which has the shortest record.
fn transaction(zxid: i64) -> Vec<u8> {
    let header = TxnHeader { client_id: 1, cxid: 2, zxid, time_ms: 3, kind: -1 };
    let mut bytes = header.to_bytes();
    bytes.extend((-101i32).to_be_bytes());
    bytes
}

#[test]
fn a_transaction_that_cannot_be_read_closes_the_link_before_the_core_hears_of_it() {
    let mut kit = Kit::new();
    let good = transaction(5);
    let cut = &good[..good.len() - 1];
    let bad: [Option<&[u8]>; 4] = [None, Some(b""), Some(cut), Some(&transaction(6))];
    // A reconfig has the next leader's id in front.
    let kinds = [
        (PacketType::Proposal, &[][..]),
        (PacketType::Inform, &[]),
        (PacketType::InformAndActivate, &[0; 8]),
    ];
    for (kind, front) in kinds {
        for data in bad {
            let (mut leader, link) = kit.leader();
            let good = [front, &good].concat();
            let data = data.map(|data| [front, data].concat());
            let mut bytes = packet(kind, 5, Some(&good));
            bytes.extend(packet(kind, 5, data.as_deref()));
            bytes.extend(packet(PacketType::Ping, 7, None));
            leader.write_all(&bytes).unwrap();
            kit.expect_packet(link, kind, 5, Some(&good));
            kit.expect_closed(link);
        }
    }
    // Nobody logs what a learner says.
    let (mut learner, link) = kit.learner();
    learner.write_all(&packet(PacketType::Proposal, 5, Some(cut))).unwrap();
    kit.expect_packet(link, PacketType::Proposal, 5, Some(cut));
}

#[test]
fn packets_logs_and_snapshots_keep_their_order() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.learner();
    kit.put_log(1..=5000);
    let image = body(3_000_000);
    kit.ports.send(link, packet(PacketType::Diff, 1, None).into());
    kit.ports.send_log(link, Zxid(10), Zxid(4000));
    kit.ports.send(link, packet(PacketType::Ping, 2, None).into());
    kit.ports.send(link, packet(PacketType::Ping, 3, None).into());
    kit.ports.send_snapshot(link, kit::file(Zxid(4000), image.clone()));
    kit.ports.send_log(link, Zxid(4000), Zxid(4000));
    kit.ports.send(link, packet(PacketType::NewLeader, 4, None).into());
    kit.ports.flush(true);
    let mut expected = packet(PacketType::Diff, 1, None);
    expected.extend(proposals(11..=4000));
    expected.extend(packet(PacketType::Ping, 2, None));
    expected.extend(packet(PacketType::Ping, 3, None));
    expected.extend(packet(PacketType::Snap, 4000, None));
    expected.extend(image);
    expected.extend(b"\x00\x00\x00\x0aBenWasHere");
    expected.extend(packet(PacketType::NewLeader, 4, None));
    let mut got = vec![0; expected.len()];
    peer.read_exact(&mut got).unwrap();
    assert!(got == expected);
    // Told once, behind the last of them.
    assert!(matches!(kit.next_event(), Event::BulkSent { link: l } if l == link));
    // And the other direction has gone on all the time.
    peer.write_all(&packet(PacketType::Ack, 4, None)).unwrap();
    kit.expect_packet(link, PacketType::Ack, 4, None);
}

#[test]
fn short_packets_overtake_nothing() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.learner();
    kit.put_log(1..=100);
    let mut expected = Vec::new();
    for turn in 0..2_000i64 {
        // The pipeline sends the short ones itself, until one is too long or the socket is full.
        let len = [0, 20, 300, 3 * limits::SHORTCUT_BYTES_MAX][(turn % 7) as usize % 4];
        let ping = packet(PacketType::Ping, turn, Some(&vec![turn as u8; len]));
        expected.extend_from_slice(&ping);
        kit.ports.send(link, ping.into());
        if turn % 500 == 0 {
            kit.ports.send_log(link, Zxid(0), Zxid(100));
            expected.extend(proposals(1..=100));
        }
        kit.ports.flush(true);
    }
    kit.ports.send(link, Bytes::new());
    kit.ports.close(link);
    kit.ports.flush(true);
    let mut got = vec![0; expected.len()];
    peer.read_exact(&mut got).unwrap();
    assert!(got == expected);
}

#[test]
fn what_cannot_be_read_closes_the_link() {
    let mut kit = Kit::new();
    kit.put_log(1..=10);
    let (mut peer, link) = kit.learner();
    kit.ports.send_log(link, Zxid(5), Zxid(12));
    kit.ports.flush(true);
    kit.expect_closed(link);
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert!(proposals(6..=10).starts_with(&got));
    let (_peer, link) = kit.learner();
    let open = Box::new(|| Err(io::Error::other("the file is gone")));
    kit.ports.send_snapshot(link, SnapshotFile { zxid: Zxid(1), open });
    kit.ports.flush(true);
    kit.expect_closed(link);
}

#[test]
fn a_peer_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let mut kit = Kit::new();
    let (slow_peer, slow) = kit.learner();
    let (mut quick_peer, quick) = kit.learner();
    let piece = Bytes::from(vec![1; 1 << 20]);
    let mut got = vec![0; piece.len()];
    let mut turns = 0;
    while kit.events.try_recv().is_err() {
        kit.ports.send(slow, piece.clone());
        kit.ports.send(quick, piece.clone());
        kit.ports.flush(true);
        quick_peer.read_exact(&mut got).unwrap();
        turns += 1;
        assert!(turns < 1000, "never cut off");
    }
    assert!(turns > kit::OUTPUT_BYTES_MAX >> 20);
    drop(slow_peer);
}

#[test]
fn a_slow_peer_gets_its_snapshot_while_others_are_served() {
    let mut kit = Kit::new();
    let (mut slow_peer, slow) = kit.learner();
    let (mut quick_peer, quick) = kit.learner();
    let image = body(40 << 20);
    kit.ports.send_snapshot(slow, kit::file(Zxid(9), image.clone()));
    kit.ports.send(slow, packet(PacketType::NewLeader, 4, None).into());
    kit.ports.send(quick, packet(PacketType::Ping, 1, None).into());
    kit.ports.flush(true);
    let ping = packet(PacketType::Ping, 1, None);
    let mut got = vec![0; ping.len()];
    quick_peer.read_exact(&mut got).unwrap();
    assert_eq!(got, ping);
    let snap = packet(PacketType::Snap, 9, None);
    let mut got = vec![0; snap.len() + image.len()];
    slow_peer.read_exact(&mut got).unwrap();
    assert!(got[snap.len()..] == image);
}

#[test]
fn listening_ends_and_begins_again() {
    let mut kit = Kit::new();
    for _ in 0..3 {
        let (mut peer, link) = kit.learner();
        kit.ports.listen(false);
        kit.ports.flush(true);
        kit.expect_closed(link);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert!(TcpStream::connect(kit.quorum_address()).is_err());
        kit.ports.listen(true);
        kit.ports.flush(true);
    }
    // On again before it was off: the ports are free in between.
    let (_peer, link) = kit.learner();
    kit.ports.listen(false);
    kit.ports.listen(true);
    kit.ports.flush(true);
    kit.expect_closed(link);
    kit.learner();
}

#[test]
fn a_taken_port_is_told() {
    let mut kit = Kit::new();
    kit.ports.listen(false);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    kit.set_address(kit::ME, &[taken.local_addr().unwrap()]);
    kit.ports.listen(true);
    kit.ports.flush(true);
    match kit.next_event() {
        Event::ListenFailed { why } => assert!(why.contains("in use"), "{why}"),
        other => panic!("{other:?}"),
    }
    kit.set_address(kit::ME, &[]);
    kit.ports.listen(true);
    kit.ports.flush(true);
    assert!(matches!(kit.next_event(), Event::ListenFailed { .. }));
}

#[test]
fn one_of_several_addresses_is_enough_to_listen() {
    let mut kit = Kit::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = kit.quorum_address();
    kit.set_address(kit::ME, &[taken.local_addr().unwrap(), free]);
    kit.ports.listen(true);
    kit.ports.flush(true);
    kit.learner();
}

#[test]
fn both_families_are_listened_on_and_dialled() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    let mut kit = Kit::new();
    let port = kit.quorum_address().port();
    let six = (IpAddr::from(Ipv6Addr::LOCALHOST), port).into();
    kit.set_address(kit::ME, &[kit.quorum_address(), six]);
    kit.ports.listen(true);
    kit.ports.dial(kit::ME, 5000);
    kit.ports.flush(true);
    let mut opened = 0;
    // Both dials may connect; the one that comes second is dropped, and its other end closed.
    while opened < 2 {
        opened += usize::from(matches!(kit.next_event(), Event::LinkOpened { .. }));
    }
    kit.set_address(kit::ME, &[six]);
    kit.ports.listen(true);
    kit.ports.flush(true);
    let _peer = kit.connect(six);
    while !matches!(kit.next_event(), Event::LinkOpened { .. }) {}
}

#[test]
fn the_wildcard_listens_everywhere() {
    let mut kit = Kit::new();
    let port = kit.quorum_address().port();
    kit.set_address(kit::ME, &[([0, 0, 0, 0], port).into()]);
    kit.ports.listen(true);
    kit.ports.flush(true);
    let (_peer, _) = kit.learner();
    kit.connect(([127, 0, 0, 2], port).into());
}

#[test]
fn a_dial_finds_the_address_that_answers() {
    let mut kit = Kit::new();
    let leader = TcpListener::bind("127.0.0.1:0").unwrap();
    kit.set_address(Sid(2), &[kit::refusing(), leader.local_addr().unwrap(), kit::refusing()]);
    kit.ports.dial(Sid(2), 5000);
    kit.ports.flush(true);
    let (mut peer, _) = leader.accept().unwrap();
    let link = kit.expect_opened();
    peer.write_all(&packet(PacketType::LeaderInfo, 1, None)).unwrap();
    kit.expect_packet(link, PacketType::LeaderInfo, 1, None);
}

#[test]
fn a_dial_tries_five_times_and_then_fails() {
    let mut kit = Kit::new();
    kit.set_address(Sid(2), &[kit::refusing()]);
    let begun = Instant::now();
    kit.ports.dial(Sid(2), 60_000);
    kit.ports.flush(true);
    assert!(matches!(kit.next_event(), Event::DialFailed));
    assert!(begun.elapsed() >= 4 * Duration::from_millis(kit::DIAL_PAUSE_MS));
    // A leader nobody knows, no time at all.
    kit.ports.dial(Sid(77), 60_000);
    kit.ports.flush(true);
    assert!(matches!(kit.next_event(), Event::DialFailed));
    kit.ports.dial(Sid(2), 0);
    kit.ports.flush(true);
    assert!(matches!(kit.next_event(), Event::DialFailed));
}

#[test]
fn a_dial_waits_for_a_leader_that_is_late() {
    let mut kit = Kit::new();
    let late = kit::Late::reserve();
    kit.set_address(Sid(2), &[late.address()]);
    kit.ports.dial(Sid(2), 60_000);
    kit.ports.flush(true);
    let leader = late.listen();
    kit.expect_opened();
    drop(leader);
}

#[test]
fn a_newer_dial_takes_the_place_of_the_old() {
    let mut kit = Kit::new();
    let leader = TcpListener::bind("127.0.0.1:0").unwrap();
    kit.set_address(Sid(2), &[kit::refusing()]);
    kit.set_address(Sid(3), &[leader.local_addr().unwrap()]);
    kit.ports.dial(Sid(2), 60_000);
    kit.ports.flush(true);
    kit.ports.dial(Sid(3), 60_000);
    kit.ports.flush(true);
    let first = kit.expect_opened();
    // What was dialled before is closed.
    kit.ports.dial(Sid(3), 60_000);
    kit.ports.flush(true);
    kit.expect_closed(first);
    let second = kit.expect_opened();
    assert_ne!(first, second);
    kit.ports.dial(Sid(2), 60_000);
    kit.ports.cancel_dial();
    kit.ports.flush(true);
    kit.expect_closed(second);
    let rest = kit.finish();
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn closing_sends_what_is_queued_and_reads_no_more() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.learner();
    let bytes = vec![3; 8 << 20];
    kit.ports.send(link, bytes.clone().into());
    kit.ports.close(link);
    kit.ports.send(link, vec![4; 100].into());
    kit.ports.close(link);
    kit.ports.flush(true);
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert!(got == bytes);
    let rest = kit.finish();
    assert!(matches!(rest[..], [Event::LinkClosed { link: l }] if l == link), "{rest:?}");
}

#[test]
fn closing_does_not_wait_for_ever() {
    let mut kit = Kit::new();
    let (peer, link) = kit.learner();
    kit.ports.send(link, vec![3; 8 << 20].into());
    kit.ports.send_snapshot(link, kit::file(Zxid(1), body(30 << 20)));
    kit.ports.close(link);
    kit.ports.flush(true);
    kit.expect_closed(link);
    drop(peer);
}

#[test]
fn a_peer_that_goes_is_told_once() {
    let mut kit = Kit::new();
    let (peer, link) = kit.learner();
    drop(peer);
    kit.expect_closed(link);
    kit.ports.send(link, vec![1].into());
    kit.ports.close(link);
    kit.ports.flush(true);
    assert!(kit.finish().is_empty());
}

#[test]
fn a_snapshot_comes_in_wherever_it_is_cut() {
    let mut kit = Kit::new();
    for piece_len in [1, 3, 14, 1000] {
        let (mut peer, link) = kit.leader();
        let image = body(700);
        let mut bytes = packet(PacketType::Ping, 1, None);
        bytes.extend(kit::snapshot(77, 700));
        bytes.extend(packet(PacketType::NewLeader, 2, Some(b"version=0")));
        for piece in bytes.chunks(piece_len) {
            peer.write_all(piece).unwrap();
        }
        kit.expect_packet(link, PacketType::Ping, 1, None);
        kit.expect_packet(link, PacketType::Snap, 77, None);
        assert!(matches!(kit.next_event(), Event::SnapshotReceived { link: l } if l == link));
        kit.expect_packet(link, PacketType::NewLeader, 2, Some(b"version=0"));
        let received = kit.ports.received(link).expect("it was told");
        assert_eq!((received.link, received.zxid), (link, Zxid(77)));
        assert!(received.bytes[..] == image[..]);
        assert!(kit.ports.received(link).is_none());
    }
}

#[test]
fn a_slow_disk_holds_up_its_own_leader_only() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.leader();
    let hold = kit.hold_sinks();
    peer.write_all(&packet(PacketType::Snap, 1, None)).unwrap();
    kit.expect_packet(link, PacketType::Snap, 1, None);
    // A body that is complete at once, and far more behind it than the channel takes.
    let mut bytes = body(100_000);
    bytes.extend_from_slice(b"\x00\x00\x00\x0aBenWasHere");
    for zxid in 0..200_000 {
        bytes.extend(packet(PacketType::Ping, zxid, None));
    }
    peer.set_nonblocking(true).unwrap();
    let mut written = 0;
    // Until both sockets and the channel are full: then nothing is taken any more.
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(300) && written < bytes.len() {
        if let Ok(n) = peer.write(&bytes[written..]) {
            written += n;
            last = Instant::now();
        }
    }
    let (mut other, other_link) = kit.learner();
    other.write_all(&packet(PacketType::Ack, 6, None)).unwrap();
    kit.expect_packet(other_link, PacketType::Ack, 6, None);
    drop(hold);
    peer.set_nonblocking(false).unwrap();
    let rest = bytes.split_off(written);
    let writer = std::thread::spawn(move || peer.write_all(&rest).map(|()| peer));
    assert!(matches!(kit.next_event(), Event::SnapshotReceived { .. }));
    for zxid in 0..200_000 {
        kit.expect_packet(link, PacketType::Ping, zxid, None);
    }
    writer.join().unwrap().unwrap();
}

#[test]
fn a_bad_snapshot_closes_the_link() {
    let mut kit = Kit::new();
    let wrong_signature: &[u8] = b"\x00\x00\x00\x0aBenWasGone";
    for (len, behind) in [(10, wrong_signature), (FRAMED_BODY_HEAD as i32 - 5, b"")] {
        let (mut peer, link) = kit.leader();
        let mut bytes = packet(PacketType::Snap, 1, None);
        bytes.extend(len.to_be_bytes());
        bytes.extend(vec![0; 10]);
        bytes.extend_from_slice(behind);
        peer.write_all(&bytes).unwrap();
        kit.expect_packet(link, PacketType::Snap, 1, None);
        kit.expect_closed(link);
        assert!(kit.ports.received(link).is_none());
    }
}

#[test]
fn a_snapshot_that_is_broken_off_is_thrown_away() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.leader();
    let mut bytes = packet(PacketType::Snap, 1, None);
    bytes.extend(&body(1000)[..500]);
    peer.write_all(&bytes).unwrap();
    kit.expect_packet(link, PacketType::Snap, 1, None);
    drop(peer);
    kit.expect_closed(link);
    kit.expect_sinks(0);
}

#[test]
fn a_snapshot_is_begun_when_the_one_before_is_gone() {
    let mut kit = Kit::new();
    let (mut first_peer, first) = kit.leader();
    let hold = kit.hold_sinks();
    first_peer.write_all(&kit::snapshot(1, 1000)).unwrap();
    kit.expect_packet(first, PacketType::Snap, 1, None);
    kit.expect_sinks(1);
    // The first sink is still busy when its link is closed and another leader sends the same.
    let (mut second_peer, second) = kit.leader();
    second_peer.write_all(&kit::snapshot(1, 2000)).unwrap();
    kit.expect_packet(second, PacketType::Snap, 1, None);
    assert_eq!(kit.most_sinks(), 1);
    drop(hold);
    assert!(matches!(kit.next_event(), Event::SnapshotReceived { link } if link == second));
    // Nobody fetches the second.
    let (mut third_peer, third) = kit.leader();
    third_peer.write_all(&kit::snapshot(1, 3000)).unwrap();
    kit.expect_packet(third, PacketType::Snap, 1, None);
    assert!(matches!(kit.next_event(), Event::SnapshotReceived { link } if link == third));
    assert!(kit.ports.received(second).is_none());
    assert_eq!(kit.ports.received(third).expect("it was told").bytes.len(), 3004);
    assert_eq!(kit.most_sinks(), 1);
    kit.expect_sinks(0);
}

#[test]
fn learners_send_no_snapshots() {
    let mut kit = Kit::new();
    let (mut peer, link) = kit.learner();
    let mut bytes = packet(PacketType::Snap, 1, None);
    bytes.extend(packet(PacketType::Ack, 2, None));
    peer.write_all(&bytes).unwrap();
    kit.expect_packet(link, PacketType::Snap, 1, None);
    kit.expect_packet(link, PacketType::Ack, 2, None);
}

#[test]
fn votes_go_to_the_election_port() {
    let mut kit = Kit::new();
    let notification = Notification {
        state: ServerState::Looking,
        leader: Sid(1),
        zxid: Zxid(2),
        round: 3,
        peer_epoch: 4,
        version: 2,
        config: None,
    };
    kit.ports.notify(Sid(9), notification.clone());
    kit.ports.flush(true);
    assert_eq!(kit.notified.recv_timeout(kit::PATIENCE).unwrap(), (Sid(9), notification));
}

/// Whatever happens to a connection, from either side: it is opened, has its packets, and is closed
/// once.
#[test]
fn every_link_is_opened_first_and_closed_last() {
    let mut kit = Kit::new();
    kit.put_log(1..=300);
    let mut peers = Vec::new();
    let mut links = Vec::new();
    let mut events = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..400 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let choice = (random >> 32) as usize;
        let peer = choice % peers.len().max(1);
        let link = links.get(choice % links.len().max(1)).copied().unwrap_or(LinkId(1));
        match random % 8 {
            0 | 1 => peers.push(kit.connect(kit.quorum_address())),
            2 if !peers.is_empty() => drop(peers.swap_remove(peer)),
            3 if !peers.is_empty() => {
                // Already closed by the other end, perhaps.
                let _ = peers[peer].write_all(GARBAGE[choice % GARBAGE.len()]);
            }
            4 if !peers.is_empty() => {
                let ack = packet(PacketType::Ack, 1, None);
                let _ = peers[peer].write_all(&ack.repeat(choice % 50));
            }
            5 => kit.ports.close(link),
            6 => kit.ports.send_log(link, Zxid(choice as i64 % 300), Zxid(300)),
            _ => kit.ports.send_snapshot(link, kit::file(Zxid(1), body(choice % 100_000))),
        }
        kit.ports.flush(true);
        events.extend(kit.events.try_iter());
        links = events.iter().filter_map(kit::opened).collect();
    }
    drop(peers);
    events.extend(kit.finish());
    links = events.iter().filter_map(kit::opened).collect();
    assert!(links.len() > 50);
    for link in links {
        let fate: Vec<_> = events.iter().filter(|e| kit::link_of(e) == Some(link)).collect();
        assert!(matches!(fate[0], Event::LinkOpened { .. }), "{fate:?}");
        assert!(matches!(fate[fate.len() - 1], Event::LinkClosed { .. }), "{fate:?}");
        let between = &fate[1..fate.len() - 1];
        let quiet = |e: &&Event| matches!(e, Event::Packet { .. } | Event::BulkSent { .. });
        assert!(between.iter().all(quiet), "{fate:?}");
    }
}

#[test]
fn the_end_closes_every_link() {
    let mut kit = Kit::new();
    let (mut learner, _) = kit.learner();
    let (mut leader, _) = kit.leader();
    let rest = kit.finish();
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|e| matches!(e, Event::LinkClosed { .. })));
    assert_eq!(learner.read(&mut [0]).unwrap(), 0);
    assert_eq!(leader.read(&mut [0]).unwrap(), 0);
}
