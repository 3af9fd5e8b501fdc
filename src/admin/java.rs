//! Numbers, dates and addresses as Java prints them, because monitors read them so.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A zone of the wall clock, as `dump` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Short name, such as `UTC` or `CET`.
    pub name: String,
    /// East of Greenwich.
    pub offset_s: i32,
}

impl Default for Zone {
    fn default() -> Zone {
        Zone { name: "UTC".into(), offset_s: 0 }
    }
}

/// `Double.toString`, with one difference: small values never get an exponent (`0.0004`, not
/// `4.0E-4`), because the patterns that monitors use for `Latency min/avg/max` don't know one.
pub fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    if value.abs() < 1e7 {
        return plain(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("an exponent was asked for");
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// The shortest digits that mean this double, with at least one decimal and no exponent.
fn plain(value: f64) -> String {
    let text = value.to_string();
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

/// `Date.toString`: `Sat Nov 21 01:44:50 UTC 2026`.
pub fn date(wall_ms: i64, zone: &Zone) -> String {
    let seconds = wall_ms.div_euclid(1000) + i64::from(zone.offset_s);
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp(seconds) else {
        return format!("{wall_ms} ms after 1970");
    };
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    format!(
        "{} {} {:02} {hour:02}:{minute:02}:{second:02} {} {}",
        &weekday[..3],
        &month[..3],
        at.day(),
        zone.name,
        at.year()
    )
}

/// `InetSocketAddress.toString` of a peer whose name was never looked up: `/127.0.0.1:2181`,
/// `/[0:0:0:0:0:0:0:1]:2181`. An IPv4 address in IPv6 clothes is an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip().to_canonical() {
            IpAddr::V4(ip) => write!(f, "/{ip}:{}", self.0.port()),
            IpAddr::V6(ip) => {
                let groups = ip.segments().map(|group| format!("{group:x}")).join(":");
                write!(f, "/[{groups}]:{}", self.0.port())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_as_in_java() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.7127, "0.7127"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (1234567.5, "1234567.5"),
            (9999999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.795e9, "1.795E9"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), text);
        }
        assert_eq!(double(0.0004), "0.0004", "our one difference");
    }

    #[test]
    fn dates_look_as_in_java() {
        assert_eq!(date(1_795_254_755_000, &Zone::default()), "Sat Nov 21 09:52:35 UTC 2026");
        let zone = Zone { name: "CET".into(), offset_s: 3600 };
        assert_eq!(date(-1, &zone), "Thu Jan 01 00:59:59 CET 1970");
    }

    #[test]
    fn addresses_look_as_in_java() {
        for (address, text) in [
            ("127.0.0.1:47566", "/127.0.0.1:47566"),
            ("[::1]:2181", "/[0:0:0:0:0:0:0:1]:2181"),
            ("[::ffff:10.0.0.9]:5", "/10.0.0.9:5"),
            ("[2001:db8::a:0]:5", "/[2001:db8:0:0:0:0:a:0]:5"),
        ] {
            let address = Address(address.parse().expect("an address"));
            assert_eq!(address.to_string(), text);
        }
    }
}
