//! Reading a snapshot: bytes in, one event for each session, ACL and znode.

use std::borrow::Cow;
use std::io;

use jute::{Acl, Decode, DecodeError, Limits, Reader, StatPersisted};

use super::inflate::Inflate;
use super::{Compression, DIGEST_LEN, HEADER, LAST_ZXID_LEN, SEAL_LEN};
use crate::types::Zxid;

/// A list or record longer than this is damage, whatever `jute.maxbuffer` says.
const RECORD_MAX: usize = 1 << 30;

/// What a snapshot holds, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A session and its timeout, ms.
    Session { id: i64, timeout_ms: i32 },
    /// An entry of the ACL table.
    Acl { id: i64, acl: Vec<Acl<'static>> },
    /// A znode, its parent seen before; the root's path is empty.
    Node { path: Cow<'a, str>, data: Option<&'a [u8]>, acl: i64, stat: StatPersisted },
}

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
}

/// Reads the snapshot `bytes` to its end, hands each part to `visit`. Whatever `visit` was given
/// counts only if this answers a trailer: the seals are behind everything they vouch for.
///
/// `visit` may say why a part cannot be: then reading ends there.
pub fn read_snapshot(
    bytes: &[u8],
    compression: Compression,
    visit: &mut dyn FnMut(Event<'_>) -> Result<(), String>,
) -> Result<Trailer, SnapshotError> {
    let input = Inflate::new(bytes, compression)
        .map_err(|e| SnapshotError { offset: 0, what: e.to_string() })?;
    let mut parts = Parts { input };
    let outcome = parts.read_all(visit);
    outcome.map_err(|what| SnapshotError { offset: parts.input.offset(), what })
}

struct Parts<'a> {
    input: Inflate<'a>,
}

type Visit<'v> = dyn FnMut(Event<'_>) -> Result<(), String> + 'v;

impl Parts<'_> {
    fn read_all(&mut self, visit: &mut Visit<'_>) -> Result<Trailer, String> {
        if self.take::<16>("the header")? != HEADER {
            return Err("the header of a snapshot is not there".to_owned());
        }
        self.read_sessions(visit)?;
        self.read_acls(visit)?;
        self.read_nodes(visit)?;
        let seal = self.check_seal()?;
        self.read_sections(seal)
    }

    fn read_sessions(&mut self, visit: &mut Visit<'_>) -> Result<(), String> {
        for _ in 0..self.count("sessions")? {
            let [id, timeout_ms] = [self.i64("a session")?, i64::from(self.i32("a session")?)];
            visit(Event::Session { id, timeout_ms: timeout_ms as i32 })?;
        }
        Ok(())
    }

    fn read_acls(&mut self, visit: &mut Visit<'_>) -> Result<(), String> {
        for _ in 0..self.count("ACLs")? {
            let id = self.i64("an ACL")?;
            let acl = self.record("an ACL", |r| {
                let list: Option<Vec<Acl<'_>>> = r.vector()?;
                Ok(list.unwrap_or_default().into_iter().map(Acl::into_owned).collect())
            })?;
            visit(Event::Acl { id, acl })?;
        }
        Ok(())
    }

    fn read_nodes(&mut self, visit: &mut Visit<'_>) -> Result<(), String> {
        loop {
            let len = self.node_len()?;
            let mut r = reader(&self.input.ready()[..len]);
            let failure = |e: DecodeError| format!("a znode cannot be read: {e}");
            let path = r.string().map_err(failure)?.ok_or("a znode without a path")?;
            if path == "/" {
                self.input.consume(len);
                return Ok(());
            }
            let data = r.buffer().map_err(failure)?;
            let acl = r.i64().map_err(failure)?;
            let stat = StatPersisted::decode(&mut r).map_err(failure)?;
            visit(Event::Node { path, data, acl, stat })?;
            self.input.consume(len);
        }
    }

    /// Makes one znode, or the end of all, ready; answers its length.
    fn node_len(&mut self) -> Result<usize, String> {
        let path_len = self.peek_len(0, "a path")?;
        if path_len == 1 && self.peek(4, 1, "a path")? == b"/" {
            return Ok(5);
        }
        let data_at = 4 + path_len;
        let data_len = self.peek_len(data_at, "a znode's data")?;
        let len = data_at + 4 + data_len + 8 + StatPersisted::MIN_LEN;
        self.peek(0, len, "a znode")?;
        Ok(len)
    }

    /// Behind the first seal: 0, 21, 33 or 54 bytes (H17: Apache takes one section for another).
    fn read_sections(&mut self, seal: i64) -> Result<Trailer, String> {
        let mut trailer = Trailer { seal, digest: None, last_zxid: None };
        let both = DIGEST_LEN + LAST_ZXID_LEN + 2 * SEAL_LEN;
        self.fill(both + 1)?;
        let left = self.input.ready().len();
        if left == both || left == DIGEST_LEN + SEAL_LEN {
            let zxid = Zxid(self.i64("the digest")?);
            let version = self.i32("the digest")?;
            let digest = self.i64("the digest")? as u64;
            self.check_seal()?;
            // Zxid 0 is written for "none yet".
            trailer.digest = (zxid.0 > 0).then_some(TreeDigest { zxid, version, digest });
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
        if self.take::<5>("a seal")? != *b"\x00\x00\x00\x01/" {
            return Err("a seal has no end".to_owned());
        }
        Ok(seal)
    }

    fn count(&mut self, what: &str) -> Result<i32, String> {
        let count = self.i32(what)?;
        if count < 0 {
            return Err(format!("{count} {what}"));
        }
        Ok(count)
    }

    /// Reads a record of unknown length: again with more bytes as long as they do not suffice.
    fn record<T>(
        &mut self,
        what: &str,
        decode: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, String> {
        let mut want = 4096;
        loop {
            let enough = self.fill(want)?;
            let ready = self.input.ready();
            let mut r = reader(ready);
            match decode(&mut r) {
                Ok(value) => {
                    let used = ready.len() - r.remaining().len();
                    self.input.consume(used);
                    return Ok(value);
                }
                Err(DecodeError::Truncated { .. } | DecodeError::TooMany { .. })
                    if enough && want < RECORD_MAX =>
                {
                    want = 2 * ready.len();
                }
                Err(e) => return Err(format!("{what} cannot be read: {e}")),
            }
        }
    }

    /// The length field at `at` of what is not consumed yet; null counts as empty.
    fn peek_len(&mut self, at: usize, what: &str) -> Result<usize, String> {
        let field = self.peek(at, 4, what)?;
        match i32::from_be_bytes(field.try_into().expect("four bytes")) {
            -1 => Ok(0),
            len if (0..RECORD_MAX as i32).contains(&len) => Ok(len as usize),
            len => Err(format!("{what} of length {len}")),
        }
    }

    fn peek(&mut self, at: usize, len: usize, what: &str) -> Result<&[u8], String> {
        if !self.fill(at + len)? {
            return Err(format!("the file ends inside {what}"));
        }
        Ok(&self.input.ready()[at..at + len])
    }

    fn fill(&mut self, n: usize) -> Result<bool, String> {
        self.input.fill(n).map_err(|e: io::Error| format!("cannot unpack: {e}"))
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let bytes = self.peek(0, N, what)?.try_into().expect("as many as asked for");
        self.input.consume(N);
        Ok(bytes)
    }

    fn i32(&mut self, what: &str) -> Result<i32, String> {
        Ok(i32::from_be_bytes(self.take(what)?))
    }

    fn i64(&mut self, what: &str) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.take(what)?))
    }
}

fn reader(bytes: &[u8]) -> Reader<'_> {
    Reader::with_limits(bytes, Limits { max_length: RECORD_MAX })
}
