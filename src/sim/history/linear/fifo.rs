//! A queue: what went in first comes out first, once.

use super::Spec;

/// A queue whose items are all different.
#[derive(Debug, Clone, Copy)]
pub struct Fifo;

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FifoAction {
    /// Without an answer too.
    Put(Vec<u8>),
    /// This item was taken, or would have been: without an answer it may still be there.
    Take(Vec<u8>),
}

impl Spec for Fifo {
    type State = Vec<Vec<u8>>;
    type Action = FifoAction;

    fn first(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, state: &Self::State, action: &FifoAction) -> Option<Self::State> {
        let mut state = state.clone();
        match action {
            FifoAction::Put(item) => state.push(item.clone()),
            FifoAction::Take(item) => {
                if state.first() != Some(item) {
                    return None;
                }
                state.remove(0);
            }
        }
        Some(state)
    }
}
