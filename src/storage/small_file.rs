//! Small files that are replaced whole, so that a crash leaves the old content or the new one
//! (Apache's `AtomicFileOutputStream`, which does not sync the directory: a power failure may
//! take its rename back).

use std::io;
use std::path::Path;

use super::disk::{Access, Disk, DiskFile};
use super::error::StorageError;

/// Longer small files are none of ours.
const BYTES_MAX: u64 = 64 << 10;

/// The content, or the first 64 KiB of it; `None` if there is no such file.
pub fn read<D: Disk>(disk: &D, path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !disk.exists(path)? {
        return Ok(None);
    }
    let file = disk.open(path, Access::Read)?;
    let mut bytes = vec![0; file.len()?.min(BYTES_MAX) as usize];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts `bytes` into the file `name` of `dir`, durably, by way of the file `temp` there.
pub fn replace<D: Disk>(
    disk: &D,
    dir: &Path,
    name: &str,
    temp: &str,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let (path, temp) = (dir.join(name), dir.join(temp));
    let failure = |verb| {
        let path = path.clone();
        move |e| StorageError::io(&path, verb, e)
    };
    remove(disk, &temp)?;
    let mut file = disk.create(&temp).map_err(failure("create"))?;
    file.write_at(0, bytes).map_err(failure("write"))?;
    file.sync_data().map_err(failure("sync"))?;
    disk.rename(&temp, &path).map_err(failure("rename"))?;
    sync_dir(disk, dir)
}

/// Removes a file if it is there; answers whether it was. Not durable before the directory is
/// synced.
pub fn remove<D: Disk>(disk: &D, path: &Path) -> Result<bool, StorageError> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StorageError::io(path, "remove", e)),
    }
}

/// Makes the names in `dir` durable.
pub fn sync_dir<D: Disk>(disk: &D, dir: &Path) -> Result<(), StorageError> {
    disk.sync_dir(dir).map_err(|e| StorageError::io(dir, "sync the directory", e))
}
