//! Reading: bounds-checked, zero copy, never allocating by an announced length.

use bytes::Bytes;

/// Most elements in all arrays of one message: an element in memory may be many times its bytes on
/// the wire, so without a bound a frame of 100 MiB of them would need gigabytes.
const ELEMENTS_MAX: u32 = 1_000_000;
/// Most elements room is made for before they have been read.
const ELEMENTS_RESERVED_MAX: usize = 1024;

/// Longest string of the protocol, in bytes.
const STRING_BYTES_MAX: i32 = i16::MAX as i32;

/// Why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}{field}", if .field.is_empty() { "" } else { " in " })]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The innermost field it was found in, as `MetadataRequest.topics`; empty outside messages.
    pub field: &'static str,
}

/// What is wrong with the bytes of a [`DecodeError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// A value goes beyond the end of the input.
    #[error("{needed} bytes needed, but only {remaining} remain")]
    Truncated {
        /// Bytes the value takes.
        needed: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A variable-length integer has more bytes than its type can.
    #[error("a variable-length integer is too long")]
    VarintTooLong,
    /// Null where the version does not allow it.
    #[error("null where null is not allowed")]
    Null,
    /// A string longer than 32,767 bytes.
    #[error("a string of {0} bytes is too long")]
    StringTooLong(i32),
    /// An array announces more elements than bytes are left.
    #[error("an array of {size} elements cannot fit into {remaining} bytes")]
    ArrayTooLong {
        /// Elements announced.
        size: i32,
        /// Bytes that were left.
        remaining: usize,
    },
    /// All arrays of the message together hold too much.
    #[error("the arrays hold more than {ELEMENTS_MAX} elements")]
    TooManyElements,
    /// A tagged field that the version does not have.
    #[error("tag {tag} is not valid in version {version}")]
    TagNotValid {
        /// Number of the tag.
        tag: u32,
        /// Version of the message.
        version: i16,
    },
    /// A version the message does not have.
    #[error("version {0} is not supported")]
    UnsupportedVersion(i16),
}

impl DecodeError {
    /// Names the field, unless an inner one is named already.
    #[must_use]
    pub fn at(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

impl From<DecodeErrorKind> for DecodeError {
    fn from(kind: DecodeErrorKind) -> Self {
        Self { kind, field: "" }
    }
}

/// A reading position in a frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    rest: Bytes,
    elements_left: u32,
}

impl Decoder {
    /// Starts at the first of `bytes`. Byte fields read from it share its memory.
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, elements_left: ELEMENTS_MAX }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not read yet, in the memory of the frame.
    pub fn into_rest(self) -> Bytes {
        self.rest
    }

    /// Reads `length` bytes without copying them.
    pub fn bytes(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.rest.len() {
            let remaining = self.rest.len();
            return Err(DecodeErrorKind::Truncated { needed: length, remaining }.into());
        }
        Ok(self.rest.split_to(length))
    }

    /// Reads the next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some(array) = self.rest.first_chunk::<N>().copied() else {
            let remaining = self.rest.len();
            return Err(DecodeErrorKind::Truncated { needed: N, remaining }.into());
        };
        bytes::Buf::advance(&mut self.rest, N);
        Ok(array)
    }

    /// Reads an unsigned variable-length integer of at most 32 bits. As in Kafka, the bits of a
    /// fifth byte beyond the 32nd are dropped and a sixth byte is an error.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeErrorKind::VarintTooLong.into())
    }

    /// Reads an unsigned variable-length integer of at most 64 bits.
    pub fn unsigned_varlong(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeErrorKind::VarintTooLong.into())
    }

    /// Reads a zigzag-encoded integer of at most 32 bits.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// Reads a zigzag-encoded integer of at most 64 bits.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.unsigned_varlong()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Reads the length of a byte sequence or array: 32 bits, or compact (one more than the
    /// length, so 0 is null). None for null, which every negative length means.
    pub(super) fn length(&mut self, compact: bool) -> Result<Option<i32>, DecodeError> {
        let length = if compact {
            (self.unsigned_varint()? as i32).wrapping_sub(1)
        } else {
            i32::from_be_bytes(self.array()?)
        };
        Ok((length >= 0).then_some(length))
    }

    /// Reads a nullable string with a 16-bit or compact length; bytes that are not UTF-8 become
    /// replacement characters.
    pub fn string(&mut self, compact: bool) -> Result<Option<String>, DecodeError> {
        let length = if compact {
            self.length(true)?
        } else {
            let length = i16::from_be_bytes(self.array()?);
            (length >= 0).then_some(i32::from(length))
        };
        match length {
            None => Ok(None),
            Some(length) if length > STRING_BYTES_MAX => {
                Err(DecodeErrorKind::StringTooLong(length).into())
            }
            Some(length) => {
                let bytes = self.bytes(length as usize)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }

    /// An empty list for the `size` elements an array announces, with bounded room made.
    pub(super) fn list<T>(&mut self, size: i32) -> Result<Vec<T>, DecodeError> {
        let remaining = self.rest.len();
        if size as usize > remaining {
            return Err(DecodeErrorKind::ArrayTooLong { size, remaining }.into());
        }
        let left = self.elements_left.checked_sub(size as u32);
        self.elements_left = left.ok_or(DecodeErrorKind::TooManyElements)?;
        Ok(Vec::with_capacity((size as usize).min(ELEMENTS_RESERVED_MAX)))
    }

    /// Reads a section of tagged fields: `known` gets the number of each field, reads it and says
    /// true, or leaves it and says false to have it skipped. Kafka takes the announced size of a
    /// known field as no more than a hint, and a negative number of fields as none.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint()? as i32;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size_bytes = self.unsigned_varint()?;
            if !known(tag, self)? {
                self.bytes(size_bytes as usize)?;
            }
        }
        Ok(())
    }
}
