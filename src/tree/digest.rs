//! The tree digest, version 2 (Apache's `DigestCalculator`): a wrapping sum of one CRC-32 a node.
//!
//! A node's CRC runs over its path, its data and its stat. The part over path and data is kept
//! with the node, so that the stat of a parent can change without its data being read.

use jute::StatPersisted;

/// What a `TxnDigest` must say to be compared with ours.
pub const DIGEST_VERSION: i32 = 2;

/// Whether the node of this path counts. What is below `/zookeeper` differs between servers.
pub fn is_digested(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

/// The first part of a node's digest. "/" is hashed as the empty path.
pub fn path_data_crc(path: &str, data: Option<&[u8]>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    if path != "/" {
        crc.update(path.as_bytes());
    }
    crc.update(data.unwrap_or_default());
    crc.finalize()
}

/// What the node adds to the tree's digest, given its [`path_data_crc`]. 0 for a path that does
/// not count.
pub fn node_digest(path_data_crc: u32, path: &str, stat: &StatPersisted) -> u64 {
    if !is_digested(path) {
        return 0;
    }
    let mut bytes = [0; 60];
    let longs = [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime];
    for (at, long) in longs.into_iter().enumerate() {
        bytes[8 * at..8 * at + 8].copy_from_slice(&long.to_be_bytes());
    }
    for (at, int) in [stat.version, stat.cversion, stat.aversion].into_iter().enumerate() {
        bytes[40 + 4 * at..44 + 4 * at].copy_from_slice(&int.to_be_bytes());
    }
    bytes[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(path_data_crc);
    crc.update(&bytes);
    u64::from(crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from Apache 3.9.5: create /abc with "hi" at zxid 0x100000002.
    #[test]
    fn the_vector_of_apache() {
        let (zxid, time) = (0x1_0000_0002, 1_795_223_887_849);
        let root = StatPersisted { cversion: 1, pzxid: zxid, ..StatPersisted::default() };
        let node = StatPersisted {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ..StatPersisted::default()
        };
        assert_eq!(node_digest(path_data_crc("/", None), "/", &root), 0xeb02_e853);
        assert_eq!(node_digest(path_data_crc("", Some(b"")), "", &root), 0xeb02_e853);
        assert_eq!(node_digest(path_data_crc("/abc", Some(b"hi")), "/abc", &node), 0x89da_8bb3);
    }

    #[test]
    fn below_zookeeper_nothing_counts() {
        let stat = StatPersisted::default();
        assert_eq!(node_digest(path_data_crc("", None), "", &stat), 0x0412_8908);
        assert_eq!(
            node_digest(path_data_crc("/zookeeper", None), "/zookeeper", &stat),
            0x4db4_4d58
        );
        assert_eq!(node_digest(1, "/zookeeper/quota", &stat), 0);
        assert_ne!(node_digest(1, "/zookeeperx", &stat), 0);
    }
}
