//! One watch table per worker: what its own connections wait for. Pure.
