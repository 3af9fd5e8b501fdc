//! Builds the nodes that a load needs and takes them away: a plain blocking client.

use std::borrow::Cow;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use jute::data::Acl;
use jute::proto::{
    ConnectRequest, ConnectResponse, CreateRequest, DeleteRequest, NamesResponse, PathWatchRequest,
    ReplyHeader, RequestHeader,
};
use jute::{Decode, Encode, ErrorCode, OpCode, Writer};

use super::BenchError;

/// Requests in flight while building.
const DEPTH: usize = 256;
/// Longest reply that is taken: the list of some millions of children.
const REPLY_LEN_MAX: usize = 256 << 20;
/// Nobody answers for so long: give up.
const PATIENCE: Duration = Duration::from_secs(60);
const SESSION_TIMEOUT_MS: i32 = 40_000;

/// A session that is used by one thread, with replies in order.
pub struct TreeClient {
    addr: SocketAddr,
    input: BufReader<TcpStream>,
    output: BufWriter<TcpStream>,
    sent_xid: i32,
    received_xid: i32,
    frame: Vec<u8>,
}

impl TreeClient {
    /// Opens a session.
    pub fn open(addr: SocketAddr) -> Result<TreeClient, BenchError> {
        let connect = |source| BenchError::Connect { addr, source };
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(connect)?;
        let output = BufWriter::new(stream.try_clone().map_err(connect)?);
        let input = BufReader::new(stream);
        let frame = Vec::new();
        let mut client = TreeClient { addr, input, output, sent_xid: 0, received_xid: 0, frame };
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: SESSION_TIMEOUT_MS,
            session_id: 0,
            password: Some(&[0; 16]),
            read_only: Some(false),
        };
        client.send(|w| request.encode(w))?;
        client.receive()?;
        match ConnectResponse::from_bytes(&client.frame) {
            Ok(response) if response.timeout_ms > 0 => Ok(client),
            _ => Err(client.nonsense("a refusal of a new session")),
        }
    }

    /// Creates all of `paths` with `data`; whatever is there already stays as it is.
    pub fn create_all(
        &mut self,
        paths: impl Iterator<Item = String>,
        data: &[u8],
    ) -> Result<(), BenchError> {
        let fine = ErrorCode::NodeExists;
        self.pipeline(OpCode::Create, paths, fine, |path, w| create(path, data).encode(w))
    }

    /// Creates one empty node; tells whether it was not there before.
    pub fn create(&mut self, path: &str) -> Result<bool, BenchError> {
        self.send_request(OpCode::Create, |w| create(path, b"").encode(w))?;
        match self.receive_reply()? {
            0 => Ok(true),
            err if err == ErrorCode::NodeExists.code() => Ok(false),
            err => Err(self.refused(OpCode::Create, err)),
        }
    }

    /// Deletes all children of `path`, which must have none themselves. No such node is fine.
    pub fn delete_children(&mut self, path: &str) -> Result<(), BenchError> {
        let children = self.children(path)?;
        self.delete_all(children.into_iter())
    }

    /// Deletes nodes without children. Not being there is fine.
    pub fn delete_all(&mut self, paths: impl Iterator<Item = String>) -> Result<(), BenchError> {
        self.pipeline(OpCode::Delete, paths, ErrorCode::NoNode, |path, w| {
            DeleteRequest { path: Some(Cow::Borrowed(path)), version: -1 }.encode(w);
        })
    }

    /// Ends the session.
    pub fn close(mut self) -> Result<(), BenchError> {
        self.send_request(OpCode::CloseSession, |_| {})?;
        self.receive_reply().map(|_| ())
    }

    fn children(&mut self, path: &str) -> Result<Vec<String>, BenchError> {
        let request = PathWatchRequest { path: Some(Cow::Borrowed(path)), watch: false };
        self.send_request(OpCode::GetChildren, |w| request.encode(w))?;
        match self.receive_reply()? {
            0 => {}
            err if err == ErrorCode::NoNode.code() => return Ok(Vec::new()),
            err => return Err(self.refused(OpCode::GetChildren, err)),
        }
        let names = NamesResponse::from_bytes(&self.frame[ReplyHeader::MIN_LEN..])
            .map_err(|_| self.nonsense("a list of children that ends too early"))?
            .names
            .unwrap_or_default();
        Ok(names.iter().map(|name| format!("{path}/{name}")).collect())
    }

    /// The same request for each path, many in flight.
    fn pipeline(
        &mut self,
        op: OpCode,
        mut paths: impl Iterator<Item = String>,
        also_fine: ErrorCode,
        encode: impl Fn(&str, &mut Writer),
    ) -> Result<(), BenchError> {
        let mut in_flight = 0;
        loop {
            while in_flight < DEPTH {
                let Some(path) = paths.next() else { break };
                self.send_request(op, |w| encode(&path, w))?;
                in_flight += 1;
            }
            if in_flight == 0 {
                return Ok(());
            }
            // Half of them at a time: requests and replies then travel in large pieces.
            for _ in 0..in_flight.min(DEPTH / 2) {
                let err = self.receive_reply()?;
                if err != 0 && err != also_fine.code() {
                    return Err(self.refused(op, err));
                }
                in_flight -= 1;
            }
        }
    }

    fn send_request(
        &mut self,
        op: OpCode,
        body: impl FnOnce(&mut Writer),
    ) -> Result<(), BenchError> {
        self.sent_xid += 1;
        let header = RequestHeader { xid: self.sent_xid, op: op.code() };
        self.send(|w| {
            header.encode(w);
            body(w);
        })
    }

    fn send(&mut self, body: impl FnOnce(&mut Writer)) -> Result<(), BenchError> {
        let mut w = Writer::from_vec(std::mem::take(&mut self.frame));
        w.clear();
        let frame = w.begin_frame();
        body(&mut w);
        w.end_frame(frame);
        self.frame = w.into_vec();
        self.output.write_all(&self.frame).map_err(|source| self.lost(source))
    }

    /// Reads a frame into `self.frame`.
    fn receive(&mut self) -> Result<(), BenchError> {
        self.output.flush().map_err(|source| self.lost(source))?;
        let mut len = [0; 4];
        self.input.read_exact(&mut len).map_err(|source| self.lost(source))?;
        let len = usize::try_from(i32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len > REPLY_LEN_MAX {
            return Err(self.nonsense("a reply of impossible length"));
        }
        self.frame.resize(len, 0);
        self.input.read_exact(&mut self.frame).map_err(|source| self.lost(source))
    }

    /// Reads the next reply and answers its error number.
    fn receive_reply(&mut self) -> Result<i32, BenchError> {
        self.receive()?;
        self.received_xid += 1;
        match ReplyHeader::from_bytes(&self.frame) {
            Ok(header) if header.xid == self.received_xid => Ok(header.err),
            _ => Err(self.nonsense("a reply to another request than the oldest one")),
        }
    }

    fn refused(&self, op: OpCode, err: i32) -> BenchError {
        BenchError::Refused { addr: self.addr, op, err }
    }

    fn lost(&self, source: std::io::Error) -> BenchError {
        BenchError::Lost { addr: self.addr, source }
    }

    fn nonsense(&self, what: &'static str) -> BenchError {
        BenchError::Nonsense { addr: self.addr, what }
    }
}

fn create<'a>(path: &'a str, data: &'a [u8]) -> CreateRequest<'a> {
    CreateRequest {
        path: Some(Cow::Borrowed(path)),
        data: Some(data),
        acl: Some(vec![Acl::open_unsafe()]),
        flags: 0,
    }
}
