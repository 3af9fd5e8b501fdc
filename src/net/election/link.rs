//! One connection with one server: frames out of its outbox, frames in to the events.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use jute::quorum::NOTIFICATION_LEN_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Inner;
use crate::limits;
use crate::types::Sid;
use crate::zab::{Event, Notification};

/// A connection that is in use.
pub(super) struct Link {
    number: u64,
    /// There is something in the outbox.
    pub wake: Rc<Notify>,
    task: AbortHandle,
}

impl Inner {
    /// Uses a connection from now on, in place of one there may have been.
    pub(super) fn adopt(self: &Rc<Self>, sid: Sid, stream: TcpStream) {
        self.hang_up(sid);
        self.say_reached(sid);
        if let Ok(peer) = stream.peer_addr() {
            tracing::debug!("Votes go to and come from server {} at {peer}", sid.0);
        }
        {
            let mut outboxes = self.outboxes.borrow_mut();
            let outbox = outboxes.entry(sid).or_default();
            if outbox.next.is_none() {
                outbox.next = outbox.last.clone();
            }
        }
        self.last_link.set(self.last_link.get() + 1);
        let number = self.last_link.get();
        let wake = Rc::new(Notify::new());
        let (inner, woken) = (Rc::clone(self), Rc::clone(&wake));
        let task = self.spawn(async move {
            let (reading, writing) = stream.into_split();
            let why = tokio::select! {
                why = inner.read(sid, reading) => why,
                why = inner.write(sid, writing, &woken) => why,
            };
            if !inner.forget(sid, number) {
                return;
            }
            tracing::info!("The election connection with server {} is closed: {why}", sid.0);
            if inner.may_have_lost_news(sid) {
                inner.dial(sid, Vec::new());
            }
        });
        self.links.borrow_mut().insert(sid, Link { number, wake, task });
    }

    /// Closes the connection with a server, if there is one.
    pub(super) fn hang_up(&self, sid: Sid) {
        if let Some(link) = self.links.borrow_mut().remove(&sid) {
            tracing::info!("The election connection with server {} gives way to a new one", sid.0);
            link.task.abort();
        }
    }

    /// How many connections there are with servers that the configuration doesn't know.
    pub(super) fn strangers(&self) -> usize {
        self.links.borrow().keys().filter(|sid| !self.is_peer(**sid)).count()
    }

    /// Takes a link that has ended out of use. False if another one is in its place.
    fn forget(&self, sid: Sid, number: u64) -> bool {
        let mut links = self.links.borrow_mut();
        let is_current = links.get(&sid).is_some_and(|link| link.number == number);
        if is_current {
            links.remove(&sid);
            if !self.is_peer(sid) {
                self.outboxes.borrow_mut().remove(&sid);
            }
        }
        is_current
    }

    /// Whether what was last to be said may have gone into a connection that was already dead.
    /// Apache finds out at the next resend; a dial tells at once that nobody listens any more, or
    /// says it again. Only once for each message: a server that takes new connections for old ones
    /// shall not be knocked at for ever.
    fn may_have_lost_news(&self, sid: Sid) -> bool {
        let mut outboxes = self.outboxes.borrow_mut();
        let renewed_at = outboxes.get_mut(&sid).and_then(|outbox| outbox.renewed_at.take());
        self.is_peer(sid) && renewed_at.is_some_and(|at| at.elapsed() < NEWS_AGE_MAX)
    }

    /// Writes what the outbox holds, for ever. Returns why not.
    async fn write(&self, sid: Sid, mut writing: OwnedWriteHalf, woken: &Notify) -> String {
        loop {
            match self.next_frame(sid) {
                Some(frame) => {
                    if let Err(e) = writing.write_all(&frame).await {
                        return e.to_string();
                    }
                }
                None => woken.notified().await,
            }
        }
    }

    fn next_frame(&self, sid: Sid) -> Option<Bytes> {
        let mut outboxes = self.outboxes.borrow_mut();
        let outbox = outboxes.get_mut(&sid)?;
        let frame = outbox.next.take()?;
        outbox.last = Some(frame.clone());
        Some(frame)
    }

    /// Reads notifications, for ever. Returns why not.
    async fn read(&self, sid: Sid, mut reading: OwnedReadHalf) -> String {
        let mut received = BytesMut::with_capacity(READ_LEN);
        let mut in_a_row = 0;
        let mut has_complained = false;
        loop {
            match take_frame(&mut received) {
                Err(len) => return format!("a notification of {len} bytes"),
                Ok(Some(frame)) => {
                    match Notification::from_wire(&frame) {
                        Some(notification) => {
                            (self.events)(Event::Notification { from: sid, notification });
                        }
                        None if has_complained => {}
                        None => {
                            has_complained = true;
                            tracing::warn!("A notification of server {} can't be read", sid.0);
                        }
                    }
                    in_a_row += 1;
                    if in_a_row == limits::ELECTION_NOTIFICATIONS_IN_A_ROW {
                        in_a_row = 0;
                        tokio::time::sleep(FLOOD_REST).await;
                    }
                }
                Ok(None) => match read_some(&mut reading, &mut received).await {
                    Ok(0) => return "hung up".to_owned(),
                    Ok(_) => {}
                    Err(e) => return e.to_string(),
                },
            }
        }
    }
}

async fn read_some(reading: &mut OwnedReadHalf, received: &mut BytesMut) -> io::Result<usize> {
    // What a frame claims is not reserved before it comes.
    received.reserve(READ_LEN);
    reading.read_buf(received).await
}

/// Takes a whole frame off the front. An impossible length is the error.
fn take_frame(received: &mut BytesMut) -> Result<Option<Bytes>, i32> {
    let Some(head) = received.first_chunk::<4>() else { return Ok(None) };
    let said = i32::from_be_bytes(*head);
    let len = usize::try_from(said).map_err(|_| said)?;
    if len == 0 || len > NOTIFICATION_LEN_MAX {
        return Err(said);
    }
    if received.len() < 4 + len {
        return Ok(None);
    }
    received.advance(4);
    Ok(Some(received.split_to(len).freeze()))
}

/// Room for a few notifications.
const READ_LEN: usize = 4096;

/// What was said longer ago has arrived, or was lost to a connection that nobody missed.
const NEWS_AGE_MAX: Duration = Duration::from_secs(1);

/// Nobody has that much to say; whoever does is heard slowly.
const FLOOD_REST: Duration = Duration::from_millis(100);
