//! The body of a snapshot, part by part, from bytes that come in any pieces: from a file, or from
//! a leader.

use std::borrow::Cow;

use jute::disk::NODES_END_BYTES;
use jute::{Acl, Decode, DecodeError, Limits, Reader, StatPersisted};

/// A string or buffer longer than this is damage, whatever `jute.maxbuffer` says.
const LENGTH_MAX: usize = 1 << 30;

/// What a snapshot holds, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A session and its timeout, ms.
    Session { id: i64, timeout_ms: i32 },
    /// An entry of the ACL table.
    Acl { id: i64, acl: Vec<Acl<'static>> },
    /// A znode, its parent seen before; the root's path is empty.
    Node { path: Cow<'a, str>, data: Option<&'a [u8]>, acl: i64, stat: StatPersisted },
}

/// Takes a part of a snapshot, or says why it cannot be: then reading ends there.
pub type Visit<'v> = dyn FnMut(Event<'_>) -> Result<(), String> + 'v;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many bytes were a part, or a piece of one.
    Used(usize),
    /// Nothing was used: at least so many bytes are needed.
    Need(usize),
    /// So many bytes were the end, the path "/".
    End(usize),
}

/// Where in a body the reader is. Keeps no bytes, but the ACL it is reading.
#[derive(Debug)]
pub struct Parser {
    at: At,
}

#[derive(Debug)]
enum At {
    SessionCount,
    Sessions(i32),
    AclCount,
    /// So many ACLs are to come; perhaps one of them has begun.
    Acls(i32, Option<OpenAcl>),
    Nodes,
}

#[derive(Debug)]
struct OpenAcl {
    id: i64,
    left: i32,
    entries: Vec<Acl<'static>>,
}

impl Default for Parser {
    fn default() -> Self {
        Parser::new()
    }
}

impl Parser {
    /// At the first byte of a body: behind the header of a file.
    pub fn new() -> Parser {
        Parser { at: At::SessionCount }
    }

    /// Reads one part from the front of `bytes`. An error says what is wrong with them.
    pub fn step(&mut self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<Step, String> {
        let mut r = Reader::with_limits(bytes, Limits { max_length: LENGTH_MAX });
        let outcome = match &mut self.at {
            At::Nodes => return node(bytes, visit),
            At::SessionCount => match count(&mut r, "sessions")? {
                None => return Ok(Step::Need(4)),
                Some(n) => At::Sessions(n),
            },
            At::Sessions(0) => At::AclCount,
            At::Sessions(left) => {
                if bytes.len() < 12 {
                    return Ok(Step::Need(12));
                }
                let cannot = |e| format!("a session cannot be read: {e}");
                let id = r.i64().map_err(cannot)?;
                let timeout_ms = r.i32().map_err(cannot)?;
                visit(Event::Session { id, timeout_ms })?;
                At::Sessions(*left - 1)
            }
            At::AclCount => match count(&mut r, "ACLs")? {
                None => return Ok(Step::Need(4)),
                Some(n) => At::Acls(n, None),
            },
            At::Acls(0, _) => At::Nodes,
            At::Acls(left, open) => match acl(&mut r, open.take()) {
                Ok(open) if open.left == 0 => {
                    visit(Event::Acl { id: open.id, acl: open.entries })?;
                    At::Acls(*left - 1, None)
                }
                Ok(open) => At::Acls(*left, Some(open)),
                Err((kept, DecodeError::Truncated { need, have })) => {
                    *open = kept;
                    return Ok(Step::Need(bytes.len() + need.saturating_sub(have).max(1)));
                }
                Err((_, e)) => return Err(format!("an ACL cannot be read: {e}")),
            },
        };
        self.at = outcome;
        Ok(Step::Used(bytes.len() - r.remaining().len()))
    }

    /// What the bytes end inside of, if they end here.
    pub fn place(&self) -> &'static str {
        match self.at {
            At::SessionCount | At::Sessions(_) => "a session",
            At::AclCount | At::Acls(..) => "an ACL",
            At::Nodes => "a znode",
        }
    }
}

/// `None`: not there yet.
fn count(r: &mut Reader<'_>, what: &str) -> Result<Option<i32>, String> {
    match r.i32() {
        Ok(n) if n < 0 => Err(format!("{n} {what}")),
        Ok(n) => Ok(Some(n)),
        Err(_) => Ok(None),
    }
}

/// The head of an ACL, or its next entry. An error gives back what was open.
fn acl(
    r: &mut Reader<'_>,
    open: Option<OpenAcl>,
) -> Result<OpenAcl, (Option<OpenAcl>, DecodeError)> {
    let Some(mut open) = open else {
        let head = r.i64().and_then(|id| Ok((id, r.i32()?)));
        let (id, left) = head.map_err(|e| (None, e))?;
        // A null list, or one that counts below it, is an empty one to Apache.
        return Ok(OpenAcl { id, left: left.max(0), entries: Vec::new() });
    };
    match Acl::decode(r) {
        Ok(entry) => {
            open.entries.push(entry.into_owned());
            open.left -= 1;
            Ok(open)
        }
        Err(e) => Err((Some(open), e)),
    }
}

fn node(bytes: &[u8], visit: &mut Visit<'_>) -> Result<Step, String> {
    let Some(path_len) = peek_len(bytes, 0, "a path")? else { return Ok(Step::Need(4)) };
    if bytes.starts_with(&NODES_END_BYTES) {
        return Ok(Step::End(NODES_END_BYTES.len()));
    }
    let data_at = 4 + path_len;
    let Some(data_len) = peek_len(bytes, data_at, "a znode's data")? else {
        return Ok(Step::Need(if path_len == 1 && bytes.len() < 5 { 5 } else { data_at + 4 }));
    };
    let len = data_at + 4 + data_len + 8 + StatPersisted::MIN_LEN;
    let Some(bytes) = bytes.get(..len) else { return Ok(Step::Need(len)) };
    let mut r = Reader::with_limits(bytes, Limits { max_length: LENGTH_MAX });
    let failure = |e: DecodeError| format!("a znode cannot be read: {e}");
    let path = r.string().map_err(failure)?.ok_or("a znode without a path")?;
    let data = r.buffer().map_err(failure)?;
    let acl = r.i64().map_err(failure)?;
    let stat = StatPersisted::decode(&mut r).map_err(failure)?;
    visit(Event::Node { path, data, acl, stat })?;
    Ok(Step::Used(len))
}

/// The length field at `at`, if it is there; null counts as empty.
fn peek_len(bytes: &[u8], at: usize, what: &str) -> Result<Option<usize>, String> {
    let Some(field) = bytes.get(at..at + 4) else { return Ok(None) };
    match i32::from_be_bytes(field.try_into().expect("four bytes")) {
        -1 => Ok(Some(0)),
        len if (0..LENGTH_MAX as i32).contains(&len) => Ok(Some(len as usize)),
        len => Err(format!("{what} of length {len}")),
    }
}
