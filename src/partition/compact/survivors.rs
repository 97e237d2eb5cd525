//! Which records survive a cleaning, and what of their batches is left (Kafka:
//! `Cleaner.cleanInto`).
//!
//! - Of each key the record with the largest offset stays. A record without a key goes.
//! - A tombstone, and a marker of whose transaction nothing is left, gets a delete horizon when it
//!   is met first and goes when that has passed, so that readers have the time to see it (KIP-534).
//! - Records of aborted transactions go at once.
//! - What is beyond the last offset of the key map stays as it is, but for the horizon.
//! - The batch that says where an active producer is, and the one that ends the range that is
//!   cleaned, stay without a record where need be.

use std::collections::BTreeMap;

use crate::log::AbortedTransaction;
use crate::records::{
    BatchHeader, Filtered, Record, RecordError, Records, empty_batch, filter_batch,
};

use super::key_map::KeyMap;
use super::transactions::{CleanedTransactions, MarkerFate};

/// The last that an active producer wrote (Kafka: `LastRecord`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::partition) struct LastRecord {
    /// Last offset of its last batch of records; None where it has only markers.
    pub(in crate::partition) data_offset: Option<i64>,
    /// Its epoch.
    pub(in crate::partition) epoch: i16,
}

/// Why the cleaning of a log cannot go on: its bytes are not what was written.
#[derive(Debug, thiserror::Error)]
pub(in crate::partition) enum DamagedBatch {
    /// The CRC-32C is another.
    #[error("the checksum of the batch at offset {0} is wrong")]
    Checksum(i64),
    /// The records cannot be read.
    #[error("the records of the batch at offset {offset}: {source}")]
    Records {
        /// Base offset of the batch.
        offset: i64,
        /// What is wrong.
        source: RecordError,
    },
}

/// Decides batch by batch, in the order of the log.
pub(super) struct Survivors {
    pub(super) map: KeyMap,
    pub(super) transactions: CleanedTransactions,
    /// By producer.
    pub(super) last_records: BTreeMap<i64, LastRecord>,
    /// Time of this cleaning, in milliseconds.
    pub(super) now_ms: i64,
    /// `delete.retention.ms`.
    pub(super) delete_retention_ms: i64,
    /// End of the range that is cleaned.
    pub(super) until: i64,
}

/// What stays of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Survivor {
    /// Its bytes; None where they are those of the batch.
    pub(super) rewritten: Option<Vec<u8>>,
    /// The transaction that it aborts.
    pub(super) aborts: Option<AbortedTransaction>,
}

/// What was decided about a batch before its records are looked at.
struct Fate {
    /// All records go.
    is_discarded: bool,
    marker: Option<MarkerFate>,
}

impl Survivors {
    /// What stays of `batch`, which starts with `header`; None if nothing does.
    pub(super) fn of(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
    ) -> Result<Option<Survivor>, DamagedBatch> {
        verify(header, batch)?;
        let fate = self.fate(header, batch).map_err(|source| damaged(header, source))?;
        let stays_empty = header.has_producer_id() && self.is_last_of_producer(header)
            || header.next_offset() == Some(self.until);
        let is_due = fate.marker.is_some_and(|marker| marker.is_idle);
        let filtered = if fate.is_discarded {
            Filtered::Empty
        } else {
            let horizon_ms = self.now_ms.saturating_add(self.delete_retention_ms);
            let keep = |record: &Record<'_>| header.is_control() || self.is_kept(header, record);
            filter_batch(header, batch, is_due, horizon_ms, keep)
                .map_err(|source| damaged(header, source))?
        };
        let rewritten = match filtered {
            Filtered::Whole => None,
            Filtered::Rewritten(bytes) => Some(bytes),
            Filtered::Empty if stays_empty => Some(empty_batch(header)),
            Filtered::Empty => return Ok(None),
        };
        let aborts = fate.marker.and_then(|marker| marker.aborts);
        Ok(Some(Survivor { rewritten, aborts }))
    }

    fn fate(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<Fate, RecordError> {
        if !header.is_control() {
            return Ok(Fate { is_discarded: self.transactions.on_batch(header), marker: None });
        }
        let mut records = Records::new(header, batch)?;
        let marker = self.transactions.on_control(header, records.next()?.as_ref());
        let has_passed = header.has_delete_horizon() && header.base_timestamp <= self.now_ms;
        Ok(Fate { is_discarded: marker.is_idle && has_passed, marker: Some(marker) })
    }

    /// Kafka's `Cleaner.shouldRetainRecord`.
    fn is_kept(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        let offset = header.base_offset.saturating_add(record.offset_delta.into());
        if offset > self.map.latest_offset() {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_wanted = record.value.is_some()
            || !header.has_delete_horizon()
            || self.now_ms < header.base_timestamp;
        is_wanted && !self.map.is_superseded(key, offset)
    }

    /// Of a producer that has only markers, the one with its epoch.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.last_records.get(&header.producer_id);
        last.is_some_and(|last| match last.data_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.is_control() && header.producer_epoch == last.epoch,
        })
    }
}

/// Puts the keys of a batch into the map, but for those of aborted transactions and those below
/// `from`. False if the map is full (Kafka: `Cleaner.buildOffsetMapForSegment`).
pub(super) fn map_batch(
    map: &mut KeyMap,
    transactions: &mut CleanedTransactions,
    from: i64,
    header: &BatchHeader,
    batch: &[u8],
) -> Result<bool, DamagedBatch> {
    verify(header, batch)?;
    let mut put_all = || {
        let mut records = Records::new(header, batch)?;
        if header.is_control() {
            transactions.on_control(header, records.next()?.as_ref());
            return Ok(true);
        }
        if transactions.on_batch(header) {
            return Ok(true);
        }
        while let Some(record) = records.next()? {
            let offset = header.base_offset.saturating_add(record.offset_delta.into());
            if let Some(key) = record.key.filter(|_| offset >= from)
                && !map.put(key, offset)
            {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let is_whole = put_all().map_err(|source| damaged(header, source))?;
    if is_whole && header.last_offset() >= from {
        map.advance(header.last_offset());
    }
    Ok(is_whole)
}

/// A damaged batch is never copied on: the copy would have the right checksum of wrong bytes.
fn verify(header: &BatchHeader, batch: &[u8]) -> Result<(), DamagedBatch> {
    let is_right = header.size_bytes() == batch.len() && header.verify_crc(batch);
    is_right.then_some(()).ok_or(DamagedBatch::Checksum(header.base_offset))
}

fn damaged(header: &BatchHeader, source: RecordError) -> DamagedBatch {
    DamagedBatch::Records { offset: header.base_offset, source }
}

#[cfg(test)]
mod tests;
