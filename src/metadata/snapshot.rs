//! Snapshots of the metadata log, and `bootstrap.checkpoint`, which has the same form:
//!
//! ```text
//!   [control: SnapshotHeader, KRaftVersion, KRaftVoters] [records]* [control: SnapshotFooter]
//! ```
//!
//! `<offset>-<epoch>.checkpoint` holds what all records below `offset` add up to
//! (Kafka: `Snapshots`, `RecordsSnapshotWriter`, `RecordsSnapshotReader`).

use bytes::Bytes;

use crate::records::{BatchBuilder, BatchError, Batches, RecordError as BatchRecordError, Records};
use crate::shard::{KeyValue, Machine as _};
use crate::wire::records::{ControlRecord, SnapshotFooterRecord, SnapshotHeaderRecord};

use super::machine::MetadataMachine;
use super::state::{Entry, ReplayError};

/// Records in a batch (Kafka: `RaftSnapshotWriter`).
const BATCH_RECORDS: usize = 1_024;

/// Which snapshot: everything below an offset, the last of it written in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SnapshotId {
    /// First offset that is not contained.
    pub offset: i64,
    /// Epoch of the last record contained.
    pub epoch: i32,
}

impl SnapshotId {
    /// Of the checkpoint that a formatted directory starts with.
    pub(super) const BOOTSTRAP: Self = Self { offset: 0, epoch: 0 };

    /// Name of its file.
    pub(super) fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.offset, self.epoch)
    }

    /// Reads a file's name; None for other files, half-written ones among them.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let id = Self { offset: offset.parse().ok()?, epoch: epoch.parse().ok()? };
        (id.file_name() == name).then_some(id)
    }
}

/// Why a snapshot's bytes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Bytes that are no batch.
    #[error("position {0}: {1}")]
    Batch(usize, #[source] BatchError),
    /// A batch with a wrong CRC.
    #[error("position {0}: wrong CRC")]
    Crc(usize),
    /// A batch with bytes that are no records.
    #[error("position {0}: {1}")]
    Records(usize, #[source] BatchRecordError),
    /// A record that cannot be read.
    #[error("position {0}: {1}")]
    Record(usize, #[source] ReplayError),
    /// The header is missing at the beginning, or the footer at the end.
    #[error("it is not complete")]
    Incomplete,
}

/// The content of a snapshot.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Time of the last record of the log that is contained, in milliseconds.
    pub last_contained_timestamp_ms: i64,
    /// All records between header and footer.
    pub entries: Vec<Entry>,
}

impl Snapshot {
    /// The file, written at `now_ms` in `epoch`; control records first.
    pub(super) fn encode(&self, epoch: i32, now_ms: i64) -> Vec<u8> {
        let header = ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
            version: 0,
            last_contained_log_timestamp: self.last_contained_timestamp_ms,
        });
        let footer = ControlRecord::SnapshotFooter(SnapshotFooterRecord { version: 0 });
        let is_control = |entry: &&Entry| matches!(entry, Entry::Control(_));
        let (control, data): (Vec<&Entry>, Vec<&Entry>) = self.entries.iter().partition(is_control);
        let (header, footer) = (Entry::Control(header), Entry::Control(footer));
        let first: Vec<&Entry> = std::iter::once(&header).chain(control).collect();
        let mut file = Vec::new();
        let mut offset = 0;
        let batches = std::iter::once(&first[..]).chain(data.chunks(BATCH_RECORDS));
        for entries in batches.chain([&[&footer][..]]) {
            let mut batch = BatchBuilder::new(offset, epoch);
            if matches!(entries[0], Entry::Control(_)) {
                batch = batch.control();
            }
            for entry in entries {
                let KeyValue { key, value } = MetadataMachine::encode(entry);
                batch.push(now_ms, key.as_deref(), value.as_deref());
            }
            offset += entries.len() as i64;
            file.extend(batch.build());
        }
        file
    }

    /// Reads a file, all of it.
    pub(super) fn decode(file: &[u8]) -> Result<Self, SnapshotError> {
        let mut entries = Vec::new();
        let mut batches = Batches::new(file);
        loop {
            let position = file.len() - batches.remaining().len();
            let Some(batch) = batches.next() else { break };
            let (header, batch) = batch.map_err(|error| SnapshotError::Batch(position, error))?;
            if !header.verify_crc(batch) {
                return Err(SnapshotError::Crc(position));
            }
            let damaged = |error| SnapshotError::Records(position, error);
            let mut records = Records::new(&header, batch).map_err(damaged)?;
            while let Some(record) = records.next().map_err(damaged)? {
                let copied = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
                let raw = KeyValue { key: copied(record.key), value: copied(record.value) };
                let entry = MetadataMachine::decode(raw, header.is_control());
                entries.extend(entry.map_err(|error| SnapshotError::Record(position, error))?);
            }
        }
        let Some(Entry::Control(ControlRecord::SnapshotHeader(header))) = entries.first() else {
            return Err(SnapshotError::Incomplete);
        };
        let last_contained_timestamp_ms = header.last_contained_log_timestamp;
        let Some(Entry::Control(ControlRecord::SnapshotFooter(_))) = entries.pop() else {
            return Err(SnapshotError::Incomplete);
        };
        entries.remove(0);
        Ok(Self { last_contained_timestamp_ms, entries })
    }
}
