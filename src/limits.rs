//! Every bound in the server that no key of zoo.cfg sets, in one place. Those with a key stand in
//! [`crate::config`].

/// Bytes read from one socket in one wake-up: so that a flood can't keep a worker to itself.
pub const READ_BYTES_PER_WAKE_UP: usize = 256 * 1024;

/// Requests evaluated under one hold of the replica's shared lock.
pub const REQUESTS_PER_HOLD: usize = 64;

/// Bytes encoded under one hold of the replica's shared lock.
pub const BYTES_PER_HOLD: usize = 64 * 1024;

/// Unsent output above which a connection's requests are not looked at.
pub const OUTPUT_BYTES_HIGH: usize = 1024 * 1024;

/// Unsent output above which a connection that is only told of its watches is cut off.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Output memory kept by an idle connection, bytes.
pub const IDLE_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Requests of one connection that may be unanswered.
pub const LANE_REQUESTS_MAX: usize = 4096;

/// Bytes of requests of one connection that may wait for their turn.
pub const LANE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Between two looks for idle connections, ms.
pub const SWEEP_MS: u64 = 1000;

/// Transactions applied under one hold of the replica's exclusive lock.
pub const TXNS_PER_BATCH: usize = 1024;

/// Connections on the election port that may not have said yet who they are; the oldest makes room.
pub const ELECTION_HANDSHAKES_MAX: usize = 64;

/// Election connections with servers that the configuration doesn't know.
pub const ELECTION_STRANGERS_MAX: usize = 256;

/// Notifications read from one server before a tenth of a second is slept.
pub const ELECTION_NOTIFICATIONS_IN_A_ROW: usize = 100;
