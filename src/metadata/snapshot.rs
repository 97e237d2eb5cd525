//! Snapshots of the metadata log, and `bootstrap.checkpoint`, which has the same form:
//!
//! ```text
//!   [control: SnapshotHeader, KRaftVersion, KRaftVoters] [records]* [control: SnapshotFooter]
//! ```
//!
//! `<offset>-<epoch>.checkpoint` holds what all records below `offset` add up to
//! (Kafka: `Snapshots`, `RecordsSnapshotWriter`, `RecordsSnapshotReader`).

use std::fmt::Display;

use uuid::Uuid;

use crate::config::{ConfigMap, resource};
use crate::records::{BatchBuilder, Batches, Records};
use crate::shard::{KeyValue, Machine as _, Position};
use crate::wire::records::{
    ConfigRecord, ControlRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord,
    SnapshotFooterRecord, SnapshotHeaderRecord, TopicRecord,
};

use super::directory::FileError;
use super::features::{KRAFT_VERSION_FEATURE, METADATA_VERSION_FEATURE};
use super::image::PartitionImage;
use super::machine::MetadataMachine;
use super::registration;
use super::state::{Entry, ReplayError, State};

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
    pub(super) fn decode(file: &[u8]) -> Result<Self, FileError> {
        let mut entries = Vec::new();
        let mut batches = Batches::new(file);
        loop {
            let position = file.len() - batches.remaining().len();
            let damaged =
                |what: &dyn Display| FileError::Damaged(format!("position {position}: {what}"));
            let Some(batch) = batches.next() else { break };
            let (header, batch) = batch.map_err(|error| damaged(&error))?;
            if !header.verify_crc(batch) {
                return Err(damaged(&"wrong CRC"));
            }
            let mut records = Records::new(&header, batch).map_err(|error| damaged(&error))?;
            while let Some(record) = records.next().map_err(|error| damaged(&error))? {
                let entry = MetadataMachine::decode(KeyValue::of(&record), header.is_control());
                entries.extend(entry.map_err(|error| damaged(&error))?);
            }
        }
        let mut entries = entries.into_iter();
        match (entries.next(), entries.next_back()) {
            (
                Some(Entry::Control(ControlRecord::SnapshotHeader(header))),
                Some(Entry::Control(ControlRecord::SnapshotFooter(_))),
            ) => Ok(Self {
                last_contained_timestamp_ms: header.last_contained_log_timestamp,
                entries: entries.collect(),
            }),
            _ => Err(FileError::Damaged("its end".to_owned())),
        }
    }
}

impl State {
    /// The state that a snapshot of everything below `id.offset` holds.
    pub(super) fn restore(
        mut self,
        snapshot: &Snapshot,
        id: SnapshotId,
    ) -> Result<Self, ReplayError> {
        let at = Position {
            offset: id.offset - 1,
            epoch: id.epoch,
            timestamp_ms: snapshot.last_contained_timestamp_ms,
            size_bytes: 0,
            producer_id: None,
        };
        snapshot.entries.iter().try_for_each(|entry| self.apply(entry, at))?;
        Ok(self)
    }

    /// Which snapshot this state is, and its content in the reference's order
    /// (Kafka: `MetadataImage.write`). No transaction is open.
    pub(super) fn snapshot(&self) -> (SnapshotId, Snapshot) {
        let image = &self.image;
        let voters = self.voters.iter().cloned().flat_map(registration::quorum_records);
        let mut entries: Vec<Entry> = voters.map(Entry::Control).collect();
        let level = |name: &str| FeatureLevelRecord {
            name: name.to_owned(),
            feature_level: image.finalized_features.get(name).copied().unwrap_or_default(),
        };
        entries.push(level(METADATA_VERSION_FEATURE).into());
        let others = image
            .finalized_features
            .keys()
            .filter(|name| *name != METADATA_VERSION_FEATURE && *name != KRAFT_VERSION_FEATURE);
        entries.extend(others.map(|name| Entry::from(level(name))));
        entries.extend(self.brokers.values().cloned().map(Entry::from));
        entries.extend(self.controllers.values().cloned().map(Entry::from));
        for topic in image.topics() {
            let name = topic.name.to_string();
            entries.push(TopicRecord { name, topic_id: topic.id }.into());
            let partitions = (0..).zip(&topic.partitions);
            entries.extend(partitions.map(|(number, partition)| {
                Entry::from(partition_record(topic.id, number, *partition, image.node_id))
            }));
        }
        for topic in image.topics() {
            entries.extend(config_records(resource::TOPIC, &topic.name, &topic.overrides));
        }
        for ((resource_type, name), configs) in &image.configs {
            entries.extend(config_records(*resource_type, name, configs));
        }
        if self.next_producer_id > 0 {
            let next_producer_id = self.next_producer_id;
            let (broker_id, broker_epoch) = (-1, -1);
            entries.push(ProducerIdsRecord { broker_id, broker_epoch, next_producer_id }.into());
        }
        entries.extend(self.kept.values().cloned().map(Entry::Data));
        let offset = image.finalized_features_epoch + 1;
        let id = SnapshotId { offset, epoch: image.controller_epoch };
        let last_contained_timestamp_ms = self.last_timestamp_ms;
        (id, Snapshot { last_contained_timestamp_ms, entries })
    }
}

/// A partition that lives on this node only.
pub(super) fn partition_record(
    topic_id: Uuid,
    partition_id: i32,
    partition: PartitionImage,
    node_id: i32,
) -> PartitionRecord {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: vec![node_id],
        isr: vec![node_id],
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        directories: vec![partition.directory],
        ..PartitionRecord::default()
    }
}

/// What is set for a resource, as records.
pub(super) fn config_records(
    resource_type: i8,
    resource_name: &str,
    configs: &ConfigMap,
) -> impl Iterator<Item = Entry> {
    configs.iter().map(move |(name, value)| {
        Entry::from(ConfigRecord {
            resource_type,
            resource_name: resource_name.to_owned(),
            name: name.clone(),
            value: Some(value.clone()),
        })
    })
}
