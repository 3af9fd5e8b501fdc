//! The pipeline thread: asks in, log, replica, effects out. It alone writes the replica.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::count::Count;
use super::member::Member;
use super::options::ServerOptions;
use super::platform::{Platform, Ports, SnapshotTaker};
use super::recover::Recovered;
use jute::OpCode;

use crate::auth::Auth;
use crate::net::{SessionDesk, Shared, Words, WorkerMail};
use crate::peer::{Input, Output, Peer};
use crate::pipeline::{commit, Ask, Batch};
use crate::session::{Bucket, SessionTable};
use crate::storage::{Dirs, ReceiveError, RecoveryRefused, StorageError, TxnLog};
use crate::types::{Chance, Now};
use crate::zab::{self, Event, Role, Step, Zab};

/// Longest sleep without anything to do, ms.
const IDLE_MS: i64 = 1000;
/// How far the watermark may fall behind the log under load, ms.
const WATERMARK_MS: i64 = 100;
/// How soon the watermark follows a log that has become quiet, ms: a client that writes again as
/// soon as it has its answer does not wait for it.
const WATERMARK_QUIET_MS: i64 = 3;

/// Why the pipeline can't go on: what is on the disk is not to be trusted any more.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Reload(#[from] RecoveryRefused),
    #[error(transparent)]
    Install(#[from] ReceiveError),
}

/// What the pipeline thread owns.
pub struct Driver<P: Platform> {
    pub shared: Arc<Shared>,
    pub peer: Peer,
    pub disk: P::Disk,
    pub log: TxnLog<P::Disk>,
    pub snapshots: P::Snapshots,
    /// Where the words ask for sessions.
    pub sessions: Arc<SessionDesk>,
    /// A sync that takes longer is worth a warning, ms.
    pub fsync_warning_ms: i64,
    /// Transactions between two syncs, at most.
    pub batch_max: usize,
    /// When the watermark was written last, monotonic ms.
    pub published_ms: i64,
    /// When the log was synced last, monotonic ms.
    pub synced_ms: i64,
    pub(super) count: Count,
    /// What only a member of an ensemble has.
    pub member: Option<Member<P::Ports>>,
}

impl<P: Platform> Driver<P> {
    /// Puts a recovered server together. Nobody is served yet; a member of an ensemble gets its
    /// [`Driver::member`] before it runs.
    pub fn new(
        disk: P::Disk,
        dirs: &Dirs,
        options: &ServerOptions,
        recovered: Recovered,
        snapshots: P::Snapshots,
        (auth, words, sessions): (Arc<Auth>, Arc<dyn Words>, Arc<SessionDesk>),
    ) -> Driver<P> {
        let now = P::now();
        let log = TxnLog::new(disk.clone(), &dirs.logs, options.log, recovered.last_logged);
        let (settings, auth_too) = (options.peer.clone(), Arc::clone(&auth));
        let peer = match recovered.zab {
            None => Peer::standalone(settings, auth_too, &recovered.replica, now),
            Some(zab) => Peer::member(settings, auth_too, zab),
        };
        let shared = Arc::new(Shared::new(
            options.net.clone(),
            recovered.replica,
            options.workers,
            auth,
            P::now,
            recovered.session_ids,
            Arc::new(recovered.metrics),
            words,
        ));
        Driver {
            count: Count::new(Arc::clone(&shared), options.log.force_sync),
            shared,
            peer,
            disk,
            log,
            snapshots,
            sessions,
            published_ms: now.mono_ms,
            synced_ms: now.mono_ms,
            fsync_warning_ms: options.fsync_warning_ms,
            batch_max: options.batch_max,
            member: None,
        }
    }

    /// Runs until the server stops, or until the log can't be trusted any more: then nothing is
    /// answered that was not on disk before.
    pub fn run(mut self) -> Result<(), DriverError> {
        // A member begins its election; nobody would wake us for that.
        self.work()?;
        loop {
            let patience = self.patience();
            let stopping = self.turn(patience)?;
            if stopping {
                return self.finish();
            }
        }
    }

    /// Waits at most `patience` for something to do and does all there is. True: the server
    /// stops.
    pub fn turn(&mut self, patience: Duration) -> Result<bool, DriverError> {
        let (mut asks, mut events) = (Vec::new(), Vec::new());
        let term = self.shared.asks.take(&mut asks, &mut events, patience);
        let stopping = self.shared.is_stopping();
        if !events.is_empty() {
            self.hear(&mut events)?;
            self.work()?;
        }
        while !asks.is_empty() {
            if self.shared.asks.term() != term {
                // Their connections were closed with the role. A new role must not do them.
                break;
            }
            let most = if P::chance(Chance::BatchOfOne) { 1 } else { self.batch_max };
            let rest = asks.split_off(asks.len().min(most));
            self.ask(&mut asks);
            asks = rest;
            self.work()?;
        }
        self.tick();
        self.sessions.answer(|| self.buckets());
        self.work()?;
        self.see_to_member()?;
        self.publish_watermark()?;
        Ok(stopping)
    }

    fn buckets(&self) -> Vec<Bucket> {
        self.peer.sessions().map(SessionTable::buckets).unwrap_or_default()
    }

    /// What has come from the other members.
    fn hear(&mut self, events: &mut Vec<zab::Event>) -> Result<(), DriverError> {
        let now = P::now();
        for event in events.drain(..) {
            self.member().ports.heard(&event);
            self.tell_peer(now, Input::Zab(event));
            if P::chance(Chance::EventAlone) {
                self.work()?;
            }
        }
        Ok(())
    }

    /// Lets the peer take something in.
    pub(super) fn tell_peer(&mut self, now: Now, input: Input) {
        let replica = self.shared.replica.read().expect("only this thread writes it");
        self.peer.handle(now, &replica, input);
    }

    fn ask(&mut self, asks: &mut Vec<Ask>) {
        let now = P::now();
        let replica = self.shared.replica.read().expect("only this thread writes it");
        self.count.asked(asks, now);
        let changes_before = self.peer.outstanding_changes();
        for ask in asks.drain(..) {
            let closes = matches!(&ask, Ask::Write(request) if request.op == OpCode::CloseSession);
            self.peer.handle(now, &replica, Input::Ask(ask));
            if closes {
                self.count.closed_session(P::now().mono_ms - now.mono_ms);
            }
        }
        self.count.prepared(self.peer.outstanding_changes().saturating_sub(changes_before));
    }

    fn tick(&mut self) {
        let now = P::now();
        self.ask_oracle(now);
        if self.peer.poll_timeout().is_some_and(|at| now.mono_ms >= at) {
            let replica = self.shared.replica.read().expect("only this thread writes it");
            let (expired, changes) =
                (self.peer.expired_sessions(), self.peer.outstanding_changes());
            self.peer.handle(now, &replica, Input::Timeout);
            self.count.expired(self.peer.expired_sessions() - expired);
            self.count.prepared(self.peer.outstanding_changes().saturating_sub(changes));
        }
    }

    /// Does what the peer wants until it wants nothing more.
    pub fn work(&mut self) -> Result<(), DriverError> {
        loop {
            let mut durable = None;
            let (began, mut txns) = (P::now(), 0);
            while let Some(output) = self.poll() {
                match output {
                    Output::Persist { step, upto } => {
                        let appends = matches!(step, Step::Append(_));
                        txns += self.at_disk(|driver| driver.step(step))?;
                        durable = Some(upto);
                        if appends && P::chance(Chance::SnapshotNow) {
                            self.take_snapshot()?;
                        }
                    }
                    Output::Commit { batch } => self.commit(&batch),
                    Output::TakeSnapshot => self.take_snapshot()?,
                    Output::Wire(output) => self.wire(output)?,
                    Output::Role(role) => self.take_role(role),
                }
            }
            // Prep has judged by now whatever has come, a learner's requests too.
            self.count.over_quota(self.peer.take_over_quota());
            self.count.marked(&self.peer.take_marks(), P::now());
            // On the wire before the disk: the others sync while this server does.
            self.send_off();
            let Some(upto) = durable else {
                if self.leave_if_disk_hung() {
                    continue;
                }
                return Ok(());
            };
            let syncing = P::now();
            let outcome = self.at_disk(|driver| driver.log.sync());
            if outcome.is_err() && mutant!(LeaderWithoutDisk) {
                return Ok(());
            }
            if !mutant!(FailedWriteIgnored) {
                outcome?;
            }
            let synced = P::now();
            self.synced_ms = synced.mono_ms;
            self.leave_if_disk_hung();
            self.warn_of_slow_disk(synced.mono_ms - syncing.mono_ms);
            self.count.synced(txns, [began, syncing, synced]);
            self.note_acks(synced);
            self.tell_peer(synced, Input::Persisted { upto });
        }
    }

    fn take_snapshot(&mut self) -> Result<(), DriverError> {
        self.at_disk(|driver| driver.log.roll())?;
        self.snapshots.take(&self.shared);
        Ok(())
    }

    fn poll(&mut self) -> Option<Output> {
        let replica = self.shared.replica.read().expect("only this thread writes it");
        let now = P::now();
        let output = self.peer.poll_output(now, &replica);
        self.count.informed(self.peer.take_informed(), || P::now().mono_ms - now.mono_ms);
        output
    }

    /// Does something with the disk, which may hang: whoever has a role is watched meanwhile.
    fn at_disk<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let role = self.peer.zab().map(Zab::role);
        let has_role = matches!(role, Some(Role::Leading { .. } | Role::Learning { .. }));
        let watch =
            self.member.as_ref().filter(|_| has_role).map(|member| Arc::clone(&member.disk));
        let Some(watch) = watch else { return work(self) };
        watch.begin(P::now().mono_ms);
        let outcome = work(self);
        self.member().disk_hung |= watch.end(P::now().mono_ms);
        outcome
    }

    /// Has the peer leave its role if the disk has hung: before it hears that something is durable,
    /// so that nothing comes of that in a role that the others have given up. False: it has not.
    fn leave_if_disk_hung(&mut self) -> bool {
        let hung = self.member.as_mut().is_some_and(|member| std::mem::take(&mut member.disk_hung));
        if hung {
            self.tell_peer(P::now(), Input::Zab(Event::DiskHung));
        }
        hung
    }

    /// Warns of a slow disk in Apache's words (`FileTxnLog.commit`), down to the missing blank.
    fn warn_of_slow_disk(&self, took_ms: i64) {
        if took_ms > self.fsync_warning_ms {
            tracing::warn!(
                "fsync-ing the write ahead log in SyncThread:0 took {took_ms}ms which will \
                 adversely effect operation latency.File size is {} bytes. See the ZooKeeper \
                 troubleshooting guide",
                self.log.current_bytes()
            );
        }
    }

    /// Applies a batch and leaves its effects with the workers before anybody can read it.
    fn commit(&mut self, batch: &Batch) {
        P::applies(batch);
        self.note_commits(batch);
        let workers = self.shared.inboxes.len();
        let last_zxid = {
            let mut replica = self.shared.replica.write().expect("only this thread writes it");
            let now = P::now();
            let count = &mut self.count;
            let effects = commit(&mut replica, batch, workers, &mut |record, applied| {
                count.applied(record, applied, now);
            });
            self.count.mismatched(effects.digest_mismatches);
            self.shared.last_applied.store(effects.last_zxid.0, Ordering::Release);
            let parts = effects.workers.into_iter().zip(&self.shared.inboxes);
            for (part, inbox) in parts {
                if !part.items.is_empty() || !effects.fired.is_empty() {
                    let fired = Arc::clone(&effects.fired);
                    inbox.leave(WorkerMail::Effects { fired, effects: part });
                }
            }
            effects.last_zxid
        };
        for inbox in &self.shared.inboxes {
            inbox.ring();
        }
        let changes_before = self.peer.outstanding_changes();
        self.tell_peer(P::now(), Input::Applied { zxid: last_zxid });
        let changes = self.peer.outstanding_changes();
        self.count.retired(changes_before.saturating_sub(changes));
    }

    /// Says on disk how far the log is durable, so that recovery can tell damage from a torn
    /// tail. Never on the way of an answer: those of this turn are out.
    fn publish_watermark(&mut self) -> Result<(), DriverError> {
        let now_ms = P::now().mono_ms;
        if self.watermark_due_ms().is_some_and(|due_ms| now_ms >= due_ms) {
            if P::chance(Chance::WatermarkLate) {
                // Not before the next time that it is due.
                self.synced_ms = now_ms;
            } else {
                self.log.publish_synced()?;
            }
            self.published_ms = now_ms;
        }
        Ok(())
    }

    /// When the watermark is to be written; `None`: it says all there is.
    fn watermark_due_ms(&self) -> Option<i64> {
        let due_ms = (self.synced_ms + WATERMARK_QUIET_MS).min(self.published_ms + WATERMARK_MS);
        self.log.is_publish_due().then_some(due_ms)
    }

    /// How long there is nothing to do unless something comes.
    pub fn patience(&self) -> Duration {
        let now = P::now().mono_ms;
        let oracle = self.member.as_ref().and_then(|member| member.oracle.as_ref());
        let oracle = oracle.map(|oracle| oracle.due_ms());
        let at = [self.peer.poll_timeout(), oracle, self.watermark_due_ms()];
        let at = at.into_iter().flatten().min().unwrap_or(i64::MAX).min(now + IDLE_MS);
        Duration::from_millis((at - now).max(0) as u64)
    }

    fn finish(mut self) -> Result<(), DriverError> {
        if let Some(member) = self.member.take() {
            member.ports.stop();
        }
        self.log.sync()?;
        self.log.publish_synced()?;
        self.snapshots.wait();
        Ok(())
    }
}
