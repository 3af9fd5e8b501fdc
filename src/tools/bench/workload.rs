//! What is asked: requests as byte templates in which only the xid and the names change.

use std::borrow::Cow;

use clap::ValueEnum;
use jute::data::Acl;
use jute::multi::{MultiOp, MultiRequest};
use jute::proto::{CreateRequest, DeleteRequest, PathWatchRequest, RequestHeader, SetDataRequest};
use jute::{Encode, OpCode, Writer};

/// The kinds of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// getData of random nodes.
    Get,
    /// exists on random nodes.
    Exists,
    /// setData on random nodes.
    Set,
    /// create of new nodes under one parent.
    Create,
    /// delete of nodes made beforehand: as many as --ops says, without warm-up.
    Delete,
    /// getChildren of one node with --children children.
    Children,
    /// getData and setData, --read-percent of the former.
    Mixed,
    /// 45 % getData, 45 % getChildren, 8 % setData, 1 % create, 1 % delete.
    FieldMix,
    /// multi of --multi-ops setData.
    Multi,
    /// Sessions opened and closed, each on a connection of its own.
    Session,
    /// Watches of all connections on all nodes, then a set of each node: events are counted.
    Watch,
    /// Sessions that lose their connections at the same moment and come back.
    Reconnect,
}

impl Operation {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::Exists => "exists",
            Operation::Set => "set",
            Operation::Create => "create",
            Operation::Delete => "delete",
            Operation::Children => "children",
            Operation::Mixed => "mixed",
            Operation::FieldMix => "field-mix",
            Operation::Multi => "multi",
            Operation::Session => "session",
            Operation::Watch => "watch",
            Operation::Reconnect => "reconnect",
        }
    }

    /// Whether the data nodes must be there.
    pub fn needs_nodes(self) -> bool {
        use Operation::*;
        matches!(self, Get | Exists | Set | Mixed | FieldMix | Multi | Watch)
    }

    /// Whether the directory for [`Operation::Children`] must be there.
    pub fn needs_children(self) -> bool {
        matches!(self, Operation::Children | Operation::FieldMix)
    }
}

/// Digits of a number in a name: enough for [`OWN_RANGE`] names on each connection.
const DIGITS: usize = 12;
/// Stands for the number until it is known. Not a character of our names.
const PLACEHOLDER: &str = "############";
/// Names that one connection may create; the next one's begin behind them.
const OWN_RANGE: u64 = 100_000_000;

/// A frame whose xid and numbers are filled in as it is copied out: no encoding per request.
struct Template {
    bytes: Vec<u8>,
    numbers_at: Vec<usize>,
}

impl Template {
    fn new(op: OpCode, body: &impl Encode) -> Template {
        let mut w = Writer::new();
        let frame = w.begin_frame();
        RequestHeader { xid: 0, op: op.code() }.encode(&mut w);
        body.encode(&mut w);
        w.end_frame(frame);
        let bytes = w.into_vec();
        let numbers_at = (0..bytes.len())
            .filter(|at| bytes[*at..].starts_with(PLACEHOLDER.as_bytes()))
            .collect();
        Template { bytes, numbers_at }
    }

    /// Appends the frame; `number` is asked once for each place.
    fn write(&self, out: &mut Vec<u8>, xid: i32, mut number: impl FnMut() -> u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let frame = &mut out[start..];
        frame[4..8].copy_from_slice(&xid.to_be_bytes());
        for at in &self.numbers_at {
            write_digits(&mut frame[*at..*at + DIGITS], number());
        }
    }
}

fn write_digits(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Where the load lives in the tree.
#[derive(Debug, Clone)]
pub struct Places {
    /// Parent of everything.
    pub root: String,
    /// Whether what connections create lies beside the data nodes.
    pub crowd: bool,
}

impl Places {
    /// Data node `number`.
    pub fn node(&self, number: u64) -> String {
        format!("{}/n{number:0DIGITS$}", self.root)
    }

    /// The directory that is listed.
    pub fn directory(&self) -> String {
        format!("{}/d", self.root)
    }

    /// Child `number` of that directory.
    pub fn child(&self, number: u64) -> String {
        format!("{}/d/k{number:0DIGITS$}", self.root)
    }

    /// The parent of what connections create.
    pub fn nursery(&self) -> String {
        if self.crowd {
            return self.root.clone();
        }
        format!("{}/c", self.root)
    }

    /// The `number`-th node that connection `connection` creates.
    pub fn own(&self, connection: usize, number: u64) -> String {
        format!("{}/c{:0DIGITS$}", self.nursery(), own_base(connection) + number)
    }
}

/// The number of the data node whose path these bytes end with.
pub fn node_number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.last_chunk::<DIGITS>()?;
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

fn own_base(connection: usize) -> u64 {
    connection as u64 * OWN_RANGE
}

/// The shape of the load, the same on all connections.
#[derive(Debug, Clone)]
pub struct Shape {
    /// What is asked.
    pub operation: Operation,
    /// Where.
    pub places: Places,
    /// How many data nodes there are.
    pub nodes: u64,
    /// Bytes of data in each write.
    pub data_len: usize,
    /// Share of reads in [`Operation::Mixed`].
    pub read_percent: u8,
    /// Operations in each multi.
    pub multi_ops: usize,
    /// Nodes that were created for each connection to delete.
    pub deletable: u64,
    /// Seed of the choice of nodes.
    pub seed: u64,
}

/// Whether an operation is a transaction: the two are timed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

/// The endless list of requests of one connection. Writing one allocates nothing once the output
/// buffer has grown to its size.
pub struct Workload {
    operation: Operation,
    get: Template,
    exists: Template,
    set: Template,
    create: Template,
    delete: Template,
    children: Template,
    multi: Template,
    nodes: u64,
    read_percent: u64,
    own_base: u64,
    created: u64,
    deleted: u64,
    /// The next node of [`Operation::Watch`], and whether it is set or watched.
    turn: u64,
    sets: bool,
    watch: Template,
    random: Random,
}

impl Workload {
    /// The requests of connection number `connection`.
    pub fn new(shape: &Shape, connection: usize) -> Workload {
        let node = format!("{}/n{PLACEHOLDER}", shape.places.root);
        let own = format!("{}/c{PLACEHOLDER}", shape.places.nursery());
        let node = || Some(Cow::Borrowed(node.as_str()));
        let own = || Some(Cow::Borrowed(own.as_str()));
        let data = vec![b'x'; shape.data_len];
        let read = |path| PathWatchRequest { path, watch: false };
        let watch = PathWatchRequest { path: node(), watch: true };
        let set = || SetDataRequest { path: node(), data: Some(&data), version: -1 };
        let multi =
            MultiRequest { ops: (0..shape.multi_ops).map(|_| MultiOp::SetData(set())).collect() };
        let create = CreateRequest {
            path: own(),
            data: Some(&data),
            acl: Some(vec![Acl::open_unsafe()]),
            flags: 0,
        };
        let directory = Some(Cow::Owned(shape.places.directory()));
        Workload {
            operation: shape.operation,
            get: Template::new(OpCode::GetData, &read(node())),
            exists: Template::new(OpCode::Exists, &read(node())),
            set: Template::new(OpCode::SetData, &set()),
            create: Template::new(OpCode::Create, &create),
            delete: Template::new(OpCode::Delete, &DeleteRequest { path: own(), version: -1 }),
            children: Template::new(OpCode::GetChildren, &read(directory)),
            multi: Template::new(OpCode::Multi, &multi),
            nodes: shape.nodes.max(1),
            read_percent: u64::from(shape.read_percent),
            own_base: own_base(connection),
            created: shape.deletable,
            deleted: 0,
            turn: 0,
            sets: false,
            watch: Template::new(OpCode::GetData, &watch),
            random: Random::new(shape.seed.wrapping_add(connection as u64)),
        }
    }

    /// A set of each node in turn, for the connection that fires the watches of the others.
    pub fn setting_in_turn(shape: &Shape) -> Workload {
        Workload { sets: true, ..Workload::new(shape, 0) }
    }

    /// Appends the next request; `None` when there is nothing left to delete.
    pub fn write_next(&mut self, xid: i32, out: &mut Vec<u8>) -> Option<Kind> {
        match self.operation {
            Operation::Get => Some(self.write_get(xid, out)),
            Operation::Exists => {
                self.exists.write(out, xid, || self.random.below(self.nodes));
                Some(Kind::Read)
            }
            Operation::Set => Some(self.write_set(xid, out)),
            Operation::Create => self.write_create(xid, out),
            Operation::Delete => self.write_delete(xid, out),
            Operation::Children => Some(self.write_children(xid, out)),
            Operation::Mixed => Some(if self.random.below(100) < self.read_percent {
                self.write_get(xid, out)
            } else {
                self.write_set(xid, out)
            }),
            Operation::FieldMix => match self.random.below(100) {
                0..45 => Some(self.write_get(xid, out)),
                45..90 => Some(self.write_children(xid, out)),
                90..98 => Some(self.write_set(xid, out)),
                98 => self.write_create(xid, out),
                // What this connection has created is there before its delete is looked at.
                _ => self.write_delete(xid, out).or_else(|| self.write_create(xid, out)),
            },
            Operation::Multi => {
                self.multi.write(out, xid, || self.random.below(self.nodes));
                Some(Kind::Write)
            }
            Operation::Watch => Some(self.write_in_turn(xid, out)),
            Operation::Session | Operation::Reconnect => {
                unreachable!("sessions are driven by their own loops")
            }
        }
    }

    fn write_get(&mut self, xid: i32, out: &mut Vec<u8>) -> Kind {
        self.get.write(out, xid, || self.random.below(self.nodes));
        Kind::Read
    }

    fn write_in_turn(&mut self, xid: i32, out: &mut Vec<u8>) -> Kind {
        let number = self.turn % self.nodes;
        self.turn += 1;
        let (template, kind) =
            if self.sets { (&self.set, Kind::Write) } else { (&self.watch, Kind::Read) };
        template.write(out, xid, || number);
        kind
    }

    fn write_children(&mut self, xid: i32, out: &mut Vec<u8>) -> Kind {
        self.children.write(out, xid, || 0);
        Kind::Read
    }

    fn write_set(&mut self, xid: i32, out: &mut Vec<u8>) -> Kind {
        self.set.write(out, xid, || self.random.below(self.nodes));
        Kind::Write
    }

    fn write_create(&mut self, xid: i32, out: &mut Vec<u8>) -> Option<Kind> {
        if self.created == OWN_RANGE {
            return None;
        }
        self.create.write(out, xid, || self.own_base + self.created);
        self.created += 1;
        Some(Kind::Write)
    }

    fn write_delete(&mut self, xid: i32, out: &mut Vec<u8>) -> Option<Kind> {
        if self.deleted == self.created {
            return None;
        }
        self.delete.write(out, xid, || self.own_base + self.deleted);
        self.deleted += 1;
        Some(Kind::Write)
    }
}

/// Marsaglia's xorshift64*: which node is next need not be secret.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        (high * n) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jute::{Decode, Reader};

    fn shape(operation: Operation) -> Shape {
        Shape {
            operation,
            places: Places { root: "/b".into(), crowd: false },
            nodes: 50,
            data_len: 100,
            read_percent: 90,
            multi_ops: 10,
            deletable: 0,
            seed: 7,
        }
    }

    /// Frames that the workload wrote, without their lengths.
    fn frames(mut workload: Workload, count: i32) -> Vec<Vec<u8>> {
        (0..count)
            .map_while(|xid| {
                let mut out = Vec::new();
                workload.write_next(xid, &mut out)?;
                let len = i32::from_be_bytes(out[..4].try_into().expect("four bytes"));
                assert_eq!(len as usize, out.len() - 4);
                Some(out.split_off(4))
            })
            .collect()
    }

    #[test]
    fn a_template_is_a_request_with_its_xid_and_a_node_that_is_there() {
        for (xid, frame) in frames(Workload::new(&shape(Operation::Get), 3), 200).iter().enumerate()
        {
            let mut r = Reader::new(frame);
            let header = RequestHeader::decode(&mut r).expect("header");
            assert_eq!(header, RequestHeader { xid: xid as i32, op: 4 });
            let path = PathWatchRequest::decode(&mut r).expect("body").path.expect("path");
            let number: u64 = path.strip_prefix("/b/n").expect("prefix").parse().expect("digits");
            assert!(number < 50);
            assert_eq!(path, shape(Operation::Get).places.node(number));
        }
    }

    #[test]
    fn watches_and_sets_go_through_all_nodes_in_turn() {
        let watching = frames(Workload::new(&shape(Operation::Watch), 3), 100);
        let setting = frames(Workload::setting_in_turn(&shape(Operation::Watch)), 100);
        for (n, (watch, set)) in watching.iter().zip(&setting).enumerate() {
            let watch = PathWatchRequest::from_bytes(&watch[8..]).expect("a getData");
            let set = SetDataRequest::from_bytes(&set[8..]).expect("a setData");
            assert!(watch.watch);
            let path = watch.path.expect("path");
            assert_eq!(node_number(path.as_bytes()), Some(n as u64 % 50));
            assert_eq!(set.path.expect("path"), path);
        }
        assert_eq!((node_number(b"/b/c"), node_number(b"/b/not/a/number")), (None, None));
    }

    #[test]
    fn each_operation_of_a_multi_has_its_own_node() {
        let frames = frames(Workload::new(&shape(Operation::Multi), 0), 1);
        let multi = MultiRequest::from_bytes(&frames[0][8..]).expect("multi");
        let mut paths: Vec<_> = multi
            .ops
            .iter()
            .map(|op| match op {
                MultiOp::SetData(set) => set.path.clone().expect("path"),
                other => panic!("not a set: {other:?}"),
            })
            .collect();
        assert_eq!(paths.len(), 10);
        paths.dedup();
        assert!(paths.len() > 1);
    }

    #[test]
    fn deletes_end_with_the_nodes_made_for_them_and_meet_each_once() {
        let shape = Shape { deletable: 5, ..shape(Operation::Delete) };
        let frames = frames(Workload::new(&shape, 2), 100);
        let paths: Vec<_> = frames
            .iter()
            .map(|f| DeleteRequest::from_bytes(&f[8..]).expect("delete").path.expect("path"))
            .collect();
        let own: Vec<_> = (0..5).map(|n| shape.places.own(2, n)).collect();
        assert_eq!(paths, own);
    }

    #[test]
    fn the_field_mix_deletes_only_what_it_created() {
        let frames = frames(Workload::new(&shape(Operation::FieldMix), 0), 5_000);
        let (mut created, mut deleted, mut lists) = (0, 0, 0);
        for frame in &frames {
            match RequestHeader::from_bytes(frame).expect("header").op {
                1 => created += 1,
                2 => deleted += 1,
                8 => lists += 1,
                _ => {}
            }
            assert!(deleted <= created);
        }
        assert!(created > 20 && deleted > 10 && lists > 2_000);
    }
}
