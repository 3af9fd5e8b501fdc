//! Load by sessions: connect, open, close, again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::connection::{Connection, Window};
use super::stats::Stats;
use super::workload::Kind;
use super::BenchError;

/// One reply fits.
const INPUT_LEN: usize = 256;

/// Opens and closes sessions one after the other. A latency runs from the connect to the server's
/// closing of the socket.
pub async fn drive(
    addr: SocketAddr,
    session_timeout_ms: i32,
    mut quota: u64,
    window: &Window,
    stats: &Rc<RefCell<Stats>>,
) -> Result<(), BenchError> {
    loop {
        let sent_ns = window.now_ns();
        if quota == 0 || sent_ns >= window.measure_until_ns {
            return Ok(());
        }
        quota -= u64::from(sent_ns >= window.measure_from_ns);
        let connection = Connection::open(addr, session_timeout_ms, INPUT_LEN).await?;
        connection.close().await?;
        let now_ns = window.now_ns();
        stats.borrow_mut().count(window, sent_ns, now_ns, Kind::Write, 0);
    }
}
