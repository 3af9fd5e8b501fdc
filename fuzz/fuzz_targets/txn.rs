//! A transaction, as logged and proposed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jute::fuzzing::txn(bytes));
