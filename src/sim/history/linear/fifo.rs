//! A queue whose items are all different: what went in first comes out first, once.
//!
//! No search is needed. A history of such a queue has an order exactly if no item is taken that
//! was not put, none is taken twice or before it was put, and none overtakes another that was put
//! before it (Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability proofs"; takes
//! from an empty queue don't occur here). What has no answer may have been done at any later time
//! or never: an unanswered put counts if its item was taken, an unanswered take if something
//! behind its item was.

use std::collections::BTreeMap;

/// A put or a take of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub item: Vec<u8>,
    pub invoked_ns: u64,
    /// `None`: no answer came.
    pub returned_ns: Option<u64>,
}

/// From the first to the last possible moment.
type Span = (u64, u64);

/// What is wrong with the queue, in words.
pub fn find_wrong(puts: &[Moved], takes: &[Moved]) -> Option<String> {
    let mut put_of: BTreeMap<&[u8], Span> = BTreeMap::new();
    for put in puts {
        if put_of.insert(&put.item, span(put)).is_some() {
            return Some(format!("item {} is put twice", shown(&put.item)));
        }
    }
    let mut taken: BTreeMap<&[u8], Span> = BTreeMap::new();
    let mut perhaps: BTreeMap<&[u8], u64> = BTreeMap::new();
    for take in takes {
        let item = take.item.as_slice();
        let Some(put) = put_of.get(item) else {
            return Some(format!("item {} is taken and was never put", shown(item)));
        };
        if take.returned_ns.is_none() {
            let first = perhaps.entry(item).or_insert(take.invoked_ns);
            *first = take.invoked_ns.min(*first);
            continue;
        }
        if taken.insert(item, span(take)).is_some() {
            return Some(format!("item {} is taken twice", shown(item)));
        }
        if span(take).1 < put.0 {
            return Some(format!("item {} is taken before it is put", shown(item)));
        }
    }
    find_left_behind(&put_of, &mut taken, &perhaps).or_else(|| find_overtaken(&put_of, &taken))
}

/// An item that was put before another one which was taken has been taken too.
fn find_left_behind<'a>(
    put_of: &BTreeMap<&'a [u8], Span>,
    taken: &mut BTreeMap<&'a [u8], Span>,
    perhaps: &BTreeMap<&'a [u8], u64>,
) -> Option<String> {
    let (last, behind) = taken.keys().map(|item| (put_of[item].0, *item)).max()?;
    for (item, put) in put_of {
        if put.1 >= last || taken.contains_key(item) {
            continue;
        }
        let Some(invoked_ns) = perhaps.get(item) else {
            let what = format!("item {} is never taken, though ", shown(item));
            return Some(format!("{what}{} behind it is", shown(behind)));
        };
        taken.insert(item, (*invoked_ns, u64::MAX));
    }
    None
}

/// Takes are in the order of puts, where that is known.
fn find_overtaken(put_of: &BTreeMap<&[u8], Span>, taken: &BTreeMap<&[u8], Span>) -> Option<String> {
    let mut by_call: Vec<(u64, &[u8])> = taken.keys().map(|item| (put_of[item].0, *item)).collect();
    let mut by_return: Vec<(u64, &[u8])> =
        taken.keys().map(|item| (put_of[item].1, *item)).collect();
    by_call.sort_unstable();
    by_return.sort_unstable();
    let mut earlier = by_return.into_iter().peekable();
    let mut latest: Option<(u64, &[u8])> = None;
    for (invoked_ns, item) in by_call {
        while let Some((_, first)) = earlier.next_if(|(returned_ns, _)| *returned_ns < invoked_ns) {
            latest = latest.max(Some((taken[first].0, first)));
        }
        if let Some((_, first)) = latest.filter(|(taken_ns, _)| taken[item].1 < *taken_ns) {
            let what = format!("item {} was put before {}", shown(first), shown(item));
            return Some(format!("{what} and is taken after it"));
        }
    }
    None
}

fn span(moved: &Moved) -> Span {
    (moved.invoked_ns, moved.returned_ns.unwrap_or(u64::MAX))
}

fn shown(item: &[u8]) -> String {
    String::from_utf8_lossy(item).into_owned()
}
