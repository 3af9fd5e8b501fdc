//! The oracle of an ensemble of two voters: a file whose first character is 1 while this server may
//! go on alone (Apache's `QuorumOracleMaj`, `oraclePath`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How often the file is read, ms.
const INTERVAL_MS: i64 = 100;

/// The file, and what it has said.
pub(super) struct OracleFile {
    path: PathBuf,
    said: Option<bool>,
    due_ms: i64,
}

impl OracleFile {
    pub fn new(path: PathBuf) -> OracleFile {
        OracleFile { path, said: None, due_ms: 0 }
    }

    /// When [`OracleFile::ask`] is wanted next, monotonic ms.
    pub fn due_ms(&self) -> i64 {
        self.due_ms
    }

    /// Reads the file, if it is time. `Some`: it says something else than the last time.
    pub fn ask(&mut self, now_ms: i64) -> Option<bool> {
        if now_ms < self.due_ms {
            return None;
        }
        self.due_ms = now_ms + INTERVAL_MS;
        let read = first_byte(&self.path);
        let yes = matches!(read, Ok(Some(b'1')));
        if self.said.replace(yes) == Some(yes) {
            return None;
        }
        match read {
            Ok(_) => tracing::info!("The oracle {} says {}", self.path.display(), word(yes)),
            Err(e) => tracing::warn!(
                "The oracle {} can't be read, which means {}: {e}",
                self.path.display(),
                word(yes)
            ),
        }
        Some(yes)
    }
}

fn word(yes: bool) -> &'static str {
    if yes {
        "yes: this server may go on without the other voter"
    } else {
        "no: without the other voter this server does nothing"
    }
}

fn first_byte(path: &Path) -> std::io::Result<Option<u8>> {
    let mut byte = [0];
    let count = File::open(path)?.read(&mut byte)?;
    Ok((count == 1).then_some(byte[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_one_at_the_front_is_a_yes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("oracle");
        let mut oracle = OracleFile::new(path.clone());
        let mut now_ms = 0;
        let mut ask = |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            now_ms += INTERVAL_MS;
            oracle.ask(now_ms)
        };
        assert_eq!(ask(Some("1\n")), Some(true));
        assert_eq!(ask(Some("1")), None, "the same again");
        assert_eq!(ask(Some("0")), Some(false));
        assert_eq!(ask(Some(" 1")), None);
        assert_eq!(ask(Some("10")), Some(true));
        assert_eq!(ask(Some("")), Some(false));
        assert_eq!(ask(Some("1")), Some(true));
        assert_eq!(ask(None), Some(false));
    }

    #[test]
    fn it_is_not_asked_all_the_time() {
        let mut oracle = OracleFile::new(PathBuf::from("/nonexistent/oracle"));
        assert_eq!(oracle.ask(5), Some(false));
        assert_eq!(oracle.due_ms(), 5 + INTERVAL_MS);
        assert_eq!(oracle.ask(6), None);
    }
}
