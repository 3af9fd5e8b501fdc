//! What members tell the consensus core, in which order.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oxkeeper::sim::fuzzing::zab(bytes);
});
