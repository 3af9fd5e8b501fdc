//! File names in `version-2`: which are ours to read, and what zxid they carry.

use crate::types::Zxid;

use super::snapshot::Compression;

/// Prefix of transaction logs.
pub const LOG_PREFIX: &str = "log.";
/// Prefix of snapshots.
pub const SNAPSHOT_PREFIX: &str = "snapshot.";
/// A snapshot being written. Apache takes anything that begins with `snapshot.` or `log.` for
/// one of its files, so none of our other names begins so.
pub const PART_PREFIX: &str = "oxkeeper.part.";
/// A snapshot from a leader is being put in the place of everything else: see `install.rs`.
pub const INSTALL: &str = "oxkeeper.install";
/// This server has lost its history and does not vote: see `recovery/stranger.rs`.
pub const STRANGER: &str = "oxkeeper.stranger";
/// The last epoch this server promised itself to: see `epochs.rs`.
pub const ACCEPTED_EPOCH: &str = "acceptedEpoch";
/// The last epoch whose history this server has made its own.
pub const CURRENT_EPOCH: &str = "currentEpoch";
/// A file set aside because it could not be read.
pub const BAD_PREFIX: &str = "oxkeeper.bad.";
/// The watermark of the newest log: see `synced.rs`.
pub const SYNCED: &str = "oxkeeper.synced";
/// Up to where ids of sessions may have been given out: see `session_ids.rs`.
pub const SESSION_IDS: &str = "oxkeeper.sessions";
/// The snapshots this server wrote: see `origin.rs`.
pub const ORIGIN: &str = "oxkeeper.snapshots";

/// `log.<zxid of the first record>`, as Apache's `Util.makeLogName`.
pub fn log_name(first: Zxid) -> String {
    format!("{LOG_PREFIX}{:x}", first.0)
}

/// `snapshot.<zxid>[.gz|.snappy]`, as Apache's `Util.makeSnapshotName`.
pub fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("{SNAPSHOT_PREFIX}{:x}{}", zxid.0, compression.extension())
}

/// The zxid in the name of a transaction log. A name with anything behind the number
/// (`log.5.bak`) is somebody's copy and no log.
pub fn parse_log(name: &str) -> Option<Zxid> {
    parse_hex(name.strip_prefix(LOG_PREFIX)?)
}

/// The zxid and encoding in the name of a snapshot; copies and leftovers as in [`parse_log`].
pub fn parse_snapshot(name: &str) -> Option<(Zxid, Compression)> {
    let rest = name.strip_prefix(SNAPSHOT_PREFIX)?;
    let (hex, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((hex, "gz")) => (hex, Compression::Gzip),
        Some((hex, "snappy")) => (hex, Compression::Snappy),
        Some(_) => return None,
    };
    Some((parse_hex(hex)?, compression))
}

fn parse_hex(digits: &str) -> Option<Zxid> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let value = i64::from_str_radix(digits, 16).ok()?;
    plain.then_some(Zxid(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        assert_eq!(parse_log(&log_name(Zxid(0x1_0000_0001))), Some(Zxid(0x1_0000_0001)));
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
            let name = snapshot_name(Zxid(0xa5), compression);
            assert_eq!(parse_snapshot(&name), Some((Zxid(0xa5), compression)));
        }
        assert_eq!(parse_snapshot("snapshot.0"), Some((Zxid(0), Compression::None)));
    }

    #[test]
    fn copies_and_leftovers_are_not_ours() {
        for name in ["log.", "log.5.bak", "log.5.tmp", "log.+5", "log.xyz", "logs.5", "log.5 "] {
            assert_eq!(parse_log(name), None, "{name}");
        }
        for name in ["snapshot.5.tmp", "snapshot.5.gz.bak", "snapshot.", "snapshot.-1"] {
            assert_eq!(parse_snapshot(name), None, "{name}");
        }
        assert_eq!(parse_log("log.ffffffffffffffff"), None, "no such zxid");
    }
}
