//! The shell: threads, sockets, clock and shutdown around the pure core.
