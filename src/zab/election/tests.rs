//! Elections, told as stories. The servers of a `World` talk over lossless channels, each in
//! order; which channel is served next is drawn from a seed. Whoever is not of this world refuses
//! every dial. Time stands still while anything is under way.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const TEXT: &[u8] = b"version=0";

fn sids(ids: &[i64]) -> BTreeSet<Sid> {
    ids.iter().copied().map(Sid).collect()
}

fn majority(voters: &[i64], observers: &[i64]) -> Quorums {
    Quorums::settled(Membership {
        version: 0,
        voters: sids(voters),
        observers: sids(observers),
        rule: QuorumRule::Majority,
        text: Bytes::from_static(TEXT),
    })
}

fn says(state: ServerState, leader: i64, zxid: i64, round: i64, peer_epoch: i64) -> Notification {
    Notification {
        state,
        leader: Sid(leader),
        zxid: Zxid(zxid),
        round,
        peer_epoch,
        version: 2,
        config: Some(Bytes::from_static(TEXT)),
    }
}

fn looks(leader: i64, zxid: i64, round: i64, peer_epoch: i64) -> Notification {
    says(ServerState::Looking, leader, zxid, round, peer_epoch)
}

/// A participant that has begun to look at 0 ms, in round 1.
fn looking(me: i64, quorums: &Quorums, zxid: i64, epoch: u32) -> Election {
    let mut election = Election::new(Sid(me), LearnerKind::Follower, ElectionOptions::default());
    election.start(0, quorums, Zxid(zxid), Epoch(epoch), true);
    election
}

/// All that an election has put out: whom it told what, and who was elected.
fn outputs(election: &mut Election) -> (Vec<(i64, Notification)>, Option<i64>) {
    let (mut told, mut elected) = (Vec::new(), None);
    while let Some(output) = election.poll_output() {
        match output {
            ElectionOutput::Notify { to, notification } => told.push((to.0, notification)),
            ElectionOutput::Elected { leader } => {
                assert_eq!(elected.replace(leader.0), None, "elected twice");
            }
        }
    }
    (told, elected)
}

fn elected(election: &mut Election) -> Option<i64> {
    outputs(election).1
}

fn told(election: &mut Election) -> Vec<i64> {
    outputs(election).0.into_iter().map(|(to, _)| to).collect()
}

// ---- one server ----

#[test]
fn a_participant_proposes_itself_to_every_other_voter() {
    let mut election = looking(2, &majority(&[1, 2, 3], &[4]), 7, 5);
    let (told, elected) = outputs(&mut election);
    assert_eq!(told, vec![(1, looks(2, 7, 1, 5)), (3, looks(2, 7, 1, 5))]);
    assert_eq!(elected, None);
    assert_eq!(election.poll_timeout(), Some(200));
}

#[test]
fn a_quorums_proposal_wins_after_standing_for_200_ms() {
    let mut election = looking(3, &majority(&[1, 2, 3], &[]), 7, 5);
    election.handle(50, Sid(1), looks(3, 7, 1, 5));
    assert_eq!(election.poll_timeout(), Some(250));
    election.handle_timeout(249);
    assert_eq!(elected(&mut election), None);
    election.handle_timeout(250);
    assert_eq!(elected(&mut election), Some(3));
    assert_eq!((election.state(), election.took_ms()), (ServerState::Leading, Some(250)));
    assert_eq!(election.poll_timeout(), None);
}

#[test]
fn a_better_proposal_within_the_wait_takes_over_and_has_to_stand_itself() {
    let mut election = looking(2, &majority(&[1, 2, 3, 4, 5], &[]), 7, 5);
    election.handle(0, Sid(1), looks(2, 7, 1, 5));
    election.handle(0, Sid(3), looks(2, 7, 1, 5));
    assert_eq!(election.poll_timeout(), Some(200));
    let _ = outputs(&mut election);
    election.handle(150, Sid(4), looks(4, 8, 1, 5));
    assert_eq!(outputs(&mut election).0[0], (1, looks(4, 8, 1, 5)));
    election.handle_timeout(200);
    assert_eq!(elected(&mut election), None);
    election.handle(210, Sid(1), looks(4, 8, 1, 5));
    election.handle_timeout(410);
    assert_eq!(elected(&mut election), Some(4));
    assert_eq!(election.state(), ServerState::Following);
}

#[test]
fn who_is_not_heard_is_told_again_ever_more_rarely() {
    let mut election = looking(1, &majority(&[1, 2, 3], &[]), 7, 5);
    let _ = outputs(&mut election);
    let mut resent_at = Vec::new();
    for _ in 0..12 {
        let at = election.poll_timeout().expect("looking");
        election.handle_timeout(at);
        assert_eq!(told(&mut election), [2, 3]);
        resent_at.push(at);
    }
    assert_eq!(resent_at[..4], [200, 600, 1400, 3000]);
    assert_eq!(resent_at[11] - resent_at[10], 60_000);
}

#[test]
fn a_newer_round_is_adopted_and_votes_of_the_old_one_are_forgotten() {
    let quorums = majority(&[1, 2, 3, 4, 5], &[]);
    let mut election = looking(2, &quorums, 7, 5);
    election.handle(0, Sid(1), looks(5, 9, 1, 5));
    let _ = outputs(&mut election);
    election.handle(0, Sid(3), looks(1, 3, 4, 5));
    assert_eq!(election.round(), 4);
    // Server 5 is forgotten with the round; this server's own vote beats that of the newcomer.
    let (told, _) = outputs(&mut election);
    assert_eq!(told[0], (1, looks(2, 7, 4, 5)));
    // The old round's votes count for nothing any more, but their senders are set right.
    election.handle(0, Sid(1), looks(2, 7, 1, 5));
    election.handle(0, Sid(4), looks(2, 7, 1, 5));
    let (told, _) = outputs(&mut election);
    assert_eq!(told, [(1, looks(2, 7, 4, 5)), (4, looks(2, 7, 4, 5))]);
    election.handle_timeout(1000);
    assert_eq!(elected(&mut election), None);
}

#[test]
fn a_worse_proposal_of_the_same_round_is_answered() {
    let mut election = looking(2, &majority(&[1, 2, 3], &[]), 7, 5);
    let _ = outputs(&mut election);
    election.handle(0, Sid(1), looks(1, 6, 1, 5));
    assert_eq!(told(&mut election), [1]);
    // Said again at once it is an echo; later, our answer may have been lost.
    election.handle(1, Sid(1), looks(1, 6, 1, 5));
    assert!(told(&mut election).is_empty());
    election.handle(150, Sid(1), looks(1, 6, 1, 5));
    assert_eq!(told(&mut election), [1]);
}

#[test]
fn votes_from_or_for_strangers_to_the_configuration_count_for_nothing() {
    let mut election = looking(2, &majority(&[1, 2, 3], &[]), 7, 5);
    let _ = outputs(&mut election);
    election.handle(0, Sid(1), looks(9, 9, 1, 9));
    election.handle(0, Sid(8), looks(2, 7, 1, 5));
    assert_eq!(told(&mut election), [8], "one without a vote is answered at once");
    election.handle_timeout(10_000);
    assert_eq!(elected(&mut election), None);
    assert_eq!(election.vote().leader, Sid(2));
}

#[test]
fn rubbish_in_the_configuration_text_is_not_looked_at() {
    let mut election = looking(2, &majority(&[1, 2, 3], &[]), 7, 5);
    let config = Some(Bytes::from_static(b"\xff\xfeserver.1=version=zz"));
    election.handle(0, Sid(1), Notification { config, ..looks(2, 7, 1, 5) });
    election.handle(0, Sid(3), Notification { config: None, ..looks(2, 7, 1, 5) });
    assert_eq!(elected(&mut election), Some(2));
}

// ---- joining those who have settled ----

#[test]
fn a_late_comer_joins_when_a_quorum_follows_and_the_leader_says_so_itself() {
    let quorums = majority(&[1, 2, 3, 4, 5], &[]);
    let mut election = looking(1, &quorums, 9, 5);
    let following = |zxid, round| says(ServerState::Following, 3, zxid, round, 6);
    // They settled in different rounds and remember different zxids.
    election.handle(0, Sid(2), following(7, 4));
    election.handle(0, Sid(4), following(8, 5));
    election.handle(0, Sid(5), following(8, 5));
    assert_eq!(elected(&mut election), None, "the leader may be dead");
    election.handle(0, Sid(3), says(ServerState::Leading, 3, 7, 4, 6));
    assert_eq!(elected(&mut election), Some(3));
    assert_eq!((election.round(), election.state()), (4, ServerState::Following));
}

#[test]
fn a_round_can_jump_back_and_the_next_search_is_in_a_round_of_its_own() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut election = looking(1, &quorums, 9, 5);
    for _ in 0..6 {
        election.start(0, &quorums, Zxid(9), Epoch(5), true);
    }
    assert_eq!(election.round(), 7);
    election.handle(0, Sid(2), says(ServerState::Following, 3, 9, 2, 6));
    election.handle(0, Sid(3), says(ServerState::Leading, 3, 9, 2, 6));
    assert_eq!((elected(&mut election), election.round()), (Some(3), 2));
    // Others may still hear what it said in round 7, and a TRUNC may have made that wrong.
    election.start(10, &quorums, Zxid(8), Epoch(6), true);
    assert_eq!(election.round(), 8);
    election.handle(20, Sid(2), looks(1, 9, 7, 5));
    assert_eq!(election.vote().zxid, Zxid(8));
}

#[test]
fn the_last_round_there_is_ends_nothing() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut election = looking(2, &quorums, 9, 5);
    election.handle(0, Sid(1), looks(2, 9, i64::MAX, 5));
    assert_eq!(election.round(), i64::MAX);
    election.start(10, &quorums, Zxid(9), Epoch(5), true);
    election.handle(20, Sid(1), looks(2, 9, i64::MAX, 5));
    election.handle_timeout(220);
    assert_eq!(elected(&mut election), Some(2));
}

#[test]
fn different_epochs_of_a_leader_agree_only_where_one_side_is_too_old_to_know() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut election = looking(1, &quorums, 9, 5);
    election.handle(0, Sid(2), says(ServerState::Following, 3, 9, 4, 5));
    election.handle(0, Sid(3), says(ServerState::Leading, 3, 9, 4, 6));
    assert_eq!(elected(&mut election), None);
    let old = Notification { version: 0, ..says(ServerState::Following, 3, 9, 4, 5) };
    election.handle(0, Sid(2), old);
    assert_eq!(elected(&mut election), Some(3));
}

#[test]
fn a_restarted_leader_takes_up_its_place_only_in_the_very_round() {
    let quorums = majority(&[1, 2, 3], &[]);
    for (round, expected) in [(1, Some(3)), (2, None)] {
        let mut election = looking(3, &quorums, 9, 5);
        election.handle(0, Sid(1), says(ServerState::Following, 3, 9, round, 6));
        election.handle(0, Sid(2), says(ServerState::Following, 3, 9, round, 6));
        assert_eq!(elected(&mut election), expected);
    }
}

#[test]
fn the_settled_answer_those_who_look_with_the_vote_and_the_established_epoch() {
    let mut election = looking(3, &majority(&[1, 2, 3], &[]), 9, 5);
    election.handle(0, Sid(1), looks(3, 9, 1, 5));
    election.handle(0, Sid(2), looks(3, 9, 1, 5));
    assert_eq!(elected(&mut election), Some(3));
    election.settled(ServerState::Leading);
    election.established(Epoch(6));
    election.handle(5, Sid(2), looks(2, 11, 8, 5));
    let (told, _) = outputs(&mut election);
    assert_eq!(told, [(2, says(ServerState::Leading, 3, 9, 1, 6))]);
    election.handle(5, Sid(2), says(ServerState::Following, 2, 11, 8, 5));
    election.handle_timeout(100_000);
    assert_eq!(outputs(&mut election), (vec![], None));
}

#[test]
fn two_servers_that_take_each_other_for_observers_do_not_answer_for_ever() {
    let mut election = looking(3, &majority(&[1, 2, 3], &[]), 9, 5);
    let _ = outputs(&mut election);
    election.handle(0, Sid(7), says(ServerState::Observing, 3, 9, 1, 5));
    assert!(told(&mut election).is_empty());
}

#[test]
fn the_same_question_is_not_answered_again_at_once_unless_the_answer_has_changed() {
    let mut election = looking(3, &majority(&[1, 2, 3], &[]), 9, 5);
    election.handle(0, Sid(2), looks(3, 9, 1, 5));
    let _ = outputs(&mut election);
    for at_ms in 200..300 {
        election.handle(at_ms, Sid(7), looks(7, 9, 1, 5));
    }
    assert_eq!(told(&mut election), [7]);
    election.handle_timeout(300);
    assert_eq!(elected(&mut election), Some(3));
    election.handle(300, Sid(7), looks(7, 9, 1, 5));
    assert_eq!(told(&mut election), [7]);
}

#[test]
fn what_others_said_just_before_this_server_began_to_look_counts() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut election = looking(1, &quorums, 9, 5);
    election.settled(ServerState::Following);
    let _ = outputs(&mut election);
    election.handle(1000, Sid(2), looks(2, 9, 2, 5));
    assert_eq!(told(&mut election), [2]);
    election.start(1010, &quorums, Zxid(9), Epoch(5), true);
    assert_eq!(election.vote().leader, Sid(2));
    election.handle_timeout(1210);
    assert_eq!(elected(&mut election), Some(2));
    // Unless it was long ago, or the server has gone since.
    for (heard_at_ms, refuses) in [(2000, false), (2900, true)] {
        election.settled(ServerState::Following);
        election.handle(heard_at_ms, Sid(2), looks(2, 9, 9, 5));
        if refuses {
            election.refused(2950, Sid(2));
        }
        election.start(3000, &quorums, Zxid(9), Epoch(5), true);
        assert_eq!(election.vote().leader, Sid(1));
    }
}

#[test]
fn before_the_first_start_nobody_is_told_anything() {
    let mut election = Election::new(Sid(1), LearnerKind::Follower, ElectionOptions::default());
    election.handle(0, Sid(2), looks(2, 9, 1, 5));
    election.refused(0, Sid(2));
    election.handle_timeout(1000);
    assert_eq!(outputs(&mut election), (vec![], None));
    assert_eq!(election.poll_timeout(), None);
}

// ---- the last wait cut short ----

#[test]
fn when_every_voter_wants_this_server_there_is_nothing_to_wait_for() {
    let mut election = looking(3, &majority(&[1, 2, 3], &[]), 7, 5);
    let _ = outputs(&mut election);
    election.handle(1, Sid(1), looks(3, 7, 1, 5));
    assert_eq!(outputs(&mut election), (vec![], None));
    election.handle(2, Sid(2), looks(3, 7, 1, 5));
    let leads = says(ServerState::Leading, 3, 7, 1, 5);
    assert_eq!(outputs(&mut election), (vec![(1, leads.clone()), (2, leads)], Some(3)));
    assert_eq!(election.took_ms(), Some(2));
}

#[test]
fn who_follows_does_not_decide_that_but_hears_it_from_the_leader() {
    let quorums = majority(&[1, 2, 3, 4, 5], &[]);
    let mut election = looking(1, &quorums, 7, 5);
    for sid in 2..=5 {
        election.handle(0, Sid(sid), looks(5, 7, 1, 5));
    }
    assert_eq!(elected(&mut election), None);
    election.handle(1, Sid(5), says(ServerState::Leading, 5, 7, 1, 5));
    assert_eq!(elected(&mut election), Some(5));
    // In whatever order their words come in.
    let mut election = looking(1, &quorums, 7, 5);
    election.handle(0, Sid(5), looks(5, 7, 1, 5));
    election.handle(1, Sid(5), says(ServerState::Leading, 5, 7, 1, 5));
    assert_eq!(elected(&mut election), None);
    election.handle(2, Sid(3), looks(5, 7, 1, 5));
    assert_eq!(elected(&mut election), Some(5));
}

#[test]
fn a_voter_on_whose_port_nobody_listens_is_not_waited_for() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut election = looking(2, &quorums, 7, 5);
    election.refused(1, Sid(3));
    assert_eq!(elected(&mut election), None);
    election.handle(2, Sid(1), looks(2, 7, 1, 5));
    assert_eq!(elected(&mut election), Some(2));

    let patient = ElectionOptions { early_finish: false, ..ElectionOptions::default() };
    let mut election = Election::new(Sid(2), LearnerKind::Follower, patient);
    election.start(0, &quorums, Zxid(7), Epoch(5), true);
    election.refused(1, Sid(3));
    election.handle(2, Sid(1), looks(2, 7, 1, 5));
    let _ = outputs(&mut election);
    election.handle_timeout(202);
    assert_eq!(outputs(&mut election), (vec![], Some(2)), "the wait is over for all by now");
}

#[test]
fn a_refusal_holds_until_the_voter_speaks_or_the_proposal_changes() {
    let quorums = majority(&[1, 2, 3], &[]);
    // It has come up since, with a worse vote: it might yet have changed it.
    let mut election = looking(2, &quorums, 7, 5);
    election.refused(1, Sid(3));
    election.handle(2, Sid(3), looks(3, 4, 1, 5));
    election.handle(3, Sid(1), looks(2, 7, 1, 5));
    assert_eq!(elected(&mut election), None);
    // A refusal from before this round's proposal says nothing of what has come up since.
    let mut election = looking(2, &quorums, 7, 5);
    election.refused(1, Sid(3));
    election.handle(2, Sid(1), looks(2, 7, 6, 5));
    assert_eq!(elected(&mut election), None);
    election.refused(3, Sid(3));
    assert_eq!(elected(&mut election), Some(2));
}

#[test]
fn a_voter_that_has_gone_takes_its_vote_with_it() {
    let mut election = looking(2, &majority(&[1, 2, 3], &[]), 7, 5);
    election.handle(0, Sid(1), looks(2, 7, 1, 5));
    assert_eq!(election.poll_timeout(), Some(200));
    election.refused(100, Sid(1));
    election.handle_timeout(200);
    assert_eq!(elected(&mut election), None);
}

#[test]
fn a_leader_that_has_gone_is_not_joined_on_its_old_word() {
    let mut election = looking(1, &majority(&[1, 2, 3], &[]), 7, 5);
    election.handle(0, Sid(3), says(ServerState::Leading, 3, 7, 9, 6));
    election.refused(0, Sid(3));
    election.handle(0, Sid(2), says(ServerState::Following, 3, 7, 9, 6));
    assert_eq!(elected(&mut election), None);
}

#[test]
fn a_lonely_voter_elects_itself_at_once() {
    let mut election = looking(1, &majority(&[1], &[]), 0, 0);
    assert_eq!(outputs(&mut election), (vec![], Some(1)));
}

// ---- observers, strangers, weights ----

#[test]
fn an_observer_asks_without_a_vote_and_joins_who_is_established() {
    let quorums = majority(&[1, 2, 3], &[4]);
    let mut election = Election::new(Sid(4), LearnerKind::Observer, ElectionOptions::default());
    election.start(0, &quorums, Zxid(9), Epoch(5), true);
    let (told, _) = outputs(&mut election);
    let min = i64::MIN;
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], (1, looks(min, min, 1, min)));
    election.handle(0, Sid(2), says(ServerState::Following, 3, 9, 4, 6));
    election.handle(0, Sid(3), says(ServerState::Leading, 3, 9, 4, 6));
    assert_eq!(elected(&mut election), Some(3));
    assert_eq!(election.state(), ServerState::Observing);
}

#[test]
fn an_observer_does_not_take_the_silence_of_voters_for_agreement() {
    let quorums = majority(&[1, 2, 3], &[4]);
    let mut election = Election::new(Sid(4), LearnerKind::Observer, ElectionOptions::default());
    election.start(0, &quorums, Zxid(9), Epoch(5), true);
    for sid in 1..=3 {
        election.handle(0, Sid(sid), looks(2, 9, 4, 5));
    }
    let _ = outputs(&mut election);
    assert_eq!(election.poll_timeout(), Some(200));
    election.handle_timeout(200);
    let (told, elected_by_silence) = outputs(&mut election);
    assert_eq!((told.len(), elected_by_silence), (3, None), "it asks again");
    election.handle(201, Sid(2), says(ServerState::Leading, 2, 9, 4, 5));
    assert_eq!(elected(&mut election), Some(2));
    assert_eq!(election.state(), ServerState::Observing);
}

#[test]
fn an_observer_does_not_answer_voters_of_an_older_round_or_they_would_answer_it() {
    let quorums = majority(&[1, 2, 3], &[4]);
    let mut election = Election::new(Sid(4), LearnerKind::Observer, ElectionOptions::default());
    for _ in 0..3 {
        election.start(0, &quorums, Zxid(9), Epoch(5), true);
    }
    let _ = outputs(&mut election);
    election.handle(0, Sid(1), looks(1, 9, 1, 5));
    assert!(told(&mut election).is_empty());
}

#[test]
fn who_has_no_vote_asks_again_soon_when_the_voters_are_at_it() {
    let quorums = majority(&[1, 2, 3], &[4]);
    let mut election = Election::new(Sid(4), LearnerKind::Observer, ElectionOptions::default());
    election.start(0, &quorums, Zxid(9), Epoch(5), true);
    while election.poll_timeout() < Some(100_000) {
        election.handle_timeout(election.poll_timeout().expect("looking"));
    }
    election.handle(100_000, Sid(1), looks(1, 9, 1, 5));
    assert_eq!(election.poll_timeout(), Some(100_500));
}

#[test]
fn a_stranger_neither_proposes_nor_votes_but_joins_whom_others_elected() {
    let quorums = majority(&[1, 2, 3], &[]);
    for (zxid, may_nominate) in [(Zxid(50), false), (Zxid::NONE, true)] {
        let options = ElectionOptions::default();
        let mut election = Election::new(Sid(3), LearnerKind::Follower, options);
        election.start(0, &quorums, zxid, Epoch(9), may_nominate);
        let (told, _) = outputs(&mut election);
        assert_eq!(told[0], (1, looks(3, -1, 1, -1)));
        // Whoever looks is not heeded, not even all together.
        election.handle(0, Sid(1), looks(2, 7, 1, 5));
        election.handle(0, Sid(2), looks(2, 7, 1, 5));
        election.handle_timeout(10_000);
        assert_eq!(elected(&mut election), None);
        election.handle(0, Sid(1), says(ServerState::Following, 2, 7, 1, 6));
        election.handle(0, Sid(2), says(ServerState::Leading, 2, 7, 1, 6));
        assert_eq!(elected(&mut election), Some(2));
    }
}

#[test]
fn a_stranger_does_not_lead_even_if_its_old_followers_still_think_so() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut election = Election::new(Sid(3), LearnerKind::Follower, ElectionOptions::default());
    election.start(0, &quorums, Zxid::NONE, Epoch(0), false);
    election.handle(0, Sid(1), says(ServerState::Following, 3, 7, 1, 6));
    election.handle(0, Sid(2), says(ServerState::Following, 3, 7, 1, 6));
    assert_eq!(elected(&mut election), None);
}

#[test]
fn a_strangers_vote_is_heeded_by_nobody() {
    let mut election = looking(2, &majority(&[1, 2, 3], &[]), 7, 5);
    election.handle(0, Sid(1), looks(2, -1, 9, 5));
    election.handle_timeout(1000);
    assert_eq!((elected(&mut election), election.round()), (None, 1));
}

/// Two groups of voters that weigh, and server 7, which belongs to one of them without weight.
fn groups() -> Quorums {
    let of = |pairs: &[(i64, i64)]| pairs.iter().map(|&(s, n)| (Sid(s), n)).collect();
    let mut quorums = majority(&[1, 2, 3, 4, 5, 6, 7], &[]);
    quorums.committed.rule = QuorumRule::Groups {
        group_of: of(&[(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 2)]),
        weight_of: of(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 0)]),
    };
    quorums
}

#[test]
fn a_server_without_weight_never_wins_and_its_vote_weighs_nothing() {
    let mut election = looking(1, &groups(), 7, 5);
    election.handle(0, Sid(7), looks(7, 99, 1, 9));
    assert_eq!(election.vote().leader, Sid(1));
    for voter in [2, 4, 7] {
        election.handle(0, Sid(voter), looks(1, 7, 1, 5));
    }
    election.handle_timeout(1000);
    assert_eq!(elected(&mut election), None, "one vote of three in the second group");
    election.handle(1000, Sid(5), looks(1, 7, 1, 5));
    election.handle_timeout(1200);
    assert_eq!(elected(&mut election), Some(1));
}

#[test]
fn while_a_reconfig_is_under_way_both_configurations_must_agree() {
    let mut quorums = majority(&[1, 2, 3], &[]);
    quorums.last_seen = Some(Membership { version: 9, ..majority(&[3, 4, 5], &[]).committed });
    let mut election = looking(3, &quorums, 7, 5);
    assert_eq!(told(&mut election), [1, 2, 4, 5]);
    election.handle(0, Sid(1), looks(3, 7, 1, 5));
    election.handle_timeout(1000);
    assert_eq!(elected(&mut election), None);
    election.handle(1000, Sid(4), looks(3, 7, 1, 5));
    election.handle_timeout(1200);
    assert_eq!(elected(&mut election), Some(3));
}

// ---- several servers ----

/// Numbers for the order of things (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn seeded(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

struct World {
    dice: Dice,
    now_ms: i64,
    servers: BTreeMap<Sid, Election>,
    /// What is under way, oldest first.
    channels: BTreeMap<(Sid, Sid), VecDeque<Notification>>,
    /// Those who cannot reach each other.
    cut: Box<dyn Fn(Sid, Sid) -> bool>,
    elected: BTreeMap<Sid, Sid>,
    /// How much has been said in all.
    said: usize,
}

impl World {
    fn new(seed: u64, servers: &[(i64, LearnerKind)], options: ElectionOptions) -> World {
        let new = |&(sid, kind)| (Sid(sid), Election::new(Sid(sid), kind, options));
        World {
            dice: Dice::seeded(seed),
            now_ms: 0,
            servers: servers.iter().map(new).collect(),
            channels: BTreeMap::new(),
            cut: Box::new(|_, _| false),
            elected: BTreeMap::new(),
            said: 0,
        }
    }

    fn of_voters(seed: u64, sids: &[i64], options: ElectionOptions) -> World {
        let servers: Vec<_> = sids.iter().map(|sid| (*sid, LearnerKind::Follower)).collect();
        World::new(seed, &servers, options)
    }

    fn start(&mut self, sid: i64, quorums: &Quorums, zxid: i64, epoch: u32) {
        let now_ms = self.now_ms;
        self.elected.remove(&Sid(sid));
        self.with(sid, |e| e.start(now_ms, quorums, Zxid(zxid), Epoch(epoch), true));
    }

    /// Does something with a server, and what it wants done then.
    fn with(&mut self, sid: i64, act: impl FnOnce(&mut Election)) {
        let from = Sid(sid);
        act(self.servers.get_mut(&from).expect("a server of this world"));
        loop {
            let election = self.servers.get_mut(&from).expect("still there");
            let (told, elected) = outputs(election);
            if let Some(leader) = elected {
                self.elected.insert(from, Sid(leader));
            }
            let dead: Vec<Sid> =
                told.iter().map(|(to, _)| Sid(*to)).filter(|to| !self.is_up(*to)).collect();
            for (to, notification) in told {
                assert_ne!(to, sid, "nobody writes to itself");
                if self.is_up(Sid(to)) && !(self.cut)(from, Sid(to)) {
                    self.channels.entry((from, Sid(to))).or_default().push_back(notification);
                    self.said += 1;
                }
            }
            if dead.is_empty() {
                return;
            }
            let election = self.servers.get_mut(&from).expect("still there");
            dead.into_iter().for_each(|sid| election.refused(self.now_ms, sid));
        }
    }

    fn is_up(&self, sid: Sid) -> bool {
        self.servers.contains_key(&sid)
    }

    /// Delivers one message, or lets time pass to the next deadline. False: nothing is left.
    fn step(&mut self) -> bool {
        self.channels.retain(|_, channel| !channel.is_empty());
        if !self.channels.is_empty() {
            let at = self.dice.below(self.channels.len());
            let (&(from, to), channel) = self.channels.iter_mut().nth(at).expect("below the count");
            let notification = channel.pop_front().expect("empty ones are gone");
            let now_ms = self.now_ms;
            self.with(to.0, |e| e.handle(now_ms, from, notification));
            return true;
        }
        let next = self.servers.values().filter_map(Election::poll_timeout).min();
        let Some(next) = next else { return false };
        self.now_ms = self.now_ms.max(next);
        let now_ms = self.now_ms;
        let all: Vec<Sid> = self.servers.keys().copied().collect();
        for sid in all {
            self.with(sid.0, |e| e.handle_timeout(now_ms));
        }
        true
    }

    /// Goes on until everybody has settled, or for so many ms.
    fn run(&mut self, for_ms: i64) {
        let end_ms = self.now_ms + for_ms;
        for _ in 0..100_000 {
            if self.now_ms >= end_ms || !self.step() {
                return;
            }
        }
        panic!("messages breed messages");
    }
}

#[test]
fn voters_converge_on_the_best_from_any_start_in_any_order() {
    for seed in 0..600 {
        let mut dice = Dice::seeded(seed + 1);
        let count = [3, 3, 4, 5][dice.below(4)];
        let all: Vec<i64> = (1..=count).collect();
        let quorums = majority(&all, &[]);
        let options = ElectionOptions { early_finish: seed % 2 == 0, ..Default::default() };
        let mut world = World::of_voters(seed, &all, options);
        let mut ranks = Vec::new();
        for sid in &all {
            // Some have looked, and settled, before: their rounds differ.
            for _ in 0..dice.below(3) {
                world.servers.get_mut(&Sid(*sid)).expect("listed").round += 1;
            }
            let (zxid, epoch) = (dice.below(3) as i64, dice.below(2));
            ranks.push((epoch, zxid, *sid));
        }
        for (epoch, zxid, sid) in ranks.clone() {
            world.start(sid, &quorums, zxid, epoch as u32);
            for _ in 0..dice.below(4) {
                world.step();
            }
        }
        world.run(5_000);
        let leaders: BTreeSet<Sid> = world.elected.values().copied().collect();
        assert_eq!(world.elected.len(), all.len(), "seed {seed}: {:?}", world.elected);
        assert_eq!(leaders.len(), 1, "seed {seed}: {:?}", world.elected);
        let best = Sid(ranks.iter().max().expect("some").2);
        // Those who had settled already when the best began to look keep their leader.
        assert!(leaders.contains(&best) || world.now_ms >= 200, "seed {seed}");
        let leading = world.servers.values().filter(|e| e.state() == ServerState::Leading);
        assert_eq!(leading.count(), 1, "seed {seed}");
    }
}

#[test]
fn a_minority_cut_off_elects_nobody_and_joins_when_the_net_is_whole_again() {
    for seed in 0..50 {
        let quorums = majority(&[1, 2, 3, 4, 5], &[]);
        let mut world = World::of_voters(seed, &[1, 2, 3, 4, 5], ElectionOptions::default());
        world.cut = Box::new(|from, to| (from.0 >= 4) != (to.0 >= 4));
        for sid in 1..=5 {
            world.start(sid, &quorums, sid, 1);
        }
        world.run(30_000);
        let followers_of_three = [1, 2, 3].map(|sid| (Sid(sid), Sid(3)));
        assert_eq!(world.elected, BTreeMap::from(followers_of_three), "seed {seed}");
        world.cut = Box::new(|_, _| false);
        world.run(120_000);
        assert!(world.elected.values().all(|leader| *leader == Sid(3)), "seed {seed}");
        assert_eq!(world.elected.len(), 5, "seed {seed}");
    }
}

#[test]
fn after_the_leaders_death_two_of_three_go_on_without_a_wait() {
    for seed in 0..50 {
        let quorums = majority(&[1, 2, 3], &[]);
        let mut world = World::of_voters(seed, &[1, 2, 3], ElectionOptions::default());
        (1..=3).for_each(|sid| world.start(sid, &quorums, 7, 1));
        world.run(1000);
        assert!(world.elected.values().all(|leader| *leader == Sid(3)));
        world.servers.remove(&Sid(3));
        world.elected.clear();
        let began_ms = world.now_ms;
        // Server 1 has the better log and notices first: server 2 drops its first words.
        world.start(1, &quorums, 9, 2);
        while !world.channels.is_empty() {
            world.step();
            world.channels.retain(|_, channel| !channel.is_empty());
        }
        world.start(2, &quorums, 8, 2);
        world.run(1000);
        assert_eq!(world.elected, BTreeMap::from([(Sid(1), Sid(1)), (Sid(2), Sid(1))]));
        assert_eq!(world.now_ms, began_ms, "seed {seed}");
    }
}

#[test]
fn observers_end_up_observing_whom_the_voters_elected() {
    for seed in 0..100 {
        let quorums = majority(&[1, 2, 3], &[4, 5]);
        let kinds = [1, 2, 3, 4, 5].map(|sid| match sid {
            ..=3 => (sid, LearnerKind::Follower),
            _ => (sid, LearnerKind::Observer),
        });
        let mut world = World::new(seed, &kinds, ElectionOptions::default());
        for sid in [5, 4, 1, 3, 2] {
            world.start(sid, &quorums, 7, 1);
        }
        world.run(5_000);
        assert_eq!(world.elected.len(), 5, "seed {seed}");
        assert!(world.elected.values().all(|leader| *leader == Sid(3)), "seed {seed}");
        assert!(world.said < 100, "seed {seed}: {}", world.said);
        for sid in [4, 5] {
            assert_eq!(world.servers[&Sid(sid)].state(), ServerState::Observing);
        }
    }
}

#[test]
fn a_server_that_returns_joins_the_leader_whatever_it_has() {
    let quorums = majority(&[1, 2, 3], &[]);
    let mut world = World::of_voters(1, &[1, 2, 3], ElectionOptions::default());
    world.cut = Box::new(|from, to| from == Sid(3) || to == Sid(3));
    world.start(1, &quorums, 7, 1);
    world.start(2, &quorums, 7, 1);
    world.run(1000);
    world.cut = Box::new(|_, _| false);
    for sid in [1, 2] {
        world.with(sid, |e| e.established(Epoch(2)));
    }
    // More of the log than anybody has, none of it agreed upon.
    world.start(3, &quorums, 99, 1);
    world.run(1000);
    assert_eq!(world.elected[&Sid(3)], Sid(2));
    assert_eq!(world.servers[&Sid(3)].vote().peer_epoch, 2);
}
