//! How members talk to each other and agree: times, counts and switches. The members themselves
//! are in `members`.

use super::error::ConfigError;
use super::settings::Reader;

/// Settings of the election and quorum ports and of what runs over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Quorum {
    /// `readonlymode.enabled`: reads are served without a quorum.
    pub read_only_mode: bool,
    /// `leaderServes`.
    pub leader_serves: bool,
    pub election: ElectionTimes,
    pub links: Links,
    pub sync: Sync,
}

/// Of elections, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionTimes {
    /// `fastleader.minNotificationInterval`.
    pub min_wait_ms: i32,
    /// `fastleader.maxNotificationInterval`.
    pub max_wait_ms: i32,
    /// `observer.election.DelayMs`: an observer that lost its leader waits up to so long.
    pub observer_delay_ms: i64,
    /// `leader.maxTimeToWaitForEpoch`; `None` (-1) is only the join limit.
    pub epoch_wait_ms: Option<i32>,
}

/// Of sockets between members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    /// `tcpKeepAlive`, of election connections.
    pub tcp_keep_alive: bool,
    /// `cnxTimeout`: time to connect to an election port.
    pub connect_timeout_ms: i32,
    /// `quorumCnxnTimeoutMs`: of election handshakes; `None` is syncLimit ticks.
    pub handshake_timeout_ms: Option<i32>,
    /// `electionPortBindRetry`: attempts, a second apart; 0 is for ever.
    pub bind_retries: i32,
    /// `leaderConnectDelayDuringRetryMs`.
    pub connect_delay_ms: i32,
    /// `observer.reconnectDelayMs`.
    pub observer_reconnect_delay_ms: i64,
    /// `leader.nodelay`.
    pub leader_no_delay: bool,
    /// `follower.nodelay`.
    pub follower_no_delay: bool,
}

/// Of bringing learners up to date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sync {
    /// `commitLogCount`: transactions kept in memory for learners.
    pub commit_log_count: i64,
    /// `snapshotSizeFactor`: a log on disk goes to a learner up to this share of the snapshot.
    /// Negative is never; 0 is whatever its size.
    pub snapshot_size_factor: f64,
    /// `leader.maxConcurrentSnapSyncs`.
    pub snap_syncs_max: i32,
    /// `leader.maxConcurrentDiffSyncs`.
    pub diff_syncs_max: i32,
    /// `forceSnapshotSync`.
    pub always_snapshot: bool,
}

impl Quorum {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Quorum, ConfigError> {
        Ok(Quorum {
            read_only_mode: reader.switch("readonlymode.enabled")?,
            leader_serves: reader.switch("leaderServes")?,
            election: ElectionTimes {
                min_wait_ms: reader.int("fastleader.minNotificationInterval")?,
                max_wait_ms: reader.int("fastleader.maxNotificationInterval")?,
                observer_delay_ms: reader.long("observer.election.DelayMs")?,
                epoch_wait_ms: Some(reader.int("leader.maxTimeToWaitForEpoch")?)
                    .filter(|&ms| ms >= 0),
            },
            links: Links {
                tcp_keep_alive: reader.switch("tcpKeepAlive")?,
                connect_timeout_ms: reader.int("cnxTimeout")?,
                handshake_timeout_ms: positive(reader.int("quorumCnxnTimeoutMs")?),
                bind_retries: reader.int("electionPortBindRetry")?,
                connect_delay_ms: reader.int("leaderConnectDelayDuringRetryMs")?,
                observer_reconnect_delay_ms: reader.long("observer.reconnectDelayMs")?,
                leader_no_delay: reader.switch("leader.nodelay")?,
                follower_no_delay: reader.switch("follower.nodelay")?,
            },
            sync: Sync {
                commit_log_count: reader.long("commitLogCount")?,
                snapshot_size_factor: size_factor(reader.float("snapshotSizeFactor")?),
                snap_syncs_max: reader.int("leader.maxConcurrentSnapSyncs")?,
                diff_syncs_max: reader.int("leader.maxConcurrentDiffSyncs")?,
                always_snapshot: reader.switch("forceSnapshotSync")?,
            },
        })
    }
}

/// Above 1 it makes no sense and is the default (Apache's `ZKDatabase`).
fn size_factor(said: f64) -> f64 {
    if said > 1.0 {
        0.33
    } else {
        said
    }
}

fn positive(number: i32) -> Option<i32> {
    (number > 0).then_some(number)
}
