//! The keys of `envi`.

use super::version;

/// What this process knows of its host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Canonical name of the host.
    pub name: String,
    /// Directory for temporary files.
    pub temp_dir: String,
    /// `Linux` and the like.
    pub os_name: String,
    /// As Java names it: `amd64`, `aarch64` ([`java_arch`]).
    pub os_arch: String,
    /// Release of the kernel.
    pub os_version: String,
    /// Who runs the server.
    pub user_name: String,
    /// Their home directory.
    pub user_home: String,
    /// The working directory.
    pub user_dir: String,
    /// Memory that the process could still take, MiB.
    pub memory_free_mb: u64,
    /// Memory that it may take at most, MiB.
    pub memory_max_mb: u64,
    /// Memory that it has, MiB.
    pub memory_total_mb: u64,
}

/// All keys of Apache in Apache's order. There is no Java here: its properties say what Apache
/// says of a property that isn't set.
pub fn environment(host: &Host) -> Vec<(String, String)> {
    let megabytes = |number: u64| format!("{number}MB");
    let entries: [(&str, String); 18] = [
        ("zookeeper.version", version()),
        ("host.name", host.name.clone()),
        ("java.version", UNSET.into()),
        ("java.vendor", UNSET.into()),
        ("java.home", UNSET.into()),
        ("java.class.path", UNSET.into()),
        ("java.library.path", UNSET.into()),
        ("java.io.tmpdir", host.temp_dir.clone()),
        ("java.compiler", UNSET.into()),
        ("os.name", host.os_name.clone()),
        ("os.arch", host.os_arch.clone()),
        ("os.version", host.os_version.clone()),
        ("user.name", host.user_name.clone()),
        ("user.home", host.user_home.clone()),
        ("user.dir", host.user_dir.clone()),
        ("os.memory.free", megabytes(host.memory_free_mb)),
        ("os.memory.max", megabytes(host.memory_max_mb)),
        ("os.memory.total", megabytes(host.memory_total_mb)),
    ];
    entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// Java's name of a processor architecture that Rust calls `arch` (`std::env::consts::ARCH`).
pub fn java_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "x86" => "i386",
        other => other,
    }
}

const UNSET: &str = "<NA>";
