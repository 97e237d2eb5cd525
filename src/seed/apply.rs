//! Doing what a seed says, before the first client is let in.

use std::collections::BTreeMap;

use super::{Seed, SeedError, SeedRecord, SeedRecords, SeedTopic, text};
use crate::env::Env;
use crate::metadata::{Metadata, NewTopic};
use crate::partition::Registry;
use crate::records::{BatchBuilder, partition_of_key};
use crate::wire::ErrorCode;

/// A batch is written when it has so many bytes; less than any topic's `max.message.bytes` by default.
const BATCH_BYTES: usize = 256 * 1024;
/// The version of Produce whose rules the batches keep.
const PRODUCE_VERSION: i16 = 12;

impl Seed {
    /// Creates the topics that are not there yet and fills the partitions that are empty; all is committed when this
    /// returns.
    pub(crate) async fn apply(
        &self,
        env: &Env,
        metadata: &Metadata,
        registry: &Registry,
    ) -> Result<(), SeedError> {
        for topic in &self.topics {
            let there = metadata.image().topic(&topic.name).map(|there| there.partitions.len());
            let count = match there {
                Some(count) => count as i32,
                None => topic.create(metadata).await?,
            };
            topic.fill(env, registry, count).await?;
        }
        Ok(())
    }
}

impl SeedTopic {
    /// Creates it; how many partitions it has.
    async fn create(&self, metadata: &Metadata) -> Result<i32, SeedError> {
        let topic = NewTopic {
            num_partitions: self.partitions.unwrap_or(-1),
            replication_factor: self.replication_factor.unwrap_or(-1),
            configs: self.configs.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
            ..NewTopic::with_defaults(&self.name)
        };
        let created = metadata.create_topics(vec![topic], false).await;
        match created.into_iter().next() {
            Some(Ok(created)) => Ok(created.num_partitions),
            Some(Err(error)) => Err(self.refused(error.code, error.message.unwrap_or_default())),
            None => Err(self.refused(ErrorCode::UnknownServerError, "no answer")),
        }
    }

    fn refused(&self, code: ErrorCode, message: impl Into<String>) -> SeedError {
        SeedError::Refused { topic: self.name.clone(), code, message: message.into() }
    }

    /// Appends the records, of each partition in their order, unless it was ever written to.
    async fn fill(&self, env: &Env, registry: &Registry, count: i32) -> Result<(), SeedError> {
        let SeedRecords::Here(records) = &self.records else { return Ok(()) };
        let mut by_partition: BTreeMap<i32, Vec<&SeedRecord>> = BTreeMap::new();
        for (place, record) in records.iter().enumerate() {
            by_partition.entry(record.place(place, count)).or_default().push(record);
        }
        let now_ms = env.clock.now_ms();
        for (index, records) in by_partition {
            let partition = registry.get(&self.name, index).map_err(|error| {
                self.refused(error.error_code(), format!("it has no partition {index}"))
            })?;
            if partition.bounds().end_offset > 0 {
                continue;
            }
            for batch in batches(&records, now_ms) {
                let appended = partition.append(&batch, PRODUCE_VERSION, None);
                let appended = appended.map_err(|error| {
                    let refusal = error.refusal();
                    let cause = refusal.message.unwrap_or_else(|| error.to_string());
                    self.refused(refusal.error, format!("records of partition {index}: {cause}"))
                })?;
                partition.committed(appended.end_offset).await.map_err(|error| {
                    self.refused(error.error_code(), format!("partition {index}: {error}"))
                })?;
            }
        }
        Ok(())
    }
}

impl SeedRecord {
    /// The partition it belongs to, as the record at this place of the list.
    fn place(&self, place: usize, count: i32) -> i32 {
        self.partition.unwrap_or_else(|| match text(&self.key) {
            Some(key) => partition_of_key(key.as_bytes(), count),
            None => (place % count.max(1) as usize) as i32,
        })
    }
}

fn batches(records: &[&SeedRecord], now_ms: i64) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    let mut batch = BatchBuilder::new(0, -1);
    for record in records {
        let (key, value) = (text(&record.key), text(&record.value));
        let headers: Vec<(&str, Option<String>)> =
            record.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let headers: Vec<(&[u8], Option<&[u8]>)> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_deref().map(str::as_bytes)))
            .collect();
        batch.push_with_headers(
            record.timestamp.unwrap_or(now_ms),
            key.as_deref().map(str::as_bytes),
            value.as_deref().map(str::as_bytes),
            &headers,
        );
        if batch.size_bytes() >= BATCH_BYTES {
            batches.push(std::mem::replace(&mut batch, BatchBuilder::new(0, -1)).build());
        }
    }
    if batch.record_count() > 0 {
        batches.push(batch.build());
    }
    batches
}
