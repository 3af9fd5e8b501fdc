//! What log and snapshot files are made of, besides transactions (Apache's
//! `org.apache.zookeeper.server.persistence`).
//!
//! ```text
//!   log       FileHeader, LogRecord*, zeros
//!   snapshot  FileHeader, count, SessionEntry*, count, AclEntry*, SnapshotNode*, Seal,
//!             [SnapshotDigest, Seal], [last zxid, Seal]
//! ```
//!
//! The records are here; who reads a whole file streams them, and keeps the running checksum.

use std::borrow::Cow;

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::data::{Acl, StatPersisted};

record! {
    /// The first 16 bytes of a file. Readers check the magic and nothing else.
    #[derive(Copy)]
    FileHeader {
        magic: i32,
        /// 2.
        version: i32,
        /// 0 in logs, -1 in snapshots.
        dbid: i64,
    }
}

impl FileHeader {
    /// In front of a transaction log: `ZKLG`.
    pub const LOG: FileHeader =
        FileHeader { magic: i32::from_be_bytes(*b"ZKLG"), version: 2, dbid: 0 };
    /// In front of a snapshot: `ZKSN`.
    pub const SNAPSHOT: FileHeader =
        FileHeader { magic: i32::from_be_bytes(*b"ZKSN"), version: 2, dbid: -1 };
    /// Length in a file.
    pub const LEN: usize = 16;

    /// The header as it stands in a file, for those who compare bytes.
    pub const fn to_array(self) -> [u8; FileHeader::LEN] {
        let [a, b, c, d] = self.magic.to_be_bytes();
        let [e, f, g, h] = self.version.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.dbid.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }
}

/// The byte behind each log record, by which a torn one is known.
pub const LOG_RECORD_END: u8 = b'B';

/// One record of a log: checksum, body, end byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Adler-32 of the body, unsigned.
    pub checksum: i64,
    /// A [`TxnRecord`](crate::txn::TxnRecord). Empty where the preallocated zeros begin.
    pub body: &'a [u8],
    /// [`LOG_RECORD_END`], unless the record is torn.
    pub end: u8,
}

impl Encode for LogRecord<'_> {
    fn encode(&self, w: &mut Writer) {
        w.i64(self.checksum);
        w.buffer(Some(self.body));
        w.u8(self.end);
    }
}

impl<'a> Decode<'a> for LogRecord<'a> {
    const MIN_LEN: usize = 13;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(LogRecord {
            checksum: r.i64()?,
            body: r.buffer()?.ok_or(DecodeError::Null)?,
            end: r.u8()?,
        })
    }
}

record! {
    /// A session in a snapshot.
    #[derive(Copy)]
    SessionEntry { id: i64, timeout_ms: i32, }
}

record! {
    /// An access control list in a snapshot, and the number by which nodes refer to it.
    AclEntry<'a> { id: i64, acl: Vec<Acl<'a>>, }
}

record! {
    /// A znode in a snapshot. Parents come before their children; the root's path is empty, and
    /// the path `/` (see [`NODES_END`]) ends the list.
    SnapshotNode<'a> {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        /// An [`AclEntry`]'s number, or -1: open to everyone.
        acl_id: i64,
        stat: StatPersisted,
    }
}

/// Stands where the next node's path would: there is none. Also ends each [`Seal`].
pub const NODES_END: &str = "/";
/// [`NODES_END`] as it stands in a file.
pub const NODES_END_BYTES: [u8; 5] = *b"\x00\x00\x00\x01/";
/// Length of a [`Seal`] in a file.
pub const SEAL_LEN: usize = 8 + NODES_END_BYTES.len();

record! {
    /// Closes a part of a snapshot.
    Seal<'a> {
        /// Adler-32 of everything before this number, in the uncompressed file, unsigned.
        checksum: i64,
        /// [`NODES_END`].
        end: Cow<'a, str>,
    }
}

record! {
    /// A snapshot's second part: the digest of the tree at a zxid. (Versions before 2, of which
    /// no release wrote snapshots, had the digest as hexadecimal text.)
    #[derive(Copy)]
    SnapshotDigest { zxid: i64, version: i32, digest: i64, }
}
