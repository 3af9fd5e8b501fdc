//! Any value of any record.

use std::borrow::Cow;

use jute::data::{Acl, Id, Stat, StatPersisted};
use jute::disk::*;
use jute::multi::{MultiHeader, MultiOp, MultiRequest, MultiResponse, MultiResult};
use jute::proto::*;
use jute::quorum::*;
use jute::txn::*;
use jute::OpCode;
use proptest::collection::vec;
use proptest::prelude::*;

/// A type of which proptest can make any value.
pub trait Any: Sized {
    fn any() -> BoxedStrategy<Self>;
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Any for $number {
            fn any() -> BoxedStrategy<Self> {
                any::<$number>().boxed()
            }
        })*
    };
}

numbers! { i32 i64 u8 bool }

impl Any for String {
    fn any() -> BoxedStrategy<Self> {
        vec(any::<char>(), 0..10).prop_map(String::from_iter).boxed()
    }
}

impl Any for Cow<'static, str> {
    fn any() -> BoxedStrategy<Self> {
        String::any().prop_map(Cow::Owned).boxed()
    }
}

impl Any for &'static [u8] {
    fn any() -> BoxedStrategy<Self> {
        vec(any::<u8>(), 0..20).prop_map(|bytes| &*bytes.leak()).boxed()
    }
}

impl<T: Any + Clone + std::fmt::Debug + 'static> Any for Option<T> {
    fn any() -> BoxedStrategy<Self> {
        proptest::option::of(T::any()).boxed()
    }
}

impl<T: Any + std::fmt::Debug + 'static> Any for Vec<T> {
    fn any() -> BoxedStrategy<Self> {
        vec(T::any(), 0..4).boxed()
    }
}

/// Records of which each field may have any value.
macro_rules! records {
    ($($record:ident $(<$life:lifetime>)? { $($field:ident),* })*) => {
        $(impl Any for $record $(<$life>)? {
            fn any() -> BoxedStrategy<Self> {
                ($(as_field(Any::any(), |r: &Self| &r.$field),)*)
                    .prop_map(|($($field,)*)| $record { $($field),* })
                    .boxed()
            }
        })*
    };
}

/// Tells the compiler the type of a field by the way to it.
fn as_field<R, T>(strategy: BoxedStrategy<T>, _: fn(&R) -> &T) -> BoxedStrategy<T> {
    strategy
}

records! {
    Id<'static> { scheme, id }
    Acl<'static> { perms, id }
    Stat {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, data_length,
        num_children, pzxid
    }
    StatPersisted {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, pzxid
    }
    ConnectRequest<'static> {
        protocol_version, last_zxid_seen, timeout_ms, session_id, password, read_only
    }
    ConnectResponse<'static> { protocol_version, timeout_ms, session_id, password, read_only }
    RequestHeader { xid, op }
    ReplyHeader { xid, zxid, err }
    CreateRequest<'static> { path, data, acl, flags }
    CreateTtlRequest<'static> { path, data, acl, flags, ttl_ms }
    CreateResponse<'static> { path }
    Create2Response<'static> { path, stat }
    DeleteRequest<'static> { path, version }
    DeleteContainerRequest<'static> { path }
    PathWatchRequest<'static> { path, watch }
    StatResponse { stat }
    GetDataResponse<'static> { data, stat }
    SetDataRequest<'static> { path, data, version }
    PathRequest<'static> { path }
    GetAclResponse<'static> { acl, stat }
    SetAclRequest<'static> { path, acl, version }
    NamesResponse<'static> { names }
    GetChildren2Response<'static> { children, stat }
    CheckVersionRequest<'static> { path, version }
    ReconfigRequest<'static> { joining_servers, leaving_servers, new_members, cur_config_id }
    GetAllChildrenNumberResponse { total }
    AuthPacket<'static> { kind, scheme, auth }
    SetWatches<'static> { relative_zxid, data, exist, child }
    SetWatches2<'static> {
        relative_zxid, data, exist, child, persistent, persistent_recursive
    }
    AddWatchRequest<'static> { path, mode }
    WatcherTypeRequest<'static> { path, kind }
    ErrorResponse { err }
    WatcherEvent<'static> { kind, state, path }
    SaslToken<'static> { token }
    ClientInfo<'static> { auth_scheme, user }
    WhoAmIResponse<'static> { client_info }
    MultiHeader { op, done, err }
    MultiRequest<'static> { ops }
    MultiResponse<'static> { results }
    TxnHeader { client_id, cxid, zxid, time_ms, kind }
    CreateContainerTxn<'static> { path, data, acl, parent_cversion }
    CreateTtlTxn<'static> { path, data, acl, parent_cversion, ttl_ms }
    DeleteTxn<'static> { path }
    SetDataTxn<'static> { path, data, version }
    SetAclTxn<'static> { path, acl, version }
    CheckVersionTxn<'static> { path, version }
    FileHeader { magic, version, dbid }
    LogRecord<'static> { checksum, body, end }
    SessionEntry { id, timeout_ms }
    AclEntry<'static> { id, acl }
    SnapshotNode<'static> { path, data, acl_id, stat }
    Seal<'static> { checksum, end }
    SnapshotDigest { zxid, version, digest }
    QuorumPacket<'static> { kind, zxid, data, auth }
    ForwardedRequest<'static> { session_id, cxid, op, body }
    SessionTimeout { session_id, timeout_ms }
    Touched { sessions }
    Revalidated { session_id, valid }
    ProtocolVersion { version }
    AcceptedEpoch { epoch }
    DesignatedLeader { server_id }
    ActivatedTxn<'static> { designated_leader, txn }
    QuorumAuthPacket<'static> { magic, status, token }
}

impl Any for CreateTxn<'static> {
    /// A parent's cversion of -1 is how the form of 3.3, which has none, is read.
    fn any() -> BoxedStrategy<Self> {
        (Any::any(), Any::any(), Any::any(), any::<bool>(), 0..i32::MAX)
            .prop_map(|(path, data, acl, ephemeral, parent_cversion)| CreateTxn {
                path,
                data,
                acl,
                ephemeral,
                parent_cversion,
            })
            .boxed()
    }
}

impl Any for MultiOp<'static> {
    fn any() -> BoxedStrategy<Self> {
        let creates = proptest::sample::select(vec![
            OpCode::Create,
            OpCode::Create2,
            OpCode::CreateContainer,
        ]);
        prop_oneof![
            (creates, Any::any()).prop_map(|(op, request)| MultiOp::Create(op, request)),
            Any::any().prop_map(MultiOp::CreateTtl),
            Any::any().prop_map(MultiOp::Delete),
            Any::any().prop_map(MultiOp::SetData),
            Any::any().prop_map(MultiOp::Check),
            Any::any().prop_map(MultiOp::GetData),
            Any::any().prop_map(MultiOp::GetChildren),
        ]
        .boxed()
    }
}

impl Any for MultiResult<'static> {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            Any::any().prop_map(MultiResult::Create),
            Any::any().prop_map(MultiResult::Create2),
            Just(MultiResult::Delete),
            Any::any().prop_map(MultiResult::SetData),
            Just(MultiResult::Check),
            Any::any().prop_map(MultiResult::GetData),
            Any::any().prop_map(MultiResult::GetChildren),
            any::<i32>().prop_map(MultiResult::Error),
        ]
        .boxed()
    }
}

impl Any for Txn<'static> {
    fn any() -> BoxedStrategy<Self> {
        // No session owns a path without text, and that is why it may stand for something else:
        // see `decode_close_session`.
        let path = String::any().prop_map(|s| Cow::Owned(format!("/{s}")));
        prop_oneof![
            4 => part(),
            2 => vec(part(), 0..5).prop_map(Txn::Multi),
            1 => Any::any().prop_map(Txn::Reconfig),
            1 => Any::any().prop_map(Txn::SetAcl),
            1 => any::<i32>().prop_map(Txn::CreateSession),
            1 => proptest::option::of(vec(path, 0..4)).prop_map(Txn::CloseSession),
        ]
        .boxed()
    }
}

/// What may stand in a multi and alone, and checks, which stand in one only.
fn part() -> BoxedStrategy<Txn<'static>> {
    prop_oneof![
        Any::any().prop_map(Txn::Create),
        Any::any().prop_map(Txn::Create2),
        Any::any().prop_map(Txn::CreateContainer),
        Any::any().prop_map(Txn::CreateTtl),
        Any::any().prop_map(Txn::Delete),
        Any::any().prop_map(Txn::DeleteContainer),
        Any::any().prop_map(Txn::SetData),
        any::<i32>().prop_map(Txn::Error),
    ]
    .boxed()
}

impl Any for TxnRecord<'static> {
    fn any() -> BoxedStrategy<Self> {
        let check = Any::any().prop_map(|check| Txn::Multi(vec![Txn::Check(check)])).boxed();
        let txn = prop_oneof![9 => Txn::any(), 1 => check];
        let digest = any::<i64>().prop_map(|tree_digest| TxnDigest { version: 2, tree_digest });
        (TxnHeader::any(), txn, proptest::option::of(digest))
            .prop_map(|(header, txn, digest)| TxnRecord {
                header: TxnHeader { kind: txn.kind(), ..header },
                txn,
                digest,
            })
            .boxed()
    }
}

impl Any for LearnerInfo {
    fn any() -> BoxedStrategy<Self> {
        (any::<i64>(), proptest::option::of((any::<i32>(), any::<Option<i64>>())))
            .prop_map(|(server_id, versions)| LearnerInfo {
                server_id,
                protocol_version: versions.map(|(protocol, _)| protocol),
                config_version: versions.and_then(|(_, config)| config),
            })
            .boxed()
    }
}

impl Any for InitialMessage<'static> {
    fn any() -> BoxedStrategy<Self> {
        let address = String::any().prop_map(|s| Cow::Owned(format!("{s}:3888")));
        prop_oneof![
            (0..i64::MAX).prop_map(InitialMessage::Sid),
            (any::<bool>(), any::<i64>(), address).prop_map(|(several, server_id, address)| {
                InitialMessage::Addressed { several, server_id, address }
            }),
        ]
        .boxed()
    }
}

impl Any for Notification<'static> {
    /// In today's form; the older ones are only read.
    fn any() -> BoxedStrategy<Self> {
        use ServerState::*;
        let states = proptest::sample::select(vec![Looking, Following, Leading, Observing]);
        (states, any::<[i64; 4]>(), 2..5, <&[u8]>::any())
            .prop_map(|(state, numbers, version, config)| Notification {
                state,
                leader: numbers[0],
                zxid: numbers[1],
                round: numbers[2],
                peer_epoch: numbers[3],
                version,
                config: Some(config),
            })
            .boxed()
    }
}
