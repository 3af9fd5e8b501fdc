//! The scheme `ip`: addresses, and networks in lists (`IPAuthenticationProvider`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jute::Id;

/// The identity that every connection begins with, in the text that Java has for addresses: IPv6
/// in full, without the zone.
pub fn ip_identity(ip: IpAddr) -> Id<'static> {
    Id::new("ip", java_text(ip.to_canonical()))
}

fn java_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.segments().map(|segment| format!("{segment:x}")).join(":"),
    }
}

/// Whether a list may name this address or network.
pub(super) fn is_valid(listed: &str) -> bool {
    parse_network(listed).is_some()
}

/// Whether the address `caller` is in the network `listed`.
pub(super) fn matches(caller: &str, listed: &str) -> bool {
    let Some((network, bits)) = parse_network(listed) else { return false };
    match (parse_address(caller), network) {
        (Some(IpAddr::V4(caller)), IpAddr::V4(network)) => {
            let shift = 32 - bits;
            let [a, b] = [caller, network].map(|ip| ip.to_bits().checked_shr(shift).unwrap_or(0));
            a == b
        }
        (Some(IpAddr::V6(caller)), IpAddr::V6(network)) => {
            let shift = 128 - bits;
            let [a, b] = [caller, network].map(|ip| ip.to_bits().checked_shr(shift).unwrap_or(0));
            a == b
        }
        _ => false,
    }
}

/// An address, and how many of its bits count.
fn parse_network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address = parse_address(address)?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => u32::try_from(bits.parse::<i32>().ok()?).ok()?,
        None => max,
    };
    (bits <= max).then_some((address, bits))
}

/// Numbers are those of Java: a sign may stand before them.
fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return parse_v6(text).map(IpAddr::V6);
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// Eight segments, or fewer around one `::`; no dotted part.
fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let mut segments = [0; 8];
    match text.split_once("::") {
        None => {
            if parse_segments(text, &mut segments)? != 8 {
                return None;
            }
        }
        Some((_, tail)) if tail.contains("::") => return None,
        Some((head, tail)) => {
            let mut behind = [0; 8];
            let before = parse_segments(head, &mut segments)?;
            let count = parse_segments(tail, &mut behind)?;
            if before + count >= 8 {
                return None;
            }
            segments[8 - count..].copy_from_slice(&behind[..count]);
        }
    }
    Some(Ipv6Addr::from(segments))
}

/// How many segments were there; none in an empty text.
fn parse_segments(text: &str, segments: &mut [u16; 8]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut count = 0;
    for part in text.split(':') {
        if part.is_empty() || part.len() > 4 {
            return None;
        }
        *segments.get_mut(count)? = i32::from_str_radix(part, 16).ok()? as u16;
        count += 1;
    }
    Some(count)
}
