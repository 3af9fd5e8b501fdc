//! A run's result, for people and for programs.

use std::fmt::{self, Write as _};

use super::histogram::Histogram;
use super::stats::Stats;
use super::BenchArgs;

/// What a run has measured.
#[derive(Clone)]
pub struct Report {
    operation: &'static str,
    connections: u32,
    in_flight: u32,
    data_len: u32,
    /// Replies counted, those with an error number too.
    pub ops: u64,
    /// Measured time, ns.
    pub elapsed_ns: u64,
    /// Answers with an error number, by number.
    pub errors: Vec<(i32, u64)>,
    /// Latencies of reads.
    pub reads: Histogram,
    /// Latencies of writes.
    pub writes: Histogram,
    /// Latencies of both.
    pub all: Histogram,
    /// Replies in each second.
    pub per_second: Vec<u64>,
    /// Latencies in each tenth of a second, if they were asked for.
    pub slices: Option<Vec<Histogram>>,
    /// What this operation tells besides.
    pub more: Vec<(&'static str, f64)>,
}

impl Report {
    /// `window_ns` is the length of a run by time; a run by count lasts as long as it needs.
    pub(super) fn new(args: &BenchArgs, window_ns: Option<u64>, stats: Stats) -> Report {
        let mut all = stats.reads.clone();
        all.merge(&stats.writes);
        let needed_ns = stats.last_ns.saturating_sub(stats.first_ns);
        let elapsed_ns = window_ns.unwrap_or(needed_ns).max(1);
        Report {
            operation: args.operation.name(),
            connections: args.connections,
            in_flight: args.in_flight,
            data_len: args.size,
            ops: all.count(),
            elapsed_ns,
            errors: stats.errors,
            reads: stats.reads,
            writes: stats.writes,
            all,
            per_second: stats.per_second,
            slices: stats.slices,
            more: Vec::new(),
        }
    }

    /// Replies per second.
    pub fn throughput(&self) -> f64 {
        self.ops as f64 * 1e9 / self.elapsed_ns as f64
    }

    /// Replies in the slowest whole second; `None` in runs of less than one.
    pub fn slowest_second(&self) -> Option<u64> {
        let whole = (self.elapsed_ns / 1_000_000_000) as usize;
        // Seconds without any reply at the end have left no trace.
        if whole > self.per_second.len() {
            return Some(0);
        }
        self.per_second[..whole].iter().min().copied()
    }

    /// One JSON object on one line. Latencies in microseconds.
    pub fn to_json(&self) -> String {
        let mut out = format!(
            "{{\"operation\":\"{}\",\"connections\":{},\"in_flight\":{},\"size\":{},\"ops\":{},\
             \"seconds\":{:.6},\"ops_per_second\":{:.1}",
            self.operation,
            self.connections,
            self.in_flight,
            self.data_len,
            self.ops,
            self.elapsed_ns as f64 / 1e9,
            self.throughput(),
        );
        for (name, latencies) in self.latencies() {
            let us = |ns: u64| ns as f64 / 1e3;
            write!(
                out,
                ",\"{name}_us\":{{\"count\":{},\"mean\":{:.1},\"p50\":{:.1},\"p99\":{:.1},\
                 \"p99.9\":{:.1},\"max\":{:.1}}}",
                latencies.count(),
                us(latencies.mean_ns()),
                us(latencies.quantile_ns(0.5)),
                us(latencies.quantile_ns(0.99)),
                us(latencies.quantile_ns(0.999)),
                us(latencies.max_ns()),
            )
            .expect("a string takes all");
        }
        let errors: Vec<_> = self.errors.iter().map(|(e, n)| format!("\"{e}\":{n}")).collect();
        let seconds: Vec<_> = self.per_second.iter().map(u64::to_string).collect();
        write!(out, ",\"errors\":{{{}}},\"per_second\":[{}]", errors.join(","), seconds.join(","))
            .expect("a string takes all");
        for (name, value) in &self.more {
            write!(out, ",\"{name}\":{value:.6}").expect("a string takes all");
        }
        if let Some(slices) = &self.slices {
            let slices: Vec<_> = slices.iter().map(slice_json).collect();
            write!(out, ",\"slices\":[{}]", slices.join(",")).expect("a string takes all");
        }
        out.push('}');
        out
    }

    /// All latencies, and reads and writes apart when there are both.
    fn latencies(&self) -> Vec<(&'static str, &Histogram)> {
        let mut out = vec![("all", &self.all)];
        if self.reads.count() > 0 && self.writes.count() > 0 {
            out.extend([("reads", &self.reads), ("writes", &self.writes)]);
        }
        out
    }
}

/// Pairs of a latency in ns and how often it was met.
fn slice_json(slice: &Histogram) -> String {
    let pairs: Vec<_> = slice.filled().map(|(ns, n)| format!("[{ns},{n}]")).collect();
    format!("[{}]", pairs.join(","))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} connections x {} in flight, {} bytes of data",
            self.operation, self.connections, self.in_flight, self.data_len
        )?;
        write!(
            f,
            "{:.0} ops/s ({} in {:.2} s",
            self.throughput(),
            self.ops,
            self.elapsed_ns as f64 / 1e9
        )?;
        if let Some(slowest) = self.slowest_second() {
            write!(f, ", slowest second {slowest}")?;
        }
        writeln!(f, ")")?;
        writeln!(
            f,
            "{:>10} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "latency us", "count", "mean", "p50", "p99", "p99.9", "max"
        )?;
        for (name, latencies) in self.latencies() {
            let us = |ns: u64| format!("{:.1}", ns as f64 / 1e3);
            writeln!(
                f,
                "{name:>10} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
                latencies.count(),
                us(latencies.mean_ns()),
                us(latencies.quantile_ns(0.5)),
                us(latencies.quantile_ns(0.99)),
                us(latencies.quantile_ns(0.999)),
                us(latencies.max_ns()),
            )?;
        }
        for (name, value) in &self.more {
            writeln!(f, "{name}: {value:.3}")?;
        }
        for (err, n) in &self.errors {
            writeln!(f, "{n} answers with error {err}")?;
        }
        Ok(())
    }
}
