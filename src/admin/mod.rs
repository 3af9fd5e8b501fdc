//! What operators ask: four-letter words.
//!
//! Everything here is text made of values. The server recognizes a [`Word`] in the first bytes of
//! a connection, asks the [`Whitelist`], collects what the word [needs](Word::needs) into a
//! [`View`] and sends the [`answer()`].

mod answer;
mod environment;
pub mod java;
mod view;
mod word;

pub use answer::{answer, last_op, trace_mask, TRACE_MASK};
pub use environment::{environment, java_arch, Host};
pub use view::{
    Conf, Connection, ConnectionName, ConnectionSession, Deadline, EnsembleConf, Role, Sessions,
    Traffic, View,
};
pub use word::{refusal, Fact, Whitelist, Word};

/// The full version as `srvr`, `mntr` and `envi` print it: Apache's number, because clients and
/// monitors compare it, then our name and number where Apache has its revision.
pub fn version() -> String {
    let built_on = option_env!("OXKEEPER_BUILT_ON").unwrap_or(BUILT_ON);
    format!("{COMPATIBLE_WITH}-oxkeeper-{}, built on {built_on}", env!("CARGO_PKG_VERSION"))
}

/// The release of Apache ZooKeeper whose behaviour this is.
pub const COMPATIBLE_WITH: &str = "3.9.5";

/// When this source became what it is, unless the build says otherwise (`OXKEEPER_BUILT_ON`, in
/// the same form): a build must not depend on the clock.
const BUILT_ON: &str = "2026-11-21 00:00 UTC";

#[cfg(test)]
mod parsers;
#[cfg(test)]
mod tests;
