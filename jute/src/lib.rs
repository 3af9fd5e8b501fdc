//! ZooKeeper's records, as bytes and as values: the client protocol, transactions, files.
//!
//! ```text
//!   bytes ──Reader──▶ record (borrows the bytes) ──Writer──▶ bytes
//! ```
//!
//! Nothing here opens a file, a socket or a clock, and nothing is allocated before the length
//! or count that asks for it has been held against the bytes that are really there.

mod codec;
mod error_code;
mod op;
#[macro_use]
mod record;
mod text;

pub mod data;
pub mod disk;
pub mod multi;
pub mod proto;
pub mod quorum;
pub mod txn;

#[doc(hidden)]
pub mod fuzzing;

pub use codec::{measure_frame, Decode, DecodeError, Encode, Limits, Reader, Writer};
pub use data::{Acl, Id, Stat, StatPersisted};
pub use error_code::ErrorCode;
pub use op::OpCode;
pub use text::{decode_text, encode_text, encoded_len};
