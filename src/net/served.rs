//! A worker and its connections without a runtime: whoever has them lets them go on, one step at
//! a time. The simulator does.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::conn::Conn;
use super::socket::ClientSocket;
use super::worker::Worker;
use super::Shared;
use crate::types::ConnId;

/// One worker.
pub struct ServingDesk {
    worker: Rc<Worker>,
}

/// One connection of it.
pub struct Served {
    worker: Rc<Worker>,
    conn: Rc<Conn>,
}

impl ServingDesk {
    /// Worker `index` of the server.
    pub fn new(shared: Arc<Shared>, index: usize, hash_seed: u64) -> ServingDesk {
        ServingDesk { worker: Rc::new(Worker::new(shared, index, hash_seed)) }
    }

    /// Takes a new connection in; `None` turns it away.
    pub fn accept(&self, socket: Box<dyn ClientSocket>, peer: SocketAddr) -> Option<Served> {
        let now = (self.worker.shared.clock)();
        let conn = self.worker.take_in(move || Ok(socket), peer, now)?;
        Some(Served { worker: Rc::clone(&self.worker), conn })
    }

    /// Sees to what the pipeline has left for the worker.
    pub fn turn(&self) {
        self.worker.turn();
        self.worker.hand_over();
    }

    /// Closes connections that have said nothing for too long.
    pub fn sweep(&self) {
        self.worker.sweep();
    }
}

impl Served {
    /// Its number.
    pub fn id(&self) -> ConnId {
        self.conn.stats.id
    }

    /// Goes on as far as it can now; `false`: it is over.
    pub fn go_on(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        while !self.conn.state.borrow().is_finished() {
            match self.conn.poll_event(&mut cx) {
                Poll::Ready(event) => {
                    self.worker.happen(&self.conn, event);
                    self.worker.hand_over();
                }
                Poll::Pending => return true,
            }
        }
        self.worker.part(&self.conn);
        false
    }
}
