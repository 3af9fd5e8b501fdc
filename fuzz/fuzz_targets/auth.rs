//! An auth packet and a list of ACLs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oxkeeper::sim::fuzzing::auth(bytes));
