//! What the pipeline needs besides pure code: a disk, the time, the sockets between members and
//! somebody who writes snapshots. The server has threads and system calls for them, the simulator
//! has its own; the [`Driver`](super::driver::Driver) between them and the peer is the same.

use std::sync::Arc;

use bytes::Bytes;

use crate::net::Shared;
use crate::pipeline::Batch;
use crate::storage::{Disk, ReceiveError};
use crate::tree::Replica;
use crate::types::{Chance, Now, Sid, Zxid};
use crate::zab::{Event, LinkId, Notification, Role};

/// Where a driver runs.
pub trait Platform: Sized {
    type Disk: Disk;
    type Snapshots: SnapshotTaker;
    type Ports: Ports<File = <Self::Snapshots as SnapshotTaker>::File>;

    /// Asks the time.
    fn now() -> Now;

    /// Whether what need not be done is done this time.
    fn chance(_way: Chance) -> bool {
        false
    }

    /// Hears of each batch before it is applied.
    fn applies(_batch: &Batch) {}

    /// Hears of each role, and of the last transaction in the replica by then.
    fn takes_role(_role: Role, _applied: Zxid) {}
}

/// Both ports to the other members. What is asked for happens, in this order, after the next
/// [`Ports::flush`]; [`crate::zab::Output`] says what each means. Commands for a connection that
/// is gone are dropped.
pub trait Ports {
    /// A snapshot that will be written, or has been.
    type File;

    fn notify(&mut self, to: Sid, notification: Notification);
    fn listen(&mut self, on: bool);
    fn dial(&mut self, leader: Sid, within_ms: i64);
    /// The port for observers of a follower.
    fn listen_for_observers(&mut self, on: bool);
    fn dial_master(&mut self, master: Sid, within_ms: i64);
    fn send(&mut self, link: LinkId, packets: Bytes);
    fn send_log(&mut self, link: LinkId, from: Zxid, upto: Zxid);
    /// Sends the snapshot of `zxid` once it is written.
    fn send_snapshot(&mut self, link: LinkId, zxid: Zxid, file: Self::File);
    fn close(&mut self, link: LinkId);
    /// Lets all of it happen. `is_quiet`: nothing else is to be done, and it shall happen soon.
    fn flush(&mut self, is_quiet: bool);
    /// The core takes this in now: its bytes do not wait any more.
    fn heard(&mut self, event: &Event);
    /// Makes the snapshot of which `SnapshotReceived` was told this server's state, durably.
    fn install(&mut self, link: LinkId) -> Result<Replica, ReceiveError>;
    /// Hangs up on everybody.
    fn stop(self);
}

/// Writes snapshots beside the traffic, one at a time.
pub trait SnapshotTaker {
    /// One that has been begun.
    type File: Clone;

    /// Begins a snapshot of the replica as it is now, unless one is being taken still.
    fn take(&mut self, shared: &Arc<Shared>);
    /// Whether one is being taken.
    fn is_busy(&self) -> bool;
    /// Begins a snapshot of the replica as it is now, behind the one being taken: its zxid, and
    /// what will be its file. `None` if that can't be.
    fn begin(&mut self, shared: &Arc<Shared>) -> Option<(Zxid, Self::File)>;
    /// Ends the snapshot that is being taken: the replica is about to be another one.
    fn give_up(&mut self);
    /// Waits for the snapshot that is being taken, if one is.
    fn wait(&mut self);
}
