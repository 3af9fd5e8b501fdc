//! Four-letter words on the client port: recognised by a connection's first four bytes, answered
//! from what all workers know, and that was the connection.

use std::rc::Rc;

use tokio::sync::oneshot;

use super::conn::{Conn, Phase, State};
use super::queues::WorkerMail;
use super::shared::Shared;
use super::stats::ConnStats;
use super::worker::Worker;
use crate::metrics::Tally;
use crate::types::ConnId;
use crate::watch::{WatchSummary, WatchTable};

/// Who knows the words.
pub trait Words: Send + Sync {
    /// Whether these are the first bytes of a word (allowed or not), and no frame's length.
    fn is_word(&self, first: [u8; 4]) -> bool;
    /// What its answer tells of watches.
    fn watches_wanted(&self, first: [u8; 4]) -> WatchesWanted;
    /// The whole answer. `rest` is what came behind the word in the same read.
    fn answer(&self, shared: &Shared, question: &Question<'_>) -> Vec<u8>;
}

/// A word and who asks it.
pub struct Question<'a> {
    pub word: [u8; 4],
    pub rest: &'a [u8],
    pub conn: ConnId,
    /// One for each worker, if the word wants them.
    pub watches: &'a [WatchReport],
}

/// What a word wants to know of watches. There may be millions of them: nobody copies paths for
/// a word that shows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchesWanted {
    /// Nothing.
    Nothing,
    /// Their number.
    Count,
    /// The summary of the data watches, for which paths of all workers are compared by hash.
    Summary,
    /// The paths.
    Paths,
}

/// A worker's watches at the moment it was asked: as much of it as was wanted.
#[derive(Debug, Default)]
pub struct WatchReport {
    /// In both tables.
    pub watch_count: usize,
    pub summary: WatchSummary,
    /// Of the paths with a data watch.
    pub path_hashes: Vec<u64>,
    /// Data watches by connection.
    pub by_conn: Vec<(ConnId, Vec<String>)>,
}

impl Worker {
    /// Takes the connection over, if a word stands at the front of what it has sent.
    pub(super) fn take_word(
        self: &Rc<Self>,
        tally: &mut Tally,
        conn: &Rc<Conn>,
        state: &mut State,
        input: &[u8],
    ) -> bool {
        let Some(first) = input.first_chunk::<4>().copied() else { return false };
        if !self.shared.words.is_word(first) {
            return false;
        }
        state.phase = Phase::Word;
        let rest = input[4..].to_vec();
        tally.packets_received += 1;
        tally.bytes_received += input[..4].len() as i64;
        ConnStats::add(&conn.stats.received, 1);
        tokio::task::spawn_local(Rc::clone(self).answer(Rc::clone(conn), first, rest));
        true
    }

    async fn answer(self: Rc<Self>, conn: Rc<Conn>, word: [u8; 4], rest: Vec<u8>) {
        let watches = match self.shared.words.watches_wanted(word) {
            WatchesWanted::Nothing => Vec::new(),
            wanted => self.gather_watches(wanted).await,
        };
        let question = Question { word, rest: &rest, conn: conn.stats.id, watches: &watches };
        let answer = self.shared.words.answer(&self.shared, &question);
        {
            let mut state = conn.state.borrow_mut();
            state.out.raw(&answer);
            state.close();
        }
        if !answer.is_empty() {
            conn.stats.packets_sent(1);
            self.tally.borrow_mut().packets_sent += 1;
        }
        self.mark_dirty(&conn);
        self.after_turn();
        conn.signal();
    }

    async fn gather_watches(&self, wanted: WatchesWanted) -> Vec<WatchReport> {
        let mut reports = Vec::new();
        for (index, inbox) in self.shared.inboxes.iter().enumerate() {
            if index == self.index {
                reports.push(WatchReport::of(&self.watches.borrow(), wanted));
                continue;
            }
            let (send, receive) = oneshot::channel();
            inbox.leave(WorkerMail::Watches(wanted, send));
            inbox.ring();
            // A worker that has stopped has no watches.
            reports.push(receive.await.unwrap_or_default());
        }
        reports
    }
}

impl WatchReport {
    /// What `table` holds now.
    pub(super) fn of(table: &WatchTable, wanted: WatchesWanted) -> WatchReport {
        let watch_count = table.watch_count();
        let mut report = WatchReport { watch_count, ..WatchReport::default() };
        match wanted {
            WatchesWanted::Nothing | WatchesWanted::Count => {}
            WatchesWanted::Summary => {
                report.summary = table.summary();
                table.path_hashes(&mut report.path_hashes);
            }
            WatchesWanted::Paths => table.for_each_conn(|conn, paths| {
                report.by_conn.push((conn, paths.map(str::to_owned).collect()));
            }),
        }
        report
    }
}
