//! In what two servers' configurations differ, for the log. The texts are those that NEWLEADER and
//! the notifications carry: a line for each member, group and weight, and `version=`.

use std::collections::BTreeMap;

/// What `theirs` has and `ours` has not, and the reverse; `None` if they say the same. The order of
/// lines means nothing, nor does where clients connect, which is left out now and then.
pub(super) fn difference(ours: &str, theirs: &str) -> Option<String> {
    let (ours, theirs) = (lines(ours), lines(theirs));
    let version = |of: &BTreeMap<&str, &str>| of.get(VERSION).copied().unwrap_or("0").to_owned();
    let only = |of: &BTreeMap<&str, &str>, not: &BTreeMap<&str, &str>| {
        let only =
            of.iter().filter(|(key, value)| **key != VERSION && not.get(*key) != Some(*value));
        only.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
    };
    let parts = [
        match (version(&theirs), version(&ours)) {
            (there, here) if there == here => String::new(),
            (there, here) => format!("version {there} there, {here} here"),
        },
        said("only there: ", only(&theirs, &ours)),
        said("only here: ", only(&ours, &theirs)),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

const VERSION: &str = "version";

fn said(what: &str, list: String) -> String {
    if list.is_empty() {
        list
    } else {
        format!("{what}{list}")
    }
}

fn lines(text: &str) -> BTreeMap<&str, &str> {
    let pair = |line: &'_ str| -> Option<(usize, usize)> {
        let at = line.find('=')?;
        let end = match line.starts_with("server.") {
            true => line.find(';').unwrap_or(line.len()),
            false => line.len(),
        };
        (at < end).then_some((at, end))
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| match pair(line) {
            Some((at, end)) => (&line[..at], &line[at + 1..end]),
            None => (line, ""),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nversion=0";

    #[test]
    fn order_and_client_addresses_mean_nothing() {
        let same = "server.2=b:1:2:participant;0.0.0.0:2181\nserver.1=a:1:2:participant\n";
        assert_eq!(difference(OURS, OURS), None);
        assert_eq!(difference(OURS, &format!("{same}version=0")), None);
        assert_eq!(difference(OURS, same), None, "no version is version 0");
    }

    #[test]
    fn what_differs_is_named() {
        let theirs =
            "server.1=a:1:2:observer\nserver.3=c:1:2:participant\nserver.2=b:1:2:participant\n\
                      weight.1=2\nversion=100000003";
        let said = difference(OURS, theirs).expect("they differ");
        assert_eq!(
            said,
            "version 100000003 there, 0 here; only there: server.1=a:1:2:observer, \
             server.3=c:1:2:participant, weight.1=2; only here: server.1=a:1:2:participant"
        );
    }

    #[test]
    fn rubbish_is_shown_as_it_is() {
        let said = difference(OURS, &format!("{OURS}\nwhat")).expect("they differ");
        assert_eq!(said, "only there: what=");
    }
}
