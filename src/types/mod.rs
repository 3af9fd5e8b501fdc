//! Newtypes that give every number its meaning: zxids, epochs, sessions, instants. Pure.

mod chance;
mod event;
mod path;
mod txn;

use std::fmt;

pub use chance::Chance;
pub use event::{EventKind, Table};
pub use path::{parent_and_name, validate as validate_path, PathError};
pub use txn::LoggedTxn;

/// A transaction's number: epoch in the upper 32 bits, counter in the lower. Signed as on the
/// wire; -1 says "none" and sorts before every transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before any transaction.
    pub const ZERO: Zxid = Zxid(0);
    /// No zxid at all.
    pub const NONE: Zxid = Zxid(-1);

    /// The transaction `counter` of `epoch`.
    pub fn new(epoch: Epoch, counter: u32) -> Zxid {
        Zxid(((epoch.0 as i64) << 32) | i64::from(counter))
    }

    /// The upper half.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> 32) as u32)
    }

    /// The lower half.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next transaction of the same epoch, unless the counter is exhausted (ZOOKEEPER-1277).
    pub fn next(self) -> Option<Zxid> {
        (self.counter() != u32::MAX).then_some(Zxid(self.0 + 1))
    }
}

/// As Apache prints it: `0x` and hexadecimal digits.
impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The reign of one leader. Standalone servers stay in epoch 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u32);

/// A server's id in the ensemble (`myid`). Standalone servers use 1 in session ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub i64);

/// A session's id; its top byte is the id of the server that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

/// As Apache prints it.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// One client connection of this server, for as long as the process lives. The worker that owns
/// it is part of the number, so that whatever is meant for it finds its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    /// The `serial`-th connection of worker `worker`.
    pub fn new(worker: u16, serial: u64) -> ConnId {
        ConnId((u64::from(worker) << 48) | (serial & SERIAL_MASK))
    }

    /// How many connections the worker has had with this one.
    pub fn serial(self) -> u64 {
        self.0 & SERIAL_MASK
    }

    /// The worker that owns the connection.
    pub fn worker(self) -> usize {
        (self.0 >> 48) as usize
    }
}

/// A worker's connections are counted in 48 bits: at a million a second for nine years.
const SERIAL_MASK: u64 = (1 << 48) - 1;

/// An instant, always an argument: pure code never asks the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic, milliseconds since an arbitrary start. Deadlines live here.
    pub mono_ms: i64,
    /// Wall clock, milliseconds since 1970. Goes into transaction headers and nowhere else.
    pub wall_ms: i64,
}
