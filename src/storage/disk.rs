//! The whole surface through which this server can be hurt by a disk: every call that storage
//! makes, and nothing else. The real disk is `crate::disk`; tests use the simulated one, which
//! fails, forgets and tears at exactly these calls.

use std::io;
use std::ops::Deref;
use std::path::Path;

use crate::types::Chance;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing; the content stays.
    Write,
}

/// A file system, reduced to what storage needs.
///
/// Directory operations (create, rename, remove) are only as durable as the next
/// [`Disk::sync_dir`] of their directory; what is in a file only as the next
/// [`DiskFile::sync_data`].
pub trait Disk: Clone {
    /// An open file.
    type File: DiskFile;

    /// Whether what need not be done is done this time; not a call.
    fn chance(&self, _way: Chance) -> bool {
        false
    }

    /// The names of the files in `dir`, in any order; directories are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or directory at `path`.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Whether files can be created in `dir`.
    fn is_writable(&self, dir: &Path) -> io::Result<bool>;

    /// Opens a file that is there.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;

    /// Creates an empty file for writing; one that is there already is an error
    /// (`AlreadyExists`): storage never writes over what it has not looked at.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Renames a file inside its directory, replacing what has the new name, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its parents; one that is there is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the directory operations in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. Any error of a writing call leaves the file in an unknown state: the caller
/// stops, nobody retries.
pub trait DiskFile {
    /// A view of the file's first bytes, of fixed length.
    type Map: Deref<Target = [u8]>;

    /// The length, bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes all of `bytes` at offset `at`. Not durable before [`DiskFile::sync_data`].
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file `to` bytes long with zeros behind `from`, on blocks that are really
    /// allocated: afterwards a write below `to` never fails for want of space.
    fn allocate(&mut self, from: u64, to: u64) -> io::Result<()>;

    /// Cuts the file, or grows it with zeros that need not be allocated.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Makes content and length durable (fdatasync). After an error it must not be called again:
    /// the system may since have declared the lost pages clean.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Reads from offset `at` on until `out` is full or the file ends; answers how many bytes.
    /// For files that may be cut meanwhile, which a view must not outlive.
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize>;

    /// A view of the first `len` bytes, which must be there.
    fn map(&self, len: u64) -> io::Result<Self::Map>;

    /// Forgets clean cached pages, so that the next read asks the disk itself. After a failed
    /// sync of an earlier process the cache may hold what the disk never got.
    fn drop_cache(&self) -> io::Result<()>;
}
