//! The primitive encodings and the two traits every record has.

use std::borrow::Cow;

use crate::text::{decode_text, encode_text};

/// What a peer sent is not a record. Close that connection, or answer -5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the record does.
    #[error("record needs {need} more bytes, {have} are left")]
    Truncated { need: usize, have: usize },
    /// A string or buffer length below -1 (which is null).
    #[error("negative length {0}")]
    NegativeLength(i32),
    /// A string or buffer longer than the limit (`jute.maxbuffer` + extra size).
    #[error("length {len} is over the limit of {max} bytes")]
    TooLong { len: usize, max: usize },
    /// A vector with more elements than its bytes can hold.
    #[error("{count} elements do not fit into {have} bytes")]
    TooMany { count: usize, have: usize },
    /// An operation or transaction type that does not exist, or not here.
    #[error("unknown type {0}")]
    UnknownType(i32),
    /// A null where the record must have a value.
    #[error("null where a value is required")]
    Null,
    /// Bytes behind the end of a record that must fill its frame.
    #[error("{0} bytes behind the end of the record")]
    TrailingBytes(usize),
}

/// Bounds that decoding keeps before it allocates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest string or buffer, in bytes: `jute.maxbuffer` plus its extra size
    /// (Apache's `BinaryInputArchive`).
    pub max_length: usize,
}

impl Limits {
    /// Apache's default: 0xfffff bytes and as much again for what the server itself adds.
    pub const DEFAULT: Limits = Limits { max_length: 2 * 0xf_ffff };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// How many bytes the frame at the front of `received` takes, its length of four included;
/// `None` as long as it is not whole. `max_len` is `jute.maxbuffer`: a longer frame, or a negative
/// length, is an error as soon as it is announced.
pub fn measure_frame(received: &[u8], max_len: usize) -> Result<Option<usize>, DecodeError> {
    let Some(len) = received.first_chunk::<4>() else { return Ok(None) };
    let len = i32::from_be_bytes(*len);
    let whole = usize::try_from(len).map_err(|_| DecodeError::NegativeLength(len))?;
    if whole > max_len {
        return Err(DecodeError::TooLong { len: whole, max: max_len });
    }
    Ok((received.len() - 4 >= whole).then_some(whole + 4))
}

/// A record that can be written.
pub trait Encode {
    /// Appends the record's bytes.
    fn encode(&self, w: &mut Writer);

    /// The record's bytes alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.encode(&mut w);
        w.into_vec()
    }
}

/// A record that can be read; it may borrow from the bytes.
pub trait Decode<'a>: Sized {
    /// The fewest bytes such a record takes: bounds the count of a vector before it is allocated.
    const MIN_LEN: usize;

    /// Reads one record and leaves the reader behind it.
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Reads a record from the front of `bytes`; what follows is ignored, as Apache ignores it.
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes))
    }
}

/// A cursor over received bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    limits: Limits,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` that are all there: whoever took them in has bounded them, by
    /// `jute.maxbuffer` as it is set, and nothing in them is longer than they are.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, limits: Limits { max_length: usize::MAX } }
    }

    /// Reads `bytes` under the given limits.
    pub fn with_limits(bytes: &'a [u8], limits: Limits) -> Self {
        Reader { bytes, limits }
    }

    /// A reader of bytes that were found inside these: the same limits hold.
    pub fn nested<'b>(&self, bytes: &'b [u8]) -> Reader<'b> {
        Reader { bytes, limits: self.limits }
    }

    /// Takes all that has not been read yet.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// What has not been read yet.
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes
    }

    /// Takes the next `n` bytes as they are.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        if n > self.bytes.len() {
            return Err(DecodeError::Truncated { need: n, have: self.bytes.len() });
        }
        let (head, tail) = self.bytes.split_at(n);
        self.bytes = tail;
        Ok(head)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let have = self.bytes.len();
        let (head, tail) =
            self.bytes.split_first_chunk::<N>().ok_or(DecodeError::Truncated { need: N, have })?;
        self.bytes = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take_array::<1>()?[0])
    }

    /// A big-endian int.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.take_array()?))
    }

    /// A big-endian long.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.take_array()?))
    }

    /// Any byte but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// A buffer; length -1 is null.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            len if len < 0 => Err(DecodeError::NegativeLength(len)),
            len => {
                let len = len as usize;
                if len > self.limits.max_length {
                    return Err(DecodeError::TooLong { len, max: self.limits.max_length });
                }
                self.take(len).map(Some)
            }
        }
    }

    /// A string as Java reads it: bad UTF-8 becomes U+FFFD, length -1 is null.
    pub fn string(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer()?.map(decode_text))
    }

    /// A vector; count -1 is null, any other negative count is empty (as Apache's generated code
    /// reads it). The count is held against the bytes left before anything is allocated.
    pub fn vector<T: Decode<'a>>(&mut self) -> Result<Option<Vec<T>>, DecodeError> {
        let count = match self.i32()? {
            -1 => return Ok(None),
            n if n < 0 => return Ok(Some(Vec::new())),
            n => n as usize,
        };
        let have = self.bytes.len();
        if count > have / T::MIN_LEN.max(1) {
            return Err(DecodeError::TooMany { count, have });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::decode(self)?);
        }
        Ok(Some(items))
    }
}

/// A growing run of encoded bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Writer::default()
    }

    /// An empty writer with room for `n` bytes.
    pub fn with_capacity(n: usize) -> Self {
        Writer { bytes: Vec::with_capacity(n) }
    }

    /// Goes on behind bytes that are there already.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Writer { bytes }
    }

    /// The bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets the bytes, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// How many bytes fit without more memory.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.bytes.push(v);
    }

    /// A big-endian int.
    pub fn i32(&mut self, v: i32) {
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    /// A big-endian long.
    pub fn i64(&mut self, v: i64) {
        self.bytes.extend_from_slice(&v.to_be_bytes());
    }

    /// 0 or 1.
    pub fn bool(&mut self, v: bool) {
        self.bytes.push(u8::from(v));
    }

    /// A buffer; null is length -1.
    pub fn buffer(&mut self, v: Option<&[u8]>) {
        match v {
            None => self.i32(-1),
            Some(b) => {
                self.i32(length(b.len()));
                self.raw(b);
            }
        }
    }

    /// A string as Java writes it; null is length -1.
    pub fn string(&mut self, v: Option<&str>) {
        match v {
            None => self.i32(-1),
            Some(s) if s.is_ascii() => self.buffer(Some(s.as_bytes())),
            Some(s) => {
                let at = self.bytes.len();
                self.i32(0);
                encode_text(s, &mut self.bytes);
                self.patch_length(at);
            }
        }
    }

    /// A string that is at hand as its UTF-8: no time goes into proving that ASCII is a string.
    pub fn utf8(&mut self, v: &[u8]) {
        if v.is_ascii() {
            self.buffer(Some(v));
        } else {
            self.string(Some(&decode_text(v)));
        }
    }

    /// A vector; null is count -1.
    pub fn vector<T: Encode>(&mut self, v: Option<&[T]>) {
        match v {
            None => self.i32(-1),
            Some(items) => {
                self.i32(length(items.len()));
                for item in items {
                    item.encode(self);
                }
            }
        }
    }

    /// Opens a frame: leaves room for its length, answers where.
    pub fn begin_frame(&mut self) -> usize {
        let at = self.bytes.len();
        self.i32(0);
        at
    }

    /// Closes the frame opened at `at`.
    pub fn end_frame(&mut self, at: usize) {
        self.patch_length(at);
    }

    /// Takes back all that was written behind `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Overwrites the int at `at`, which must have been written before.
    pub fn patch_i32(&mut self, at: usize, v: i32) {
        self.bytes[at..at + 4].copy_from_slice(&v.to_be_bytes());
    }

    fn patch_length(&mut self, at: usize) {
        let len = length(self.bytes.len() - at - 4);
        self.patch_i32(at, len);
    }
}

/// A length for the wire. Every queue and request is bounded far below this.
fn length(len: usize) -> i32 {
    i32::try_from(len).expect("what we encode is bounded below 2 GiB")
}

impl Encode for i32 {
    fn encode(&self, w: &mut Writer) {
        w.i32(*self);
    }
}

impl Decode<'_> for i32 {
    const MIN_LEN: usize = 4;

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.i32()
    }
}

impl Encode for i64 {
    fn encode(&self, w: &mut Writer) {
        w.i64(*self);
    }
}

impl Decode<'_> for i64 {
    const MIN_LEN: usize = 8;

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.i64()
    }
}

impl Encode for bool {
    fn encode(&self, w: &mut Writer) {
        w.bool(*self);
    }
}

impl Decode<'_> for bool {
    const MIN_LEN: usize = 1;

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.bool()
    }
}

impl Encode for Option<&[u8]> {
    fn encode(&self, w: &mut Writer) {
        w.buffer(*self);
    }
}

impl<'a> Decode<'a> for Option<&'a [u8]> {
    const MIN_LEN: usize = 4;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.buffer()
    }
}

impl Encode for Option<Cow<'_, str>> {
    fn encode(&self, w: &mut Writer) {
        w.string(self.as_deref());
    }
}

impl<'a> Decode<'a> for Option<Cow<'a, str>> {
    const MIN_LEN: usize = 4;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.string()
    }
}

/// A string that must not be null.
impl Encode for Cow<'_, str> {
    fn encode(&self, w: &mut Writer) {
        w.string(Some(self));
    }
}

impl<'a> Decode<'a> for Cow<'a, str> {
    const MIN_LEN: usize = 4;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.string()?.ok_or(DecodeError::Null)
    }
}

impl<T: Encode> Encode for Option<Vec<T>> {
    fn encode(&self, w: &mut Writer) {
        w.vector(self.as_deref());
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<Vec<T>> {
    const MIN_LEN: usize = 4;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.vector()
    }
}

/// A vector that must not be null.
impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, w: &mut Writer) {
        w.vector(Some(self));
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    const MIN_LEN: usize = 4;

    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.vector()?.ok_or(DecodeError::Null)
    }
}
