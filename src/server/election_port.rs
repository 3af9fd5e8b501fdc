//! The election port as the quorum thread knows it: opened in the background, for the address may
//! be taken for a while.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::net::quorum::{self, EventSink};
use crate::net::{ElectionPort, ElectionPortError, ElectionPortOptions};
use crate::types::Sid;
use crate::zab::Notification;

/// The port, once it is open, and what is to be said by then.
struct Desk {
    port: Option<ElectionPort>,
    early: BTreeMap<Sid, Notification>,
}

/// What the quorum thread calls.
struct Commands(Rc<RefCell<Desk>>);

impl quorum::ElectionPort for Commands {
    fn notify(&self, to: Sid, notification: Notification) {
        let mut desk = self.0.borrow_mut();
        match &desk.port {
            Some(port) => port.send(to, &notification),
            None => {
                desk.early.insert(to, notification);
            }
        }
    }

    fn heard(&self, from: Sid, bytes: usize) {
        if let Some(port) = &self.0.borrow().port {
            port.heard(from, bytes);
        }
    }
}

/// Opens the port on the current `LocalSet`. `failed` hears if that can't be done.
pub(super) fn open(
    options: ElectionPortOptions,
    sink: EventSink,
    failed: impl FnOnce(ElectionPortError) + 'static,
) -> Box<dyn quorum::ElectionPort> {
    let desk = Rc::new(RefCell::new(Desk { port: None, early: BTreeMap::new() }));
    let commands = Commands(Rc::clone(&desk));
    tokio::task::spawn_local(async move {
        match ElectionPort::start(options, Rc::new(move |event| sink(&mut vec![event]))).await {
            Ok(port) => {
                let mut desk = desk.borrow_mut();
                for (to, notification) in std::mem::take(&mut desk.early) {
                    port.send(to, &notification);
                }
                desk.port = Some(port);
            }
            Err(e) => failed(e),
        }
    });
    Box::new(commands)
}
