//! `oxkeeper-sim`: runs seeds in the deterministic simulator and says what came of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
#[cfg(feature = "mutants")]
use oxkeeper::mutants::Mutant;
#[cfg(feature = "mutants")]
use oxkeeper::sim::mutate::{hunt, Hunt};
use oxkeeper::sim::{run, Closing, Options};

/// Runs whole ensembles under faults, in virtual time. The same seed gives the same run.
#[derive(Parser)]
#[command(name = "oxkeeper-sim")]
struct Arguments {
    /// The first seed, decimal or 0x…
    #[arg(long, default_value = "1", value_parser = seed)]
    seed: u64,
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
    /// Goes on behind a broken invariant.
    #[arg(long)]
    keep_going: bool,
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "mutants")]
    if arguments.mutants {
        return hunt_all(&arguments);
    } else if let Some(mutant) = arguments.mutant {
        return hunt_one(&arguments, mutant);
    }
    let began = Instant::now();
    let mut sum = Sum::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let over_damage = arguments.over_damage;
        let options = Options { over_damage, ..Options::default() };
        let closing = run(seed, Options { teller: teller(&arguments), ..options });
        if arguments.doublecheck {
            let again = run(seed, Options { over_damage, ..Options::default() });
            if again.trace != closing.trace {
                println!("seed {seed:#x}: two runs differ: {:x} {:x}", closing.trace, again.trace);
                sum.failed += 1;
            }
        }
        say(&closing);
        sum.add(&closing);
        if sum.failed > 0 && !arguments.keep_going {
            break;
        }
    }
    sum.say(began.elapsed().as_secs_f64());
    ExitCode::from(u8::from(sum.failed > 0))
}

/// Who hears of a run's changes.
fn teller(arguments: &Arguments) -> Option<oxkeeper::sim::Teller> {
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
        None if arguments.seeds == 1 => {
            Some(Box::new(move |at, what| println!("{}", line(at, what))))
        }
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
        println!("seed {:#x}: BROKEN {violation}", closing.seed);
    }
}

/// The closing summary.
#[derive(Default)]
struct Sum {
    seeds: u64,
    failed: u64,
    simulated_ms: u64,
    events: u64,
    committed: usize,
    acked: usize,
    answered: usize,
    lost: usize,
    injected: BTreeMap<String, u64>,
}

impl Sum {
    fn add(&mut self, closing: &Closing) {
        self.seeds += 1;
        self.failed += u64::from(!closing.violations.is_empty());
        self.simulated_ms += closing.simulated_ms;
        self.events += closing.events;
        self.committed += closing.committed;
        self.acked += closing.acked;
        self.answered += closing.answered;
        self.lost += closing.lost();
        for (fault, count) in &closing.injected {
            *self.injected.entry(format!("{fault:?}")).or_default() += count;
        }
    }

    fn say(&self, took_s: f64) {
        let simulated_s = self.simulated_ms as f64 / 1e3;
        println!(
            "{} seeds, {} failed, {:.2} simulated hours, {} events, {:.0} simulated s per s",
            self.seeds,
            self.failed,
            simulated_s / 3600.0,
            self.events,
            simulated_s / took_s.max(1e-9),
        );
        println!(
            "{} committed, {} answered, {} acked, {} acked and lost",
            self.committed, self.answered, self.acked, self.lost
        );
        for (fault, count) in &self.injected {
            println!("  {fault}: {count}");
        }
    }
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
