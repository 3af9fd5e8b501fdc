//! The two ways between workers and the pipeline: asks go in through one queue for all, effects
//! come back through an inbox for each worker. The sockets of the servers among each other leave
//! their events in the queue too.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::{oneshot, Notify};

use super::serving::{Serving, Term};
use super::words::{WatchReport, WatchesWanted};
use crate::pipeline::{Ask, WorkerEffects};
use crate::tree::Fired;
use crate::zab::Event;

/// What is on its way to the pipeline: requests of clients, and events of other servers.
#[derive(Default)]
pub struct AskQueue {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    term: Term,
    asks: Vec<Ask>,
    events: Vec<Event>,
    woken: bool,
    sleeping: bool,
}

impl Queue {
    fn is_quiet(&self) -> bool {
        self.asks.is_empty() && self.events.is_empty() && !self.woken
    }
}

impl AskQueue {
    /// Hands over what one wake-up of a worker has brought; leaves `asks` empty. What was asked
    /// in a term that is over by now is dropped: its connections are being closed.
    pub fn push(&self, asks: &mut Vec<Ask>, term: Term) {
        if asks.is_empty() {
            return;
        }
        let mut queue = self.lock();
        if queue.term != term {
            drop(queue);
            asks.clear();
            return;
        }
        queue.asks.append(asks);
        self.filled_now(queue);
    }

    /// Hands over what has come in from other servers; leaves `events` empty.
    pub fn push_events(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut queue = self.lock();
        queue.events.append(events);
        self.filled_now(queue);
    }

    /// Takes everything there is into `asks` and `events`, both empty, after waiting at most
    /// `patience` for something. The asks belong to the term returned: once that is over (the
    /// events may end it), they are to be dropped.
    pub fn take(&self, asks: &mut Vec<Ask>, events: &mut Vec<Event>, patience: Duration) -> Term {
        debug_assert!(asks.is_empty() && events.is_empty(), "what is there would be lost");
        let mut queue = self.lock();
        if queue.is_quiet() && !patience.is_zero() {
            queue.sleeping = true;
            queue = self
                .filled
                .wait_timeout_while(queue, patience, |q| q.is_quiet())
                .expect("nobody panics while holding it")
                .0;
            queue.sleeping = false;
        }
        queue.woken = false;
        std::mem::swap(&mut queue.asks, asks);
        std::mem::swap(&mut queue.events, events);
        queue.term
    }

    /// The present term.
    pub fn term(&self) -> Term {
        self.lock().term
    }

    /// Whether nobody asks for anything now.
    pub fn is_empty(&self) -> bool {
        let queue = self.lock();
        queue.asks.is_empty() && queue.events.is_empty()
    }

    /// Makes a waiting [`AskQueue::take`] return.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.filled.notify_one();
    }

    /// From now on only asks of the next term are taken; the others are dropped.
    pub(super) fn end_term(&self) -> Term {
        let mut queue = self.lock();
        queue.term = Term(queue.term.0 + 1);
        queue.asks.clear();
        queue.term
    }

    fn filled_now(&self, queue: std::sync::MutexGuard<'_, Queue>) {
        let sleeping = queue.sleeping;
        drop(queue);
        if sleeping {
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics while holding it")
    }
}

/// What waits for one worker.
#[derive(Default)]
pub struct Inbox {
    mail: Mutex<Vec<WorkerMail>>,
    pub(super) wake: Notify,
}

impl Inbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.mail.lock().expect("nobody panics while holding it").is_empty()
    }
}

/// One thing a worker must see to.
pub enum WorkerMail {
    /// A batch has been applied.
    Effects { fired: Arc<Vec<Fired>>, effects: WorkerEffects },
    /// The server serves from now on, as this.
    Serve(Serving),
    /// The term is over: no connection is served any more. What comes next belongs to this one.
    StopServing(Term),
    /// A connection has been accepted for this worker.
    Accepted(std::net::TcpStream, std::net::SocketAddr),
    /// Somebody wants to look at the worker's watches.
    Watches(WatchesWanted, oneshot::Sender<WatchReport>),
}

impl Inbox {
    /// Leaves something. For effects: while the replica's exclusive lock is still held, so that
    /// whoever reads the new state under the shared lock finds the events that precede it.
    pub fn leave(&self, mail: WorkerMail) {
        self.mail.lock().expect("nobody panics while holding it").push(mail);
    }

    /// Wakes the worker.
    pub fn ring(&self) {
        self.wake.notify_one();
    }

    /// Takes everything.
    pub(super) fn take(&self) -> Vec<WorkerMail> {
        let mut mail = self.mail.lock().expect("nobody panics while holding it");
        if mail.is_empty() {
            Vec::new()
        } else {
            std::mem::take(&mut mail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ConnId, SessionId};

    fn ask() -> Vec<Ask> {
        vec![Ask::Resume { session: SessionId(1), conn: ConnId(1), timeout_ms: 1 }]
    }

    fn taken(queue: &AskQueue) -> (usize, usize) {
        let (mut asks, mut events) = (Vec::new(), Vec::new());
        queue.take(&mut asks, &mut events, Duration::ZERO);
        (asks.len(), events.len())
    }

    #[test]
    fn asks_and_events_are_taken_together() {
        let queue = AskQueue::default();
        queue.push(&mut ask(), Term(0));
        queue.push_events(&mut vec![Event::Timeout, Event::DialFailed]);
        assert!(!queue.is_empty());
        assert_eq!(taken(&queue), (1, 2));
        assert_eq!(taken(&queue), (0, 0));
    }

    #[test]
    fn nothing_of_a_term_is_taken_once_it_is_over() {
        let queue = AskQueue::default();
        queue.push(&mut ask(), Term(0));
        queue.push_events(&mut vec![Event::Timeout]);
        assert_eq!(queue.end_term(), Term(1));
        assert_eq!(queue.term(), Term(1));
        assert_eq!(taken(&queue), (0, 1), "what other servers say belongs to no term");
        let mut late = ask();
        queue.push(&mut late, Term(0));
        assert!(late.is_empty());
        assert_eq!(taken(&queue), (0, 0));
        queue.push(&mut ask(), Term(1));
        assert_eq!(taken(&queue), (1, 0));
    }
}
