//! The house rules that a machine can check: who may import whom, what pure code may not touch,
//! how long lines, functions and files may be. The rules and their reasons are in
//! `docs/ARCHITECTURE.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// For each room, the rooms it may import from (besides itself).
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("limits", &[]),
    ("config", &["types", "limits"]),
    ("metrics", &[]),
    ("auth", &["types", "limits"]),
    ("tree", &["types", "limits"]),
    ("watch", &["types", "limits", "tree"]),
    ("session", &["types", "limits"]),
    ("pipeline", &["types", "limits", "auth", "tree", "watch", "session"]),
    ("zab", &["types", "limits"]),
    ("peer", &["types", "limits", "auth", "tree", "session", "pipeline", "zab"]),
    ("storage", &["types", "limits", "tree"]),
    ("disk", &["types", "limits", "storage"]),
    (
        "net",
        &[
            "types", "limits", "metrics", "auth", "tree", "watch", "session", "pipeline",
            "storage", "zab",
        ],
    ),
    ("admin", &["types", "limits", "config", "metrics", "auth", "tree", "watch", "session", "net"]),
    (
        "server",
        &[
            "types", "limits", "config", "metrics", "auth", "tree", "watch", "session", "pipeline",
            "zab", "peer", "storage", "disk", "net", "admin",
        ],
    ),
    ("tools", &["types", "limits", "config", "tree", "storage", "disk", "server", "session"]),
    (
        "sim",
        &[
            "types", "limits", "config", "metrics", "auth", "tree", "watch", "session", "pipeline",
            "zab", "peer", "storage", "net", "server", "mutants",
        ],
    ),
    ("bin", &["types", "sim"]),
];

/// Rooms without I/O, clocks, threads, locks or unseeded randomness.
const PURE: &[&str] =
    &["types", "config", "auth", "tree", "watch", "session", "pipeline", "zab", "peer", "storage"];

const IMPURE_WORDS: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::thread",
    "std::time",
    "Instant::now",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "RandomState",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "TcpStream",
    "thread_rng",
];

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 1000;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn every_room_imports_only_what_it_may() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut broken = Vec::new();
    for (path, text) in sources("src") {
        let Some(room) = room_of(&path) else { continue };
        if is_test_file(&path) {
            continue;
        }
        let allowed = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is no room of the house: say who may import whom"));
        for (number, line) in code_lines(&text) {
            for other in imported_rooms(line) {
                if other != room && !allowed.contains(&other.as_str()) {
                    broken.push(format!("{}:{number}: {room} imports {other}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_impure() {
    let mut broken = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("jute/src")) {
        let in_jute = path.starts_with(root().join("jute"));
        let pure = in_jute || room_of(&path).is_some_and(|r| PURE.contains(&r.as_str()));
        if !pure || is_test_file(&path) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in IMPURE_WORDS.iter().filter(|w| line.contains(**w)) {
                broken.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn lines_functions_and_files_are_short() {
    let mut broken = Vec::new();
    for folder in ["src", "jute/src", "tests", "jute/tests", "benches"] {
        for (path, text) in sources(folder) {
            let shown = path.display();
            if text.lines().count() > FILE_LINES_MAX {
                broken.push(format!("{shown}: more than {FILE_LINES_MAX} lines"));
            }
            for (number, line) in text.lines().enumerate() {
                if line.chars().count() > LINE_COLUMNS_MAX {
                    broken.push(format!("{shown}:{}: over {LINE_COLUMNS_MAX}", number + 1));
                }
            }
            broken.extend(long_functions(&text).map(|at| format!("{shown}:{at}: long function")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = sources("src")
        .into_iter()
        .chain(sources("jute/src"))
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no module documentation:\n{}", silent.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!", "unimplemented!", "FIXME", "XXX"];
    let mut broken = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("jute/src")) {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|w| line.contains(w)) {
                broken.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The room a file of `src` belongs to; `lib.rs` and `main.rs` belong to none.
fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.iter().next()?.to_str()?;
    match first.strip_suffix(".rs") {
        Some("lib" | "main") => None,
        Some("limits") => Some("limits".into()),
        Some(_) => Some("tools".into()),
        None => Some(first.into()),
    }
}

/// Whether the whole file is tests (`tests.rs`, `x_tests.rs`), which may do what code may not.
fn is_test_file(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.ends_with("tests.rs"))
}

/// The lines of code, without comments and without the tests at the bottom of a file.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line))
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn imported_rooms(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("crate::") {
        let before = rest[..at].chars().next_back();
        rest = &rest[at + "crate::".len()..];
        if before == Some('$') {
            continue;
        }
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !name.is_empty() {
            rooms.push(name);
        }
    }
    rooms
}

/// The first lines of functions longer than the limit. rustfmt has put the closing brace under
/// the first column of the function.
fn long_functions(text: &str) -> impl Iterator<Item = usize> + '_ {
    let lines: Vec<&str> = text.lines().collect();
    let starts = (0..lines.len()).filter(|i| is_function(lines[*i])).collect::<Vec<_>>();
    starts.into_iter().filter_map(move |start| {
        let indent = lines[start].len() - lines[start].trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|l| **l == close)?;
        (end + 1 > FUNCTION_LINES_MAX).then_some(start + 1)
    })
}

fn is_function(line: &str) -> bool {
    let line = line.trim_start();
    ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "]
        .iter()
        .any(|head| line.starts_with(head))
        // A trait's function without a body has no length.
        && !line.ends_with(';')
}
