//! What is known of one learner's connection.

use jute::quorum::PacketType;

use super::super::standing::Standing;
use super::super::{LearnerKind, SyncMode};
use crate::types::{Sid, Zxid};

#[derive(Debug)]
pub(in crate::zab) struct LearnerLink {
    pub(in crate::zab) stage: Stage,
    /// Once it has said who it is.
    pub(in crate::zab) sid: Option<Sid>,
    pub(in crate::zab) kind: LearnerKind,
    /// Another link of the same server has come after this one.
    pub(in crate::zab) replaced: bool,
    pub(in crate::zab) heard_ms: i64,
    /// A snapshot or log is on its way through the link: it can't answer before that is through.
    pub(in crate::zab) bulk: bool,
    pub(in crate::zab) sync_mode: Option<SyncMode>,
    /// The last committed transaction in front of its NEWLEADER.
    pub(in crate::zab) synced_to: Zxid,
    /// When it got UPTODATE.
    pub(in crate::zab) serving_since_ms: i64,
    /// Up to where its log is durable.
    pub(in crate::zab) acked: Zxid,
}

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::zab) enum Stage {
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
    pub(in crate::zab) fn new(now_ms: i64) -> LearnerLink {
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

    /// What a mutant's leader keeps from it of that.
    pub(in crate::zab) fn misses(&self, packets: &[u8]) -> bool {
        let commits = || packets.starts_with(&PacketType::Commit.code().to_be_bytes());
        (mutant!(ProposedToAckedOnly) && self.stage == Stage::Synchronising)
            || (mutant!(CommittedToServingOnly) && self.stage != Stage::Serving && commits())
    }

    /// Whether it gets what is proposed and committed.
    pub(in crate::zab) fn is_forwarding(&self) -> bool {
        matches!(self.stage, Stage::Synchronising | Stage::Synced | Stage::Serving)
    }

    /// Whether it takes up one of the places for learners being synchronised.
    pub(in crate::zab) fn is_synchronising(&self) -> bool {
        use Stage::*;
        matches!(self.stage, FindingLog(_) | BeginningSnapshot(_) | Synchronising)
    }

    /// When its silence is too long. `None` while it is we whom it waits for.
    pub(in crate::zab) fn deadline(&self, standing: &Standing) -> Option<i64> {
        match self.stage {
            Stage::Silent | Stage::Promising => Some(self.heard_ms + standing.init_limit_ms()),
            Stage::Synchronising if !self.bulk => Some(self.heard_ms + standing.init_limit_ms()),
            Stage::Serving => Some(self.heard_ms + standing.sync_limit_ms()),
            _ => None,
        }
    }
}
