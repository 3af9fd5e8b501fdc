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
