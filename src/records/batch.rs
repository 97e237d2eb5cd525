//! The header of a record batch: parsed once into a plain struct, patched in place.
//!
//! Source of the layout: `org.apache.kafka.common.record.DefaultRecordBatch`.

use bytes::{Buf, BufMut};
use thiserror::Error;

use super::Compression;

/// Size of a batch header, which is also the smallest batch.
pub const BATCH_HEADER_BYTES: usize = 61;

/// Base offset and length: what precedes the bytes that the length field counts.
pub(super) const LOG_OVERHEAD: usize = 12;
/// The smallest length field Kafka accepts of any message format (`LegacyRecord.RECORD_OVERHEAD_V0`).
const LENGTH_MIN: i32 = 14;
const MAGIC: i8 = 2;

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

pub(super) const COMPRESSION_MASK: i16 = 0x07;
const TIMESTAMP_TYPE_MASK: i16 = 0x08;
pub(super) const TRANSACTIONAL_MASK: i16 = 0x10;
pub(super) const CONTROL_MASK: i16 = 0x20;
pub(super) const DELETE_HORIZON_MASK: i16 = 0x40;
/// What an empty batch keeps.
pub(super) const FLAGS_MASK: i16 = TIMESTAMP_TYPE_MASK | TRANSACTIONAL_MASK | CONTROL_MASK;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// Fewer bytes than a header has.
    #[error("{available} bytes are too few for a batch header of 61")]
    Truncated {
        /// How many bytes there are.
        available: usize,
    },
    /// The length field is smaller than any batch can be.
    #[error("Record size {length} is less than the minimum record overhead ({minimum})")]
    TooSmall {
        /// The length field.
        length: i32,
        /// The smallest acceptable value.
        minimum: i32,
    },
    /// No message format has this magic.
    #[error("Invalid magic found in record: {0}")]
    InvalidMagic(i8),
    /// Message formats 0 and 1, which Kafka 4 neither takes nor keeps.
    #[error("message format {0} is no longer supported; rewrite the data with a newer client")]
    UnsupportedMagic(i8),
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, one for each record.
    CreateTime,
    /// The broker: every record has the batch's maximum timestamp.
    LogAppendTime,
}

/// The fields of a batch header, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (kept by compaction, also when that record is gone).
    pub base_offset: i64,
    /// Bytes that follow this field; [`BatchHeader::size_bytes`] counts the whole batch.
    pub batch_length: i32,
    /// Leader epoch at the append, -1 from producers.
    pub leader_epoch: i32,
    /// Message format, always 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Compression in bits 0-2, then timestamp type, transactional, control, delete horizon.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to; the delete horizon when the attributes say so.
    pub base_timestamp: i64,
    /// Largest timestamp, or the time of append under `LogAppendTime`.
    pub max_timestamp: i64,
    /// Producer id or -1.
    pub producer_id: i64,
    /// Producer epoch or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record or -1.
    pub base_sequence: i32,
    /// Number of records the batch claims to hold.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the records need not be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let available = bytes.len();
        let mut rest =
            bytes.get(..BATCH_HEADER_BYTES).ok_or(BatchError::Truncated { available })?;
        let header = Self {
            base_offset: rest.get_i64(),
            batch_length: rest.get_i32(),
            leader_epoch: rest.get_i32(),
            magic: rest.get_i8(),
            crc: rest.get_u32(),
            attributes: rest.get_i16(),
            last_offset_delta: rest.get_i32(),
            base_timestamp: rest.get_i64(),
            max_timestamp: rest.get_i64(),
            producer_id: rest.get_i64(),
            producer_epoch: rest.get_i16(),
            base_sequence: rest.get_i32(),
            record_count: rest.get_i32(),
        };
        let minimum = (BATCH_HEADER_BYTES - LOG_OVERHEAD) as i32;
        match header.magic {
            MAGIC if header.batch_length >= minimum => Ok(header),
            MAGIC => Err(BatchError::TooSmall { length: header.batch_length, minimum }),
            0 | 1 => Err(BatchError::UnsupportedMagic(header.magic)),
            other => Err(BatchError::InvalidMagic(other)),
        }
    }

    /// Appends the 61 bytes to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_i64(self.base_offset);
        out.put_i32(self.batch_length);
        out.put_i32(self.leader_epoch);
        out.put_i8(self.magic);
        out.put_u32(self.crc);
        out.put_i16(self.attributes);
        out.put_i32(self.last_offset_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.record_count);
    }

    /// Size of the whole batch, at least 61.
    pub fn size_bytes(&self) -> usize {
        LOG_OVERHEAD + self.batch_length as usize
    }

    /// Offset of the last record (wraps as Java does: a hostile header may hold any offset).
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(self.last_offset_delta.into())
    }

    /// Offset after the last record, or none when the header's offsets overflow or run backwards.
    pub fn next_offset(&self) -> Option<i64> {
        let next = self.base_offset.checked_add(self.last_offset_delta.into())?.checked_add(1)?;
        (next >= self.base_offset).then_some(next)
    }

    /// The codec of the records, or none for the unused numbers 5 to 7.
    pub fn compression(&self) -> Option<Compression> {
        Compression::from_id((self.attributes & COMPRESSION_MASK) as u8)
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_MASK != 0
    }

    /// Whether the batch holds control records (markers), which consumers never see.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_MASK != 0
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_MASK == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether `base_timestamp` is the time from which tombstones may be removed (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON_MASK != 0
    }

    /// Whether an idempotent producer wrote the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }

    /// Sequence of the last record, or -1 without sequences.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            -1 => -1,
            first => increment_sequence(first, self.last_offset_delta),
        }
    }

    /// Whether `batch` (which starts with this header) is complete and its CRC-32C is right.
    pub fn verify_crc(&self, batch: &[u8]) -> bool {
        batch
            .get(ATTRIBUTES_AT..self.size_bytes())
            .is_some_and(|covered| crc32c::crc32c(covered) == self.crc)
    }
}

/// `sequence` plus `increment`, going from `i32::MAX` to 0 (`DefaultRecordBatch.incrementSequence`).
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    if sequence > i32::MAX.wrapping_sub(increment) {
        increment.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(increment)
    }
}

/// The batch at the start of `bytes` and its magic; none when `bytes` end before it does. Refuses what no message
/// format could hold, in the order of Kafka's `ByteBufferLogInputStream`, so that cut bytes with a bad magic are bad.
pub(super) fn next_batch(bytes: &[u8]) -> Result<Option<(&[u8], i8)>, BatchError> {
    if bytes.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let length = (&bytes[LENGTH_AT..]).get_i32();
    if length < LENGTH_MIN {
        return Err(BatchError::TooSmall { length, minimum: LENGTH_MIN });
    }
    let Some(&magic) = bytes.get(MAGIC_AT) else {
        return Ok(None);
    };
    let magic = magic as i8;
    if !(0..=MAGIC).contains(&magic) {
        return Err(BatchError::InvalidMagic(magic));
    }
    Ok(bytes.get(..LOG_OVERHEAD + length as usize).map(|batch| (batch, magic)))
}

/// The batches of a contiguous buffer with their headers. Ends before an incomplete last batch and after an error.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Batches<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, failed: false }
    }

    /// The bytes not yet returned: at the end empty, an incomplete batch or the bad one.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(BatchHeader, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let parsed = match next_batch(self.rest) {
            Ok(None) => return None,
            Ok(Some((batch, _))) => BatchHeader::parse(batch).map(|header| (header, batch)),
            Err(error) => Err(error),
        };
        match &parsed {
            Ok((_, batch)) => self.rest = &self.rest[batch.len()..],
            Err(_) => self.failed = true,
        }
        Some(parsed)
    }
}

/// Writes the base offset of the batch at the start of `batch` (at least a header long); the CRC does not cover it.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    (&mut batch[..LENGTH_AT]).put_i64(base_offset);
}

/// Writes the leader epoch of the batch at the start of `batch` (at least a header long); the CRC does not cover it.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    (&mut batch[LEADER_EPOCH_AT..MAGIC_AT]).put_i32(leader_epoch);
}

/// Makes `batch` (exactly one batch) a `LogAppendTime` batch of time `now_ms`; the records' own times stay as they are.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    set_max_timestamp(batch, TimestampType::LogAppendTime, now_ms);
}

/// Sets timestamp type and maximum timestamp of `batch` (exactly one batch) and its CRC; clears attribute bits that
/// have no meaning. Does nothing when both are right already (`DefaultRecordBatch.setMaxTimestamp`).
pub fn set_max_timestamp(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp_ms: i64) {
    let attributes = (&batch[ATTRIBUTES_AT..]).get_i16();
    let bit = match timestamp_type {
        TimestampType::CreateTime => 0,
        TimestampType::LogAppendTime => TIMESTAMP_TYPE_MASK,
    };
    let current_ms = (&batch[MAX_TIMESTAMP_AT..]).get_i64();
    if attributes & TIMESTAMP_TYPE_MASK == bit && current_ms == max_timestamp_ms {
        return;
    }
    let kept = COMPRESSION_MASK | TRANSACTIONAL_MASK | CONTROL_MASK | DELETE_HORIZON_MASK;
    (&mut batch[ATTRIBUTES_AT..]).put_i16(attributes & kept | bit);
    (&mut batch[MAX_TIMESTAMP_AT..]).put_i64(max_timestamp_ms);
    seal(batch);
}

/// Computes and writes the CRC of `batch` (exactly one batch).
pub(super) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    (&mut batch[CRC_AT..ATTRIBUTES_AT]).put_u32(crc);
}

/// The attributes of a batch with this codec and timestamp type and no flags.
pub(super) fn attributes(compression: Compression, timestamp_type: TimestampType) -> i16 {
    match timestamp_type {
        TimestampType::CreateTime => compression.id().into(),
        TimestampType::LogAppendTime => i16::from(compression.id()) | TIMESTAMP_TYPE_MASK,
    }
}

#[cfg(test)]
mod tests;
