//! oxkeeper: a ZooKeeper server. Modules stand in the order data meets them.

#[macro_use]
pub mod mutants;

pub mod limits;
pub mod types;

pub mod config;
pub mod metrics;

pub mod auth;
pub mod session;
pub mod tree;
pub mod watch;

pub mod pipeline;
pub mod zab;

pub mod peer;

pub mod storage;

pub mod disk;
pub mod net;

pub mod admin;
pub mod server;
pub mod tools;

#[cfg(feature = "sim")]
pub mod sim;
