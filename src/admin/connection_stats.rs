//! What each connection keeps for `cons`: a few numbers, written by the worker that owns it.

use super::view::ConnectionSession;
use crate::types::{SessionId, Zxid};
use jute::OpCode;

/// The statistics of one connection (Apache's `ServerCnxn`). `crst` resets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Packets received, the handshake included.
    pub received: i64,
    /// Packets sent: replies and events.
    pub sent: i64,
    last_op: Option<OpCode>,
    last_cxid: i64,
    last_zxid: Zxid,
    last_response_ms: i64,
    last_latency_ms: i64,
    min_latency_ms: Option<i64>,
    max_latency_ms: i64,
    answered: i64,
    total_latency_ms: i64,
}

impl Default for ConnectionStats {
    fn default() -> ConnectionStats {
        ConnectionStats {
            received: 0,
            sent: 0,
            last_op: None,
            last_cxid: -1,
            last_zxid: Zxid::NONE,
            last_response_ms: 0,
            last_latency_ms: 0,
            min_latency_ms: None,
            max_latency_ms: 0,
            answered: 0,
            total_latency_ms: 0,
        }
    }
}

impl ConnectionStats {
    /// A request is answered. `op` is `None` for a write that failed, as Apache shows it; `zxid`
    /// is that of the reply. The handshake counts as a request with `cxid` 0. Times are
    /// monotonic.
    pub fn answered(
        &mut self,
        op: Option<OpCode>,
        cxid: i32,
        zxid: Zxid,
        arrived_ms: i64,
        now_ms: i64,
    ) {
        // Pings and the like have xids below 0 and don't hide the last real operation.
        if cxid >= 0 {
            self.last_cxid = i64::from(cxid);
        }
        let latency_ms = now_ms - arrived_ms;
        self.last_op = op;
        self.last_zxid = zxid;
        self.last_response_ms = now_ms;
        self.last_latency_ms = latency_ms;
        self.min_latency_ms = Some(self.min_latency_ms.unwrap_or(latency_ms).min(latency_ms));
        self.max_latency_ms = self.max_latency_ms.max(latency_ms);
        self.answered += 1;
        self.total_latency_ms += latency_ms;
    }

    /// What `cons` shows of a connection with a session.
    pub fn view(
        &self,
        id: SessionId,
        timeout_ms: i32,
        established_wall_ms: i64,
    ) -> ConnectionSession {
        ConnectionSession {
            id,
            established_wall_ms,
            timeout_ms,
            last_op: self.last_op,
            last_cxid: self.last_cxid,
            last_zxid: self.last_zxid,
            last_response_ms: self.last_response_ms,
            last_latency_ms: self.last_latency_ms,
            min_latency_ms: self.min_latency_ms.unwrap_or(0),
            avg_latency_ms: self.total_latency_ms.checked_div(self.answered).unwrap_or(0),
            max_latency_ms: self.max_latency_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_shows_but_does_not_hide_the_last_cxid() {
        let mut stats = ConnectionStats::default();
        stats.answered(Some(OpCode::CreateSession), 0, Zxid(1), 100, 133);
        stats.answered(Some(OpCode::GetData), 0x1c, Zxid(5), 200, 200);
        stats.answered(Some(OpCode::Ping), -2, Zxid(7), 300, 301);
        let view = stats.view(SessionId(1), 10_000, 9);
        assert_eq!((view.last_op, view.last_cxid), (Some(OpCode::Ping), 0x1c));
        assert_eq!((view.last_zxid, view.last_response_ms), (Zxid(7), 301));
        let latencies = (view.last_latency_ms, view.min_latency_ms, view.avg_latency_ms);
        assert_eq!((latencies, view.max_latency_ms), ((1, 0, 11), 33));
    }

    #[test]
    fn before_the_first_answer_there_is_nothing_to_show() {
        let view = ConnectionStats::default().view(SessionId(1), 10_000, 9);
        assert_eq!((view.last_op, view.last_cxid, view.last_zxid), (None, -1, Zxid::NONE));
        assert_eq!((view.min_latency_ms, view.avg_latency_ms, view.max_latency_ms), (0, 0, 0));
    }
}
