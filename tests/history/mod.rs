//! A small standalone server without a network: recovers a simulated disk, makes transactions of
//! every type, logs and syncs them, takes snapshots. What it has synced it has acknowledged.

#![allow(dead_code)] // Each test program uses a part of this.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jute::txn::{
    CheckVersionTxn, CreateContainerTxn, CreateTtlTxn, CreateTxn, DeleteTxn, SetAclTxn, SetDataTxn,
    Txn, TxnDigest, TxnHeader, TxnRecord,
};
use jute::{Acl, Encode, Id};
use oxkeeper::sim::{Rng, SimDisk};
use oxkeeper::storage::{
    recover, recover_member, write_snapshot, BodyReader, Compression, Dirs, Member, MemberOptions,
    RecoverOptions, Recovered, RecoveryRefused, SnapshotReceiver, StorageError, TxnLog,
    TxnLogOptions,
};
use oxkeeper::tree::Replica;
use oxkeeper::types::{Epoch, Zxid};

/// Small files make short tests.
pub const PREALLOC: u64 = 8 << 10;

/// Where the simulated server keeps its files.
pub fn dirs() -> Dirs {
    Dirs::new(Path::new("/data"), None)
}

/// A file in its directory.
pub fn file(name: &str) -> PathBuf {
    dirs().logs.join(name)
}

/// The log's options in these tests.
pub fn log_options() -> TxnLogOptions {
    TxnLogOptions { prealloc_bytes: PREALLOC, ..TxnLogOptions::default() }
}

/// Recovers with the defaults.
pub fn recover_disk(disk: &SimDisk) -> Result<Recovered, RecoveryRefused> {
    recover(disk, &dirs(), &RecoverOptions::default())
}

/// Recovers as a member of an ensemble, with the defaults.
pub fn recover_as_member(disk: &SimDisk) -> Result<Member, RecoveryRefused> {
    recover_member(disk, &dirs(), &MemberOptions::default())
}

/// A snapshot's body as a leader sends it, of the newest snapshot on the disk.
pub fn body(disk: &SimDisk, snapshot: &str) -> Vec<u8> {
    let mut reader = BodyReader::open(disk, &file(snapshot)).expect("the snapshot is there");
    let mut body = Vec::new();
    while reader.next_chunk(&mut body).expect("the snapshot is good") {}
    body
}

/// Takes in `body` as the snapshot of `zxid`, in pieces of `piece` bytes; not installed.
pub fn receive(
    disk: &SimDisk,
    zxid: Zxid,
    body: &[u8],
    piece: usize,
) -> Result<SnapshotReceiver<SimDisk>, oxkeeper::storage::ReceiveError> {
    let tree = RecoverOptions::default().tree;
    let mut receiver = SnapshotReceiver::new(disk, &dirs(), zxid, tree, Compression::None)?;
    let mut pieces = body.chunks(piece);
    while let Some(bytes) = pieces.next() {
        if let Some(used) = receiver.feed(bytes)? {
            assert_eq!((used, pieces.next()), (bytes.len(), None), "the body ended early");
            return Ok(receiver);
        }
    }
    panic!("the body did not end");
}

/// The session that all writes come from.
pub const SESSION: i64 = 0x1234_5678_0000_0001;

/// The server.
pub struct Server {
    pub disk: SimDisk,
    pub replica: Replica,
    pub log: TxnLog<SimDisk>,
    /// The digest behind each transaction, from the first one made here.
    pub digests: Vec<(Zxid, u64)>,
    /// All up to here is acknowledged.
    pub acked: Zxid,
}

impl Server {
    /// Starts on what the disk holds.
    pub fn start(disk: &SimDisk) -> Result<Server, RecoveryRefused> {
        recover_disk(disk).map(|recovered| Server::go_on(disk, recovered.replica))
    }

    /// Goes on behind what recovery found.
    pub fn go_on(disk: &SimDisk, replica: Replica) -> Server {
        let acked = replica.last_zxid();
        let log = TxnLog::new(disk.clone(), dirs().logs, log_options(), acked);
        Server { disk: disk.clone(), replica, log, digests: Vec::new(), acked }
    }

    /// Makes and logs a transaction; not synced.
    pub fn append(&mut self, txn: Txn<'_>) -> Result<Zxid, StorageError> {
        let zxid = self.log.last_zxid().next().expect("far from the counter's end");
        self.append_as(zxid, txn)
    }

    /// The same with a zxid of the caller's.
    pub fn append_as(&mut self, zxid: Zxid, txn: Txn<'_>) -> Result<Zxid, StorageError> {
        let header = TxnHeader {
            client_id: SESSION,
            cxid: zxid.counter() as i32,
            zxid: zxid.0,
            time_ms: 1_700_000_000_000 + zxid.0,
            kind: txn.kind(),
        };
        self.replica.apply(&header, &txn, &mut Vec::new());
        let tree_digest = self.replica.digest() as i64;
        let digest = Some(TxnDigest { version: 2, tree_digest });
        self.digests.push((zxid, self.replica.digest()));
        let body = TxnRecord { header, txn, digest }.to_bytes();
        self.log.append(zxid, &body)?;
        Ok(zxid)
    }

    /// Syncs: everything appended is acknowledged.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.log.sync()?;
        self.acked = self.log.last_zxid();
        Ok(())
    }

    /// Appends and syncs `n` creates with `data_len` bytes of data each.
    pub fn create_nodes(&mut self, n: usize, data_len: usize) -> Result<(), StorageError> {
        for _ in 0..n {
            let path = format!("/n{:x}", self.log.last_zxid().0 + 1);
            self.append(create(&path, &text(data_len, path.len())))?;
            self.sync()?;
        }
        Ok(())
    }

    /// Rolls the log and takes a snapshot.
    pub fn snapshot(&mut self, compression: Compression) -> Result<(), StorageError> {
        self.log.roll()?;
        write_snapshot(&self.disk, &dirs().snapshots, &mut self.replica, compression, true)?;
        Ok(())
    }
}

/// A server's life so far: what it wrote, and the digest behind every transaction.
pub struct Life {
    pub disk: SimDisk,
    pub digests: BTreeMap<Zxid, u64>,
    /// The last transaction.
    pub last: Zxid,
}

/// Random transactions over some epochs, with rolls and snapshots in between; all synced.
pub fn random_life(seed: u64, steps: usize) -> Life {
    let mut rng = Rng::new(seed);
    let disk = SimDisk::new(seed);
    let mut server = Server::start(&disk).expect("an empty disk");
    let mut digests = BTreeMap::from([(Zxid::ZERO, server.replica.digest())]);
    for _ in 0..steps {
        match rng.below(12) {
            0 => server.log.roll().expect("no faults"),
            1 => server.snapshot(Compression::None).expect("no faults"),
            2 => server.snapshot(Compression::Gzip).expect("no faults"),
            3 => {
                let epoch = Epoch(server.log.last_zxid().epoch().0 + 1 + rng.below(2) as u32);
                let path = format!("/e{}", epoch.0);
                let opened = server.append_as(Zxid::new(epoch, 1), create(&path, b"epoch"));
                opened.expect("no faults");
            }
            4 => server.log.publish_synced().expect("no faults"),
            _ => server.create_nodes(1 + rng.below(4), rng.below(900)).expect("no faults"),
        }
        server.sync().expect("no faults");
    }
    digests.extend(server.digests.iter().copied());
    Life { disk, digests, last: server.acked }
}

/// A create of type create with an open ACL.
pub fn create<'a>(path: &'a str, data: &'a [u8]) -> Txn<'a> {
    Txn::Create(CreateTxn {
        path: Cow::Borrowed(path),
        data: Some(data),
        acl: Some(vec![Acl::open_unsafe()]),
        ephemeral: false,
        parent_cversion: 1,
    })
}

/// Readable bytes, different for each `salt`.
pub fn text(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| b'a' + ((i * 7 + salt) % 26) as u8).collect()
}

/// Transactions of every type, which leave a tree with every kind of node.
pub fn every_type() -> Vec<Txn<'static>> {
    let p = |path: &'static str| Cow::Borrowed(path);
    let acl = || Some(vec![Acl::new(31, Id::new("digest", "ben:jyeEyIKXqxTNUq8DBnfwQMZP1Is="))]);
    vec![
        Txn::CreateSession(30_000),
        create("/a", b"hello"),
        Txn::Create2(CreateTxn {
            path: p("/a/b"),
            data: Some(b"world"),
            acl: acl(),
            ephemeral: false,
            parent_cversion: 1,
        }),
        Txn::Create(CreateTxn {
            path: p("/a/e"),
            data: None,
            acl: Some(vec![Acl::open_unsafe()]),
            ephemeral: true,
            parent_cversion: 2,
        }),
        Txn::CreateContainer(CreateContainerTxn {
            path: p("/c"),
            data: Some(b""),
            acl: Some(vec![Acl::open_unsafe()]),
            parent_cversion: 2,
        }),
        Txn::CreateTtl(CreateTtlTxn {
            path: p("/t"),
            data: Some(b"ttl"),
            acl: acl(),
            parent_cversion: 3,
            ttl_ms: 5000,
        }),
        Txn::SetData(SetDataTxn { path: p("/a"), data: Some(b"changed"), version: 1 }),
        Txn::SetAcl(SetAclTxn { path: p("/a/b"), acl: acl(), version: 1 }),
        Txn::Multi(vec![
            create("/m", b"one"),
            Txn::Check(CheckVersionTxn { path: p("/a"), version: 1 }),
            Txn::SetData(SetDataTxn { path: p("/m"), data: Some(b"two"), version: 1 }),
            Txn::Delete(DeleteTxn { path: p("/t") }),
        ]),
        Txn::Multi(vec![Txn::Error(0), Txn::Error(-101), Txn::Error(-2)]),
        Txn::Error(-110),
        Txn::DeleteContainer(DeleteTxn { path: p("/c") }),
        Txn::CloseSession(Some(vec![p("/a/e")])),
        Txn::Delete(DeleteTxn { path: p("/a/b") }),
    ]
}
