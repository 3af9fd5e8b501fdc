//! The bytes of a transaction log (Apache's `FileTxnLog`):
//!
//! ```text
//!   header  'ZKLG' | i32 version 2 | i64 dbid 0                     16 bytes
//!   record  i64 adler32(body) | i32 len | body[len] | 'B'           13 + len bytes
//!   padding zeros up to the allocated length
//! ```

use jute::disk::FileHeader;
use jute::txn::TxnHeader;
use jute::Decode;

use crate::types::Zxid;

/// First bytes of every log.
pub const HEADER: [u8; FileHeader::LEN] = FileHeader::LOG.to_array();
/// Length of the header.
pub const HEADER_LEN: u64 = HEADER.len() as u64;
/// In front of a record's body: checksum and length.
pub const RECORD_HEAD: usize = 12;
/// What a record takes besides its body.
pub const RECORD_EXTRA: usize = RECORD_HEAD + 1;
/// Behind a record's body.
pub const END: u8 = jute::disk::LOG_RECORD_END;
/// A transaction's header; nothing shorter can be a body.
pub const BODY_MIN: usize = TxnHeader::MIN_LEN;

/// Appends the record of `body` to `out`.
pub fn put_record(out: &mut Vec<u8>, body: &[u8]) {
    let len = i32::try_from(body.len()).expect("a transaction fits into its frame");
    out.reserve(body.len() + RECORD_EXTRA);
    out.extend_from_slice(&i64::from(adler32(body)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(body);
    out.push(END);
}

/// Adler-32 as the log uses it: over the body alone.
pub fn adler32(bytes: &[u8]) -> u32 {
    simd_adler32::adler32(&bytes)
}

/// What stands at an offset of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot<'a> {
    /// A whole record: its body.
    Record(&'a [u8]),
    /// Not a whole record; what it is, is another question.
    Broken(Fault),
}

/// What is wrong with the bytes where a record should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The file ends here, inside a record or before it.
    EndOfFile,
    /// A length that no record has.
    Length(i32),
    /// Body and checksum agree, the byte behind is not 'B'.
    EndByte(u8),
    /// Body and checksum do not agree.
    Checksum,
}

/// Looks at the record at `at`; `at` lies inside the file or at its end.
pub fn slot(bytes: &[u8], at: usize) -> Slot<'_> {
    let rest = &bytes[at..];
    let Some((head, rest)) = rest.split_first_chunk::<RECORD_HEAD>() else {
        return Slot::Broken(Fault::EndOfFile);
    };
    let (sum, len) = split_head(head);
    if len < BODY_MIN as i32 {
        return Slot::Broken(Fault::Length(len));
    }
    let len = len as usize;
    if rest.len() <= len {
        return Slot::Broken(Fault::EndOfFile);
    }
    let (body, end) = (&rest[..len], rest[len]);
    if i64::from(adler32(body)) != sum {
        return Slot::Broken(Fault::Checksum);
    }
    if end != END {
        return Slot::Broken(Fault::EndByte(end));
    }
    Slot::Record(body)
}

/// The zxid in a transaction's header, behind session and cxid.
pub fn zxid_of(body: &[u8]) -> Zxid {
    Zxid(i64::from_be_bytes(*body[12..].first_chunk().expect("no body is shorter than a header")))
}

/// Checksum and length of a record's head.
pub fn split_head(head: &[u8; RECORD_HEAD]) -> (i64, i32) {
    let (sum, len) = head.split_at(8);
    (
        i64::from_be_bytes(sum.try_into().expect("eight bytes")),
        i32::from_be_bytes(len.try_into().expect("four bytes")),
    )
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::EndOfFile => write!(f, "the file ends inside a record"),
            Fault::Length(len) => write!(f, "a record of length {len}, which cannot be"),
            Fault::EndByte(b) => write!(f, "a record ends in {b:#04x} where 0x42 must be"),
            Fault::Checksum => write!(f, "a record does not have its checksum"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from Apache 3.9.5: createSession 0x0400000000000001, 10 s, zxid 0x100000001.
    #[test]
    fn a_record_of_apache_is_read_and_written() {
        let golden = hex("00000000aa9f0a51 00000030 0400000000000001 00000000 0000000100000001 \
             000001a1fbae9fe6 fffffff6 00002710 00000002 0000000051c6d660 42");
        let Slot::Record(body) = slot(&golden, 0) else { panic!("not a record") };
        let mut ours = Vec::new();
        put_record(&mut ours, body);
        assert_eq!(ours, golden);
    }

    #[test]
    fn faults_are_told_apart() {
        let mut bytes = Vec::new();
        put_record(&mut bytes, &[7; 40]);
        let check = |change: &dyn Fn(&mut Vec<u8>), fault| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            assert_eq!(slot(&bytes, 0), Slot::Broken(fault));
        };
        check(&|b| b.truncate(20), Fault::EndOfFile);
        check(&|b| b.truncate(52), Fault::EndOfFile);
        check(&|b| b[11] = 0, Fault::Length(0));
        check(&|b| b[8] = 0xff, Fault::Length(-0x00ff_ffd8));
        check(&|b| b[52] = 0, Fault::EndByte(0));
        check(&|b| b[20] ^= 1, Fault::Checksum);
        check(&|b| b[0] ^= 1, Fault::Checksum);
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    }
}
