//! Verdicts on tails: every flipped bit is damage, every tear is a tear, whatever the data.

use super::*;
use crate::storage::log_format::{put_record, slot, Slot, HEADER};

/// A log with some whole records, and where the last of `bodies` begins.
fn log_of(bodies: &[Vec<u8>], room: usize) -> (Vec<u8>, usize) {
    let mut bytes = HEADER.to_vec();
    let mut last = 0;
    for body in bodies {
        last = bytes.len();
        put_record(&mut bytes, body);
    }
    bytes.resize(bytes.len() + room, 0);
    (bytes, last)
}

/// Bodies as they are logged: a header with zeros in it, then data of a certain kind.
fn body(kind: Kind, len: usize, salt: u8) -> Vec<u8> {
    let mut body = vec![0x12, 0x34, 0, 0, 0, 0, 0, 1, 0, 0, 0, salt, 0, 0, 0, 0, 0, 0, 0, salt];
    body.extend([0, 0, 1, 0x8c, 0x4d, salt, 0x68, 3, 0, 0, 0, 1]);
    body.extend((0..len).map(|i| match kind {
        Kind::Text => b'a' + ((i * 7 + salt as usize) % 26) as u8,
        Kind::Zeros => 0,
        Kind::Bytes => ((i * i * 31 + i * 7 + salt as usize * 13) >> 3) as u8,
    }));
    body.extend([0, 0, 0, 2, 0, 0, 0, 1, salt, 0x88, 0xd6, 0x60]);
    body
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Zeros,
    Bytes,
}

const KINDS: [Kind; 3] = [Kind::Text, Kind::Zeros, Kind::Bytes];

fn verdict(bytes: &[u8], at: usize) -> Option<Tail> {
    match slot(bytes, at) {
        Slot::Record(_) => None,
        Slot::Broken(fault) => Some(judge(bytes, at, fault)),
    }
}

#[test]
fn every_flipped_bit_of_the_last_record_is_damage() {
    let mut flips = 0;
    for kind in KINDS {
        for len in [0, 5, 200, 470, 500, 900, 1500] {
            for before in [0, 100, 300] {
                let bodies = [body(kind, before, 1), body(kind, len, 2)];
                let (bytes, at) = log_of(&bodies, 2000);
                for i in (at..bytes.len() - 2000).flat_map(|i| (0..8).map(move |bit| i * 8 + bit)) {
                    let mut bytes = bytes.clone();
                    bytes[i / 8] ^= 1 << (i % 8);
                    if may_be_missing(&bytes, i / 8) {
                        continue;
                    }
                    let verdict = verdict(&bytes, at);
                    assert!(
                        matches!(verdict, Some(Tail::Damaged(_))),
                        "{kind:?} {len} behind {before}, bit {i} of {at}: {verdict:?}"
                    );
                    flips += 1;
                }
            }
        }
    }
    assert!(flips > 100_000);
}

#[test]
fn every_tear_of_the_last_batch_is_a_tear() {
    let mut rng = crate::sim::Rng::new(7);
    let mut seen = [0; 4];
    for round in 0..60_000 {
        let kind = KINDS[rng.below(3)];
        let bodies: Vec<Vec<u8>> =
            (0..1 + rng.below(5)).map(|i| body(kind, rng.below(1200), i as u8 + 1)).collect();
        let (new, _) = log_of(&bodies, 1000);
        // All records behind some first ones were in one batch that was not synced.
        let durable = log_of(&bodies[..rng.below(bodies.len())], 0).0.len().max(HEADER.len());
        let mut bytes = new.clone();
        for sector in durable / SECTOR..=new.len() / SECTOR {
            let (start, end) = (sector * SECTOR, ((sector + 1) * SECTOR).min(new.len()));
            let kept = match rng.below(3) {
                0 => start,
                1 => start + rng.below(end - start + 1),
                _ => end,
            };
            bytes[kept.max(durable).min(end)..end].fill(0);
        }
        let mut at = HEADER.len();
        while let Slot::Record(body) = slot(&bytes, at) {
            at += body.len() + RECORD_EXTRA;
        }
        assert!(at >= durable);
        let kind_of = match verdict(&bytes, at).expect("the walk ended here") {
            Tail::Clean => 0,
            Tail::Torn => 1,
            Tail::Whole { .. } => 2,
            Tail::Damaged(why) => panic!("round {round}: {kind:?} at {at}: {why}"),
        };
        seen[kind_of] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0 && seen[2] > 0, "{seen:?}");
}

#[test]
fn a_tail_cut_short_is_torn() {
    let (bytes, at) = log_of(&[body(Kind::Text, 50, 1), body(Kind::Text, 700, 2)], 0);
    for len in at + 1..bytes.len() {
        let verdict = verdict(&bytes[..len], at);
        assert!(matches!(verdict, Some(Tail::Torn | Tail::Clean)), "{len}: {verdict:?}");
    }
}

#[test]
fn a_record_without_its_end_byte_is_kept() {
    let (mut bytes, at) = log_of(&[body(Kind::Text, 50, 1)], 600);
    let end = bytes.len() - 600 - 1;
    bytes[end] = 0;
    let body_len = end - at - RECORD_HEAD;
    assert_eq!(verdict(&bytes, at), Some(Tail::Whole { body_len }));
}
