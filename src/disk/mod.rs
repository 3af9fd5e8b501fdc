//! The real `Disk`: preallocation, memory maps, fdatasync, directory fsync.
