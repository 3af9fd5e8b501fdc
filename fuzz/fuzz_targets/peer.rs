//! What members and clients tell a peer, in which order.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oxkeeper::sim::fuzzing::peer(bytes);
});
