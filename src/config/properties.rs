//! The grammar of Java's properties files, in which zoo.cfg and the dynamic files are written.
//!
//! Source: the documentation of `java.util.Properties.load`, read as Apache uses it: bytes are
//! ISO-8859-1, the last of two equal keys wins, and keys and values are trimmed afterwards. Two
//! stages, as in Java, because a continued line may break anywhere, even inside an escape: first
//! natural lines become logical ones, then each is split and unescaped. Line numbers are kept, so
//! that every later complaint can point at its line.

use nom::branch::alt;
use nom::bytes::complete::{is_a, is_not, tag, take, take_while, take_while_m_n};
use nom::character::complete::char;
use nom::combinator::{eof, map, not, opt, recognize, value};
use nom::multi::{fold_many0, many0_count};
use nom::sequence::{pair, preceded, terminated};
use nom::{IResult, Parser};

/// One `key=value`, trimmed, with the number (from 1) of the natural line on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub line: u32,
}

/// A whole file: the entries that count, in the order of the file, and those that a later entry of
/// the same key has replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    pub entries: Vec<Entry>,
    pub replaced: Vec<Entry>,
}

/// A `\u` that four hexadecimal digits do not follow; the words are Java's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Malformed \\uxxxx encoding.")]
pub struct MalformedEscape {
    /// The line, from 1.
    pub line: u32,
}

impl Properties {
    /// Reads the bytes of a file. The only thing that can be wrong with them is a broken `\u`.
    pub fn parse(bytes: &[u8]) -> Result<Properties, MalformedEscape> {
        let mut properties = Properties::default();
        let mut rest = bytes;
        let mut line = 1;
        while !rest.is_empty() {
            let (after, logical) = logical_line(rest).expect("every byte string has a next line");
            debug_assert!(after.len() < rest.len());
            if let Some(text) = logical {
                let (key, value) = split(&text).ok_or(MalformedEscape { line })?;
                properties.insert(Entry { key, value, line });
            }
            line += line_ends(&rest[..rest.len() - after.len()]);
            rest = after;
        }
        Ok(properties)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|entry| entry.value.as_str())
    }

    /// The entry of a key.
    pub fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn insert(&mut self, entry: Entry) {
        if let Some(at) = self.entries.iter().position(|e| e.key == entry.key) {
            self.replaced.push(self.entries.remove(at));
        }
        self.entries.push(entry);
    }
}

/// The next logical line: `None` for a blank or a comment, else its bytes with the continuations
/// joined. Leading blanks are gone, escapes are still there. A line of nothing but a backslash is
/// blank, and what follows it may be a comment.
fn logical_line(input: &[u8]) -> IResult<&[u8], Option<Vec<u8>>> {
    let (input, _) = blanks(input)?;
    alt((
        value(None, (opt(char('\\')), end_of_line)),
        value(None, (is_a("#!"), opt(is_not("\r\n")), end_of_line)),
        map(terminated(joined, end_of_line), Some),
    ))
    .parse(input)
}

/// Everything up to the line end that no backslash hides.
fn joined(input: &[u8]) -> IResult<&[u8], Vec<u8>> {
    let continuation = (char('\\'), line_end, blanks);
    let dangling = (char('\\'), eof);
    let escape = recognize(pair(char('\\'), take(1usize)));
    let piece =
        alt((value(&b""[..], continuation), value(&b""[..], dangling), escape, is_not("\\\r\n")));
    fold_many0(piece, Vec::new, |mut text: Vec<u8>, piece: &[u8]| {
        text.extend_from_slice(piece);
        text
    })
    .parse(input)
}

fn blanks(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(is_blank).parse(input)
}

fn line_end(input: &[u8]) -> IResult<&[u8], &[u8]> {
    alt((tag("\r\n"), tag("\n"), tag("\r"))).parse(input)
}

fn end_of_line(input: &[u8]) -> IResult<&[u8], &[u8]> {
    alt((line_end, eof)).parse(input)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

/// How many natural lines these bytes end.
fn line_ends(bytes: &[u8]) -> u32 {
    let ends = bytes.iter().enumerate().filter(|&(at, &byte)| {
        byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
    });
    u32::try_from(ends.count()).unwrap_or(u32::MAX)
}

/// Key and value of a logical line. `None` if an escape is broken.
fn split(line: &[u8]) -> Option<(String, String)> {
    let (value, key) = raw_key(line).expect("a key may be empty, so there is always one");
    Some((trim(&unescape(key)?).to_owned(), trim(&unescape(value)?).to_owned()))
}

/// The bytes of the key, up to the first separator that no backslash hides; the separator, which
/// is blanks around at most one `=` or `:`, is consumed.
fn raw_key(line: &[u8]) -> IResult<&[u8], &[u8]> {
    let escape = recognize(pair(char('\\'), take(1usize)));
    let plain = recognize(preceded(not(char('\\')), take_while_m_n(1, 1, |b| !ends_key(b))));
    let key = recognize(many0_count(alt((escape, plain))));
    terminated(key, (blanks, opt(alt((char('='), char(':')))), blanks)).parse(line)
}

fn ends_key(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'=' | b':')
}

/// Bytes to text, escapes resolved. Halves of a surrogate pair may come as two `\u`; a lone half,
/// which Java would carry on, becomes U+FFFD.
fn unescape(bytes: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        let unit = match byte {
            b'\\' => match rest.next() {
                Some(b't') => u16::from(b'\t'),
                Some(b'n') => u16::from(b'\n'),
                Some(b'r') => u16::from(b'\r'),
                Some(b'f') => 0x0c,
                Some(b'u') => four_digits(&mut rest)?,
                Some(&other) => u16::from(other),
                None => break,
            },
            latin1 => u16::from(latin1),
        };
        units.push(unit);
    }
    Some(String::from_utf16_lossy(&units))
}

fn four_digits<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = (*bytes.next()? as char).to_digit(16)?;
        unit = unit << 4 | digit as u16;
    }
    Some(unit)
}

/// `String.trim` of Java: control characters count as blanks, other Unicode blanks do not.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `line key -> value` for each entry that counts.
    fn read(text: &str) -> Vec<String> {
        let properties = Properties::parse(text.as_bytes()).expect("no broken escape in this test");
        let line = |e: &Entry| format!("{} {} -> {}", e.line, e.key, e.value);
        properties.entries.iter().map(line).collect()
    }

    #[test]
    fn any_of_the_three_separators_ends_the_key() {
        let text = "a=1\nb: 2\nc 3\nd = 4\ne\t:\t5\nf==6\ng";
        let want =
            ["1 a -> 1", "2 b -> 2", "3 c -> 3", "4 d -> 4", "5 e -> 5", "6 f -> =6", "7 g -> "];
        assert_eq!(read(text), want);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_but_counted() {
        assert_eq!(read("# a=1\n\n  ! b=2\r\n \t \r c=3 # d\n"), ["5 c -> 3 # d"]);
    }

    #[test]
    fn a_comment_is_never_continued() {
        assert_eq!(read("# a \\\nb=1"), ["2 b -> 1"]);
    }

    #[test]
    fn an_odd_backslash_continues_the_line_and_an_even_one_does_not() {
        assert_eq!(read("a=1\\\n   2\nb=3\\\\\nc=4"), ["1 a -> 12", "3 b -> 3\\", "4 c -> 4"]);
    }

    #[test]
    fn a_continued_line_is_no_comment_and_keeps_the_number_of_its_start() {
        assert_eq!(read("a=1,\\\r\n  #2,\\\r\n  3\r\nb=4"), ["1 a -> 1,#2,3", "4 b -> 4"]);
    }

    #[test]
    fn a_line_may_break_inside_the_key_around_the_separator_and_inside_an_escape() {
        assert_eq!(read("ab\\\n  c\\\n = \\\n 1\nd=\\u00\\\n41"), ["1 abc -> 1", "5 d -> A"]);
    }

    #[test]
    fn an_empty_continuation_and_a_backslash_at_the_end_of_the_file_end_the_value() {
        assert_eq!(read("a=1\\\n\nb=2\\"), ["1 a -> 1", "3 b -> 2"]);
    }

    #[test]
    fn a_backslash_alone_and_a_blank_last_line_are_no_entries() {
        assert_eq!(read("a=1\n\\\n# no entry\n \\"), ["1 a -> 1"]);
        assert_eq!(read("a=1\n \t"), ["1 a -> 1"]);
    }

    #[test]
    fn escapes_hide_separators_and_stand_for_characters() {
        let text = "a\\:b\\=c\\ d=x\\ty\\u00e9\\q\\\\";
        assert_eq!(read(text), ["1 a:b=c d -> x\ty\u{e9}q\\"]);
    }

    #[test]
    fn bytes_are_latin_1_and_surrogates_pair_up() {
        let properties = Properties::parse(b"a=\xe9\\ud83d\\ude00").expect("well formed");
        assert_eq!(properties.get("a"), Some("\u{e9}\u{1f600}"));
    }

    #[test]
    fn a_broken_unicode_escape_names_its_line() {
        let broken = Properties::parse(b"a=1\nb=\\u00g0\n").expect_err("g is no digit");
        assert_eq!(broken, MalformedEscape { line: 2 });
        assert_eq!(broken.to_string(), "Malformed \\uxxxx encoding.");
        assert!(Properties::parse(b"a=\\u12").is_err());
    }

    #[test]
    fn the_last_of_two_equal_keys_wins_and_the_first_is_remembered() {
        let properties = Properties::parse(b"a=1\nb=2\n a =3").expect("well formed");
        assert_eq!(properties.get("a"), Some("3"));
        assert_eq!(properties.entries.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(properties.replaced[0].line, 1);
    }

    #[test]
    fn values_lose_the_blanks_around_them_and_keep_those_inside() {
        assert_eq!(read("a =  x  y \t"), ["1 a -> x  y"]);
    }

    #[test]
    fn no_byte_string_is_too_odd_to_be_read() {
        for text in ["", "\\", "=", ":=", "\\\n", " ", "\r", "\n\r", "#", "\\\\\\", "a\\\r"] {
            Properties::parse(text.as_bytes()).expect("nothing here is a broken escape");
        }
    }

    /// Text as the golden file spells it.
    fn spelled(text: &str) -> String {
        let spell = |unit: u16| match u8::try_from(unit) {
            Ok(c) if c.is_ascii_graphic() && !b"%=\\".contains(&c) => char::from(c).to_string(),
            Ok(c) => format!("%{c:02x}"),
            Err(_) => format!("%u{unit:04x}"),
        };
        text.encode_utf16().map(spell).collect()
    }

    fn bytes_of(spelled: &str) -> Vec<u8> {
        let mut pieces = spelled.split('%');
        let mut bytes = pieces.next().unwrap_or("").as_bytes().to_vec();
        for piece in pieces {
            bytes.push(u8::from_str_radix(&piece[..2], 16).expect("two digits"));
            bytes.extend_from_slice(&piece.as_bytes()[2..]);
        }
        bytes
    }

    /// The cases come from a run of Java; ours agreed on 60,000 more of the same kind.
    #[test]
    fn odd_files_read_as_in_java() {
        let golden = include_str!("../../tests/golden_config/java_properties.txt");
        for line in golden.lines().filter(|line| !line.starts_with("# ")) {
            let (bytes, want) = line.split_once('\t').expect("two columns");
            let got = match Properties::parse(&bytes_of(bytes)) {
                Err(_) => "refused".to_owned(),
                Ok(properties) => {
                    let entry = |e: &Entry| format!("{}={}", spelled(&e.key), spelled(&e.value));
                    let named = properties.entries.iter().filter(|e| !e.key.is_empty());
                    let mut entries: Vec<String> = named.map(entry).collect();
                    entries.sort_unstable();
                    entries.join(" ")
                }
            };
            let mut want: Vec<&str> = want.split(' ').collect();
            want.sort_unstable();
            assert_eq!(got, want.join(" "), "{bytes}");
        }
    }
}
