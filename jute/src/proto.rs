//! The client protocol (Apache's `org.apache.zookeeper.proto`): what comes in a frame.

use std::borrow::Cow;

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::data::{Acl, Stat};

record! {
    /// In front of every request but the handshake: 8 bytes.
    #[derive(Copy)]
    RequestHeader { xid: i32, op: i32, }
}

record! {
    /// In front of every reply but the handshake's: 16 bytes.
    #[derive(Copy)]
    ReplyHeader { xid: i32, zxid: i64, err: i32, }
}

/// The first frame of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Sent 0 and ignored.
    pub protocol_version: i32,
    pub last_zxid_seen: i64,
    /// Wanted session timeout, ms; any value, the server clamps.
    pub timeout_ms: i32,
    /// 0 asks for a new session.
    pub session_id: i64,
    pub password: Option<&'a [u8]>,
    /// Absent from clients before 3.4 and from the Go client.
    pub read_only: Option<bool>,
}

impl Encode for ConnectRequest<'_> {
    fn encode(&self, w: &mut Writer) {
        w.i32(self.protocol_version);
        w.i64(self.last_zxid_seen);
        w.i32(self.timeout_ms);
        w.i64(self.session_id);
        w.buffer(self.password);
        if let Some(read_only) = self.read_only {
            w.bool(read_only);
        }
    }
}

impl<'a> Decode<'a> for ConnectRequest<'a> {
    const MIN_LEN: usize = 28;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(ConnectRequest {
            protocol_version: r.i32()?,
            last_zxid_seen: r.i64()?,
            timeout_ms: r.i32()?,
            session_id: r.i64()?,
            password: r.buffer()?,
            read_only: if r.remaining().is_empty() { None } else { Some(r.bool()?) },
        })
    }
}

/// The handshake's answer. All zero refuses the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse<'a> {
    pub protocol_version: i32,
    /// Granted session timeout, ms; 0 refuses.
    pub timeout_ms: i32,
    pub session_id: i64,
    /// Always 16 bytes: the C client reads a fixed struct.
    pub password: Option<&'a [u8]>,
    /// Present exactly when the request had it.
    pub read_only: Option<bool>,
}

impl Encode for ConnectResponse<'_> {
    fn encode(&self, w: &mut Writer) {
        w.i32(self.protocol_version);
        w.i32(self.timeout_ms);
        w.i64(self.session_id);
        w.buffer(self.password);
        if let Some(read_only) = self.read_only {
            w.bool(read_only);
        }
    }
}

impl<'a> Decode<'a> for ConnectResponse<'a> {
    const MIN_LEN: usize = 20;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(ConnectResponse {
            protocol_version: r.i32()?,
            timeout_ms: r.i32()?,
            session_id: r.i64()?,
            password: r.buffer()?,
            read_only: if r.remaining().is_empty() { None } else { Some(r.bool()?) },
        })
    }
}

record! {
    /// create, create2, createContainer.
    CreateRequest<'a> {
        path: Option<Cow<'a, str>>,
        data: Option<&'a [u8]>,
        acl: Option<Vec<Acl<'a>>>,
        flags: i32,
    }
}

record! {
    /// createTTL.
    CreateTtlRequest<'a> {
        path: Option<Cow<'a, str>>,
        data: Option<&'a [u8]>,
        acl: Option<Vec<Acl<'a>>>,
        flags: i32,
        /// Life without children, ms.
        ttl_ms: i64,
    }
}

record! {
    /// The answer to create (and the first part of the others' answers).
    CreateResponse<'a> { path: Option<Cow<'a, str>>, }
}

record! {
    /// The answer to create2, createContainer and createTTL.
    Create2Response<'a> { path: Option<Cow<'a, str>>, stat: Stat, }
}

record! {
    /// delete.
    DeleteRequest<'a> { path: Option<Cow<'a, str>>, version: i32, }
}

record! {
    /// deleteContainer: the path's bytes as a buffer.
    DeleteContainerRequest<'a> { path: Option<&'a [u8]>, }
}

record! {
    /// exists, getData, getChildren, getChildren2: a path and whether to watch it.
    PathWatchRequest<'a> { path: Option<Cow<'a, str>>, watch: bool, }
}

record! {
    /// The answer to exists, setData and setACL.
    StatResponse { stat: Stat, }
}

record! {
    /// The answer to getData.
    GetDataResponse<'a> { data: Option<&'a [u8]>, stat: Stat, }
}

record! {
    /// setData.
    SetDataRequest<'a> { path: Option<Cow<'a, str>>, data: Option<&'a [u8]>, version: i32, }
}

record! {
    /// getACL, sync, getEphemerals, getAllChildrenNumber: a path alone. Also sync's answer.
    PathRequest<'a> { path: Option<Cow<'a, str>>, }
}

record! {
    /// The answer to getACL.
    GetAclResponse<'a> { acl: Option<Vec<Acl<'a>>>, stat: Stat, }
}

record! {
    /// setACL.
    SetAclRequest<'a> { path: Option<Cow<'a, str>>, acl: Option<Vec<Acl<'a>>>, version: i32, }
}

record! {
    /// The answer to getChildren and getEphemerals.
    NamesResponse<'a> { names: Option<Vec<Cow<'a, str>>>, }
}

record! {
    /// The answer to getChildren2.
    GetChildren2Response<'a> { children: Option<Vec<Cow<'a, str>>>, stat: Stat, }
}

record! {
    /// check, inside multi.
    CheckVersionRequest<'a> { path: Option<Cow<'a, str>>, version: i32, }
}

record! {
    /// reconfig.
    ReconfigRequest<'a> {
        joining_servers: Option<Cow<'a, str>>,
        leaving_servers: Option<Cow<'a, str>>,
        new_members: Option<Cow<'a, str>>,
        /// Version the change is based on; -1 for any.
        cur_config_id: i64,
    }
}

record! {
    /// The answer to getAllChildrenNumber.
    GetAllChildrenNumberResponse { total: i32, }
}

record! {
    /// auth: an identity for this connection.
    AuthPacket<'a> {
        /// Ignored.
        kind: i32,
        scheme: Option<Cow<'a, str>>,
        auth: Option<&'a [u8]>,
    }
}

record! {
    /// setWatches: what a client wants to go on watching after a reconnect.
    SetWatches<'a> {
        /// The last zxid the client saw.
        relative_zxid: i64,
        data: Option<Vec<Option<Cow<'a, str>>>>,
        exist: Option<Vec<Option<Cow<'a, str>>>>,
        child: Option<Vec<Option<Cow<'a, str>>>>,
    }
}

record! {
    /// setWatches2: with persistent watches.
    SetWatches2<'a> {
        relative_zxid: i64,
        data: Option<Vec<Option<Cow<'a, str>>>>,
        exist: Option<Vec<Option<Cow<'a, str>>>>,
        child: Option<Vec<Option<Cow<'a, str>>>>,
        persistent: Option<Vec<Option<Cow<'a, str>>>>,
        persistent_recursive: Option<Vec<Option<Cow<'a, str>>>>,
    }
}

record! {
    /// addWatch.
    AddWatchRequest<'a> {
        path: Option<Cow<'a, str>>,
        /// 0 persistent, 1 persistent-recursive.
        mode: i32,
    }
}

record! {
    /// checkWatches and removeWatches.
    WatcherTypeRequest<'a> {
        path: Option<Cow<'a, str>>,
        /// 1 children, 2 data, 3 any, 4 persistent, 5 persistent-recursive.
        kind: i32,
    }
}

record! {
    /// An error number as a body: addWatch's answer, failed operations of a multi.
    #[derive(Copy)]
    ErrorResponse { err: i32, }
}

record! {
    /// A notification's body.
    WatcherEvent<'a> {
        kind: i32,
        /// Always 3, SyncConnected.
        state: i32,
        path: Option<Cow<'a, str>>,
    }
}

record! {
    /// sasl, both ways.
    SaslToken<'a> { token: Option<&'a [u8]>, }
}

record! {
    /// One identity in the answer to whoAmI.
    ClientInfo<'a> { auth_scheme: Option<Cow<'a, str>>, user: Option<Cow<'a, str>>, }
}

record! {
    /// The answer to whoAmI.
    WhoAmIResponse<'a> { client_info: Option<Vec<ClientInfo<'a>>>, }
}
