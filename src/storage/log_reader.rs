//! Reading one transaction log from its front, record by record.
//!
//! The file is mapped, at the length it has when it is opened: what is appended to a log meanwhile
//! shows in the map, what is allocated behind it does not. A sector that can't be read, or a file
//! that somebody else cuts, ends the process with the file's name (`crate::disk`).

use std::io;

use crate::types::Zxid;

use super::disk::DiskFile;
use super::log_format::{
    slot, split_head, zxid_of, Fault, Slot, BODY_MIN, HEADER, HEADER_LEN, RECORD_EXTRA, RECORD_HEAD,
};

/// The records of one file.
pub struct LogReader<F: DiskFile> {
    /// The file as long as it was when it was opened.
    map: F::Map,
    /// The current record, its head and end included; at first the header.
    record: std::ops::Range<usize>,
}

/// What [`LogReader::advance`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// To a record, which is current now.
    Record,
    /// To something else, behind the current record.
    Broken(Fault),
}

impl<F: DiskFile> LogReader<F> {
    /// Before the first record. `None`: the file has not the header of a log.
    pub fn open(file: F) -> io::Result<Option<LogReader<F>>> {
        let map = file.map(file.len()?)?;
        let has_header = map.starts_with(&HEADER);
        Ok(has_header.then_some(LogReader { map, record: 0..HEADER.len() }))
    }

    /// Goes to the next record, if there is a whole one.
    pub fn advance(&mut self) -> Advance {
        let start = self.record.end;
        let Some(head) = self.map[start..].first_chunk::<RECORD_HEAD>() else {
            return Advance::Broken(Fault::EndOfFile);
        };
        let (_, body_len) = split_head(head);
        if body_len < BODY_MIN as i32 {
            return Advance::Broken(Fault::Length(body_len));
        }
        let end = start + body_len as usize + RECORD_EXTRA;
        if end > self.map.len() {
            return Advance::Broken(Fault::EndOfFile);
        }
        match slot(&self.map[..end], start) {
            Slot::Broken(fault) => Advance::Broken(fault),
            Slot::Record(_) => {
                self.record = start..end;
                Advance::Record
            }
        }
    }

    /// The current record's body.
    pub fn body(&self) -> &[u8] {
        &self.map[self.record.start + RECORD_HEAD..self.record.end - 1]
    }

    /// Where the current record begins in the file.
    pub fn start(&self) -> u64 {
        self.record.start as u64
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.record.end as u64
    }

    /// Goes to the last record up to `upto`; answers where it ends, and its zxid if there is one.
    pub fn seek_end(&mut self, upto: Zxid) -> (u64, Option<Zxid>) {
        let (mut end, mut last) = (HEADER_LEN, None);
        while self.advance() == Advance::Record {
            let zxid = zxid_of(self.body());
            if zxid > upto {
                break;
            }
            (end, last) = (self.end(), Some(zxid));
        }
        (end, last)
    }

    /// Whether there are only zeros behind the current record.
    pub fn ends_in_zeros(&self) -> bool {
        self.map[self.record.end..].iter().all(|b| *b == 0)
    }

    /// All of the file, for whoever judges its end.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }
}

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// Whether there is anything but zeros from `at` to the end of the file.
pub fn holds_anything<F: DiskFile>(file: &F, mut at: u64) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read_at(at, &mut chunk)?;
        if chunk[..read].iter().any(|b| *b != 0) {
            return Ok(true);
        }
        if read < chunk.len() {
            return Ok(false);
        }
        at += read as u64;
    }
}
