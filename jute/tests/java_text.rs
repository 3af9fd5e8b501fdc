//! Text as a real Java virtual machine decodes it: `golden/Text.java` made `golden/text.txt`.

use jute::decode_text;

/// Bytes at which decoders turn: the same as in `Text.java`.
const TURNS: [u8; 29] = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
    0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfc, 0xfe, 0xff,
];

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let text = digits.map(|pair| std::str::from_utf8(pair).expect("hex digits"));
    text.map(|pair| u8::from_str_radix(pair, 16).expect("hex digits")).collect()
}

/// FNV-1a over the decodings of all strings of this length, each followed by 0xff.
fn hash_of_all(length: u32) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    for number in 0..TURNS.len().pow(length) {
        let digit = |place| number / TURNS.len().pow(place) % TURNS.len();
        let bytes: Vec<u8> = (0..length).rev().map(|place| TURNS[digit(place)]).collect();
        decode_text(&bytes).bytes().for_each(&mut add);
        add(0xff);
    }
    hash
}

#[test]
fn bytes_that_are_no_text_decode_as_in_java() {
    let (mut hashes, mut strings) = (0, 0);
    for line in include_str!("golden/text.txt").lines() {
        if let Some(all) = line.strip_prefix("all ") {
            let (length, hash) = all.split_once(' ').expect("a length and a hash");
            let length = length.parse().expect("a number");
            assert_eq!(hash_of_all(length).to_string(), hash, "some string of {length} bytes");
            hashes += 1;
        } else {
            let (bytes, decoded) = line.split_once(' ').expect("bytes and what they decode to");
            let found = decode_text(&bytes_of(bytes)).into_owned();
            assert_eq!(found.as_bytes(), bytes_of(decoded), "{bytes}");
            strings += 1;
        }
    }
    assert_eq!((hashes, strings), (4, 3_000));
}
