//! Transaction logs, snapshots and recovery in Apache's formats, over `trait Disk`. Pure.
