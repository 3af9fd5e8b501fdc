//! What goes into the core and what comes out of it.

use bytes::Bytes;
use jute::quorum::{PacketType, ServerState};
use jute::{Decode, Id};

use crate::types::{Epoch, LoggedTxn, Sid, Zxid};

/// One connection on a quorum port, accepted by a leader or dialled by a learner. Numbers are
/// never used twice in the life of a process, so that what comes late from an old connection is
/// known as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// The number of a durable step. They only grow, through all roles; `Persisted{upto}` covers
/// every step with a number up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token(pub u64);

/// A packet of the quorum port that owns its bytes; `data` shares the buffer it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// `None`: a number without a meaning, which both sides ignore.
    pub kind: Option<PacketType>,
    pub zxid: Zxid,
    pub data: Option<Bytes>,
    /// The client's identities, in requests.
    pub identities: Vec<Id<'static>>,
}

/// A notification of the election port that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub state: ServerState,
    /// Who the sender votes for.
    pub leader: Sid,
    /// That server's last zxid.
    pub zxid: Zxid,
    /// The sender's round of elections.
    pub round: i64,
    /// That server's epoch; signed as on the wire, `i64::MIN` from observers.
    pub peer_epoch: i64,
    /// Format version; 0 in the forms before 3.5.
    pub version: i32,
    /// Text of the sender's committed configuration.
    pub config: Option<Bytes>,
}

impl Notification {
    /// As it goes over the wire.
    pub fn to_wire(&self) -> jute::quorum::Notification<'_> {
        jute::quorum::Notification {
            state: self.state,
            leader: self.leader.0,
            zxid: self.zxid.0,
            round: self.round,
            peer_epoch: self.peer_epoch,
            version: self.version,
            config: self.config.as_deref(),
        }
    }

    /// The one in these bytes, whose memory it shares. `None`: nothing that can be read, as from a
    /// server of some later time.
    pub fn from_wire(bytes: &Bytes) -> Option<Notification> {
        let read = jute::quorum::Notification::from_bytes(bytes).ok()?;
        Some(Notification {
            state: read.state,
            leader: Sid(read.leader),
            zxid: Zxid(read.zxid),
            round: read.round,
            peer_epoch: read.peer_epoch,
            version: read.version,
            config: read.config.map(|text| bytes.slice_ref(text)),
        })
    }
}

/// What happens to the core.
#[derive(Debug)]
pub enum Event {
    /// A deadline may have passed.
    Timeout,
    /// The oracle's file has been read: whether this server, one of two voters, may go on alone.
    OracleSays { yes: bool },
    /// Something has come in on the election port.
    Notification { from: Sid, notification: Notification },
    /// A dial of that server's election port was refused: nobody listens there now.
    ElectionRefused { sid: Sid },
    /// Leader: somebody has connected to the quorum port. Learner: its `Dial` or `DialMaster` has
    /// succeeded. Follower that serves observers: one of them has connected.
    LinkOpened { link: LinkId },
    /// None of this server's quorum addresses can be listened on, or on none of them the port for
    /// observers; `why` has each of them. Nobody will ever connect.
    ListenFailed { why: String },
    /// Learner: its `Dial` or `DialMaster` has come to nothing.
    DialFailed,
    /// A packet has come in.
    Packet { link: LinkId, packet: Packet },
    /// The connection is gone. Follows every `LinkOpened`, and nothing of that link follows it.
    LinkClosed { link: LinkId },
    /// Every step up to `upto` is durable.
    Persisted { upto: Token },
    /// `Step::Truncate` has been tried. `None`: the log has no record of that zxid (nor is it a
    /// snapshot's), nothing was changed. Else the log and the replica end at that zxid now.
    Truncated { last: Option<Zxid> },
    /// The snapshot behind the packet SNAP has been read whole, with its signature, and is put
    /// aside. A body that can't be read closes the link instead.
    SnapshotReceived { link: LinkId },
    /// The image for `Output::Snapshot{link}` has begun: what it shows is the state at `zxid`,
    /// which is all that has been committed up to now.
    SnapshotBegun { link: LinkId, zxid: Zxid },
    /// Answers `Output::FindLog`: whether the log on disk holds `from` (or, where `from` is a
    /// snapshot's, begins right behind it) and everything behind it up to `upto`, without a hole
    /// and within the size limit. `from` not in it but a smaller zxid `found` in its place: the
    /// learner's last transaction is unknown to us.
    LogFound { link: LinkId, found: Option<Zxid> },
    /// The last byte that `Output::Snapshot` or `Output::SendLog` put on the link has been handed
    /// to the system: from now on the learner's silence counts against it.
    BulkSent { link: LinkId },
}

/// What the core wants done. In order: what comes later may rely on what came before.
#[must_use]
#[derive(Debug)]
pub enum Output {
    /// Election port: send this to that server, dialling it if there is no connection. Only the
    /// newest one to each server matters. `to` is never this server itself.
    Notify { to: Sid, notification: Notification },
    /// Listen on the quorum port (and take in whoever has connected), or stop it and close every
    /// accepted link.
    Listen(bool),
    /// Connect to the quorum port of `leader`, trying for at most `within_ms`.
    Dial { leader: Sid, within_ms: i64 },
    /// The same, to the port for observers of that follower.
    DialMaster { master: Sid, within_ms: i64 },
    /// Follower: listen on the port for observers, or stop it and close every accepted link.
    ListenForObservers(bool),
    /// Put these encoded packets (one or more) behind whatever the link still has to send.
    Send { link: LinkId, packets: Bytes },
    /// Behind what the link has to send: PROPOSAL and COMMIT of every record of the log on disk
    /// behind `from`, up to `upto`. `FindLog` has found the first of them, and all are durable.
    /// What can't be read closes the link.
    SendLog { link: LinkId, from: Zxid, upto: Zxid },
    /// Look for the log behind `from`; the answer is `LogFound`.
    FindLog { link: LinkId, from: Zxid, upto: Zxid },
    /// Begin an image of the replica and say `SnapshotBegun`. Then, behind what the link has to
    /// send: the packet SNAP of the image's zxid, the snapshot's body, its signature.
    Snapshot { link: LinkId },
    /// Close the link, after sending what it still has to send. `LinkClosed` follows.
    Close { link: LinkId },
    /// Do `step` and say `Persisted{upto}` (for a batch of steps: once, for the last).
    Persist { step: Step, upto: Token },
    /// Agreed upon by a quorum (or accepted as history): apply to the replica, in order. Always
    /// durable here before.
    Committed { txns: Vec<LoggedTxn> },
    /// What this server is from now on.
    Role(Role),
    /// Leader: a packet for the sessions (REQUEST, REVALIDATE, or PING with its touch table).
    /// Follower that serves observers: PING of one of them.
    FromLearner { link: LinkId, sid: Sid, packet: Packet },
    /// Leader: the learner is gone, or has been from the start of this link.
    LearnerGone { sid: Sid },
    /// Learner: a packet for the sessions (REVALIDATE, answered).
    FromLeader { packet: Packet },
    /// Learner: the oldest sync that was forwarded is done; everything committed before it has
    /// been put out.
    Synced,
    /// Leader: the local sync `tag` is done; everything committed before it has been put out.
    LocalSynced { tag: u64 },
    /// Learner: answer the leader's PING with the sessions heard of since the last one.
    PingWanted { zxid: Zxid },
}

/// A durable step.
#[derive(Debug)]
pub enum Step {
    /// Append to the log. Consecutive appends share one sync.
    Append(Vec<LoggedTxn>),
    /// Write the file acceptedEpoch.
    AcceptedEpoch(Epoch),
    /// Write the file currentEpoch.
    CurrentEpoch(Epoch),
    /// Forget everything behind `to`, in the log and in the replica. `Truncated` follows at once;
    /// the token is persisted with it.
    Truncate { to: Zxid },
    /// Make the snapshot that was received on `link` this server's state, durably: it is of
    /// `zxid`, and whatever the log has is obsolete.
    InstallSnapshot { link: LinkId, zxid: Zxid },
}

/// Who a learner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LearnerKind {
    /// It acknowledges proposals.
    Follower,
    /// It is informed.
    Observer,
}

/// How a learner was brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncMode {
    Diff,
    Trunc,
    Snap,
}

/// As in Apache's log.
impl std::fmt::Display for SyncMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SyncMode::Diff => "DIFF",
            SyncMode::Trunc => "TRUNC",
            SyncMode::Snap => "SNAP",
        })
    }
}

/// Leader, observer master: something that metrics count and nothing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A learner begins to be brought up to date, or is by now (`ended`: its ACK of NEWLEADER has
    /// come); so many are in the same way, this one included while it lasts.
    Sync { mode: SyncMode, ended: bool, in_progress: usize },
    /// A voter, this server among them, has a transaction in its log that was made at that time of
    /// the leader's wall clock, ms.
    Acked { sid: Sid, made_wall_ms: i64 },
}

/// A change of role. Between `Leaving` and the next `Leading` or `Learning` nothing is served, and
/// what is put out as `Committed` answers nobody: it is this server's history, not agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The role is given up: clients and requests are let go of at once. What the log holds comes
    /// out as `Committed` as soon as it is durable, then follows `Looking`.
    Leaving,
    /// Without a leader. All that the log holds has been put out as `Committed` before
    /// (ZOOKEEPER-2845: memory is what a restart would make of the disk).
    Looking,
    /// This server leads: a quorum has its history. Its first transaction is `epoch`, counter 1.
    Leading { epoch: Epoch },
    /// This server follows or observes, and is up to date. `leader` is whom it learns from: an
    /// observer master, perhaps.
    Learning { leader: Sid, epoch: Epoch, kind: LearnerKind },
}
