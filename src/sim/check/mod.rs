//! What must hold at every instant, one file each. A check hears of everything that a server does
//! which matters to somebody else, together with what its disk held for certain at that instant;
//! of what servers hear from each other, and of what clients are told.

mod ack_durable;
mod acked;
mod agreement;
mod bounds;
mod digest;
mod fifo;
mod integrity;
mod leader_completeness;
mod leadership;
mod message_legal;
mod monotonic;
mod no_lies;
mod ordering;
mod prefix;
mod primary_order;
mod quorum_durable;
mod session;
#[cfg(test)]
mod stage;
mod total_order;
mod vote;
mod watch;

pub use session::WRONGFUL;

use std::fmt;

use bytes::{Bytes, BytesMut};
use jute::quorum::PacketType;
use jute::txn::Txn;

use super::durable::{Durable, DurableState};
use super::history::Record;
use crate::tree::{NodeRef, Replica};
use crate::types::{LoggedTxn, Sid, Zxid};
use crate::zab::{LinkId, Membership, Notification, Packet, Role};

/// Something that a server does.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // Few are kept, and none for long.
pub enum Act {
    /// Its process begins, with this state.
    Starts { applied: Zxid },
    /// Its process ends, with or without its power.
    Ends,
    /// It is about to apply these.
    Applies(Vec<LoggedTxn>),
    /// It takes a role; `applied` is the last transaction in its replica.
    Role { role: Role, applied: Zxid },
    /// It hands encoded packets to a link.
    Sends { link: LinkId, packets: Bytes },
    /// The same, read again; `to` is who is at the other end, `dialled` who has opened the link.
    Says { to: Sid, link: LinkId, dialled: bool, packets: Vec<Said> },
    /// Packets have come in for it, those out of files too, the bodies of snapshots not; `from`
    /// is who is at the other end, `dialled` whether this server has opened the link.
    Hears { from: Sid, link: LinkId, dialled: bool, packets: Vec<Said> },
    /// It tells another one how it votes.
    Votes(Notification),
    /// Its client writes down what it has lived through.
    Client(Lived),
}

/// What a client has written down, and of which session.
#[derive(Debug, Clone)]
pub struct Lived {
    pub client: u32,
    pub session: i64,
    /// The timeout that was agreed on, ms.
    pub timeout_ms: i32,
    pub record: Record,
}

/// A packet as far as checks need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub kind: Option<PacketType>,
    pub zxid: Zxid,
    pub data: Option<Bytes>,
}

impl From<&Packet> for Said {
    fn from(packet: &Packet) -> Said {
        Said { kind: packet.kind, zxid: packet.zxid, data: packet.data.clone() }
    }
}

/// An act, and what the server's disk held for certain at that instant.
#[derive(Debug, Clone)]
pub struct Note {
    pub act: Act,
    pub durable: Durable,
}

/// A server as a check sees it, behind the step in which the act happened.
pub struct NodeView<'a> {
    pub sid: Sid,
    pub is_voter: bool,
    /// Its process runs.
    pub is_up: bool,
    /// The role it has taken last; `Looking` while it is down.
    pub role: Role,
    /// What its disk holds for certain.
    pub durable: &'a DurableState,
    /// Bits of its disk have been flipped: what it holds is not what it held.
    pub is_damaged: bool,
    /// Its tree; `None` while it is down. For `at_rest` and `at_end`: when `after` is asked, it
    /// may be ahead of the act already.
    pub replica: Option<&'a Replica>,
    /// Up to where it takes its log for durable.
    pub claims: Option<Zxid>,
    /// Why it has left its last role.
    pub left: Option<&'static str>,
    /// From when to when it has stood still, ns: in order, and one behind the other.
    pub pauses: &'a [(u64, u64)],
    pub queues: Queues,
}

/// How much waits in a server, and how much may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queues {
    /// Connections of clients.
    pub connections: usize,
    /// Requests between the workers and their replies, by the server's own count.
    pub in_pipeline: i64,
    /// Transactions that are proposed and not committed.
    pub proposed: usize,
    /// Bytes of replies that the fullest client connection has not taken.
    pub reply_bytes: usize,
    /// Bytes of packets that wait for the fullest link to another server.
    pub link_bytes: usize,
}

/// Everything a check may look at.
pub struct WorldView<'a> {
    pub now_ns: u64,
    pub nodes: &'a [NodeView<'a>],
    pub membership: &'a Membership,
    /// What has been agreed upon, before the act.
    pub committed: &'a Committed,
    /// Since when nobody has been down, cut off, standing still, or changed its role.
    pub calm_since_ns: u64,
    pub tick_ns: u64,
    /// In calm, a server's word is with another one behind so long, ns.
    pub slack_ns: u64,
    /// No transaction has this counter.
    pub last_counter: u32,
}

/// An invariant is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub check: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// An invariant.
pub trait Check {
    /// Its name: that of its file.
    fn name(&self) -> &'static str;

    /// Looks at an act of `view.nodes[node]`.
    ///
    /// # Errors
    /// What is wrong, without the check's name.
    fn after(&mut self, view: &WorldView<'_>, node: usize, note: &Note) -> Result<(), String>;

    /// Looks at `view.nodes[node]` when it has done all that there was to do.
    ///
    /// # Errors
    /// As above.
    fn at_rest(&mut self, _view: &WorldView<'_>, _node: usize) -> Result<(), String> {
        Ok(())
    }

    /// Looks at the end, when all has been healed.
    ///
    /// # Errors
    /// As above.
    fn at_end(&mut self, _view: &WorldView<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Check>> {
    vec![
        Box::<leadership::Leadership>::default(),
        Box::<prefix::Prefix>::default(),
        Box::<quorum_durable::QuorumDurable>::default(),
        Box::<ack_durable::AckDurable>::default(),
        Box::<integrity::Integrity>::default(),
        Box::<agreement::Agreement>::default(),
        Box::<total_order::TotalOrder>::default(),
        Box::<primary_order::PrimaryOrder>::default(),
        Box::<leader_completeness::LeaderCompleteness>::default(),
        Box::<message_legal::MessageLegal>::default(),
        Box::<ordering::Ordering>::default(),
        Box::<vote::Vote>::default(),
        Box::<monotonic::Monotonic>::default(),
        Box::<digest::Digest>::default(),
        Box::<fifo::Fifo>::default(),
        Box::<acked::Acked>::default(),
        Box::<watch::Watch>::default(),
        Box::<session::Session>::default(),
        Box::<bounds::Bounds>::default(),
    ]
}

/// What is left of them when more disks are damaged than anybody can bear: refusing is fine.
pub fn over_damaged() -> Vec<Box<dyn Check>> {
    vec![Box::<no_lies::NoLies>::default(), Box::<digest::Digest>::default()]
}

/// The transactions agreed upon, in order, as the first server that served them had them.
#[derive(Debug, Default)]
pub struct Committed {
    txns: Vec<LoggedTxn>,
}

impl Committed {
    /// All of them.
    pub fn txns(&self) -> &[LoggedTxn] {
        &self.txns
    }

    /// The last one.
    pub fn last(&self) -> Zxid {
        self.txns.last().map_or(Zxid::ZERO, |txn| txn.zxid)
    }

    /// Where a transaction stands.
    pub fn find(&self, zxid: Zxid) -> Option<usize> {
        self.txns.binary_search_by_key(&zxid, |txn| txn.zxid).ok()
    }

    /// Adds what is behind the last.
    pub(super) fn extend<'a>(&mut self, txns: impl Iterator<Item = &'a LoggedTxn>) {
        for txn in txns {
            if txn.zxid > self.last() {
                self.txns.push(txn.clone());
            }
        }
    }
}

/// Whether a server in this role serves what it applies.
pub fn serves(role: Role) -> bool {
    matches!(role, Role::Leading { .. } | Role::Learning { .. })
}

/// Whether a transaction changes nothing: a number that was taken for a request that failed.
fn is_nothing(txn: &Txn<'_>) -> bool {
    match txn {
        Txn::Error(_) => true,
        Txn::Multi(parts) => parts.iter().any(is_nothing),
        _ => false,
    }
}

/// All znodes of a tree, with their paths.
fn walk(replica: &Replica) -> impl Iterator<Item = (String, NodeRef<'_>)> {
    let mut paths = vec!["/".to_owned()];
    std::iter::from_fn(move || {
        let path = paths.pop()?;
        let znode = replica.get(&path)?;
        let prefix = if path == "/" { "" } else { &path };
        paths.extend(znode.children().map(|name| format!("{prefix}/{name}")));
        Some((path, znode))
    })
}

/// Reads encoded packets again.
pub(super) fn read_again(packets: &Bytes) -> Vec<Said> {
    let mut buffer = BytesMut::from(&packets[..]);
    let mut said = Vec::new();
    let limits = jute::Limits::DEFAULT;
    while let Ok(Some(packet)) = crate::net::quorum::next_packet(&mut buffer, limits) {
        said.push(Said::from(&packet));
    }
    said
}
