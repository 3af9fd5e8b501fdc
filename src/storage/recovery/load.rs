//! The newest snapshot that can be trusted.

use std::path::{Path, PathBuf};

use crate::storage::disk::{Access, Disk, DiskFile};
use crate::storage::error::{RecoveryRefused, Refusal};
use crate::storage::names::parse_snapshot;
use crate::storage::origin;
use crate::storage::snapshot::{
    read_snapshot, Compression, Event, FileBytes, SnapshotError, Trailer, DIGEST_VERSION,
};
use crate::tree::{Replica, ReplicaLoader, TreeOptions};
use crate::types::{SessionId, Zxid};

use super::{Dirs, RecoverOptions, Report};

/// As many snapshots are tried as Apache tries.
const TRIES: usize = 100;

/// A state to replay logs onto.
pub struct Loaded {
    pub replica: Replica,
    /// The snapshot is ours.
    pub ours: bool,
    /// The tree has the digest that the snapshot says it has, at the snapshot's own zxid.
    pub exact: bool,
    /// Up to this transaction there is something in the snapshot: the logs must come as far.
    pub reaches: Option<(Zxid, PathBuf)>,
}

impl Loaded {
    /// What there is without a snapshot.
    pub fn nothing(options: TreeOptions) -> Loaded {
        Loaded { replica: Replica::new(options), ours: false, exact: true, reaches: None }
    }
}

/// Loads the newest good snapshot; none at all is an answer, none good among some is not. With
/// `upto`: the newest that holds nothing behind it.
pub fn load_newest<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    options: &RecoverOptions,
    upto: Option<Zxid>,
    report: &mut Report,
) -> Result<Option<Loaded>, RecoveryRefused> {
    let dir = &dirs.snapshots;
    let names = disk.list(dir).map_err(|e| RecoveryRefused::io(dir, "list", &e))?;
    let mut found: Vec<(Zxid, Compression, &str)> = names
        .iter()
        .filter_map(|name| parse_snapshot(name).map(|(zxid, packed)| (zxid, packed, name.as_str())))
        .collect();
    let is_ahead = |zxid: Zxid| upto.is_some_and(|upto| zxid > upto);
    found.retain(|(zxid, ..)| !is_ahead(*zxid));
    found.sort_by(|a, b| (b.0, b.2).cmp(&(a.0, a.2)));
    for (zxid, compression, name) in found.iter().take(TRIES) {
        let path = dir.join(name);
        match load(disk, &path, *zxid, *compression, options)? {
            Ok(loaded) if loaded.reaches.as_ref().is_some_and(|(zxid, _)| is_ahead(*zxid)) => {}
            Ok(loaded) => {
                report.snapshot = Some(path);
                return Ok(Some(loaded));
            }
            Err(why) => report.bad_snapshots.push((path, why)),
        }
    }
    match report.bad_snapshots.first() {
        None => Ok(None),
        Some((path, why)) => Err(RecoveryRefused {
            refusal: Refusal::Corrupt,
            file: path.clone(),
            offset: None,
            zxid: found.first().map(|(zxid, _, _)| *zxid),
            what: format!("{why}; Not able to find valid snapshots in {}", dir.display()),
        }),
    }
}

/// Loads one snapshot. The inner error says why it is bad; the outer one, why we cannot know.
fn load<D: Disk>(
    disk: &D,
    path: &Path,
    zxid: Zxid,
    compression: Compression,
    options: &RecoverOptions,
) -> Result<Result<Loaded, String>, RecoveryRefused> {
    let failure = |verb| move |e| RecoveryRefused::io(path, verb, &e);
    let mut file = disk.open(path, Access::Write).map_err(failure("open"))?;
    // Apache does not sync its snapshots; the logs before this one may be gone already.
    file.sync_data().map_err(failure("sync"))?;
    let mut loader = ReplicaLoader::new(options.tree);
    let outcome = read_snapshot(FileBytes::new(file), compression, &mut |event| match event {
        Event::Session { id, timeout_ms } => {
            loader.session(SessionId(id), timeout_ms);
            Ok(())
        }
        Event::Acl { id, acl } => {
            loader.acl(id, &acl);
            Ok(())
        }
        Event::Node { path, data, acl, stat } => {
            loader.node(&path, data, acl, &stat).map_err(|e| e.to_string())
        }
    });
    let trailer = match outcome {
        Ok(trailer) => trailer,
        Err(SnapshotError { unread: Some(e), .. }) => return Err(failure("read")(e)),
        Err(e) => return Ok(Err(e.to_string())),
    };
    if let Some(last) = trailer.last_zxid.filter(|last| *last < zxid) {
        return Ok(Err(format!("it was finished at {last}, before the transaction in its name")));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let dir = path.parent().unwrap_or(Path::new(""));
    let ours =
        origin::is_ours(disk, dir, name, trailer.seal).map_err(failure("find the origin of"))?;
    Ok(finish(loader, path, zxid, &trailer, ours, options))
}

fn finish(
    mut loader: ReplicaLoader,
    path: &Path,
    zxid: Zxid,
    trailer: &Trailer,
    ours: bool,
    options: &RecoverOptions,
) -> Result<Loaded, String> {
    if let Some(tree) = trailer.digest {
        loader.digest(tree.zxid, tree.version, tree.digest);
    }
    let replica = loader.finish(zxid).map_err(|e| e.to_string())?;
    let claimed = trailer
        .digest
        .filter(|tree| options.tree.digest_enabled && tree.version == DIGEST_VERSION)
        .filter(|tree| tree.zxid == zxid);
    let exact = claimed.is_some_and(|tree| tree.digest == replica.digest());
    if ours && claimed.is_some() && !exact {
        return Err("its tree does not have the digest it was written with".to_owned());
    }
    let digest_zxid = trailer.digest.map(|tree| tree.zxid);
    let reaches = trailer.last_zxid.max(digest_zxid).map(|zxid| (zxid, path.to_owned()));
    Ok(Loaded { replica, ours, exact, reaches })
}
