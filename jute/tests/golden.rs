//! Every record against bytes captured from a running Apache ZooKeeper: 3.9.5, and for the forms
//! that it no longer writes 3.3.6, 3.4.14 and 3.5.10.
//!
//! `golden/capture.py` makes the `*.hex` files and `facts.txt`: what chance decided there, as
//! Apache's client reported it; `golden/capture_old.py` makes those of the old releases. Each
//! record must decode to what it is known to say, leave nothing unread, and encode to the very
//! same bytes.

#[path = "golden/captured.rs"]
mod captured;
#[path = "golden/disk.rs"]
mod disk;
#[path = "golden/quorum.rs"]
mod quorum;
#[path = "golden/replies.rs"]
mod replies;
#[path = "golden/requests.rs"]
mod requests;
#[path = "golden/txns.rs"]
mod txns;

use std::borrow::Cow;
use std::fmt::Debug;

use jute::data::{Acl, Stat};
use jute::proto::{ReplyHeader, RequestHeader};
use jute::{Decode, Encode, Reader, Writer};

use captured::{captured, directory};

/// A line of `golden/facts.txt`.
fn fact(name: &str) -> String {
    let facts = std::fs::read_to_string(directory().join("facts.txt")).expect("facts.txt");
    let found = facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no fact {name}")).to_owned()
}

fn number(name: &str) -> i64 {
    fact(name).parse().expect("a number")
}

/// A Stat as Apache's client printed it: its fields in the order of the wire.
fn stat(name: &str) -> Stat {
    let fields: Vec<i64> =
        fact(name).split(',').map(|field| field.parse().expect("a number")).collect();
    let int = |i: usize| i32::try_from(fields[i]).expect("an int");
    Stat {
        czxid: fields[0],
        mzxid: fields[1],
        ctime: fields[2],
        mtime: fields[3],
        version: int(4),
        cversion: int(5),
        aversion: int(6),
        ephemeral_owner: fields[7],
        data_length: int(8),
        num_children: int(9),
        pzxid: fields[10],
    }
}

fn text(s: &'static str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(s))
}

fn open_acl() -> Option<Vec<Acl<'static>>> {
    Some(vec![Acl::open_unsafe()])
}

/// The whole of NAME.hex is `expected`, both ways.
fn check<T: Decode<'static> + Encode + PartialEq + Debug>(name: &str, expected: T) {
    let bytes = captured(name);
    let mut r = Reader::new(bytes);
    assert_eq!(T::decode(&mut r).as_ref(), Ok(&expected), "{name}");
    assert_eq!(r.remaining(), b"", "unread in {name}");
    assert_eq!(expected.to_bytes(), bytes, "{name} encoded");
}

/// A request's header names `op`; behind it stands `expected`.
fn check_request<T: Decode<'static> + Encode + PartialEq + Debug>(
    name: &str,
    op: i32,
    expected: T,
) {
    let bytes = captured(name);
    let mut r = Reader::new(bytes);
    let header = RequestHeader::decode(&mut r).expect("a header");
    assert_eq!(header.op, op, "{name}");
    check_body(name, bytes, &header, r, expected);
}

/// A reply's header has `err`; behind it stands `expected`.
fn check_reply<T: Decode<'static> + Encode + PartialEq + Debug>(
    name: &str,
    err: i32,
    expected: T,
) -> ReplyHeader {
    let bytes = captured(name);
    let mut r = Reader::new(bytes);
    let header = ReplyHeader::decode(&mut r).expect("a header");
    assert_eq!(header.err, err, "{name}");
    check_body(name, bytes, &header, r, expected);
    header
}

fn check_body<T: Decode<'static> + Encode + PartialEq + Debug>(
    name: &str,
    bytes: &[u8],
    header: &impl Encode,
    mut r: Reader<'static>,
    expected: T,
) {
    assert_eq!(T::decode(&mut r).as_ref(), Ok(&expected), "{name}");
    assert_eq!(r.remaining(), b"", "unread in {name}");
    let mut w = Writer::new();
    header.encode(&mut w);
    expected.encode(&mut w);
    assert_eq!(w.as_slice(), bytes, "{name} encoded");
}

/// The body of requests and replies that are a header and nothing else.
#[derive(Debug, PartialEq)]
struct Nothing;

impl Encode for Nothing {
    fn encode(&self, _: &mut Writer) {}
}

impl Decode<'_> for Nothing {
    const MIN_LEN: usize = 0;

    fn decode(_: &mut Reader<'_>) -> Result<Self, jute::DecodeError> {
        Ok(Nothing)
    }
}

#[test]
fn every_captured_record_is_checked() {
    let sources = [
        include_str!("golden/disk.rs"),
        include_str!("golden/quorum.rs"),
        include_str!("golden/replies.rs"),
        include_str!("golden/requests.rs"),
        include_str!("golden/txns.rs"),
    ];
    for name in captured::names() {
        let quoted = format!("\"{name}\"");
        assert!(sources.iter().any(|s| s.contains(&quoted)), "nobody checks {name}");
    }
}
