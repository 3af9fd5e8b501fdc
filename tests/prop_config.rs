//! Properties of the configuration's grammars: no text makes them panic, and what they have
//! understood they understand again.

use std::io;

use oxkeeper::config::properties::Properties;
use oxkeeper::config::{Config, JvmFlags, Member};
use oxkeeper::types::Sid;
use proptest::prelude::*;

/// A key or a value, written so that the grammar gives it back.
fn escaped(text: &str) -> String {
    let escape = |unit: u16| match u8::try_from(unit) {
        Ok(c) if c.is_ascii_alphanumeric() => char::from(c).to_string(),
        Ok(b'\n') => "\\n".to_owned(),
        Ok(c) if c.is_ascii_punctuation() || c == b' ' => format!("\\{}", char::from(c)),
        _ => format!("\\u{unit:04x}"),
    };
    text.encode_utf16().map(escape).collect()
}

fn no_files(_: &str) -> io::Result<Vec<u8>> {
    Err(io::Error::from(io::ErrorKind::NotFound))
}

/// Bytes that meet the grammar's special cases more often than random ones.
fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"ab=: \t\x0c\n\r\\\\#!u0041\xe9".to_vec());
    prop::collection::vec(prop_oneof![4 => special, 1 => any::<u8>()], 0..80)
}

/// Lines that look like a zoo.cfg somebody has fought with.
fn odd_lines() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "dataDir",
        "clientPort",
        "tickTime",
        "server.1",
        "server.2",
        "group.1",
        "weight.2",
        "snapCount",
        "minSessionTimeout",
        "dynamicConfigFile",
        "authProvider.1",
        "foo",
    ]);
    let value = prop_oneof!["[0-9]{0,12}", "[a-z0-9:;|\\[\\]./]{0,16}", "a:1:2(:[a-z]{0,9})?"];
    let line = (key, value).prop_map(|(key, value)| format!("{key}={value}\n"));
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
}

/// Server lines, most of them well formed.
fn odd_member() -> impl Strategy<Value = String> {
    let address = "([a-c]{1,3}|\\[[0-9a-f:]{0,6}\\]):[0-9]{1,5}:[0-9]{1,5}(:Observer)?";
    let client = "(;([a-c]{1,3}:)?[0-9]{1,5})?";
    let addresses = prop::collection::vec(address, 1..3).prop_map(|all| all.join("|"));
    (addresses, client).prop_map(|(addresses, client)| addresses + &client)
}

proptest! {
    #[test]
    fn what_is_escaped_comes_back(key in "\\PC{1,20}", value in "\\PC{0,20}") {
        let text = format!("{}={}", escaped(&key), escaped(&value));
        let properties = Properties::parse(text.as_bytes()).expect("whole escapes");
        let trim = |text: &str| text.trim_matches(|c| c <= ' ').to_owned();
        let entry = &properties.entries[0];
        prop_assert_eq!((&entry.key, &entry.value), (&trim(&key), &trim(&value)));
    }

    #[test]
    fn any_bytes_are_a_file_with_growing_line_numbers(bytes in odd_bytes()) {
        let Ok(properties) = Properties::parse(&bytes) else { return Ok(()) };
        let lines: Vec<u32> = properties.entries.iter().map(|entry| entry.line).collect();
        prop_assert!(lines.windows(2).all(|pair| pair[0] < pair[1]));
        let last = bytes.iter().filter(|&&b| b == b'\n' || b == b'\r').count() + 1;
        prop_assert!(lines.iter().all(|&line| (1..=last as u32).contains(&line)));
    }

    #[test]
    fn any_file_is_taken_or_refused(bytes in odd_bytes(), lines in odd_lines()) {
        for text in [&bytes[..], lines.as_bytes()] {
            if let Err(error) = Config::parse("zoo.cfg", text, &JvmFlags::none(), &no_files) {
                prop_assert!(!error.advice.is_empty(), "{}", error);
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }

    #[test]
    fn any_flags_are_split_and_none_is_lost(text in "[ \t'\"a-zD=.-]{0,60}") {
        let flags = JvmFlags::from_variables(None, Some(&text));
        let words = flags.properties().count() + flags.ignored().len();
        prop_assert!(words <= text.split_whitespace().count());
        prop_assert_eq!(words == 0, text.trim().is_empty());
    }

    #[test]
    fn a_member_line_means_the_same_when_shown(text in odd_member()) {
        let Ok(member) = Member::parse(Sid(1), &text, true) else { return Ok(()) };
        let shown = member.to_string();
        let again = Member::parse(Sid(1), &shown, true);
        prop_assert_eq!(again.map(|member| member.to_string()), Ok(shown));
    }
}
