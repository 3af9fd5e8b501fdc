//! `oxkeeper-sim`: runs seeds and scripts in the deterministic simulator and says what came of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;
#[cfg(feature = "mutants")]
use oxkeeper::mutants::Mutant;
#[cfg(feature = "mutants")]
use oxkeeper::sim::mutate::{hunt, Hunt};
use oxkeeper::sim::script::{scripts, strike, survey, Script};
use oxkeeper::sim::shrink::{shrink, Failure};
use oxkeeper::sim::{run, Closing, CrashPoint, Fault, Less, Options, Teller};
use oxkeeper::types::Chance;

/// So much is said of what is broken, characters.
const SAID_MAX: usize = 1_000;

/// Runs whole ensembles under faults, in virtual time. The same seed gives the same run.
#[derive(Parser)]
#[command(name = "oxkeeper-sim")]
struct Arguments {
    /// The first seed, decimal or 0x…
    #[arg(long, default_value = "1", value_parser = seed)]
    seed: u64,
    /// The first seed is made of a commit: of the first eight bytes of its hash. New ground for
    /// each commit, and yet the same for everybody.
    #[arg(long, value_parser = commit, conflicts_with = "seed")]
    seed_of_commit: Option<u64>,
    /// How many seeds to run, from the first on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Where to write one line for each change of role, crash and fault; with one seed they go to
    /// the standard output else.
    #[arg(long)]
    trace: Option<String>,
    /// Runs each seed twice and compares.
    #[arg(long)]
    doublecheck: bool,
    /// Damages any disks, and all of them: servers may refuse then, but not lie.
    #[arg(long)]
    over_damage: bool,
    /// Tells of packets between servers, votes and replies too, with what the disk of whoever acts
    /// holds: last zxid, acceptedEpoch, currentEpoch.
    #[arg(long)]
    closely: bool,
    /// Goes on behind a broken invariant.
    #[arg(long)]
    keep_going: bool,
    /// Kinds of faults that are left out, such as Kill,Flip.
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    without: Vec<Fault>,
    /// Single faults that are left out, such as Kill:3,Flip:0.
    #[arg(long, value_delimiter = ',', value_parser = single)]
    skip: Vec<(Fault, u64)>,
    /// Ends the faults here, virtual ms.
    #[arg(long)]
    until: Option<u64>,
    /// So many clients at most.
    #[arg(long)]
    clients: Option<usize>,
    /// So many requests of each client at most.
    #[arg(long)]
    requests: Option<u64>,
    /// Servers do nothing that they need not, and sockets between them take all that comes.
    #[arg(long)]
    plain: bool,
    /// Looks for the least of a failing seed that still fails the same check.
    #[arg(long)]
    shrink: bool,
    /// So many runs at most while shrinking.
    #[arg(long, default_value_t = 300)]
    shrink_runs: u64,
    /// Runs the fixed scripts once for each call of a disk and each packet, and ends a server
    /// exactly there.
    #[arg(long)]
    crash_points: bool,
    /// Only the scripts whose names begin so.
    #[arg(long, default_value = "")]
    script: String,
    /// Only this point, such as 1:call:17, line by line.
    #[arg(long)]
    at: Option<CrashPoint>,
    /// Only each so many-th point.
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// So many points at a time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Runs the seeds with this bug in the server, M1 to M25 or its name, until one of them finds
    /// it.
    #[cfg(feature = "mutants")]
    #[arg(long, value_parser = mutant)]
    mutant: Option<Mutant>,
    /// Hunts all of them, each with all the seeds, and prints a table.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutants: bool,
}

#[cfg(feature = "mutants")]
fn mutant(text: &str) -> Result<Mutant, String> {
    Mutant::parse(text).ok_or_else(|| format!("no mutant of {:?}", Mutant::ALL))
}

fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

fn commit(text: &str) -> Result<u64, String> {
    let first = text.get(..16).ok_or("a commit's hash has sixteen digits at least")?;
    u64::from_str_radix(first, 16).map_err(|e| e.to_string())
}

fn kind(text: &str) -> Result<Fault, String> {
    Fault::named(text).ok_or_else(|| format!("no fault of {:?}", Fault::ALL))
}

fn single(text: &str) -> Result<(Fault, u64), String> {
    let (name, number) = text.split_once(':').ok_or("a kind and a number, such as Kill:3")?;
    Ok((kind(name)?, number.parse().map_err(|_| format!("{number:?} is no number"))?))
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if let Some(seed) = arguments.seed_of_commit {
        arguments.seed = seed;
    }
    #[cfg(feature = "mutants")]
    if arguments.mutants {
        return hunt_all(&arguments);
    } else if let Some(mutant) = arguments.mutant {
        return hunt_one(&arguments, mutant);
    }
    let is_good = match &arguments {
        Arguments { crash_points: true, .. } => crash_points(&arguments),
        Arguments { shrink: true, .. } => find_least(&arguments),
        _ => seeds(&arguments),
    };
    ExitCode::from(u8::from(!is_good))
}

fn seeds(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let mut sum = Sum::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let options = |teller| Options {
            teller,
            closely: arguments.closely,
            less: less(arguments),
            over_damage: arguments.over_damage,
            ..Options::default()
        };
        let closing = run(seed, options(teller(arguments, arguments.seeds == 1)));
        if arguments.doublecheck {
            let again = run(seed, options(None));
            if again.trace != closing.trace {
                println!("seed {seed:#x}: two runs differ: {:x} {:x}", closing.trace, again.trace);
                sum.failed.insert(format!("{seed:#x}"));
            }
        }
        say(&closing);
        sum.add(&closing);
        if !sum.failed.is_empty() && !arguments.keep_going {
            break;
        }
    }
    sum.say(began.elapsed().as_secs_f64());
    sum.failed.is_empty()
}

fn less(arguments: &Arguments) -> Less {
    Less {
        without: arguments.without.iter().copied().collect(),
        skipped: arguments.skip.iter().copied().collect(),
        until_ms: arguments.until,
        clients: arguments.clients,
        requests: arguments.requests,
        plain: arguments.plain,
    }
}

// ---- shrinking ----

/// Shrinks a seed that fails; says so if it does not.
fn find_least(arguments: &Arguments) -> bool {
    let seed = arguments.seed;
    // What panics is a failure like any other, and many runs will.
    std::panic::set_hook(Box::new(|_| {}));
    let over_damage = arguments.over_damage;
    let once =
        |less: &Less| run(seed, Options { less: less.clone(), over_damage, ..Options::default() });
    let first = once(&less(arguments));
    let Some(check) = first.violations.first().map(|violation| violation.check) else {
        println!("seed {seed:#x} does not fail");
        return true;
    };
    println!("seed {seed:#x}: {}", first.violations[0]);
    let mut runs = 0;
    let shrunk = shrink(less(arguments), arguments.shrink_runs, &mut |less| {
        let closing = once(less);
        runs += 1;
        if !closing.violations.iter().any(|violation| violation.check == check) {
            return None;
        }
        let (at_ms, faults) = (closing.simulated_ms, closing.struck.len());
        println!("run {runs} fails with {faults} faults, at {at_ms} ms: {less}");
        Some(failure(less, seed, &closing))
    });
    let shrunk = shrunk.expect("the same run fails again");
    println!(
        "{} runs; {check} still fails with {} of {} faults, at {} ms:",
        shrunk.runs,
        shrunk.failure.struck.len(),
        first.struck.len(),
        shrunk.failure.at_ms,
    );
    let mode = if over_damage { "--over-damage " } else { "" };
    println!("oxkeeper-sim --seed {seed:#x} {mode}{}", shrunk.less);
    false
}

fn failure(less: &Less, seed: u64, closing: &Closing) -> Failure {
    Failure {
        at_ms: closing.simulated_ms,
        clients: less.shape(seed).clients,
        requests: closing.requests,
        struck: closing.struck.clone(),
    }
}

// ---- crash points ----

/// Crashes everywhere.
fn crash_points(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let (mut existing, mut covered, mut failed) = (0, 0, 0);
    let chosen = scripts().into_iter().filter(|it| it.name.starts_with(&arguments.script));
    for script in chosen {
        let (points, closing) = survey(&script, None);
        if !closing.violations.is_empty() {
            println!("{}: fails without a crash", script.name);
            say(&closing);
            return false;
        }
        let aimed = points.iter().step_by(arguments.stride.max(1)).copied();
        let aimed: Vec<CrashPoint> = arguments.at.map_or(aimed.collect(), |point| vec![point]);
        let (reached, broken) = strike_all(arguments, &script, &aimed);
        println!(
            "{}: {} points, {reached} covered, {broken} failed; {} committed, {:?}",
            script.name,
            points.len(),
            closing.committed,
            closing.syncs,
        );
        existing += points.len();
        covered += reached;
        failed += broken;
        if failed > 0 && !arguments.keep_going {
            break;
        }
    }
    let took_s = began.elapsed().as_secs_f64();
    println!(
        "crash points: {existing} existing, {covered} covered, {failed} failed, {took_s:.0} s, \
         {:.0} s of processor time",
        processor_s()
    );
    failed == 0
}

/// Answers how many points were reached, and at how many something broke.
fn strike_all(arguments: &Arguments, script: &Script, aimed: &[CrashPoint]) -> (usize, usize) {
    let (reached, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let share = &|first: usize| {
        for point in aimed.iter().skip(first).step_by(arguments.threads.max(1)) {
            if failed.load(Ordering::Relaxed) > 0 && !arguments.keep_going {
                return;
            }
            let struck = strike(script, *point, teller(arguments, arguments.at.is_some()));
            reached.fetch_add(usize::from(struck.is_reached), Ordering::Relaxed);
            let violations = &struck.closing.violations;
            failed.fetch_add(usize::from(!violations.is_empty()), Ordering::Relaxed);
            for violation in violations {
                println!("--script {} --at {point}: BROKEN {violation}", script.name);
            }
        }
    };
    std::thread::scope(|scope| {
        for first in 0..arguments.threads.max(1) {
            scope.spawn(move || share(first));
        }
    });
    (reached.into_inner(), failed.into_inner())
}

// ---- what is said ----

/// Who hears of a run's changes.
fn teller(arguments: &Arguments, is_alone: bool) -> Option<Teller> {
    let line = |now_ns: u64, line: &str| format!("{:>10.3} {line}", now_ns as f64 / 1e9);
    match &arguments.trace {
        Some(path) => {
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .unwrap_or_else(|e| panic!("{path} can't be written: {e}"));
            Some(Box::new(move |at, what| {
                let _ = writeln!(file, "{}", line(at, what));
            }))
        }
        None if is_alone => Some(Box::new(move |at, what| println!("{}", line(at, what)))),
        None => None,
    }
}

fn say(closing: &Closing) {
    let injected: Vec<String> =
        closing.injected.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
    println!(
        "seed {:#x}: trace {:016x}, {:.1} s, {} events, {} committed, {} acked, faults: {}",
        closing.seed,
        closing.trace,
        closing.simulated_ms as f64 / 1e3,
        closing.events,
        closing.committed,
        closing.acked,
        injected.join(", "),
    );
    for violation in &closing.violations {
        // Lists of children may be long.
        let text: String = violation.to_string().chars().take(SAID_MAX).collect();
        println!("seed {:#x}: BROKEN {text}", closing.seed);
    }
}

/// The closing summary.
#[derive(Default)]
struct Sum {
    seeds: u64,
    /// These, in hexadecimal.
    failed: BTreeSet<String>,
    simulated_ms: u64,
    events: u64,
    committed: usize,
    acked: usize,
    answered: usize,
    lost: usize,
    wrongful: usize,
    injected: BTreeMap<Fault, u64>,
    chances: BTreeMap<Chance, u64>,
    held_up: u64,
}

impl Sum {
    fn add(&mut self, closing: &Closing) {
        self.seeds += 1;
        if !closing.violations.is_empty() {
            self.failed.insert(format!("{:#x}", closing.seed));
        }
        self.simulated_ms += closing.simulated_ms;
        self.events += closing.events;
        self.committed += closing.committed;
        self.acked += closing.acked;
        self.answered += closing.answered;
        self.lost += closing.lost();
        self.wrongful += closing.wrongful();
        for (fault, count) in &closing.injected {
            *self.injected.entry(*fault).or_default() += count;
        }
        self.held_up += closing.held_up;
        for (way, count) in &closing.chances {
            *self.chances.entry(*way).or_default() += count;
        }
    }

    fn say(&self, took_s: f64) {
        let (simulated_s, processor_s) = (self.simulated_ms as f64 / 1e3, processor_s());
        println!("{} seeds, {} failed: {:?}", self.seeds, self.failed.len(), self.failed);
        println!(
            "{:.2} simulated hours, {} events, in {took_s:.0} s; {processor_s:.0} s of processor \
             time, {:.0} simulated s for each",
            simulated_s / 3600.0,
            self.events,
            simulated_s / processor_s.max(1e-9),
        );
        println!(
            "{} committed, {} answered, {} acked; {} acked and lost, {} expired wrongfully",
            self.committed, self.answered, self.acked, self.lost, self.wrongful
        );
        let faults: u64 = self.injected.values().sum();
        println!("{faults} faults injected:");
        for fault in Fault::ALL {
            let count = self.injected.get(&fault).copied().unwrap_or_default();
            println!("  {:<12}{count}", format!("{fault:?}"));
        }
        let taken: u64 = self.chances.values().sum();
        println!("{taken} chances taken, {} writers between servers held up:", self.held_up);
        for way in Chance::ALL {
            let count = self.chances.get(&way).copied().unwrap_or_default();
            println!("  {:<14}{count}", format!("{way:?}"));
        }
    }
}

/// What this process has used of processors, s; 0 where nobody says.
fn processor_s() -> f64 {
    // Behind the name, which may hold anything: the 12th and the 13th, in hundredths.
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let numbers = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = numbers.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

// ---- mutants ----

/// Hunts one: a failure is what is wanted.
#[cfg(feature = "mutants")]
fn hunt_one(arguments: &Arguments, mutant: Mutant) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let hunt = hunt(mutant, arguments.seed, arguments.seeds);
    println!("{}", row(&hunt, arguments.seeds));
    if let Some(caught) = &hunt.caught {
        println!("seed {:#x}: {}: {}", caught.seed, caught.check, caught.what);
    }
    ExitCode::from(u8::from(hunt.caught.is_some()))
}

/// Hunts all of them. Survivors are a failure.
#[cfg(feature = "mutants")]
fn hunt_all(arguments: &Arguments) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    println!("| mutant | what is wrong | as in | found by | seeds of {} |", arguments.seeds);
    println!("| --- | --- | --- | --- | --- |");
    let mut survived = 0;
    for mutant in Mutant::ALL {
        let hunt = hunt(*mutant, arguments.seed, arguments.seeds);
        survived += usize::from(hunt.caught.is_none());
        println!("{}", row(&hunt, arguments.seeds));
    }
    let all = Mutant::ALL.len();
    println!("{} of {all} caught", all - survived);
    ExitCode::from(u8::from(survived > 0))
}

#[cfg(feature = "mutants")]
fn row(hunt: &Hunt, budget: u64) -> String {
    let Hunt { mutant, seeds, caught } = hunt;
    let (check, seeds) = match caught {
        Some(caught) => (format!("`{}`", caught.check), seeds.to_string()),
        None => ("nothing".to_owned(), format!("survived {budget}")),
    };
    format!("| {mutant} | {} | {} | {check} | {seeds} |", mutant.what(), mutant.source())
}
