//! A simulated server: its machine, its disk, and the process on it while there is one. The
//! process is the server's own driver and workers.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::chances::Chances;
use super::durable::{DurableState, DIR};
use super::inlet::Inlet;
use super::ports::{Desk, SimPlatform, SimPorts, SimSnapshotFile, SimSnapshots};
use super::scene::{self, Scene};
use super::{Rng, Shape, SimDisk};
use crate::config::{Config, JvmFlags};
use crate::net::quorum::Door;
use crate::net::{
    ClientSocket, Question, Served, ServingDesk, SessionDesk, Shared, WatchesWanted, Words,
};
use crate::server::driver::Driver;
use crate::server::ensemble::MemberOptions;
use crate::server::member::{Member, MemberFiles};
use crate::server::options::ServerOptions;
use crate::server::recover::recover;
use crate::server::snapshots::SnapshotForm;
use crate::server::start::{auth_rules, resolve};
use crate::storage::{BodyReader, Compression, Dirs, LogRange};
use crate::types::{Chance, LoggedTxn, Sid, Zxid};
use crate::zab::{LinkId, Membership, Role};

/// A server.
pub struct Node {
    pub sid: Sid,
    pub is_voter: bool,
    pub disk: SimDisk,
    pub durable: DurableState,
    /// The role it has taken last.
    pub role: Role,
    /// Bits of its disk have been flipped.
    pub is_damaged: bool,
    /// What has gone into its replica since it served last.
    pub unserved: Vec<LoggedTxn>,
    /// The number of its process, or of the next one.
    pub life_number: u64,
    pub life: Option<Life>,
    pub paused_until_ns: u64,
    /// From when to when it has stood still, ns: in order, and one behind the other.
    pub pauses: Vec<(u64, u64)>,
    /// The pipeline waits for the disk.
    pub busy_until_ns: u64,
    pub chances: Chances,
    drift_ppm: i64,
    wall_offset_ms: i64,
    seed: u64,
    text: Vec<u8>,
    shape: Shape,
}

/// A process.
pub struct Life {
    pub driver: Driver<SimPlatform>,
    pub workers: Vec<ServingDesk>,
    pub desk: Rc<RefCell<Desk>>,
    pub snapshots: SimSnapshots,
    pub conns: BTreeMap<u64, ServedConn>,
    pub links: BTreeMap<LinkId, LinkEnd>,
    /// Which of its ports others can connect to.
    pub listens: Option<Door>,
    /// The one under way.
    pub dial: Option<Dial>,
    pub dirs: Dirs,
    pub options: ServerOptions,
    /// When the pipeline is to be woken, by the world's clock.
    pub wake_at_ns: u64,
    pub snapshot_is_due: bool,
}

/// A connection that is being made to another member.
#[derive(Debug, Clone, Copy)]
pub struct Dial {
    pub number: u64,
    pub to: Sid,
    pub door: Door,
    pub deadline_ns: u64,
    pub refusals: u32,
}

/// A client's connection.
pub struct ServedConn {
    pub served: Served,
    pub pipe: Rc<RefCell<Pipe>>,
    pub worker: usize,
}

/// One end of a link between members.
pub struct LinkEnd {
    pub stream: u64,
    pub end: usize,
    pub to: usize,
    pub dialled: bool,
    pub inlet: Inlet,
    pub outgoing: VecDeque<Item>,
    pub bulk: Option<Bulk>,
    pub closing: bool,
    /// The sockets have taken so many bytes.
    pub written: u64,
    /// They are full, and somebody waits for room.
    pub is_held_up: bool,
}

impl LinkEnd {
    /// Bytes of packets that wait for room.
    pub fn waiting(&self) -> usize {
        let bytes = |item: &Item| match item {
            Item::Packets(packets) | Item::Rest(packets) => packets.len(),
            Item::Log { .. } | Item::Snapshot(_) => 0,
        };
        self.outgoing.iter().map(bytes).sum()
    }

    /// Whether anything that comes from a file waits, or is under way.
    pub fn has_transfer(&self) -> bool {
        let is_file = |item: &Item| matches!(item, Item::Log { .. } | Item::Snapshot(_));
        self.bulk.is_some() || self.outgoing.iter().any(is_file)
    }
}

/// Something to send.
pub enum Item {
    Packets(Bytes),
    /// What the sockets did not take of such at once.
    Rest(Bytes),
    Log {
        from: Zxid,
        upto: Zxid,
    },
    Snapshot(SimSnapshotFile),
}

/// A file on its way into a link.
pub enum Bulk {
    Log { range: LogRange<SimDisk>, last: Zxid, upto: Zxid },
    Body(BodyReader),
}

/// The bytes of a client's connection, at the server.
#[derive(Debug, Default)]
pub struct Pipe {
    pub inbound: VecDeque<u8>,
    pub outbound: Vec<u8>,
    /// The client has hung up, or the connection is lost.
    pub is_over: bool,
    /// The client does not read: no more than so much goes into the sockets.
    pub is_stuck: bool,
}

/// What the sockets of a connection hold, bytes.
const SOCKET_BYTES: usize = 8_192;

impl Pipe {
    /// For how much there is room.
    fn room(&self) -> usize {
        match self.is_stuck {
            true => SOCKET_BYTES.saturating_sub(self.outbound.len()),
            false => usize::MAX,
        }
    }
}

/// Some of `count` at least, where that chance comes.
fn in_part(count: usize, way: Chance) -> usize {
    match count > 1 && scene::chance(way) {
        true => 1 + scene::chance_below(count - 1),
        false => count,
    }
}

struct PipeSocket(Rc<RefCell<Pipe>>);

impl ClientSocket for PipeSocket {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        let count = in_part(pipe.inbound.len().min(into.len()), Chance::ShortRead);
        for (to, byte) in into.iter_mut().zip(pipe.inbound.drain(..count)) {
            *to = byte;
        }
        match count {
            0 if !pipe.is_over => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        if pipe.is_over {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = pipe.room().min(bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = in_part(count, Chance::ShortWrite);
        pipe.outbound.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn poll_read_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        let pipe = self.0.borrow();
        match pipe.is_over || !pipe.inbound.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn poll_write_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        let pipe = self.0.borrow();
        match pipe.is_over || pipe.room() > 0 {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn hang_up(&self) {}
}

/// Nobody asks words here.
struct NoWords;

impl Words for NoWords {
    fn is_word(&self, _first: [u8; 4]) -> bool {
        false
    }

    fn watches_wanted(&self, _first: [u8; 4]) -> WatchesWanted {
        WatchesWanted::Nothing
    }

    fn answer(&self, _shared: &Shared, _question: &Question<'_>) -> Vec<u8> {
        Vec::new()
    }
}

impl Node {
    pub fn new(index: usize, seed: u64, shape: &Shape) -> Node {
        let mut rng = Rng::new(seed ^ 0x4e4f_4445 ^ ((index as u64) << 32));
        let disk = SimDisk::new(rng.next_u64());
        disk.set_pace(shape.pace);
        let drift = shape.drift_ppm;
        let drift_ppm = rng.below((2 * drift + 1) as usize) as i64 - drift;
        Node {
            sid: Sid(index as i64 + 1),
            is_voter: index < shape.voters,
            disk,
            durable: DurableState::default(),
            role: Role::Looking,
            is_damaged: false,
            unserved: Vec::new(),
            life_number: 0,
            life: None,
            paused_until_ns: 0,
            pauses: Vec::new(),
            busy_until_ns: 0,
            chances: Chances::new(shape.chances.clone(), seed ^ ((index as u64 + 1) << 40)),
            drift_ppm,
            wall_offset_ms: 1_700_000_000_000 + rng.below(10_000) as i64,
            seed: rng.next_u64(),
            text: configuration(index, shape),
            shape: shape.clone(),
        }
    }

    /// By its own clock.
    fn mono_ns(&self, now_ns: u64) -> u64 {
        let drift = i128::from(now_ns) * i128::from(self.drift_ppm) / 1_000_000;
        (i128::from(now_ns) + drift) as u64 + 3_600_000_000_000
    }

    /// How long `ms` of its own clock last, ns.
    pub fn until_ns(&self, ms: u64) -> u64 {
        let ns = i128::from(ms) * 1_000_000;
        (ns - ns * i128::from(self.drift_ppm) / 1_000_000 + 1_000) as u64
    }

    /// It stands still no longer, if it did.
    pub fn go_on(&mut self, now_ns: u64) {
        self.paused_until_ns = 0;
        if let Some((_, end_ns)) = self.pauses.last_mut() {
            *end_ns = now_ns.min(*end_ns);
        }
    }

    /// Its wall clock jumps by so much.
    pub fn set_wall(&mut self, by_ms: i64) {
        self.wall_offset_ms += by_ms;
    }

    /// Puts it on the stage.
    pub fn enter(&mut self, now_ns: u64) {
        scene::enter(Scene {
            mono_ns: self.mono_ns(now_ns),
            wall_offset_ms: self.wall_offset_ms,
            spent_ns: 0,
            disk: self.disk.clone(),
            durable: std::mem::take(&mut self.durable),
            notes: Vec::new(),
            chances: std::mem::take(&mut self.chances),
        });
    }

    fn options(&self) -> (ServerOptions, Config) {
        let read = |path: &str| match path {
            "/zoo.cfg" => Ok(self.text.clone()),
            "/data/myid" => Ok(self.sid.0.to_string().into_bytes()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let method = match self.shape.compression {
            Compression::None => "",
            Compression::Gzip => "gz",
            Compression::Snappy => "snappy",
        };
        let flag = format!(
            "-Djute.maxbuffer={} -Dzookeeper.snapshot.compression.method={method}",
            self.shape.frame_bytes_max
        );
        let flags = JvmFlags::from_variables(Some(&flag), None);
        let (config, _) = Config::load("/zoo.cfg", &flags, &read)
            .expect("the simulator's configuration can be read");
        let mut options = resolve(&config, self.seed ^ self.life_number)
            .unwrap_or_else(|e| panic!("the simulator's configuration: {e:?}"));
        options.log.prealloc_bytes = self.shape.prealloc_bytes;
        options.workers = self.shape.workers;
        if let Some(member) = &mut options.member {
            member.zab.commit_log_count = self.shape.commit_log_count as usize;
            member.zab.last_counter = self.shape.last_counter;
        }
        (options, config)
    }

    /// The configuration as the core sees it.
    pub fn membership(&self) -> Membership {
        let (options, _) = self.options();
        options.member.expect("it is a member").zab.quorums.committed
    }

    /// Begins a process, on the stage. An error: it refuses.
    pub fn start(&mut self) -> Result<Zxid, String> {
        let (mut options, config) = self.options();
        let dirs = Dirs::new(&options.data_dir, options.data_log_dir.as_deref());
        assert_eq!(dirs.logs.to_str(), Some(DIR), "where the simulator looks for files");
        let recovered =
            recover::<SimPlatform>(&self.disk, &dirs, &options).map_err(|failure| failure.line)?;
        let form = SnapshotForm::new(&options, &dirs);
        let snapshots = SimSnapshots::new(self.disk.clone(), form);
        let how = recovered.how.clone();
        let outside = (
            Arc::new(auth_rules(&config.auth)),
            Arc::new(NoWords) as Arc<dyn Words>,
            Arc::new(SessionDesk::default()),
        );
        let disk = self.disk.clone();
        let mut driver = Driver::new(disk, &dirs, &options, recovered, snapshots.clone(), outside);
        let desk: Rc<RefCell<Desk>> = Rc::default();
        let files = MemberFiles::new(dirs.clone(), options.log, how);
        let member: MemberOptions = options.member.take().expect("it is a member");
        let ports = SimPorts::new(Rc::clone(&desk));
        let factor = member.snapshot_size_factor;
        driver.member = Some(Member::new(ports, files, member.members, factor, None));
        let shared = &driver.shared;
        let worker = |index| ServingDesk::new(Arc::clone(shared), index, options.tree.hash_seed);
        let workers = (0..options.workers).map(worker).collect();
        let applied = shared.last_applied();
        self.life = Some(Life {
            driver,
            workers,
            desk,
            snapshots,
            conns: BTreeMap::new(),
            links: BTreeMap::new(),
            listens: None,
            dial: None,
            dirs,
            options,
            wake_at_ns: 0,
            snapshot_is_due: false,
        });
        Ok(applied)
    }
}

impl Life {
    /// Takes a client in at one of the workers.
    pub fn accept(&mut self, stream: u64, worker: usize) -> bool {
        let pipe: Rc<RefCell<Pipe>> = Rc::default();
        let socket = Box::new(PipeSocket(Rc::clone(&pipe)));
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
        let Some(served) = self.workers[worker].accept(socket, peer) else { return false };
        self.conns.insert(stream, ServedConn { served, pipe, worker });
        true
    }

    /// Lets one worker see to its inbox and all its connections; answers which are over.
    pub fn work(&mut self, worker: usize) -> Vec<u64> {
        self.workers[worker].turn();
        let own = self.conns.iter().filter(|(_, conn)| conn.worker == worker);
        own.filter(|(_, conn)| !conn.served.go_on()).map(|(stream, _)| *stream).collect()
    }
}

/// A member's zoo.cfg.
fn configuration(index: usize, shape: &Shape) -> Vec<u8> {
    use std::fmt::Write;
    let mut text = format!(
        "tickTime={}\ninitLimit={}\nsyncLimit={}\ndataDir=/data\nclientPort=2181\n\
         snapCount={}\nmaxClientCnxns=0\nadmin.enableServer=false\n",
        shape.tick_ms, shape.init_limit, shape.sync_limit, shape.snap_count,
    );
    if shape.observer_masters {
        text.push_str("observerMasterPort=5000\n");
    }
    if shape.voters == 1 {
        text.push_str("standaloneEnabled=false\n");
    }
    for (voter, (group, weight)) in shape.groups.iter().enumerate() {
        writeln!(text, "weight.{}={weight}", voter + 1).expect("a string takes everything");
        let of_group = shape.groups.iter().enumerate().filter(|(_, other)| other.0 == *group);
        let sids: Vec<String> = of_group.map(|(voter, _)| (voter + 1).to_string()).collect();
        if sids[0] == (voter + 1).to_string() {
            writeln!(text, "group.{group}={}", sids.join(":")).expect("as above");
        }
    }
    if index >= shape.voters {
        text.push_str("peerType=observer\n");
    }
    for member in 0..shape.voters + shape.observers {
        let role = if member < shape.voters { "participant" } else { "observer" };
        let (sid, port) = (member + 1, 3_000 + member);
        writeln!(text, "server.{sid}=127.0.0.1:{port}:{}:{role}", port + 1_000)
            .expect("a string takes everything");
    }
    text.into_bytes()
}
