//! Quotas: limits and figures are the text of two nodes per quota root, written by clients and,
//! the figures, by the server (Apache's `Quotas` and `StatsTrack`).

use std::collections::{BTreeMap, BTreeSet};

/// Where quota nodes live: this, then the quota root's path, then one of the two names.
pub const QUOTA_PATH: &str = "/zookeeper/quota";
/// Name of the node that holds the limits, and whose existence makes the quota active.
pub const LIMITS_NAME: &str = "zookeeper_limits";
/// Name of the node that holds the figures.
pub const STATS_NAME: &str = "zookeeper_stats";

/// The text of a limits or stats node. -1 is "not set".
///
/// `count=N,bytes=N`, then, behind an equals sign that keeps parsers of 3.4 off,
/// `;key=N` for every other key in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaText {
    values: BTreeMap<String, i64>,
}

impl QuotaText {
    /// Reads a node's data. `None` if it is not such a text; then nothing is set (clients can
    /// write there what they like).
    pub fn parse(data: &[u8]) -> Option<QuotaText> {
        let text = std::str::from_utf8(data).ok()?;
        let mut values = BTreeMap::new();
        // Java's split: runs of separators are one, and what is empty at the end is not there.
        let text = text.trim_end_matches([',', ';']);
        for (at, piece) in text.split([',', ';']).enumerate() {
            if piece.is_empty() && (at > 0 || text.is_empty()) {
                continue;
            }
            let (key, rest) = piece.split_once('=')?;
            let value = match rest.trim_end_matches('=') {
                "" => return None,
                rest => rest.split('=').next().expect("a split has a first piece"),
            };
            let value = if value.is_empty() { -1 } else { value.parse().ok()? };
            values.insert(key.to_owned(), value);
        }
        Some(QuotaText { values })
    }

    /// The figures of a whole subtree.
    pub fn figures(count: i64, bytes: i64) -> QuotaText {
        let mut text = QuotaText::default();
        text.set_figures(count, bytes);
        text
    }

    /// Nodes: the figure, or the soft limit.
    pub fn count(&self) -> i64 {
        self.get("count")
    }

    /// Data bytes: the figure, or the soft limit.
    pub fn bytes(&self) -> i64 {
        self.get("bytes")
    }

    /// The hard limit of nodes.
    pub fn count_hard_limit(&self) -> i64 {
        self.get("countHardLimit")
    }

    /// The hard limit of data bytes.
    pub fn byte_hard_limit(&self) -> i64 {
        self.get("byteHardLimit")
    }

    pub(super) fn add(&mut self, count: i64, bytes: i64) {
        self.set_figures(self.count().wrapping_add(count), self.bytes().wrapping_add(bytes));
    }

    fn set_figures(&mut self, count: i64, bytes: i64) {
        self.values.insert("count".to_owned(), count);
        self.values.insert("bytes".to_owned(), bytes);
    }

    fn get(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or(-1)
    }
}

impl std::fmt::Display for QuotaText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "count={},bytes={}", self.count(), self.bytes())?;
        let others = self.values.iter().filter(|(key, _)| *key != "count" && *key != "bytes");
        for (at, (key, value)) in others.enumerate() {
            write!(f, "{};{key}={value}", if at == 0 { "=" } else { "" })?;
        }
        Ok(())
    }
}

/// The active quota roots.
#[derive(Debug, Default)]
pub(super) struct QuotaRoots(BTreeSet<Box<str>>);

impl QuotaRoots {
    pub fn insert(&mut self, path: &str) {
        self.0.insert(path.into());
    }

    pub fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// The deepest root at or above `path`. Outer ones don't see what happens below an inner one.
    pub fn deepest(&self, path: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let mut prefix = path;
        while !prefix.is_empty() {
            if let Some(root) = self.0.get(prefix) {
                return Some(root);
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
        None
    }
}

/// The quota root that the children of `parent` are about; none has the whole tree as its root.
pub(super) fn root_of(parent: &str) -> Option<&str> {
    parent.strip_prefix(QUOTA_PATH).filter(|root| root.starts_with('/'))
}

/// The path of a quota root's figures.
pub fn stats_path(root: &str) -> String {
    [QUOTA_PATH, root, "/", STATS_NAME].concat()
}

/// The path of a quota root's limits.
pub fn limits_path(root: &str) -> String {
    [QUOTA_PATH, root, "/", LIMITS_NAME].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_apache_reads_and_writes_them() {
        for (text, rewritten) in [
            ("", "count=-1,bytes=-1"),
            ("count=3,bytes=10", "count=3,bytes=10"),
            ("bytes=10,count=3", "count=3,bytes=10"),
            ("count=3,bytes=10=", "count=3,bytes=10"),
            ("count==3,bytes=10", "count=-1,bytes=10"),
            ("count=3;bytes=10,;", "count=3,bytes=10"),
            ("count=3,,;bytes=10", "count=3,bytes=10"),
            ("count=5", "count=5,bytes=-1"),
            (
                "count=1,bytes=2=;countHardLimit=4;byteHardLimit=-1",
                "count=1,bytes=2=;byteHardLimit=-1;countHardLimit=4",
            ),
            ("count=1,bytes=2,x=9", "count=1,bytes=2=;x=9"),
        ] {
            let parsed = QuotaText::parse(text.as_bytes()).map(|q| q.to_string());
            assert_eq!(parsed.as_deref(), Some(rewritten), "{text:?}");
        }
        for bad in ["x", "count", "count=", "count=a", ",count=1", "count=1 ,bytes=2", "=;"] {
            assert_eq!(QuotaText::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(QuotaText::parse(&[0xff]), None);
    }

    #[test]
    fn the_deepest_root_wins() {
        let mut roots = QuotaRoots::default();
        assert_eq!(roots.deepest("/a"), None);
        roots.insert("/a");
        roots.insert("/a/b/c");
        assert_eq!(roots.deepest("/a"), Some("/a"));
        assert_eq!(roots.deepest("/a/b"), Some("/a"));
        assert_eq!(roots.deepest("/a/b/c/d"), Some("/a/b/c"));
        assert_eq!(roots.deepest("/ab"), None);
        assert_eq!(roots.deepest("/"), None);
        roots.remove("/a/b/c");
        assert_eq!(roots.deepest("/a/b/c/d"), Some("/a"));
    }
}
