//! A simulated file: what a reader sees, what the disk has, and what is on its way there.

use std::collections::BTreeMap;
use std::io;

use super::{Call, SimDisk};
use crate::sim::Rng;
use crate::storage::DiskFile;

/// The unit that a disk writes.
const SECTOR: usize = 512;

/// A file's bytes.
#[derive(Debug, Clone, Default)]
pub struct Inode {
    /// What a reader sees.
    pub cached: Vec<u8>,
    /// What is on the disk for certain.
    durable: Vec<u8>,
    /// What was written since the last sync, in order.
    pending: Vec<Pending>,
    /// What was on the disk before what is there, of sectors that were written more than once.
    older: BTreeMap<usize, Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Pending {
    /// A sector's whole new content.
    Sector(usize, Vec<u8>),
    Length(usize),
}

impl Inode {
    /// A file whose content is on the disk.
    pub fn durable(content: Vec<u8>) -> Inode {
        Inode { cached: content.clone(), durable: content, ..Inode::default() }
    }

    /// What is on the disk for certain.
    pub fn on_disk(&self) -> &[u8] {
        &self.durable
    }

    /// Flips a bit; false: there is no such byte on the disk.
    pub fn flip(&mut self, byte: usize, bit: u8) -> bool {
        for bytes in [&mut self.cached, &mut self.durable] {
            match bytes.get_mut(byte) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => return false,
            }
        }
        true
    }

    /// Other bytes take the place of some; false: there are not so many on the disk.
    pub fn damage(&mut self, at: usize, new: &[u8]) -> bool {
        let end = at + new.len();
        if self.cached.len().min(self.durable.len()) < end {
            return false;
        }
        self.cached[at..end].copy_from_slice(new);
        self.durable[at..end].copy_from_slice(new);
        true
    }

    /// The sectors of which an older content is known, another one than they have.
    pub fn stale_sectors(&self) -> impl Iterator<Item = usize> + '_ {
        let differs = move |(sector, old): &(&usize, &Vec<u8>)| {
            let start = **sector * SECTOR;
            let now = self.durable.get(start..start + old.len());
            now.is_some_and(|now| now != old.as_slice())
        };
        self.older.iter().filter(differs).map(|(sector, _)| *sector)
    }

    /// A sector has its older content again; false: none is known.
    pub fn make_stale(&mut self, sector: usize) -> bool {
        let Some(old) = self.older.remove(&sector) else { return false };
        self.damage(sector * SECTOR, &old)
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if end > self.cached.len() {
            self.set_len(end);
        }
        self.cached[at..end].copy_from_slice(bytes);
        self.touch(at, end);
    }

    fn set_len(&mut self, len: usize) {
        let old = self.cached.len();
        self.cached.resize(len, 0);
        self.pending.push(Pending::Length(len));
        // What an earlier, longer file had there must not come back.
        let stale = len.min(self.durable.len());
        if stale > old {
            self.touch(old, stale);
        }
    }

    fn touch(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let end = ((sector + 1) * SECTOR).min(self.cached.len());
            let content = self.cached[sector * SECTOR..end].to_vec();
            self.pending.push(Pending::Sector(sector, content));
        }
    }

    /// Everything on its way arrives. What an earlier, failed sync lost is not on its way.
    fn settle(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Sector(sector, content) => self.put_sector(sector, &content),
                Pending::Length(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// Any part of what is on its way arrives; the rest is forgotten.
    fn arrive_in_part(&mut self, rng: &mut Rng) {
        let mut lengths = vec![self.durable.len()];
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Length(len) => lengths.push(len),
                Pending::Sector(sector, content) => {
                    let whole = content.len();
                    match rng.below(4) {
                        0 => {}
                        1 => self.put_sector(sector, &content[..rng.below(whole + 1)]),
                        _ => self.put_sector(sector, &content),
                    }
                }
            }
        }
        self.durable.resize(lengths[rng.below(lengths.len())], 0);
    }

    fn put_sector(&mut self, sector: usize, content: &[u8]) {
        let (start, end) = (sector * SECTOR, sector * SECTOR + content.len());
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        let place = &mut self.durable[start..end];
        // Room that was never written has no past.
        if place != content && place.iter().any(|byte| *byte != 0) {
            self.older.insert(sector, place.to_vec());
        }
        place.copy_from_slice(content);
    }

    /// What is left of the file behind a power failure.
    pub fn lose_power(&mut self, rng: &mut Rng) {
        self.arrive_in_part(rng);
        self.cached.clone_from(&self.durable);
    }

    /// The cache without what is clean in it.
    fn drop_cache(&mut self) {
        self.cached.clone_from(&self.durable);
        for pending in &self.pending {
            match pending {
                Pending::Length(len) => self.cached.resize(*len, 0),
                Pending::Sector(sector, content) => {
                    let start = sector * SECTOR;
                    let end = (start + content.len()).min(self.cached.len());
                    if start < end {
                        self.cached[start..end].copy_from_slice(&content[..end - start]);
                    }
                }
            }
        }
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: usize) -> SimFile {
        SimFile { disk, inode }
    }
}

impl DiskFile for SimFile {
    type Map = Vec<u8>;

    fn len(&self) -> io::Result<u64> {
        self.disk.call(Call::Length, |state| Ok(state.inodes[self.inode].cached.len() as u64))
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.call(Call::Write, |state| {
            let len = state.inodes[self.inode].cached.len() as u64;
            state.check_quota((at + bytes.len() as u64).saturating_sub(len))?;
            state.inodes[self.inode].write(at as usize, bytes);
            Ok(())
        })
    }

    fn allocate(&mut self, _from: u64, to: u64) -> io::Result<()> {
        self.disk.call(Call::Allocate, |state| {
            let len = state.inodes[self.inode].cached.len() as u64;
            state.check_quota(to.saturating_sub(len))?;
            state.inodes[self.inode].set_len(to.max(len) as usize);
            Ok(())
        })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.disk.call(Call::SetLength, |state| {
            state.inodes[self.inode].set_len(len as usize);
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let synced = self.disk.call(Call::Sync, |state| {
            state.inodes[self.inode].settle();
            Ok(())
        });
        if synced.is_err() && !self.disk.has_crashed() {
            let state = &mut *self.disk.state.borrow_mut();
            state.inodes[self.inode].arrive_in_part(&mut state.rng);
        }
        synced
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        self.disk.call(Call::Read, |state| {
            let cached = &state.inodes[self.inode].cached;
            let rest = cached.get(at as usize..).unwrap_or_default();
            let n = rest.len().min(out.len());
            out[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        })
    }

    fn map(&self, len: u64) -> io::Result<Vec<u8>> {
        self.disk.call(Call::Map, |state| {
            let cached = &state.inodes[self.inode].cached;
            let bytes = cached.get(..len as usize);
            bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        })
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.call(Call::DropCache, |state| {
            state.inodes[self.inode].drop_cache();
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::storage::Disk;

    #[test]
    fn a_sector_that_was_written_twice_can_be_stale() {
        let disk = SimDisk::new(1);
        let path = Path::new("/file");
        let mut file = disk.create(path).expect("nothing is in the way");
        let sync = |file: &mut SimFile| file.sync_data().expect("no fault is set");
        file.write_at(0, &[1; 2 * SECTOR]).expect("there is room");
        sync(&mut file);
        disk.sync_dir(Path::new("/")).expect("no fault is set");
        assert_eq!(disk.stale_sectors(path), [0; 0], "nothing was there before");
        assert!(!disk.make_stale(path, 1));
        file.write_at(SECTOR as u64 + 8, &[2; 8]).expect("there is room");
        assert_eq!(disk.stale_sectors(path), [0; 0], "it is not on the disk yet");
        sync(&mut file);
        assert_eq!(disk.stale_sectors(path), [1]);
        assert!(disk.make_stale(path, 1));
        let old = vec![1; 2 * SECTOR];
        assert_eq!(disk.content(path).as_ref(), Some(&old), "the write never was");
        assert_eq!(disk.durable_content(path), Some(old));
        assert!(!disk.make_stale(path, 1), "there is nothing older");
    }
}
