//! A request behind its frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jute::fuzzing::request(bytes));
