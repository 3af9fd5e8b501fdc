//! Addresses in initial messages: `host:port|host:port`, an IPv6 number in brackets.

use std::fmt;
use std::net::IpAddr;

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Without brackets.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The addresses of an initial message, without those that are every address of the sender's
/// machine and say nothing. `None`: one of them is no address.
pub(super) fn parse(text: &str) -> Option<Vec<Target>> {
    let targets: Option<Vec<Target>> = text.split('|').map(parse_one).collect();
    let mut targets = targets?;
    targets.retain(|target| !target.host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()));
    Some(targets)
}

fn parse_one(text: &str) -> Option<Target> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let port: u16 = port.parse().ok()?;
    (!host.is_empty()).then(|| Target { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_parsed_alike_and_wildcards_left_out() {
        let shown = |text| {
            parse(text).map(|all| all.iter().map(Target::to_string).collect::<Vec<_>>().join(" "))
        };
        for (text, expected) in [
            ("127.0.0.1:3888", Some("127.0.0.1:3888")),
            ("a.b:1|[::1]:2", Some("a.b:1 [::1]:2")),
            ("0.0.0.0:3888", Some("")),
            ("[::]:1|h:2", Some("h:2")),
            ("h", None),
            ("h:", None),
            (":1", None),
            ("h:70000", None),
            ("h:-1", None),
            ("[::1:1", None),
            ("h:1|", None),
            ("", None),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text:?}");
        }
    }
}
