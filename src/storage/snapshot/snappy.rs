//! The stream of snappy-java (`SnappyOutputStream`): a header, then blocks.
//!
//! ```text
//!   82 'SNAPPY' 00 | i32 version 1 | i32 compatible 1      may come again between blocks
//!   i32 length | raw snappy of at most 32 KiB              repeated
//! ```

use std::io::{self, Read, Write};

/// First bytes of the stream.
pub const MAGIC: [u8; 8] = *b"\x82SNAPPY\x00";
/// The header: magic and both versions.
const HEADER: [u8; 16] = *b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
/// Uncompressed bytes of a block.
const BLOCK: usize = 32 << 10;
/// The longest block of any writer that is believed, uncompressed.
const BLOCK_MAX: usize = 64 << 20;

/// Unpacks a stream.
#[derive(Debug)]
pub struct SnappyReader<'a> {
    rest: &'a [u8],
    block: Vec<u8>,
    at: usize,
}

impl<'a> SnappyReader<'a> {
    /// Unpacks `bytes`, which begin with the header.
    pub fn new(bytes: &'a [u8]) -> io::Result<Self> {
        let rest = bytes.strip_prefix(&MAGIC).and_then(|rest| rest.get(8..));
        let rest = rest.ok_or_else(|| invalid("no snappy-java header"))?;
        Ok(SnappyReader { rest, block: Vec::new(), at: 0 })
    }

    /// Unpacks the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        while let Some(rest) = self.rest.strip_prefix(&MAGIC) {
            self.rest = rest.get(8..).ok_or_else(|| invalid("snappy header cut short"))?;
        }
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (head, rest) =
            self.rest.split_first_chunk::<4>().ok_or_else(|| invalid("snappy block cut short"))?;
        let len = i32::from_be_bytes(*head);
        let packed = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let packed = packed.ok_or_else(|| invalid("snappy block cut short"))?;
        let unpacked = snap::raw::decompress_len(packed).map_err(|e| invalid(&e.to_string()))?;
        if unpacked > BLOCK_MAX {
            return Err(invalid("snappy block too long"));
        }
        self.block.resize(unpacked, 0);
        let done = snap::raw::Decoder::new().decompress(packed, &mut self.block);
        done.map_err(|e| invalid(&e.to_string()))?;
        self.at = 0;
        self.rest = &rest[packed.len()..];
        Ok(true)
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let n = out.len().min(self.block.len() - self.at);
        out[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Packs a stream into a vector that the caller empties from time to time.
#[derive(Debug)]
pub struct SnappyWriter {
    pub out: Vec<u8>,
    block: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl SnappyWriter {
    /// Begins a stream.
    pub fn new() -> Self {
        SnappyWriter {
            out: HEADER.to_vec(),
            block: Vec::with_capacity(BLOCK),
            encoder: snap::raw::Encoder::new(),
        }
    }

    /// Ends the stream.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let start = self.out.len() + 4;
        self.out.resize(start + snap::raw::max_compress_len(self.block.len()), 0);
        let packed = self.encoder.compress(&self.block, &mut self.out[start..]);
        let packed = packed.map_err(|e| invalid(&e.to_string()))?;
        self.out.truncate(start + packed);
        let len = i32::try_from(packed).expect("a packed block is small").to_be_bytes();
        self.out[start - 4..start].copy_from_slice(&len);
        self.block.clear();
        Ok(())
    }
}

impl Write for SnappyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..n]);
        if self.block.len() == BLOCK {
            self.finish()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_go_there_and_back() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * i / 7) as u8).collect();
            let mut w = SnappyWriter::new();
            w.write_all(&bytes).unwrap();
            w.finish().unwrap();
            let mut back = Vec::new();
            SnappyReader::new(&w.out).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn a_stream_cut_anywhere_inside_a_block_is_an_error() {
        let mut w = SnappyWriter::new();
        w.write_all(&[1; 100]).unwrap();
        w.finish().unwrap();
        for len in 0..w.out.len() {
            let mut back = Vec::new();
            let read = SnappyReader::new(&w.out[..len]).and_then(|mut r| r.read_to_end(&mut back));
            assert!(read.is_err() || len == HEADER.len(), "{len}");
        }
    }
}
