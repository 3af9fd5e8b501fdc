//! Command line tools: the load generator, what it is measured against, and file inspectors.

pub mod bench;
pub mod limit;
