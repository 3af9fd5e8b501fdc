//! Four-letter words on the client port: recognised by a connection's first four bytes, answered
//! from what all workers know, and that was the connection.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::conn::{Conn, Phase, State};
use super::shared::{Shared, WorkerMail};
use super::stats::ConnStats;
use super::worker::Worker;
use crate::types::ConnId;
use crate::watch::{WatchSummary, WatchTable};

/// Who knows the words.
pub trait Words: Send + Sync {
    /// Whether these are the first bytes of a word (allowed or not), and no frame's length.
    fn is_word(&self, first: [u8; 4]) -> bool;
    /// Whether its answer tells of watches.
    fn wants_watches(&self, first: [u8; 4]) -> bool;
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

/// A worker's watches at the moment it was asked.
#[derive(Debug, Default)]
pub struct WatchReport {
    pub summary: WatchSummary,
    /// Data watches by path.
    pub by_path: Vec<(String, Vec<ConnId>)>,
    /// Data watches by connection.
    pub by_conn: Vec<(ConnId, Vec<String>)>,
    /// In both tables.
    pub watch_count: usize,
}

impl Worker {
    /// Takes the connection over, if a word stands at the front of what it has sent.
    pub(super) fn take_word(
        self: &Rc<Self>,
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
        self.shared.totals.received.fetch_add(1, Ordering::Relaxed);
        ConnStats::add(&conn.stats.received, 1);
        tokio::task::spawn_local(Rc::clone(self).answer(Rc::clone(conn), first, rest));
        true
    }

    async fn answer(self: Rc<Self>, conn: Rc<Conn>, word: [u8; 4], rest: Vec<u8>) {
        let wants = self.shared.words.wants_watches(word);
        let watches = if wants { self.gather_watches().await } else { Vec::new() };
        let question = Question { word, rest: &rest, conn: conn.stats.id, watches: &watches };
        let answer = self.shared.words.answer(&self.shared, &question);
        {
            let mut state = conn.state.borrow_mut();
            state.out.raw(&answer);
            state.close();
        }
        conn.flush();
        conn.signal();
    }

    async fn gather_watches(&self) -> Vec<WatchReport> {
        let mut reports = Vec::new();
        for (index, inbox) in self.shared.inboxes.iter().enumerate() {
            if index == self.index {
                reports.push(WatchReport::of(&self.watches.borrow()));
                continue;
            }
            let (send, receive) = oneshot::channel();
            inbox.leave(WorkerMail::Watches(send));
            inbox.ring();
            // A worker that has stopped has no watches.
            reports.push(receive.await.unwrap_or_default());
        }
        reports
    }
}

impl WatchReport {
    /// What `table` holds now.
    pub(super) fn of(table: &WatchTable) -> WatchReport {
        let mut report = WatchReport {
            summary: table.summary(),
            watch_count: table.watch_count(),
            ..WatchReport::default()
        };
        table.for_each_path(|path, conns| {
            report.by_path.push((path.to_owned(), conns.collect()));
        });
        table.for_each_conn(|conn, paths| {
            report.by_conn.push((conn, paths.map(str::to_owned).collect()));
        });
        report
    }
}
