//! zoo.cfg and `-D` words to a `Config`. Pure: takes text, gives values and findings.

mod java;
pub mod jvmflags;
pub mod keys;
pub mod properties;
