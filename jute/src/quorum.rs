//! What servers tell each other (Apache's `org.apache.zookeeper.server.quorum`).
//!
//! Two protocols on two ports: elections exchange framed [`Notification`]s behind an
//! [`InitialMessage`]; a learner and its leader exchange a stream of [`QuorumPacket`]s, whose
//! `data` is one of the records below, by type.

use std::borrow::Cow;

use crate::codec::{Decode, DecodeError, Encode, Limits, Reader, Writer};
use crate::data::Id;

// ---- learner and leader ----

macro_rules! packet_types {
    ($($(#[$meta:meta])* $name:ident = $code:literal,)*) => {
        /// What a [`QuorumPacket`] is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum PacketType { $($(#[$meta])* $name = $code,)* }

        impl PacketType {
            /// The type of a number, if there is one.
            pub fn from_code(code: i32) -> Option<PacketType> {
                match code { $($code => Some(PacketType::$name),)* _ => None }
            }

            /// The number on the wire.
            pub fn code(self) -> i32 {
                self as i32
            }
        }
    };
}

packet_types! {
    /// Learner to leader: a client's write or sync. Data: [`ForwardedRequest`].
    Request = 1,
    /// Leader to follower. Data: a [`TxnRecord`](crate::txn::TxnRecord).
    Proposal = 2,
    /// Learner to leader: everything up to zxid is on disk. No data.
    Ack = 3,
    /// Leader to follower. No data.
    Commit = 4,
    /// Both ways. Data of the learner's: [`Touched`].
    Ping = 5,
    /// Both ways. Data: [`SessionTimeout`] up, [`Revalidated`] down.
    Revalidate = 6,
    /// Leader to learner: the oldest sync is done. No data.
    Sync = 7,
    /// Leader to observer: proposal and commit in one. Data: a transaction.
    Inform = 8,
    /// Leader to follower: commit a reconfig. Data: [`DesignatedLeader`].
    CommitAndActivate = 9,
    /// Leader to learner: the history ends here. Data: text of the configuration.
    NewLeader = 10,
    /// Follower to leader, first of all. Data: [`LearnerInfo`].
    FollowerInfo = 11,
    /// Leader to learner: serve. No data.
    UpToDate = 12,
    /// Leader to learner: proposals follow. No data.
    Diff = 13,
    /// Leader to learner: forget what is behind zxid. No data.
    Trunc = 14,
    /// Leader to learner: a snapshot's body follows, raw. No data.
    Snap = 15,
    /// Observer to leader, first of all. Data: [`LearnerInfo`].
    ObserverInfo = 16,
    /// Leader to learner: the new epoch. Data: [`ProtocolVersion`].
    LeaderInfo = 17,
    /// Learner to leader. Data: [`AcceptedEpoch`].
    AckEpoch = 18,
    /// Leader to observer: a reconfig. Data: [`ActivatedTxn`].
    InformAndActivate = 19,
}

record! {
    /// One packet of the learner protocol. A stream of them has no framing: see
    /// [`QuorumPacket::measure`].
    QuorumPacket<'a> {
        /// A [`PacketType`]'s number; others are ignored by both sides.
        kind: i32,
        zxid: i64,
        data: Option<&'a [u8]>,
        /// The client's identities, in requests.
        auth: Option<Vec<Id<'a>>>,
    }
}

impl<'a> QuorumPacket<'a> {
    /// A packet without identities.
    pub fn new(kind: PacketType, zxid: i64, data: Option<&'a [u8]>) -> Self {
        QuorumPacket { kind: kind.code(), zxid, data, auth: None }
    }

    /// How many bytes the packet at the front of `received` takes; `None` as long as it is not
    /// whole. Allocates nothing. Fails as soon as a length is over `limits`, or all of the packet
    /// over twice as much: identities come in any number.
    pub fn measure(received: &[u8], limits: Limits) -> Result<Option<usize>, DecodeError> {
        let max = limits.max_length.saturating_mul(2);
        let mut r = Reader::with_limits(received, limits);
        match skip_packet(&mut r) {
            Ok(()) => Ok(Some(received.len() - r.remaining().len())),
            Err(DecodeError::Truncated { .. }) if received.len() <= max => Ok(None),
            Err(DecodeError::Truncated { .. }) => {
                Err(DecodeError::TooLong { len: received.len(), max })
            }
            Err(e) => Err(e),
        }
    }
}

fn skip_packet(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    r.i32()?;
    r.i64()?;
    r.buffer()?;
    for _ in 0..r.i32()? {
        r.buffer()?;
        r.buffer()?;
    }
    Ok(())
}

/// The version that learners and leaders name since ZooKeeper 3.4: 0x10000.
pub const PROTOCOL_VERSION: i32 = 0x1_0000;

/// Who a learner is. Older ones leave out the tail: 8, 12 or 20 bytes and more are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerInfo {
    pub server_id: i64,
    /// Absent before 3.4.
    pub protocol_version: Option<i32>,
    /// Version of the learner's committed configuration; absent before 3.5.
    pub config_version: Option<i64>,
}

impl Encode for LearnerInfo {
    fn encode(&self, w: &mut Writer) {
        w.i64(self.server_id);
        if let Some(version) = self.protocol_version {
            w.i32(version);
            if let Some(version) = self.config_version {
                w.i64(version);
            }
        }
    }
}

impl<'a> Decode<'a> for LearnerInfo {
    const MIN_LEN: usize = 8;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let len = r.remaining().len();
        Ok(LearnerInfo {
            server_id: r.i64()?,
            protocol_version: if len >= 12 { Some(r.i32()?) } else { None },
            config_version: if len >= 20 { Some(r.i64()?) } else { None },
        })
    }
}

/// A client's request on its way to the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedRequest<'a> {
    pub session_id: i64,
    pub cxid: i32,
    /// An [`OpCode`](crate::OpCode)'s number.
    pub op: i32,
    /// The body as the client sent it behind its header.
    pub body: &'a [u8],
}

impl Encode for ForwardedRequest<'_> {
    fn encode(&self, w: &mut Writer) {
        w.i64(self.session_id);
        w.i32(self.cxid);
        w.i32(self.op);
        w.raw(self.body);
    }
}

impl<'a> Decode<'a> for ForwardedRequest<'a> {
    const MIN_LEN: usize = 16;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(ForwardedRequest { session_id: r.i64()?, cxid: r.i32()?, op: r.i32()?, body: r.rest() })
    }
}

record! {
    /// A session and its timeout: asked for in REVALIDATE, told in a learner's PING.
    #[derive(Copy)]
    SessionTimeout { session_id: i64, timeout_ms: i32, }
}

/// The sessions that a learner has heard of since the last PING.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    pub sessions: Vec<SessionTimeout>,
}

impl Encode for Touched {
    fn encode(&self, w: &mut Writer) {
        for session in &self.sessions {
            session.encode(w);
        }
    }
}

impl<'a> Decode<'a> for Touched {
    const MIN_LEN: usize = 0;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = r.remaining().len() / SessionTimeout::MIN_LEN;
        let mut sessions = Vec::with_capacity(count);
        while !r.remaining().is_empty() {
            sessions.push(SessionTimeout::decode(r)?);
        }
        Ok(Touched { sessions })
    }
}

record! {
    /// The leader's answer to REVALIDATE.
    #[derive(Copy)]
    Revalidated { session_id: i64, valid: bool, }
}

record! {
    /// In LEADERINFO.
    #[derive(Copy)]
    ProtocolVersion { version: i32, }
}

record! {
    /// In ACKEPOCH: the learner's current epoch, or -1 if it had promised the new one before.
    #[derive(Copy)]
    AcceptedEpoch { epoch: i32, }
}

record! {
    /// In COMMITANDACTIVATE: who should lead under the new configuration.
    #[derive(Copy)]
    DesignatedLeader { server_id: i64, }
}

/// In INFORMANDACTIVATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivatedTxn<'a> {
    pub designated_leader: i64,
    /// A [`TxnRecord`](crate::txn::TxnRecord).
    pub txn: &'a [u8],
}

impl Encode for ActivatedTxn<'_> {
    fn encode(&self, w: &mut Writer) {
        w.i64(self.designated_leader);
        w.raw(self.txn);
    }
}

impl<'a> Decode<'a> for ActivatedTxn<'a> {
    const MIN_LEN: usize = 8;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(ActivatedTxn { designated_leader: r.i64()?, txn: r.rest() })
    }
}

/// Behind the body of a snapshot that is sent to a learner, as a string.
pub const SNAPSHOT_SIGNATURE: &str = "BenWasHere";

record! {
    /// One step of a SASL exchange, on either port.
    QuorumAuthPacket<'a> {
        /// [`AUTH_MAGIC`].
        magic: i64,
        /// 0 goes on, 1 success, -1 failure.
        status: i32,
        token: Option<&'a [u8]>,
    }
}

/// Begins a [`QuorumAuthPacket`].
pub const AUTH_MAGIC: i64 = 0x5f24_3501_3501_edcc;

// ---- elections ----

/// Longest text of addresses in an [`InitialMessage`].
pub const INITIAL_ADDRESS_LEN_MAX: usize = 2_048;

/// The first bytes of an election connection, from the one who dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitialMessage<'a> {
    /// Before 3.5: the server's id alone.
    Sid(i64),
    /// Since 3.5.
    Addressed {
        /// Whether several addresses may be given, parted by `|` (the sender's
        /// `multiAddress.enabled`).
        several: bool,
        server_id: i64,
        /// `host:port` of the sender's election port.
        address: Cow<'a, str>,
    },
}

impl InitialMessage<'_> {
    const VERSION_ONE: i64 = -65_536;
    const VERSION_SEVERAL: i64 = -65_535;
}

impl Encode for InitialMessage<'_> {
    fn encode(&self, w: &mut Writer) {
        match self {
            InitialMessage::Sid(server_id) => w.i64(*server_id),
            InitialMessage::Addressed { several, server_id, address } => {
                w.i64(if *several { Self::VERSION_SEVERAL } else { Self::VERSION_ONE });
                w.i64(*server_id);
                w.string(Some(address));
            }
        }
    }
}

impl<'a> Decode<'a> for InitialMessage<'a> {
    const MIN_LEN: usize = 8;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let several = match r.i64()? {
            server_id @ 0.. => return Ok(InitialMessage::Sid(server_id)),
            Self::VERSION_ONE => false,
            Self::VERSION_SEVERAL => true,
            other => return Err(DecodeError::UnknownType(other as i32)),
        };
        let server_id = r.i64()?;
        let max = INITIAL_ADDRESS_LEN_MAX;
        let address = match r.i32()? {
            len @ ..=0 => return Err(DecodeError::NegativeLength(len)),
            len if len as usize > max => {
                return Err(DecodeError::TooLong { len: len as usize, max })
            }
            len => crate::decode_text(r.take(len as usize)?),
        };
        Ok(InitialMessage::Addressed { several, server_id, address })
    }
}

/// What a server is doing, as notifications number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ServerState {
    Looking = 0,
    Following = 1,
    Leading = 2,
    Observing = 3,
}

impl ServerState {
    /// The state of a number, if there is one.
    pub fn from_code(code: i32) -> Option<ServerState> {
        use ServerState::*;
        [Looking, Following, Leading, Observing].into_iter().find(|s| *s as i32 == code)
    }
}

/// Longest notification; longer ones close the connection.
pub const NOTIFICATION_LEN_MAX: usize = 512 * 1024;

/// A vote, as sent in elections. Four generations are told apart by their length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification<'a> {
    pub state: ServerState,
    /// Who the sender votes for.
    pub leader: i64,
    /// That server's last zxid.
    pub zxid: i64,
    /// The sender's round of elections.
    pub round: i64,
    /// That server's epoch. In the oldest form taken from `zxid`.
    pub peer_epoch: i64,
    /// 0 in both forms without a configuration, though 3.4 wrote a 1; else as sent, 2 today.
    pub version: i32,
    /// Text of the sender's committed configuration, since version 2.
    pub config: Option<&'a [u8]>,
}

impl Notification<'_> {
    /// What we and Apache 3.5 and later send.
    pub const VERSION: i32 = 2;
    const LEN_WITHOUT_EPOCH: usize = 28;
    const LEN_WITHOUT_CONFIG: usize = 40;
}

/// Always in today's form.
impl Encode for Notification<'_> {
    fn encode(&self, w: &mut Writer) {
        w.i32(self.state as i32);
        w.i64(self.leader);
        w.i64(self.zxid);
        w.i64(self.round);
        w.i64(self.peer_epoch);
        w.i32(self.version);
        let config = self.config.unwrap_or_default();
        w.buffer(Some(config));
    }
}

impl<'a> Decode<'a> for Notification<'a> {
    const MIN_LEN: usize = Self::LEN_WITHOUT_EPOCH;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let len = r.remaining().len();
        let state = r.i32()?;
        let state = ServerState::from_code(state).ok_or(DecodeError::UnknownType(state))?;
        let (leader, zxid, round) = (r.i64()?, r.i64()?, r.i64()?);
        let mut note = Notification {
            state,
            leader,
            zxid,
            round,
            peer_epoch: zxid >> 32,
            version: 0,
            config: None,
        };
        if len == Self::LEN_WITHOUT_EPOCH {
            return Ok(note);
        }
        note.peer_epoch = r.i64()?;
        let version = r.i32()?;
        if len == Self::LEN_WITHOUT_CONFIG {
            return Ok(note);
        }
        note.version = version;
        if version > 1 {
            note.config = Some(r.buffer()?.ok_or(DecodeError::Null)?);
        }
        Ok(note)
    }
}
