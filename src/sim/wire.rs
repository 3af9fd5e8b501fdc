//! Connections: for each direction bytes in order, with latency, cut anywhere; lost with all that
//! is on its way; dammed up while the way is cut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{Rng, Shape};
use crate::zab::LinkId;

/// Who holds an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A member's quorum port. The number is that of its process.
    Member { node: usize, life: u64, link: LinkId },
    /// A member's client port.
    Served { node: usize, life: u64 },
    /// A client.
    Client { client: usize },
}

/// What is dialled at the far end, or near end, of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Election,
    Quorum,
    Client,
}

/// A way that is cut, from place to place, for the connections of one port.
pub type Cut = (Port, usize, usize);

/// What travels.
#[derive(Debug)]
pub enum Piece {
    Bytes(Bytes),
    /// The end of it.
    Fin,
}

impl Piece {
    /// Bytes.
    fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Fin => 0,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    pub ends: [End; 2],
    /// To each end.
    pub queues: [VecDeque<Piece>; 2],
    /// Bytes on their way to each end, or lost on it.
    under_way: [usize; 2],
    /// When the last piece on its way to each end arrives.
    pub arrives_ns: [u64; 2],
    /// Who still believes in it.
    pub open: [bool; 2],
    pub broken: bool,
}

impl Stream {
    /// Where it was dialled.
    pub fn port(&self) -> Port {
        match self.ends[0] {
            End::Member { .. } => Port::Quorum,
            End::Served { .. } | End::Client { .. } => Port::Client,
        }
    }
}

/// Members are the first places, then come clients.
fn place_of(members: usize, end: End) -> usize {
    match end {
        End::Member { node, .. } | End::Served { node, .. } => node,
        End::Client { client } => members + client,
    }
}

/// All connections.
pub struct Wire {
    pub streams: BTreeMap<u64, Stream>,
    /// Ways that are cut, from place to place.
    pub cuts: BTreeSet<Cut>,
    /// Ways that take a byte in so many ns, until then.
    pub clogs: BTreeMap<(usize, usize), (u64, u64)>,
    members: usize,
    last: u64,
    pub rng: Rng,
    socket_bytes: usize,
    latency_us: u64,
    late_one_in: usize,
    late_ms: u64,
}

impl Wire {
    pub fn new(seed: u64, shape: &Shape) -> Wire {
        Wire {
            streams: BTreeMap::new(),
            cuts: BTreeSet::new(),
            clogs: BTreeMap::new(),
            members: shape.voters + shape.observers,
            last: 0,
            rng: Rng::new(seed ^ 0x5749_5245),
            socket_bytes: shape.socket_bytes,
            latency_us: shape.latency_us,
            late_one_in: shape.late_one_in,
            late_ms: shape.late_ms,
        }
    }

    /// How long something is on its way, ns.
    pub fn latency_ns(&mut self) -> u64 {
        let usual = self.latency_us + self.rng.below(self.latency_us as usize + 1) as u64;
        let late = self.late_one_in > 0 && self.rng.one_in(self.late_one_in);
        let late_ms = if late { self.rng.below(self.late_ms as usize + 1) as u64 } else { 0 };
        usual * 1_000 + late_ms * 1_000_000
    }

    /// No message is late any more.
    pub fn be_punctual(&mut self) {
        self.late_one_in = 0;
    }

    pub fn place(&self, end: End) -> usize {
        place_of(self.members, end)
    }

    pub fn is_cut(&self, port: Port, from: usize, to: usize) -> bool {
        self.cuts.contains(&(port, from, to))
    }

    /// Whether one of the ways between them is cut.
    pub fn is_cut_between(&self, port: Port, one: usize, two: usize) -> bool {
        self.is_cut(port, one, two) || self.is_cut(port, two, one)
    }

    /// A new connection.
    pub fn open(&mut self, ends: [End; 2]) -> u64 {
        self.last += 1;
        let stream = Stream {
            ends,
            queues: [VecDeque::new(), VecDeque::new()],
            under_way: [0; 2],
            arrives_ns: [0; 2],
            open: [true; 2],
            broken: false,
        };
        self.streams.insert(self.last, stream);
        self.last
    }

    /// Puts something on its way from an end at `now_ns`; answers when the pieces arrive there.
    pub fn send(&mut self, id: u64, from: usize, piece: Piece, now_ns: u64) -> Vec<u64> {
        let mut pieces = vec![piece];
        if let Piece::Bytes(bytes) = &pieces[0] {
            if bytes.len() > 1 && self.rng.one_in(8) {
                let at = 1 + self.rng.below(bytes.len() - 1);
                pieces = vec![Piece::Bytes(bytes.slice(..at)), Piece::Bytes(bytes.slice(at..))];
            }
        }
        let mut arrivals = Vec::new();
        for piece in pieces {
            let latency_ns = self.latency_ns();
            let Some(stream) = self.streams.get_mut(&id) else { return arrivals };
            let to = 1 - from;
            stream.under_way[to] += piece.len();
            if stream.broken {
                return arrivals;
            }
            let place = |end| place_of(self.members, end);
            let way = (place(stream.ends[from]), place(stream.ends[to]));
            let bytes = piece.len() as u64;
            let at = stream.arrives_ns[to].max(now_ns + latency_ns);
            let at = self.clogs.get(&way).map_or(at, |(ns_per_byte, until_ns)| {
                (at + ns_per_byte * bytes).min(at.max(*until_ns))
            });
            stream.arrives_ns[to] = at;
            stream.queues[to].push_back(piece);
            arrivals.push(at);
        }
        arrivals
    }

    /// What arrives at an end now; `Err`: the way is cut.
    pub fn arrive(&mut self, id: u64, to: usize) -> Result<Option<(End, Piece)>, ()> {
        let Some(stream) = self.streams.get(&id) else { return Ok(None) };
        if stream.broken || !stream.open[to] {
            return Ok(None);
        }
        let (from_place, to_place) = (self.place(stream.ends[1 - to]), self.place(stream.ends[to]));
        if self.is_cut(stream.port(), from_place, to_place) {
            return Err(());
        }
        let stream = self.streams.get_mut(&id).expect("it was there");
        let Some(piece) = stream.queues[to].pop_front() else { return Ok(None) };
        stream.under_way[to] -= piece.len();
        Ok(Some((stream.ends[to], piece)))
    }

    /// How many bytes a connection between servers takes from an end before some have arrived.
    pub fn room(&self, id: u64, from: usize) -> usize {
        let under_way = self.streams.get(&id).map_or(0, |stream| stream.under_way[1 - from]);
        self.socket_bytes.saturating_sub(under_way)
    }

    /// Who has sent what arrives at that end.
    pub fn sender(&self, id: u64, to: usize) -> Option<End> {
        self.streams.get(&id).map(|stream| stream.ends[1 - to])
    }

    /// Who is the client of a connection.
    pub fn client_of(&self, id: u64) -> Option<usize> {
        match self.streams.get(&id)?.ends[0] {
            End::Client { client } => Some(client),
            _ => None,
        }
    }

    /// An end is done with it. The other end hears of it by a `Fin`, or when it breaks.
    pub fn leave(&mut self, id: u64, end: usize) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.open[end] = false;
            if stream.open == [false; 2] {
                self.streams.remove(&id);
            }
        }
    }
}
