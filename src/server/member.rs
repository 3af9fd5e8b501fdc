//! The pipeline thread of a member of an ensemble: what the core wants done with sockets, files
//! and the role of this server.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::Arc;

use super::announce;
use super::disk_watch::DiskWatch;
use super::driver::{Driver, DriverError};
use super::election_port;
use super::ensemble::{write_config, MemberOptions};
use super::exit::{ExitCode, Failure};
use super::member_view::ViewState;
use super::oracle::OracleFile;
use super::peer_files::{Intake, LogFiles, PeerSockets};
use super::platform::{Platform, Ports, SnapshotTaker};
use super::purge_task::{self, FilesLock};
use super::run::LastWords;
use crate::config::Members;
use crate::net::quorum::{QuorumThread, Sources};
use crate::net::{Serving, Shared};
use crate::peer::Input;
use crate::storage::{self, Dirs, TxnLog, TxnLogOptions};
use crate::tree::Replica;
use crate::types::{Chance, Now, Zxid};
use crate::zab::{Event, LearnerKind, LinkId, Output, Role, Step};

/// With no more changes than these under way whoever waits for one gains more by its being soon
/// than all together by its being gathered with others.
const QUIET_CHANGES: usize = 4;

/// What the pipeline thread of a member owns besides.
pub struct Member<N> {
    pub ports: N,
    files: MemberFiles,
    /// For `/zookeeper/config`.
    members: Members,
    snapshot_size_factor: f64,
    /// Learners that wait for a snapshot of their own.
    waiting: Vec<LinkId>,
    read_only_after_ms: Option<i64>,
    leader_serves: bool,
    /// For one of two voters.
    pub(super) oracle: Option<OracleFile>,
    when_leading: announce::Primary,
    /// Since when this server has had no leader, monotonic ms.
    looking_since_ms: Option<i64>,
    pub(super) disk: Arc<DiskWatch>,
    /// The disk has hung for too long.
    pub(super) disk_hung: bool,
    /// Held for the thread that watches the disk: it ends with this.
    _disk_watcher: Option<Sender<()>>,
    pub(super) view: ViewState,
}

/// Where a member's files are and how they are written and read.
pub struct MemberFiles {
    pub dirs: Dirs,
    pub log: TxnLogOptions,
    pub recover: storage::MemberOptions,
    /// Shared with the purge.
    pub(super) lock: FilesLock,
}

impl Member<PeerSockets> {
    /// Starts the thread of the sockets between members. Nothing is said on them before the
    /// pipeline runs.
    pub fn start(
        options: MemberOptions,
        files: MemberFiles,
        shared: &Arc<Shared>,
        last_words: LastWords,
    ) -> Result<Member<PeerSockets>, Failure> {
        let to_pipeline = Arc::clone(shared);
        let sink = Arc::new(move |events: &mut Vec<Event>| to_pipeline.asks.push_events(events));
        let (dirs, recover) = (files.dirs.clone(), files.recover.recover.clone());
        let receive = Arc::new(move |_link: LinkId, zxid: Zxid| Intake::new(&dirs, zxid, &recover));
        let sources = Sources { log: Arc::new(LogFiles(files.dirs.clone())), receive };
        let (election, ending) = (options.election_port, Arc::clone(shared));
        let (thread, ports) = QuorumThread::start(options.quorum_port, sources, sink, |sink| {
            election_port::open(election, sink, move |e| {
                let failure = Failure::new(ExitCode::ElectionPort, e.to_string());
                last_words.lock().expect("nobody panics while holding it").get_or_insert(failure);
                ending.stop();
            })
        })
        .map_err(|e| {
            let line = format!("can't start the thread of the members' sockets: {e}");
            Failure::new(ExitCode::Unexpected, line)
        })?;
        let ports = PeerSockets { ports, thread };
        let (members, factor) = (options.members, options.snapshot_size_factor);
        let mut member = Member::new(ports, files, members, factor, options.read_only_after_ms);
        member.when_leading = options.when_leading;
        member.leader_serves = options.leader_serves;
        member.oracle = options.oracle.map(OracleFile::new);
        member.disk = Arc::new(DiskWatch::new(options.disk_limit_ms));
        let watcher = member.disk.start(shared).map_err(|e| {
            let line = format!("can't start the thread that watches the disk: {e}");
            Failure::new(ExitCode::Unexpected, line)
        })?;
        member._disk_watcher = Some(watcher);
        Ok(member)
    }
}

impl<N> Member<N> {
    /// A member without a leader. The last two: `snapshotSizeFactor`, and after how long without
    /// a leader it serves reads, if ever, ms.
    pub fn new(
        ports: N,
        files: MemberFiles,
        members: Members,
        snapshot_size_factor: f64,
        read_only_after_ms: Option<i64>,
    ) -> Member<N> {
        Member {
            ports,
            files,
            members,
            snapshot_size_factor,
            waiting: Vec::new(),
            read_only_after_ms,
            leader_serves: true,
            oracle: None,
            when_leading: announce::Primary::default(),
            looking_since_ms: None,
            disk: Arc::new(DiskWatch::new(i64::MAX)),
            disk_hung: false,
            _disk_watcher: None,
            view: ViewState::default(),
        }
    }
}

impl MemberFiles {
    /// Where they are; shared with nobody yet.
    pub fn new(dirs: Dirs, log: TxnLogOptions, recover: storage::MemberOptions) -> MemberFiles {
        MemberFiles { dirs, log, recover, lock: FilesLock::default() }
    }
}

impl<P: Platform> Driver<P> {
    /// Does a durable step; answers how many transactions it appended, which only the next sync
    /// makes durable. Whatever was appended is durable before any other step.
    pub(super) fn step(&mut self, step: Step) -> Result<i64, DriverError> {
        if !matches!(step, Step::Append(_)) {
            self.log.sync()?;
        }
        match step {
            Step::Append(txns) => {
                for txn in &txns {
                    let outcome = self.log.append(txn.zxid, &txn.bytes);
                    if !mutant!(FailedWriteIgnored | LeaderWithoutDisk) {
                        outcome?;
                    }
                }
                self.note_proposals(&txns);
                return Ok(txns.len() as i64);
            }
            Step::AcceptedEpoch(epoch) => {
                storage::write_accepted(&self.disk, &self.files().dirs, epoch)?;
            }
            Step::CurrentEpoch(epoch) => {
                storage::write_current(&self.disk, &self.files().dirs, epoch)?;
            }
            Step::Truncate { to } => self.truncate(to)?,
            Step::InstallSnapshot { link, zxid } => self.install(link, zxid)?,
        }
        Ok(0)
    }

    /// Sends, and asks the disk, as the core wants it.
    pub(super) fn wire(&mut self, output: Output) -> Result<(), DriverError> {
        let joins = matches!(output, Output::Dial { .. } | Output::DialMaster { .. });
        if joins || matches!(output, Output::Listen(true)) {
            self.end_read_only();
        }
        let ports = &mut self.member().ports;
        match output {
            Output::Notify { to, notification } => ports.notify(to, notification),
            Output::Listen(on) => ports.listen(on),
            Output::Dial { leader, within_ms } => ports.dial(leader, within_ms),
            Output::DialMaster { master, within_ms } => ports.dial_master(master, within_ms),
            Output::ListenForObservers(on) => ports.listen_for_observers(on),
            Output::Send { link, packets } => ports.send(link, packets),
            Output::SendLog { link, from, upto } => ports.send_log(link, from, upto),
            Output::Close { link } => ports.close(link),
            Output::FindLog { link, from, upto } => self.find_log(link, from, upto),
            Output::Snapshot { link } => {
                self.member().waiting.push(link);
                self.begin_snapshots()?;
            }
            other => unreachable!("the peer keeps {other:?} to itself"),
        }
        Ok(())
    }

    /// Lets go what has been put out for the other members.
    pub(super) fn send_off(&mut self) {
        let is_quiet =
            self.shared.asks.is_empty() && self.peer.outstanding_changes() <= QUIET_CHANGES;
        if let Some(member) = &mut self.member {
            member.ports.flush(is_quiet);
        }
    }

    /// What a member must see to once in a while: learners that wait for a snapshot, and its own
    /// clients while it has no leader.
    pub(super) fn see_to_member(&mut self) -> Result<(), DriverError> {
        if self.member.is_none() {
            return Ok(());
        }
        self.begin_snapshots()?;
        self.send_off();
        let now_ms = P::now().mono_ms;
        self.tell_of_member(now_ms, false);
        let member = self.member();
        let due = member.looking_since_ms.zip(member.read_only_after_ms);
        if due.is_some_and(|(since_ms, after_ms)| now_ms - since_ms >= after_ms) {
            member.looking_since_ms = None;
            tracing::info!("Read-only: without a quorum this server answers reads only");
            self.shared.serve(Serving::ReadOnly, None);
        }
        Ok(())
    }

    /// Lets the core know when the oracle changes its mind.
    pub(super) fn ask_oracle(&mut self, now: Now) {
        let oracle = self.member.as_mut().and_then(|member| member.oracle.as_mut());
        if let Some(yes) = oracle.and_then(|oracle| oracle.ask(now.mono_ms)) {
            self.tell_peer(now, Input::Zab(Event::OracleSays { yes }));
        }
    }

    /// The election is over: what follows may take back what the replica shows, and readers must
    /// not see that. Should it lead to nothing, the next [`Role::Looking`] begins anew.
    fn end_read_only(&mut self) {
        self.member().looking_since_ms = None;
        self.shared.stop_serving();
    }

    /// The server's role is another one now.
    pub(super) fn take_role(&mut self, role: Role) {
        P::takes_role(role, self.shared.last_applied());
        let now_ms = P::now().mono_ms;
        self.note_role(role, now_ms);
        self.tell_of_member(now_ms, true);
        self.member().looking_since_ms = (role == Role::Looking).then_some(now_ms);
        match role {
            Role::Leaving => self.shared.stop_serving(),
            Role::Looking => {}
            Role::Leading { epoch } => {
                self.member().when_leading.begins();
                if self.member().leader_serves {
                    self.shared.serve(Serving::Leader, Some(epoch));
                } else {
                    tracing::info!("Leading without clients of its own (leaderServes=no)");
                }
            }
            Role::Learning { epoch, kind, .. } => {
                let serving = match kind {
                    LearnerKind::Follower => Serving::Follower,
                    LearnerKind::Observer => Serving::Observer,
                };
                self.shared.serve(serving, Some(epoch));
            }
        }
    }

    fn truncate(&mut self, to: Zxid) -> Result<(), DriverError> {
        self.log.roll()?;
        self.snapshots.give_up();
        let files = self.files();
        let purge_waits = purge_task::hold(&files.lock);
        let cut = storage::truncate(&self.disk, &files.dirs, to, &files.recover)?;
        drop(purge_waits);
        let last = cut.as_ref().map(|_| to);
        match last {
            Some(last) => tracing::info!("Truncated log and tree to {last}"),
            None => tracing::warn!("Can't truncate to {to}: it is not in the log"),
        }
        if let Some(cut) = cut {
            self.replace(cut.replica, to);
        }
        self.tell_peer(P::now(), Input::Zab(Event::Truncated { last }));
        Ok(())
    }

    fn install(&mut self, link: LinkId, zxid: Zxid) -> Result<(), DriverError> {
        self.log.roll()?;
        self.snapshots.give_up();
        let lock = Arc::clone(&self.files().lock);
        let replica = {
            let _purge_waits = purge_task::hold(&lock);
            self.member().ports.install(link)?
        };
        tracing::info!("The leader's snapshot of {zxid} is this server's state now");
        self.replace(replica, zxid);
        Ok(())
    }

    /// Another state altogether: nobody is served now.
    fn replace(&mut self, mut replica: Replica, last: Zxid) {
        debug_assert!(self.shared.serving() == Serving::No, "clients never see time go back");
        let member = self.member.as_ref().expect("only a member has its state replaced");
        let (metrics, now) = (&self.shared.metrics, P::now());
        write_config(&mut replica, &member.members, metrics, now.wall_ms);
        self.log = TxnLog::new(self.disk.clone(), &member.files.dirs.logs, member.files.log, last);
        let old = {
            let mut shared = self.shared.replica.write().expect("only this thread writes it");
            let keeps = mutant!(TreeKept) && shared.last_zxid() > last;
            if keeps {
                replica
            } else {
                std::mem::replace(&mut *shared, replica)
            }
        };
        self.shared.last_applied.store(last.0, Ordering::Release);
        // A large tree takes its time to go: not under the lock.
        drop(old);
    }

    /// Begins one image for all learners that wait for a snapshot, unless one is being written.
    fn begin_snapshots(&mut self) -> Result<(), DriverError> {
        if self.member().waiting.is_empty() || self.snapshots.is_busy() {
            return Ok(());
        }
        self.log.roll()?;
        let links = std::mem::take(&mut self.member().waiting);
        let Some((zxid, file)) = self.snapshots.begin(&self.shared) else {
            for link in links {
                self.member().ports.close(link);
            }
            return Ok(());
        };
        for link in links {
            self.member().ports.send_snapshot(link, zxid, file.clone());
            self.tell_peer(P::now(), Input::Zab(Event::SnapshotBegun { link, zxid }));
        }
        Ok(())
    }

    fn find_log(&mut self, link: LinkId, from: Zxid, upto: Zxid) {
        if P::chance(Chance::LogNotFound) {
            self.tell_peer(P::now(), Input::Zab(Event::LogFound { link, found: None }));
            return;
        }
        let factor = self.member().snapshot_size_factor;
        let dirs = &self.files().dirs;
        let found = storage::log_size_limit(&self.disk, dirs, factor)
            .and_then(|limit| storage::find_log(&self.disk, dirs, from, upto, limit));
        let found = found.unwrap_or_else(|e| {
            tracing::warn!("The log behind {from} can't be sent to a learner: {e}");
            None
        });
        self.tell_peer(P::now(), Input::Zab(Event::LogFound { link, found }));
    }

    fn files(&self) -> &MemberFiles {
        &self.member.as_ref().expect("only a member's peer puts this out").files
    }

    pub(super) fn member(&mut self) -> &mut Member<P::Ports> {
        self.member.as_mut().expect("only a member's peer puts this out")
    }
}
