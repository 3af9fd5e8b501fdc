//! An act of a server as a line, for whoever looks closely at a run.

use std::fmt::Write as _;

use crate::sim::check::{Act, Note, Said};
use crate::types::LoggedTxn;

/// The act, and what the server's disk holds.
pub(super) fn line(sid: usize, note: &Note) -> String {
    let disk = &note.durable;
    let act = match &note.act {
        Act::Says { to, packets, .. } => format!("-> {}: {}", to.0, listed(packets)),
        Act::Hears { from, packets, .. } => format!("<- {}: {}", from.0, listed(packets)),
        Act::Applies(txns) => format!("applies {}", span(txns)),
        Act::Votes(vote) => format!(
            "votes for {} at {} of epoch {:#x}, {:?} in round {:#x}",
            vote.leader.0, vote.zxid, vote.peer_epoch, vote.state, vote.round
        ),
        other => format!("{other:?}"),
    };
    format!("  {sid} [{} {:#x} {:#x}] {act}", disk.last, disk.accepted.0, disk.current.0)
}

fn span(txns: &[LoggedTxn]) -> String {
    match (txns.first(), txns.last()) {
        (Some(first), Some(last)) if txns.len() > 1 => format!("{} to {}", first.zxid, last.zxid),
        (Some(only), _) => only.zxid.to_string(),
        _ => "nothing".to_owned(),
    }
}

/// The packets, those of one kind in a row as a span.
fn listed(packets: &[Said]) -> String {
    let mut text = String::new();
    for row in packets.chunk_by(|one, next| one.kind == next.kind) {
        let (first, last) = (&row[0], &row[row.len() - 1]);
        let name = first.kind.map_or_else(|| "?".to_owned(), |kind| format!("{kind:?}"));
        write!(text, "{name} {}", first.zxid).expect("a string takes everything");
        if row.len() > 1 {
            write!(text, " to {}", last.zxid).expect("as above");
        }
        text.push_str(", ");
    }
    text.truncate(text.len().saturating_sub(2));
    text
}
