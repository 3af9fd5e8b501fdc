//! The pieces of log and snapshot files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jute::fuzzing::file(bytes));
