//! The deterministic simulator (feature "sim"): whole ensembles of the server's own code on
//! simulated disks and networks, with clients that write down what they lived through. One thread,
//! virtual time; the seed decides everything. docs/SIMULATION.md tells how to use it.
//!
//! ```text
//!   World ── heap of (when, what) ──▶ Node: Driver, workers, SimDisk ──▶ Notes ──▶ checks
//!     ▲                                 │ bytes                                   │
//!     └──── Wire: streams, cuts ◀───────┴──▶ Client ──▶ History ──▶ judges ◀──────┘
//! ```

mod chances;
pub mod check;
mod client;
mod disk;
mod durable;
mod fault;
pub mod fuzzing;
pub mod history;
mod inlet;
mod less;
#[cfg(feature = "mutants")]
pub mod mutate;
mod node;
mod ports;
mod rng;
mod run;
mod scene;
pub mod script;
mod shape;
pub mod shrink;
mod wire;
mod world;

pub use chances::Odds;
pub use disk::{Call, Pace, SimDisk, SimFile};
pub use durable::{fold, hash, Durable, DurableState};
pub use fault::Fault;
pub use less::Less;
pub use node::Node;
pub use rng::Rng;
pub use run::{run, Closing, Options};
pub use shape::{Faults, Shape};
pub use world::{CrashPoint, Place, Teller, World};
