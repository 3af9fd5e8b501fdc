//! Session ids and the password that goes with each.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::types::SessionId;

/// The first session id of a server that starts at `elapsed_ms` (any monotonic clock; only its
/// low 40 bits count): the server's id in the top byte, the time in the next five, 0 in the last
/// two. `i64::MIN` marks containers among ephemeral owners and is stepped over.
pub fn initial_session_id(sid: u8, elapsed_ms: i64) -> SessionId {
    let time = ((elapsed_ms as u64) << 24) >> 8;
    let id = (time | (u64::from(sid) << 56)) as i64;
    SessionId(if id == i64::MIN { id + 1 } else { id })
}

/// Hands out the ids of one server, one after the other, to whichever thread asks.
#[derive(Debug)]
pub struct SessionIds {
    next: AtomicI64,
}

impl SessionIds {
    /// Starts at [`initial_session_id`], or behind the last of `known` that this server has made,
    /// should the clock have gone back.
    pub fn new(sid: u8, elapsed_ms: i64, known: impl Iterator<Item = SessionId>) -> SessionIds {
        let by_clock = initial_session_id(sid, elapsed_ms).0;
        let ours = known.map(|id| id.0).filter(|id| (id >> 56) as u8 == sid);
        let next = ours.max().map_or(by_clock, |last| by_clock.max(last + 1));
        SessionIds { next: AtomicI64::new(next) }
    }

    /// Starts at `first`.
    pub fn from(first: SessionId) -> SessionIds {
        SessionIds { next: AtomicI64::new(first.0) }
    }

    /// A fresh id.
    pub fn allocate(&self) -> SessionId {
        SessionId(self.next.fetch_add(1, Relaxed))
    }

    /// What the next one will be.
    pub fn peek(&self) -> SessionId {
        SessionId(self.next.load(Relaxed))
    }
}

/// The password of a session. It follows from the id alone, the same on every server of an
/// ensemble, Apache's included: 16 bytes of `java.util.Random` seeded with the id and a constant
/// (`ZooKeeperServer.generatePasswd`). So it proves nothing; it only catches mistakes.
pub fn password(id: SessionId) -> [u8; 16] {
    let mut random = JavaRandom::new(id.0 ^ PASSWORD_SALT);
    let mut bytes = [0; 16];
    for word in bytes.chunks_exact_mut(4) {
        word.copy_from_slice(&random.next_int().to_le_bytes());
    }
    bytes
}

/// Whether `given` is the password of `id`. Nothing fits session 0.
pub fn password_matches(id: SessionId, given: &[u8]) -> bool {
    id.0 != 0 && given == password(id)
}

/// The generator that the documentation of `java.util.Random` fixes for all implementations.
struct JavaRandom {
    state: u64,
}

impl JavaRandom {
    fn new(seed: i64) -> JavaRandom {
        JavaRandom { state: (seed as u64 ^ MULTIPLIER) & MASK_48 }
    }

    fn next_int(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK_48;
        (self.state >> 16) as u32
    }
}

const PASSWORD_SALT: i64 = 0xb341_5c00;
const MULTIPLIER: u64 = 0x5_deec_e66d;
const MASK_48: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn passwords_equal_those_of_a_running_apache() {
        for (id, expected) in [
            (0x0100_0014_24ff_0000, "33ee4b89446fef4ac9439a382dbb8313"),
            (1, "054cc74a37327db215e702e20c73f005"),
            (0x0100_0000_0000_0001, "054cc74a37327db215e702e20c73f005"),
        ] {
            let id = SessionId(id);
            assert_eq!(hex(&password(id)), expected, "{id}");
            assert!(password_matches(id, &password(id)));
            assert!(!password_matches(id, &password(id)[..15]));
        }
        assert!(!password_matches(SessionId(0), &password(SessionId(0))));
    }

    #[test]
    fn an_id_holds_the_server_the_time_and_a_counter() {
        let id = initial_session_id(1, 0x1424ff);
        assert_eq!(id, SessionId(0x0100_0014_24ff_0000));
        assert_eq!(initial_session_id(3, 0x7f00_0000_0001), SessionId(0x0300_0000_0001_0000));
        assert_eq!(initial_session_id(0xfe, -1), SessionId(0xfeff_ffff_ffff_0000_u64 as i64));
        assert_eq!(initial_session_id(0x80, 0), SessionId(i64::MIN + 1));
    }

    #[test]
    fn no_id_is_handed_out_twice() {
        let first = initial_session_id(1, 0x1424ff);
        let ids = SessionIds::new(1, 0x1424ff, std::iter::empty());
        assert_eq!(ids.allocate(), first);
        assert_eq!(ids.peek(), SessionId(first.0 + 1));
        assert_eq!(ids.allocate(), SessionId(first.0 + 1));
        let later = SessionId(first.0 + 0x0900_0000);
        let of_another = SessionId(0x0200_0000_0000_0000);
        let ids = SessionIds::new(1, 0x1424ff, [later, first, of_another].into_iter());
        assert_eq!(ids.allocate(), SessionId(later.0 + 1));
    }
}
