//! Replies of the right size, made once: only the xid is filled in.

use jute::proto::ReplyHeader;
use jute::{Encode, OpCode, Writer};

/// Encoded length of a Stat.
const STAT_LEN: usize = 68;
/// The answer to a create repeats its path; the load's are about this long.
const PATH_LEN: usize = 32;
/// A multi of the load has so many setData, if it is not told otherwise.
const MULTI_OPS: usize = 10;
/// In front of each result of a multi, and at its end.
const MULTI_HEAD_LEN: usize = 9;
/// Where the xid stands in a reply, behind its length.
const XID_AT: usize = 4;

/// One template for each operation that the load asks for.
pub struct Replies {
    get: Vec<u8>,
    stat: Vec<u8>,
    path: Vec<u8>,
    names: Vec<u8>,
    multi: Vec<u8>,
    empty: Vec<u8>,
}

impl Replies {
    /// Replies with `size` bytes of data and `children` names.
    pub fn new(size: usize, children: usize) -> Replies {
        let buffer = |len: usize| [&(len as i32).to_be_bytes()[..], &vec![b'x'; len]].concat();
        let mut names = (children as i32).to_be_bytes().to_vec();
        for n in 0..children {
            let name = format!("k{n:012}");
            names.extend_from_slice(&(name.len() as i32).to_be_bytes());
            names.extend_from_slice(name.as_bytes());
        }
        Replies {
            get: reply(&[buffer(size), vec![0; STAT_LEN]].concat()),
            stat: reply(&[0; STAT_LEN]),
            path: reply(&buffer(PATH_LEN)),
            names: reply(&names),
            multi: reply(&[0; MULTI_OPS * (MULTI_HEAD_LEN + STAT_LEN) + MULTI_HEAD_LEN]),
            empty: reply(&[]),
        }
    }

    /// Appends the reply to a request of type `op`.
    pub fn write(&self, op: i32, xid: i32, out: &mut Vec<u8>) {
        let template = match OpCode::from_code(op) {
            Some(OpCode::GetData) => &self.get,
            Some(OpCode::Exists | OpCode::SetData) => &self.stat,
            Some(OpCode::Multi) => &self.multi,
            Some(OpCode::Create) => &self.path,
            Some(OpCode::GetChildren) => &self.names,
            _ => &self.empty,
        };
        let start = out.len();
        out.extend_from_slice(template);
        out[start + XID_AT..start + XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
    }
}

fn reply(body: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    let frame = w.begin_frame();
    ReplyHeader { xid: 0, zxid: 1, err: 0 }.encode(&mut w);
    w.end_frame(frame);
    let mut bytes = w.into_vec();
    bytes.extend_from_slice(body);
    let len = (bytes.len() - 4) as i32;
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use jute::proto::NamesResponse;
    use jute::Decode;

    #[test]
    fn a_reply_has_the_length_it_says_and_the_xid_it_was_asked_with() {
        let replies = Replies::new(100, 3);
        for (op, len) in [(4, 16 + 4 + 100 + 68), (3, 16 + 68), (5, 16 + 68), (2, 16)] {
            let mut out = b"before".to_vec();
            replies.write(op, 77, &mut out);
            let bytes = &out[6..];
            assert_eq!(i32::from_be_bytes(bytes[..4].try_into().expect("four")), len);
            assert_eq!(bytes.len() as i32, len + 4);
            let header = ReplyHeader::from_bytes(&bytes[4..]).expect("a header");
            assert_eq!((header.xid, header.err), (77, 0));
        }
    }

    #[test]
    fn a_list_of_children_can_be_read() {
        let mut out = Vec::new();
        Replies::new(0, 3).write(OpCode::GetChildren.code(), 1, &mut out);
        let names = NamesResponse::from_bytes(&out[4 + ReplyHeader::MIN_LEN..]).expect("names");
        assert_eq!(names.names.expect("a list").len(), 3);
    }
}
