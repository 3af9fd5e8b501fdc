//! The end of the newest log: was it torn by a power failure, or is it damaged?
//!
//! A torn tail was never acknowledged and is cut off. A damaged record may have been, so the
//! server must not start without it. The two are told apart by what each can do to the bytes:
//!
//! - Blocks read as zeros until written, and a sector is written from its front. So wherever a
//!   crash kept bytes from the disk there are zeros **up to the end of a sector**, and the
//!   checksum differs by just what bytes in those places can add to it.
//! - A flipped bit leaves everything else in place: one changed bit in the body, one changed byte
//!   in the checksum or another length explain the record completely. A torn record looks so once
//!   in a few thousand times at worst, in a tail of a megabyte; in one of a kilobyte once in a
//!   million. (Only a byte that became zero right in front of zeros up to the end of its sector
//!   looks like a tear. The watermark, synced.rs, is for that.)
//!
//! Where Apache takes every record without its end byte for the end of the log, and every one
//! with a wrong checksum for a reason not to start, this module is right in both cases.

use super::log_format::{adler32, split_head, Fault, BODY_MIN, END, RECORD_EXTRA, RECORD_HEAD};

/// What disks write whole, or from the front.
pub const SECTOR: usize = 512;
/// Adler-32's modulus.
const MOD: i64 = 65521;
/// Other lengths are tried up to this one, bytes: far more than any request may have.
const LENGTH_MAX: usize = 64 << 20;

/// What a broken record in the tail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Zeros only: the log ends here.
    Clean,
    /// A write that did not reach the disk whole. Nothing from here on was acknowledged.
    Torn,
    /// A tear that took nothing but the end byte, or bytes of the length: the body is there, this
    /// long, and has its checksum. It is kept, and its length and end are written again.
    Whole { body_len: usize },
    /// Changed after it was written; it may have been acknowledged.
    Damaged(&'static str),
}

/// Judges what is at `at`, where `fault` was found, in the newest log. Nothing at or behind `at`
/// is known to have been durable.
pub fn judge(bytes: &[u8], at: usize, fault: Fault) -> Tail {
    let rest = &bytes[at..];
    if rest.iter().all(|b| *b == 0) {
        return Tail::Clean;
    }
    let Some((head, tail)) = rest.split_first_chunk::<RECORD_HEAD>() else {
        return Tail::Torn;
    };
    let (sum, len) = split_head(head);
    if let (Some(right), false) = (fitting_length(tail, sum), matches!(fault, Fault::EndByte(_))) {
        return judge_length(bytes, at, len, right);
    }
    if len < BODY_MIN as i32 || tail.len() <= len as usize {
        return judge_head(bytes, at, len);
    }
    let len = len as usize;
    let (body, end) = (&tail[..len], tail[len]);
    let body_at = at + RECORD_HEAD;
    match fault {
        Fault::EndByte(_) if may_be_missing(bytes, body_at + len) => Tail::Whole { body_len: len },
        Fault::EndByte(_) => Tail::Damaged("its end byte was changed"),
        _ if end != END => judge_gaps(bytes, at, len, sum),
        _ if changed_byte(body, sum).is_some_and(|i| !may_be_missing(bytes, at + i)) => {
            Tail::Damaged("its checksum was changed")
        }
        _ if bit_flipped(body, sum, |i| !may_be_missing(bytes, body_at + i)) => {
            Tail::Damaged("one bit of it was changed")
        }
        _ => judge_gaps(bytes, at, len, sum),
    }
}

/// With the length `right` the record is whole.
fn judge_length(bytes: &[u8], at: usize, len: i32, right: usize) -> Tail {
    let changed = len.to_be_bytes().into_iter().zip((right as u32).to_be_bytes());
    let mut changed = changed.enumerate().filter(|(_, (is, was))| is != was);
    if changed.all(|(i, _)| may_be_missing(bytes, at + 8 + i)) {
        Tail::Whole { body_len: right }
    } else {
        Tail::Damaged("its length was changed: with another one the checksum is right")
    }
}

/// The length is none, or leads out of the file.
fn judge_head(bytes: &[u8], at: usize, len: i32) -> Tail {
    if (at..at + RECORD_HEAD).any(|i| may_be_missing(bytes, i)) {
        return Tail::Torn;
    }
    // The file was cut, or never grew: what is missing lies behind its end.
    if len >= BODY_MIN as i32 {
        return Tail::Torn;
    }
    Tail::Damaged("its length cannot be")
}

/// Whether the byte at `i` may never have been written: it is zero, and so is all behind it in its
/// sector.
fn may_be_missing(bytes: &[u8], i: usize) -> bool {
    let end = (i / SECTOR * SECTOR + SECTOR).min(bytes.len());
    bytes[i..end].iter().all(|b| *b == 0)
}

/// Length and end are plausible, the checksum is wrong: look for sectors that end in zeros and
/// hold the difference against what may be missing there.
fn judge_gaps(bytes: &[u8], at: usize, len: usize, sum: i64) -> Tail {
    let body_start = at + RECORD_HEAD;
    let record_end = at + len + RECORD_EXTRA;
    let gaps = gaps(bytes, at, record_end);
    if gaps.is_empty() {
        return Tail::Damaged("it was changed, and no part of it is missing");
    }
    if gaps.iter().any(|gap| gap.start < body_start) {
        // Checksum or length are not all there: no telling what they were.
        return Tail::Torn;
    }
    let body = &bytes[body_start..body_start + len];
    let Ok(sum) = u32::try_from(sum) else {
        return Tail::Damaged("its checksum was changed");
    };
    // Distances from the body's end, which is how Adler-32 weighs them; first to last.
    let missing: Vec<(usize, usize)> = gaps
        .iter()
        .map(|gap| (gap.start.max(body_start), gap.end.min(body_start + len)))
        .filter(|(start, end)| start < end)
        .map(|(start, end)| (body_start + len - end + 1, body_start + len - start))
        .collect();
    if explains(adler32(body), sum, &missing) {
        Tail::Torn
    } else {
        Tail::Damaged("it was changed, and not where a part of it is missing")
    }
}

/// The stretches of `from..to` that are zeros up to the end of their sector.
fn gaps(bytes: &[u8], from: usize, to: usize) -> Vec<std::ops::Range<usize>> {
    let mut gaps: Vec<std::ops::Range<usize>> = Vec::new();
    let mut sector = from / SECTOR * SECTOR;
    while sector < to {
        let end = (sector + SECTOR).min(bytes.len());
        let start = sector.max(from);
        let zeros = bytes[start..end].iter().rev().take_while(|b| **b == 0).count();
        let gap = end - zeros..end.min(to);
        if gap.start < gap.end {
            match gaps.last_mut() {
                Some(last) if last.end == gap.start => last.end = gap.end,
                _ => gaps.push(gap),
            }
        }
        sector += SECTOR;
    }
    gaps
}

/// Whether bytes put into the given places (weights `low..=high`, 1 is the body's last byte) can
/// turn checksum `have` into `want`.
fn explains(have: u32, want: u32, places: &[(usize, usize)]) -> bool {
    let (da, db) = difference(have, want);
    let room: i64 = places.iter().map(|(low, high)| 255 * (high - low + 1) as i64).sum();
    let mut sum = da;
    while sum <= room {
        let (least, most) =
            (weigh(sum, places.iter().rev(), false), weigh(sum, places.iter(), true));
        // Some total between `least` and `most` must be `db` modulo 65521.
        if least + (db - least).rem_euclid(MOD) <= most {
            return true;
        }
        sum += MOD;
    }
    false
}

/// The total weight when bytes summing to `sum` are put as low, or as high, as they go.
fn weigh<'a>(
    mut sum: i64,
    places: impl Iterator<Item = &'a (usize, usize)>,
    from_high: bool,
) -> i64 {
    let mut total = 0;
    for (low, high) in places {
        let count = (high - low + 1) as i64;
        let full = (sum / 255).min(count);
        let (low, high) = (*low as i64, *high as i64);
        // `full` bytes of 255 at one end, and what is left in the next.
        total += if from_high {
            255 * (full * high - full * (full - 1) / 2)
        } else {
            255 * (full * low + full * (full - 1) / 2)
        };
        sum -= 255 * full;
        if full < count {
            total += sum * if from_high { high - full } else { low + full };
            return total;
        }
    }
    total
}

/// What must be added to both halves of the checksum, modulo 65521.
fn difference(have: u32, want: u32) -> (i64, i64) {
    let half = |sum: u32| (i64::from(sum & 0xffff), i64::from(sum >> 16));
    let ((a, b), (wa, wb)) = (half(have), half(want));
    ((wa - a).rem_euclid(MOD), (wb - b).rem_euclid(MOD))
}

/// The byte in which alone the checksum differs from the body's, if there is one.
fn changed_byte(body: &[u8], sum: i64) -> Option<usize> {
    let right = i64::from(adler32(body)).to_be_bytes().into_iter().zip(sum.to_be_bytes());
    let mut changed = right.enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i);
    changed.next().filter(|_| changed.next().is_none())
}

/// Whether the body has its checksum again once a certain bit of it is turned, one that `counts`.
fn bit_flipped(body: &[u8], sum: i64, counts: impl Fn(usize) -> bool) -> bool {
    let Ok(sum) = u32::try_from(sum) else { return false };
    let (da, db) = difference(adler32(body), sum);
    (0..8).any(|bit| {
        let value = 1 << bit;
        // The bit was set and must be cleared, or the other way round.
        let (set, db) = match da {
            _ if da == value => (false, db),
            _ if da == MOD - value => (true, (-db).rem_euclid(MOD)),
            _ => return false,
        };
        let first = (db * inverse(value)).rem_euclid(MOD) as usize;
        let first = if first == 0 { MOD as usize } else { first };
        let weights = (first..=body.len()).step_by(MOD as usize);
        weights
            .map(|weight| body.len() - weight)
            .any(|i| (body[i] >> bit & 1 == 1) == set && counts(i))
    })
}

/// The inverse of a power of two modulo 65521, which is prime.
fn inverse(value: i64) -> i64 {
    let (mut result, mut base, mut exponent) = (1, value, MOD - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % MOD;
        }
        base = base * base % MOD;
        exponent >>= 1;
    }
    result
}

/// The length that gives a record with this checksum and an end byte, if there is one.
fn fitting_length(tail: &[u8], sum: i64) -> Option<usize> {
    let sum = u32::try_from(sum).ok()?;
    let used = tail.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1).min(LENGTH_MAX);
    let (mut a, mut b) = (1u32, 0u32);
    for (i, byte) in tail[..used].iter().enumerate() {
        if i >= BODY_MIN && *byte == END && (b << 16 | a) == sum {
            return Some(i);
        }
        a = (a + u32::from(*byte)) % MOD as u32;
        b = (b + a) % MOD as u32;
    }
    None
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
