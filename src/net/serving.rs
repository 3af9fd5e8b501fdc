//! What the server is for its clients at the moment, and how that changes.
//!
//! The pipeline says so; each worker hears of it through its inbox, behind the effects of what it
//! was before. Between two ways of serving lies an end of a *term*: every connection is closed,
//! and whatever was asked in the old term and is not in the pipeline yet is forgotten. A session
//! lives on: its client comes again, here or elsewhere.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// What the server is for its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Serving {
    /// Nothing: it looks for a leader, or is not up to date yet. Words are answered all the same.
    #[default]
    No,
    /// It has no quorum and serves reads to clients that have said that these will do.
    ReadOnly,
    /// It is alone.
    Standalone,
    Leader,
    Follower,
    Observer,
}

impl Serving {
    const ALL: [Serving; 6] = [
        Serving::No,
        Serving::ReadOnly,
        Serving::Standalone,
        Serving::Leader,
        Serving::Follower,
        Serving::Observer,
    ];

    /// Whether it serves as a member of an ensemble that has a leader: then a sync is a matter
    /// of the pipeline.
    pub fn is_member(self) -> bool {
        matches!(self, Serving::Leader | Serving::Follower | Serving::Observer)
    }

    /// The inverse of `as u8`.
    pub(super) fn from_number(number: u8) -> Serving {
        *Serving::ALL.get(usize::from(number)).expect("only numbers of this enum are stored")
    }
}

/// Which stretch of serving something belongs to. Grows by one whenever the server stops serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Term(pub u64);

/// What one worker has in the pipeline. The server-wide sums are kept along with it, so that a
/// worker can take back its share when a term ends and the answers will not come.
#[derive(Debug, Default)]
pub(super) struct InPipeline {
    requests: Cell<i64>,
    large_bytes: Cell<i64>,
}

/// The sums over all workers.
#[derive(Debug, Default)]
pub struct PipelineLoad {
    /// Requests handed to the pipeline and not answered yet.
    pub requests: AtomicI64,
    /// Bytes of large requests that are not answered yet.
    pub large_bytes: AtomicI64,
}

impl InPipeline {
    /// A request went in; `large_bytes` is 0 for most.
    pub fn enter(&self, sums: &PipelineLoad, large_bytes: i64) {
        self.add(sums, 1, large_bytes);
    }

    /// An answer came out.
    pub fn leave(&self, sums: &PipelineLoad, large_bytes: i64) {
        self.add(sums, -1, -large_bytes);
    }

    /// Nothing of it will come out.
    pub fn forget(&self, sums: &PipelineLoad) {
        self.add(sums, -self.requests.get(), -self.large_bytes.get());
    }

    fn add(&self, sums: &PipelineLoad, requests: i64, large_bytes: i64) {
        self.requests.set(self.requests.get() + requests);
        sums.requests.fetch_add(requests, Ordering::Relaxed);
        if large_bytes != 0 {
            self.large_bytes.set(self.large_bytes.get() + large_bytes);
            sums.large_bytes.fetch_add(large_bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_as_what_it_was() {
        for serving in Serving::ALL {
            assert_eq!(Serving::from_number(serving as u8), serving);
        }
    }

    #[test]
    fn a_worker_takes_back_its_own_share_and_nobody_elses() {
        let (sums, one, other) =
            (PipelineLoad::default(), InPipeline::default(), InPipeline::default());
        one.enter(&sums, 0);
        one.enter(&sums, 500);
        other.enter(&sums, 7);
        one.leave(&sums, 0);
        one.forget(&sums);
        let now = |sum: &AtomicI64| sum.load(Ordering::Relaxed);
        assert_eq!((now(&sums.requests), now(&sums.large_bytes)), (1, 7));
        one.forget(&sums);
        assert_eq!(now(&sums.requests), 1);
    }
}
