//! The body of a finished snapshot, for a learner: what stands between the file's header and its
//! seals, unpacked.

use std::io;
use std::path::Path;

use super::inflate::{FileBytes, Inflate};
use super::read::Parts;
use crate::storage::disk::{Access, Disk};
use crate::storage::names::parse_snapshot;

/// A body is handed out in chunks of about this many bytes, or of one znode.
const CHUNK: usize = 64 << 10;

/// Reads a snapshot's body in bounded chunks. The file is read, never mapped, so nothing worse
/// than an error comes of its being purged or cut meanwhile.
pub struct BodyReader {
    parts: Parts<'static>,
    ended: bool,
}

impl BodyReader {
    /// Opens the snapshot at `path`, whose name says how it is packed.
    pub fn open<D: Disk>(disk: &D, path: &Path) -> io::Result<BodyReader>
    where
        D::File: 'static,
    {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (_, compression) =
            parse_snapshot(name).ok_or_else(|| bad(path, "it has no snapshot's name"))?;
        let bytes = FileBytes::new(disk.open(path, Access::Read)?);
        let mut parts = Parts::new(Inflate::new(bytes, compression)?);
        parts.read_header().map_err(|what| bad(path, &what))?;
        Ok(BodyReader { parts, ended: false })
    }

    /// Appends the next chunk to `out`; false when it was the last. The end, the path "/", is in
    /// the last chunk, and is given only if all seals are right: an error means that whoever got
    /// the chunks must not take them for a snapshot.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let start = out.len();
        while !self.ended && out.len() - start < CHUNK {
            let before = out.len();
            let more = self
                .parts
                .read_part(&mut |_| Ok(()), &mut |bytes| out.extend_from_slice(bytes))
                .and_then(|more| if more { Ok(true) } else { self.check_end() });
            match more {
                Ok(more) => self.ended = !more,
                Err(what) => {
                    out.truncate(before);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        Ok(!self.ended)
    }

    fn check_end(&mut self) -> Result<bool, String> {
        self.parts.read_trailer().map(|_| false)
    }
}

fn bad(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}
