//! The records of a history.
//!
//! **Order.** The records of one connection stand in the order in which its client saw them end:
//! a reply or an event when its frame was read. What was still open when the connection ended
//! comes then, in cxid order, as [`Outcome::Unknown`]; [`Record::Closed`] is its last record.
//! Records of different connections may be mixed at will: time orders those.
//!
//! **Time** is nanoseconds of one clock for the whole history, virtual or monotonic; only its
//! order matters. `invoked_ns` is taken before the request's first byte is sent and `returned_ns`
//! after the reply's last byte is read, or the judges refuse what was right.
//!
//! **cxids** rise within a session, over all its connections: a client goes on counting when it
//! comes back. The committed sequence is matched by (session, cxid).

use jute::Stat;

/// What all clients of a run lived through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub records: Vec<Record>,
}

/// One thing that happened to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Nearly all records are operations.
pub enum Record {
    Connected(Connected),
    Op(Op),
    Event(Event),
    /// The connection is gone, whoever ended it.
    Closed {
        conn: u32,
        at_ns: u64,
    },
}

/// A handshake that gave or renewed a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The connection's number, its own in the whole history.
    pub conn: u32,
    /// Who connected. A client has one connection at a time, and several one after another.
    pub client: u32,
    /// The session, new or resumed.
    pub session: i64,
    /// When the answer was read.
    pub at_ns: u64,
    /// The timeout that was agreed on.
    pub timeout_ms: i32,
    /// The zxid that the client said it had seen.
    pub seen_zxid: i64,
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    pub conn: u32,
    /// The client's number for it. Pings have -2.
    pub cxid: i32,
    /// Before its first byte was sent.
    pub invoked_ns: u64,
    pub request: Request,
    pub outcome: Outcome,
}

/// What a client knows of its request's effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answered(Answer),
    /// No reply came before the connection ended: it took effect once or not at all.
    Unknown,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// After its last byte was read.
    pub returned_ns: u64,
    /// The header's.
    pub zxid: i64,
    /// The header's. A failed multi has 0 here and its errors in the parts.
    pub error: i32,
    /// [`Reply::None`] with an error.
    pub reply: Reply,
}

/// What was asked. Paths are as the server sees them; ACLs are open to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Any of the four creates. Flags 4 mean createContainer; 5 and 6 mean createTTL, and only
    /// then does `ttl_ms` count. `with_stat` tells create2 from create.
    Create {
        path: String,
        data: Option<Vec<u8>>,
        /// 0 persistent, 1 ephemeral, 2 and 3 the same sequential, 4 container, 5 TTL, 6 TTL
        /// sequential.
        flags: i32,
        ttl_ms: i64,
        with_stat: bool,
    },
    Delete {
        path: String,
        version: i32,
    },
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    /// To an open list again: only the versions are looked at.
    SetAcl {
        path: String,
        version: i32,
    },
    /// In a multi only.
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Request>),
    GetData {
        path: String,
        watch: bool,
    },
    Exists {
        path: String,
        watch: bool,
    },
    /// getChildren2 if `with_stat`, else getChildren.
    Children {
        path: String,
        watch: bool,
        with_stat: bool,
    },
    Sync {
        path: String,
    },
    Ping,
    CloseSession,
    /// setWatches or setWatches2.
    SetWatches(Watches),
    AddWatch {
        path: String,
        recursive: bool,
    },
    /// `kind` as on the wire: 1 children, 2 data, 3 any, 4 persistent, 5 recursive.
    RemoveWatches {
        path: String,
        kind: i32,
    },
    /// Any other operation: only its order and its zxid are judged.
    Other(i32),
}

/// What a client goes on watching after a reconnect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watches {
    pub relative_zxid: i64,
    pub data: Vec<String>,
    pub exist: Vec<String>,
    pub child: Vec<String>,
    pub persistent: Vec<String>,
    pub recursive: Vec<String>,
}

/// A reply's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    None,
    /// create and sync.
    Path(String),
    /// create2, createContainer, createTTL.
    Created(Created),
    /// setData, setACL, exists.
    Stat(Stat),
    Data(Option<Vec<u8>>, Stat),
    /// The stat is getChildren2's. The names' order says nothing.
    Children(Vec<String>, Option<Stat>),
    Multi(Vec<Part>),
}

/// What became of a znode's creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub path: String,
    pub stat: Stat,
}

/// One operation's part of a multi's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub error: i32,
    pub reply: Reply,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub conn: u32,
    pub at_ns: u64,
    /// The header's: the transaction's, or -1 for what setWatches had missed.
    pub zxid: i64,
    /// As on the wire: 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    pub path: String,
}

impl Request {
    /// Whether it becomes a transaction.
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Request::Create { .. }
                | Request::Delete { .. }
                | Request::SetData { .. }
                | Request::SetAcl { .. }
                | Request::Check { .. }
                | Request::Multi(_)
                | Request::CloseSession
        )
    }
}

impl Op {
    /// The reply, if one came.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::Unknown => None,
        }
    }
}
