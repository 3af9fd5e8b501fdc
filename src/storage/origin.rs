//! Which snapshots this server wrote: a side file, one line each, `<name> <first seal>`.
//!
//! Behind a snapshot of ours every digest in the log must be met, or something is lost; behind
//! one of Apache's, which may have been taken while the tree changed, a digest may legally
//! differ. The file is not synced and may be deleted: then all snapshots count as Apache's.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile};
use super::names::{ORIGIN, PART_PREFIX};
use super::small_file;

/// Lines kept; older snapshots are purged by then, or count as Apache's.
const LINES: usize = 16;

/// Notes that the snapshot `name` with checksum `seal` in its first seal is ours.
pub fn note<D: Disk>(disk: &D, dir: &Path, name: &str, seal: i64) -> io::Result<()> {
    let mut lines = read(disk, dir)?;
    lines.retain(|line| line.split(' ').next() != Some(name));
    lines.push(line(name, seal));
    let first = lines.len().saturating_sub(LINES);
    let text = lines[first..].join("\n") + "\n";
    let part = dir.join(format!("{PART_PREFIX}snapshots"));
    if disk.exists(&part)? {
        disk.remove(&part)?;
    }
    disk.create(&part)?.write_at(0, text.as_bytes())?;
    disk.rename(&part, &dir.join(ORIGIN))
}

/// Whether the snapshot `name` with this first seal is ours.
pub fn is_ours<D: Disk>(disk: &D, dir: &Path, name: &str, seal: i64) -> io::Result<bool> {
    Ok(read(disk, dir)?.contains(&line(name, seal)))
}

fn line(name: &str, seal: i64) -> String {
    format!("{name} {seal:08x}")
}

fn read<D: Disk>(disk: &D, dir: &Path) -> io::Result<Vec<String>> {
    let text = small_file::read(disk, &dir.join(ORIGIN))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}
