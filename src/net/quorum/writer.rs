//! From the queue to the socket. Packets are written as many at a time as the system takes; what
//! comes from a file is pulled through the queue a stretch at a time, and the rest waits behind it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::link::{End, Link};
use super::thread::Desk;
use super::transfer::{Part, Transfer};
use super::{log, snapshot, SnapshotFile, SnapshotSink};
use crate::types::Zxid;
use crate::zab::Event;

/// Pieces handed to the system in one call.
const SLICES: usize = 64;

/// Something to send.
pub(super) enum Item {
    /// Encoded packets.
    Packets(Bytes),
    /// Records of the log.
    Log { from: Zxid, upto: Zxid },
    /// SNAP, with all that belongs to it.
    Snapshot(SnapshotFile),
}

/// What waits to be sent on one link.
#[derive(Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Queue {
    /// Puts something behind the others; never packets of no bytes.
    pub fn push(&mut self, item: Item) {
        if let Item::Packets(packets) = &item {
            self.bytes += packets.len();
        }
        self.bytes += size_of::<Item>();
        self.items.push_back(item);
    }

    /// Takes away what stands at the front.
    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= size_of::<Item>();
        Some(item)
    }

    /// Whether anything that comes from a file waits.
    fn has_transfer(&self) -> bool {
        self.items.iter().any(|item| !matches!(item, Item::Packets(_)))
    }

    /// How much memory waits here: encoded packets and the queue itself.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Shows the packets at the front to `write`, which says how many bytes it took; how many items
    /// are out by that.
    fn write(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, item) in slices.iter_mut().zip(&self.items) {
            let Item::Packets(packets) = item else { break };
            *slice = IoSlice::new(packets);
            count += 1;
        }
        let mut written = write(&slices[..count])?;
        self.bytes -= written;
        let before = self.items.len();
        while written > 0 {
            let Some(Item::Packets(packets)) = self.items.front_mut() else {
                unreachable!("only packets were shown");
            };
            let n = written.min(packets.len());
            packets.advance(n);
            written -= n;
            if packets.is_empty() {
                self.pop();
            }
        }
        Ok(before - self.items.len())
    }
}

/// What stands at the front of a queue.
enum Front {
    Nothing,
    Packets,
    Transfer { of_log: bool, transfer: io::Result<Transfer> },
}

/// Writes until the connection ends, or until it shall be closed and nothing is left.
pub(super) async fn run<S: SnapshotSink>(link: &Link, desk: &Desk<S>) -> End {
    let stall = Some(Duration::from_millis(desk.settings.transfer_stall_ms));
    loop {
        let outcome = match front(link, desk) {
            Front::Nothing if link.closing.is_cancelled() => return End::Closed,
            Front::Nothing => {
                link.queued.notified().await;
                Ok(())
            }
            Front::Packets => {
                // What stands in front of a transfer belongs to it: the core waits for its end.
                let in_front = link.queue.borrow().has_transfer();
                write_packets(link, stall.filter(|_| in_front)).await
            }
            Front::Transfer { of_log, transfer: Ok(transfer) } => {
                let outcome = pass_on(link, of_log, transfer, stall).await;
                sent(link, 1);
                if outcome.is_ok() && !link.queue.borrow().has_transfer() {
                    desk.tell(Event::BulkSent { link: link.id });
                }
                outcome
            }
            Front::Transfer { transfer: Err(e), .. } => {
                Err(End::Failed(format!("no thread can be started to send it more: {e}")))
            }
        };
        if let Err(end) = outcome {
            return end;
        }
        // A socket that takes everything must not keep the thread to itself.
        tokio::task::coop::consume_budget().await;
    }
}

fn front<S>(link: &Link, desk: &Desk<S>) -> Front {
    let mut queue = link.queue.borrow_mut();
    match queue.items.front() {
        None => return Front::Nothing,
        Some(Item::Packets(_)) => return Front::Packets,
        Some(Item::Log { .. } | Item::Snapshot(_)) => {}
    }
    match queue.pop() {
        Some(Item::Log { from, upto }) => {
            Front::Transfer { of_log: true, transfer: log::send(&desk.sources.log, from, upto) }
        }
        Some(Item::Snapshot(file)) => {
            if let Some(tracker) = &link.tracker {
                tracker.snapshot();
            }
            Front::Transfer { of_log: false, transfer: snapshot::send(file) }
        }
        Some(Item::Packets(_)) | None => unreachable!("a transfer stood there"),
    }
}

/// Writes what the socket takes; waits only if it takes nothing.
async fn write_packets(link: &Link, within: Option<Duration>) -> Result<(), End> {
    loop {
        let attempt = link.queue.borrow_mut().write(|slices| {
            let written = link.stream.try_write_vectored(slices)?;
            if let Some(tracker) = &link.tracker {
                tracker.wrote(written);
            }
            Ok(written)
        });
        match attempt {
            Ok(items) => {
                sent(link, items);
                return Ok(());
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                writable(link, within).await?;
            }
            Err(e) => return Err(unwritable(e)),
        }
    }
}

/// So many items of the queue are out.
fn sent(link: &Link, items: usize) {
    if let Some(shortcut) = &link.shortcut {
        shortcut.sent(items);
    }
}

/// Writes what comes out of a file; a log's stretches are whole packets.
async fn pass_on(
    link: &Link,
    of_log: bool,
    mut transfer: Transfer,
    within: Option<Duration>,
) -> Result<(), End> {
    loop {
        match transfer.next().await {
            Part::Bytes(bytes) => {
                write_bytes(link, &bytes, within).await?;
                if let Some(tracker) = link.tracker.as_ref().filter(|_| of_log) {
                    tracker.passed(&bytes);
                }
            }
            Part::End => return Ok(()),
            Part::Failed(e) => {
                return Err(End::Failed(format!("what it needs cannot be read from disk: {e}")));
            }
        }
    }
}

async fn write_bytes(link: &Link, mut rest: &[u8], within: Option<Duration>) -> Result<(), End> {
    while !rest.is_empty() {
        match link.stream.try_write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                writable(link, within).await?;
            }
            Err(e) => return Err(unwritable(e)),
        }
    }
    Ok(())
}

/// Waits until the socket takes more; `within` a time, if that is given.
async fn writable(link: &Link, within: Option<Duration>) -> Result<(), End> {
    let writable = link.stream.writable();
    let outcome = match within {
        None => writable.await,
        Some(within) => tokio::time::timeout(within, writable).await.map_err(|_| {
            let ms = within.as_millis();
            End::Failed(format!("it has taken nothing of what it needs for {ms} ms"))
        })?,
    };
    outcome.map_err(unwritable)
}

fn unwritable(e: io::Error) -> End {
    End::of(e, "it cannot be written to")
}
