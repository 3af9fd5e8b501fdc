//! A transaction as logs store it and servers tell each other.

use bytes::Bytes;

use super::Zxid;

/// One encoded transaction: header, record, perhaps a digest. A log record's body and a
/// PROPOSAL's data are these bytes; they are shared, never copied.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LoggedTxn {
    /// The same as in the header, so that nobody has to decode for it.
    pub zxid: Zxid,
    pub bytes: Bytes,
}

impl LoggedTxn {
    /// When it was made, by the leader's wall clock, ms since 1970: the header's fourth field,
    /// behind session, cxid and zxid. `None` for bytes that hold no header.
    pub fn made_wall_ms(&self) -> Option<i64> {
        const AT: usize = 8 + 4 + 8;
        let field = self.bytes.get(AT..AT + 8)?;
        Some(i64::from_be_bytes(field.try_into().expect("eight bytes")))
    }
}

#[cfg(test)]
mod tests {
    use jute::txn::TxnHeader;
    use jute::Encode;

    use super::*;

    #[test]
    fn the_time_is_found_without_decoding() {
        let header = TxnHeader { client_id: 1, cxid: 2, zxid: 3, time_ms: 4, kind: 5 };
        let mut w = jute::Writer::new();
        header.encode(&mut w);
        let txn = LoggedTxn { zxid: Zxid(3), bytes: w.into_vec().into() };
        assert_eq!(txn.made_wall_ms(), Some(4));
        assert_eq!(LoggedTxn { bytes: Bytes::new(), ..txn }.made_wall_ms(), None);
    }
}
