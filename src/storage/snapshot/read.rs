//! Reading a snapshot: bytes in, one event for each session, ACL and znode.

use std::io::{self, Read};

use jute::disk::{SnapshotDigest, NODES_END_BYTES, SEAL_LEN};
use jute::Decode;

use super::inflate::Inflate;
use super::parse::{Parser, Step, Visit};
use super::{Compression, DIGEST_LEN, HEADER, LAST_ZXID_LEN};
use crate::types::Zxid;

/// What stands behind the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The checksum in the first seal.
    pub seal: i64,
    /// The tree's digest, and the transaction behind which it had it; since 3.6.
    pub digest: Option<TreeDigest>,
    /// The last transaction when the snapshot was finished; since 3.9.
    pub last_zxid: Option<Zxid>,
}

/// A tree digest and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeDigest {
    pub zxid: Zxid,
    pub version: i32,
    pub digest: u64,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} at offset {offset} of the uncompressed bytes")]
pub struct SnapshotError {
    /// In the uncompressed bytes.
    pub offset: u64,
    pub what: String,
    /// The system would not read the file: it says nothing about what is in it.
    pub unread: Option<io::Error>,
}

/// Reads the snapshot in `file` to its end, hands each part to `visit`. Whatever `visit` was given
/// counts only if this answers a trailer: the seals are behind everything they vouch for.
///
/// `visit` may say why a part cannot be: then reading ends there.
pub fn read_snapshot(
    file: impl Read,
    compression: Compression,
    visit: &mut Visit<'_>,
) -> Result<Trailer, SnapshotError> {
    let input = Inflate::new(file, compression).map_err(|e| {
        let what = e.to_string();
        SnapshotError { offset: 0, what, unread: Some(e).filter(is_unread) }
    })?;
    let mut parts = Parts::new(input);
    let outcome = parts.read_all(visit);
    outcome.map_err(|what| SnapshotError {
        offset: parts.offset(),
        what,
        unread: parts.unread.take(),
    })
}

/// Whether this came from the system and not from unpacking.
fn is_unread(error: &io::Error) -> bool {
    let unpacking =
        [io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput, io::ErrorKind::UnexpectedEof];
    !unpacking.contains(&error.kind())
}

/// A snapshot's parts, from the header to the last seal.
pub struct Parts<'a> {
    input: Inflate<'a>,
    parser: Parser,
    /// The system's error, if that is why reading ended.
    unread: Option<io::Error>,
}

impl<'a> Parts<'a> {
    /// At the first byte of the file.
    pub fn new(input: Inflate<'a>) -> Parts<'a> {
        Parts { input, parser: Parser::new(), unread: None }
    }

    /// How many uncompressed bytes are read.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    fn read_all(&mut self, visit: &mut Visit<'_>) -> Result<Trailer, String> {
        self.read_header()?;
        while self.read_part(visit, &mut |_| {})? {}
        self.read_trailer()
    }

    /// Steps over the header.
    pub fn read_header(&mut self) -> Result<(), String> {
        if self.take::<16>("the header")? != HEADER {
            return Err("the header of a snapshot is not there".to_owned());
        }
        Ok(())
    }

    /// Reads one part of the body and hands its bytes to `copy`, too; false at the end.
    pub fn read_part(
        &mut self,
        visit: &mut Visit<'_>,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, String> {
        loop {
            let step = self.parser.step(self.input.ready(), visit)?;
            match step {
                Step::Need(n) => {
                    if !self.fill(n)? {
                        return Err(format!("the file ends inside {}", self.parser.place()));
                    }
                }
                Step::Used(n) | Step::End(n) => {
                    copy(&self.input.ready()[..n]);
                    self.input.consume(n);
                    return Ok(matches!(step, Step::Used(_)));
                }
            }
        }
    }

    /// Reads what stands behind the body.
    pub fn read_trailer(&mut self) -> Result<Trailer, String> {
        let seal = self.check_seal()?;
        self.read_sections(seal)
    }

    /// Behind the first seal: 0, 21, 33 or 54 bytes (H17: Apache takes one section for another).
    fn read_sections(&mut self, seal: i64) -> Result<Trailer, String> {
        let mut trailer = Trailer { seal, digest: None, last_zxid: None };
        let both = DIGEST_LEN + LAST_ZXID_LEN + 2 * SEAL_LEN;
        self.fill(both + 1)?;
        let left = self.input.ready().len();
        if left == both || left == DIGEST_LEN + SEAL_LEN {
            let section = self.take::<DIGEST_LEN>("the digest")?;
            let section = SnapshotDigest::from_bytes(&section).map_err(|e| e.to_string())?;
            self.check_seal()?;
            // Zxid 0 is written for "none yet".
            trailer.digest = (section.zxid > 0).then_some(TreeDigest {
                zxid: Zxid(section.zxid),
                version: section.version,
                digest: section.digest as u64,
            });
        }
        if left == both || left == LAST_ZXID_LEN + SEAL_LEN {
            trailer.last_zxid = Some(Zxid(self.i64("the last zxid")?));
            self.check_seal()?;
        } else if left != 0 && left != DIGEST_LEN + SEAL_LEN {
            return Err(format!("{left} bytes or more follow the tree, which is no section"));
        }
        Ok(trailer)
    }

    fn check_seal(&mut self) -> Result<i64, String> {
        let sum = i64::from(self.input.checksum());
        let seal = self.i64("a seal")?;
        if seal != sum {
            return Err(format!("checksum {sum:#x} is not {seal:#x}, as the seal says"));
        }
        if self.take("a seal")? != NODES_END_BYTES {
            return Err("a seal has no end".to_owned());
        }
        Ok(seal)
    }

    fn fill(&mut self, n: usize) -> Result<bool, String> {
        self.input.fill(n).map_err(|e| {
            let what = format!("cannot unpack: {e}");
            self.unread = Some(e).filter(is_unread);
            what
        })
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        if !self.fill(N)? {
            return Err(format!("the file ends inside {what}"));
        }
        let bytes = *self.input.ready().first_chunk().expect("as many as asked for");
        self.input.consume(N);
        Ok(bytes)
    }

    fn i64(&mut self, what: &str) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.take(what)?))
    }
}
