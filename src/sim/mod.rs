//! The deterministic simulator (feature "sim"); so far its disk.

mod disk;
pub mod fuzzing;
pub mod history;
mod rng;

pub use disk::{Call, SimDisk, SimFile};
pub use rng::Rng;
