//! The real disk: `storage`'s fault surface on top of the file system, and the lock that keeps a
//! second server away.

mod bus_error;
mod lock;

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions};
use rustix::fs::{access, fadvise, fallocate, Advice, FallocateFlags};
use rustix::io::Errno;

pub use lock::{lock_directory, DirectoryLock, LockError};

use crate::storage::{Access, Disk, DiskFile};
use bus_error::MapNote;

/// Zeros are written in pieces of this size.
const ZEROS_BYTES: usize = 1 << 20;

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// A file of it.
#[derive(Debug)]
pub struct RealFile {
    file: fs::File,
    path: PathBuf,
}

impl Disk for RealDisk {
    type File = RealFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                continue;
            }
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn is_writable(&self, dir: &Path) -> io::Result<bool> {
        match access(dir, rustix::fs::Access::WRITE_OK) {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS | Errno::ROFS) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<RealFile> {
        let write = access == Access::Write;
        let file = fs::OpenOptions::new().read(true).write(write).open(path)?;
        Ok(RealFile { file, path: path.to_owned() })
    }

    fn create(&self, path: &Path) -> io::Result<RealFile> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(RealFile { file, path: path.to_owned() })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }
}

impl DiskFile for RealFile {
    type Map = FileMap;

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// `fallocate` where the file system has it; zeros written out where it has not.
    fn allocate(&mut self, from: u64, to: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), from, to - from) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP) => self.write_zeros(from, to),
            Err(e) => Err(e.into()),
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < out.len() {
            match self.file.read_at(&mut out[done..], at + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn map(&self, len: u64) -> io::Result<FileMap> {
        if self.len()? < len {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than its map"));
        }
        if len == 0 {
            return Ok(FileMap(None));
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: the directory is locked against other servers, and nothing of ours cuts or
        // rewrites a file below a length that is mapped; a log that is mapped while it is appended
        // to is read up to what is durable. A file that somebody else cuts ends the process.
        let map = unsafe { MmapOptions::new().len(len).map(&self.file)? };
        map.advise(memmap2::Advice::Sequential)?;
        let note = bus_error::note(&self.path, &map);
        Ok(FileMap(Some((note, map))))
    }

    fn drop_cache(&self) -> io::Result<()> {
        fadvise(&self.file, 0, None, Advice::DontNeed).map_err(io::Error::from)
    }
}

impl RealFile {
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS_BYTES];
        let mut at = from;
        while at < to {
            let n = (to - at).min(ZEROS_BYTES as u64);
            self.file.write_all_at(&zeros[..n as usize], at)?;
            at += n;
        }
        Ok(())
    }
}

/// A mapped stretch of a file; an empty one needs no map.
#[derive(Debug)]
pub struct FileMap(Option<(MapNote, Mmap)>);

impl std::ops::Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |(_, map)| map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{recover, Dirs, RecoverOptions, TxnLog, TxnLogOptions};
    use crate::types::Zxid;
    use jute::txn::{Txn, TxnHeader, TxnRecord};
    use jute::Encode;

    fn session(zxid: i64) -> Vec<u8> {
        let txn = Txn::CreateSession(30_000);
        let header = TxnHeader { client_id: zxid, cxid: 0, zxid, time_ms: 1, kind: txn.kind() };
        TxnRecord { header, txn, digest: None }.to_bytes()
    }

    #[test]
    fn a_log_on_a_real_disk_comes_back_start_after_start() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(&dir.path().join("data"), None);
        for start in 0..3 {
            let back = recover(&RealDisk, &dirs, &RecoverOptions::default()).unwrap();
            assert_eq!(back.last_zxid, Zxid(start * 10));
            assert_eq!(back.replica.sessions().count() as i64, start * 10);
            let options = TxnLogOptions { prealloc_bytes: 64 << 10, ..TxnLogOptions::default() };
            let mut log = TxnLog::new(RealDisk, &dirs.logs, options, back.last_zxid);
            for zxid in start * 10 + 1..=start * 10 + 10 {
                log.append(Zxid(zxid), &session(zxid)).unwrap();
            }
            log.sync().unwrap();
            log.publish_synced().unwrap();
            // As Apache: the header, and one step of room.
            assert_eq!(log.current_bytes(), 16 + (64 << 10));
            let path = dirs.logs.join(format!("log.{:x}", start * 10 + 1));
            assert_eq!(fs::metadata(path).unwrap().len(), 16 + (64 << 10));
        }
    }
}
