//! What servers send each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jute::fuzzing::quorum_packet(bytes));
