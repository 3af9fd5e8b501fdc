//! The judge that trusts no zxid: is there any order of the operations, each between its call and
//! its return, that explains every answer? The search of Wing and Gong with Lowe's memory, as
//! Knossos and Porcupine do it.
//!
//! An operation without an answer may take effect at any time after its call, or never. The search
//! is bounded: a history that it can't decide within its steps is [`Verdict::Undecided`], which
//! is neither good nor bad.

mod fifo;
#[cfg(test)]
mod tests;
mod workloads;
mod znode;

use std::collections::hash_map::DefaultHasher;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash};

pub use fifo::{find_wrong, Moved};
pub use workloads::{judge_workloads, Searched};
pub use znode::{Register, ZnodeAction};

/// What an object may do.
pub trait Spec {
    type State: Clone + Eq + Hash;
    type Action;
    /// The object before the first operation.
    fn first(&self) -> Self::State;
    /// The object behind the operation; `None` if it cannot have gone so from `state`. An action
    /// without an answer that would change nothing may be `None` too: it is left out as well.
    fn step(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Call<A> {
    pub action: A,
    pub invoked_ns: u64,
    /// `None`: no answer came.
    pub returned_ns: Option<u64>,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    /// No order exists. The call at which the longest attempt got stuck, by its place in the list:
    /// it had returned, and nothing explains its answer.
    Refused {
        stuck: usize,
    },
    /// The bound was reached first.
    Undecided,
}

/// Searches an order for `calls`; at most `steps_max` states are kept.
pub fn search<S: Spec>(spec: &S, calls: &[Call<S::Action>], steps_max: usize) -> Verdict {
    Search::new(spec, calls).run(steps_max)
}

/// The head of the list, in front of all moments.
const HEAD: usize = 0;

struct Search<'a, S: Spec> {
    spec: &'a S,
    calls: &'a [Call<S::Action>],
    /// Calls and returns by time: which call, and whether it is the return. The first is the
    /// head, the last the end.
    moments: Vec<(usize, bool)>,
    /// The moments that are left, as a list.
    next: Vec<usize>,
    prev: Vec<usize>,
    /// Where each call's return is.
    return_of: Vec<Option<usize>>,
    state: S::State,
    done: Vec<u64>,
    seen: HashSet<(usize, Vec<u64>, S::State), BuildHasherDefault<DefaultHasher>>,
}

impl<'a, S: Spec> Search<'a, S> {
    fn new(spec: &'a S, calls: &'a [Call<S::Action>]) -> Self {
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            times.push((call.invoked_ns, false, at));
            times.extend(call.returned_ns.map(|ns| (ns.max(call.invoked_ns), true, at)));
        }
        // At the same instant, calls come first: then the two overlap.
        times.sort_unstable();
        let mut moments = vec![(usize::MAX, false)];
        let mut return_of = vec![None; calls.len()];
        for (_, is_return, call) in times {
            if is_return {
                return_of[call] = Some(moments.len());
            }
            moments.push((call, is_return));
        }
        moments.push((usize::MAX, true));
        let count = moments.len();
        Search {
            spec,
            calls,
            next: (1..=count).collect(),
            prev: (0..count).map(|at| at.saturating_sub(1)).collect(),
            moments,
            return_of,
            state: spec.first(),
            done: vec![0; calls.len().div_ceil(64)],
            seen: HashSet::default(),
        }
    }

    fn run(mut self, steps_max: usize) -> Verdict {
        let end = self.moments.len() - 1;
        let mut left = self.return_of.iter().flatten().count();
        let mut taken: Vec<(usize, S::State)> = Vec::new();
        let (mut deepest, mut stuck) = (0, 0);
        let mut at = self.next[HEAD];
        while left > 0 {
            let (call, is_return) = self.moments[at];
            if !is_return {
                if let Some(state) = self.try_call(call) {
                    if self.seen.len() > steps_max {
                        return Verdict::Undecided;
                    }
                    taken.push((at, std::mem::replace(&mut self.state, state)));
                    left -= usize::from(self.return_of[call].is_some());
                    self.lift(at, call);
                    at = self.next[HEAD];
                } else {
                    at = self.next[at];
                }
                continue;
            }
            // A return whose call has found no place: the last choice was wrong.
            if taken.len() >= deepest && at != end {
                (deepest, stuck) = (taken.len(), call);
            }
            let Some((back, state)) = taken.pop() else { return Verdict::Refused { stuck } };
            let call = self.moments[back].0;
            self.state = state;
            left += usize::from(self.return_of[call].is_some());
            self.unlift(back, call);
            at = self.next[back];
        }
        Verdict::Linearizable
    }

    /// The state behind `call`, if it may come next and this was not tried before.
    fn try_call(&mut self, call: usize) -> Option<S::State> {
        let state = self.spec.step(&self.state, &self.calls[call].action)?;
        self.done[call / 64] |= 1 << (call % 64);
        // What is done all along and what is not begun at all says nothing.
        let full = self.done.iter().take_while(|word| **word == u64::MAX).count();
        let begun = self.done.iter().rposition(|word| *word != 0).map_or(0, |at| at + 1);
        let words = self.done[full.min(begun)..begun].to_vec();
        if self.seen.insert((full, words, state.clone())) {
            return Some(state);
        }
        self.done[call / 64] &= !(1 << (call % 64));
        None
    }

    fn lift(&mut self, at: usize, call: usize) {
        self.cut(at);
        if let Some(at) = self.return_of[call] {
            self.cut(at);
        }
    }

    fn unlift(&mut self, at: usize, call: usize) {
        self.done[call / 64] &= !(1 << (call % 64));
        if let Some(at) = self.return_of[call] {
            self.put_back(at);
        }
        self.put_back(at);
    }

    fn cut(&mut self, at: usize) {
        let (prev, next) = (self.prev[at], self.next[at]);
        self.next[prev] = next;
        self.prev[next] = prev;
    }

    fn put_back(&mut self, at: usize) {
        let (prev, next) = (self.prev[at], self.next[at]);
        self.next[prev] = at;
        self.prev[next] = at;
    }
}
