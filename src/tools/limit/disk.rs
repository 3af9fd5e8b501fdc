//! The quickest way to disk that we know: `pwrite` into blocks that zeros were written to, then
//! `fdatasync` (`benches/log_append.rs` compares the ways).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::{LimitError, SyncArgs};
use crate::tools::bench::Histogram;

/// The file is written from its beginning again when this is full.
const FILE_BYTES: u64 = 64 << 20;
const ZEROS_AT_ONCE: usize = 1 << 20;

/// A file with room, and no name any more.
pub struct Tail {
    file: File,
    at: u64,
}

impl Tail {
    /// Makes the file in `dir` and writes zeros to all of it.
    pub fn new(dir: &Path) -> io::Result<Tail> {
        let path = dir.join(format!("oxkeeper-bench-limit.{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let zeros = vec![0; ZEROS_AT_ONCE];
        for at in (0..FILE_BYTES).step_by(ZEROS_AT_ONCE) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Tail { file, at: 0 })
    }

    /// Returns when `bytes` (at most [`FILE_BYTES`]) are on disk.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at + bytes.len() as u64 > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.file.sync_data()
    }
}

/// Times appends and prints one JSON object on one line, latencies in microseconds.
pub fn run(args: &SyncArgs) -> Result<(), LimitError> {
    let failed = |source| LimitError::File { dir: args.dir.clone(), source };
    let mut tail = Tail::new(&args.dir).map_err(failed)?;
    let bytes: Vec<u8> = (0..args.records * args.bytes).map(|i| i as u8 | 1).collect();
    let mut took = Histogram::default();
    for _ in 0..args.count {
        let start = Instant::now();
        tail.append(&bytes).map_err(failed)?;
        took.record(u64::try_from(start.elapsed().as_nanos()).expect("no sync lasts 500 years"));
    }
    let us = |fraction| took.quantile_ns(fraction) as f64 / 1e3;
    println!(
        "{{\"records\":{},\"bytes\":{},\"p50\":{:.1},\"p99\":{:.1},\"p99.9\":{:.1},\"max\":{:.1}}}",
        args.records,
        args.bytes,
        us(0.5),
        us(0.99),
        us(0.999),
        took.max_ns() as f64 / 1e3
    );
    Ok(())
}
