//! Damage as it is done to good bytes, in ways that lengths and counts don't like.

/// Numbers at which they go wrong.
const EDGES: [i32; 10] = [i32::MIN, -2, -1, 0, 1, 2, 0xffff, 0xf_ffff, 0x1f_ffff, i32::MAX];

/// Does one to four damages to `bytes`. `others` is where foreign pieces come from, and `below`
/// draws a number below its argument.
pub fn damage(
    bytes: &mut Vec<u8>,
    others: &[impl AsRef<[u8]>],
    mut below: impl FnMut(usize) -> usize,
) {
    for _ in 0..=below(4) {
        let at = below(bytes.len() + 1);
        match below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            1 if at < bytes.len() => bytes[at] = below(256) as u8,
            2 if at + 4 <= bytes.len() => {
                bytes[at..at + 4].copy_from_slice(&EDGES[below(EDGES.len())].to_be_bytes());
            }
            3 => bytes.truncate(at),
            4 => {
                let other = others[below(others.len())].as_ref();
                let from = below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            5 => {
                let piece = bytes[at..(at + below(64)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.push(below(256) as u8),
        }
    }
}
