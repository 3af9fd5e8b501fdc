//! Ways that a server goes seldom, and that are all right: the log rolls early, a batch has one
//! request, a learner gets a snapshot though the log would do. FoundationDB calls it BUGGIFY. A
//! server that serves never takes them: [`Platform::chance`] and [`Disk::chance`] are a constant no
//! there. The simulator draws for each seed which of them come how often, so that what is rare
//! elsewhere meets everything else that is.
//!
//! [`Platform::chance`]: crate::server::platform::Platform::chance
//! [`Disk::chance`]: crate::storage::Disk::chance

/// What may be done this time, though nothing asks for it. The order stays: what is drawn for one
/// depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chance {
    /// The next batch of requests has one.
    BatchOfOne,
    /// What came from another member is done before the next is looked at.
    EventAlone,
    /// A snapshot is begun behind what was just appended.
    SnapshotNow,
    /// The log behind a learner's zxid is not looked for: it gets a snapshot.
    LogNotFound,
    /// The watermark is written later.
    WatermarkLate,
    /// A sync is behind the last record of its log.
    LogRolls,
    /// A record goes to the system at once, not with those behind it.
    RecordAlone,
    /// A client's socket has less than was sent. Outside the server, like all that follow.
    ShortRead,
    /// It takes less than there is to send.
    ShortWrite,
    /// A worker wakes up late.
    WorkerLate,
    /// The next slice of a snapshot is late.
    SliceLate,
    /// Old files are purged soon again.
    PurgeSoon,
}

impl Chance {
    pub const ALL: [Chance; 12] = [
        Chance::BatchOfOne,
        Chance::EventAlone,
        Chance::SnapshotNow,
        Chance::LogNotFound,
        Chance::WatermarkLate,
        Chance::LogRolls,
        Chance::RecordAlone,
        Chance::ShortRead,
        Chance::ShortWrite,
        Chance::WorkerLate,
        Chance::SliceLate,
        Chance::PurgeSoon,
    ];
}
