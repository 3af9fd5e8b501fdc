//! A file of transactions, as recovery finds it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxkeeper::sim::fuzzing::log(bytes));
