//! What a stored ephemeral owner means (Apache's `EphemeralType`).

use crate::types::SessionId;

/// The owner stored for a container.
pub const CONTAINER_OWNER: i64 = i64::MIN;
/// Longest time to live of a TTL node, ms (about 34 years).
pub const TTL_MAX_MS: i64 = (1 << 40) - 1;

/// The kinds of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A persistent node.
    Nobody,
    /// An ephemeral node of that session.
    Session(SessionId),
    /// Goes some time after its last child.
    Container,
    /// Goes when it has no children and was not changed for so many ms.
    Ttl(i64),
}

/// Whether owners may mean more than sessions and containers. Must be the same on all servers of
/// an ensemble: what is a TTL node to one is an ephemeral of an unknown session to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnerRules {
    /// `extendedTypesEnabled`.
    pub extended_types: bool,
    /// `emulate353TTLNodes`: any negative owner is a TTL node, as 3.5.3 stored them.
    pub emulate_353_ttl: bool,
}

impl OwnerRules {
    /// Reads a stored owner.
    pub fn read(self, stored: i64) -> Owner {
        match stored {
            0 => Owner::Nobody,
            CONTAINER_OWNER => Owner::Container,
            // A feature other than TTL has never been given out; Apache throws here.
            _ if self.extended_types && stored as u64 >> 40 == TTL_FEATURE => {
                Owner::Ttl(stored & TTL_MAX_MS)
            }
            _ if self.extended_types && self.emulate_353_ttl && stored < 0 => {
                Owner::Ttl(stored & TTL_MAX_MS)
            }
            _ => Owner::Session(SessionId(stored)),
        }
    }

    /// What clients are shown: only sessions.
    pub fn shown(self, stored: i64) -> i64 {
        match self.read(stored) {
            Owner::Session(session) => session.0,
            _ => 0,
        }
    }
}

/// The owner stored for a TTL node. `ttl_ms` is 1 to [`TTL_MAX_MS`], which prep has checked.
pub fn ttl_owner(ttl_ms: i64) -> i64 {
    (TTL_FEATURE << 40) as i64 | (ttl_ms & TTL_MAX_MS)
}

/// The top byte says "extended", the next two bytes name the feature: TTL is 0.
const TTL_FEATURE: u64 = 0xff_0000;

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: OwnerRules = OwnerRules { extended_types: false, emulate_353_ttl: false };
    const ON: OwnerRules = OwnerRules { extended_types: true, emulate_353_ttl: false };
    const EMULATE: OwnerRules = OwnerRules { extended_types: true, emulate_353_ttl: true };

    #[test]
    fn owners_by_the_table() {
        let ttl = 0xff00_0000_0000_1388_u64 as i64;
        let of_353 = 0x8000_0000_0000_1388_u64 as i64;
        let session = |id| Owner::Session(SessionId(id));
        assert_eq!(ttl_owner(5000), ttl);
        for (rules, stored, owner, shown) in [
            (OFF, 0, Owner::Nobody, 0),
            (OFF, 77, session(77), 77),
            (OFF, i64::MIN, Owner::Container, 0),
            (OFF, ttl, session(ttl), ttl),
            (OFF, of_353, session(of_353), of_353),
            (ON, 0, Owner::Nobody, 0),
            (ON, 77, session(77), 77),
            (ON, i64::MIN, Owner::Container, 0),
            (ON, ttl, Owner::Ttl(5000), 0),
            (ON, of_353, session(of_353), of_353),
            (EMULATE, ttl, Owner::Ttl(5000), 0),
            (EMULATE, of_353, Owner::Ttl(5000), 0),
            (EMULATE, i64::MIN, Owner::Container, 0),
            (EMULATE, 77, session(77), 77),
        ] {
            assert_eq!(rules.read(stored), owner, "{rules:?} {stored:#x}");
            assert_eq!(rules.shown(stored), shown, "{rules:?} {stored:#x}");
        }
    }
}
