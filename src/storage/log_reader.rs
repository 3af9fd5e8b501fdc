//! Reading one transaction log from its front, record by record.
//!
//! Files are read and not mapped: a sector that cannot be read is an error then, and so is a file
//! that somebody cuts meanwhile; behind a map either ends the process.

use std::io;

use crate::types::Zxid;

use super::disk::DiskFile;
use super::log_format::{
    slot, split_head, zxid_of, Fault, Slot, BODY_MIN, HEADER, HEADER_LEN, RECORD_EXTRA, RECORD_HEAD,
};

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// The records of one file.
pub struct LogReader<F> {
    file: F,
    /// The file's length when it was opened.
    len: u64,
    /// Where the buffer's first byte is in the file.
    at: u64,
    buffer: Vec<u8>,
    /// The current record in the buffer, its head and end included; at first the header.
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
        let len = file.len()?;
        let mut reader = LogReader { file, len, at: 0, buffer: Vec::new(), record: 0..0 };
        if !reader.fill(HEADER.len())? || !reader.buffer.starts_with(&HEADER) {
            return Ok(None);
        }
        reader.record = 0..HEADER.len();
        Ok(Some(reader))
    }

    /// Goes to the next record, if there is a whole one.
    pub fn advance(&mut self) -> io::Result<Advance> {
        if self.record.end >= CHUNK {
            self.buffer.drain(..self.record.end);
            self.at += self.record.end as u64;
            self.record = 0..0;
        }
        let start = self.record.end;
        if !self.fill(start + RECORD_HEAD)? {
            return Ok(Advance::Broken(Fault::EndOfFile));
        }
        let head = self.buffer[start..].first_chunk().expect("filled");
        let (_, body_len) = split_head(head);
        if body_len < BODY_MIN as i32 {
            return Ok(Advance::Broken(Fault::Length(body_len)));
        }
        let end = start + body_len as usize + RECORD_EXTRA;
        if self.at + end as u64 > self.len || !self.fill(end)? {
            return Ok(Advance::Broken(Fault::EndOfFile));
        }
        match slot(&self.buffer[..end], start) {
            Slot::Broken(fault) => Ok(Advance::Broken(fault)),
            Slot::Record(_) => {
                self.record = start..end;
                Ok(Advance::Record)
            }
        }
    }

    /// The current record's body.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.record.start + RECORD_HEAD..self.record.end - 1]
    }

    /// Where the current record begins in the file.
    pub fn start(&self) -> u64 {
        self.at + self.record.start as u64
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.at + self.record.end as u64
    }

    /// Goes to the last record up to `upto`; answers where it ends, and its zxid if there is one.
    pub fn seek_end(&mut self, upto: Zxid) -> io::Result<(u64, Option<Zxid>)> {
        let (mut end, mut last) = (HEADER_LEN, None);
        while self.advance()? == Advance::Record {
            let zxid = zxid_of(self.body());
            if zxid > upto {
                break;
            }
            (end, last) = (self.end(), Some(zxid));
        }
        Ok((end, last))
    }

    /// Whether there are only zeros behind the current record. Reads all of them, or of what is
    /// there instead.
    pub fn ends_in_zeros(&self) -> io::Result<bool> {
        let (mut zeros, mut at) = (true, self.end());
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = self.file.read_at(at, &mut chunk)?;
            zeros &= chunk[..read].iter().all(|b| *b == 0);
            at += read as u64;
            if read < chunk.len() {
                return Ok(zeros);
            }
        }
    }

    /// The file itself.
    pub fn file(&self) -> &F {
        &self.file
    }

    /// Reads until the buffer has `n` bytes; false if the file has not.
    fn fill(&mut self, n: usize) -> io::Result<bool> {
        while self.buffer.len() < n {
            let old = self.buffer.len();
            self.buffer.resize(n.max(old + CHUNK), 0);
            let read = self.file.read_at(self.at + old as u64, &mut self.buffer[old..]);
            self.buffer.truncate(old + read.as_ref().map_or(0, |read| *read));
            if read? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

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
