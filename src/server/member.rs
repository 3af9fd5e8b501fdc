//! The pipeline thread of a member of an ensemble: what the core wants done with sockets, files
//! and the role of this server.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use super::clock;
use super::driver::Driver;
use crate::config::Members;
use crate::disk::RealDisk;
use crate::net::{PeerPorts, Serving};
use crate::peer::Input;
use crate::storage::{self, Dirs, EpochFiles, StorageError, TxnLog, TxnLogOptions};
use crate::tree::{Replica, TreeOptions};
use crate::types::{Epoch, Sid, Zxid};
use crate::zab::{Event, LearnerKind, LinkId, Output, Role, Step};

/// What the pipeline thread of a member owns besides.
pub(super) struct Member {
    pub ports: PeerPorts,
    pub dirs: Dirs,
    pub epochs: EpochFiles<RealDisk>,
    pub log: TxnLogOptions,
    pub recover: storage::RecoverOptions,
    /// The configuration's text and version, for `/zookeeper/config`.
    pub members: Members,
    /// `snapshotSizeFactor`.
    pub snapshot_size_factor: f64,
    /// Learners that wait for a snapshot of their own.
    pub waiting: Vec<LinkId>,
    pub read_only_after_ms: Option<i64>,
    /// Since when this server has had no leader, monotonic ms.
    pub looking_since_ms: Option<i64>,
}

impl Driver {
    /// Does a durable step that is no append. Whatever was appended before it is durable first.
    pub(super) fn step(&mut self, step: Step) -> Result<(), StorageError> {
        self.log.sync()?;
        match step {
            Step::Append(txns) => {
                for txn in &txns {
                    self.log.append(txn.zxid, &txn.bytes)?;
                }
            }
            Step::AcceptedEpoch(epoch) => self.member().epochs.write_accepted(epoch)?,
            Step::CurrentEpoch(epoch) => self.member().epochs.write_current(epoch)?,
            Step::Truncate { to } => self.truncate(to)?,
            Step::InstallSnapshot { link, zxid } => self.install(link, zxid)?,
        }
        Ok(())
    }

    /// Sends, and asks the disk, as the core wants it.
    pub(super) fn wire(&mut self, output: Output) -> Result<(), StorageError> {
        let ports = &mut self.member().ports;
        match output {
            Output::Notify { to, notification } => ports.notify(to, notification),
            Output::Listen(on) => ports.listen(on),
            Output::Dial { leader, within_ms } => ports.dial(leader, within_ms),
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
        if let Some(member) = &mut self.member {
            member.ports.flush();
        }
    }

    /// What a member must see to once in a while: learners that wait for a snapshot, and its own
    /// clients while it has no leader.
    pub(super) fn see_to_member(&mut self) -> Result<(), StorageError> {
        if self.member.is_none() {
            return Ok(());
        }
        self.begin_snapshots()?;
        self.send_off();
        let now_ms = clock::now().mono_ms;
        let member = self.member();
        let due = member.looking_since_ms.zip(member.read_only_after_ms);
        if due.is_some_and(|(since_ms, after_ms)| now_ms - since_ms >= after_ms) {
            member.looking_since_ms = None;
            tracing::info!("Read-only: without a quorum this server answers reads only");
            self.shared.serve(Serving::ReadOnly);
        }
        Ok(())
    }

    /// The server's role is another one now.
    pub(super) fn take_role(&mut self, role: Role) {
        let now_ms = clock::now().mono_ms;
        self.member().looking_since_ms = (role == Role::Looking).then_some(now_ms);
        match role {
            Role::Looking => {
                tracing::info!("LOOKING");
                self.shared.stop_serving();
            }
            Role::Leading { epoch } => self.serve(Serving::Leader, epoch),
            Role::Learning { epoch, kind: LearnerKind::Follower, .. } => {
                self.serve(Serving::Follower, epoch);
            }
            Role::Learning { epoch, kind: LearnerKind::Observer, .. } => {
                self.serve(Serving::Observer, epoch);
            }
        }
    }

    fn serve(&mut self, serving: Serving, epoch: Epoch) {
        let begin = Zxid::new(epoch, 0);
        self.shared.epoch_start.store(begin.0, Ordering::Release);
        self.shared.serve(serving);
    }

    fn truncate(&mut self, to: Zxid) -> Result<(), StorageError> {
        self.snapshots.give_up();
        let member = self.member.as_mut().expect("only a member truncates");
        let cut = storage::truncate(&RealDisk, &member.dirs, to, &member.recover)?;
        let last = cut.as_ref().map(|recovered| recovered.last_zxid);
        match last {
            Some(last) => tracing::info!("Truncated log and tree to {last}"),
            None => tracing::warn!("Can't truncate to {to}: it is not in the log"),
        }
        if let Some(recovered) = cut {
            self.replace(recovered.replica);
        }
        self.tell_peer(clock::now(), Input::Zab(Event::Truncated { last }));
        Ok(())
    }

    fn install(&mut self, link: LinkId, zxid: Zxid) -> Result<(), StorageError> {
        self.snapshots.give_up();
        let received = self.member().ports.received(link);
        let received = received.expect("the core installs what it was told to have come");
        let replica = received.install()?;
        tracing::info!("The leader's snapshot of {zxid} is this server's state now");
        self.replace(replica);
        Ok(())
    }

    /// Another state altogether: nobody is served now.
    fn replace(&mut self, mut replica: Replica) {
        let member = self.member.as_ref().expect("only a member has its state replaced");
        let (now, last) = (clock::now(), replica.last_zxid());
        let text = member.members.text();
        replica.write_config(text.as_bytes(), Zxid(member.members.version), now.wall_ms);
        self.log = TxnLog::new(RealDisk, &member.dirs.logs, member.log, last);
        let old = {
            let mut shared = self.shared.replica.write().expect("only this thread writes it");
            std::mem::replace(&mut *shared, replica)
        };
        self.shared.last_applied.store(last.0, Ordering::Release);
        // A large tree takes its time to go: not under the lock.
        drop(old);
    }

    /// Begins one image for all learners that wait for a snapshot, unless one is being written.
    fn begin_snapshots(&mut self) -> Result<(), StorageError> {
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
            self.tell_peer(clock::now(), Input::Zab(Event::SnapshotBegun { link, zxid }));
        }
        Ok(())
    }

    fn find_log(&mut self, link: LinkId, from: Zxid, upto: Zxid) {
        let member = self.member();
        let factor = member.snapshot_size_factor;
        let found = storage::find_log(&RealDisk, &member.dirs, from, upto, factor);
        let found = found.unwrap_or_else(|e| {
            tracing::warn!("The log behind {from} can't be sent to a learner: {e}");
            None
        });
        self.tell_peer(clock::now(), Input::Zab(Event::LogFound { link, found }));
    }

    fn member(&mut self) -> &mut Member {
        self.member.as_mut().expect("only a member's peer puts this out")
    }
}
