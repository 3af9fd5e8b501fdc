//! What the four-letter words must ask the outermost shell: files, the process, the sessions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::admin::{java_arch, Conf, Host};
use crate::net::{SessionDesk, Shared};
use crate::session::Bucket;

/// How long a word waits for the pipeline to tell of its sessions.
const PATIENCE: Duration = Duration::from_secs(2);

/// What only the outermost shell can tell of a standalone server.
pub(super) struct Backstage {
    /// What `conf` shows, but for the sizes of the directories.
    pub conf: Conf,
    pub sessions: Arc<SessionDesk>,
}

impl Backstage {
    /// The settings, with the sizes of the directories as they are now.
    pub fn conf(&self) -> Conf {
        Conf {
            data_dir_size: bytes_below(Path::new(&self.conf.data_dir)),
            data_log_size: bytes_below(Path::new(&self.conf.data_log_dir)),
            ..self.conf.clone()
        }
    }

    /// What is known of the host and the process.
    pub fn host(&self) -> Host {
        let system = rustix::system::uname();
        let text = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
        let variable = |name| std::env::var(name).unwrap_or_default();
        let memory = Memory::read();
        Host {
            name: text(system.nodename()),
            temp_dir: std::env::temp_dir().display().to_string(),
            os_name: text(system.sysname()),
            os_arch: java_arch(std::env::consts::ARCH).to_owned(),
            os_version: text(system.release()),
            user_name: user_name(),
            user_home: variable("HOME"),
            user_dir: std::env::current_dir().unwrap_or_default().display().to_string(),
            memory_free_mb: memory.free_mb,
            memory_max_mb: memory.max_mb,
            memory_total_mb: memory.used_mb,
        }
    }

    /// All sessions by their deadlines.
    pub fn session_buckets(&self, shared: &Shared) -> Vec<Bucket> {
        self.sessions.ask(&shared.asks, PATIENCE)
    }

    /// Open files of the process, and how many it may have.
    pub fn file_descriptors(&self) -> [i64; 2] {
        let open = std::fs::read_dir("/proc/self/fd").map_or(-1, |fds| fds.count() as i64);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        [open, limit.map_or(-1, |n| n as i64)]
    }
}

/// The user by name, or by number where the system has no name for him.
fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| uid.to_string())
}

/// Bytes of all files in a directory (Apache's `getDirSize`).
fn bytes_below(dir: &Path) -> u64 {
    let mut bytes = 0;
    let mut dirs: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => dirs.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                // Purged in between.
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Memory of host and process, MiB.
struct Memory {
    free_mb: u64,
    max_mb: u64,
    used_mb: u64,
}

impl Memory {
    fn read() -> Memory {
        let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Memory {
            free_mb: kilobytes(&info, "MemAvailable:") / 1024,
            max_mb: kilobytes(&info, "MemTotal:") / 1024,
            used_mb: kilobytes(&status, "VmRSS:") / 1024,
        }
    }
}

fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
