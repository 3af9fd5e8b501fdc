//! One connection's order: what may run, what must wait, what is answered next.
//!
//! Replies leave in the order of their requests. A read waits for the writes of its own
//! connection that came before it, and a write waits while a read in front of it waits: so a
//! read sees exactly what its session had done before, no less and no more. In an ensemble a sync
//! goes the way of a write, so that the reads behind it see what it has waited for.

use std::collections::VecDeque;

use bytes::Bytes;
use jute::OpCode;

/// Where a request is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On its connection's worker: reads.
    Here,
    /// In the pipeline, from where its answer comes back: writes and, in an ensemble, syncs.
    Pipeline,
}

/// A request that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub xid: i32,
    pub op: OpCode,
    pub way: Way,
    pub body: Bytes,
    /// When its frame was read, monotonic ms.
    pub received_ms: i64,
}

/// What to do with a request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Evaluate it and answer.
    Run,
    /// Hand it to the pipeline; the answer comes with its effects.
    Submit,
    /// Keep it with [`Lane::park`].
    Wait,
    /// The session is closing: no answer.
    Drop,
}

/// The state of one connection's order.
#[derive(Debug, Default)]
pub struct Lane {
    /// Requests handed to the pipeline and not answered yet.
    in_flight: usize,
    parked: VecDeque<Parked>,
    parked_bytes: usize,
    /// A closeSession has come in: whatever follows it is dropped.
    closing: bool,
}

impl Lane {
    /// Decides about the next request read from the connection.
    pub fn admit(&mut self, op: OpCode, way: Way) -> Verdict {
        if self.closing {
            return Verdict::Drop;
        }
        self.closing = op == OpCode::CloseSession;
        let is_behind_write = self.in_flight > 0 && !mutant!(ReadOvertakesWrite);
        if !self.parked.is_empty() || (way == Way::Here && is_behind_write) {
            return Verdict::Wait;
        }
        self.start(way)
    }

    /// Keeps a request that was told to wait.
    pub fn park(&mut self, request: Parked) {
        self.parked_bytes += request.body.len();
        self.parked.push_back(request);
    }

    /// Something that went to the pipeline has been answered.
    pub fn answered(&mut self) {
        assert!(self.in_flight > 0, "an answer without a request in flight");
        self.in_flight -= 1;
    }

    /// The next request whose turn has come, with what to do. A reply must be out, or the
    /// request handed on, before this is asked again.
    pub fn next_turn(&mut self) -> Option<(Verdict, Parked)> {
        let way = self.parked.front()?.way;
        if way == Way::Here && self.in_flight > 0 {
            return None;
        }
        let request = self.parked.pop_front()?;
        self.parked_bytes -= request.body.len();
        Some((self.start(way), request))
    }

    /// Requests that are not answered yet.
    pub fn outstanding(&self) -> usize {
        self.in_flight + self.parked.len()
    }

    /// Bytes of request bodies that wait.
    pub fn parked_bytes(&self) -> usize {
        self.parked_bytes
    }

    fn start(&mut self, way: Way) -> Verdict {
        match way {
            Way::Here => Verdict::Run,
            Way::Pipeline => {
                self.in_flight += 1;
                Verdict::Submit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(xid: i32, op: OpCode) -> Parked {
        Parked { xid, op, way: way(op), body: Bytes::new(), received_ms: 0 }
    }

    /// As in an ensemble.
    fn way(op: OpCode) -> Way {
        match op {
            OpCode::Sync => Way::Pipeline,
            op if op.is_write() => Way::Pipeline,
            _ => Way::Here,
        }
    }

    fn admit(lane: &mut Lane, op: OpCode) -> Verdict {
        lane.admit(op, way(op))
    }

    #[test]
    fn a_read_waits_for_the_sync_before_it() {
        let mut lane = Lane::default();
        assert_eq!(admit(&mut lane, OpCode::Sync), Verdict::Submit);
        assert_eq!(admit(&mut lane, OpCode::GetData), Verdict::Wait);
        lane.park(parked(2, OpCode::GetData));
        lane.answered();
        assert_eq!(lane.next_turn(), Some((Verdict::Run, parked(2, OpCode::GetData))));
        assert_eq!(lane.admit(OpCode::Sync, Way::Here), Verdict::Run, "a lone server's");
    }

    #[test]
    fn a_read_waits_for_the_writes_before_it_and_holds_the_writes_behind_it() {
        let mut lane = Lane::default();
        assert_eq!(admit(&mut lane, OpCode::SetData), Verdict::Submit);
        assert_eq!(admit(&mut lane, OpCode::SetData), Verdict::Submit);
        assert_eq!(admit(&mut lane, OpCode::GetData), Verdict::Wait);
        lane.park(parked(3, OpCode::GetData));
        assert_eq!(admit(&mut lane, OpCode::SetData), Verdict::Wait);
        lane.park(parked(4, OpCode::SetData));
        lane.answered();
        assert_eq!(lane.next_turn(), None);
        lane.answered();
        assert_eq!(lane.next_turn(), Some((Verdict::Run, parked(3, OpCode::GetData))));
        assert_eq!(lane.next_turn(), Some((Verdict::Submit, parked(4, OpCode::SetData))));
        assert_eq!(lane.outstanding(), 1);
    }

    #[test]
    fn an_idle_lane_runs_reads_at_once() {
        let mut lane = Lane::default();
        assert_eq!(admit(&mut lane, OpCode::GetData), Verdict::Run);
        assert_eq!(lane.outstanding(), 0);
    }

    #[test]
    fn nothing_is_answered_behind_a_close_session() {
        let mut lane = Lane::default();
        assert_eq!(admit(&mut lane, OpCode::CloseSession), Verdict::Submit);
        assert_eq!(admit(&mut lane, OpCode::GetData), Verdict::Drop);
        assert_eq!(admit(&mut lane, OpCode::SetData), Verdict::Drop);
    }
}
