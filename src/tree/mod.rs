//! The replicated state: znodes, their ACLs, quotas, sessions' ephemerals and the tree digest. Pure.
