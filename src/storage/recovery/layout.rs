//! Are the directories what the configuration says? Apache's checks, in Apache's words
//! (`FileTxnSnapLog`, ZOOKEEPER-1161, ZOOKEEPER-2967).

use std::path::Path;

use crate::storage::disk::Disk;
use crate::storage::error::{RecoveryRefused, Refusal};
use crate::storage::names::{LOG_PREFIX, SNAPSHOT_PREFIX};

use super::Dirs;

/// Makes the directories, if allowed, and checks that no file is in the wrong one.
pub fn check<D: Disk>(disk: &D, dirs: &Dirs, create: bool) -> Result<(), RecoveryRefused> {
    check_dir(disk, &dirs.logs, "data", create)?;
    check_dir(disk, &dirs.snapshots, "snap", create)?;
    if !dirs.are_split() {
        return Ok(());
    }
    let strays = [
        (&dirs.logs, SNAPSHOT_PREFIX, "Log directory has snapshot files."),
        (&dirs.snapshots, LOG_PREFIX, "Snapshot directory has log files."),
    ];
    for (dir, prefix, what) in strays {
        let names = disk.list(dir).map_err(|e| RecoveryRefused::io(dir, "list", &e))?;
        if let Some(name) = names.iter().find(|name| name.starts_with(prefix)) {
            let check = "Check if dataLogDir and dataDir configuration is correct";
            return Err(refuse(&dir.join(name), format!("{what} {check}")));
        }
    }
    Ok(())
}

fn check_dir<D: Disk>(
    disk: &D,
    dir: &Path,
    kind: &str,
    create: bool,
) -> Result<(), RecoveryRefused> {
    let failure = |verb| move |e| RecoveryRefused::io(dir, verb, &e);
    if !disk.exists(dir).map_err(failure("look for"))? {
        if !create {
            let what = format!(
                "Missing {kind} directory {}, automatic data directory creation is disabled \
                 (zookeeper.datadir.autocreate is false). Please create this directory manually",
                dir.display()
            );
            return Err(refuse(dir, what));
        }
        disk.create_dir(dir).map_err(|e| {
            refuse(dir, format!("Unable to create {kind} directory {}: {e}", dir.display()))
        })?;
    }
    // The names must last, or all that is in there is lost with them; an earlier start may have
    // made them and died. What we may not read above dataDir we did not make either.
    for parent in dir.ancestors().skip(1).take(2).filter(|p| !p.as_os_str().is_empty()) {
        match disk.sync_dir(parent) {
            Err(e) if e.kind() != std::io::ErrorKind::PermissionDenied => {
                return Err(failure("sync the directory above")(e));
            }
            _ => {}
        }
    }
    if !disk.is_writable(dir).map_err(failure("look at"))? {
        return Err(refuse(dir, format!("Cannot write to {kind} directory {}", dir.display())));
    }
    Ok(())
}

fn refuse(file: &Path, what: String) -> RecoveryRefused {
    RecoveryRefused {
        refusal: Refusal::Layout,
        file: file.to_owned(),
        offset: None,
        zxid: None,
        what,
    }
}
