//! Producer snapshots: what a partition knows of its producers.

use bytes::Bytes;

use super::text::kafka_reason;
use super::{Dump, DumpError, NamedFile, read_whole};
use crate::wire::{Decoder, Field, Message, message};

/// What the checksum does not cover: the version and itself.
const PREFIX_BYTES: usize = 6;

message! {
    /// Follows the version in the file.
    struct ProducerSnapshot: versions 1..=1, flexible 32767 {
        crc: u32,
        producer_entries: Vec<ProducerEntry>,
    }

    struct ProducerEntry {
        producer_id: i64,
        epoch: i16,
        last_sequence: i32,
        last_offset: i64,
        offset_delta: i32,
        timestamp: i64,
        coordinator_epoch: i32,
        current_txn_first_offset: i64,
    }
}

/// A damaged snapshot is told, and the dump goes on.
pub(super) fn dump(dump: &mut Dump<'_>, file: &NamedFile) -> Result<(), DumpError> {
    let bytes = Bytes::from(read_whole(dump.disk, &file.path)?);
    let snapshot = match read(&bytes) {
        Ok(snapshot) => snapshot,
        Err(reason) => {
            return dump.complain(&format!("Snapshot failed schema validation: {reason}"));
        }
    };
    let (stored, computed) = (snapshot.crc, crc32c::crc32c(&bytes[PREFIX_BYTES..]));
    if stored != computed {
        return dump.complain(&format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. \
             Computed crc: {computed}"
        ));
    }
    for producer in snapshot.producer_entries {
        write!(
            dump.out,
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} \
             lastTimestamp: {}",
            producer.producer_id,
            producer.epoch,
            producer.coordinator_epoch,
            match producer.current_txn_first_offset {
                offset if offset >= 0 => format!("OptionalLong[{offset}]"),
                _ => "OptionalLong.empty".to_owned(),
            },
            producer.timestamp,
        )?;
        if producer.last_offset >= 0 {
            write!(
                dump.out,
                " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                decrement_sequence(producer.last_sequence, producer.offset_delta),
                producer.last_sequence,
                producer.last_offset,
                producer.offset_delta,
                producer.timestamp,
            )?;
        }
        writeln!(dump.out)?;
    }
    Ok(())
}

/// The snapshot, or Kafka's reason why it is none.
fn read(bytes: &Bytes) -> Result<ProducerSnapshot, String> {
    let mut decoder = Decoder::new(bytes.clone());
    let version = i16::read(&mut decoder, ProducerSnapshot::format(1))
        .map_err(|error| kafka_reason(&error))?;
    if !ProducerSnapshot::VERSIONS.contains(&version) {
        return Err(format!("Snapshot contained an unknown file version {version}"));
    }
    ProducerSnapshot::decode(&mut decoder, version).map_err(|error| kafka_reason(&error))
}

/// `sequence` minus `decrement`, from 0 to the largest (`DefaultRecordBatch.decrementSequence`).
fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    match sequence < decrement {
        true => i32::MAX.wrapping_sub(decrement.wrapping_sub(sequence)).wrapping_add(1),
        false => sequence.wrapping_sub(decrement),
    }
}
