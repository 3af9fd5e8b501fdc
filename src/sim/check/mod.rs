//! What must hold at every instant, one file each. A check hears of everything that a server does
//! which matters to somebody else, together with what its disk held for certain at that instant.

mod ack_durable;
mod leadership;
mod prefix;
mod quorum_durable;

use std::fmt;

use bytes::{Bytes, BytesMut};
use jute::quorum::PacketType;

use super::durable::{Durable, DurableState};
use crate::types::{LoggedTxn, Sid, Zxid};
use crate::zab::{LinkId, Membership, Packet, Role};

/// Something that a server does.
#[derive(Debug, Clone)]
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
    Says { to: Sid, dialled: bool, packets: Vec<Said> },
}

/// A packet as far as checks need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub kind: Option<PacketType>,
    pub zxid: Zxid,
    pub data: Option<Bytes>,
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
}

/// Everything a check may look at.
pub struct WorldView<'a> {
    pub now_ns: u64,
    pub nodes: &'a [NodeView<'a>],
    pub membership: &'a Membership,
    /// What has been agreed upon, before the act.
    pub committed: &'a Committed,
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
    ]
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

/// Reads encoded packets again.
pub(super) fn read_again(packets: &Bytes) -> Vec<Said> {
    let mut buffer = BytesMut::from(&packets[..]);
    let mut said = Vec::new();
    let limits = jute::Limits::DEFAULT;
    while let Ok(Some(packet)) = crate::net::quorum::next_packet(&mut buffer, limits) {
        let Packet { kind, zxid, data, .. } = packet;
        said.push(Said { kind, zxid, data });
    }
    said
}
