//! One node, pure: prep's overlay and the sessions (and zab); reads the replica, never owns it.
