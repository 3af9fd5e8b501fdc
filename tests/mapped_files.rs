//! A mapped file that can't be read ends the process, and says which file it was.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use oxkeeper::disk::RealDisk;
use oxkeeper::storage::{Access, Disk, DiskFile};

/// Set for the child of this test: the file that it shall map.
const FILE: &str = "OXKEEPER_TEST_MAPPED_FILE";
const LEN: u64 = 16 * 4096;

#[test]
fn a_file_cut_under_its_map_ends_the_process_with_its_name() {
    if let Ok(path) = std::env::var(FILE) {
        return read_behind_the_end(&path);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log.1");
    std::fs::write(&path, vec![7; LEN as usize]).expect("a file");
    let name = "a_file_cut_under_its_map_ends_the_process_with_its_name";
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(FILE, &path)
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&child.stderr);
    let words = format!("oxkeeper: {} can't be read at offset 8192: ", path.display());
    assert!(said.contains(&words), "{said}");
    assert!(child.status.signal().is_some(), "{:?}", child.status);
}

/// The child: maps the file, lets somebody cut it, and reads on.
fn read_behind_the_end(path: &str) {
    let file = RealDisk.open(path.as_ref(), Access::Read).expect("it is there");
    let map = file.map(LEN).expect("it is long enough");
    assert_eq!(map[8192], 7);
    let cut = std::fs::OpenOptions::new().write(true).open(path).expect("it is there");
    cut.set_len(4096).expect("it can be cut");
    panic!("read {} behind the end", map[8192]);
}
