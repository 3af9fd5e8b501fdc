//! Who waits for whom, and for how long: a core that is behind, transfers that stand still.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::kit::{self, body, packet, Kit};
use super::*;

/// Long enough for a busy machine to go on if it may.
const STILL: Duration = Duration::from_millis(500);
/// So short that no transfer of a whole megabyte gets through by chance.
const STALL: Duration = Duration::from_millis(200);
const PACKETS: i64 = 400;

fn long_packet(zxid: i64) -> Vec<u8> {
    packet(PacketType::Request, zxid, Some(&vec![zxid as u8; 100_000]))
}

/// Writes [`PACKETS`] long packets, as fast as they are taken.
fn write_many(peer: &TcpStream) -> std::thread::JoinHandle<()> {
    let mut peer = peer.try_clone().unwrap();
    std::thread::spawn(move || {
        for zxid in 0..PACKETS {
            // The link may be closed by the other side.
            let _ = peer.write_all(&long_packet(zxid));
        }
    })
}

/// Leaves what comes unheard until nothing more comes: so many bytes, the bound at least.
fn flood(kit: &mut Kit, of: LinkId, held: &mut Vec<Event>) -> usize {
    let mut bytes = 0;
    loop {
        let is_full = bytes >= kit::INPUT_BYTES_MAX;
        match kit.events.recv_timeout(if is_full { STILL } else { kit::PATIENCE }) {
            Ok(Event::Packet { link, packet }) => {
                assert_eq!(link, of);
                bytes += packet.data.as_ref().map_or(0, Bytes::len);
                held.push(Event::Packet { link, packet });
            }
            Ok(other) => panic!("{other:?}"),
            Err(RecvTimeoutError::Timeout) => {
                assert!(is_full, "no more than {bytes} bytes are told");
                return bytes;
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the thread has ended"),
        }
    }
}

fn hear(kit: &mut Kit, events: Vec<Event>) {
    for event in events {
        kit.ports.heard(&event);
        kit.ports.flush(true);
    }
}

#[test]
fn a_core_that_is_behind_is_not_told_more_and_loses_nothing() {
    let mut kit = Kit::new();
    for (peer, link) in &[kit.learner(), kit.leader()] {
        let (mut peer, link) = (peer, *link);
        let writing = write_many(peer);
        let mut held = Vec::new();
        let unheard = flood(&mut kit, link, &mut held);
        // One wake-up may go beyond, by a packet and what a buffer holds.
        assert!(unheard < kit::INPUT_BYTES_MAX + (1 << 20), "{unheard} bytes unheard");
        // What it has to say itself still goes out.
        kit.ports.send(link, packet(PacketType::Ping, 7, None).into());
        kit.ports.flush(true);
        let mut ping = vec![0; packet(PacketType::Ping, 7, None).len()];
        peer.read_exact(&mut ping).unwrap();
        let mut next = held.len() as i64;
        hear(&mut kit, held);
        while next < PACKETS {
            let data = vec![next as u8; 100_000];
            kit.expect_packet(link, PacketType::Request, next, Some(&data));
            next += 1;
        }
        writing.join().unwrap();
    }
}

#[test]
fn one_peers_flood_stands_in_nobody_elses_way_and_can_be_ended() {
    let mut kit = Kit::new();
    let (peer, link) = kit.learner();
    let (mut other, other_link) = kit.learner();
    let writing = write_many(&peer);
    let mut held = Vec::new();
    flood(&mut kit, link, &mut held);
    other.write_all(&packet(PacketType::Ping, 1, None)).unwrap();
    kit.expect_packet(other_link, PacketType::Ping, 1, None);
    kit.ports.close(link);
    kit.ports.flush(true);
    kit.expect_closed(link);
    writing.join().unwrap();
    // Too late, and no harm.
    hear(&mut kit, held);
    other.write_all(&packet(PacketType::Ping, 2, None)).unwrap();
    kit.expect_packet(other_link, PacketType::Ping, 2, None);
}

#[test]
fn a_learner_that_stops_reading_its_snapshot_is_let_go() {
    let mut kit = Kit::that_stalls_after(STALL);
    let (mut peer, link) = kit.learner();
    // In front of it, too: the system takes the first bytes of anything.
    kit.ports.send(link, vec![0; 8 << 20].into());
    kit.ports.send_snapshot(link, kit::file(Zxid(9), body(40 << 20)));
    kit.ports.flush(true);
    let mut some = vec![0; 1 << 20];
    // It may be let go before that, too.
    let _ = peer.read_exact(&mut some);
    kit.expect_closed(link);
}

#[test]
fn a_leader_that_stops_sending_its_snapshot_is_let_go() {
    let mut kit = Kit::that_stalls_after(STALL);
    let whole = kit::snapshot(9, 3_000_000);
    let in_signature = whole.len() - 3;
    for cut in [whole.len() / 2, in_signature] {
        let (mut peer, link) = kit.leader();
        // It may be let go before that.
        let _ = peer.write_all(&whole[..cut]);
        kit.expect_packet(link, PacketType::Snap, 9, None);
        kit.expect_closed(link);
        kit.expect_sinks(0);
    }
}

#[test]
fn a_sink_that_takes_long_is_no_fault_of_the_leaders() {
    let mut kit = Kit::that_stalls_after(STALL);
    let (mut peer, link) = kit.leader();
    let gate = kit.hold_sinks();
    peer.write_all(&kit::snapshot(9, 10_000)).unwrap();
    kit.expect_packet(link, PacketType::Snap, 9, None);
    // Longer than the peer may stand still; but all it has to send is there.
    assert!(matches!(kit.events.recv_timeout(2 * STALL), Err(RecvTimeoutError::Timeout)));
    drop(gate);
    assert!(matches!(kit.next_event(), Event::SnapshotReceived { link: l } if l == link));
}
