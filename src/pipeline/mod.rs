//! request -> txn -> reply: throttle, lane, prep, commit, finalize. Pure.
