//! One fuzzer for all targets: `OXKEEPER_FUZZ_TARGET` says which. `../run` sets it.
//!
//! A target must neither panic nor hold more memory than its bound allows, whatever the bytes.
#![no_main]

#[path = "../../jute/tests/hostile/counting.rs"]
mod counting;

use std::sync::OnceLock;

use oxkeeper::sim::fuzzing::{target, Target};

/// The target that the environment names.
fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| target(&std::env::var("OXKEEPER_FUZZ_TARGET").unwrap_or_default()))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = chosen();
    let memory = counting::memory_of(|| (target.body)(bytes));
    let max = target.memory_max(bytes.len());
    assert!(memory <= max, "{}: {memory} bytes held for {}, not {max}", target.name, bytes.len());
});
