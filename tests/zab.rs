//! The stories in `tests/zab/*.txt`: each tells one server's core what happens (lines that begin
//! with `> `) and lists all it wants done about it. `UPDATE_EXPECT=1` writes what it says now.
//!
//! Zxids are written epoch:counter. `> a ; b` is taken in as one batch. Everything has a deadline
//! in virtual time only; the disk answers when the story says `persisted`.

mod zab_story;

use std::fs;
use std::path::Path;

#[test]
fn stories_are_told_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zab");
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut differ = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let told = zab_story::tell(&text);
        if told != text {
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                fs::write(&path, &told).unwrap();
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                differ.push(format!("==== {name}\n{}", difference(&text, &told)));
            }
        }
    }
    assert!(differ.is_empty(), "(UPDATE_EXPECT=1 rewrites)\n{}", differ.join("\n"));
}

/// The first line that differs, with what stands before it.
fn difference(expected: &str, told: &str) -> String {
    let (expected, told): (Vec<_>, Vec<_>) = (expected.lines().collect(), told.lines().collect());
    let at = expected.iter().zip(&told).take_while(|(a, b)| a == b).count();
    let before = expected[at.saturating_sub(3)..at].join("\n");
    let line = |lines: &[&str]| lines.get(at).copied().unwrap_or("(the end)").to_owned();
    format!(
        "{before}\nline {}, expected: {}\n          told: {}",
        at + 1,
        line(&expected),
        line(&told)
    )
}
