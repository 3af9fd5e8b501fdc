//! What the judges say.

use std::fmt;

/// A promise that a history breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// The history or the committed sequence contradicts itself: nobody is to blame but the
    /// recorder.
    Unreadable,
    /// An acknowledged write is not where its reply says.
    LostWrite,
    /// A reply to a write is not what the write did.
    WriteReply,
    /// A transaction is not what its request asks of the tree in front of it.
    WrongTxn,
    /// A transaction that nobody asked for, or that was made twice.
    Phantom,
    /// A write stands in front of what was known before it was sent.
    RealTime,
    /// Replies or effects of a session are not in the order of its requests.
    SessionOrder,
    /// A session was shown an older state than before.
    SessionView,
    /// A read is not the state at its zxid.
    Read,
    /// A read behind a sync lacks what was acknowledged before the sync.
    SyncedRead,
    /// A write of a session that had been closed.
    AfterClose,
    /// An event is missing, too late or too early.
    WatchMissed,
    /// An event that no watch or no change accounts for.
    WatchUncaused,
    /// No order of the operations explains what clients saw, whatever the zxids say.
    NotLinearizable,
}

/// One break of a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub broken: Broken,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.broken, self.what)
    }
}

/// A judge's report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The first ones, at most [`VIOLATIONS_MAX`].
    pub violations: Vec<Violation>,
    /// All of them.
    pub violation_count: usize,
    /// Writes that were acknowledged and stand in the committed sequence.
    pub writes: usize,
    /// Writes without a reply that took effect.
    pub unknown_done: usize,
    /// Writes without a reply that did not.
    pub unknown_lost: usize,
    pub reads: usize,
    pub events: usize,
}

/// So many violations are kept: the first one says most.
pub const VIOLATIONS_MAX: usize = 32;

impl Report {
    /// Whether nothing was broken.
    pub fn is_good(&self) -> bool {
        self.violation_count == 0
    }

    /// Notes a violation.
    pub fn refuse(&mut self, broken: Broken, what: impl Into<String>) {
        self.violation_count += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { broken, what: what.into() });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} writes, {} without a reply done and {} not, {} reads, {} events: {} violations",
            self.writes,
            self.unknown_done,
            self.unknown_lost,
            self.reads,
            self.events,
            self.violation_count
        )?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}
