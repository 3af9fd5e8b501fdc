//! Exit codes, as Apache's `ExitCode` has them, and the last words of the process.

use crate::config::{self, ConfigError};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Anything that no other code names: a port in use, data that can't be trusted, a disk that
    /// fails.
    Unexpected = 1,
    /// Arguments or configuration.
    Invocation = 2,
    /// A data directory can't be used: missing, not writable, mixed up with the other, or in
    /// use by another server.
    DataDir = 3,
    /// The admin port can't be used.
    AdminServer = 4,
    /// The election port can't be opened.
    ElectionPort = 14,
    /// Told to stop by SIGINT, and everything was written: what a shell sees of a JVM then.
    Interrupted = 130,
    /// The same by SIGTERM.
    Terminated = 143,
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

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        let code = match error.exit {
            config::ExitCode::Unexpected => ExitCode::Unexpected,
            config::ExitCode::Configuration => ExitCode::Invocation,
            config::ExitCode::DataDirectory => ExitCode::DataDir,
            config::ExitCode::AdminServer => ExitCode::AdminServer,
        };
        Failure::new(code, error.to_string())
    }
}

impl ExitCode {
    /// What Apache's main program says before it exits with this code; nothing after a signal.
    fn last_words(self) -> Option<&'static str> {
        let code = match self {
            ExitCode::Unexpected | ExitCode::ElectionPort => config::ExitCode::Unexpected,
            ExitCode::Invocation => config::ExitCode::Configuration,
            ExitCode::DataDir => config::ExitCode::DataDirectory,
            ExitCode::AdminServer => config::ExitCode::AdminServer,
            ExitCode::Interrupted | ExitCode::Terminated => return None,
        };
        Some(code.last_words())
    }
}

/// The end of a server: its last words, and the number for the operating system.
pub fn leave(ended: Result<ExitCode, Failure>) -> std::process::ExitCode {
    let code = ended.unwrap_or_else(|Failure { code, line }| {
        eprintln!("oxkeeper: {line}");
        code
    });
    if let Some(words) = code.last_words() {
        tracing::error!("{words}");
        tracing::error!("Exiting JVM with code {}", code as u8);
    }
    std::process::ExitCode::from(code as u8)
}
