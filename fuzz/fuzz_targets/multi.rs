//! A multi and its answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jute::fuzzing::multi(bytes));
