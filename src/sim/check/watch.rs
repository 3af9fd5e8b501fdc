//! Promise P5, while it happens: over a connection an event comes before any reply that shows its
//! change, and events come in the order of the changes. That each comes once and none is missing
//! the judge of histories says, which knows what was watched (`history::watches`).

use std::collections::BTreeMap;

use super::{Act, Check, Note, WorldView};
use crate::sim::history::{Event, Op, Record};

/// The last of each connection.
#[derive(Debug, Default)]
pub struct Watch {
    conns: BTreeMap<u32, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    replied: i64,
    fired: i64,
}

impl Check for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn after(&mut self, _view: &WorldView<'_>, _node: usize, note: &Note) -> Result<(), String> {
        let Act::Client(lived) = &note.act else { return Ok(()) };
        match &lived.record {
            Record::Op(op) => {
                self.replies(op);
                Ok(())
            }
            Record::Event(event) => self.fires(event),
            Record::Closed { conn, .. } => {
                self.conns.remove(conn);
                Ok(())
            }
            Record::Connected(_) => Ok(()),
        }
    }
}

impl Watch {
    fn replies(&mut self, op: &Op) {
        let Some(answer) = op.answer() else { return };
        let seen = self.conns.entry(op.conn).or_default();
        seen.replied = seen.replied.max(answer.zxid);
    }

    fn fires(&mut self, event: &Event) -> Result<(), String> {
        // What setWatches had missed has no number.
        if event.zxid <= 0 {
            return Ok(());
        }
        let (seen, zxid) = (self.conns.entry(event.conn).or_default(), event.zxid);
        if zxid <= seen.replied {
            let replied = seen.replied;
            return Err(format!("behind a reply that showed {replied:#x}: {}", text(event)));
        }
        let before = std::mem::replace(&mut seen.fired, zxid);
        if zxid < before {
            return Err(format!("behind the event of {before:#x}: {}", text(event)));
        }
        Ok(())
    }
}

fn text(event: &Event) -> String {
    let Event { conn, zxid, kind, path, .. } = event;
    format!("event {kind} of {path} at {zxid:#x} over connection {conn}")
}

#[cfg(test)]
mod tests {
    use super::super::stage::{event, told, zxid, Stage};
    use super::*;
    use crate::types::Zxid;

    #[test]
    fn an_event_comes_before_the_reply_that_shows_it() {
        let (mut stage, mut check) = (Stage::new(), Watch::default());
        stage.act(&mut check, 0, event(zxid(1, 2))).expect("the first");
        stage.act(&mut check, 0, told(1, zxid(1, 3), false)).expect("behind it");
        stage.act(&mut check, 0, event(Zxid::NONE)).expect("missed, by setWatches");
        stage.act(&mut check, 0, event(zxid(1, 3))).expect_err("too late");
    }

    #[test]
    fn events_come_in_order() {
        let (mut stage, mut check) = (Stage::new(), Watch::default());
        stage.act(&mut check, 0, event(zxid(1, 2))).expect("the first");
        stage.act(&mut check, 0, event(zxid(1, 2))).expect("the same change, another path");
        stage.act(&mut check, 0, event(zxid(1, 1))).expect_err("an older change");
    }
}
