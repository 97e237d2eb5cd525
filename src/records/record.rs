//! The records inside a batch, read one at a time.
//!
//! Uncompressed records are borrowed from the batch; compressed ones stream through one buffer that the reader reuses.
//! [`Records::next_facts`] skips keys and values altogether, so validation holds no record in memory. The checks are
//! those of `DefaultRecord.readFrom`; unlike Kafka's broker, also a compressed record must be as long as it says,
//! because consumers insist on it.

use std::io::{self, BufRead, BufReader};

use thiserror::Error;

use super::{BATCH_HEADER_BYTES, BatchHeader, INFLATED_BYTES_MAX, Inflater, TimestampType};

/// The largest compressed record that is read into memory.
pub const RECORD_BYTES_MAX: usize = 100 * 1024 * 1024;

const INFLATE_BUFFER_BYTES: usize = 16 * 1024;
/// A header has at least the lengths of its key and value.
const HEADER_BYTES_MIN: u64 = 2;

/// Why the records of a batch cannot be read.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The records end within a record.
    #[error("the records end before the {0} that the batch claims")]
    Truncated(i32),
    /// Bytes follow the last record.
    #[error("bytes follow the last of {0} records")]
    Trailing(i32),
    /// The number of records in the header is negative.
    #[error("a batch cannot hold {0} records")]
    InvalidCount(i32),
    /// The batch names none of the codecs.
    #[error("unknown compression {0}")]
    UnknownCompression(i16),
    /// A number has more than the 5 or 10 bytes it may have.
    #[error("a variable-length number does not end")]
    VarintTooLong,
    /// The fields of a record take more or fewer bytes than its size says.
    #[error("a record of size {0} has other fields than fit")]
    InvalidSize(i32),
    /// A negative number of headers, or more than the record has room for.
    #[error("a record cannot have {0} headers")]
    InvalidHeaderCount(i32),
    /// A header without a key.
    #[error("a record header must have a key")]
    NullHeaderKey,
    /// A compressed record of more than [`RECORD_BYTES_MAX`].
    #[error("a compressed record of {0} bytes is too large to read")]
    RecordTooLarge(i32),
    /// The batch inflates to more than [`INFLATED_BYTES_MAX`].
    #[error("the batch inflates to more than {INFLATED_BYTES_MAX} bytes")]
    InflatedTooLarge,
    /// The compressed stream is damaged.
    #[error("cannot decompress the records")]
    Decompress(#[source] io::Error),
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge => Self::InflatedTooLarge,
            _ => Self::Decompress(error),
        }
    }
}

/// One record, its parts borrowed from the batch or the reader's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp of its own minus the batch's base timestamp, ms.
    pub timestamp_delta: i64,
    /// Timestamp, ms; the batch's maximum under `LogAppendTime`.
    pub timestamp_ms: i64,
    /// Key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in order, keys possibly repeated.
    pub headers: Headers<'a>,
}

/// The headers of a record: an iterator over keys (UTF-8 by convention) and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    count: i32,
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The headers' bytes, without their number.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// How many headers are left.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no header is left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1).filter(|left| *left >= 0)?;
        // The structure was checked when the record was read.
        let mut source = Slice { bytes: self.rest, position: 0 };
        let end = self.rest.len() as u64;
        let key = Field::read(&mut source, end).ok()?.of(self.rest)?;
        let value = Field::read(&mut source, end).ok()?.of(self.rest);
        self.rest = &self.rest[source.position..];
        Some((key, value))
    }
}

/// What validation needs of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFacts {
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp, ms; the batch's maximum under `LogAppendTime`.
    pub timestamp_ms: i64,
    /// Length of the key, -1 without one.
    pub key_bytes: i32,
    /// Length of the value, -1 without one.
    pub value_bytes: i32,
}

/// Reads the records of one batch in order. It lends each record until the next call, so it is no `Iterator`.
pub struct Records<'a> {
    header: BatchHeader,
    input: RecordInput<'a>,
    buffer: Vec<u8>,
    read: i32,
}

enum RecordInput<'a> {
    Plain(Slice<'a>),
    Compressed(Stream<'a>),
}

impl<'a> Records<'a> {
    /// Reads `batch`, a whole batch that starts with `header`. Neither is trusted.
    pub fn new(header: &BatchHeader, batch: &'a [u8]) -> Result<Self, RecordError> {
        Self::limited(header, batch, INFLATED_BYTES_MAX)
    }

    fn limited(
        header: &BatchHeader,
        batch: &'a [u8],
        inflated_bytes_max: u64,
    ) -> Result<Self, RecordError> {
        if header.record_count < 0 {
            return Err(RecordError::InvalidCount(header.record_count));
        }
        let Some(codec) = header.compression() else {
            return Err(RecordError::UnknownCompression(header.attributes & 7));
        };
        let bytes = batch.get(BATCH_HEADER_BYTES..).unwrap_or_default();
        let input = if codec == super::Compression::None {
            RecordInput::Plain(Slice { bytes, position: 0 })
        } else {
            let inflater = Inflater::new(codec, bytes, inflated_bytes_max)?;
            let reader = BufReader::with_capacity(INFLATE_BUFFER_BYTES, inflater);
            RecordInput::Compressed(Stream { reader, position: 0 })
        };
        Ok(Self { header: *header, input, buffer: Vec::new(), read: 0 })
    }

    /// The next record, or none after the last.
    #[expect(clippy::should_implement_trait, reason = "it lends the record; an Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, RecordError> {
        if !self.advance()? {
            return Ok(None);
        }
        let count = self.header.record_count;
        let (layout, bytes) = match &mut self.input {
            RecordInput::Plain(source) => {
                let layout = Layout::read(source).map_err(|error| error.told(count))?;
                (layout, source.bytes)
            }
            RecordInput::Compressed(source) => {
                let size = varint(source).map_err(|error| error.told(count))?;
                if size > RECORD_BYTES_MAX as i32 {
                    return Err(RecordError::RecordTooLarge(size));
                }
                source
                    .read_into(size.max(0) as usize, &mut self.buffer)
                    .map_err(|error| error.told(count))?;
                let mut body = Slice { bytes: &self.buffer, position: 0 };
                let layout =
                    Layout::read_body(&mut body, size).map_err(|error| error.told(count))?;
                (layout, self.buffer.as_slice())
            }
        };
        Ok(Some(layout.record(&self.header, bytes)))
    }

    /// What the next record is, without reading its parts into memory.
    pub fn next_facts(&mut self) -> Result<Option<RecordFacts>, RecordError> {
        if !self.advance()? {
            return Ok(None);
        }
        let layout = match &mut self.input {
            RecordInput::Plain(source) => Layout::read(source),
            RecordInput::Compressed(source) => source.read_layout(),
        };
        let layout = layout.map_err(|error| error.told(self.header.record_count))?;
        Ok(Some(RecordFacts {
            offset_delta: layout.offset_delta,
            timestamp_ms: layout.timestamp_ms(&self.header),
            key_bytes: layout.key.length,
            value_bytes: layout.value.length,
        }))
    }

    /// Counts the record about to be read; after the last one nothing may remain.
    fn advance(&mut self) -> Result<bool, RecordError> {
        let count = self.header.record_count;
        if self.read < count {
            self.read += 1;
            return Ok(true);
        }
        let ended = count == 0
            || match &mut self.input {
                RecordInput::Plain(source) => source.position == source.bytes.len(),
                RecordInput::Compressed(source) => source.reader.fill_buf()?.is_empty(),
            };
        if ended { Ok(false) } else { Err(RecordError::Trailing(count)) }
    }
}

impl RecordError {
    /// Completes the message of a premature end, which the byte sources cannot.
    fn told(self, record_count: i32) -> Self {
        match self {
            Self::Truncated(_) => Self::Truncated(record_count),
            other => other,
        }
    }
}

/// Bytes in order, to be read as numbers or skipped.
trait Source {
    fn byte(&mut self) -> Result<u8, RecordError>;
    fn skip(&mut self, length: usize) -> Result<(), RecordError>;
    fn position(&self) -> u64;
}

struct Slice<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Source for Slice<'_> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let byte = *self.bytes.get(self.position).ok_or(RecordError::Truncated(0))?;
        self.position += 1;
        Ok(byte)
    }

    fn skip(&mut self, length: usize) -> Result<(), RecordError> {
        if self.bytes.len() - self.position < length {
            return Err(RecordError::Truncated(0));
        }
        self.position += length;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position as u64
    }
}

struct Stream<'a> {
    reader: BufReader<Inflater<'a>>,
    position: u64,
}

impl Stream<'_> {
    /// Reads a record that lies whole in the buffer from there, several times faster than byte by byte. Whatever is
    /// wrong or cut with what the buffer holds, the careful way finds out.
    fn read_layout(&mut self) -> Result<Layout, RecordError> {
        let mut buffered = Slice { bytes: self.reader.fill_buf()?, position: 0 };
        let Ok(layout) = Layout::read(&mut buffered) else {
            return Layout::read(self);
        };
        let read = buffered.position;
        self.reader.consume(read);
        self.position += read as u64;
        Ok(layout)
    }

    /// Reads exactly `length` bytes into the cleared `out`, which grows as bytes arrive.
    fn read_into(&mut self, length: usize, out: &mut Vec<u8>) -> Result<(), RecordError> {
        out.clear();
        while out.len() < length {
            let available = self.reader.fill_buf()?;
            let taken = available.len().min(length - out.len());
            if taken == 0 {
                return Err(RecordError::Truncated(0));
            }
            out.extend_from_slice(&available[..taken]);
            self.reader.consume(taken);
        }
        Ok(())
    }
}

impl Source for Stream<'_> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let byte = *self.reader.fill_buf()?.first().ok_or(RecordError::Truncated(0))?;
        self.reader.consume(1);
        self.position += 1;
        Ok(byte)
    }

    fn skip(&mut self, length: usize) -> Result<(), RecordError> {
        let mut left = length;
        while left > 0 {
            let available = self.reader.fill_buf()?.len().min(left);
            if available == 0 {
                return Err(RecordError::Truncated(0));
            }
            self.reader.consume(available);
            left -= available;
        }
        self.position += length as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }
}

/// A zigzag number of at most five bytes (`ByteUtils.readVarint`).
fn varint(source: &mut impl Source) -> Result<i32, RecordError> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let byte = source.byte()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1) as i32 ^ -((value & 1) as i32));
        }
    }
    Err(RecordError::VarintTooLong)
}

/// A zigzag number of at most ten bytes (`ByteUtils.readVarlong`).
fn varlong(source: &mut impl Source) -> Result<i64, RecordError> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = source.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(RecordError::VarintTooLong)
}

/// Where a nullable field lies; a negative length is null.
#[derive(Clone, Copy)]
struct Field {
    start: u64,
    length: i32,
}

impl Field {
    /// Reads the length and skips the bytes, which must end by `end`.
    fn read(source: &mut impl Source, end: u64) -> Result<Self, RecordError> {
        let length = varint(source)?;
        let start = source.position();
        if length > 0 {
            if start + length as u64 > end {
                return Err(RecordError::InvalidSize(length));
            }
            source.skip(length as usize)?;
        }
        Ok(Self { start, length: length.max(-1) })
    }

    fn of<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let length = usize::try_from(self.length).ok()?;
        bytes.get(self.start as usize..)?.get(..length)
    }
}

/// The parts of a record, by their positions in its source.
struct Layout {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Field,
    value: Field,
    header_count: i32,
    headers_start: u64,
    end: u64,
}

impl Layout {
    fn read(source: &mut impl Source) -> Result<Self, RecordError> {
        let size = varint(source)?;
        Self::read_body(source, size)
    }

    fn read_body(source: &mut impl Source, size: i32) -> Result<Self, RecordError> {
        let length = u64::try_from(size).map_err(|_| RecordError::InvalidSize(size))?;
        let end = source.position() + length;
        let _attributes = source.byte()?;
        let timestamp_delta = varlong(source)?;
        let offset_delta = varint(source)?;
        let key = Field::read(source, end)?;
        let value = Field::read(source, end)?;
        let header_count = varint(source)?;
        let headers_start = source.position();
        let room = end.saturating_sub(headers_start);
        if !u64::try_from(header_count).is_ok_and(|count| count <= room / HEADER_BYTES_MIN) {
            return Err(RecordError::InvalidHeaderCount(header_count));
        }
        for _ in 0..header_count {
            if Field::read(source, end)?.length < 0 {
                return Err(RecordError::NullHeaderKey);
            }
            Field::read(source, end)?;
        }
        if source.position() != end {
            return Err(RecordError::InvalidSize(size));
        }
        Ok(Self { timestamp_delta, offset_delta, key, value, header_count, headers_start, end })
    }

    fn timestamp_ms(&self, header: &BatchHeader) -> i64 {
        match header.timestamp_type() {
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(self.timestamp_delta),
            TimestampType::LogAppendTime => header.max_timestamp,
        }
    }

    fn record<'b>(&self, header: &BatchHeader, bytes: &'b [u8]) -> Record<'b> {
        let headers = bytes.get(self.headers_start as usize..self.end as usize).unwrap_or_default();
        Record {
            offset_delta: self.offset_delta,
            timestamp_delta: self.timestamp_delta,
            timestamp_ms: self.timestamp_ms(header),
            key: self.key.of(bytes),
            value: self.value.of(bytes),
            headers: Headers { count: self.header_count, rest: headers },
        }
    }
}

#[cfg(test)]
mod tests;
