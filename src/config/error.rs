//! What can be said about a configuration: a finding, which is said once at start, or an error,
//! which ends it with the exit status that Apache uses and scripts test.

use std::fmt;

/// The exit status of a start that failed (Apache's `ExitCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Anything not named below: a port in use, an unknown own id.
    Unexpected = 1,
    /// Arguments or configuration.
    Configuration = 2,
    /// A data directory that cannot be used.
    DataDirectory = 3,
    /// The port of the admin server.
    AdminServer = 4,
}

impl ExitCode {
    /// The number for the operating system.
    pub fn status(self) -> u8 {
        self as u8
    }

    /// The last words that Apache's main program says with this status.
    pub fn last_words(self) -> &'static str {
        match self {
            ExitCode::Unexpected => "Unexpected exception, exiting abnormally",
            ExitCode::Configuration => "Invalid config, exiting abnormally",
            ExitCode::DataDirectory => "Unable to access datadir, exiting abnormally",
            ExitCode::AdminServer => "Unable to start AdminServer, exiting abnormally",
        }
    }
}

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, and a line from 1 where one is to blame.
    File { file: String, line: Option<u32> },
    /// An environment variable.
    Variable(String),
    /// The command line.
    Arguments,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file, line: Some(line) } => write!(f, "{file}:{line}"),
            Place::File { file, line: None } => write!(f, "{file}"),
            Place::Variable(variable) => write!(f, "{variable}"),
            Place::Arguments => write!(f, "arguments"),
        }
    }
}

/// Why there is no configuration. The message is in Apache's words where Apache has any, the
/// advice in ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub place: Place,
    /// The key to blame, if there is one.
    pub key: Option<String>,
    pub message: String,
    pub advice: String,
    pub exit: ExitCode,
}

/// One line: where, which key, what is wrong, what to do.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &self.place, self.key.as_deref(), &self.message)?;
        if !self.advice.is_empty() {
            write!(f, " ({})", OneLine(&self.advice))?;
        }
        Ok(())
    }
}

/// Place, key unless the message names it, message.
fn write_line(
    f: &mut fmt::Formatter<'_>,
    place: &Place,
    key: Option<&str>,
    message: &str,
) -> fmt::Result {
    write!(f, "{place}: ")?;
    if let Some(key) = key.filter(|key| !message.contains(*key)) {
        write!(f, "{}: ", OneLine(key))?;
    }
    write!(f, "{}", OneLine(message))
}

/// Text with its control characters escaped: a value may hold a line end, a log line may not.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl ConfigError {
    /// A bad configuration: exit status 2.
    pub fn new(place: Place, message: impl Into<String>, advice: impl Into<String>) -> ConfigError {
        let (message, advice) = (message.into(), advice.into());
        ConfigError { place, key: None, message, advice, exit: ExitCode::Configuration }
    }

    /// The same, with a key to blame.
    pub fn of_key(self, key: &str) -> ConfigError {
        ConfigError { key: Some(key.to_owned()), ..self }
    }

    /// The same with another exit status.
    pub fn exiting(self, exit: ExitCode) -> ConfigError {
        ConfigError { exit, ..self }
    }
}

/// What the start-up code found in the data directories (Apache's `FileTxnSnapLog` constructor).
/// Paths are those of `version-2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataDirFault {
    /// It is not there and `datadir.autocreate` is false.
    Missing,
    /// It is not there and cannot be made.
    CannotCreate,
    /// It cannot be written to.
    CannotWrite,
    /// Snapshots among the logs: the two directories were likely swapped or once the same.
    SnapshotsAmongLogs,
    /// Logs among the snapshots.
    LogsAmongSnapshots,
}

/// Which of the two directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataDir {
    /// Transaction logs. Apache's messages call it the data directory.
    Logs,
    /// Snapshots.
    Snapshots,
}

impl ConfigError {
    /// A data directory that cannot be used: exit status 3. `cause` is what the system said.
    pub fn data_dir(dir: DataDir, path: &str, fault: &DataDirFault, cause: &str) -> ConfigError {
        let (name, key) = match dir {
            DataDir::Logs => ("data", "dataLogDir"),
            DataDir::Snapshots => ("snap", "dataDir"),
        };
        let message = match fault {
            DataDirFault::Missing => format!(
                "Missing {name} directory {path}, automatic data directory creation is disabled \
                 (zookeeper.datadir.autocreate is false). Please create this directory manually."
            ),
            DataDirFault::CannotCreate => format!("Unable to create {name} directory {path}"),
            DataDirFault::CannotWrite => format!("Cannot write to {name} directory {path}"),
            DataDirFault::SnapshotsAmongLogs => "Log directory has snapshot files. Check if \
                 dataLogDir and dataDir configuration is correct."
                .to_owned(),
            DataDirFault::LogsAmongSnapshots => "Snapshot directory has log files. Check if \
                 dataLogDir and dataDir configuration is correct."
                .to_owned(),
        };
        let advice = match fault {
            DataDirFault::Missing => "or remove the line datadir.autocreate=false".to_owned(),
            DataDirFault::CannotCreate | DataDirFault::CannotWrite => {
                let cause = if cause.is_empty() { String::new() } else { format!("{cause}; ") };
                format!("{cause}{key} must name a directory that this user may write to")
            }
            _ => format!("found in {path}"),
        };
        let place = Place::File { file: path.to_owned(), line: None };
        ConfigError::new(place, message, advice).exiting(ExitCode::DataDirectory)
    }
}

/// How loud a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
}

/// What kind of thing was found. `oxkeeper check` sorts by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A name that no code reads, here or in Apache.
    Unknown,
    /// A name that Apache's guide has but no code reads, or that works only as `-D`.
    NoEffect,
    /// A key whose part of the server is still to come.
    Later,
    /// A key that can have no meaning here.
    NotApplicable,
    /// A value that is not the one in force: unreadable, out of bounds, said twice, overridden.
    Value,
    /// Words that only a Java virtual machine understands.
    JavaOnly,
    /// Legal, but likely not meant.
    Advice,
}

/// Something worth one line at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub what: What,
    pub place: Place,
    pub key: Option<String>,
    pub message: String,
}

/// One line: where, which key, what.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &self.place, self.key.as_deref(), &self.message)
    }
}
