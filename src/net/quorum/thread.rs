//! The thread that runs the sockets of all peers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::link::{self, Link, Origin};
use super::ports::{Command, Mailbox};
use super::shelf::Shelf;
use super::shortcut::Shortcuts;
use super::tracker::Tracker;
use super::writer::Item;
use super::{
    dial, listener, Door, ElectionPort, EventSink, PeerPorts, Settings, SnapshotSink, Sources,
};
use crate::limits;
use crate::types::Sid;
use crate::zab::{Event, LinkId};

/// Threads that resolve names.
const RESOLVERS: usize = 4;

/// The running thread.
pub struct QuorumThread {
    thread: JoinHandle<()>,
}

impl QuorumThread {
    /// Starts it. `setup` runs on the thread, inside its `LocalSet`, and brings the election port
    /// to life, whose events go to the same sink.
    pub fn start<S: SnapshotSink>(
        settings: Settings,
        sources: Sources<S>,
        sink: EventSink,
        setup: impl FnOnce(EventSink) -> Box<dyn ElectionPort> + Send + 'static,
    ) -> io::Result<(QuorumThread, PeerPorts<S>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(RESOLVERS)
            .build()?;
        let mailbox = Arc::new(Mailbox::default());
        let shelf = Arc::new(Shelf::new());
        let shortcuts = Arc::new(Shortcuts::default());
        let input_max = settings.input_bytes_max;
        let ports = PeerPorts::new(
            Arc::clone(&mailbox),
            Arc::clone(&shelf),
            Arc::clone(&shortcuts),
            input_max,
        );
        let thread = std::thread::Builder::new().name("quorum".to_owned()).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                let election_port = setup(Arc::clone(&sink));
                let desk = Rc::new(Desk::new(settings, sources, (shelf, shortcuts), sink));
                desk.serve(&mailbox, election_port.as_ref()).await;
            });
            drop(local);
            // Somebody may still wait for a name server.
            runtime.shutdown_background();
        })?;
        Ok((QuorumThread { thread }, ports))
    }

    /// Waits for its end, which dropping the [`PeerPorts`] brings about.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("The thread of the peers' connections has panicked");
        }
    }
}

/// What the tasks of the thread share. Borrows never reach over an await.
pub(super) struct Desk<S> {
    pub settings: Settings,
    pub sources: Sources<S>,
    pub shelf: Arc<Shelf<S>>,
    shortcuts: Arc<Shortcuts>,
    sink: EventSink,
    links: RefCell<BTreeMap<LinkId, Rc<Link>>>,
    last_link: Cell<u64>,
    link_gone: Notify,
    listening: RefCell<Option<tokio::task::JoinHandle<()>>>,
    dialling: RefCell<Option<tokio::task::JoinHandle<()>>>,
}

impl<S: SnapshotSink> Desk<S> {
    fn new(
        settings: Settings,
        sources: Sources<S>,
        (shelf, shortcuts): (Arc<Shelf<S>>, Arc<Shortcuts>),
        sink: EventSink,
    ) -> Self {
        Desk {
            settings,
            sources,
            shelf,
            shortcuts,
            sink,
            links: RefCell::default(),
            last_link: Cell::new(0),
            link_gone: Notify::new(),
            listening: RefCell::default(),
            dialling: RefCell::default(),
        }
    }

    /// Does what is asked for until nothing more can come, and closes everything.
    async fn serve(self: &Rc<Self>, mailbox: &Mailbox, election_port: &dyn ElectionPort) {
        let mut batch = Vec::new();
        while mailbox.take(&mut batch).await {
            for command in batch.drain(..) {
                self.handle(command, election_port).await;
            }
        }
        self.stop().await;
    }

    async fn handle(self: &Rc<Self>, command: Command, election_port: &dyn ElectionPort) {
        match command {
            Command::Notify { to, notification } => election_port.notify(to, notification),
            Command::Listen(Some(door)) => self.listen(door).await,
            Command::Listen(None) => {
                self.stop_listening().await;
                self.close_all(Origin::Accepted);
            }
            Command::Dial { to, door, within_ms } => self.dial(to, door, within_ms),
            Command::CancelDial => self.cancel_dial(),
            Command::Send { link, packets } => self.queue(link, Item::Packets(packets)),
            Command::SendLog { link, from, upto } => self.queue(link, Item::Log { from, upto }),
            Command::SendSnapshot { link, file } => self.queue(link, Item::Snapshot(file)),
            Command::Close { link } => {
                if let Some(link) = self.find(link) {
                    link.close();
                }
            }
            Command::Heard { link, bytes } => {
                if let Some(link) = self.find(link) {
                    link.inflow.heard(bytes);
                }
            }
            Command::HeardVotes { from, bytes } => election_port.heard(from, bytes),
        }
    }

    /// Says that something has happened.
    pub fn tell(&self, event: Event) {
        (self.sink)(&mut vec![event]);
    }

    /// Says that several things have happened, and leaves the list empty.
    pub fn tell_all(&self, events: &mut Vec<Event>) {
        if !events.is_empty() {
            (self.sink)(events);
            events.clear();
        }
    }

    /// Takes in a connection.
    pub fn open(self: &Rc<Self>, stream: TcpStream, origin: Origin, peer: SocketAddr) {
        if origin == Origin::Accepted && self.links.borrow().len() >= limits::LINKS_MAX {
            let max = limits::LINKS_MAX;
            tracing::warn!("Closing the quorum connection of {peer}: {max} are open already");
            return;
        }
        self.last_link.set(self.last_link.get() + 1);
        let id = LinkId(self.last_link.get());
        let nodelay = match origin {
            Origin::Accepted => self.settings.leader_nodelay,
            Origin::Dialled => self.settings.follower_nodelay,
        };
        // Fails only on a socket that is of no use any more, as its reader will find out.
        let _ = stream.set_nodelay(nodelay);
        let tracker = self.settings.packets_told.map(Tracker::new);
        // A tracker is told of everything, on this thread.
        let shortcut = match tracker {
            None => self.shortcuts.open(id, &stream),
            Some(_) => None,
        };
        let link = Rc::new(Link::new((id, origin, peer), stream, tracker, shortcut));
        self.links.borrow_mut().insert(id, Rc::clone(&link));
        tracing::debug!("Quorum connection {} with {peer} is open ({origin:?})", id.0);
        self.tell(Event::LinkOpened { link: id });
        tokio::task::spawn_local(link::run(link, Rc::clone(self)));
    }

    /// The link is gone.
    pub fn part(&self, link: LinkId) {
        self.links.borrow_mut().remove(&link);
        self.shortcuts.close(link);
        self.tell(Event::LinkClosed { link });
        self.link_gone.notify_one();
    }

    fn find(&self, link: LinkId) -> Option<Rc<Link>> {
        self.links.borrow().get(&link).cloned()
    }

    fn queue(&self, link: LinkId, item: Item) {
        if let Some(link) = self.find(link) {
            link.queue(item, self.settings.output_bytes_max);
        }
    }

    fn close_all(&self, origin: Origin) {
        for link in self.links.borrow().values().filter(|link| link.origin == origin) {
            link.close();
        }
    }

    async fn listen(self: &Rc<Self>, door: Door) {
        self.shelf.clear();
        self.stop_listening().await;
        let task = tokio::task::spawn_local(listener::run(Rc::clone(self), door));
        self.listening.replace(Some(task));
    }

    /// Returns when the ports are free again.
    async fn stop_listening(&self) {
        let task = self.listening.take();
        if let Some(task) = task {
            task.abort();
            // It has been cancelled, or had failed to listen before.
            let _ = task.await;
        }
    }

    fn dial(self: &Rc<Self>, to: Sid, door: Door, within_ms: i64) {
        self.cancel_dial();
        self.close_all(Origin::Dialled);
        self.shelf.clear();
        let within = Duration::from_millis(u64::try_from(within_ms).unwrap_or(0));
        let task = tokio::task::spawn_local(dial::run(Rc::clone(self), to, door, within));
        self.dialling.replace(Some(task));
    }

    fn cancel_dial(&self) {
        if let Some(task) = self.dialling.take() {
            task.abort();
        }
    }

    /// Closes everything. No link takes longer than its linger time.
    async fn stop(&self) {
        self.cancel_dial();
        self.stop_listening().await;
        self.close_all(Origin::Accepted);
        self.close_all(Origin::Dialled);
        while !self.links.borrow().is_empty() {
            self.link_gone.notified().await;
        }
    }
}
