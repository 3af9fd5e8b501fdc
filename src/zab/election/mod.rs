//! Fast leader election (Apache's `FastLeaderElection`): whoever looks for a leader tells all
//! voters whom it would have, and adopts every better proposal it hears, until a quorum says the
//! same. Pure: notifications in, notifications and the winner out, time an argument.
//!
//! `docs/ELECTION.md` tells the rules, where they differ from Apache's, and why the last wait may
//! be cut short.

mod vote;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use jute::quorum::ServerState;

use self::vote::{Ballots, Heard};
use super::{LearnerKind, Membership, Notification, Oracle, QuorumRule, Quorums};
use crate::types::{Epoch, Sid, Zxid};

pub use self::vote::Vote;

/// How patient an election is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionOptions {
    /// First wait before everybody is told again, ms (`fastleader.minNotificationInterval`).
    pub min_notification_interval_ms: i64,
    /// The wait doubles up to this, ms (`fastleader.maxNotificationInterval`).
    pub max_notification_interval_ms: i64,
    /// How long a quorum's proposal must stand before it wins, ms (`finalizeWait`).
    pub finalize_wait_ms: i64,
    /// Whether a server knows itself elected at once where nobody is left to object.
    pub early_finish: bool,
}

impl Default for ElectionOptions {
    fn default() -> ElectionOptions {
        ElectionOptions {
            min_notification_interval_ms: 200,
            max_notification_interval_ms: 60_000,
            finalize_wait_ms: 200,
            early_finish: true,
        }
    }
}

/// What an election wants done.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElectionOutput {
    /// Send this to that server's election port. `to` is never this server.
    Notify { to: Sid, notification: Notification },
    /// The search is over. From here on notifications are answered as from one who leads, follows
    /// or observes. A leader should listen for its followers before it does what comes next.
    Elected { leader: Sid },
}

/// One server's part in all the elections of its life.
#[derive(Debug)]
pub struct Election {
    me: Sid,
    kind: LearnerKind,
    options: ElectionOptions,
    quorums: Quorums,
    /// Apache's logical clock. In memory only; a restarted server adopts the others' round.
    round: i64,
    /// The last round in which this server has looked: what it said there may still be heard, so
    /// it looks in none twice, though it may have joined an earlier one in between.
    looked: i64,
    /// The outcome of the last search.
    vote: Vote,
    phase: Phase,
    /// Who voted for the outcome.
    supporters: BTreeSet<Sid>,
    took_ms: Option<i64>,
    /// What voters who look have said while this server did not, and when.
    overheard: BTreeMap<Sid, (i64, Notification)>,
    /// What was answered to whom a moment ago.
    answered: BTreeMap<Sid, Answered>,
    outputs: VecDeque<ElectionOutput>,
}

/// A question and the answer it got.
#[derive(Debug)]
struct Answered {
    at_ms: i64,
    question: Vote,
    answer: (Vote, ServerState),
}

#[derive(Debug)]
enum Phase {
    /// Never started: there is no vote to tell anybody.
    New,
    Looking(Search),
    Settled(ServerState),
}

/// One search for a leader. It may go through several rounds.
#[derive(Debug)]
struct Search {
    started_ms: i64,
    /// What this server said before it heard anybody; to be compared with in every new round.
    initial: Vote,
    /// Whether this server counts as one of a quorum.
    votes: bool,
    /// Whether it may be guided by the proposals of others who look.
    heeds_proposals: bool,
    proposal: Vote,
    /// The voters' last words in this round (Apache's `recvset`).
    heard: Ballots,
    /// The last words of those who have settled, of whatever round (Apache's `outofelection`).
    settled: Ballots,
    /// On whose election port nobody has listened since the proposal was made, and who has not
    /// spoken since.
    refused: BTreeSet<Sid>,
    /// Set while a quorum agrees with the proposal: when it wins.
    finalize_at_ms: Option<i64>,
    interval_ms: i64,
    resend_at_ms: i64,
}

impl Election {
    /// A server that has not looked for a leader yet, and answers nobody.
    pub fn new(me: Sid, kind: LearnerKind, options: ElectionOptions) -> Election {
        let nobody = Membership {
            version: 0,
            voters: BTreeSet::new(),
            observers: BTreeSet::new(),
            rule: QuorumRule::Majority,
            text: Bytes::new(),
        };
        Election {
            me,
            kind,
            options,
            quorums: Quorums::settled(nobody),
            round: 0,
            looked: 0,
            vote: NO_VOTE,
            phase: Phase::New,
            supporters: BTreeSet::new(),
            took_ms: None,
            overheard: BTreeMap::new(),
            answered: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins to look for a leader, in a new round. `zxid` and `epoch` are this server's last
    /// logged zxid and its current epoch. With `may_nominate` false, or with the zxid -1 of a
    /// database that can't be trusted, a participant neither proposes itself nor counts as a
    /// voter: it joins whomever others have elected.
    pub fn start(
        &mut self,
        now_ms: i64,
        quorums: &Quorums,
        zxid: Zxid,
        epoch: Epoch,
        may_nominate: bool,
    ) {
        self.quorums = quorums.clone();
        // A round is adopted from whoever says so; it may be the last one there is.
        let before = self.round.max(self.looked);
        self.round = before.wrapping_add(i64::from(!mutant!(RoundNotBumped)));
        self.looked = self.round;
        let participates = self.kind == LearnerKind::Follower;
        let trusted = may_nominate && zxid != Zxid::NONE;
        let initial = self.initial_vote(zxid, epoch, trusted);
        self.vote = initial;
        self.took_ms = None;
        self.phase = Phase::Looking(Search {
            started_ms: now_ms,
            initial,
            votes: participates && trusted && self.quorums.is_voter(self.me),
            heeds_proposals: !participates || trusted,
            proposal: initial,
            heard: Ballots::default(),
            settled: Ballots::default(),
            refused: BTreeSet::new(),
            finalize_at_ms: None,
            interval_ms: self.options.min_notification_interval_ms,
            resend_at_ms: now_ms + self.options.min_notification_interval_ms,
        });
        self.propose(initial);
        self.count(now_ms);
        // Beyond Apache: those who have noticed first that the leader is gone have spoken already,
        // and may not speak again for a while.
        for (from, (at_ms, notification)) in std::mem::take(&mut self.overheard) {
            if now_ms - at_ms < OVERHEARD_MS {
                self.handle(now_ms, from, notification);
            }
        }
    }

    fn initial_vote(&self, zxid: Zxid, epoch: Epoch, trusted: bool) -> Vote {
        let round = self.round;
        if self.kind == LearnerKind::Observer {
            return Vote { round, ..NO_VOTE };
        }
        let is_voter = self.quorums.committed.is_voter(self.me);
        let leader = if is_voter { self.me } else { NO_VOTE.leader };
        if trusted {
            Vote { leader, zxid, peer_epoch: i64::from(epoch.0), round }
        } else {
            // Everybody ignores a zxid of -1; the epoch makes it lose even where it is compared
            // unseen, as Apache does during the last wait.
            Vote { leader, zxid: Zxid::NONE, peer_epoch: -1, round }
        }
    }

    /// Takes in what the server `from` says.
    pub fn handle(&mut self, now_ms: i64, from: Sid, notification: Notification) {
        let looks = notification.state == ServerState::Looking;
        let asked = Vote::of(&notification);
        match &mut self.phase {
            Phase::New => self.overhear(now_ms, from, notification),
            // An observer asks. Apache answers whatever the asker's state is; only those who look
            // have a use for it.
            _ if !self.quorums.is_voter(from) => {
                if looks {
                    self.answer(now_ms, from, asked);
                }
            }
            Phase::Settled(_) => {
                if looks {
                    self.answer(now_ms, from, asked);
                }
                self.overhear(now_ms, from, notification);
            }
            Phase::Looking(search) => {
                if looks && !search.votes {
                    search.resend_at_ms = search.resend_at_ms.min(now_ms + ASK_AGAIN_MS);
                }
                if looks && search.votes && asked.round < self.round {
                    self.answer(now_ms, from, asked);
                }
                self.weigh(now_ms, from, &notification);
            }
        }
    }

    fn overhear(&mut self, now_ms: i64, from: Sid, notification: Notification) {
        if notification.state != ServerState::Looking {
            self.overheard.remove(&from);
        } else if self.quorums.is_voter(from) || matches!(self.phase, Phase::New) {
            self.overheard.retain(|_, (at_ms, _)| now_ms - *at_ms < OVERHEARD_MS);
            self.overheard.insert(from, (now_ms, notification));
        }
    }

    /// A dial of that server's election port was refused: nobody listens there, and whatever the
    /// server has said in this round it said before it went away.
    pub fn refused(&mut self, now_ms: i64, sid: Sid) {
        self.overheard.remove(&sid);
        if let Phase::Looking(search) = &mut self.phase {
            search.refused.insert(sid);
            search.heard.remove(sid);
            search.settled.remove(sid);
            self.count(now_ms);
        }
    }

    /// A deadline may have passed.
    pub fn handle_timeout(&mut self, now_ms: i64) {
        self.count(now_ms);
        let Phase::Looking(search) = &mut self.phase else { return };
        if search.finalize_at_ms.is_none() && search.resend_at_ms <= now_ms {
            let doubled = search.interval_ms.saturating_mul(2);
            search.interval_ms = doubled.min(self.options.max_notification_interval_ms);
            search.resend_at_ms = now_ms + search.interval_ms;
            self.tell_everybody();
        }
    }

    /// When `handle_timeout` wants to be called, ms; `None` while settled.
    pub fn poll_timeout(&self) -> Option<i64> {
        match &self.phase {
            Phase::Looking(search) => Some(search.finalize_at_ms.unwrap_or(search.resend_at_ms)),
            Phase::New | Phase::Settled(_) => None,
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<ElectionOutput> {
        self.outputs.pop_front()
    }

    /// This server has taken a role (which ends a search, if one is under way): those who look
    /// are told so, with the current vote.
    pub fn settled(&mut self, state: ServerState) {
        assert_ne!(state, ServerState::Looking, "looking begins with start()");
        self.phase = Phase::Settled(state);
    }

    /// The leader of the current vote is established in `epoch`. Everybody tells the epoch from
    /// now on, so that late comers find the answers agreeing (ZOOKEEPER-1732).
    pub fn established(&mut self, epoch: Epoch) {
        self.vote.peer_epoch = i64::from(epoch.0);
    }

    /// The configuration has changed. A search under way goes on under the new one.
    pub fn quorums(&mut self, quorums: &Quorums) {
        self.quorums = quorums.clone();
    }

    /// The oracle has been asked. A search under way heeds it.
    pub fn oracle(&mut self, now_ms: i64, oracle: Oracle) {
        self.quorums.oracle = oracle;
        self.count(now_ms);
    }

    /// The round of elections, counted since the process began.
    pub fn round(&self) -> i64 {
        self.round
    }

    /// The current vote: the proposal of a search, then its outcome.
    pub fn vote(&self) -> Vote {
        match &self.phase {
            Phase::Looking(search) => search.proposal,
            Phase::New | Phase::Settled(_) => self.vote,
        }
    }

    /// What notifications say of this server.
    pub fn state(&self) -> ServerState {
        match self.phase {
            Phase::New | Phase::Looking(_) => ServerState::Looking,
            Phase::Settled(state) => state,
        }
    }

    /// Those who looked as well and voted for the outcome of the last search, as far as they had
    /// said so.
    pub fn supporters(&self) -> &BTreeSet<Sid> {
        &self.supporters
    }

    /// How long the last search took, ms; `None` before it is over.
    pub fn took_ms(&self) -> Option<i64> {
        self.took_ms
    }

    // ---- while looking ----

    /// Considers the vote of a voter.
    fn weigh(&mut self, now_ms: i64, from: Sid, notification: &Notification) {
        let Phase::Looking(search) = &mut self.phase else { return };
        search.refused.remove(&from);
        if !self.quorums.is_voter(notification.leader) {
            return;
        }
        match notification.state {
            ServerState::Looking => self.weigh_proposal(now_ms, from, notification),
            ServerState::Following | ServerState::Leading => {
                self.weigh_settled(now_ms, from, notification);
            }
            ServerState::Observing => {}
        }
        self.count(now_ms);
    }

    /// Another one looks too: its round may be newer, its proposal better.
    fn weigh_proposal(&mut self, now_ms: i64, from: Sid, notification: &Notification) {
        let vote = Vote::of(notification);
        let Phase::Looking(search) = &mut self.phase else { return };
        if !search.heeds_proposals || vote.zxid == Zxid::NONE || vote.round < self.round {
            return;
        }
        if vote.round > self.round {
            self.round = vote.round;
            self.looked = vote.round;
            search.heard.clear();
            let initial = Vote { round: vote.round, ..search.initial };
            let better = beats(&self.quorums, &vote, &initial);
            self.propose(if better { vote } else { initial });
        } else if beats(&self.quorums, &vote, &search.proposal) {
            self.propose(vote);
        }
        let Phase::Looking(search) = &mut self.phase else { return };
        let looks = Heard { vote, state: ServerState::Looking, version: 0 };
        search.heard.insert(from, looks);
        // Beyond Apache: it may have dropped our proposal, for it had not begun to look then. The
        // next resend would tell it, but that may be a long time off.
        if search.votes && beats(&self.quorums, &search.proposal, &vote) {
            self.answer(now_ms, from, vote);
        }
    }

    /// Another one has a leader: so has this server, if a quorum says the same and the leader
    /// itself says that it leads. Otherwise a leader that has died would be elected again and
    /// again by those who have not noticed.
    fn weigh_settled(&mut self, now_ms: i64, from: Sid, notification: &Notification) {
        let vote = Vote::of(notification);
        let Notification { state, version, .. } = *notification;
        let Phase::Looking(search) = &mut self.phase else { return };
        let probe = Heard { vote, state, version };
        let me = self.me;
        let leads = |ballots: &Ballots| {
            if vote.leader == me {
                // One whose disk is not to be trusted does not lead, whoever still thinks so.
                search.votes && vote.round == self.round
            } else {
                ballots.says_it_leads(vote.leader)
            }
        };
        let mut joins = false;
        if vote.round == self.round {
            // Apache stores these without their version; so a probe with one compares only ids.
            search.heard.insert(from, Heard { version: 0, ..probe });
            let agreeing = search.heard.agreeing_with(&probe);
            joins = self.quorums.is_quorum(&agreeing) && leads(&search.heard);
        }
        search.settled.insert(from, probe);
        let agreeing = search.settled.agreeing_with(&probe);
        joins |= self.quorums.is_quorum(&agreeing) && leads(&search.settled);
        // The other one of two voters leads without us, and may.
        let leads_itself = state == ServerState::Leading && from == vote.leader;
        joins |= leads_itself && self.quorums.yields_to_the_other();
        if joins {
            self.elect(now_ms, vote);
        }
    }

    /// Makes a proposal this server's own and tells everybody.
    fn propose(&mut self, vote: Vote) {
        let Phase::Looking(search) = &mut self.phase else { return };
        search.proposal = vote;
        search.finalize_at_ms = None;
        // Whoever has refused is dialled again to be told of this.
        search.refused.clear();
        if search.votes {
            let own = Heard { vote, state: ServerState::Looking, version: 0 };
            search.heard.insert(self.me, own);
        }
        self.tell_everybody();
    }

    /// Ends the search if the proposal has won.
    fn count(&mut self, now_ms: i64) {
        let Phase::Looking(search) = &mut self.phase else { return };
        let own = Heard { vote: search.proposal, state: ServerState::Looking, version: 0 };
        let agreeing = search.heard.agreeing_with(&own);
        let leader = search.proposal.leader;
        let may_win = leader != self.me || search.votes;
        if !may_win || !self.quorums.is_quorum(&agreeing) {
            search.finalize_at_ms = None;
            return;
        }
        let cut_short = if leader == self.me {
            self.options.early_finish
                && self
                    .quorums
                    .voters()
                    .iter()
                    .all(|voter| agreeing.contains(voter) || search.refused.contains(voter))
        } else {
            search.heard.says_it_leads(leader)
        };
        // Voters tell each other of every change of mind, so that silence means something. An
        // observer would have to ask; it goes on asking until they have settled.
        let stands = self.kind == LearnerKind::Follower && {
            let wait_ms = self.options.finalize_wait_ms;
            *search.finalize_at_ms.get_or_insert(now_ms + wait_ms) <= now_ms
        };
        if cut_short || stands {
            let proposal = search.proposal;
            self.elect(now_ms, proposal);
        }
        if cut_short && leader == self.me {
            // The others would wait on. Apache's begin their wait anew with every message, so
            // that this is only said while they have hardly begun.
            self.tell_everybody();
        }
    }

    fn elect(&mut self, now_ms: i64, vote: Vote) {
        let Phase::Looking(search) = &self.phase else { return };
        self.took_ms = Some(now_ms - search.started_ms);
        let own = Heard { vote, state: ServerState::Looking, version: 0 };
        self.supporters = search.heard.agreeing_with(&own);
        self.phase = Phase::Settled(match self.kind {
            _ if vote.leader == self.me => ServerState::Leading,
            LearnerKind::Follower => ServerState::Following,
            LearnerKind::Observer => ServerState::Observing,
        });
        // Whoever joins late joins the round of the others, which may be an earlier one.
        self.round = vote.round;
        self.vote = vote;
        self.outputs.push_back(ElectionOutput::Elected { leader: vote.leader });
    }

    // ---- words ----

    fn tell_everybody(&mut self) {
        for voter in self.quorums.voters() {
            if voter != self.me {
                self.tell(voter);
            }
        }
    }

    /// Answers what somebody has said, but not the same with the same at once: where two servers
    /// each take their turn to answer the other (a voter must answer an observer, and one in an
    /// older round must be set right), they would never stop.
    fn answer(&mut self, now_ms: i64, to: Sid, question: Vote) {
        let answer = (self.vote(), self.state());
        self.answered.retain(|_, answered| now_ms - answered.at_ms < ECHO_MS);
        let before = self.answered.get(&to);
        if before.is_some_and(|said| said.question == question && said.answer == answer) {
            return;
        }
        self.answered.insert(to, Answered { at_ms: now_ms, question, answer });
        self.tell(to);
    }

    fn tell(&mut self, to: Sid) {
        let Vote { leader, zxid, peer_epoch, round } = self.vote();
        let notification = Notification {
            state: self.state(),
            leader,
            zxid,
            round,
            peer_epoch,
            version: jute::quorum::Notification::VERSION,
            config: Some(self.quorums.committed.text.clone()),
        };
        self.outputs.push_back(ElectionOutput::Notify { to, notification });
    }
}

/// Whether a candidate takes the place of `standing`. Without weight it never does.
fn beats(quorums: &Quorums, candidate: &Vote, standing: &Vote) -> bool {
    let committed = &quorums.committed;
    // A server that a reconfig is about to make a voter may win, as it may with Apache's.
    let weighs = committed.rule == QuorumRule::Majority || committed.weight(candidate.leader) > 0;
    weighs && candidate.is_better_than(standing)
}

/// What those without a vote say.
const NO_VOTE: Vote =
    Vote { leader: Sid(i64::MIN), zxid: Zxid(i64::MIN), peer_epoch: i64::MIN, round: 0 };

/// The same words again after less than this are an echo; after more, an answer was lost.
const ECHO_MS: i64 = 100;

/// What was overheard longer ago may not hold any more.
const OVERHEARD_MS: i64 = 1000;

/// Those who don't vote are not told when the voters have settled: they ask again this long after
/// they have heard voters look.
const ASK_AGAIN_MS: i64 = 500;
