//! What the four-letter words need from the outermost shell: files, host, sessions' deadlines.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{getrlimit, Resource};

use crate::admin::{java_arch, Conf, Host};
use crate::net::Shared;
use crate::session::{Bucket, SessionTable};

/// Settings that `conf` shows.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub client_address: SocketAddr,
    pub data_dir: PathBuf,
    pub data_log_dir: PathBuf,
    pub tick_time_ms: i32,
    pub max_client_cnxns: i32,
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    pub listen_backlog: i32,
}

/// What only the outermost shell can tell: files, the process, the thread that keeps sessions.
pub(super) struct Backstage {
    pub shown: Shown,
    pub sessions: Arc<SessionWindow>,
}

/// Through which others look at the sessions that the pipeline thread owns.
#[derive(Debug, Default)]
pub(super) struct SessionWindow {
    wanted: AtomicBool,
    askers: Mutex<Vec<SyncSender<Vec<Bucket>>>>,
}

impl SessionWindow {
    /// Asks and waits for the pipeline's next turn. Nothing, if it is stuck in a slow disk.
    fn look(&self, shared: &Shared) -> Vec<Bucket> {
        let (send, receive) = sync_channel(1);
        self.askers.lock().unwrap_or_else(PoisonError::into_inner).push(send);
        self.wanted.store(true, Ordering::Release);
        shared.asks.wake();
        receive.recv_timeout(PATIENCE).unwrap_or_default()
    }

    /// The pipeline's turn: answers whoever has asked.
    pub fn show(&self, sessions: &SessionTable) {
        if !self.wanted.swap(false, Ordering::AcqRel) {
            return;
        }
        for asker in self.askers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // An asker that gave up needs no answer.
            let _ = asker.try_send(sessions.buckets());
        }
    }
}

impl Backstage {
    /// What `conf` shows, with the sizes of the directories as they are now.
    pub fn conf(&self) -> Conf {
        let shown = &self.shown;
        Conf {
            client_port: i32::from(shown.client_address.port()),
            secure_client_port: -1,
            data_dir: shown.data_dir.display().to_string(),
            data_dir_size: bytes_below(&shown.data_dir),
            data_log_dir: shown.data_log_dir.display().to_string(),
            data_log_size: bytes_below(&shown.data_log_dir),
            tick_time_ms: shown.tick_time_ms,
            max_client_cnxns: shown.max_client_cnxns,
            min_session_timeout_ms: shown.min_session_timeout_ms,
            max_session_timeout_ms: shown.max_session_timeout_ms,
            client_port_listen_backlog: shown.listen_backlog,
            server_id: 0,
            ensemble: None,
        }
    }

    /// What `envi` shows.
    pub fn host(&self) -> Host {
        let system = rustix::system::uname();
        let variable = |name| std::env::var(name).unwrap_or_else(|_| "<NA>".into());
        let path = |path: PathBuf| path.display().to_string();
        let [total_mb, free_mb, max_mb] = memory_mb();
        Host {
            name: system.nodename().to_string_lossy().into_owned(),
            temp_dir: path(std::env::temp_dir()),
            os_name: system.sysname().to_string_lossy().into_owned(),
            os_arch: java_arch(std::env::consts::ARCH).into(),
            os_version: system.release().to_string_lossy().into_owned(),
            user_name: variable("USER"),
            user_home: variable("HOME"),
            user_dir: std::env::current_dir().map_or_else(|_| "<NA>".into(), path),
            memory_free_mb: free_mb,
            memory_max_mb: max_mb,
            memory_total_mb: total_mb,
        }
    }

    /// All sessions by their deadlines.
    pub fn session_buckets(&self, shared: &Shared) -> Vec<Bucket> {
        self.sessions.look(shared)
    }

    /// Open files of the process, and how many it may have.
    pub fn file_descriptors(&self) -> [i64; 2] {
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count());
        let max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        [open as i64, i64::try_from(max).unwrap_or(i64::MAX)]
    }
}

/// Bytes of the plain files in a directory.
fn bytes_below(dir: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(dir) else { return 0 };
    let lengths = files.flatten().filter_map(|file| file.metadata().ok());
    lengths.filter(|file| file.is_file()).map(|file| file.len()).sum()
}

/// What the process holds, what the host has left for it, and both together.
fn memory_mb() -> [u64; 3] {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let held_kb = field(&read("/proc/self/status"), "VmRSS:").unwrap_or(0);
    let free_kb = field(&read("/proc/meminfo"), "MemAvailable:").unwrap_or(0);
    [held_kb / 1024, free_kb / 1024, (held_kb + free_kb) / 1024]
}

/// How long `dump` waits for the pipeline.
const PATIENCE: Duration = Duration::from_secs(2);
