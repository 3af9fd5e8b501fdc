//! Command line tools: the load generator and file inspectors.

pub mod bench;
