//! Lines of the log that would repeat themselves: the first is said, then one now and then with
//! how many were not.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;

/// One line, and how seldom it is said.
#[derive(Debug)]
pub struct Seldom {
    said_at: Instant,
    /// Until it is said again.
    pause: Duration,
    pause_max: Duration,
    unsaid: u64,
}

impl Seldom {
    /// The line is said for the first time. The next waits for `pause`, which doubles each time
    /// up to `pause_max`.
    pub fn said(now: Instant, pause: Duration, pause_max: Duration) -> Seldom {
        Seldom { said_at: now, pause, pause_max, unsaid: 0 }
    }

    /// Whether to say it again: then how often it was not since the last time.
    pub fn again(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.said_at) < self.pause {
            self.unsaid += 1;
            return None;
        }
        self.said_at = now;
        self.pause = (self.pause * 2).min(self.pause_max);
        Some(std::mem::take(&mut self.unsaid))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.unsaid == 0 && now.saturating_duration_since(self.said_at) >= self.pause
    }
}

/// Refused connections, by address.
#[derive(Debug, Default)]
pub struct Refused(Mutex<BTreeMap<Option<IpAddr>, Seldom>>);

/// Between two lines about one address.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

impl Refused {
    /// One of `address` has been refused, or one of anybody (`None`). Whether to say so: then how
    /// many were refused silently since the last time.
    pub fn one_more(&self, address: Option<IpAddr>, now: Instant) -> Option<u64> {
        // A panic elsewhere leaves the map whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = address;
        if !known.contains_key(&key) && known.len() >= limits::REFUSED_ADDRESSES_MAX {
            known.retain(|_, seldom| !seldom.is_over(now));
            if known.len() >= limits::REFUSED_ADDRESSES_MAX {
                // A storm from everywhere: one line for all whom nobody knew before.
                key = None;
            }
        }
        match known.get_mut(&key) {
            Some(seldom) => seldom.again(now),
            None => {
                known.insert(key, Seldom::said(now, REFUSED_PAUSE, REFUSED_PAUSE));
                Some(0)
            }
        }
    }
}

/// How a line ends that stands for `unsaid` more.
pub fn and_more(unsaid: u64) -> String {
    match unsaid {
        0 => String::new(),
        n => format!(" ({n} more since the last such line)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let begun = Instant::now();
        let mut line = Seldom::said(begun, SECOND, 4 * SECOND);
        let said: Vec<(u32, u64)> = (1..40)
            .filter_map(|half| Some((half, line.again(begun + SECOND / 2 * half)?)))
            .collect();
        assert_eq!(said, [(2, 1), (6, 3), (14, 7), (22, 7), (30, 7), (38, 7)]);
    }

    #[test]
    fn each_address_has_its_first_line_and_a_count_later() {
        let (refused, begun) = (Refused::default(), Instant::now());
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().ok());
        assert_eq!(refused.one_more(one, begun), Some(0));
        for _ in 0..5 {
            assert_eq!(refused.one_more(one, begun + SECOND), None);
        }
        assert_eq!(refused.one_more(other, begun + SECOND), Some(0));
        assert_eq!(refused.one_more(one, begun + 10 * SECOND), Some(5));
        assert_eq!(refused.one_more(None, begun + 10 * SECOND), Some(0));
    }

    #[test]
    fn a_storm_from_everywhere_takes_bounded_memory_and_lines() {
        let (refused, begun) = (Refused::default(), Instant::now());
        let address = |i: u32| Some(IpAddr::from(i.to_be_bytes()));
        let many = limits::REFUSED_ADDRESSES_MAX as u32;
        let said = (0..2 * many).filter(|i| refused.one_more(address(*i), begun).is_some());
        assert!(said.count() <= limits::REFUSED_ADDRESSES_MAX + 1);
        assert!(refused.0.lock().unwrap().len() <= limits::REFUSED_ADDRESSES_MAX + 1);
        // Those that have been quiet since make room for others.
        assert_eq!(refused.one_more(address(5 * many), begun + 10 * SECOND), Some(0));
    }
}
