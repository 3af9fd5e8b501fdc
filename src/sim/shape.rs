//! What a seed makes of a run: the ensemble, its settings, its clients, and which faults there are.
//! Swarm testing: every number is drawn anew for each seed, and each kind of fault is off in half
//! of them.

use std::collections::BTreeSet;

use super::chances::{self, Odds};
use super::{Fault, Pace, Rng};
use crate::storage::Compression;

/// How often what goes wrong. Times are means, ms; 0 is never.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// A process is killed; what the system has cached stays.
    pub kill_every_ms: u64,
    /// A machine loses its power.
    pub power_every_ms: u64,
    /// The power goes at one of the next calls of a disk.
    pub power_at_call_every_ms: u64,
    /// All machines lose their power within a few calls.
    pub blackout_every_ms: u64,
    /// A process stands still.
    pub pause_every_ms: u64,
    /// Members can't reach each other: one alone, halves, one way only, a bridge.
    pub partition_every_ms: u64,
    /// One connection breaks.
    pub reset_every_ms: u64,
    /// A disk's call fails: EIO or no space.
    pub disk_error_every_ms: u64,
    /// A bit flips on a disk, of a minority of disks.
    pub flip_every_ms: u64,
    /// A wall clock is set.
    pub clock_every_ms: u64,
    /// One way between two places takes few bytes at a time.
    pub clog_every_ms: u64,
    /// What is sent over one connection arrives nowhere, and nobody hears of it for long.
    pub half_open_every_ms: u64,
    /// A client does not read what it is sent.
    pub slow_reader_every_ms: u64,
    /// A sector of an old file holds what belongs elsewhere, or nothing.
    pub sector_every_ms: u64,
    /// A disk is full for a while.
    pub full_every_ms: u64,
    /// A sector of an old file holds what it held before: a write that never came to the disk.
    pub stale_every_ms: u64,
    /// Bits flip on as many disks as it may be, not of a minority only.
    pub flip_any: bool,
    /// The leader is the victim this often, percent.
    pub aim_percent: usize,
}

/// jute.maxbuffer unless it is drawn smaller, bytes.
const FRAME_BYTES_MAX: usize = 1_048_575;

/// A run's parameters.
#[derive(Debug, Clone)]
pub struct Shape {
    pub voters: usize,
    pub observers: usize,
    /// The group and the weight of each voter; empty: the majority decides.
    pub groups: Vec<(usize, u64)>,
    /// A client's request may be so long, bytes; longer ones end its connection.
    pub frame_bytes_max: usize,
    /// Followers serve observers.
    pub observer_masters: bool,
    /// How snapshots are written.
    pub compression: Compression,
    pub tick_ms: u64,
    pub init_limit: u64,
    pub sync_limit: u64,
    pub snap_count: u64,
    pub commit_log_count: u64,
    pub prealloc_bytes: u64,
    /// With this counter a leader must give way to a new epoch.
    pub last_counter: u32,
    pub workers: usize,
    pub clients: usize,
    /// Requests that a client has on their way at most.
    pub depth: usize,
    /// Between two requests of a client, mean, ms.
    pub think_ms: u64,
    /// znodes that clients work on.
    pub paths: usize,
    /// A message on its way takes so long at least, and up to twice as long, µs.
    pub latency_us: u64,
    /// One message in so many is late; 0: none is.
    pub late_one_in: usize,
    pub late_ms: u64,
    pub pace: Pace,
    /// Clocks run wrong by so much at most, ppm.
    pub drift_ppm: i64,
    pub faults: Faults,
    /// What servers do at times though they need not.
    pub chances: Odds,
    /// What the sockets between two servers hold for each direction, bytes.
    pub socket_bytes: usize,
    /// Faults that are left out, by kind and number.
    pub skipped: BTreeSet<(Fault, u64)>,
    /// A client asks for so many things at most.
    pub requests_max: u64,
    /// A process that has ended begins again after so long at most, ms.
    pub down_ms: u64,
    /// When faults end, so many percent of what may stay away do so, and the others must agree.
    pub away_percent: usize,
    /// How long faults go on, ms.
    pub safety_ms: u64,
}

impl Faults {
    /// How often such a fault comes.
    pub fn every_ms(&mut self, fault: Fault) -> &mut u64 {
        match fault {
            Fault::Kill => &mut self.kill_every_ms,
            Fault::Power => &mut self.power_every_ms,
            Fault::PowerAtCall => &mut self.power_at_call_every_ms,
            Fault::Blackout => &mut self.blackout_every_ms,
            Fault::Pause => &mut self.pause_every_ms,
            Fault::Partition => &mut self.partition_every_ms,
            Fault::Reset => &mut self.reset_every_ms,
            Fault::DiskError => &mut self.disk_error_every_ms,
            Fault::Flip => &mut self.flip_every_ms,
            Fault::Clock => &mut self.clock_every_ms,
            Fault::Clog => &mut self.clog_every_ms,
            Fault::HalfOpen => &mut self.half_open_every_ms,
            Fault::SlowReader => &mut self.slow_reader_every_ms,
            Fault::Sector => &mut self.sector_every_ms,
            Fault::Full => &mut self.full_every_ms,
            Fault::Stale => &mut self.stale_every_ms,
        }
    }

    /// More disks are damaged than anybody can bear.
    pub fn over_damage(&mut self) {
        self.flip_any = true;
        self.flip_every_ms = match self.flip_every_ms {
            0 => 3_000,
            some => some.min(3_000),
        };
    }
}

impl Shape {
    /// Nothing goes wrong, and nothing is drawn: three members, fast disks, `clients` clients.
    pub fn quiet(clients: usize) -> Shape {
        Shape {
            voters: 3,
            observers: 0,
            groups: Vec::new(),
            frame_bytes_max: FRAME_BYTES_MAX,
            tick_ms: 100,
            init_limit: 10,
            sync_limit: 4,
            snap_count: 1_000,
            commit_log_count: 500,
            prealloc_bytes: 4_096,
            workers: 1,
            clients,
            depth: 2,
            think_ms: 5,
            paths: 4,
            latency_us: 200,
            late_one_in: 0,
            late_ms: 1,
            pace: Pace { sync_ns: 300_000, call_ns: 2_000, stall_one_in: 0, stall_ns: 0 },
            drift_ppm: 0,
            faults: Faults::default(),
            chances: Odds::new(),
            socket_bytes: usize::MAX,
            skipped: BTreeSet::new(),
            requests_max: u64::MAX,
            down_ms: 300,
            away_percent: 0,
            safety_ms: 0,
            observer_masters: false,
            compression: Compression::None,
            last_counter: u32::MAX,
        }
    }

    /// The shape of a seed.
    pub fn draw(seed: u64) -> Shape {
        let mut rng = Rng::new(seed ^ 0x5348_4150_4500_0001);
        let tick_ms = [50, 100, 200, 500, 2_000][rng.below(5)];
        let safety_ms = 20_000 + rng.below(20) as u64 * 2_000;
        let voters = [3, 3, 3, 3, 5, 5, 7, 1][rng.below(8)];
        let mut shape = Shape {
            voters,
            observers: [0, 0, 0, 1, 1, 2][rng.below(6)],
            groups: groups(&mut rng, voters),
            frame_bytes_max: [FRAME_BYTES_MAX, FRAME_BYTES_MAX, FRAME_BYTES_MAX, 2_000]
                [rng.below(4)],
            tick_ms,
            init_limit: 5 + rng.below(6) as u64,
            sync_limit: 2 + rng.below(6) as u64,
            snap_count: [6, 20, 60, 200, 2_000][rng.below(5)],
            commit_log_count: [1, 5, 30, 500][rng.below(4)],
            prealloc_bytes: [1_024, 4_096, 65_536][rng.below(3)],
            workers: 1 + rng.below(2),
            clients: 1 + rng.below(8),
            depth: [1, 1, 3, 10][rng.below(4)],
            think_ms: [5, 20, 100][rng.below(3)],
            paths: 2 + rng.below(12),
            latency_us: [100, 500, 2_000][rng.below(3)],
            late_one_in: [0, 0, 200, 40][rng.below(4)],
            late_ms: 1 + rng.below(tick_ms as usize) as u64,
            pace: pace(&mut rng),
            drift_ppm: [0, 50, 200][rng.below(3)],
            faults: faults(&mut rng),
            chances: chances::draw(seed),
            socket_bytes: socket_bytes(seed),
            skipped: BTreeSet::new(),
            requests_max: u64::MAX,
            down_ms: 4_000,
            away_percent: [0, 100][rng.below(2)],
            safety_ms,
            // Last, so that all else of a seed stays what it was.
            observer_masters: rng.one_in(2),
            compression: Compression::None,
            last_counter: last_counter(seed),
        };
        let mut every = |least_ms, most_ms| every(&mut rng, least_ms, most_ms);
        shape.faults.clog_every_ms = every(1_500, 12_000);
        shape.faults.half_open_every_ms = every(1_500, 15_000);
        shape.faults.slow_reader_every_ms = every(1_500, 15_000);
        shape.faults.sector_every_ms = every(6_000, 30_000);
        shape.faults.full_every_ms = every(6_000, 30_000);
        let encodings = [Compression::None, Compression::Gzip, Compression::Snappy];
        let drawn = encodings[[0, 0, 0, 1, 2][rng.below(5)]];
        // Where there is a snapshot every few transactions, packing them would take all the time.
        shape.compression = if shape.snap_count < 200 { Compression::None } else { drawn };
        shape.faults.stale_every_ms = self::every(&mut rng, 6_000, 30_000);
        shape
    }
}

/// In one seed of ten quorums are made of groups and weights.
fn groups(rng: &mut Rng, voters: usize) -> Vec<(usize, u64)> {
    let is_on = rng.one_in(10) && voters > 1;
    let count = 1 + rng.below(3);
    let drawn = (0..voters).map(|voter| (1 + voter % count, 1 + rng.below(3) as u64));
    let drawn: Vec<_> = drawn.collect();
    if is_on {
        drawn
    } else {
        Vec::new()
    }
}

/// In three seeds of five writers between servers have to wait for their readers.
fn socket_bytes(seed: u64) -> usize {
    let mut rng = Rng::new(seed ^ 0x534f_434b_4554);
    [usize::MAX, usize::MAX, 200_000, 4_000, 400][rng.below(5)]
}

/// Half of the seeds come to the end of an epoch's counter.
fn last_counter(seed: u64) -> u32 {
    let mut rng = Rng::new(seed ^ 0x434f_554e_5445_5200);
    [u32::MAX, u32::MAX, 1_000, 100][rng.below(4)]
}

fn pace(rng: &mut Rng) -> Pace {
    Pace {
        sync_ns: [50_000, 1_000_000, 8_000_000][rng.below(3)],
        call_ns: 1_000 * rng.below(20) as u64,
        stall_one_in: [0, 0, 300, 60][rng.below(4)],
        stall_ns: 1_000_000 * (20 + rng.below(600) as u64),
    }
}

/// Draws how often a kind of fault comes: never in half of the seeds.
fn every(rng: &mut Rng, least_ms: usize, most_ms: usize) -> u64 {
    let on = rng.one_in(2);
    let drawn = (least_ms + rng.below(most_ms - least_ms)) as u64;
    if on {
        drawn
    } else {
        0
    }
}

fn faults(rng: &mut Rng) -> Faults {
    let mut every = |least_ms, most_ms| every(rng, least_ms, most_ms);
    let mut faults = Faults {
        kill_every_ms: every(1_500, 15_000),
        power_every_ms: every(1_500, 15_000),
        power_at_call_every_ms: every(800, 8_000),
        blackout_every_ms: every(8_000, 30_000),
        pause_every_ms: every(1_500, 12_000),
        partition_every_ms: every(1_500, 12_000),
        reset_every_ms: every(400, 6_000),
        disk_error_every_ms: every(4_000, 20_000),
        flip_every_ms: every(6_000, 30_000),
        clock_every_ms: every(1_000, 10_000),
        ..Faults::default()
    };
    faults.aim_percent = [0, 30, 70][rng.below(3)];
    faults
}
