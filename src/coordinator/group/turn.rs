//! One decision of the machine in the making: what it rests on, what is written and who is answered.

use std::sync::Arc;

use super::command::Reply;
use super::consumer::Refusal;
use super::record::Record;
use crate::config::{GroupConfig, resource};
use crate::env::Random;
use crate::metadata::MetadataImage;
use crate::partition::Admission;
use crate::shard::{Batch, Outcome, Ticket, Transaction};
use crate::wire::ErrorCode;

/// Bytes of a record beside its key and value, at most: four lengths or deltas and three bytes.
const RECORD_OVERHEAD_BYTES: usize = 4 * 5 + 3;

/// One decision in the making.
pub(super) struct Turn {
    pub(super) now_ms: i64,
    pub(super) settings: Arc<GroupConfig>,
    pub(super) image: Arc<MetadataImage>,
    /// Version of the newest metadata that is known to have a topic that earlier one has not.
    pub(super) topics_version: i64,
    pub(super) random: Arc<Random>,
    /// What the log takes in one batch beside what was [added](Turn::add).
    pub(super) free_bytes: usize,
    pub(super) records: Vec<Record>,
    /// The transaction that the records belong to or end.
    pub(super) transaction: Option<Transaction>,
    pub(super) replies: Vec<(Ticket, Reply)>,
}

impl Turn {
    pub(super) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.replies.push((ticket, reply));
    }

    /// Whether the log takes a batch of these records.
    pub(super) fn fits<'r>(&self, records: impl IntoIterator<Item = &'r Record>) -> bool {
        records.into_iter().map(size_bytes).sum::<usize>() <= self.free_bytes
    }

    /// Adds a record to the batch if the log takes it with those added before.
    pub(super) fn add(&mut self, record: Record) -> bool {
        let Some(free_bytes) = self.free_bytes.checked_sub(size_bytes(&record)) else {
            return false;
        };
        self.free_bytes = free_bytes;
        self.records.push(record);
        true
    }

    /// Writes all of the records or none, if the log would not take them.
    pub(super) fn write_all(&mut self, records: Vec<Record>) -> Result<(), Refusal> {
        if !self.fits(self.records.iter().chain(&records)) {
            let message = "The records are larger than a batch of the log may be.";
            return Err(Refusal::new(ErrorCode::UnknownServerError, message));
        }
        self.records.extend(records);
        Ok(())
    }

    /// The broker's settings, and the group's own where it has some.
    pub(super) fn settings_of(&self, group: &str) -> GroupConfig {
        if self.image.configs.is_empty() {
            return *self.settings;
        }
        let node_id = self.image.node_id.to_string();
        let broker = [node_id.as_str(), ""];
        let broker = broker.map(|name| self.image.config_of(resource::BROKER, name));
        self.settings.with_layers(&broker, self.image.group_config(group))
    }

    pub(super) fn into_outcome(self) -> Outcome<Record, Reply> {
        let Self { records, transaction, replies, .. } = self;
        let admission = transaction.map(|transaction| transaction.admission);
        let control = matches!(admission, Some(Admission::Marker { .. }));
        let batch = (!records.is_empty()).then_some(Batch { records, control, transaction });
        Outcome { batch, replies }
    }
}

fn size_bytes(record: &Record) -> usize {
    record.encode().size_bytes() + RECORD_OVERHEAD_BYTES
}
