//! What outlives a role: epochs and log, what of them is durable, what has been committed, and
//! the queue of outputs.

use std::collections::VecDeque;

use bytes::Bytes;

use super::history::{follows, CommittedLog};
use super::masters::{Dice, Masters};
use super::{LinkId, Mark, Oracle, Output, Quorums, Step, Token, ZabOptions};
use crate::types::{Epoch, LoggedTxn, Sid, Zxid};

/// Marks that are kept for whoever counts.
const MARKS_MAX: usize = 1024;

/// A durable step that has been asked for.
#[derive(Debug)]
enum Asked {
    Log(Zxid),
    AcceptedEpoch(Epoch),
    CurrentEpoch(Epoch),
    Other,
}

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) options: ZabOptions,
    pub(super) quorums: Quorums,
    /// What the oracle has said last, if there is one.
    pub(super) oracle: Oracle,
    pub(super) outputs: VecDeque<Output>,
    /// Whom an observer asks next.
    pub(super) masters: Masters,
    pub(super) dice: Dice,
    /// What metrics count, as far as nobody has asked for it.
    pub(super) marks: Vec<Mark>,
    /// Transactions that observers of this follower have been told of, as far as nobody has asked.
    pub(super) informed: usize,
    /// The epoch promised last, as the file says (ZOOKEEPER-2307: never what it should say).
    pub(super) accepted_epoch: Epoch,
    /// The epoch whose history was accepted last, as the file says.
    pub(super) current_epoch: Epoch,
    /// The latest promise of a voter that this server, as a leader, has given way to.
    pub(super) promise_heard: Epoch,
    /// What has been committed, as far as it is put out.
    pub(super) history: CommittedLog,
    /// What the log holds behind it, appended but perhaps not durable.
    pub(super) tail: VecDeque<LoggedTxn>,
    /// This server has lost what it had on disk. It votes for nothing until it has learnt anew.
    pub(super) stranger: bool,
    /// Why the role must be left, once something has been found that says so.
    pub(super) leaving: Option<&'static str>,
    /// The epoch that has just begun to be served, until the election has been told.
    pub(super) established: Option<Epoch>,
    /// The end of the log, durable or not.
    last_logged: Zxid,
    last_durable: Zxid,
    /// The last token handed out. Never used twice, in no role (ZOOKEEPER-4712).
    issued: Token,
    persisted: Token,
    asked: VecDeque<(Token, Asked)>,
}

impl Standing {
    pub(super) fn new(options: ZabOptions, start: super::Start) -> Standing {
        let keep = options.commit_log_count;
        let mut dice = Dice::new(options.seed);
        let masters = Masters::shuffle(&options.quorums.voters(), &mut dice);
        Standing {
            quorums: options.quorums.clone(),
            oracle: Oracle::Silent,
            options,
            outputs: VecDeque::new(),
            masters,
            dice,
            marks: Vec::new(),
            informed: 0,
            accepted_epoch: start.accepted_epoch,
            current_epoch: start.current_epoch,
            promise_heard: Epoch(0),
            history: CommittedLog::new(keep, start.last_logged, start.history),
            tail: VecDeque::new(),
            stranger: start.stranger,
            leaving: None,
            established: None,
            last_logged: start.last_logged,
            last_durable: start.last_logged,
            issued: Token(0),
            persisted: Token(0),
            asked: VecDeque::new(),
        }
    }

    pub(super) fn me(&self) -> Sid {
        self.options.me
    }

    /// So many ticks, ms.
    pub(super) fn ticks_ms(&self, ticks: i64) -> i64 {
        ticks * self.options.tick_ms
    }

    pub(super) fn init_limit_ms(&self) -> i64 {
        self.ticks_ms(self.options.init_limit_ticks)
    }

    pub(super) fn sync_limit_ms(&self) -> i64 {
        self.ticks_ms(self.options.sync_limit_ticks)
    }

    pub(super) fn last_logged(&self) -> Zxid {
        self.last_logged
    }

    pub(super) fn last_durable(&self) -> Zxid {
        self.last_durable
    }

    pub(super) fn last_committed(&self) -> Zxid {
        self.history.last()
    }

    pub(super) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Notes something that metrics count.
    pub(super) fn mark(&mut self, mark: Mark) {
        if self.marks.len() < MARKS_MAX {
            self.marks.push(mark);
        }
    }

    /// Notes the ACKs of one voter, for what is behind `from`, up to `upto`.
    pub(super) fn mark_acks(&mut self, sid: Sid, from: Zxid, upto: Zxid) {
        let every = self.options.ack_mark_every;
        if every <= 0 || from.0 / every == upto.0 / every {
            return;
        }
        let first = self.tail.partition_point(|txn| txn.zxid <= from);
        let acked = self.tail.range(first..).take_while(|txn| txn.zxid <= upto);
        let sampled = acked.filter(|txn| txn.zxid.0 % every == 0);
        let made: Vec<i64> = sampled.filter_map(LoggedTxn::made_wall_ms).collect();
        for made_wall_ms in made {
            self.mark(Mark::Acked { sid, made_wall_ms });
        }
    }

    pub(super) fn send(&mut self, link: LinkId, packets: Bytes) {
        self.put(Output::Send { link, packets });
    }

    /// Says that the role can't go on; the first reason counts.
    pub(super) fn leave(&mut self, reason: &'static str) {
        self.leaving.get_or_insert(reason);
    }

    // ---- the disk ----

    /// Appends to the log what follows its end.
    pub(super) fn append(&mut self, txns: Vec<LoggedTxn>) {
        for txn in &txns {
            assert!(
                follows(self.last_logged, txn.zxid),
                "{} can't follow {} in the log",
                txn.zxid,
                self.last_logged
            );
            self.last_logged = txn.zxid;
        }
        self.tail.extend(txns.iter().cloned());
        self.persist(Step::Append(txns), Asked::Log(self.last_logged));
    }

    pub(super) fn save_accepted_epoch(&mut self, epoch: Epoch) {
        assert!(epoch > self.accepted_epoch, "a promise is never lowered");
        self.persist(Step::AcceptedEpoch(epoch), Asked::AcceptedEpoch(epoch));
    }

    /// Does nothing if the file says so already.
    pub(super) fn save_current_epoch(&mut self, epoch: Epoch) {
        assert!(epoch >= self.current_epoch, "an accepted epoch is never lowered");
        if epoch > self.current_epoch {
            self.persist(Step::CurrentEpoch(epoch), Asked::CurrentEpoch(epoch));
        }
    }

    /// `handle_truncated` says what has become of it.
    pub(super) fn truncate(&mut self, to: Zxid) {
        self.persist(Step::Truncate { to }, Asked::Other);
    }

    /// From now on the log is empty behind a snapshot of `zxid`.
    pub(super) fn install_snapshot(&mut self, link: LinkId, zxid: Zxid) {
        assert!(self.tail.is_empty(), "everything logged was put out when the last role was left");
        self.last_logged = zxid;
        self.history.reset(zxid);
        self.persist(Step::InstallSnapshot { link, zxid }, Asked::Log(zxid));
    }

    fn persist(&mut self, step: Step, asked: Asked) {
        self.issued = Token(self.issued.0 + 1);
        self.asked.push_back((self.issued, asked));
        self.put(Output::Persist { step, upto: self.issued });
    }

    pub(super) fn handle_persisted(&mut self, upto: Token) {
        assert!(upto <= self.issued, "nobody has asked for that step yet");
        while self.asked.front().is_some_and(|(token, _)| *token <= upto) {
            match self.asked.pop_front().map(|(_, asked)| asked) {
                Some(Asked::Log(zxid)) => self.last_durable = zxid,
                Some(Asked::AcceptedEpoch(epoch)) => self.accepted_epoch = epoch,
                Some(Asked::CurrentEpoch(epoch)) => self.current_epoch = epoch,
                Some(Asked::Other) | None => {}
            }
        }
        self.persisted = self.persisted.max(upto);
    }

    /// The log ends at `last` now; `None`: where it did.
    pub(super) fn handle_truncated(&mut self, last: Option<Zxid>) {
        assert!(self.tail.is_empty(), "everything logged was put out when the last role was left");
        if let Some(last) = last {
            self.history.truncate(last);
            self.last_logged = last;
            self.last_durable = if mutant!(AheadAfterTrunc) { self.last_durable } else { last };
        }
        self.handle_persisted(self.issued);
    }

    /// The newest durable step that has been asked for.
    pub(super) fn issued(&self) -> Token {
        self.issued
    }

    pub(super) fn is_persisted(&self, upto: Token) -> bool {
        self.persisted >= upto
    }

    /// Whether nothing is under way to the disk.
    pub(super) fn is_all_persisted(&self) -> bool {
        self.is_persisted(self.issued)
    }

    // ---- what is agreed upon ----

    /// Puts out the first `count` transactions of the tail.
    pub(super) fn commit(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let txns: Vec<_> = self.tail.drain(..count).collect();
        for txn in &txns {
            self.history.push(txn.clone());
        }
        self.put(Output::Committed { txns });
    }
}
