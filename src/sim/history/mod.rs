//! What clients lived through, and the judges of it.
//!
//! Simulated clients and recorders of real ones (Python, Go) write the same [`Record`]s; the text
//! form is described in [`text`]. Judges never use the server's own code: the model of the tree is
//! written a second time here, so that the two don't share a mistake.

pub mod record;
pub mod text;

pub use record::{
    Answer, Connected, Created, Event, History, Op, Outcome, Part, Record, Reply, Request, Watches,
};
pub use text::TextError;
