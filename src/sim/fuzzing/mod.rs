//! Fuzz bodies of what is more than a record: what must hold whatever the bytes are. Run by
//! `tests/hostile.rs` over damaged files, and by libFuzzer (`fuzz/run`) as long as one likes. The
//! records themselves, and what a target is, are `jute::fuzzing`'s.
//!
//! A body must not panic, whatever the bytes say. Those of the state machines read the bytes as a
//! list of events: see [`zab`] and [`peer`].

mod driver;
mod events;
mod peer;

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use jute::proto::AuthPacket;
use jute::{Acl, Decode, Id, Reader};

use crate::auth::{
    ip_identity, perms, redact, Auth, AuthOutcome, DigestScheme, EnsembleScheme, Scheme,
};
use crate::config::{Config, JvmFlags};
use crate::sim::SimDisk;
use crate::storage::{
    recover, recover_member, Compression, Dirs, MemberOptions, RecoverOptions, SnapshotReceiver,
};
use crate::types::Zxid;

pub use driver::{zab, Reach};
pub use jute::fuzzing::Target;
pub use peer::peer;

/// What is fuzzed beside the records.
const OWN_TARGETS: [Target; 6] = [
    Target { name: "auth", body: auth, per_byte: 64, constant: 8 << 10 },
    Target { name: "zoo_cfg", body: zoo_cfg, per_byte: 256, constant: 512 << 10 },
    // The disk is in memory too, three times.
    Target { name: "log", body: log, per_byte: 128, constant: 4 << 20 },
    // What is packed may be much longer than it looks: a thousand times with gzip.
    Target { name: "snapshot", body: snapshot, per_byte: 8 << 10, constant: 4 << 20 },
    Target { name: "zab", body: |bytes| _ = zab(bytes), per_byte: 4 << 10, constant: 1 << 20 },
    Target { name: "peer", body: |bytes| _ = peer(bytes), per_byte: 8 << 10, constant: 2 << 20 },
];

/// Everything that is fuzzed.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    jute::fuzzing::TARGETS.iter().chain(&OWN_TARGETS)
}

/// The target of this name.
///
/// # Panics
///
/// There is none.
pub fn target(name: &str) -> &'static Target {
    let found = targets().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no fuzz target is named {name}"))
}

/// An auth packet, and behind it a list of ACLs to be stored by whoever the packet makes one.
pub fn auth(bytes: &[u8]) {
    let ensemble = EnsembleScheme::new(Some(["ours".to_owned()]));
    let schemes =
        vec![Scheme::Ip, Scheme::Digest(DigestScheme::default()), Scheme::Ensemble(ensemble)];
    let auth = Auth::new(false, schemes);
    let mut r = Reader::new(bytes);
    let Ok(packet) = AuthPacket::decode(&mut r) else { return };
    let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut ids: Vec<Id<'static>> = vec![ip_identity(from)];
    let scheme = packet.scheme.as_deref().unwrap_or_default();
    if let AuthOutcome::Accepted(more) = auth.authenticate(scheme, packet.auth, from) {
        ids.extend(more);
    }
    assert_eq!(auth.client_infos(&ids).len(), ids.len());
    let Ok(list) = r.vector::<Acl<'_>>() else { return };
    let Ok(fixed) = auth.fix_up(list.as_deref(), &ids) else { return };
    assert!(!fixed.is_empty(), "an empty list would let everybody in");
    let again = auth.fix_up(Some(&fixed), &ids).expect("what was stored may be stored again");
    assert_eq!(again, fixed);
    redact(&fixed);
    for bit in [perms::READ, perms::WRITE, perms::CREATE, perms::DELETE, perms::ADMIN] {
        let listed = fixed.iter().any(|entry| entry.perms & bit != 0);
        assert!(listed || auth.check(&fixed, bit, &ids).is_err(), "nobody was given {bit}");
    }
}

/// A `zoo.cfg`, and as far as it names other files: those hold the same.
pub fn zoo_cfg(bytes: &[u8]) {
    let read_file = |file: &str| match file.ends_with("myid") {
        true => Ok(bytes.get(..4).unwrap_or_default().to_vec()),
        false if file.len() % 2 == 0 => Ok(bytes.to_vec()),
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    match Config::parse("zoo.cfg", bytes, &JvmFlags::none(), &read_file) {
        Ok((config, findings)) => {
            config.role();
            findings.iter().for_each(|finding| drop(format!("{finding:?}")));
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error says what is wrong"),
    }
}

/// A file of transactions behind the first snapshot of an empty tree: recovery serves what is
/// good, refuses, or makes a stranger of the member; and says the same when it is asked again.
pub fn log(bytes: &[u8]) {
    let disk = SimDisk::new(0);
    let dirs = dirs();
    if recover(&disk, &dirs, &RecoverOptions::default()).is_err() {
        unreachable!("an empty directory is a new server's");
    }
    disk.put(&dirs.logs.join("log.1"), bytes);
    recover_twice(&disk, &dirs);
}

/// A snapshot file, packed or not as its first byte says; and the same bytes as the body that a
/// leader sends.
pub fn snapshot(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let dirs = dirs();
    let name = ["snapshot.0", "snapshot.0.gz", "snapshot.0.snappy"][usize::from(choice % 3)];
    let disk = SimDisk::new(0);
    disk.put(&dirs.snapshots.join(name), bytes);
    recover_twice(&disk, &dirs);
    let disk = SimDisk::new(0);
    if recover(&disk, &dirs, &RecoverOptions::default()).is_err() {
        unreachable!("an empty directory is a new server's");
    }
    let (tree, zxid) = (RecoverOptions::default().tree, Zxid(1 << 32 | 7));
    let Ok(mut receiver) = SnapshotReceiver::new(&disk, &dirs, zxid, tree, Compression::None)
    else {
        unreachable!("the disk is whole and has room");
    };
    for piece in bytes.chunks(usize::from(*choice) + 1) {
        match receiver.feed(piece) {
            Ok(None) => {}
            Ok(Some(used)) => {
                assert!(used <= piece.len(), "{used} of {}", piece.len());
                break;
            }
            Err(_) => break,
        }
    }
}

fn dirs() -> Dirs {
    Dirs::new(std::path::Path::new("/data"), None)
}

/// A lone server and a member, each on a disk of its own, and each once more on what the first
/// time has left.
fn recover_twice(disk: &SimDisk, dirs: &Dirs) {
    let alone = disk.fork();
    if let Ok(first) = recover(&alone, dirs, &RecoverOptions::default()) {
        let again = recover(&alone, dirs, &RecoverOptions::default());
        let again = again.unwrap_or_else(|error| panic!("what was served is refused: {error}"));
        assert_eq!(again.last_zxid, first.last_zxid);
        assert_eq!(again.replica.digest(), first.replica.digest());
    }
    let member = disk.fork();
    if let Ok(first) = recover_member(&member, dirs, &MemberOptions::default()) {
        let again = recover_member(&member, dirs, &MemberOptions::default());
        let again = again.unwrap_or_else(|error| panic!("what was taken is refused: {error}"));
        assert_eq!(again.last_zxid, first.last_zxid);
        assert_eq!(again.stranger.is_some(), first.stranger.is_some());
    }
}
