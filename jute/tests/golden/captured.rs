//! The captured bytes themselves, for whoever tests with them.

use std::path::PathBuf;

/// Where the captured files are.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The names of all captured records, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory())
        .expect("the directory of golden files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "hex"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The bytes of `golden/NAME.hex`, behind its first line.
pub fn captured(name: &str) -> &'static [u8] {
    let path = directory().join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let (sentence, hex) = text.split_once('\n').expect("a sentence, then bytes");
    assert!(sentence.starts_with("# "), "{path:?} does not say where it is from");
    let hex: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes: Vec<u8> = hex
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex digits");
            u8::from_str_radix(pair, 16).expect("hex digits")
        })
        .collect();
    // Some hundred bytes that a test borrows from until it ends.
    bytes.leak()
}
