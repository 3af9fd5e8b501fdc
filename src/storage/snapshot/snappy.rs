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
pub struct SnappyReader<R> {
    source: R,
    packed: Vec<u8>,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyReader<R> {
    /// Unpacks what `source` gives, which begins with the header.
    pub fn new(mut source: R) -> io::Result<Self> {
        let mut header = [0; HEADER.len()];
        source.read_exact(&mut header).map_err(|e| cut_short(e, "no snappy-java header"))?;
        if !header.starts_with(&MAGIC) {
            return Err(invalid("no snappy-java header"));
        }
        Ok(SnappyReader { source, packed: Vec::new(), block: Vec::new(), at: 0 })
    }

    /// Unpacks the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let Some(len) = self.block_len()? else { return Ok(false) };
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= snap::raw::max_compress_len(BLOCK_MAX))
            .ok_or_else(|| invalid("snappy block of a length that cannot be"))?;
        self.packed.clear();
        let read = self.source.by_ref().take(len as u64).read_to_end(&mut self.packed)?;
        if read < len {
            return Err(invalid("snappy block cut short"));
        }
        let unpacked =
            snap::raw::decompress_len(&self.packed).map_err(|e| invalid(&e.to_string()))?;
        if unpacked > BLOCK_MAX {
            return Err(invalid("snappy block too long"));
        }
        self.block.resize(unpacked, 0);
        let done = snap::raw::Decoder::new().decompress(&self.packed, &mut self.block);
        done.map_err(|e| invalid(&e.to_string()))?;
        self.at = 0;
        Ok(true)
    }

    /// The length of the next block, behind any headers; `None` at the end.
    fn block_len(&mut self) -> io::Result<Option<i32>> {
        loop {
            let mut head = Vec::with_capacity(4);
            match self.source.by_ref().take(4).read_to_end(&mut head)? {
                0 => return Ok(None),
                4 => {}
                _ => return Err(invalid("snappy block cut short")),
            }
            if head != MAGIC[..4] {
                let len = head.try_into().expect("four bytes");
                return Ok(Some(i32::from_be_bytes(len)));
            }
            let mut rest = [0; HEADER.len() - 4];
            let read = self.source.read_exact(&mut rest);
            read.map_err(|e| cut_short(e, "snappy header cut short"))?;
            if rest[..4] != MAGIC[4..] {
                return Err(invalid("no snappy-java header between blocks"));
            }
        }
    }
}

impl<R: Read> Read for SnappyReader<R> {
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

/// The end of the bytes is their fault; any other error is the system's.
fn cut_short(error: io::Error, what: &str) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        invalid(what)
    } else {
        error
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
            SnappyReader::new(&w.out[..]).unwrap().read_to_end(&mut back).unwrap();
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
