//! Exit codes, as Apache's `ExitCode` has them.

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Finished = 0,
    Unexpected = 1,
    /// Arguments or configuration.
    Invocation = 2,
    /// A data directory can't be used.
    DataDir = 3,
    /// The admin port can't be used.
    AdminServer = 4,
    /// A snapshot failed.
    Snapshot = 10,
}

/// Why a server does not start, or does not go on. One line for the person who reads it.
#[derive(Debug)]
pub struct Failure {
    pub code: ExitCode,
    pub line: String,
}

impl Failure {
    /// An end with a code and its line.
    pub fn new(code: ExitCode, line: impl Into<String>) -> Failure {
        Failure { code, line: line.into() }
    }
}
