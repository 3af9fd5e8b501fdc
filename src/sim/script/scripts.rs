//! The scripts. Each comes twice: with a log that is never rolled, and with a snapshot and a new
//! log every few transactions and leaders that remember next to nothing.

use super::Who::{Absent, Follower, Leader, Observer};
use super::{Script, Step};
use crate::sim::history::Request;
use crate::sim::Shape;

/// All scripts. The shortest come first.
pub fn scripts() -> Vec<Script> {
    let plain = all().into_iter().map(|(name, [_, observers], steps)| {
        let shape = Shape { observers, ..Shape::quiet(2) };
        Script { name: name[0], shape, steps }
    });
    let rolling = all().into_iter().map(|(name, [snap_count, observers], steps)| {
        let snap_count = snap_count as u64;
        let shape = Shape { observers, snap_count, commit_log_count: 1, ..Shape::quiet(2) };
        Script { name: name[1], shape, steps }
    });
    plain.chain(rolling).collect()
}

/// A script's names without and with rolling logs; the snapCount of the latter, and observers.
type Form = ([&'static str; 2], [usize; 2], Vec<Step>);

macro_rules! form {
    ($name:literal, $sizes:expr, $steps:expr) => {
        ([$name, concat!($name, "-rolling")], $sizes, $steps)
    };
}

fn all() -> Vec<Form> {
    let mut all = calm();
    all.extend(restarts());
    all.extend(catching_up());
    all.extend(cuts());
    all.extend(observers());
    all
}

/// Nobody fails but by the crash.
fn calm() -> Vec<Form> {
    use Step::{Ask, Purge, Settle, Vanish};
    let ephemerals = vec![made("/e", 1), made("/f", 3), made("/e/", 1)];
    let watches = vec![seen("/a"), seen("/b")];
    vec![
        form!("start", [3, 0], vec![Settle]),
        form!("writes", [4, 0], vec![Settle, Ask(0, Leader, deeds("/a"))]),
        form!("follower-writes", [4, 0], vec![Settle, Ask(0, Follower, deeds("/a"))]),
        form!("multi", [3, 0], vec![Settle, Ask(0, Follower, multis())]),
        form!("purge", [4, 0], vec![Settle, Ask(0, Leader, many("/a", 14)), Purge, Settle]),
        form!(
            "close",
            [4, 0],
            vec![Settle, Ask(0, Follower, ephemerals.clone()), Ask(0, Follower, close()), Settle]
        ),
        form!(
            "expiry",
            [4, 0],
            vec![Settle, Ask(0, Follower, ephemerals), Ask(1, Leader, few("/a")), Vanish(0)]
        ),
        form!(
            "watches",
            [4, 0],
            vec![Ask(0, Follower, watches), Ask(1, Leader, few("/a")), Ask(1, Leader, few("/b"))]
        ),
        form!(
            "moves",
            [4, 0],
            vec![Ask(0, Leader, few("/a")), Ask(0, Follower, few("/b")), Ask(0, Leader, few("/c")),]
        ),
    ]
}

/// Processes and machines fail, and come back at once.
fn restarts() -> Vec<Form> {
    use Step::{Ask, Restart, Say, Settle};
    let write = |client, path| Ask(client, Leader, few(path));
    vec![
        form!(
            "election",
            [4, 0],
            vec![Settle, write(0, "/a"), Restart(Leader), Settle, write(1, "/b")]
        ),
        form!("return", [4, 0], vec![Settle, write(0, "/a"), Restart(Follower), Settle]),
        form!(
            "epochs",
            [4, 0],
            vec![Settle, Restart(Leader), Settle, write(0, "/a"), Restart(Leader), Settle]
        ),
        form!(
            "under-way",
            [4, 0],
            vec![
                Settle,
                write(0, "/a"),
                Say(0, Leader, many("/b", 4), 10),
                Restart(Leader),
                Settle
            ]
        ),
        form!(
            "under-way-following",
            [4, 0],
            vec![
                Settle,
                Ask(0, Follower, few("/a")),
                Say(0, Follower, many("/b", 4), 10),
                Restart(Follower),
                Settle,
            ]
        ),
        form!(
            "two-restarts",
            [4, 0],
            vec![
                Settle,
                write(0, "/a"),
                Restart(Follower),
                Restart(Leader),
                Settle,
                write(1, "/b")
            ]
        ),
        form!(
            "three-restarts",
            [4, 0],
            vec![
                Settle,
                write(0, "/a"),
                Restart(Follower),
                Restart(Leader),
                Restart(Follower),
                Settle
            ]
        ),
    ]
}

/// A member was away and gets what it has missed: DIFF with a short log, SNAP with a rolling one.
fn catching_up() -> Vec<Form> {
    use Step::{Ask, Purge, Restart, Say, Settle, Start, Stop};
    let missed = |count| {
        vec![
            Settle,
            Ask(0, Leader, few("/z")),
            Settle,
            Stop(Follower),
            Ask(0, Leader, many("/a", count)),
        ]
    };
    let then = |count, more: Vec<Step>| missed(count).into_iter().chain(more).collect::<Vec<_>>();
    vec![
        form!("diff", [4, 0], then(3, vec![Start, Settle])),
        form!("snap", [3, 0], then(14, vec![Purge, Start, Settle])),
        form!(
            "diff-under-way",
            [4, 0],
            then(3, vec![Start, Say(1, Leader, many("/b", 6), 300), Settle])
        ),
        form!(
            "diff-and-election",
            [4, 0],
            then(3, vec![Start, Restart(Leader), Settle, Ask(1, Leader, few("/b"))])
        ),
    ]
}

/// A leader goes on alone and has to forget what nobody else has: TRUNC.
fn cuts() -> Vec<Form> {
    use Step::{Ask, Cut, Mend, Restart, Say, Settle};
    let alone = |count| {
        vec![
            Settle,
            Ask(0, Leader, few("/a")),
            Cut(Leader),
            Say(0, Absent, many("/lost", count), 60),
            Settle,
        ]
    };
    let then = |count, more: Vec<Step>| alone(count).into_iter().chain(more).collect::<Vec<_>>();
    vec![
        form!("trunc", [4, 0], then(3, vec![Mend, Settle])),
        form!("forget-far", [3, 0], then(3, vec![Ask(1, Leader, many("/b", 4)), Mend, Settle])),
        form!("trunc-restart", [3, 0], then(3, vec![Restart(Absent), Mend, Settle])),
        form!(
            "cut-follower",
            [4, 0],
            vec![Settle, Cut(Follower), Ask(0, Leader, few("/a")), Mend, Settle]
        ),
    ]
}

/// With somebody who has no vote.
fn observers() -> Vec<Form> {
    use Step::{Ask, Settle, Start, Stop};
    vec![
        form!(
            "observer-joins",
            [4, 1],
            vec![
                Settle,
                Ask(0, Leader, few("/z")),
                Settle,
                Stop(Observer),
                Ask(0, Leader, few("/a")),
                Start,
                Settle,
            ]
        ),
        form!("observer-writes", [4, 1], vec![Settle, Ask(0, Observer, deeds("/a")), Settle]),
    ]
}

fn path_of(path: &str) -> String {
    path.to_owned()
}

/// A znode of the kind that the flags say.
fn made(path: &str, flags: i32) -> Request {
    let data = Some(path.as_bytes().to_vec());
    Request::Create { path: path_of(path), data, flags, ttl_ms: 0, with_stat: flags == 0 }
}

fn set(path: &str, value: &str) -> Request {
    let data = Some(value.as_bytes().to_vec());
    Request::SetData { path: path_of(path), data, version: -1 }
}

fn seen(path: &str) -> Request {
    Request::Exists { path: path_of(path), watch: true }
}

fn read(path: &str) -> Request {
    Request::GetData { path: path_of(path), watch: false }
}

fn close() -> Vec<Request> {
    vec![Request::CloseSession]
}

fn few(path: &str) -> Vec<Request> {
    vec![made(path, 0), set(path, "one")]
}

/// Each kind of write, and a look at what came of it.
fn deeds(path: &str) -> Vec<Request> {
    let child = format!("{path}/c");
    vec![
        made(path, 0),
        set(path, "one"),
        made(&child, 0),
        Request::Delete { path: child, version: 0 },
        read(path),
    ]
}

fn many(path: &str, count: usize) -> Vec<Request> {
    let sets = (1..count).map(|n| set(path, &n.to_string()));
    std::iter::once(made(path, 0)).chain(sets).collect()
}

fn multis() -> Vec<Request> {
    let whole = vec![made("/a", 0), made("/a/b", 1), set("/a", "one")];
    let refused = vec![set("/a", "two"), Request::Check { path: path_of("/a"), version: 9 }];
    vec![Request::Multi(whole), Request::Multi(refused), read("/a")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::script::Who;

    #[test]
    fn scripts_have_names_of_their_own() {
        let scripts = scripts();
        let names: std::collections::BTreeSet<_> = scripts.iter().map(|s| s.name).collect();
        assert_eq!(names.len(), scripts.len());
    }

    #[test]
    fn only_those_with_an_observer_speak_of_one() {
        for script in scripts() {
            let text = format!("{:?}", script.steps);
            let speaks = text.contains(&format!("{:?}", Who::Observer));
            assert_eq!(speaks, script.shape.observers > 0, "{}", script.name);
        }
    }
}
