//! Bytes from outside that mean harm: nothing panics, nothing that decodes changes its meaning on
//! the way back, and memory stays in proportion to the bytes that came.
//!
//! The bytes are captured ones with damage done to them by a seeded generator; the seed is fixed,
//! so that a failure is there again in the next run. `OXKEEPER_FUZZ_ROUNDS` asks for more rounds.

#[path = "golden/captured.rs"]
mod captured;
#[path = "hostile/counting.rs"]
mod counting;
#[path = "hostile/damage.rs"]
mod damage;

use counting::memory_of;
use damage::damage;
use jute::fuzzing::{DECODED_PER_BYTE_MAX, TARGETS};

/// Damaged inputs for each captured one.
const ROUNDS_DEFAULT: usize = 1_000;

/// Marsaglia's xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * n as u64) >> 32) as usize
    }
}

/// Feeds a target with all captured records whose name begins so, as they are and damaged.
fn torment(name: &str, prefixes: &[&str], prepare: fn(&[u8]) -> Vec<u8>) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("there is such a one");
    let rounds = std::env::var("OXKEEPER_FUZZ_ROUNDS")
        .map_or(ROUNDS_DEFAULT, |text| text.parse().expect("OXKEEPER_FUZZ_ROUNDS is a number"));
    let seeds: Vec<&[u8]> = captured::names()
        .iter()
        .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .map(|name| captured::captured(name))
        .collect();
    assert!(!seeds.is_empty());
    let mut random = Random(0x0dd_5eed);
    for seed in &seeds {
        let seed = prepare(seed);
        (target.body)(&seed);
        for _ in 0..rounds {
            let mut bytes = seed.clone();
            damage(&mut bytes, &seeds, |n| random.below(n));
            let memory = memory_of(|| (target.body)(&bytes));
            let max = target.memory_max(bytes.len());
            assert!(memory <= max, "{memory} bytes held for {} bytes: {bytes:02x?}", bytes.len());
        }
    }
}

#[test]
fn requests() {
    torment("request", &["request_"], <[u8]>::to_vec);
}

#[test]
fn streams_of_frames() {
    /// A handshake, the request three times.
    fn stream(request: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in [captured::captured("connect_request"), request, request, request] {
            out.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            out.extend_from_slice(frame);
        }
        out
    }
    torment("frame", &["request_"], stream);
}

#[test]
fn multis() {
    torment("multi", &["request_multi"], |request| request[8..].to_vec());
}

#[test]
fn replies() {
    let prefixes = ["reply_", "connect_response", "event"];
    torment("reply", &prefixes, <[u8]>::to_vec);
}

#[test]
fn transactions() {
    torment("txn", &["txn_"], <[u8]>::to_vec);
}

#[test]
fn files() {
    torment("file", &["log_", "snapshot_", "txn_"], <[u8]>::to_vec);
}

#[test]
fn packets_between_servers() {
    torment("quorum_packet", &["quorum_", "election_"], <[u8]>::to_vec);
}

#[test]
fn a_list_that_claims_more_than_came_is_refused_before_memory_is_taken() {
    use jute::proto::{GetAclResponse, SetWatches};
    use jute::{Decode, DecodeError};

    for count in [i32::MAX, 0x10_0000, 1_000] {
        let mut bytes = count.to_be_bytes().to_vec();
        bytes.extend([0; 3_000]);
        let memory = memory_of(|| {
            let found = GetAclResponse::from_bytes(&bytes);
            let count = count as usize;
            assert_eq!(found, Err(DecodeError::TooMany { count, have: 3_000 }));
        });
        assert_eq!(memory, 0);
        // Strings take four bytes at least: a thousand would fit into 4,000, not into 3,000.
        bytes.splice(0..0, [0; 8]);
        let memory = memory_of(|| assert!(SetWatches::from_bytes(&bytes).is_err()));
        assert_eq!(memory, 0);
    }
}

#[test]
fn the_densest_frames_stay_within_the_bound() {
    use jute::multi::MultiRequest;
    use jute::proto::NamesResponse;
    use jute::txn::{Txn, TxnRecord};
    use jute::{Decode, Encode, Writer};

    const COUNT: i32 = 40_000;
    let check = |bytes: &[u8], run: &dyn Fn(&[u8])| {
        let memory = memory_of(|| run(bytes));
        assert!(memory <= bytes.len() * DECODED_PER_BYTE_MAX, "{memory} for {}", bytes.len());
    };
    // Empty names.
    let mut w = Writer::new();
    w.i32(COUNT);
    (0..COUNT).for_each(|_| w.i32(0));
    check(w.as_slice(), &|b| assert!(NamesResponse::from_bytes(b).is_ok()));
    // The shortest operation, getData of a path without text; one more than fits before a growth.
    let mut w = Writer::new();
    for _ in 0..=1 << 15 {
        w.raw(&[0, 0, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    }
    w.raw(&[0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
    check(w.as_slice(), &|b| assert!(MultiRequest::from_bytes(b).is_ok()));
    // The shortest part of a multi, an error.
    let header = TxnRecord::from_bytes(captured::captured("txn_multi")).expect("a multi").header;
    let parts = vec![Txn::Error(-2); COUNT as usize];
    let multi = TxnRecord { header, txn: Txn::Multi(parts), digest: None }.to_bytes();
    check(&multi, &|b| assert!(TxnRecord::from_bytes(b).is_ok()));
    // Bytes that are no text: each becomes a character of three bytes.
    let mut w = Writer::new();
    w.i32(1);
    w.buffer(Some(&vec![0xff; 100_000]));
    check(w.as_slice(), &|b| assert!(NamesResponse::from_bytes(b).is_ok()));
}
