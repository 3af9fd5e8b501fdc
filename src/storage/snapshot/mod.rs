//! Snapshots in Apache's format (`FileSnap`), plain, gzip or snappy:
//!
//! ```text
//!   'ZKSN' | i32 version 2 | i64 dbid -1
//!   i32 count, (i64 session, i32 timeout)…
//!   i32 count, (i64 acl id, vector<ACL>)…
//!   (ustring path, buffer data, i64 acl id, stat)…   root first, as ""; parents before children
//!   ustring "/"
//!   seal                                             i64 adler32 of all before | ustring "/"
//!   i64 zxid | i32 digest version | i64 digest, seal   since 3.6, unless digests are off
//!   i64 last zxid, seal                                since 3.9, unless switched off
//! ```
//!
//! The sections behind the first seal carry no tag; their number of bytes tells them apart.

mod body;
mod inflate;
mod parse;
mod read;
mod snappy;
mod write;

use jute::disk::{FileHeader, SnapshotDigest, NODES_END_BYTES};
use jute::Decode;

pub use body::BodyReader;
pub use inflate::FileBytes;
pub use parse::{Event, Parser, Step, Visit};
pub use read::{read_snapshot, SnapshotError, Trailer};
pub use write::{write_snapshot, SnapshotInfo, SnapshotWriter};

use std::io;

use super::disk::DiskFile;

/// First bytes of every snapshot.
const HEADER: [u8; FileHeader::LEN] = FileHeader::SNAPSHOT.to_array();
/// The digest section without its seal.
const DIGEST_LEN: usize = SnapshotDigest::MIN_LEN;
/// The last zxid's section without its seal.
const LAST_ZXID_LEN: usize = 8;
/// The digest version this server knows.
pub const DIGEST_VERSION: i32 = 2;

/// How a snapshot's bytes are packed (`snapshot.compression.method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// One gzip stream.
    Gzip,
    /// The stream of snappy-java, which is not the framing format of snappy.
    Snappy,
}

impl Compression {
    /// What the file's name ends in.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }
}

/// Apache's first look at a snapshot (`SnapStream.isValidSnapshot`): the end of the last seal, or
/// the head of a packed stream. Not more than that.
pub fn looks_whole<F: DiskFile>(file: &F, compression: Compression) -> io::Result<bool> {
    let (mut head, mut end) = ([0; 8], [0; NODES_END_BYTES.len()]);
    let len = file.len()?;
    file.read_at(0, &mut head)?;
    file.read_at(len.saturating_sub(end.len() as u64), &mut end)?;
    Ok(match compression {
        Compression::None => len >= 10 && end == NODES_END_BYTES,
        Compression::Gzip => head.starts_with(b"\x1f\x8b"),
        Compression::Snappy => head == snappy::MAGIC,
    })
}
