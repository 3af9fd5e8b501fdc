//! A disk in memory that keeps its promises and not a bit more.
//!
//! Fault model:
//! - What was written is on the disk once `sync_data` has returned. A power failure before keeps
//!   any subset of the written sectors, each of them whole, old, or new in front and old behind;
//!   lengths that were not synced are old or new.
//! - Names are on the disk once `sync_dir` has returned. Before, any subset of the directory
//!   operations survives; each is atomic.
//! - A sync that fails keeps any subset too, and the cache goes on showing the rest as if it were
//!   there, until it is dropped.
//! - Any call can be made to fail, and the power can be cut at any call.

mod file;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::rng::Rng;
use crate::storage::{Access, Disk};
use crate::types::Chance;

use file::Inode;
pub use file::SimFile;

/// The kinds of calls, for counting and for failing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    List,
    Exists,
    Open,
    Create,
    Rename,
    Remove,
    CreateDir,
    SyncDir,
    Length,
    Write,
    Allocate,
    SetLength,
    Sync,
    Read,
    Map,
    DropCache,
}

/// A simulated disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Rc<RefCell<State>>,
}

#[derive(Debug, Clone)]
struct State {
    dirs: BTreeMap<PathBuf, Dir>,
    inodes: Vec<Inode>,
    rng: Rng,
    calls: u64,
    counts: BTreeMap<Call, u64>,
    /// The power goes at this call, counted from the start of the disk.
    crash_at: Option<u64>,
    crashed: bool,
    /// The `n`-th call of a kind from now on fails so.
    faults: Vec<(Call, u64, io::ErrorKind)>,
    /// All files together may be so long.
    quota_bytes: u64,
    pace: Pace,
    /// Grows with whatever changes files otherwise than by adding to their ends.
    shape: u64,
    /// Syncs that have succeeded.
    synced: u64,
}

/// How long the disk takes, ns. Only whoever runs in the simulator's world notices.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// A sync takes from half of this to all of it.
    pub sync_ns: u64,
    /// Any other call.
    pub call_ns: u64,
    /// One sync in so many takes `stall_ns`; 0: none does.
    pub stall_one_in: usize,
    pub stall_ns: u64,
}

#[derive(Debug, Clone, Default)]
struct Dir {
    /// Its own name is durable.
    durable: bool,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending: Vec<NameOp>,
}

#[derive(Debug, Clone)]
enum NameOp {
    Link(String, usize),
    Unlink(String),
    Rename(String, String, usize),
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameOp::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameOp::Unlink(name) => {
                names.remove(name);
            }
            NameOp::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Dir {
    fn change(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.pending.push(op);
    }

    fn settle(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.pending.clear();
    }
}

impl SimDisk {
    /// An empty disk; `seed` decides what power failures leave.
    pub fn new(seed: u64) -> SimDisk {
        let root = Dir { durable: true, ..Dir::default() };
        let state = State {
            dirs: BTreeMap::from([(PathBuf::from("/"), root)]),
            inodes: Vec::new(),
            rng: Rng::new(seed),
            calls: 0,
            counts: BTreeMap::new(),
            crash_at: None,
            crashed: false,
            faults: Vec::new(),
            quota_bytes: u64::MAX,
            pace: Pace::default(),
            shape: 0,
            synced: 0,
        };
        SimDisk { state: Rc::new(RefCell::new(state)) }
    }

    /// An independent copy of this disk as it is, cache and all: a process that died and left
    /// the system running, or a disk to damage.
    pub fn fork(&self) -> SimDisk {
        let mut state = self.state.borrow().clone();
        state.crash_at = None;
        state.crashed = false;
        state.faults.clear();
        state.shape += 1;
        state.forget_unnamed();
        SimDisk { state: Rc::new(RefCell::new(state)) }
    }

    /// The disk after a power failure now, as `seed` decides.
    pub fn after_power_failure(&self, seed: u64) -> SimDisk {
        let disk = self.fork();
        disk.state.borrow_mut().lose_power(seed);
        disk
    }

    /// Forgets faults that have not come yet, and has room again.
    pub fn calm(&self) {
        let mut state = self.state.borrow_mut();
        state.crash_at = None;
        state.faults.clear();
        state.quota_bytes = u64::MAX;
    }

    /// Makes it slow.
    pub fn set_pace(&self, pace: Pace) {
        self.state.borrow_mut().pace = pace;
    }

    /// A number that changes with whatever changes files otherwise than by adding to their ends.
    pub fn shape(&self) -> u64 {
        self.state.borrow().shape
    }

    /// How many syncs have succeeded.
    pub fn synced(&self) -> u64 {
        self.state.borrow().synced
    }

    /// The files in `dir` whose names are on the disk for certain; not a call.
    pub fn durable_names(&self, dir: &Path) -> Vec<String> {
        let state = self.state.borrow();
        state.dirs.get(dir).map_or(Vec::new(), |dir| dir.durable_names.keys().cloned().collect())
    }

    /// Shows what of a file is on the disk for certain; not a call.
    pub fn with_durable<T>(&self, path: &Path, see: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let state = self.state.borrow();
        let (dir, name) = split(path).ok()?;
        let inode = *state.dirs.get(&dir)?.durable_names.get(&name)?;
        Some(see(state.inodes[inode].on_disk()))
    }

    /// The same, to keep.
    pub fn durable_content(&self, path: &Path) -> Option<Vec<u8>> {
        self.with_durable(path, <[u8]>::to_vec)
    }

    /// Flips one bit of a file, in the cache and on the disk; not a call. False: there is no
    /// such byte.
    pub fn flip(&self, path: &Path, byte: usize, bit: u8) -> bool {
        let mut state = self.state.borrow_mut();
        let Ok(inode) = state.find(path) else { return false };
        state.shape += 1;
        state.inodes[inode].flip(byte, bit)
    }

    /// Puts other bytes in the place of some of a file, in the cache and on the disk; not a call.
    /// False: the file is not so long.
    pub fn damage(&self, path: &Path, at: usize, bytes: &[u8]) -> bool {
        let mut state = self.state.borrow_mut();
        let Ok(inode) = state.find(path) else { return false };
        state.shape += 1;
        state.inodes[inode].damage(at, bytes)
    }

    /// The sectors of a file of which an older content is known; not a call.
    pub fn stale_sectors(&self, path: &Path) -> Vec<usize> {
        let state = self.state.borrow();
        let inode = state.find(path).ok().map(|inode| &state.inodes[inode]);
        inode.map_or(Vec::new(), |inode| inode.stale_sectors().collect())
    }

    /// Gives a sector of a file its older content back, in the cache and on the disk; not a call.
    /// False: none is known.
    pub fn make_stale(&self, path: &Path, sector: usize) -> bool {
        let mut state = self.state.borrow_mut();
        let Ok(inode) = state.find(path) else { return false };
        state.shape += 1;
        state.inodes[inode].make_stale(sector)
    }

    /// Leaves room for `bytes` more.
    pub fn fill(&self, bytes: u64) {
        let mut state = self.state.borrow_mut();
        state.quota_bytes = state.used_bytes() + bytes;
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.state.borrow().calls
    }

    /// How many of one kind.
    pub fn count(&self, call: Call) -> u64 {
        self.state.borrow().counts.get(&call).copied().unwrap_or(0)
    }

    /// Cuts the power at the `n`-th call from now, 0 being the next: it and all later ones fail.
    pub fn crash_at(&self, n: u64) {
        let mut state = self.state.borrow_mut();
        state.crash_at = Some(state.calls + n);
    }

    /// Whether the power is off.
    pub fn has_crashed(&self) -> bool {
        self.state.borrow().crashed
    }

    /// Makes the `n`-th call of a kind from now, 0 being the next, fail once with `error`.
    pub fn fail(&self, call: Call, n: u64, error: io::ErrorKind) {
        let at = self.count(call) + n;
        self.state.borrow_mut().faults.push((call, at, error));
    }

    /// Lets all files together be `bytes` long.
    pub fn set_quota(&self, bytes: u64) {
        self.state.borrow_mut().quota_bytes = bytes;
    }

    /// The content of a file, as a reader sees it; not a call.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        let inode = state.find(path).ok()?;
        Some(state.inodes[inode].cached.clone())
    }

    /// Puts a file there, durably, whatever was there before; not a call.
    pub fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.state.borrow_mut();
        let inode = state.inodes.len();
        state.inodes.push(Inode::durable(content.to_vec()));
        let (dir, name) = split(path).expect("a path of a file");
        for above in dir.ancestors() {
            state.dirs.entry(above.to_owned()).or_default().durable = true;
        }
        let dir = state.dirs.get_mut(&dir).expect("made above");
        dir.names.insert(name.clone(), inode);
        dir.durable_names.insert(name, inode);
    }

    /// Takes a file away, durably; not a call.
    pub fn take(&self, path: &Path) {
        let mut state = self.state.borrow_mut();
        let (dir, name) = split(path).expect("a path of a file");
        if let Some(dir) = state.dirs.get_mut(&dir) {
            dir.names.remove(&name);
            dir.durable_names.remove(&name);
        }
    }

    /// The paths of all files; not a call.
    pub fn paths(&self) -> Vec<PathBuf> {
        let state = self.state.borrow();
        let files = state.dirs.iter().flat_map(|(dir, d)| d.names.keys().map(|n| dir.join(n)));
        files.collect()
    }

    fn call<T>(&self, call: Call, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.state.borrow_mut();
        if state.crashed {
            return Err(io::Error::other("the power is off"));
        }
        let crash = state.crash_at.is_some_and(|at| state.calls >= at);
        state.calls += 1;
        let count = state.counts.entry(call).or_default();
        *count += 1;
        let nth = *count - 1;
        super::scene::spend(state.pace.of(call, &mut state.rng));
        match call {
            Call::SetLength | Call::Remove | Call::Rename | Call::SyncDir => state.shape += 1,
            Call::Sync => state.synced += 1,
            _ => {}
        }
        if crash {
            // A write may have been on its way; a sync has not come back.
            if call != Call::Sync && call != Call::SyncDir {
                let _ = act(state);
            }
            state.crashed = true;
            return Err(io::Error::other("the power went off"));
        }
        if let Some(i) = state.faults.iter().position(|f| f.0 == call && f.1 == nth) {
            let (_, _, error) = state.faults.swap_remove(i);
            return Err(error.into());
        }
        act(state)
    }
}

impl Pace {
    fn of(self, call: Call, rng: &mut Rng) -> u64 {
        if self.sync_ns == 0 {
            return 0;
        }
        match call {
            Call::Sync | Call::SyncDir
                if self.stall_one_in > 0 && rng.one_in(self.stall_one_in) =>
            {
                self.stall_ns
            }
            Call::Sync | Call::SyncDir => {
                self.sync_ns / 2 + rng.below(self.sync_ns as usize / 2 + 1) as u64
            }
            _ => self.call_ns,
        }
    }
}

impl State {
    /// Frees what no name leads to any more. No file is open.
    fn forget_unnamed(&mut self) {
        let mut named = vec![false; self.inodes.len()];
        for dir in self.dirs.values() {
            let pending = dir.pending.iter().filter_map(|op| match op {
                NameOp::Link(_, inode) | NameOp::Rename(_, _, inode) => Some(inode),
                NameOp::Unlink(_) => None,
            });
            for inode in dir.names.values().chain(dir.durable_names.values()).chain(pending) {
                named[*inode] = true;
            }
        }
        for (inode, named) in self.inodes.iter_mut().zip(named) {
            if !named {
                *inode = Inode::default();
            }
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let (dir, name) = split(path)?;
        let inode = self.dirs.get(&dir).and_then(|dir| dir.names.get(&name));
        inode.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn dir(&mut self, dir: &Path) -> io::Result<&mut Dir> {
        self.dirs.get_mut(dir).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used_bytes(&self) -> u64 {
        let inodes: BTreeSet<usize> =
            self.dirs.values().flat_map(|dir| dir.names.values().copied()).collect();
        inodes.iter().map(|inode| self.inodes[*inode].cached.len() as u64).sum()
    }

    /// Fails if a file may not grow by `more` bytes.
    fn check_quota(&self, more: u64) -> io::Result<()> {
        if more > 0 && self.used_bytes() + more > self.quota_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn lose_power(&mut self, seed: u64) {
        let mut rng = Rng::new(seed);
        // Parents come before what is in them.
        let mut left = BTreeMap::new();
        for (path, dir) in std::mem::take(&mut self.dirs) {
            let stands = path.parent().is_none_or(|parent| left.contains_key(parent));
            if stands && (dir.durable || rng.one_in(2)) {
                left.insert(path, dir);
            }
        }
        self.dirs = left;
        for dir in self.dirs.values_mut() {
            for op in std::mem::take(&mut dir.pending) {
                if rng.one_in(2) {
                    op.apply(&mut dir.durable_names);
                }
            }
            dir.durable = true;
            dir.names.clone_from(&dir.durable_names);
        }
        for inode in &mut self.inodes {
            inode.lose_power(&mut rng);
        }
        self.rng = rng;
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn chance(&self, way: Chance) -> bool {
        super::scene::chance(way)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(Call::List, |state| Ok(state.dir(dir)?.names.keys().cloned().collect()))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call(Call::Exists, |state| {
            Ok(state.dirs.contains_key(path) || state.find(path).is_ok())
        })
    }

    fn is_writable(&self, dir: &Path) -> io::Result<bool> {
        self.exists(dir)
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<SimFile> {
        let inode = self.call(Call::Open, |state| state.find(path))?;
        Ok(SimFile::new(self.clone(), inode))
    }

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let inode = self.call(Call::Create, |state| {
            if state.find(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = state.inodes.len();
            state.inodes.push(Inode::default());
            let (dir, name) = split(path)?;
            state.dir(&dir)?.change(NameOp::Link(name, inode));
            Ok(inode)
        })?;
        Ok(SimFile::new(self.clone(), inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, |state| {
            let inode = state.find(from)?;
            let ((dir, from), (to_dir, to)) = (split(from)?, split(to)?);
            assert_eq!(dir, to_dir, "renames stay in their directory");
            state.dir(&dir)?.change(NameOp::Rename(from, to, inode));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, |state| {
            state.find(path)?;
            let (dir, name) = split(path)?;
            state.dir(&dir)?.change(NameOp::Unlink(name));
            Ok(())
        })
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, |state| {
            for dir in dir.ancestors() {
                state.dirs.entry(dir.to_owned()).or_default();
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, |state| {
            state.dir(dir)?.settle();
            let inside = |(path, _): &(&PathBuf, &mut Dir)| path.parent() == Some(dir);
            state.dirs.iter_mut().filter(inside).for_each(|(_, d)| d.durable = true);
            Ok(())
        })
    }
}

fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(dir), Some(name)) => Ok((dir.to_owned(), name.to_owned())),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
