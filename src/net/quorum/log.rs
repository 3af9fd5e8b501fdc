//! What a learner lacks, from the log on disk: PROPOSAL and COMMIT of each record.

use std::io;
use std::sync::Arc;

use jute::quorum::{PacketType, QuorumPacket};
use jute::{Encode, Writer};

use super::transfer::{Outlet, Transfer};
use super::LogSource;
use crate::types::{LoggedTxn, Zxid};

/// Reads the records behind `from`, up to `upto`.
pub(super) fn send(log: &Arc<dyn LogSource>, from: Zxid, upto: Zxid) -> io::Result<Transfer> {
    let log = Arc::clone(log);
    Transfer::start("log-sender", move |outlet| {
        let mut last = from;
        let mut outcome = Ok(());
        log.read(from, upto, &mut |txn| {
            outcome = pass(outlet, &txn, &mut last, upto);
            outcome.is_ok()
        })?;
        outcome?;
        // The first zxid of an epoch is nobody's transaction.
        if last < upto && upto.counter() != 0 {
            return Err(io::Error::other(format!("the log ends at {last}, {upto} was promised")));
        }
        Ok(())
    })
}

fn pass(outlet: &mut Outlet, txn: &LoggedTxn, last: &mut Zxid, upto: Zxid) -> io::Result<()> {
    let zxid = txn.zxid;
    if zxid <= *last || zxid > upto {
        let why = format!("the log has {zxid} between {last} and {upto}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    *last = zxid;
    let mut w = Writer::from_vec(std::mem::take(outlet.buffer()));
    QuorumPacket::new(PacketType::Proposal, zxid.0, Some(&txn.bytes)).encode(&mut w);
    QuorumPacket::new(PacketType::Commit, zxid.0, None).encode(&mut w);
    *outlet.buffer() = w.into_vec();
    outlet.pass()
}
