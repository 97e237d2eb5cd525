//! Builds the batches that the broker itself appends: metadata, coordinator state, control records.

use super::batch::{CONTROL_MASK, TRANSACTIONAL_MASK, attributes, seal};
use super::{BATCH_HEADER_BYTES, BatchHeader, Compression, TimestampType, compress};

/// Collects records into one batch (`MemoryRecordsBuilder`). Base offset and epoch may also be patched later.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    level: Option<i32>,
    payload: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch: uncompressed, timestamps given with the records, no producer, not control.
    pub fn new(base_offset: i64, leader_epoch: i32) -> Self {
        let header = BatchHeader {
            base_offset,
            batch_length: 0,
            leader_epoch,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        };
        Self { header, compression: Compression::None, level: None, payload: Vec::new() }
    }

    /// Compresses the records, at Kafka's default level without one.
    #[must_use]
    pub fn compressed(mut self, compression: Compression, level: Option<i32>) -> Self {
        self.compression = compression;
        self.level = level;
        self.header.attributes |= attributes(compression, TimestampType::CreateTime);
        self
    }

    /// Gives the batch a producer; markers have no sequence (-1).
    #[must_use]
    pub fn producer(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        self.header.producer_id = producer_id;
        self.header.producer_epoch = producer_epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes |= TRANSACTIONAL_MASK;
        self
    }

    /// Marks the records as control records; their keys and values are the caller's.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes |= CONTROL_MASK;
        self
    }

    /// Gives every record the time `now_ms` of the append.
    #[must_use]
    pub fn log_append_time(mut self, now_ms: i64) -> Self {
        self.header.attributes |= attributes(Compression::None, TimestampType::LogAppendTime);
        self.header.max_timestamp = now_ms;
        self
    }

    /// Adds a record at the next offset.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> &mut Self {
        self.push_with_headers(timestamp_ms, key, value, &[])
    }

    /// Adds a record with headers at the next offset. At most `i32::MAX` bytes fit in a batch.
    pub fn push_with_headers(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> &mut Self {
        let header = &mut self.header;
        if header.record_count == 0 {
            header.base_timestamp = timestamp_ms;
        }
        if header.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = header.max_timestamp.max(timestamp_ms);
        }
        header.last_offset_delta += 1;
        header.record_count += 1;

        let timestamp_delta = timestamp_ms.wrapping_sub(header.base_timestamp);
        let mut body = record_body(timestamp_delta, header.last_offset_delta, key, value);
        put_varlong(&mut body, headers.len() as i64);
        for (name, value) in headers {
            put_bytes(&mut body, Some(name));
            put_bytes(&mut body, *value);
        }
        put_bytes(&mut self.payload, Some(&body));
        self
    }

    /// How many records the batch has.
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Size of the batch before compression.
    pub fn size_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.payload.len()
    }

    /// The finished batch. It must have a record and at most `i32::MAX` bytes.
    pub fn build(&self) -> Vec<u8> {
        assert!(self.header.record_count > 0, "an empty batch is never written");
        let compressed;
        let payload = match self.compression {
            Compression::None => &self.payload,
            codec => {
                compressed = compress(codec, self.level, &self.payload);
                &compressed
            }
        };
        let size_bytes = BATCH_HEADER_BYTES + payload.len();
        let batch_length = i32::try_from(size_bytes - 12).expect("a batch is below 2 GiB");
        let mut batch = Vec::with_capacity(size_bytes);
        BatchHeader { batch_length, ..self.header }.write(&mut batch);
        batch.extend_from_slice(payload);
        seal(&mut batch);
        batch
    }
}

/// The beginning of a record after its size; the number of its headers and these follow.
pub(super) fn record_body(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = vec![0];
    put_varlong(&mut body, timestamp_delta);
    put_varlong(&mut body, offset_delta.into());
    put_bytes(&mut body, key);
    put_bytes(&mut body, value);
    body
}

/// A length (or -1) and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varlong(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// A zigzag number; numbers that fit 32 bits have the same form in both widths.
pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests;
