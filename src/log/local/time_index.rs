//! Entries of `.timeindex` and the rule by which they are added, as Kafka's `TimeIndex`.
//!
//! An entry says: every batch of the segment up to and with the one that ends with this offset has
//! a maximum timestamp of at most this. Timestamps and offsets both grow from entry to entry; the
//! last entry of a sealed segment holds its largest timestamp.

use super::index::{Entry, Index};

/// An entry of `.timeindex`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// Largest timestamp so far, in milliseconds since the epoch.
    pub(super) timestamp_ms: i64,
    /// Last offset of the first batch with that timestamp, relative to the base offset.
    pub(super) relative_offset: u32,
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn key(self) -> i64 {
        self.timestamp_ms
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            timestamp_ms: i64::from_be_bytes(*bytes.first_chunk()?),
            relative_offset: u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?),
        })
    }
}

/// Adds `entry` if its time is later than that of the last one; a segment whose batches carry no
/// time (-1) has no entries.
pub(super) fn maybe_append(index: &mut Index<TimeEntry>, entry: TimeEntry) {
    if entry.timestamp_ms > index.last().map_or(-1, |last| last.timestamp_ms) {
        index.push(entry);
    }
}
