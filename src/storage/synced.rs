//! The watermark: a side file that says how much of the newest log was durable for certain.
//!
//! Without it a sector of zeros in an acknowledged tail looks like one that a power failure kept
//! from being written. It is written behind the log's sync and never waited for, so it is a lower
//! bound. Two sectors take turns: a torn one leaves the other. Apache ignores the file; whoever
//! deletes it loses nothing but that certainty.
//!
//! ```text
//!   sector   "OXSYNCED" | u32 version 1 | u64 turn | i64 log | u64 length | i64 last | u32 crc
//! ```

use std::io;
use std::path::Path;

use crate::types::Zxid;

use super::disk::{Access, Disk, DiskFile};
use super::names::SYNCED;

const SECTOR: usize = 512;
const MAGIC: &[u8; 8] = b"OXSYNCED";
const VERSION: u32 = 1;
const USED: usize = 48;

/// What is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// The log's first zxid: its name.
    pub log: Zxid,
    /// Its bytes up to here are whole records, on the disk.
    pub length: u64,
    /// The last of these records.
    pub last: Zxid,
}

/// Writes the watermark of one log directory.
#[derive(Debug)]
pub struct SyncedFile<F> {
    file: F,
    turn: u64,
}

impl<F: DiskFile> SyncedFile<F> {
    /// Opens or creates the side file in `dir`. Its directory entry is not synced: losing the
    /// file is allowed.
    pub fn open<D: Disk<File = F>>(disk: &D, dir: &Path) -> io::Result<SyncedFile<F>> {
        let path = dir.join(SYNCED);
        if !disk.exists(&path)? {
            return Ok(SyncedFile { file: disk.create(&path)?, turn: 0 });
        }
        let file = disk.open(&path, Access::Write)?;
        let turn = newest(&file)?.map_or(0, |(turn, _)| turn + 1);
        Ok(SyncedFile { file, turn })
    }

    /// Writes the next sector. Not synced.
    pub fn write(&mut self, synced: &Synced) -> io::Result<()> {
        let sector = encode(self.turn, synced);
        self.file.write_at((self.turn % 2) * SECTOR as u64, &sector)?;
        self.turn += 1;
        Ok(())
    }
}

/// The watermark of `dir`, if there is one that can be read.
pub fn read<D: Disk>(disk: &D, dir: &Path) -> io::Result<Option<Synced>> {
    let path = dir.join(SYNCED);
    if !disk.exists(&path)? {
        return Ok(None);
    }
    Ok(newest(&disk.open(&path, Access::Read)?)?.map(|(_, synced)| synced))
}

fn newest<F: DiskFile>(file: &F) -> io::Result<Option<(u64, Synced)>> {
    let mut sectors = [0; 2 * SECTOR];
    let len = file.read_at(0, &mut sectors)?;
    Ok(sectors[..len].chunks(SECTOR).filter_map(decode).max_by_key(|(turn, _)| *turn))
}

fn encode(turn: u64, synced: &Synced) -> [u8; SECTOR] {
    let mut bytes = Vec::with_capacity(SECTOR);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&turn.to_be_bytes());
    bytes.extend_from_slice(&synced.log.0.to_be_bytes());
    bytes.extend_from_slice(&synced.length.to_be_bytes());
    bytes.extend_from_slice(&synced.last.0.to_be_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    assert_eq!(bytes.len(), USED);
    let mut sector = [0; SECTOR];
    sector[..USED].copy_from_slice(&bytes);
    sector
}

fn decode(sector: &[u8]) -> Option<(u64, Synced)> {
    let bytes = sector.first_chunk::<USED>()?;
    let long = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let int = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let whole = &bytes[..8] == MAGIC
        && int(8) == VERSION
        && int(USED - 4) == crc32fast::hash(&bytes[..USED - 4]);
    whole.then(|| {
        let synced =
            Synced { log: Zxid(long(20) as i64), length: long(28), last: Zxid(long(36) as i64) };
        (long(12), synced)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sector_is_believed_whole_or_not_at_all() {
        let synced = Synced { log: Zxid(5), length: 1234, last: Zxid(9) };
        let sector = encode(7, &synced);
        assert_eq!(decode(&sector), Some((7, synced)));
        for bit in 0..USED * 8 {
            let mut damaged = sector;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged), None, "bit {bit}");
        }
    }
}
