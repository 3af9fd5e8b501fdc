//! What a leader knows of one connection.

use super::super::standing::Standing;
use super::super::{LearnerKind, SyncMode};
use crate::types::{Sid, Zxid};

#[derive(Debug)]
pub(super) struct LearnerLink {
    pub(super) stage: Stage,
    /// Once it has said who it is.
    pub(super) sid: Option<Sid>,
    pub(super) kind: LearnerKind,
    /// Another link of the same server has come after this one.
    pub(super) replaced: bool,
    pub(super) heard_ms: i64,
    /// A snapshot or log is on its way through the link: it can't answer before that is through.
    pub(super) bulk: bool,
    pub(super) sync_mode: Option<SyncMode>,
    /// The last committed transaction in front of its NEWLEADER.
    pub(super) synced_to: Zxid,
    /// When it got UPTODATE.
    pub(super) serving_since_ms: i64,
    /// Up to where its log is durable.
    pub(super) acked: Zxid,
}

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not said who it is.
    Silent,
    /// It waits for LEADERINFO, that is, for the epoch.
    Waiting,
    /// It has LEADERINFO and owes ACKEPOCH.
    Promising,
    /// It has sent ACKEPOCH of this zxid and waits for a quorum of those.
    Comparing(Zxid),
    /// The log on disk is searched for its zxid.
    FindingLog(Zxid),
    /// An image for it is being begun.
    BeginningSnapshot(Zxid),
    /// It has NEWLEADER in its queue and gets all that is proposed or committed.
    Synchronising,
    /// It has acknowledged NEWLEADER and waits for a quorum of those.
    Synced,
    /// It has UPTODATE.
    Serving,
    /// To be forgotten.
    Closing,
}

impl LearnerLink {
    pub(super) fn new(now_ms: i64) -> LearnerLink {
        LearnerLink {
            stage: Stage::Silent,
            sid: None,
            kind: LearnerKind::Observer,
            replaced: false,
            heard_ms: now_ms,
            bulk: false,
            sync_mode: None,
            synced_to: Zxid::ZERO,
            serving_since_ms: now_ms,
            acked: Zxid::ZERO,
        }
    }

    /// Whether it gets what is proposed and committed.
    pub(super) fn is_forwarding(&self) -> bool {
        matches!(self.stage, Stage::Synchronising | Stage::Synced | Stage::Serving)
    }

    /// Whether it takes up one of the places for learners being synchronised.
    pub(super) fn is_synchronising(&self) -> bool {
        use Stage::*;
        matches!(self.stage, FindingLog(_) | BeginningSnapshot(_) | Synchronising)
    }

    /// When its silence is too long. `None` while it is we whom it waits for.
    pub(super) fn deadline(&self, standing: &Standing) -> Option<i64> {
        match self.stage {
            Stage::Silent | Stage::Promising => Some(self.heard_ms + standing.init_limit_ms()),
            Stage::Synchronising if !self.bulk => Some(self.heard_ms + standing.init_limit_ms()),
            Stage::Serving => Some(self.heard_ms + standing.sync_limit_ms()),
            _ => None,
        }
    }
}
