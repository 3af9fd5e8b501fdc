//! The committed sequence of a real run, from its members' log files.
//!
//! A second, plain reader of the format (Apache's `FileTxnLog`): 16 bytes of header, then records
//! of checksum (8), length (4), body and one byte `B`; zeros or the file's end end it.

use std::collections::BTreeMap;

use jute::txn::TxnRecord;
use jute::Decode;

use crate::types::{LoggedTxn, Zxid};

const HEADER: usize = 16;
const MAGIC: &[u8] = b"ZKLG";
const ZXID_AT: std::ops::Range<usize> = 12..20;

/// The records of one log file.
///
/// # Errors
///
/// The bytes are no log.
pub fn parse_log(bytes: &[u8]) -> Result<Vec<LoggedTxn>, String> {
    if !bytes.starts_with(MAGIC) || bytes.len() < HEADER {
        return Err("no log of transactions: its first bytes are not ZKLG".to_owned());
    }
    let mut txns = Vec::new();
    let mut rest = &bytes[HEADER..];
    while let Some((head, behind)) = rest.split_at_checked(12) {
        let length = i32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        let Ok(length @ 1..) = usize::try_from(length) else { break };
        let Some((body, end)) = behind.split_at_checked(length) else { break };
        let (Some(b'B'), Some(zxid)) = (end.first(), body.get(ZXID_AT)) else { break };
        let zxid = Zxid(i64::from_be_bytes(zxid.try_into().expect("eight bytes")));
        txns.push(LoggedTxn { zxid, bytes: body.to_vec().into() });
        rest = &end[1..];
    }
    Ok(txns)
}

/// What most of the members have, once a run has come to rest: in their logs, or under the
/// snapshot that they were given in place of the logs before it. What fewer have was cut off by a
/// later leader, or is left in a log that a snapshot has overtaken.
///
/// # Errors
///
/// Two members have different transactions under one zxid.
pub fn committed(members: Vec<Vec<LoggedTxn>>) -> Result<Vec<LoggedTxn>, String> {
    let most = members.len() / 2 + 1;
    let begins = |member: &Vec<LoggedTxn>| member.iter().map(|txn| txn.zxid).min();
    let begin: Vec<Option<Zxid>> = members.iter().map(begins).collect();
    let mut all: BTreeMap<Zxid, (LoggedTxn, usize)> = BTreeMap::new();
    for member in members {
        // A log may hold a record twice.
        let once: BTreeMap<Zxid, LoggedTxn> = member.into_iter().map(|t| (t.zxid, t)).collect();
        for (zxid, txn) in once {
            let (first, count) = all.entry(zxid).or_insert_with(|| (txn.clone(), 0));
            *count += 1;
            if !is_same(first, &txn) {
                return Err(format!("two members have different transactions under {zxid}"));
            }
        }
    }
    let under_snapshot =
        |zxid: Zxid| begin.iter().filter(|begin| begin.is_none_or(|begin| begin > zxid)).count();
    let common = all
        .into_values()
        .filter(|(txn, count)| count + under_snapshot(txn.zxid) >= most)
        .map(|(txn, _)| txn);
    Ok(common.collect())
}

/// Members may keep a digest with it, or not.
fn is_same(one: &LoggedTxn, other: &LoggedTxn) -> bool {
    if one.bytes == other.bytes {
        return true;
    }
    match (TxnRecord::from_bytes(&one.bytes), TxnRecord::from_bytes(&other.bytes)) {
        (Ok(one), Ok(other)) => one.header == other.header && one.txn == other.txn,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use jute::txn::{Txn, TxnHeader};
    use jute::Encode;

    use super::*;

    fn txn(zxid: i64, error: i32) -> LoggedTxn {
        let header = TxnHeader { client_id: 1, cxid: 2, zxid, time_ms: 3, kind: -1 };
        let bytes = TxnRecord { header, txn: Txn::Error(error), digest: None }.to_bytes();
        LoggedTxn { zxid: Zxid(zxid), bytes: bytes.into() }
    }

    fn file(txns: &[LoggedTxn]) -> Vec<u8> {
        let mut out = [b"ZKLG".as_slice(), &2i32.to_be_bytes(), &[0; 8]].concat();
        for txn in txns {
            out.extend([0; 8]);
            out.extend((txn.bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(&txn.bytes);
            out.push(b'B');
        }
        out
    }

    #[test]
    fn a_file_is_read_up_to_its_zeros_or_its_torn_end() {
        let txns = [txn(1, -101), txn(2, -110)];
        let mut bytes = file(&txns);
        assert_eq!(parse_log(&bytes).as_deref(), Ok(&txns[..]));
        let whole = bytes.len();
        bytes.extend([0; 100]);
        assert_eq!(parse_log(&bytes).as_deref(), Ok(&txns[..]));
        assert_eq!(parse_log(&bytes[..whole - 1]).as_deref(), Ok(&txns[..1]));
        assert!(parse_log(b"ZKSN0123456789abcdef").is_err());
    }

    #[test]
    fn what_most_members_have_was_committed() {
        let (a, b, c) = (txn(1, -1), txn(2, -2), txn(3, -3));
        let all = |members: &[&[&LoggedTxn]]| {
            committed(members.iter().map(|m| m.iter().copied().cloned().collect()).collect())
        };
        assert_eq!(all(&[&[&a, &c], &[&a, &b], &[&a, &b]]), Ok(vec![a.clone(), b.clone()]));
        // The others begin behind it, for they were given a snapshot.
        assert_eq!(all(&[&[&a, &b, &c], &[&c], &[&b, &c]]), Ok(vec![a.clone(), b, c]));
        assert!(all(&[&[&a], &[&txn(1, -8)]]).is_err());
    }
}
