//! The properties of Zab as its paper states them (Junqueira, Reed, Serafini: "Zab:
//! High-performance broadcast for primary-backup systems", 2011), one test each, over the same
//! runs of a small ensemble under crashes, lost links, slow and lost disks. `ZAB_SEEDS` sets how
//! many runs, `ZAB_SEED` which one alone.

mod zab_net;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use oxkeeper::types::{Epoch, LoggedTxn, Sid};

use zab_net::{run, Record, Trace};

fn runs() -> &'static [Trace] {
    static RUNS: OnceLock<Vec<Trace>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let number = |key: &str| std::env::var(key).ok().and_then(|text| text.parse().ok());
        if let Some(seed) = number("ZAB_SEED") {
            return vec![run(seed)];
        }
        let count = number("ZAB_SEEDS").unwrap_or(400);
        (0..count).map(run).collect()
    })
}

/// Each server's histories while it serves: as it began, grown by what it delivers.
fn served(trace: &Trace, mut look: impl FnMut(Sid, Epoch, &[LoggedTxn])) {
    let mut histories: BTreeMap<Sid, Vec<LoggedTxn>> = BTreeMap::new();
    for record in &trace.records {
        match record {
            Record::Established { sid, epoch, history } | Record::Began { sid, epoch, history } => {
                histories.insert(*sid, history.clone());
                look(*sid, *epoch, history);
            }
            Record::Delivered { sid, epoch, index, txn } => {
                let history = histories.get_mut(sid).expect("it has begun to serve");
                assert_eq!(history.len(), *index);
                history.push(txn.clone());
                look(*sid, *epoch, history);
            }
            Record::Broadcast { .. } => {}
        }
    }
}

#[test]
fn prefix_consistency() {
    for trace in runs() {
        let mut longest: Vec<LoggedTxn> = Vec::new();
        served(trace, |sid, _, history| {
            let shared = longest.len().min(history.len());
            // Both ends say enough where what lies between has been compared before.
            let same = longest[..shared] == history[..shared];
            assert!(same, "seed {}: server {} differs", trace.seed, sid.0);
            if history.len() > longest.len() {
                longest = history.to_vec();
            }
        });
    }
}

#[test]
fn integrity_what_is_delivered_was_broadcast() {
    for trace in runs() {
        let mut broadcast = BTreeSet::new();
        for record in &trace.records {
            match record {
                Record::Broadcast { txn, .. } => {
                    broadcast.insert((txn.zxid, txn.bytes.clone()));
                }
                Record::Delivered { txn, .. } => {
                    let known = broadcast.contains(&(txn.zxid, txn.bytes.clone()));
                    assert!(known, "seed {}: {} from nowhere", trace.seed, txn.zxid);
                }
                Record::Established { history, .. } | Record::Began { history, .. } => {
                    for txn in history {
                        let known = broadcast.contains(&(txn.zxid, txn.bytes.clone()));
                        assert!(known, "seed {}: {} from nowhere", trace.seed, txn.zxid);
                    }
                }
            }
        }
    }
}

#[test]
fn one_leader_per_epoch() {
    for trace in runs() {
        let mut leaders = BTreeMap::new();
        for record in &trace.records {
            if let Record::Established { sid, epoch, .. } = record {
                let other = leaders.insert(*epoch, *sid);
                assert_eq!(other, None, "seed {}: two leaders in {epoch:?}", trace.seed);
            }
        }
        assert!(!leaders.is_empty());
    }
}

#[test]
fn agreement_whoever_is_up_to_date_in_the_end_has_delivered_the_same() {
    for trace in runs() {
        let mut finals = trace.finals.values();
        let shortest = finals.clone().map(Vec::len).min().unwrap_or(0);
        let first = finals.next().expect("there are servers");
        assert!(finals.all(|h| h[..shortest] == first[..shortest]), "seed {}", trace.seed);
        // And nothing that anybody has ever delivered is missing.
        served(trace, |sid, _, history| {
            let known = history.len().min(shortest);
            assert!(history[..known] == first[..known], "seed {}: {}", trace.seed, sid.0);
        });
    }
}

#[test]
fn total_order_no_zxid_stands_for_two_transactions_or_places() {
    for trace in runs() {
        let mut place = BTreeMap::new();
        served(trace, |_, _, history| {
            let Some(txn) = history.last() else { return };
            let here = (history.len(), txn.bytes.clone());
            let there = place.entry(txn.zxid).or_insert_with(|| here.clone());
            assert_eq!(*there, here, "seed {}: {}", trace.seed, txn.zxid);
        });
    }
}

#[test]
fn local_primary_order_a_primarys_transactions_are_delivered_as_broadcast() {
    for trace in runs() {
        let mut broadcast: BTreeMap<Epoch, Vec<LoggedTxn>> = BTreeMap::new();
        for record in &trace.records {
            if let Record::Broadcast { epoch, txn, .. } = record {
                broadcast.entry(*epoch).or_default().push(txn.clone());
            }
        }
        for history in trace.finals.values() {
            let mut delivered: BTreeMap<Epoch, Vec<LoggedTxn>> = BTreeMap::new();
            for txn in history {
                delivered.entry(txn.zxid.epoch()).or_default().push(txn.clone());
            }
            for (epoch, txns) in delivered {
                let all = broadcast.get(&epoch).map_or(&[][..], Vec::as_slice);
                assert!(all.starts_with(&txns), "seed {}: {epoch:?}", trace.seed);
            }
        }
    }
}

#[test]
fn global_primary_order_older_epochs_come_first() {
    for trace in runs() {
        served(trace, |_, _, history| {
            if let [.., before, last] = history {
                assert!(before.zxid < last.zxid, "seed {}", trace.seed);
            }
        });
    }
}

/// Of the epochs before its own: one that is late to learn that it leads may be surpassed already.
#[test]
fn primary_integrity_a_primary_begins_with_all_that_older_epochs_delivered() {
    for trace in runs() {
        let mut delivered: Vec<LoggedTxn> = Vec::new();
        let mut primaries: BTreeSet<Epoch> = BTreeSet::new();
        for record in &trace.records {
            if let Record::Established { sid, epoch, history } = record {
                let older = delivered.partition_point(|txn| txn.zxid.epoch() < *epoch);
                let whole = history.starts_with(&delivered[..older]);
                assert!(whole, "seed {}: leader {} lacks some", trace.seed, sid.0);
                primaries.insert(*epoch);
            }
            match record {
                Record::Established { history, .. } | Record::Began { history, .. }
                    if history.len() > delivered.len() =>
                {
                    delivered = history.clone();
                }
                Record::Delivered { index, txn, .. } if *index == delivered.len() => {
                    delivered.push(txn.clone());
                }
                _ => {}
            }
        }
        assert!(!primaries.is_empty());
    }
}

#[test]
fn the_runs_have_seen_what_is_rare() {
    if std::env::var_os("ZAB_SEED").is_some() {
        return;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for trace in runs() {
        for (what, count) in &trace.seen {
            *seen.entry(what).or_default() += count;
        }
    }
    for what in [
        "synchronised by DIFF",
        "synchronised by TRUNC",
        "synchronised by SNAP",
        "DIFF from the log on disk",
        "TRUNC to an unknown zxid",
        "a stranger learnt everything anew",
        "an observer learnt from a follower",
    ] {
        assert!(seen.contains_key(what), "never {what}; only {seen:?}");
    }
    println!("{seen:?}");
}
