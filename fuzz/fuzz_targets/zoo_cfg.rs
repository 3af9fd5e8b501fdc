//! A configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxkeeper::sim::fuzzing::zoo_cfg(bytes));
