//! A snapshot's uncompressed bytes, one stretch at a time, with the checksum of all that has
//! been consumed. Memory is bounded by the longest record.

use std::io::{self, Read};

use super::snappy::SnappyReader;
use super::Compression;
use crate::storage::disk::DiskFile;

/// How much is asked of the source at once.
const CHUNK: usize = 256 << 10;

/// The bytes of a snapshot.
pub struct Inflate<'a> {
    source: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// The buffer's bytes before this one are consumed.
    start: usize,
    /// The buffer's bytes before this one are in the checksum.
    summed: usize,
    sum: simd_adler32::Adler32,
    /// Consumed bytes that have left the buffer.
    gone: u64,
    ended: bool,
}

impl<'a> Inflate<'a> {
    /// Unpacks what `packed` gives.
    pub fn new(packed: impl Read + 'a, compression: Compression) -> io::Result<Self> {
        let source: Box<dyn Read + 'a> = match compression {
            Compression::None => Box::new(packed),
            Compression::Gzip => Box::new(flate2::read::GzDecoder::new(packed)),
            Compression::Snappy => Box::new(SnappyReader::new(packed)?),
        };
        Ok(Inflate {
            source,
            buffer: Vec::with_capacity(2 * CHUNK),
            start: 0,
            summed: 0,
            sum: simd_adler32::Adler32::new(),
            gone: 0,
            ended: false,
        })
    }

    /// What is there without reading on.
    pub fn ready(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads until at least `n` bytes are ready, or the end; answers whether they are.
    pub fn fill(&mut self, n: usize) -> io::Result<bool> {
        while self.ready().len() < n && !self.ended {
            self.drop_consumed();
            let old = self.buffer.len();
            self.buffer.resize(old + CHUNK, 0);
            let read = self.source.read(&mut self.buffer[old..]);
            self.buffer.truncate(old + read.as_ref().map_or(0, |n| *n));
            self.ended = read? == 0;
        }
        Ok(self.ready().len() >= n)
    }

    /// Steps over `n` bytes that are ready.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.ready().len());
        self.start += n;
    }

    /// The checksum of everything consumed.
    pub fn checksum(&mut self) -> u32 {
        self.sum.write(&self.buffer[self.summed..self.start]);
        self.summed = self.start;
        self.sum.finish()
    }

    /// How many bytes have been consumed.
    pub fn offset(&self) -> u64 {
        self.gone + self.start as u64
    }

    fn drop_consumed(&mut self) {
        if self.start < CHUNK / 2 {
            return;
        }
        self.checksum();
        self.gone += self.start as u64;
        self.buffer.drain(..self.start);
        self.start = 0;
        self.summed = 0;
    }
}

/// A file's bytes in order, read and not mapped: a sector that cannot be read is an error then,
/// and so is a file that somebody cuts; behind a map either ends the process.
pub struct FileBytes<F> {
    file: F,
    /// Where `chunk` begins in the file.
    at: u64,
    chunk: Vec<u8>,
    used: usize,
}

impl<F: DiskFile> FileBytes<F> {
    /// From the first byte on.
    pub fn new(file: F) -> FileBytes<F> {
        FileBytes { file, at: 0, chunk: Vec::new(), used: 0 }
    }
}

impl<F: DiskFile> Read for FileBytes<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.used == self.chunk.len() {
            self.at += self.chunk.len() as u64;
            self.chunk.resize(CHUNK, 0);
            self.used = 0;
            let read = self.file.read_at(self.at, &mut self.chunk);
            self.chunk.truncate(read.as_ref().map_or(0, |n| *n));
            read?;
        }
        let n = out.len().min(self.chunk.len() - self.used);
        out[..n].copy_from_slice(&self.chunk[self.used..self.used + n]);
        self.used += n;
        Ok(n)
    }
}
