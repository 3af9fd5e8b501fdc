//! The metrics of Apache 3.9.5 under its names: counters and summaries that the server feeds,
//! gauges that are read when somebody asks.
//!
//! Adding is a few relaxed atomic operations and never waits. A worker that handles many requests
//! in one go counts them in a [`Tally`] of its own and adds that at the end, so that the cores
//! don't fight over one cache line for each request.

mod gauges;
mod histogram;
mod keyed;
mod member;
mod rounding;
mod server_stats;
mod summary;
mod table;
mod worker;

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

pub use gauges::{Gauges, QuotaGauges};
pub use keyed::Keyed;
pub use rounding::four_decimals;
pub use server_stats::{ServerStats, Sizes};
pub use summary::{Advanced, Basic, Batch};
pub use table::{Metrics, Row};
pub use worker::{top_namespace, Tally};

/// Counters by name, such as refusals by namespace.
pub type CounterSet = Keyed<Counter>;
/// Basic summaries by name.
pub type BasicSet = Keyed<Basic>;
/// Advanced summaries by name.
pub type AdvancedSet = Keyed<Advanced>;

/// What a row of the table prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One number, read when asked for.
    Gauge,
    /// One number that grows.
    Counter,
    /// avg, min, max, cnt and sum.
    Basic,
    /// The same and four percentiles.
    Advanced,
    /// A counter for each name.
    CounterSet,
    /// A basic summary for each name.
    BasicSet,
    /// An advanced summary for each name.
    AdvancedSet,
}

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Printed without a point.
    Integer(i64),
    /// Printed as Java prints a double.
    Double(f64),
}

/// Receives values, each with the parts of its name.
pub trait Sink {
    /// One value. The parts are joined without anything between.
    fn number(&mut self, name: &[&str], value: Number);
}

/// What every kind of metric can do.
pub trait Metric: Default {
    /// Back to zero.
    fn reset(&self);
    /// Hands the values to `sink` under `name`, which may come with a key in front.
    fn walk_keyed(&self, key: Option<&str>, name: &'static str, sink: &mut dyn Sink);
    /// Hands the values to `sink` under `name`.
    fn walk(&self, name: &'static str, sink: &mut dyn Sink) {
        self.walk_keyed(None, name, sink);
    }
}

/// A number that grows until `srst`.
#[derive(Debug, Default)]
pub struct Counter(AtomicI64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: i64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Metric for Counter {
    fn reset(&self) {
        self.0.store(0, Relaxed);
    }

    fn walk_keyed(&self, key: Option<&str>, name: &'static str, sink: &mut dyn Sink) {
        let value = Number::Integer(self.get());
        match key {
            None => sink.number(&[name], value),
            Some(key) => sink.number(&[key, "_", name], value),
        }
    }
}
