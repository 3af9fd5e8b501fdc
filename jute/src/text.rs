//! Strings as Java writes and reads them.
//!
//! Apache decodes with `new String(bytes, UTF_8)`, which puts U+FFFD where the bytes are not
//! UTF-8, and encodes each UTF-16 unit by itself (`BinaryOutputArchive.writeString`), so that a
//! supplementary character leaves as two three-byte surrogates (CESU-8).

use std::borrow::Cow;

/// Decodes bytes as Java does. Borrows whenever the bytes are UTF-8.
pub fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(s) => Cow::Borrowed(s),
        Err(_) => Cow::Owned(decode_damaged(bytes)),
    }
}

/// Appends `s` as Java's archives encode it.
pub fn encode_text(s: &str, out: &mut Vec<u8>) {
    if !has_supplementary(s) {
        out.extend_from_slice(s.as_bytes());
        return;
    }
    for c in s.chars() {
        let mut units = [0u16; 2];
        let units = c.encode_utf16(&mut units);
        if units.len() == 1 {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            for u in units {
                out.extend_from_slice(&[
                    0xe0 | (*u >> 12) as u8,
                    0x80 | ((*u >> 6) & 0x3f) as u8,
                    0x80 | (*u & 0x3f) as u8,
                ]);
            }
        }
    }
}

/// How many bytes [`encode_text`] appends.
pub fn encoded_len(s: &str) -> usize {
    // A supplementary character takes four bytes here and six there.
    s.len() + 2 * s.bytes().filter(|b| *b >= 0xf0).count()
}

fn has_supplementary(s: &str) -> bool {
    s.bytes().any(|b| b >= 0xf0)
}

/// Java replaces each ill-formed run once; the length of a run is the one of the Unicode
/// standard's "maximal subpart", except that a surrogate, whole or cut short, is one run.
fn decode_damaged(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(s) => {
                out.push_str(s);
                return out;
            }
            Err(e) => {
                let (good, bad) = rest.split_at(e.valid_up_to());
                out.push_str(std::str::from_utf8(good).expect("checked up to here"));
                out.push('\u{fffd}');
                let run = surrogate_len(bad).or(e.error_len()).unwrap_or(bad.len());
                rest = &bad[run..];
            }
        }
    }
}

/// How many bytes of a surrogate, which takes three, stand at the front.
fn surrogate_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => Some(3),
        [0xed, 0xa0..=0xbf, ..] => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supplementary_character_leaves_as_two_surrogates() {
        let mut out = Vec::new();
        encode_text("/\u{1f600}", &mut out);
        assert_eq!(out, [b'/', 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]);
        assert_eq!(out.len(), encoded_len("/\u{1f600}"));
    }

    #[test]
    fn a_surrogate_comes_back_as_one_replacement() {
        assert_eq!(decode_text(&[0xed, 0xa0, 0xbd, b'a']), "\u{fffd}a");
        assert_eq!(decode_text(&[0xed, 0xa0, b'a']), "\u{fffd}a");
    }

    #[test]
    fn a_broken_tail_is_one_replacement() {
        assert_eq!(decode_text(&[b'a', 0xe2, 0x82]), "a\u{fffd}");
        assert_eq!(decode_text(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
    }
}
