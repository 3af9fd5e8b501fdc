//! The search against all orders tried one by one, and against histories of a register and a
//! queue that are right by construction, then broken.

use super::*;
use crate::sim::Rng;

fn call<A>(action: A, invoked_ns: u64, returned_ns: Option<u64>) -> Call<A> {
    Call { action, invoked_ns, returned_ns }
}

fn set(value: u8, version: i32, answer: Option<Result<i32, i32>>) -> ZnodeAction {
    ZnodeAction::Set { data: Some(vec![value]), version, answer }
}

fn get(value: u8, version: i32) -> ZnodeAction {
    ZnodeAction::Get { answer: Ok((Some(vec![value]), version)) }
}

fn created() -> Call<ZnodeAction> {
    let action = ZnodeAction::Create { data: Some(vec![0]), owner: 0, answer: Some(Ok(())) };
    call(action, 0, Some(1))
}

fn verdict(calls: &[Call<ZnodeAction>]) -> Verdict {
    search(&Register, calls, 100_000)
}

#[test]
fn a_stale_read_is_refused_and_an_overlapping_one_is_not() {
    let write = call(set(1, -1, Some(Ok(1))), 10, Some(20));
    let stale = |invoked| vec![created(), write.clone(), call(get(0, 0), invoked, Some(30))];
    assert_eq!(verdict(&stale(15)), Verdict::Linearizable);
    assert_eq!(verdict(&stale(20)), Verdict::Linearizable);
    assert_eq!(verdict(&stale(21)), Verdict::Refused { stuck: 2 });
}

#[test]
fn a_compare_and_set_does_not_succeed_twice() {
    let mut calls = vec![
        created(),
        call(set(1, 0, Some(Ok(1))), 10, Some(40)),
        call(set(2, 0, Some(Err(-103))), 10, Some(40)),
    ];
    assert_eq!(verdict(&calls), Verdict::Linearizable);
    calls[2] = call(set(2, 0, Some(Ok(1))), 10, Some(40));
    assert!(matches!(verdict(&calls), Verdict::Refused { .. }));
}

#[test]
fn an_unknown_write_may_come_late_or_never_but_not_twice() {
    let unknown = call(set(7, 0, None), 10, None);
    let mut calls = vec![created(), unknown, call(get(0, 0), 50, Some(60))];
    assert_eq!(verdict(&calls), Verdict::Linearizable);
    calls.push(call(get(7, 1), 70, Some(80)));
    assert_eq!(verdict(&calls), Verdict::Linearizable);
    calls.push(call(get(0, 0), 90, Some(100)));
    assert!(matches!(verdict(&calls), Verdict::Refused { .. }));
}

#[test]
fn a_lock_is_held_once_and_falls_with_its_session() {
    let take = |owner, invoked, returned| {
        let action = ZnodeAction::Create { data: None, owner, answer: Some(Ok(())) };
        call(action, invoked, Some(returned))
    };
    let mut calls = vec![take(1, 0, 10), take(2, 20, 30)];
    assert_eq!(verdict(&calls), Verdict::Refused { stuck: 1 });
    calls.push(call(ZnodeAction::End { session: 1 }, 5, None));
    assert_eq!(verdict(&calls), Verdict::Linearizable);
}

#[test]
fn a_search_that_reaches_its_bound_says_so() {
    let calls: Vec<_> = (0..40).map(|v| call(set(v, -1, None), 0, None)).collect();
    let read = call(get(200, 3), 1, Some(2));
    let calls = [vec![created()], calls, vec![read]].concat();
    assert_eq!(search(&Register, &calls, 1_000), Verdict::Undecided);
}

/// A queue for the search, to hold the rules of `fifo` against.
struct Fifo;

#[derive(Debug, Clone)]
enum FifoAction {
    Put(Vec<u8>),
    Take(Vec<u8>),
}

impl Spec for Fifo {
    type State = Vec<Vec<u8>>;
    type Action = FifoAction;

    fn first(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, state: &Self::State, action: &FifoAction) -> Option<Self::State> {
        match action {
            FifoAction::Put(item) => Some([state.as_slice(), std::slice::from_ref(item)].concat()),
            FifoAction::Take(item) => (state.first() == Some(item)).then(|| state[1..].to_vec()),
        }
    }
}

#[test]
fn the_rules_of_a_queue_agree_with_the_search() {
    let mut rng = Rng::new(0xf1f0);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..5_000 {
        let mut calls = Vec::new();
        let (mut puts, mut takes) = (Vec::new(), Vec::new());
        let items = 1 + rng.below(4) as u8;
        for item in 0..items {
            for is_take in [false, true] {
                // Mostly one take of each, at about the right time.
                let times = if is_take { [1, 1, 1, 1, 0, 2][rng.below(6)] } else { 1 };
                for _ in 0..times {
                    let at = 2 * u64::from(item) + if is_take { 6 } else { 0 };
                    let invoked_ns = at + rng.below(5) as u64;
                    let returned_ns = invoked_ns + 1 + rng.below(5) as u64;
                    let returned_ns = (!rng.one_in(5)).then_some(returned_ns);
                    let item = vec![item];
                    let (list, action) = match is_take {
                        false => (&mut puts, FifoAction::Put(item.clone())),
                        true => (&mut takes, FifoAction::Take(item.clone())),
                    };
                    list.push(Moved { item, invoked_ns, returned_ns });
                    calls.push(call(action, invoked_ns, returned_ns));
                }
            }
        }
        let due = search(&Fifo, &calls, 100_000);
        assert_ne!(due, Verdict::Undecided);
        let found = find_wrong(&puts, &takes);
        assert_eq!(found.is_none(), due == Verdict::Linearizable, "{found:?}: {calls:?}");
        if found.is_none() {
            good += 1;
        } else {
            bad += 1;
        }
    }
    assert!(good > 500 && bad > 500, "{good} good, {bad} bad: the draw is worth little");
}

/// Tries every order: for small histories.
fn by_hand(
    calls: &[Call<ZnodeAction>],
    left: &mut Vec<usize>,
    state: &<Register as Spec>::State,
) -> bool {
    if left.iter().all(|at| calls[*at].returned_ns.is_none()) {
        return true;
    }
    let first_return = left.iter().filter_map(|at| calls[*at].returned_ns).min();
    for place in 0..left.len() {
        let at = left[place];
        if first_return.is_some_and(|ns| calls[at].invoked_ns > ns) {
            continue;
        }
        if let Some(next) = Register.step(state, &calls[at].action) {
            left.remove(place);
            let found = by_hand(calls, left, &next);
            left.insert(place, at);
            if found {
                return true;
            }
        }
    }
    false
}

#[test]
fn the_search_agrees_with_all_orders_tried() {
    let mut rng = Rng::new(0x5ea5);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..3_000 {
        let mut calls = vec![created()];
        for _ in 0..rng.below(6) {
            let version = rng.below(3) as i32 - 1;
            let invoked = rng.below(12) as u64;
            let returned = invoked + 1 + rng.below(6) as u64;
            let value = rng.below(2) as u8;
            let action = match rng.below(4) {
                0 => get(value, rng.below(3) as i32),
                1 => set(value, version, Some(Err(-103))),
                2 => set(value, version, Some(Ok(1 + rng.below(2) as i32))),
                _ => set(value, version, None),
            };
            let is_open = matches!(action, ZnodeAction::Set { answer: None, .. });
            calls.push(call(action, invoked, (!is_open).then_some(returned)));
        }
        let due = by_hand(&calls, &mut (0..calls.len()).collect(), &None);
        assert_eq!(verdict(&calls) == Verdict::Linearizable, due, "{calls:?}");
        if due {
            good += 1;
        } else {
            bad += 1;
        }
    }
    assert!(good > 200 && bad > 200, "{good} good, {bad} bad: the draw is worth little");
}

/// Clients of a register that does each call at one moment between call and return.
fn run_register(rng: &mut Rng, count: usize) -> Vec<Call<ZnodeAction>> {
    let mut calls = vec![created()];
    let mut state = Register.step(&None, &calls[0].action).expect("it was free");
    for n in 0..count as u64 {
        let moment = 10 * (n + 1);
        let (invoked, returned) =
            (moment - rng.below(60).min(9) as u64, moment + rng.below(60) as u64);
        let (data, version, _) = state.clone().expect("nobody deletes it");
        let lost = rng.one_in(20);
        let action = if rng.one_in(2) {
            ZnodeAction::Get { answer: Ok((data, version)) }
        } else {
            let expected = version + rng.below(2) as i32;
            let answer = if expected == version { Ok(version + 1) } else { Err(-103) };
            let data = Some((n as u32).to_be_bytes().to_vec());
            ZnodeAction::Set { data, version: expected, answer: (!lost).then_some(answer) }
        };
        // A lost call took effect, or not, at the moment; nobody knows.
        if !(lost && rng.one_in(2)) {
            state = Register.step(&state, &action).unwrap_or(state);
        }
        let is_open = matches!(action, ZnodeAction::Set { answer: None, .. });
        calls.push(call(action, invoked, (!is_open).then_some(returned)));
    }
    calls
}

#[test]
fn long_runs_are_accepted_and_a_read_from_the_past_is_found() {
    let mut found = 0;
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut calls = run_register(&mut rng, 1_000);
        assert_eq!(verdict(&calls), Verdict::Linearizable, "seed {seed}");
        // A read of what was read long before.
        let reads: Vec<usize> = (0..calls.len())
            .filter(|at| matches!(calls[*at].action, ZnodeAction::Get { .. }))
            .collect();
        let (early, late) = (reads[rng.below(100)], reads[reads.len() - 1 - rng.below(100)]);
        calls[late].action = calls[early].action.clone();
        found += usize::from(matches!(verdict(&calls), Verdict::Refused { .. }));
    }
    assert_eq!(found, 20);
}
