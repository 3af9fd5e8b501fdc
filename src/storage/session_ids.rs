//! Up to where ids of sessions may have been given out: a side file, `<id> <checksum>` in hex.
//!
//! The ids of a server begin with its wall clock (`SessionIds`). Should that be set back between
//! two starts, ids of sessions that were closed would come again, and nobody could tell: neither
//! the tree nor a snapshot knows closed sessions. So a start takes ids from where no start before
//! it can have come to, and says so before anybody is served. Without the file the clock decides,
//! as with Apache's, whose ids begin with the time since the machine was started.

use std::path::Path;

use crate::types::SessionId;

use super::disk::Disk;
use super::error::StorageError;
use super::names::{PART_PREFIX, SESSION_IDS};
use super::small_file;

/// A process gives out fewer ids than this. It is 65 s of the clock that ids are made of.
const RESERVED: i64 = 1 << 32;

/// Takes ids for one life of a server: from `first` on, or from behind what earlier lives have
/// taken. Durable when it returns.
pub fn reserve_session_ids<D: Disk>(
    disk: &D,
    dir: &Path,
    first: SessionId,
) -> Result<SessionId, StorageError> {
    let path = dir.join(SESSION_IDS);
    let text = small_file::read(disk, &path).map_err(|e| StorageError::io(&path, "read", e))?;
    let taken = text.as_deref().and_then(parse).filter(|taken| is_of_one_server(*taken, first));
    let from = taken.map_or(first, |taken| taken.max(first));
    // Where the clock's 40 bits end, ids begin anew.
    let next = SessionId(from.0.wrapping_add(RESERVED));
    let next = if is_of_one_server(next, first) { next } else { first };
    let temp = format!("{PART_PREFIX}sessions");
    small_file::replace(disk, dir, SESSION_IDS, &temp, line(next).as_bytes())?;
    Ok(from)
}

/// The top byte is the server's.
fn is_of_one_server(one: SessionId, two: SessionId) -> bool {
    one.0 >> 56 == two.0 >> 56
}

fn line(next: SessionId) -> String {
    let id = format!("{:016x}", next.0);
    let sum = crc32fast::hash(id.as_bytes());
    format!("{id} {sum:08x}\n")
}

fn parse(text: &[u8]) -> Option<SessionId> {
    let text = std::str::from_utf8(text).ok()?;
    let id = u64::from_str_radix(text.split(' ').next()?, 16).ok()?;
    let next = SessionId(id as i64);
    (text == line(next)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimDisk;

    const DIR: &str = "/data/version-2";

    fn disk() -> SimDisk {
        let disk = SimDisk::new(1);
        disk.put(&Path::new(DIR).join("log.1"), b"");
        disk
    }

    fn reserve(disk: &SimDisk, first: i64) -> i64 {
        reserve_session_ids(disk, Path::new(DIR), SessionId(first)).expect("the disk is good").0
    }

    #[test]
    fn a_clock_set_back_gives_no_id_twice() {
        let (disk, now) = (disk(), 0x0100_0014_24ff_0000);
        assert_eq!(reserve(&disk, now), now);
        let second = reserve(&disk, now - 0x1000_0000);
        assert_eq!(second, now + RESERVED);
        assert_eq!(reserve(&disk.after_power_failure(7), now), second + RESERVED);
        // The clock has gone on meanwhile.
        assert_eq!(reserve(&disk, now + 9 * RESERVED), now + 9 * RESERVED);
    }

    #[test]
    fn what_cannot_be_read_counts_for_nothing() {
        let (disk, now) = (disk(), 0x0100_0014_24ff_0000);
        reserve(&disk, now);
        let path = Path::new(DIR).join(SESSION_IDS);
        let good = disk.content(&path).expect("it was written");
        for bit in 0..good.len() * 8 {
            let damaged = disk.fork();
            damaged.flip(&path, bit / 8, (bit % 8) as u8);
            assert_eq!(reserve(&damaged, now), now, "bit {bit}");
        }
    }

    #[test]
    fn ids_stay_in_their_server() {
        let disk = disk();
        reserve(&disk, 0x0100_0014_24ff_0000);
        assert_eq!(reserve(&disk, 0x0200_0000_0001_0000), 0x0200_0000_0001_0000);
        let last = 0x02ff_ffff_ffff_0000;
        assert_eq!(reserve(&disk, last), last);
        assert_eq!(reserve(&disk, 0x0200_0000_0002_0000), last);
        let of_128 = -0x7fff_ffeb_db01_0000;
        assert_eq!(reserve(&disk, of_128), of_128);
        assert_eq!(reserve(&disk, of_128), of_128 + RESERVED);
    }
}
