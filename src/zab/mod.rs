//! The atomic broadcast core: election, discovery, synchronisation, broadcast. Pure.
