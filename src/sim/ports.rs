//! A simulated server's platform: its ports to the other members, and who writes its snapshots.
//! What is asked for here the world does.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::check::Act;
use super::{scene, SimDisk};
use crate::net::quorum::Door;
use crate::net::Shared;
use crate::pipeline::Batch;
use crate::server::platform::{Platform, Ports, SnapshotTaker};
use crate::server::snapshots::{begin_image, end_image, Slices, SnapshotForm};
use crate::storage::{ReceiveError, SnapshotReceiver};
use crate::tree::{ImageHead, Replica};
use crate::types::{Chance, Now, Sid, Zxid};
use crate::zab::{Event, LinkId, Notification, Role};

/// The simulator as a platform.
pub struct SimPlatform;

impl Platform for SimPlatform {
    type Disk = SimDisk;
    type Snapshots = SimSnapshots;
    type Ports = SimPorts;

    fn now() -> Now {
        scene::now()
    }

    fn chance(way: Chance) -> bool {
        scene::chance(way)
    }

    fn applies(batch: &Batch) {
        scene::applies(batch.logged());
    }

    fn takes_role(role: Role, applied: Zxid) {
        scene::takes_role(role, applied);
    }
}

/// What a server wants of its ports.
pub enum Command {
    Notify {
        to: Sid,
        notification: Notification,
    },
    /// There, or nowhere any more.
    Listen(Option<Door>),
    Dial {
        to: Sid,
        door: Door,
        within_ms: i64,
    },
    Send {
        link: LinkId,
        packets: Bytes,
    },
    SendLog {
        link: LinkId,
        from: Zxid,
        upto: Zxid,
    },
    SendSnapshot {
        link: LinkId,
        file: SimSnapshotFile,
    },
    Close {
        link: LinkId,
    },
}

/// What lies between a server's driver and the world.
#[derive(Default)]
pub struct Desk {
    /// How far into its step the server was when it asked, ns, and for what.
    pub commands: Vec<(u64, Command)>,
    /// The snapshot that has come in whole.
    pub shelf: Option<(LinkId, SnapshotReceiver<SimDisk>)>,
}

/// Both ports.
pub struct SimPorts {
    queued: Vec<Command>,
    desk: Rc<RefCell<Desk>>,
}

impl SimPorts {
    pub fn new(desk: Rc<RefCell<Desk>>) -> SimPorts {
        SimPorts { queued: Vec::new(), desk }
    }
}

impl Ports for SimPorts {
    type File = SimSnapshotFile;

    fn notify(&mut self, to: Sid, notification: Notification) {
        scene::note(Act::Votes(notification.clone()));
        self.queued.push(Command::Notify { to, notification });
    }

    fn listen(&mut self, on: bool) {
        self.queued.push(Command::Listen(on.then_some(Door::Quorum)));
    }

    fn dial(&mut self, leader: Sid, within_ms: i64) {
        self.queued.push(Command::Dial { to: leader, door: Door::Quorum, within_ms });
    }

    fn listen_for_observers(&mut self, on: bool) {
        self.queued.push(Command::Listen(on.then_some(Door::Observers)));
    }

    fn dial_master(&mut self, master: Sid, within_ms: i64) {
        self.queued.push(Command::Dial { to: master, door: Door::Observers, within_ms });
    }

    fn send(&mut self, link: LinkId, packets: Bytes) {
        scene::sends(link, &packets);
        self.queued.push(Command::Send { link, packets });
    }

    fn send_log(&mut self, link: LinkId, from: Zxid, upto: Zxid) {
        self.queued.push(Command::SendLog { link, from, upto });
    }

    fn send_snapshot(&mut self, link: LinkId, _zxid: Zxid, file: SimSnapshotFile) {
        self.queued.push(Command::SendSnapshot { link, file });
    }

    fn close(&mut self, link: LinkId) {
        self.queued.push(Command::Close { link });
    }

    fn flush(&mut self, _is_quiet: bool) {
        let spent_ns = scene::spent_ns();
        let commands = self.queued.drain(..).map(|command| (spent_ns, command));
        self.desk.borrow_mut().commands.extend(commands);
    }

    /// Nothing waits in front of a simulated core.
    fn heard(&mut self, _event: &Event) {}

    fn install(&mut self, link: LinkId) -> Result<Replica, ReceiveError> {
        let (of, receiver) = self.desk.borrow_mut().shelf.take().expect("one has come");
        assert_eq!(of, link, "the core installs what it was told to have come");
        receiver.install()
    }

    fn stop(mut self) {
        self.flush(false);
    }
}

/// A snapshot's end.
#[derive(Clone)]
pub struct SimSnapshotFile {
    pub zxid: Zxid,
    /// `None` until it is known; then its path, if there is a file.
    pub path: Rc<RefCell<Option<Option<PathBuf>>>>,
}

/// A snapshot that is being written.
struct Job {
    shared: Arc<Shared>,
    head: ImageHead,
    slices: Slices<SimDisk>,
    file: SimSnapshotFile,
}

/// Takes one snapshot at a time; the world says when the next slice is written.
#[derive(Clone)]
pub struct SimSnapshots {
    disk: SimDisk,
    form: SnapshotForm,
    job: Rc<RefCell<Option<Job>>>,
}

impl SimSnapshots {
    pub fn new(disk: SimDisk, form: SnapshotForm) -> SimSnapshots {
        SimSnapshots { disk, form, job: Rc::default() }
    }

    /// Writes the next slice. False: there is nothing to write.
    pub fn go_on(&self) -> bool {
        let Some(mut job) = self.job.borrow_mut().take() else { return false };
        match job.slices.next(&job.shared) {
            Ok(true) => *self.job.borrow_mut() = Some(job),
            Ok(false) => {
                let Job { shared, head, slices, file } = job;
                let written = slices.finish(&self.form, &head);
                end_image(&shared);
                *file.path.borrow_mut() = Some(written.ok().map(|info| info.path));
                shared.asks.wake();
            }
            Err(_) => self.end(&job),
        }
        true
    }

    fn end(&self, job: &Job) {
        end_image(&job.shared);
        *job.file.path.borrow_mut() = Some(None);
        job.shared.asks.wake();
    }
}

impl SnapshotTaker for SimSnapshots {
    type File = SimSnapshotFile;

    fn take(&mut self, shared: &Arc<Shared>) {
        if !self.is_busy() {
            self.begin(shared);
        }
    }

    fn is_busy(&self) -> bool {
        self.job.borrow().is_some()
    }

    fn begin(&mut self, shared: &Arc<Shared>) -> Option<(Zxid, SimSnapshotFile)> {
        self.wait();
        let head = begin_image(shared);
        let zxid = head.zxid;
        let file = SimSnapshotFile { zxid, path: Rc::default() };
        match Slices::begin(&self.disk, &self.form, &head) {
            Ok(slices) => {
                let job = Job { shared: Arc::clone(shared), head, slices, file: file.clone() };
                *self.job.borrow_mut() = Some(job);
            }
            Err(_) => {
                end_image(shared);
                *file.path.borrow_mut() = Some(None);
            }
        }
        Some((zxid, file))
    }

    fn give_up(&mut self) {
        if let Some(job) = self.job.borrow_mut().take() {
            self.end(&job);
            // What can't be removed now the next start removes.
            let _ = job.slices.abandon();
        }
    }

    fn wait(&mut self) {
        while self.is_busy() {
            self.go_on();
        }
    }
}
