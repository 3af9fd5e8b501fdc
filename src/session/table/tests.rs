//! Expiry in buckets, pauses, owners.

use super::*;
use crate::types::ConnId;

const TICK: i32 = 2000;
const A: SessionId = SessionId(0xa);
const B: SessionId = SessionId(0xb);

/// Runs the check whenever it is due, up to and including `until`.
fn run(table: &mut SessionTable, until: i64) -> Vec<(i64, SessionId)> {
    let mut expired = Vec::new();
    while let Some(at) = table.poll_timeout().filter(|&at| at <= until) {
        expired.extend(table.expired(at).into_iter().map(|id| (at, id)));
    }
    expired
}

#[test]
fn a_session_ends_at_the_tick_after_its_timeout() {
    for heard in [1, 999, 1999, 2000, 2001, 3999] {
        let mut t = SessionTable::new(TICK, 1, 0);
        t.track(A, 5000, heard);
        let ended = run(&mut t, 100_000);
        assert_eq!(ended, [((heard + 5000) / 2000 * 2000 + 2000, A)]);
        assert!(ended[0].0 > heard + 5000 && ended[0].0 <= heard + 5000 + 2000);
        assert_eq!(t.poll_timeout(), None, "a closing session waits for nothing");
        assert!(t.contains(A), "until its closeSession is applied");
    }
}

#[test]
fn a_touch_moves_the_deadline_without_the_table_knowing() {
    let mut t = SessionTable::new(TICK, 1, 0);
    let slot = t.track(A, 4000, 0);
    t.track(B, 4000, 0);
    assert!(slot.touch(3500));
    assert!(slot.touch(3000), "an older touch is no harm");
    let buckets = t.buckets();
    assert_eq!(buckets[0], Bucket { deadline_ms: 6000, sessions: vec![B] });
    assert_eq!(buckets[1], Bucket { deadline_ms: 8000, sessions: vec![A] });
    assert_eq!(run(&mut t, 100_000), [(6000, B), (8000, A)]);
    assert!(!slot.touch(8001), "too late");
    assert!(slot.is_closing());
}

#[test]
fn sessions_that_end_together_come_in_the_order_of_their_ids_whatever_the_seed() {
    for seed in 0..10 {
        let mut t = SessionTable::new(TICK, seed, 0);
        for id in [5, 3, 9, 1] {
            t.track(SessionId(id), 4000, 0);
        }
        let ended: Vec<i64> = run(&mut t, 10_000).into_iter().map(|(_, id)| id.0).collect();
        assert_eq!(ended, [1, 3, 5, 9]);
    }
}

#[test]
fn a_late_check_gives_everybody_the_time_that_was_lost() {
    let mut t = SessionTable::new(TICK, 1, 0);
    t.track(A, 4000, 0);
    assert_eq!(t.expired(2000), []);
    assert_eq!(t.expired(64_000), [], "60 s late: nobody could be heard");
    let slot = t.track(B, 4000, 64_001);
    assert!(slot.touch(64_001));
    assert_eq!(t.buckets()[0], Bucket { deadline_ms: 66_000, sessions: vec![A] });
    assert_eq!(run(&mut t, 100_000), [(66_000, A), (70_000, B)]);
}

#[test]
fn a_check_late_by_the_grain_of_a_timer_is_on_time() {
    let mut t = SessionTable::new(TICK, 1, 0);
    t.track(A, 4000, 1999);
    assert_eq!(t.expired(2100), []);
    assert_eq!(t.expired(4100), []);
    assert_eq!(t.expired(6100), [A]);
}

#[test]
fn many_pauses_never_shorten_a_life() {
    let mut t = SessionTable::new(TICK, 1, 0);
    t.track(A, 1_000_000, 0);
    let mut now = 0;
    for _ in 0..100 {
        now = t.poll_timeout().expect("A lives") + 1000;
        assert_eq!(t.expired(now), []);
    }
    let deadline = t.buckets()[0].deadline_ms;
    assert_eq!(deadline, (1_000_000 + 100 * 1000) / 2000 * 2000 + 2000, "at {now}");
}

#[test]
fn pauses_of_the_time_before_a_touch_do_not_count() {
    let mut t = SessionTable::new(TICK, 1, 0);
    let slot = t.track(A, 4000, 0);
    assert_eq!(t.expired(12_000), []);
    assert!(slot.touch(12_000));
    assert_eq!(t.buckets()[0].deadline_ms, 18_000);
}

#[test]
fn time_without_sessions_is_no_pause() {
    let mut t = SessionTable::new(TICK, 1, 0);
    assert_eq!(t.poll_timeout(), None);
    t.track(A, 4000, 50_000);
    assert_eq!(t.poll_timeout(), Some(52_000));
    assert_eq!(run(&mut t, 100_000), [(56_000, A)]);
    t.remove(A);
    t.track(B, 4000, 200_000);
    assert_eq!(run(&mut t, 300_000), [(206_000, B)]);
}

#[test]
fn time_with_closing_sessions_only_is_no_pause() {
    let mut t = SessionTable::new(TICK, 1, 0);
    t.track(A, 4000, 0);
    t.mark_closing(A);
    assert_eq!(t.poll_timeout(), None);
    t.track(B, 4000, 200_000);
    assert_eq!(run(&mut t, 300_000), [(206_000, B)]);
}

#[test]
fn a_client_that_comes_back_may_ask_for_less() {
    let mut t = SessionTable::new(TICK, 1, 0);
    t.track(A, 40_000, 0);
    assert!(t.resume(A, 4000, 1000).is_some());
    assert_eq!(run(&mut t, 100_000), [(6000, A)]);
    assert!(t.resume(A, 4000, 6001).is_none(), "closing");
    assert!(t.resume(B, 4000, 6001).is_none(), "unknown");
}

#[test]
fn a_closing_session_is_not_expired_again() {
    let mut t = SessionTable::new(TICK, 1, 0);
    let slot = t.track(A, 4000, 0);
    slot.mark_closing();
    assert_eq!(run(&mut t, 100_000), []);
    t.track(B, 4000, 0);
    t.mark_closing(B);
    assert_eq!(t.poll_timeout(), None);
    t.remove(A);
    t.remove(B);
    assert!(t.is_empty());
}

#[test]
fn a_new_leader_restarts_every_timeout() {
    let mut t = SessionTable::new(TICK, 1, 0);
    t.track(A, 4000, 0);
    t.track(B, 10_000, 0);
    t.restart_all(31_000);
    assert_eq!(run(&mut t, 100_000), [(36_000, A), (42_000, B)]);
}

#[test]
fn the_first_owner_to_ask_keeps_the_session_until_it_is_set_anew() {
    let mut t = SessionTable::new(TICK, 1, 0);
    let elsewhere = Owner::Learner(Sid(2));
    assert_eq!(t.check_owner(A, Owner::Here), Err(OwnerError::Unknown));
    let slot = t.track(A, 4000, 0);
    assert_eq!(t.check_owner(A, Owner::Here), Ok(()));
    assert_eq!(t.check_owner(A, elsewhere), Err(OwnerError::Moved));
    assert!(!slot.is_elsewhere());
    assert_eq!(t.set_owner(A, elsewhere), Ok(()));
    assert_eq!(t.check_owner(A, Owner::Here), Err(OwnerError::Moved));
    assert!(slot.is_elsewhere());
    assert_eq!(t.set_owner(A, Owner::Here), Ok(()));
    assert!(!slot.is_elsewhere());
    assert_eq!(t.set_owner(A, elsewhere), Ok(()));
    t.mark_closing(A);
    assert_eq!(t.check_owner(A, elsewhere), Err(OwnerError::Closing));
    assert_eq!(t.set_owner(A, Owner::Here), Err(OwnerError::Closing));
}

#[test]
fn a_session_has_one_connection_here_and_the_last_one_wins() {
    let mut t = SessionTable::new(TICK, 1, 0);
    let slot = t.track(A, 4000, 0);
    let (first, second) = (ConnId::new(0, 1), ConnId::new(3, 1));
    assert_eq!(slot.attach(first), None);
    assert_eq!(slot.attach(second), Some(first), "to be closed");
    slot.detach(first);
    assert_eq!(slot.conn(), Some(second));
    slot.detach(second);
    assert_eq!(slot.conn(), None);
}

#[test]
fn a_touch_on_another_thread_either_saves_the_session_or_fails() {
    for round in 0..500 {
        let mut t = SessionTable::new(TICK, round, 0);
        let slot = t.track(A, 4000, 0);
        let touched = std::thread::scope(|threads| {
            let touch = threads.spawn(|| slot.touch(5999));
            let expired = t.expired(2000).into_iter().chain(t.expired(4000)).chain(t.expired(6000));
            (touch.join().expect("no panic"), expired.count())
        });
        assert!(matches!(touched, (true, 0) | (false, 1)), "{touched:?}");
    }
}
