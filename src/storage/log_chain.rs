//! Reading the transaction logs of a directory as one chain, and finding out where it may end.
//!
//! ```text
//!   log.1          log.41         log.67 (newest)
//!   ●●●●●●●●00     ●●●●●000       ●●●●●●●▒▒0000
//!   every record follows the one before it;        the tail: clean, torn or damaged
//!   a hole is a reason not to start                (tail.rs)
//! ```

use std::path::{Path, PathBuf};

use jute::txn::TxnRecord;
use jute::{Decode, Limits, Reader};

use crate::types::{Epoch, Zxid};

use super::disk::{Access, Disk, DiskFile};
use super::error::{RecoveryRefused, Refusal};
use super::log_format::{Fault, END, HEADER_LEN, RECORD_HEAD};
use super::log_reader::{holds_anything, Advance, LogReader};
use super::names::parse_log;
use super::synced::Synced;
use super::tail::{judge, Tail, SECTOR};

/// No record that any server accepts is longer.
const RECORD_MAX: usize = 1 << 30;

/// A record in its place.
#[derive(Debug)]
pub struct Logged<'a> {
    pub record: TxnRecord<'a>,
    /// What the record was decoded from.
    pub body: &'a [u8],
    pub file: &'a Path,
    pub offset: u64,
    /// The record before it was of an earlier epoch.
    pub opens_epoch: bool,
}

impl Logged<'_> {
    /// Its number.
    pub fn zxid(&self) -> Zxid {
        Zxid(self.record.header.zxid)
    }
}

/// What a walk along the chain found.
#[derive(Debug)]
pub struct Walk {
    /// The last transaction, or where the walk set out from.
    pub last: Zxid,
    /// The last record in any of the files walked, covered by the caller's state or not.
    pub tip: Option<Zxid>,
    /// Records handed out.
    pub records: u64,
    /// Files walked.
    pub files: usize,
    /// How the newest log ends, with what has to be done about it before another one is written.
    pub end: LogEnd,
    /// Newest logs without a single record, to be removed.
    pub empty: Vec<PathBuf>,
    /// What was met and borne, for the log.
    pub notes: Vec<String>,
}

/// The end of the newest log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEnd {
    /// Zeros, or the end of the file; or there is no log.
    Clean,
    /// Cut the file here: what follows never reached the disk whole.
    Cut { file: PathBuf, offset: u64 },
    /// Write length and end byte of the record here, whose body is whole, and cut behind it.
    Complete { file: PathBuf, offset: u64, body_len: u32 },
}

/// Walks the logs in `dir` from the transaction behind `from`, which the caller's state has
/// already, and hands every record to `visit`, in order and without a hole.
pub fn walk<D: Disk>(
    disk: &D,
    dir: &Path,
    from: Zxid,
    synced: Option<Synced>,
    visit: &mut dyn FnMut(Logged<'_>) -> Result<(), RecoveryRefused>,
) -> Result<Walk, RecoveryRefused> {
    let mut files = log_files(disk, dir)?;
    let mut empty = Vec::new();
    while let Some(newest) = files.last() {
        if !is_empty_log(disk, newest, synced)? {
            break;
        }
        empty.push(newest.path.clone());
        files.pop();
    }
    let start = files.partition_point(|f| f.first.0 <= from.0.saturating_add(1)).saturating_sub(1);
    files.drain(..start);
    let mut chain = Chain {
        from,
        synced,
        tip: None,
        duplicate: Vec::new(),
        visit,
        walk: Walk {
            last: from,
            tip: None,
            records: 0,
            files: files.len(),
            end: LogEnd::Clean,
            empty,
            notes: Vec::new(),
        },
    };
    for (i, file) in files.iter().enumerate() {
        chain.walk_file(disk, file, files.get(i + 1))?;
    }
    let mut walk = chain.walk;
    walk.tip = chain.tip;
    walk.last = chain.tip.map_or(from, |tip| tip.max(from));
    check_reached(dir, &walk, synced)?;
    Ok(walk)
}

/// The successor of a transaction is the next of its epoch or the first of a later one.
pub fn follows(zxid: Zxid, before: Zxid) -> bool {
    before.next() == Some(zxid) || (zxid.epoch() > before.epoch() && zxid.counter() == 1)
}

#[derive(Debug)]
struct LogFile {
    first: Zxid,
    path: PathBuf,
}

fn log_files<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<LogFile>, RecoveryRefused> {
    let names = disk.list(dir).map_err(|e| RecoveryRefused::io(dir, "list", &e))?;
    let mut files: Vec<LogFile> = names
        .iter()
        .filter_map(|name| Some(LogFile { first: parse_log(name)?, path: dir.join(name) }))
        .collect();
    files.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    Ok(files)
}

/// Whether the newest log never had a record: it may then have no header either.
fn is_empty_log<D: Disk>(
    disk: &D,
    file: &LogFile,
    synced: Option<Synced>,
) -> Result<bool, RecoveryRefused> {
    let log = open(disk, &file.path)?;
    let failure = |e| RecoveryRefused::io(&file.path, "read", &e);
    let nothing = !holds_anything(&log, HEADER_LEN).map_err(failure)?;
    let mut sector = [0; SECTOR];
    let len = log.read_at(0, &mut sector).map_err(failure)?;
    let durable = synced.filter(|s| s.log == file.first).map(|_| 0);
    // A header that was never written, in front of records that were: as torn as they are.
    let torn = !nothing && sector[..len].iter().all(|b| *b == 0);
    match (nothing || torn, durable) {
        (true, Some(_)) => Err(refuse(
            Refusal::Corrupt,
            &file.path,
            0,
            file.first,
            "the log has no records any more, though some were durable",
        )),
        (empty, _) => Ok(empty),
    }
}

/// Opens what the disk has. What the system holds of an earlier process is made durable first,
/// since it is about to be served; what it holds wrongly, after a failed sync, is dropped.
fn open<D: Disk>(disk: &D, path: &Path) -> Result<D::File, RecoveryRefused> {
    let failure = |verb| move |e| RecoveryRefused::io(path, verb, &e);
    let mut file = disk.open(path, Access::Write).map_err(failure("open"))?;
    file.sync_data().map_err(failure("sync"))?;
    file.drop_cache().map_err(failure("read"))?;
    Ok(file)
}

/// The end of a log that is not just zeros.
struct End<'a> {
    /// Behind the last whole record.
    at: u64,
    fault: Fault,
    /// The whole file: the judge must see what is around the end.
    bytes: &'a [u8],
}

impl End<'_> {
    fn judge(&self) -> Tail {
        judge(self.bytes, self.at as usize, self.fault)
    }
}

struct Chain<'v> {
    from: Zxid,
    synced: Option<Synced>,
    /// The last record read, handed out or not.
    tip: Option<Zxid>,
    /// Its body: a server may have logged it twice.
    duplicate: Vec<u8>,
    visit: &'v mut dyn FnMut(Logged<'_>) -> Result<(), RecoveryRefused>,
    walk: Walk,
}

impl Chain<'_> {
    fn walk_file<D: Disk>(
        &mut self,
        disk: &D,
        file: &LogFile,
        next: Option<&LogFile>,
    ) -> Result<(), RecoveryRefused> {
        let failure = |e| RecoveryRefused::io(&file.path, "read", &e);
        let log = LogReader::open(open(disk, &file.path)?).map_err(failure)?;
        let mut log = log.ok_or_else(|| {
            let what = "the file does not begin with the header of a transaction log";
            refuse(Refusal::Corrupt, &file.path, 0, file.first, what)
        })?;
        loop {
            match log.advance() {
                Advance::Record => self.take(file, log.start(), log.body())?,
                Advance::Broken(fault) => {
                    self.check_durable(file, log.end(), fault)?;
                    // Most logs end so, and in a great many zeros.
                    if log.ends_in_zeros() {
                        return Ok(());
                    }
                    let end = End { at: log.end(), fault, bytes: log.bytes() };
                    return match next {
                        None => self.end_newest(file, &end),
                        Some(next) => self.end_earlier(file, &end, next),
                    };
                }
            }
        }
    }

    fn take(&mut self, file: &LogFile, offset: u64, body: &[u8]) -> Result<(), RecoveryRefused> {
        let path = &file.path;
        let mut reader = Reader::with_limits(body, Limits { max_length: RECORD_MAX });
        let record = TxnRecord::decode(&mut reader).map_err(|e| {
            let what = format!("a record has its checksum, but is no transaction: {e}");
            refuse(Refusal::Corrupt, path, offset, self.reached(), &what)
        })?;
        let zxid = Zxid(record.header.zxid);
        if offset == HEADER_LEN && zxid != file.first {
            let what = "the file's first transaction is not the one in its name";
            return Err(refuse(Refusal::Corrupt, path, offset, zxid, what));
        }
        if self.tip == Some(zxid) && self.duplicate == body {
            self.walk.notes.push(format!("{}: {zxid} is logged twice", path.display()));
            return Ok(());
        }
        if self.tip.is_some_and(|tip| zxid <= tip) {
            let what = format!("the transaction follows {} out of order", self.reached());
            return Err(refuse(Refusal::Corrupt, path, offset, zxid, &what));
        }
        let before = self.reached();
        self.tip = Some(zxid);
        self.duplicate.clear();
        self.duplicate.extend_from_slice(body);
        if zxid <= self.from {
            return Ok(());
        }
        if !follows(zxid, before) && !mutant!(HoleSkipped) {
            let what = format!("the transactions between {before} and this one are missing");
            return Err(refuse(Refusal::Hole, path, offset, zxid, &what));
        }
        self.walk.records += 1;
        let opens_epoch = zxid.epoch() > before.epoch() && before.epoch() != Epoch(0);
        (self.visit)(Logged { record, body, file: path, offset, opens_epoch })
    }

    /// The last transaction that state and chain have so far.
    fn reached(&self) -> Zxid {
        self.tip.map_or(self.from, |tip| tip.max(self.from))
    }

    fn end_newest(&mut self, file: &LogFile, end: &End<'_>) -> Result<(), RecoveryRefused> {
        let (offset, fault) = (end.at, end.fault);
        let path = file.path.clone();
        match end.judge() {
            Tail::Clean => {}
            Tail::Torn => self.walk.end = LogEnd::Cut { file: path, offset },
            Tail::Whole { body_len } => {
                let start = end.at as usize + RECORD_HEAD;
                self.take(file, offset, &end.bytes[start..start + body_len])?;
                let body_len = body_len as u32;
                self.walk.end = LogEnd::Complete { file: path, offset, body_len };
            }
            Tail::Damaged(why) => {
                let what = format!("a record behind this transaction is damaged: {why} ({fault})");
                return Err(refuse(Refusal::Corrupt, &path, offset, self.reached(), &what));
            }
        }
        Ok(())
    }

    /// A log that another one follows. Apache leaves a torn tail where it is and goes on in a new
    /// file: that is no loss if the next file goes on where this one ends.
    fn end_earlier(
        &mut self,
        file: &LogFile,
        end: &End<'_>,
        next: &LogFile,
    ) -> Result<(), RecoveryRefused> {
        let (offset, fault) = (end.at, end.fault);
        let verdict = end.judge();
        let reached = self.reached();
        if verdict == Tail::Clean {
            return Ok(());
        }
        let goes_on = next.first <= self.from || reached.next() == Some(next.first);
        let seam = follows(next.first, reached) && matches!(verdict, Tail::Torn);
        if goes_on || seam || mutant!(HoleSkipped) {
            self.walk.notes.push(format!(
                "{}: an unfinished record at offset {offset}, behind {reached}; \
                 a later start went on without it",
                file.path.display()
            ));
            return Ok(());
        }
        let what = format!("a record behind this transaction is damaged ({fault})");
        Err(refuse(Refusal::Corrupt, &file.path, offset, reached, &what))
    }

    fn check_durable(
        &self,
        file: &LogFile,
        offset: u64,
        fault: Fault,
    ) -> Result<(), RecoveryRefused> {
        match self.synced {
            Some(synced) if synced.log == file.first && offset < synced.length => {
                let what = format!(
                    "a record behind this transaction is damaged ({fault}); the log was durable \
                     up to {}",
                    synced.last
                );
                Err(refuse(Refusal::Corrupt, &file.path, offset, self.reached(), &what))
            }
            _ => Ok(()),
        }
    }
}

/// The watermark's last transaction must be there, wherever it is now.
fn check_reached(dir: &Path, walk: &Walk, synced: Option<Synced>) -> Result<(), RecoveryRefused> {
    match synced {
        Some(synced) if synced.last > walk.last => {
            let path = dir.join(super::names::log_name(synced.log));
            let what = format!(
                "snapshot and logs end at {}, but this log was durable up to {}",
                walk.last, synced.last
            );
            Err(refuse(Refusal::Lost, &path, synced.length, walk.last, &what))
        }
        _ => Ok(()),
    }
}

fn refuse(refusal: Refusal, file: &Path, offset: u64, zxid: Zxid, what: &str) -> RecoveryRefused {
    RecoveryRefused {
        refusal,
        file: file.to_owned(),
        offset: Some(offset),
        zxid: Some(zxid),
        what: what.to_owned(),
    }
}

/// Brings the newest logs into the state that the walk ended in, durably: only then may another
/// log be begun.
pub fn settle<D: Disk>(disk: &D, dir: &Path, walk: &Walk) -> Result<(), RecoveryRefused> {
    match &walk.end {
        LogEnd::Clean => {}
        LogEnd::Cut { file, offset } if *offset <= HEADER_LEN => {
            disk.remove(file).map_err(|e| RecoveryRefused::io(file, "remove", &e))?;
        }
        LogEnd::Cut { file, offset } => cut(disk, file, *offset, &[])?,
        LogEnd::Complete { file, offset, body_len } => {
            let body = offset + RECORD_HEAD as u64;
            let end = body + u64::from(*body_len);
            let writes = [(body - 4, &body_len.to_be_bytes()[..]), (end, &[END])];
            cut(disk, file, end + 1, &writes)?;
        }
    }
    for file in &walk.empty {
        disk.remove(file).map_err(|e| RecoveryRefused::io(file, "remove", &e))?;
    }
    disk.sync_dir(dir).map_err(|e| RecoveryRefused::io(dir, "sync the directory", &e))
}

/// Makes the file `len` bytes long, with some of them written again.
fn cut<D: Disk>(
    disk: &D,
    path: &Path,
    len: u64,
    writes: &[(u64, &[u8])],
) -> Result<(), RecoveryRefused> {
    let failure = |verb| move |e| RecoveryRefused::io(path, verb, &e);
    let mut file = disk.open(path, Access::Write).map_err(failure("open"))?;
    for (at, bytes) in writes {
        file.write_at(*at, bytes).map_err(failure("complete"))?;
    }
    file.set_len(len).map_err(failure("cut"))?;
    file.sync_data().map_err(failure("sync"))
}
