//! Less than what a seed draws: the kinds of faults, single faults, clients, requests and time
//! that a run is to go without. Each has an option of `oxkeeper-sim`, so that what [`shrink`]
//! finds can be run again.
//!
//! [`shrink`]: super::shrink

use std::collections::BTreeSet;
use std::fmt;

use super::{Fault, Shape};

/// What a run is to go without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Less {
    /// These kinds of faults never come.
    pub without: BTreeSet<Fault>,
    /// Nor do these, by kind and number.
    pub skipped: BTreeSet<(Fault, u64)>,
    /// Faults end here, ms.
    pub until_ms: Option<u64>,
    pub clients: Option<usize>,
    /// A client asks for so many things at most.
    pub requests: Option<u64>,
    /// Nothing is done that need not be, and sockets between servers take all that comes.
    pub plain: bool,
}

impl Less {
    /// Takes it away from a shape.
    pub fn apply(&self, shape: &mut Shape) {
        for fault in &self.without {
            *shape.faults.every_ms(*fault) = 0;
        }
        if self.plain {
            shape.chances.clear();
            shape.socket_bytes = usize::MAX;
        }
        shape.skipped.extend(&self.skipped);
        shape.safety_ms = self.until_ms.unwrap_or(u64::MAX).min(shape.safety_ms);
        shape.clients = self.clients.unwrap_or(usize::MAX).min(shape.clients);
        shape.requests_max = self.requests.unwrap_or(u64::MAX).min(shape.requests_max);
    }

    /// The shape of a seed without all that.
    pub fn shape(&self, seed: u64) -> Shape {
        let mut shape = Shape::draw(seed);
        self.apply(&mut shape);
        shape
    }
}

/// As options.
impl fmt::Display for Less {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        if !self.without.is_empty() {
            let kinds: Vec<String> = self.without.iter().map(|kind| format!("{kind:?}")).collect();
            options.push(format!("--without {}", kinds.join(",")));
        }
        if !self.skipped.is_empty() {
            let of = |(kind, number): &(Fault, u64)| format!("{kind:?}:{number}");
            let faults: Vec<String> = self.skipped.iter().map(of).collect();
            options.push(format!("--skip {}", faults.join(",")));
        }
        options.extend(self.until_ms.map(|ms| format!("--until {ms}")));
        options.extend(self.clients.map(|clients| format!("--clients {clients}")));
        options.extend(self.requests.map(|requests| format!("--requests {requests}")));
        options.extend(self.plain.then(|| "--plain".to_owned()));
        f.write_str(&options.join(" "))
    }
}
