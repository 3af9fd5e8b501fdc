//! What a simulated disk holds for certain, read by the simulator's own eyes: no code of the
//! server decides here what is durable.

use std::path::Path;

use super::SimDisk;
use crate::types::{Epoch, LoggedTxn, Zxid};

/// Where the servers of the simulator have their files.
pub const DIR: &str = "/data/version-2";

const LOG_HEADER: usize = 16;
const RECORD_HEAD: usize = 12;

/// The durable log and epochs of one disk, kept up to date cheaply.
#[derive(Debug, Clone, Default)]
pub struct DurableState {
    /// The records in order.
    pub records: Vec<LoggedTxn>,
    /// The newest durable snapshot.
    pub snapshot: Zxid,
    pub accepted: Epoch,
    pub current: Epoch,
    /// The disk's shape when it was read.
    shape: Option<u64>,
    /// The log that was read last, and how far.
    cursor: Option<(String, usize)>,
    synced: u64,
}

/// The ends of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Durable {
    /// The last transaction in the log or the newest snapshot.
    pub last: Zxid,
    pub accepted: Epoch,
    pub current: Epoch,
}

impl DurableState {
    /// Reads what is new.
    pub fn refresh(&mut self, disk: &SimDisk) {
        let (shape, synced) = (disk.shape(), disk.synced());
        if self.shape == Some(shape) && self.synced == synced {
            return;
        }
        if self.shape != Some(shape) {
            *self = DurableState { shape: Some(shape), ..DurableState::default() };
            self.read_names(disk);
        }
        self.synced = synced;
        self.read_logs(disk);
    }

    /// The ends of it.
    pub fn summary(&self) -> Durable {
        let logged = self.records.last().map_or(Zxid::ZERO, |txn| txn.zxid);
        Durable { last: logged.max(self.snapshot), accepted: self.accepted, current: self.current }
    }

    /// A transaction, if the log has it.
    pub fn record(&self, zxid: Zxid) -> Option<&LoggedTxn> {
        let at = self.records.binary_search_by_key(&zxid, |txn| txn.zxid).ok()?;
        Some(&self.records[at])
    }

    /// Whether the transaction is in the log or behind a snapshot.
    pub fn holds(&self, txn: &LoggedTxn) -> bool {
        match self.record(txn.zxid) {
            Some(found) => found == txn,
            None => txn.zxid <= self.snapshot,
        }
    }

    fn read_names(&mut self, disk: &SimDisk) {
        let dir = Path::new(DIR);
        let epoch = |name: &str| {
            let text = disk.durable_content(&dir.join(name)).unwrap_or_default();
            let number = std::str::from_utf8(&text).ok().and_then(|t| t.trim().parse().ok());
            Epoch(number.unwrap_or(0))
        };
        self.accepted = epoch("acceptedEpoch");
        self.current = epoch("currentEpoch");
        for name in disk.durable_names(dir) {
            if let Some((zxid, _)) = crate::storage::parse_snapshot(&name) {
                self.snapshot = self.snapshot.max(zxid);
            }
        }
    }

    fn read_logs(&mut self, disk: &SimDisk) {
        let dir = Path::new(DIR);
        let names = disk.durable_names(dir).into_iter();
        let mut logs: Vec<_> =
            names.filter_map(|name| Some((crate::storage::parse_log(&name)?, name))).collect();
        logs.sort();
        let from = self.cursor.clone();
        let first = self.records.is_empty();
        for (_, name) in logs {
            let at = match &from {
                Some((last, at)) if *last == name && !first => *at,
                Some((last, _)) if !first && !is_behind(&name, last) => continue,
                _ => LOG_HEADER,
            };
            let records = &mut self.records;
            let end = disk.with_durable(&dir.join(&name), |bytes| read(bytes, at, records));
            if let Some(end) = end {
                self.cursor = Some((name, end));
            }
        }
    }
}

fn is_behind(name: &str, last: &str) -> bool {
    crate::storage::parse_log(name) > crate::storage::parse_log(last)
}

/// Reads records from `at` on; answers where they end.
fn read(bytes: &[u8], mut at: usize, records: &mut Vec<LoggedTxn>) -> usize {
    loop {
        let Some(head) = bytes.get(at..at + RECORD_HEAD) else { return at };
        let len = i32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        let Ok(len @ 20..) = usize::try_from(len) else { return at };
        let body = at + RECORD_HEAD;
        let (Some(data), Some(b'B')) = (bytes.get(body..body + len), bytes.get(body + len)) else {
            return at;
        };
        let sum = u64::from_be_bytes(head[..8].try_into().expect("eight bytes"));
        if u64::from(adler(data)) != sum {
            return at;
        }
        let zxid = i64::from_be_bytes(data[12..20].try_into().expect("eight bytes"));
        records.push(LoggedTxn { zxid: Zxid(zxid), bytes: data.to_vec().into() });
        at = body + len + 1;
    }
}

fn adler(bytes: &[u8]) -> u32 {
    let mut sum = simd_adler32::Adler32::new();
    sum.write(bytes);
    sum.finish()
}

/// FNV-1a, with the same result everywhere.
pub fn hash(bytes: &[u8]) -> u64 {
    fold(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on with a hash.
pub fn fold(mut state: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        state = (state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        state ^= state >> 29;
    }
    for byte in rest {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    state
}
