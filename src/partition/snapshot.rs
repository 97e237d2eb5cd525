//! The bytes of a producer snapshot: Kafka's `.snapshot` file (schema `ProducerSnapshot`, version
//! 1): version, CRC-32C of what follows it, then the producers.
//!
//! Of a producer's batches it keeps the newest.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, BufMut};

use super::producers::{Producer, WrittenBatch};

const VERSION: i16 = 1;
/// Version and CRC.
const PREFIX_BYTES: usize = 6;
const ENTRY_BYTES: usize = 46;

/// The snapshot of `producers`, in order of their ids.
pub(super) fn encode(producers: &BTreeMap<i64, Producer>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + 4 + producers.len() * ENTRY_BYTES);
    bytes.put_i16(VERSION);
    bytes.put_u32(0);
    bytes.put_i32(producers.len() as i32);
    for (id, producer) in producers {
        let last = producer.batches.back();
        bytes.put_i64(*id);
        bytes.put_i16(producer.epoch);
        bytes.put_i32(last.map_or(-1, |batch| batch.last_sequence));
        bytes.put_i64(last.map_or(-1, |batch| batch.last_offset));
        bytes.put_i32(last.map_or(0, |batch| batch.offset_delta));
        bytes.put_i64(producer.last_timestamp_ms);
        bytes.put_i32(producer.coordinator_epoch);
        bytes.put_i64(producer.transaction_first_offset.unwrap_or(-1));
    }
    let crc = crc32c::crc32c(&bytes[PREFIX_BYTES..]);
    bytes[2..PREFIX_BYTES].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The producers of a snapshot; None if it is damaged or of another version.
pub(super) fn decode(bytes: &[u8]) -> Option<BTreeMap<i64, Producer>> {
    let mut rest = bytes;
    let version = rest.try_get_i16().ok()?;
    let crc = rest.try_get_u32().ok()?;
    if version != VERSION || crc != crc32c::crc32c(rest) {
        return None;
    }
    let count = usize::try_from(rest.try_get_i32().ok()?).ok()?;
    if count > rest.len() / ENTRY_BYTES {
        return None;
    }
    Some((0..count).map(|_| entry(&mut rest)).collect())
}

/// Reads one of the entries, whose presence the caller has checked.
fn entry(rest: &mut &[u8]) -> (i64, Producer) {
    let id = rest.get_i64();
    let epoch = rest.get_i16();
    let last_sequence = rest.get_i32();
    let last_offset = rest.get_i64();
    let offset_delta = rest.get_i32();
    let last_timestamp_ms = rest.get_i64();
    let coordinator_epoch = rest.get_i32();
    let first_offset = rest.get_i64();
    let batch = WrittenBatch {
        last_sequence,
        last_offset,
        offset_delta,
        max_timestamp_ms: last_timestamp_ms,
    };
    let producer = Producer {
        epoch,
        coordinator_epoch,
        last_timestamp_ms,
        transaction_first_offset: (first_offset >= 0).then_some(first_offset),
        batches: VecDeque::from_iter((last_offset >= 0).then_some(batch)),
    };
    (id, producer)
}
