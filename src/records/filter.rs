//! A batch without some of its records, as compaction leaves it (Kafka: `MemoryRecords.filterTo`).
//!
//! Base and last offset, producer, sequence and leader epoch stay, so that what is left says the same of its producer;
//! offsets of records stay, too. The records are encoded anew and compressed in the batch's codec, in a stream: however
//! much a batch inflates to, one record of it is in memory at a time.

use std::io::{self, Read};

use super::batch::{DELETE_HORIZON_MASK, FLAGS_MASK, LOG_OVERHEAD, seal};
use super::build::{put_bytes, put_varlong, record_body};
use super::compress::compress_from;
use super::{BATCH_HEADER_BYTES, BatchHeader, Record, RecordError, Records, TimestampType};

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// All of it, byte for byte.
    Whole,
    /// These bytes.
    Rewritten(Vec<u8>),
    /// No record.
    Empty,
}

/// Leaves the records of `batch`, which starts with `header`, for which `keep` is true.
///
/// A batch without a delete horizon that keeps a tombstone, or is `due`, gets `horizon_ms` for one: the time in
/// milliseconds from which these may go. It takes the place of the base timestamp (KIP-534).
pub fn filter_batch(
    header: &BatchHeader,
    batch: &[u8],
    due: bool,
    horizon_ms: i64,
    mut keep: impl FnMut(&Record<'_>) -> bool,
) -> Result<Filtered, RecordError> {
    let mut records = Records::new(header, batch)?;
    let mut kept = Kept { flags: Vec::new(), count: 0, first_ms: None, max_ms: -1 };
    let mut has_tombstone = false;
    while let Some(record) = records.next()? {
        let is_kept = keep(&record);
        kept.flags.push(is_kept);
        if is_kept {
            kept.count += 1;
            kept.first_ms.get_or_insert(record.timestamp_ms);
            kept.max_ms = kept.max_ms.max(record.timestamp_ms);
            has_tombstone |= record.value.is_none();
        }
    }
    let Some(first_ms) = kept.first_ms else {
        return Ok(Filtered::Empty);
    };
    let gets_horizon = (has_tombstone || due) && !header.has_delete_horizon();
    if kept.count as usize == kept.flags.len() && !gets_horizon {
        return Ok(Filtered::Whole);
    }
    let has_horizon = gets_horizon || header.has_delete_horizon();
    let base_timestamp = match (gets_horizon, has_horizon) {
        (true, _) => horizon_ms,
        (false, true) => header.base_timestamp,
        (false, false) => first_ms,
    };
    rewrite(header, batch, &kept, base_timestamp, has_horizon).map(Filtered::Rewritten)
}

/// What stands for a batch whose records have all gone: its header, which still says where its producer is
/// (`DefaultRecordBatch.writeEmptyHeader`).
pub fn empty_batch(header: &BatchHeader) -> Vec<u8> {
    let mut batch = Vec::with_capacity(BATCH_HEADER_BYTES);
    BatchHeader {
        batch_length: (BATCH_HEADER_BYTES - LOG_OVERHEAD) as i32,
        attributes: header.attributes & FLAGS_MASK,
        base_timestamp: -1,
        record_count: 0,
        ..*header
    }
    .write(&mut batch);
    seal(&mut batch);
    batch
}

/// Which records are kept, and their times.
struct Kept {
    flags: Vec<bool>,
    count: i32,
    first_ms: Option<i64>,
    max_ms: i64,
}

fn rewrite(
    header: &BatchHeader,
    batch: &[u8],
    kept: &Kept,
    base_timestamp: i64,
    has_horizon: bool,
) -> Result<Vec<u8>, RecordError> {
    let records = KeptRecords {
        records: Records::new(header, batch)?,
        flags: kept.flags.iter(),
        base_timestamp,
        encoded: Vec::new(),
        read: 0,
    };
    let codec = header.compression().unwrap_or_default();
    let payload = compress_from(codec, None, records)?;
    let size_bytes = BATCH_HEADER_BYTES + payload.len();
    let horizon = if has_horizon { DELETE_HORIZON_MASK } else { 0 };
    let rewritten = BatchHeader {
        batch_length: i32::try_from(size_bytes - LOG_OVERHEAD)
            .map_err(|_| RecordError::InflatedTooLarge)?,
        attributes: header.attributes & !DELETE_HORIZON_MASK | horizon,
        base_timestamp,
        max_timestamp: match header.timestamp_type() {
            TimestampType::CreateTime => kept.max_ms,
            TimestampType::LogAppendTime => header.max_timestamp,
        },
        record_count: kept.count,
        ..*header
    };
    let mut bytes = Vec::with_capacity(size_bytes);
    rewritten.write(&mut bytes);
    bytes.extend_from_slice(&payload);
    seal(&mut bytes);
    Ok(bytes)
}

/// The kept records' bytes, with times relative to another base.
struct KeptRecords<'a> {
    records: Records<'a>,
    flags: std::slice::Iter<'a, bool>,
    base_timestamp: i64,
    encoded: Vec<u8>,
    read: usize,
}

impl KeptRecords<'_> {
    /// Encodes the next kept record; false after the last.
    fn encode_next(&mut self) -> Result<bool, RecordError> {
        while let Some(record) = self.records.next()? {
            if self.flags.next() != Some(&true) {
                continue;
            }
            let timestamp_delta = record.timestamp_ms.wrapping_sub(self.base_timestamp);
            let mut body =
                record_body(timestamp_delta, record.offset_delta, record.key, record.value);
            put_varlong(&mut body, record.headers.len() as i64);
            body.extend_from_slice(record.headers.bytes());
            self.encoded.clear();
            self.read = 0;
            put_bytes(&mut self.encoded, Some(&body));
            return Ok(true);
        }
        Ok(false)
    }
}

impl Read for KeptRecords<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.encoded.len() && !self.encode_next().map_err(io::Error::other)? {
            return Ok(0);
        }
        let read = (&self.encoded[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
