//! The server, group and weight lines: who is in the ensemble, in which role, with how many votes.
//! Sources: Apache's `QuorumPeer.QuorumServer`, `QuorumMaj`, `QuorumHierarchical`, `ConfigUtils`.
//! Names are kept as text; whoever connects resolves them, again and again, because a member whose
//! name does not resolve yet is no error.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;
use std::fmt;

use super::java;
use super::properties::{trim, Entry};
use crate::types::Sid;

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// An IPv6 number has no brackets here.
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// Every address of this machine.
    pub const ANY: &'static str = "0.0.0.0";

    /// The port on every address of this machine.
    pub fn any(port: u16) -> HostPort {
        HostPort { host: HostPort::ANY.to_owned(), port }
    }

    /// Whether this is every address of the machine. Java listens in both families then, even for
    /// `0.0.0.0`, and so must whoever opens the port.
    pub fn is_any(&self) -> bool {
        self.host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
    }
}

/// `host:port`, with brackets around an IPv6 number.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// A host as Apache shows it: of an IPv6 number all eight groups, as `Inet6Address.getHostAddress`
/// has them. Members compare each other's configurations as text.
fn shown(host: &str) -> String {
    let Ok(ip) = host.parse::<Ipv6Addr>() else { return host.to_owned() };
    let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:x}")).collect();
    groups.join(":")
}

fn bracketed(host: &str) -> String {
    let host = shown(host);
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    }
}

/// What a member may do in an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerRole {
    /// It votes.
    Participant,
    /// It follows without a vote.
    Observer,
}

impl PeerRole {
    /// The role word, in any case.
    pub fn parse(word: &str) -> Option<PeerRole> {
        match trim(word).to_lowercase().as_str() {
            "participant" => Some(PeerRole::Participant),
            "observer" => Some(PeerRole::Observer),
            _ => None,
        }
    }

    /// As in Apache's messages.
    fn shouted(self) -> &'static str {
        match self {
            PeerRole::Participant => "PARTICIPANT",
            PeerRole::Observer => "OBSERVER",
        }
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shouted().to_lowercase())
    }
}

/// One of the addresses at which the other members reach a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    pub host: String,
    pub quorum_port: u16,
    pub election_port: u16,
}

/// One server line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub sid: Sid,
    /// At least one; more only with `multiAddress.enabled`.
    pub addresses: Vec<PeerAddress>,
    pub role: PeerRole,
    /// Where it serves clients, if the line says so or zoo.cfg has said it for this server.
    pub client: Option<HostPort>,
    /// `client` comes from clientPort in zoo.cfg and does not belong to the server line.
    pub client_from_static: bool,
}

/// The value of a server line, as the node `/zookeeper/config` shows it.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<&PeerAddress> = self.addresses.iter().collect();
        addresses.sort_by_key(|address| shown(&address.host));
        for (at, address) in addresses.into_iter().enumerate() {
            let separator = if at == 0 { "" } else { "|" };
            let PeerAddress { host, quorum_port, election_port } = address;
            write!(f, "{separator}{}:{quorum_port}:{election_port}", bracketed(host))?;
        }
        write!(f, ":{}", self.role)?;
        match &self.client {
            Some(client) if !self.client_from_static => write!(f, ";{client}"),
            _ => Ok(()),
        }
    }
}

/// Groups and weights, if any line names one: a quorum is a majority of votes in a majority of
/// groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchy {
    pub group_of: BTreeMap<Sid, i64>,
    /// Every participant has a weight, 1 unless a line says otherwise.
    pub weight_of: BTreeMap<Sid, i64>,
}

/// The ensemble as one file describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    pub all: BTreeMap<Sid, Member>,
    pub hierarchy: Option<Hierarchy>,
    /// The zxid of the reconfig that made it; 0 for zoo.cfg itself.
    pub version: i64,
}

/// A line that is wrong, in Apache's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadMember {
    /// The entry to blame, if it is one.
    pub entry: Option<Entry>,
    pub message: String,
}

impl Members {
    /// The members that vote.
    pub fn participants(&self) -> impl Iterator<Item = &Member> {
        self.all.values().filter(|member| member.role == PeerRole::Participant)
    }

    /// The members that do not.
    pub fn observers(&self) -> impl Iterator<Item = &Member> {
        self.all.values().filter(|member| member.role == PeerRole::Observer)
    }

    /// The configuration as servers tell it each other and as `/zookeeper/config` shows it
    /// (Apache's `QuorumMaj.toString`, `QuorumHierarchical.toString`).
    pub fn text(&self) -> String {
        let mut text = String::new();
        for member in self.all.values() {
            text += &format!("server.{}={member}\n", member.sid.0);
        }
        if let Some(Hierarchy { group_of, weight_of }) = &self.hierarchy {
            let mut groups: BTreeMap<i64, Vec<String>> = BTreeMap::new();
            for (sid, group) in group_of {
                groups.entry(*group).or_default().push(sid.0.to_string());
            }
            for (group, sids) in groups {
                text += &format!("group.{group}={}\n", sids.join(":"));
            }
            for (sid, weight) in weight_of {
                text += &format!("weight.{}={weight}\n", sid.0);
            }
        }
        text + &format!("version={:x}", self.version)
    }

    /// Whether a key belongs to a description of the ensemble.
    pub(super) fn takes(key: &str) -> bool {
        key.starts_with("server.") || Members::is_hierarchical(key)
    }

    /// Any name that begins like this counts, even without a dot: Apache tests no more.
    fn is_hierarchical(key: &str) -> bool {
        key.starts_with("group") || key.starts_with("weight")
    }

    /// Reads the lines among the entries that belong here.
    pub(super) fn parse(entries: &[Entry], many_addresses: bool) -> Result<Members, BadMember> {
        let mut members = Members::default();
        if entries.iter().any(|entry| Members::is_hierarchical(&entry.key)) {
            members.hierarchy = Some(Hierarchy::default());
        }
        for entry in entries {
            let blame = |message| BadMember { entry: Some(entry.clone()), message };
            members.take(entry, many_addresses).map_err(blame)?;
        }
        members.complete_weights().map_err(|message| BadMember { entry: None, message })?;
        Ok(members)
    }

    fn take(&mut self, entry: &Entry, many_addresses: bool) -> Result<(), String> {
        let (key, value) = (entry.key.as_str(), entry.value.as_str());
        if !Members::takes(key) {
            return Ok(());
        }
        let number = key.split_once('.').map_or(key, |(_, number)| number);
        let number = java::parse_long(number).map_err(|e| e.to_string())?;
        match &mut self.hierarchy {
            _ if key.starts_with("server.") => {
                let member = Member::parse(Sid(number), value, many_addresses)?;
                self.all.insert(Sid(number), member);
            }
            Some(hierarchy) if key.starts_with("group") => {
                for sid in java::split(value, ':') {
                    let sid = Sid(java::parse_long(sid).map_err(|e| e.to_string())?);
                    if hierarchy.group_of.insert(sid, number).is_some() {
                        return Err(format!("Server {}is in multiple groups", sid.0));
                    }
                }
            }
            Some(hierarchy) => {
                let weight = java::parse_long(value).map_err(|e| e.to_string())?;
                hierarchy.weight_of.insert(Sid(number), weight);
            }
            None => unreachable!("a group or weight line makes a hierarchy"),
        }
        Ok(())
    }

    /// Every participant needs a group, and has a weight of 1 unless a line said otherwise.
    fn complete_weights(&mut self) -> Result<(), String> {
        let Some(mut hierarchy) = self.hierarchy.take() else { return Ok(()) };
        for member in self.participants() {
            if !hierarchy.group_of.contains_key(&member.sid) {
                return Err(format!("Server {}is not in a group", member.sid.0));
            }
            hierarchy.weight_of.entry(member.sid).or_insert(1);
        }
        self.hierarchy = Some(hierarchy);
        Ok(())
    }
}

impl Member {
    /// Reads the value of a server line. The checks stand in Apache's order.
    pub fn parse(sid: Sid, text: &str, many_addresses: bool) -> Result<Member, String> {
        let parts = java::split(text, ';');
        let addresses = java::split(parts[0], '|');
        let client = match parts[..] {
            [_, client] => Some(parse_client(text, client)?),
            _ => None,
        };
        if addresses.len() > 1 && !many_addresses {
            return Err(format!(
                "Multiple address feature is disabled, but multiple addresses were specified for \
                 sid {}",
                sid.0
            ));
        }
        let mut member = Member {
            sid,
            addresses: vec![],
            role: PeerRole::Participant,
            client,
            client_from_static: false,
        };
        let mut role = None;
        for address in addresses {
            let fields = host_and_ports(address)?;
            if parts.len() > 2 || !(3..=4).contains(&fields.len()) {
                return Err(wrong_form(text));
            }
            member.addresses.push(peer_address(sid, &fields)?);
            if let Some(word) = fields.get(3) {
                let said = PeerRole::parse(word);
                let said = said.ok_or_else(|| format!("Unrecognised peertype: {word}"))?;
                if *role.get_or_insert(said) != said {
                    return Err(format!(
                        "Multiple addresses should have similar roles: {} vs {}",
                        member.role.shouted(),
                        said.shouted()
                    ));
                }
            }
        }
        member.role = role.unwrap_or(PeerRole::Participant);
        Ok(member)
    }
}

fn peer_address(sid: Sid, fields: &[&str]) -> Result<PeerAddress, String> {
    let host = fields[0].to_owned();
    let quorum_port = port(&host, fields[1])?;
    let election_port = port(&host, fields[2])?;
    if quorum_port == election_port {
        return Err(format!(
            "Client and election port must be different! Please update the configuration file on \
             server.{}",
            sid.0
        ));
    }
    Ok(PeerAddress { host, quorum_port, election_port })
}

/// `port` or `host:port`. Apache has not read the member's own name yet and says null for it.
fn parse_client(whole: &str, text: &str) -> Result<HostPort, String> {
    let fields = host_and_ports(text)?;
    let (host, number) = match fields[..] {
        [number] => (HostPort::ANY, number),
        [host, number] => (host, number),
        _ => return Err(wrong_form(whole)),
    };
    Ok(HostPort { host: host.to_owned(), port: port("null", number)? })
}

fn port(host: &str, text: &str) -> Result<u16, String> {
    let number = java::parse_int(text).map_err(|_| format!("Address unresolved: {host}:{text}"))?;
    u16::try_from(number).map_err(|_| format!("port out of range:{number}"))
}

fn wrong_form(text: &str) -> String {
    format!(
        "{text} does not have the form server_config or server_config;client_config where \
         server_config is the pipe separated list of host:port:port or host:port:port:type and \
         client_config is port or host:port"
    )
}

/// The pieces between colons, the first of which may be an IPv6 number in brackets.
fn host_and_ports(text: &str) -> Result<Vec<&str>, String> {
    let Some(rest) = text.strip_prefix('[') else { return Ok(java::split(text, ':')) };
    let Some((host, rest)) = rest.split_once(']') else {
        return Err(format!("{text} starts with '[' but has no matching ']:'"));
    };
    let mut after_colon = rest.chars();
    if after_colon.next().is_none() {
        return Ok(vec![host]);
    }
    let after_colon = after_colon.as_str();
    if after_colon.is_empty() {
        return Err(format!("{text} doesn't have a port after colon"));
    }
    let mut pieces = vec![host];
    pieces.extend(java::split(after_colon, ':'));
    Ok(pieces)
}

/// The hexadecimal ending of a dynamic file's name: the version of what it holds.
pub fn version_of_file_name(name: &str) -> Option<i64> {
    let (_, ending) = name.rsplit_once('.')?;
    let digits = ending.strip_prefix(['+', '-']).unwrap_or(ending);
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    hexadecimal.then(|| i64::from_str_radix(ending, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &str) -> Result<Member, String> {
        Member::parse(Sid(7), text, true)
    }

    fn refused(text: &str) -> String {
        member(text).expect_err("a line that Apache refuses")
    }

    #[test]
    fn a_line_is_shown_as_it_is_understood() {
        for (text, shown) in [
            ("h:2888:3888", "h:2888:3888:participant"),
            ("h:2888:3888:OBSERVER", "h:2888:3888:observer"),
            ("h:2888:3888;2181", "h:2888:3888:participant;0.0.0.0:2181"),
            ("h:1:2:observer;c:2181", "h:1:2:observer;c:2181"),
            ("[::1]:1:2;[fe80::A:0]:3", "[0:0:0:0:0:0:0:1]:1:2:participant;[fe80:0:0:0:0:0:a:0]:3"),
            ("b:1:2|a:3:4", "a:3:4|b:1:2:participant"),
            ("1.2.3.4:1:2|[::1]:1:2", "[0:0:0:0:0:0:0:1]:1:2|1.2.3.4:1:2:participant"),
            ("h:1:2:", "h:1:2:participant"),
            ("h:1:2;", "h:1:2:participant"),
        ] {
            assert_eq!(member(text).map(|m| m.to_string()).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn a_line_of_another_shape_is_refused_in_apaches_words() {
        let form = " does not have the form server_config or server_config;client_config where \
                    server_config is the pipe separated list of host:port:port or \
                    host:port:port:type and client_config is port or host:port";
        for text in ["h", "h:1", "h:1:2:observer:x", "h:1:2;3;4", "h:1:2;a:b:1", "", ";"] {
            assert_eq!(refused(text), format!("{text}{form}"));
        }
    }

    #[test]
    fn each_wrong_part_of_a_line_has_its_own_words() {
        for (text, words) in [
            ("h:a:2", "Address unresolved: h:a"),
            ("h:1:b", "Address unresolved: h:b"),
            ("h:1:2;foo", "Address unresolved: null:foo"),
            ("h:1:70000", "port out of range:70000"),
            ("h:1:2:foo", "Unrecognised peertype: foo"),
            ("[::1:1:2", "[::1:1:2 starts with '[' but has no matching ']:'"),
            ("[::1]:", "[::1]: doesn't have a port after colon"),
            (
                "h:5:5",
                "Client and election port must be different! Please update the configuration file \
                 on server.7",
            ),
            (
                "a:1:2|b:1:2:observer|c:1:2:participant",
                "Multiple addresses should have similar roles: PARTICIPANT vs PARTICIPANT",
            ),
        ] {
            assert_eq!(refused(text), words);
        }
    }

    #[test]
    fn several_addresses_need_their_switch() {
        let words = Member::parse(Sid(7), "a:1:2|b:1:2", false).expect_err("switched off");
        let want = "Multiple address feature is disabled, but multiple addresses were specified \
                    for sid 7";
        assert_eq!(words, want);
    }

    fn entries(text: &str) -> Vec<Entry> {
        let properties = super::super::properties::Properties::parse(text.as_bytes());
        properties.expect("well formed").entries
    }

    #[test]
    fn groups_give_every_participant_a_weight() {
        let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2:observer\n\
                    group.1=1:2\nweight.2=0\nfoo=bar";
        let members = Members::parse(&entries(text), false).expect("a good ensemble");
        let hierarchy = members.hierarchy.expect("there is a group line");
        assert_eq!(hierarchy.weight_of, BTreeMap::from([(Sid(1), 1), (Sid(2), 0)]));
        assert_eq!(hierarchy.group_of[&Sid(2)], 1);
    }

    #[test]
    fn groups_must_hold_each_participant_exactly_once() {
        let servers = "server.1=a:1:2\nserver.2=b:1:2\n";
        let refused = |text: &str| {
            Members::parse(&entries(&format!("{servers}{text}")), false).expect_err("bad").message
        };
        assert_eq!(refused("group.1=1"), "Server 2is not in a group");
        assert_eq!(refused("group.1=1:2\ngroup.2=2"), "Server 2is in multiple groups");
        assert_eq!(refused("weight.1=1"), "Server 1is not in a group");
        assert_eq!(refused("group.1=1:x"), "For input string: \"x\"");
        assert_eq!(refused("groupFoo=1"), "For input string: \"groupFoo\"");
        assert_eq!(refused("server.x=a:1:2"), "For input string: \"x\"");
    }

    #[test]
    fn the_version_is_the_ending_of_the_file_name() {
        assert_eq!(version_of_file_name("/conf/zoo.cfg.dynamic.100000000"), Some(0x1_0000_0000));
        assert_eq!(version_of_file_name("/conf/zoo.cfg.dynamic"), None);
        assert_eq!(version_of_file_name("dyn"), None);
        assert_eq!(version_of_file_name("zoo.dead"), Some(0xdead));
    }
}
