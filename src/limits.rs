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

/// Addresses whose refused connections have lines of the log of their own.
pub const REFUSED_ADDRESSES_MAX: usize = 1024;

/// Between two looks for idle connections, ms.
pub const SWEEP_MS: u64 = 1000;

/// Transactions applied under one hold of the replica's exclusive lock.
pub const TXNS_PER_BATCH: usize = 1024;

/// Connections on the quorum port at one time.
pub const LINKS_MAX: usize = 1024;

/// Bytes that may wait to be sent to one learner, or to the leader. What a learner is sent while
/// it takes in a snapshot waits here; most of it is shared with the other learners' queues. As
/// much may be committed while it waits for a snapshot to be begun. With more it is hung up on.
pub const LINK_OUTPUT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of packets from one learner, or from the leader, that may wait for the pipeline: while it
/// is behind, nothing more is read from that connection.
pub const LINK_INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Packets for a server that the pipeline sends by itself, bytes: a few transactions at most. More
/// is sent by the quorum thread, meanwhile the pipeline syncs its disk.
pub const SHORTCUT_BYTES_MAX: usize = 1024;

/// Read from a quorum connection at once, bytes; a longer packet gets more room as it comes.
pub const LINK_READ_BYTES: usize = 64 * 1024;

/// How long a quorum connection that is being closed may take for what it still has to send, ms.
pub const LINK_LINGER_MS: u64 = 1000;

/// A stretch of a snapshot or of the log on its way to a learner, bytes.
pub const TRANSFER_CHUNK_BYTES: usize = 256 * 1024;

/// Such stretches between the thread that reads or writes a file and the socket.
pub const TRANSFER_CHUNKS: usize = 4;

/// Connections on the election port that may not have said yet who they are; the oldest makes room.
pub const ELECTION_HANDSHAKES_MAX: usize = 64;

/// Election connections with servers that the configuration doesn't know.
pub const ELECTION_STRANGERS_MAX: usize = 256;

/// Bytes of one server's notifications that may wait for the pipeline, and of all together that the
/// configuration doesn't know: while they do, no more are read.
pub const ELECTION_INPUT_BYTES_MAX: usize = 1024 * 1024;

/// Notifications read from one server before a tenth of a second is slept.
pub const ELECTION_NOTIFICATIONS_IN_A_ROW: usize = 100;
