//! Promise P8: every queue has a limit and keeps it, as far as a queue can be seen from outside:
//! requests in the pipeline (and at the end none that was forgotten in the count), proposals that
//! wait for a quorum, replies that clients have not taken, packets that wait for a link.

use super::{Check, NodeView, Note, WorldView};
use crate::limits::{LANE_REQUESTS_MAX, LINK_OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX};

/// `globalOutstandingLimit` where zoo.cfg has none.
const PROPOSED_MAX: usize = 1_000;

/// Needs no memory.
#[derive(Debug, Default)]
pub struct Bounds;

impl Check for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn after(&mut self, _view: &WorldView<'_>, _node: usize, _note: &Note) -> Result<(), String> {
        Ok(())
    }

    fn at_rest(&mut self, view: &WorldView<'_>, node: usize) -> Result<(), String> {
        keeps_limits(&view.nodes[node], LANE_REQUESTS_MAX)
    }

    /// Nobody asks any more: what counts as asked is a leak. Handshakes may be on their way.
    fn at_end(&mut self, view: &WorldView<'_>) -> Result<(), String> {
        view.nodes.iter().try_for_each(|it| keeps_limits(it, it.queues.connections))
    }
}

fn keeps_limits(it: &NodeView<'_>, asked_max: usize) -> Result<(), String> {
    let (sid, queues) = (it.sid.0, it.queues);
    // Those of connections that are gone count until the pipeline is through with them.
    let Ok(in_pipeline) = usize::try_from(queues.in_pipeline) else {
        return Err(format!("{sid} counts {} requests", queues.in_pipeline));
    };
    for (what, found, limit) in [
        ("requests in the pipeline", in_pipeline, asked_max),
        ("proposals", queues.proposed, PROPOSED_MAX),
        ("bytes of replies", queues.reply_bytes, OUTPUT_BYTES_MAX),
        ("bytes for a link", queues.link_bytes, LINK_OUTPUT_BYTES_MAX),
    ] {
        if found > limit {
            return Err(format!("{sid} has {found} {what}, and {limit} is the limit"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::super::Queues;
    use super::*;

    fn rests(queues: Queues) -> Result<(), String> {
        let mut stage = Stage::new();
        stage.nodes[0].queues = queues;
        stage.rest(&mut Bounds, 0)
    }

    #[test]
    fn limits_are_limits() {
        let full = Queues {
            connections: 2,
            in_pipeline: LANE_REQUESTS_MAX as i64,
            proposed: PROPOSED_MAX,
            reply_bytes: OUTPUT_BYTES_MAX,
            link_bytes: LINK_OUTPUT_BYTES_MAX,
        };
        rests(full).expect("full is not too full");
        for too_much in [
            Queues { in_pipeline: LANE_REQUESTS_MAX as i64 + 1, ..full },
            Queues { in_pipeline: -1, ..full },
            Queues { proposed: PROPOSED_MAX + 1, ..full },
            Queues { reply_bytes: OUTPUT_BYTES_MAX + 1, ..full },
            Queues { link_bytes: LINK_OUTPUT_BYTES_MAX + 1, ..full },
        ] {
            rests(too_much).expect_err("over a limit");
        }
    }

    #[test]
    fn at_the_end_nothing_waits() {
        let mut stage = Stage::new();
        stage.nodes[2].queues = Queues { connections: 2, in_pipeline: 2, ..Queues::default() };
        stage.end(&mut Bounds).expect("two handshakes");
        stage.nodes[2].queues.in_pipeline = 3;
        stage.end(&mut Bounds).expect_err("more than that is forgotten in the count");
    }
}
