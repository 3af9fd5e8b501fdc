//! A snapshot file, and a snapshot from a leader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxkeeper::sim::fuzzing::snapshot(bytes));
