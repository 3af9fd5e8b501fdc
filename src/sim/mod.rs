//! The deterministic simulator (feature "sim"); so far its disk.
