//! What clients lived through, and the judges of it.
//!
//! Simulated clients and recorders of real ones (Python, Go) write the same [`Record`]s; the text
//! form is described in [`text`]. Judges never use the server's own code: the model of the tree is
//! written a second time here, so that the two don't share a mistake.

pub mod linear;
pub mod logs;
pub mod model;
pub mod record;
pub mod replay;
mod sessions;
#[cfg(test)]
mod tests;
pub mod text;
pub mod verdict;
mod watches;

pub use record::{
    Answer, Connected, Created, Event, History, Op, Outcome, Part, Record, Reply, Request, Watches,
};
pub use replay::{judge, Rules};
pub use text::TextError;
pub use verdict::{Broken, Report, Violation};
