//! When the log has grown enough for a snapshot.

use crate::types::LoggedTxn;

/// Counts what is appended and draws the point of the next snapshot.
#[derive(Debug)]
pub(super) struct Growth {
    since: Size,
    at: Size,
    limits: Size,
    rng: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    txns: u64,
    bytes: u64,
}

impl Growth {
    /// `snap_count` transactions, `snap_bytes` bytes at most (0: no matter how many).
    pub fn new(snap_count: u64, snap_bytes: u64, seed: u64) -> Growth {
        let limits = Size { txns: snap_count, bytes: snap_bytes };
        let mut growth =
            Growth { since: Size::default(), at: Size::default(), limits, rng: seed | 1 };
        growth.draw();
        growth
    }

    /// Counts what is appended. True: time for a snapshot.
    pub fn add(&mut self, txns: &[LoggedTxn]) -> bool {
        self.since.txns += txns.len() as u64;
        self.since.bytes += txns.iter().map(|txn| txn.bytes.len() as u64).sum::<u64>();
        let by_size = self.limits.bytes > 0 && self.since.bytes > self.at.bytes;
        let due = self.since.txns > self.at.txns || by_size;
        if due {
            self.since = Size::default();
            self.draw();
        }
        due
    }

    /// Between half and all of the limits, so that the members of an ensemble don't take their
    /// snapshots at once (Apache's `SyncRequestProcessor`).
    fn draw(&mut self) {
        let half = |limit: u64, random: u64| limit / 2 + random % (limit / 2).max(1);
        let (a, b) = (self.next_random(), self.next_random());
        self.at = Size { txns: half(self.limits.txns, a), bytes: half(self.limits.bytes, b) };
    }

    /// xorshift64*: spreads snapshots, guards nothing.
    fn next_random(&mut self) -> u64 {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        self.rng.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
    }
}
