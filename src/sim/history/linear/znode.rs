//! One znode as a register: data with a version, compare-and-set, creation and deletion. A lock is
//! an ephemeral one that is created and deleted.

use super::Spec;
use crate::sim::history::model::code;

/// A znode without children.
#[derive(Debug, Clone, Copy)]
pub struct Register;

/// What is there: data, version, and the session it goes with (0: none).
pub type Content = (Option<Vec<u8>>, i32, i64);

/// An operation; `None` as its answer is "unknown", `Err` an error number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZnodeAction {
    Create {
        data: Option<Vec<u8>>,
        owner: i64,
        answer: Option<Result<(), i32>>,
    },
    /// The answer is the new version.
    Set {
        data: Option<Vec<u8>>,
        version: i32,
        answer: Option<Result<i32, i32>>,
    },
    Delete {
        version: i32,
        answer: Option<Result<(), i32>>,
    },
    Get {
        answer: Result<(Option<Vec<u8>>, i32), i32>,
    },
    /// The answer is the version.
    Exists {
        answer: Result<i32, i32>,
    },
    /// The session is over, closed or expired.
    End {
        session: i64,
    },
}

impl Spec for Register {
    /// `None`: there is no znode.
    type State = Option<Content>;
    type Action = ZnodeAction;

    fn first(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, action: &ZnodeAction) -> Option<Self::State> {
        match action {
            ZnodeAction::Create { data, owner, answer } => {
                let due = match state {
                    None => Ok(()),
                    Some(_) => Err(code::NODE_EXISTS),
                };
                let made = || Some((data.clone(), 0, *owner));
                write(state, due, answer.as_ref(), made)
            }
            ZnodeAction::Set { data, version, answer } => {
                let due = versioned(state, *version).map(|found| found.wrapping_add(1));
                let owner = state.as_ref().map_or(0, |content| content.2);
                let set = || due.ok().map(|version| (data.clone(), version, owner));
                write(state, due, answer.as_ref(), set)
            }
            ZnodeAction::Delete { version, answer } => {
                let due = versioned(state, *version).map(drop);
                write(state, due, answer.as_ref(), || None)
            }
            ZnodeAction::Get { answer } => {
                let is_it = match (state, answer) {
                    (Some((data, version, _)), Ok((got, seen))) => data == got && version == seen,
                    (None, Err(code::NO_NODE)) => true,
                    _ => false,
                };
                is_it.then(|| state.clone())
            }
            ZnodeAction::Exists { answer } => {
                let due = state.as_ref().map(|content| content.1).ok_or(code::NO_NODE);
                (due == *answer).then(|| state.clone())
            }
            ZnodeAction::End { session } => match state {
                Some((_, _, owner)) if owner == session => Some(None),
                _ => Some(state.clone()),
            },
        }
    }
}

fn versioned(state: &Option<Content>, version: i32) -> Result<i32, i32> {
    match state {
        None => Err(code::NO_NODE),
        Some((_, found, _)) if version != -1 && version != *found => Err(code::BAD_VERSION),
        Some((_, found, _)) => Ok(*found),
    }
}

/// The state behind a write whose answer is due to be `due`.
fn write<T: PartialEq>(
    state: &Option<Content>,
    due: Result<T, i32>,
    answer: Option<&Result<T, i32>>,
    done: impl FnOnce() -> Option<Content>,
) -> Option<Option<Content>> {
    match (answer, due) {
        (None, Ok(_)) => Some(done()),
        // Without an answer and without effect: left out.
        (None, Err(_)) => None,
        (Some(Ok(answer)), Ok(due)) if *answer == due => Some(done()),
        (Some(Err(answer)), Err(due)) if *answer == due => Some(state.clone()),
        _ => None,
    }
}
