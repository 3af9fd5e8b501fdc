//! Bugs that others have shipped, put into this server on purpose and one at a time (feature
//! "mutants"): what the simulator must find. A site is one expression, `mutant!(Name)`, which is
//! `false` without the feature, so that nothing of it is in a server that serves.
//!
//! docs/SIMULATION.md says which check finds which of them, and after how many seeds.

/// Whether the mutant of this name, or one of several, is switched on in this thread.
#[cfg(feature = "mutants")]
macro_rules! mutant {
    ($($name:ident)|+) => {
        $($crate::mutants::is_on($crate::mutants::Mutant::$name))||+
    };
}

/// Never: the feature "mutants" is off.
#[cfg(not(feature = "mutants"))]
macro_rules! mutant {
    ($($name:ident)|+) => {
        false
    };
}

#[cfg(feature = "mutants")]
pub use on::{is_on, switch_on, Mutant};

#[cfg(feature = "mutants")]
mod on {
    use std::cell::Cell;
    use std::fmt;

    thread_local! {
        /// The simulator runs whole ensembles on one thread, and another seed on another one.
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Switches one on, for the rest of the thread's life.
    pub fn switch_on(mutant: Mutant) {
        ON.set(Some(mutant));
    }

    /// Whether it is switched on.
    pub fn is_on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }

    /// The mutants, with what each stands for.
    macro_rules! mutants {
        ($($(#[$doc:meta])* $name:ident = $number:literal, $source:literal, $what:literal;)*) => {
            /// A bug that is put in.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Mutant {
                $($(#[$doc])* $name = $number,)*
            }

            impl Mutant {
                /// In the order of their numbers.
                pub const ALL: &'static [Mutant] = &[$(Mutant::$name,)*];

                /// Who shipped the bug: a key of Apache's JIRA mostly.
                pub fn source(self) -> &'static str {
                    match self {
                        $(Mutant::$name => $source,)*
                    }
                }

                /// What is wrong with the server.
                pub fn what(self) -> &'static str {
                    match self {
                        $(Mutant::$name => $what,)*
                    }
                }
            }
        };
    }

    mutants! {
        /// A learner writes currentEpoch before the history that comes with it is durable. A crash
        /// between the two, and it beats those who have more.
        EpochBeforeHistory = 1, "ZOOKEEPER-4643", "currentEpoch is saved before the history";
        /// NEWLEADER is acknowledged before the history in front of it is durable.
        HistoryAckedEarly = 2, "ZOOKEEPER-4646", "NEWLEADER is acked before fdatasync";
        /// What DIFF brought is logged behind UPTODATE.
        DiffLoggedLate = 3, "ZOOKEEPER-3911", "what DIFF brought is logged behind UPTODATE";
        /// Proposals that came with the history are logged with it and acknowledged first.
        ProposalAckedFirst = 4, "ZOOKEEPER-4685", "a proposal's ACK is in front of NEWLEADER's";
        /// A new election begins while the log of the old role still works: the vote and the log
        /// differ.
        LogOutlivesRole = 5, "ZOOKEEPER-4712", "the log goes on writing into the next election";
        /// COMMIT between NEWLEADER and UPTODATE is lost.
        CommitDropped = 6, "ZOOKEEPER-4394, 3023", "COMMIT in front of UPTODATE is dropped";
        /// What a learner took over is not in the list from which it brings others up to date.
        HoleInCommittedLog = 7, "ZOOKEEPER-4925", "what a sync brought is not in committedLog";
        /// TRUNC cuts the log, and the tree stays.
        TreeKept = 8, "ZOOKEEPER-2845", "the tree outlives what the log gives up";
        /// Behind TRUNC the server still says it has what was cut off.
        AheadAfterTrunc = 9, "ZOOKEEPER-5094", "memory is ahead of the log behind TRUNC";
        /// The log could not be written, and the server goes on as if it had been.
        FailedWriteIgnored = 10, "ZOOKEEPER-4882", "a failed write of the log is ignored";
        /// A leader's snapshot is taken for durable when it is only written.
        SnapAckedEarly = 11, "ZOOKEEPER-3104, 2872, 3642", "SNAP is acked before it is durable";
        /// Whoever joins gets proposals from its ACK of NEWLEADER on, not from the sync on.
        ProposedToAckedOnly = 12, "Zab paper, ambiguity 1", "PROPOSAL only behind NEWLEADER's ACK";
        /// Whoever joins is told of commits from its UPTODATE on, not from the sync on.
        CommittedToServingOnly = 13, "Zab paper, ambiguity 3", "COMMIT only behind UPTODATE";
        /// The counter runs into the epoch.
        CounterRollsOver = 14, "ZOOKEEPER-1277", "the zxid's counter rolls over";
        /// The log takes nothing any more, and the leader stays.
        LeaderWithoutDisk = 15, "ZOOKEEPER-2247", "a leader that can't write goes on leading";
        /// A failed fdatasync is tried again.
        SyncRetried = 16, "fsyncgate", "a failed fdatasync is tried again";
        /// A new log's name is not made durable.
        DirectoryNotSynced = 17, "ALICE", "a new log's directory is not synced";
        /// A start goes on behind a hole in the logs, and a digest that is not met is a warning.
        HoleSkipped = 18, "ZOOKEEPER-4925 (logs)", "recovery goes on behind a hole in the logs";
        /// A server that has lost its disk's content votes like one that has everything.
        StrangerVotes = 19, "FAST'18 (CTRL)", "a server that lost its disk votes";
        /// A leader that stood still ends sessions for it, before their clients can be heard.
        ExpiredOnResume = 20, "etcd 15247", "a resumed leader expires sessions at once";
        /// A change between a read and its watch is missed.
        WatchedLate = 21, "a race", "a watch is armed behind the read's reply";
        /// A read is done though a write of its connection is on its way.
        ReadOvertakesWrite = 22, "a race", "a read overtakes its session's write";
        /// A leader that has lost its quorum answers what it had proposed.
        OldLeaderAnswers = 23, "a pause", "a deposed leader answers a write";
        /// One vote fewer is enough.
        SmallQuorum = 24, "off by one", "a majority has one vote too few";
        /// The next election counts what was said in the last one.
        RoundNotBumped = 25, "FastLeaderElection", "an election does not open a new round";
    }

    impl Mutant {
        /// `M1` to `M25`, or the name. `None`: there is no such mutant.
        pub fn parse(text: &str) -> Option<Mutant> {
            let named = |mutant: &&Mutant| mutant.to_string() == text || mutant.name() == text;
            Mutant::ALL.iter().find(named).copied()
        }

        /// Its name in the code.
        pub fn name(self) -> String {
            format!("{self:?}")
        }
    }

    impl fmt::Display for Mutant {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.pad(&format!("M{}", *self as u8))
        }
    }
}
