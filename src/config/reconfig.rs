//! What a reconfig would make of the members: its text, read and judged as Apache's
//! `PrepRequestProcessor` and `QuorumPeerConfig.parseDynamicConfig` do.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::java;
use super::members::{HostPort, Member, Members};
use super::properties::{trim, Properties};
use crate::types::Sid;

/// What a client asks for: all members anew, or else who joins and who leaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// `server.N=…;…` lines, separated by commas.
    pub joining: Option<&'a str>,
    /// Numbers of servers, separated by commas.
    pub leaving: Option<&'a str>,
    /// The lines of a whole dynamic file, separated by commas or ends of lines.
    pub all: Option<&'a str>,
}

/// Why a change can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadChange {
    /// It is understood and not allowed.
    Refused,
    /// A number is none, or there would be nobody to vote for whom observers could listen to.
    Senseless,
}

impl Members {
    /// The members after `change`. `standalone_enabled` as in zoo.cfg: such an ensemble keeps at
    /// least two voters, any other one. The version is that of `self`.
    pub fn changed(
        &self,
        change: Change<'_>,
        standalone_enabled: bool,
        many_addresses: bool,
    ) -> Result<Members, BadChange> {
        let members = match change.all {
            Some(text) => Members::anew(text, standalone_enabled, many_addresses)?,
            None => self.step(change, many_addresses)?,
        };
        let voters_min = if standalone_enabled { 2 } else { 1 };
        if members.participants().count() < voters_min {
            return Err(BadChange::Refused);
        }
        Ok(Members { version: self.version, ..members })
    }

    fn anew(
        text: &str,
        standalone_enabled: bool,
        many_addresses: bool,
    ) -> Result<Members, BadChange> {
        let lines = text.replace(',', "\n");
        let entries =
            Properties::parse(lines.as_bytes()).map_err(|_| BadChange::Senseless)?.entries;
        let is_known = |key: &str| Members::takes(key) || key == "version";
        if entries.iter().any(|entry| !is_known(trim(&entry.key))) {
            return Err(BadChange::Refused);
        }
        for entry in entries.iter().filter(|entry| entry.key.starts_with("server.")) {
            number(&entry.key["server.".len()..])?;
        }
        let members = Members::parse(&entries, many_addresses).map_err(|_| BadChange::Refused)?;
        let (voters, observers) = (members.participants().count(), members.observers().count());
        let lonely = observers > 0 && voters < 2;
        let nobody = voters == 0 && !standalone_enabled;
        if (lonely && standalone_enabled) || nobody {
            return Err(BadChange::Senseless);
        }
        Ok(members)
    }

    fn step(&self, change: Change<'_>, many_addresses: bool) -> Result<Members, BadChange> {
        if self.hierarchy.is_some() {
            return Err(BadChange::Refused);
        }
        let mut members = self.clone();
        for sid in items(change.leaving.unwrap_or(""), ',') {
            members.all.remove(&Sid(number(sid)?));
        }
        for line in items(change.joining.unwrap_or(""), ',') {
            let parts: Vec<&str> = items(line, '=').collect();
            let [key, value] = parts[..] else { return Err(BadChange::Refused) };
            let sid = Sid(number(key.rsplit_once('.').map_or(key, |(_, sid)| sid))?);
            let member =
                Member::parse(sid, value, many_addresses).map_err(|_| BadChange::Refused)?;
            let others = members.all.values().filter(|other| other.sid != sid);
            let taken: BTreeSet<String> = others.flat_map(places).collect();
            let has_client = member.client.is_some();
            if !has_client || places(&member).iter().any(|place| taken.contains(place)) {
                return Err(BadChange::Refused);
            }
            members.all.insert(sid, member);
        }
        Ok(members)
    }
}

/// What stands between the separators, without blanks around it (Apache's `StringUtils.split`).
fn items(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(trim).filter(|item| !item.is_empty())
}

fn number(text: &str) -> Result<i64, BadChange> {
    java::parse_long(text).map_err(|_| BadChange::Senseless)
}

/// Where a member listens, but for addresses that each machine has of its own: no two members may
/// share the others.
fn places(member: &Member) -> Vec<String> {
    let is_own = |host: &str| {
        let number: Result<IpAddr, _> = host.parse();
        number.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
    };
    let ports = member.addresses.iter().flat_map(|address| {
        let at = |port| HostPort { host: address.host.clone(), port };
        [at(address.quorum_port), at(address.election_port)]
    });
    let all = ports.chain(member.client.clone());
    all.filter(|place| !is_own(&place.host)).map(|place| place.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Members {
        let lines = "server.1=a:1:2;9\nserver.2=b:1:2;9\nserver.3=c:1:2;9";
        let entries = Properties::parse(lines.as_bytes()).expect("well formed").entries;
        Members::parse(&entries, false).expect("a good ensemble")
    }

    fn changed(change: Change<'_>) -> Result<Vec<i64>, BadChange> {
        let members = three().changed(change, true, false)?;
        Ok(members.all.keys().map(|sid| sid.0).collect())
    }

    #[test]
    fn servers_join_and_leave() {
        let join = |joining| changed(Change { joining: Some(joining), ..Change::default() });
        assert_eq!(join("server.4=d:1:2;9"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(
            join(" server.4 = d:1:2;9 ,, server.5=e:1:2:observer;9"),
            Ok(vec![1, 2, 3, 4, 5])
        );
        assert_eq!(join("server.3=d:1:2;9"), Ok(vec![1, 2, 3]));
        assert_eq!(join("server.4=d:1:2"), Err(BadChange::Refused), "no client port");
        assert_eq!(join("server.4=c:7:2;8"), Err(BadChange::Refused), "somebody else's place");
        assert_eq!(join("server.4"), Err(BadChange::Refused));
        assert_eq!(join("server.x=d:1:2;9"), Err(BadChange::Senseless));
        let leave = |leaving| changed(Change { leaving: Some(leaving), ..Change::default() });
        assert_eq!(leave("3"), Ok(vec![1, 2]));
        assert_eq!(leave("7,3"), Ok(vec![1, 2]));
        assert_eq!(leave("2,3"), Err(BadChange::Refused), "one voter is too few");
        assert_eq!(leave("x"), Err(BadChange::Senseless));
        assert_eq!(changed(Change::default()), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn all_members_may_be_named_anew() {
        let all = |text| changed(Change { all: Some(text), ..Change::default() });
        assert_eq!(all("server.7=a:1:2;9,server.8=b:1:2\nserver.9=c:1:2"), Ok(vec![7, 8, 9]));
        assert_eq!(all("server.7=a:1:2;9"), Err(BadChange::Refused));
        assert_eq!(all(""), Err(BadChange::Refused));
        assert_eq!(all("nonsense"), Err(BadChange::Refused));
        assert_eq!(all("server.7=a:1:2:observer"), Err(BadChange::Senseless));
        assert_eq!(all("server.7=a"), Err(BadChange::Refused));
    }

    #[test]
    fn an_ensemble_with_groups_is_not_changed_in_steps() {
        let mut members = three();
        members.hierarchy = Some(Default::default());
        let refused = members.changed(Change::default(), true, false);
        assert_eq!(refused.err(), Some(BadChange::Refused));
    }
}
