//! What a broker has when it starts: topics, their configurations, first records.
//!
//! A seed is a file (`ottla.yaml`) or a list like that of `KAFKA_CREATE_TOPICS`. A topic that is there already keeps
//! its settings, and records go only into partitions that were never written to, so that a second start changes nothing. All of
//! a seed is read before anything of it is done.
//!
//! ```yaml
//! topics:
//!   - name: orders
//!     partitions: 3
//!     replication_factor: 1
//!     configs: { cleanup.policy: compact }
//!     records:
//!       - { key: "17", value: { state: new }, headers: { source: seed }, partition: 0, timestamp: 1700000000000 }
//!   - name: customers
//!     records: customers.csv
//! ```
//!
//! Keys and values that are texts are taken as they are, null is null, all else is written as JSON. Without a partition a
//! key decides, as in Kafka's clients; records without a key go round the partitions. A file beside the seed may hold the records
//! instead: `.json` a list or one record per line, `.csv` with a header of `key`, `value`, `partition`, `timestamp` and
//! `header.NAME`.

mod apply;
mod files;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::env::Disk;
use crate::wire::ErrorCode;

/// Topics and records to begin with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    #[serde(default)]
    topics: Vec<SeedTopic>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedTopic {
    name: String,
    /// The broker's default without it, as for the replicas.
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    configs: BTreeMap<String, Value>,
    #[serde(default)]
    records: SeedRecords,
}

/// Where records come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum SeedRecords {
    File(PathBuf),
    Here(Vec<SeedRecord>),
}

impl Default for SeedRecords {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedRecord {
    #[serde(default)]
    key: Value,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    partition: Option<i32>,
    /// Milliseconds since 1970; the time of the start without it.
    timestamp: Option<i64>,
}

/// Why a seed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A file cannot be read, or says something that nobody understands.
    #[error("seed {path}: {what}")]
    File {
        /// The seed or a file that it names.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// An entry of a list of topics is not `name:partitions:replicas`.
    #[error(
        "topic '{0}' to create: it must be name[:partitions[:replicas[:cleanup.policy]]], as in \
         orders:3:1:compact"
    )]
    Entry(String),
    /// The broker refuses a topic or its records.
    #[error("seed: topic {topic}: {}: {message}", code.name())]
    Refused {
        /// Its name.
        topic: String,
        /// Kafka's code.
        code: ErrorCode,
        /// What is wrong.
        message: String,
    },
}

impl Seed {
    /// Reads a file, and the files of records that it names, which stand beside it.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, SeedError> {
        let text = files::text(disk, path)?;
        let failed = |error: serde_saphyr::Error| files::failed(path, error);
        let mut seed: Self = serde_saphyr::from_str(&text).map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for topic in &mut seed.topics {
            if let SeedRecords::File(file) = &topic.records {
                topic.records = SeedRecords::Here(files::records(disk, &folder.join(file))?);
            }
        }
        Ok(seed)
    }

    /// Reads `name:partitions:replicas[:cleanup.policy],...`, the form of `KAFKA_CREATE_TOPICS`; what comes behind the name may
    /// be left out.
    pub fn topics(list: &str) -> Result<Self, SeedError> {
        let entries = list.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        let topics =
            entries.map(|entry| topic(entry).ok_or_else(|| SeedError::Entry(entry.into())));
        Ok(Self { topics: topics.collect::<Result<_, _>>()? })
    }

    /// This and what `other` has.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.topics.extend(other.topics);
        self
    }
}

fn topic(entry: &str) -> Option<SeedTopic> {
    let mut parts = entry.split(':');
    let name = parts.next()?.trim().to_owned();
    let partitions = parts.next().map(|text| text.trim().parse()).transpose().ok()?;
    let replication_factor = parts.next().map(|text| text.trim().parse()).transpose().ok()?;
    let policy = parts.next().map(|policy| ("cleanup.policy".to_owned(), policy.trim().into()));
    let is_whole = parts.next().is_none() && !name.is_empty();
    let configs = policy.into_iter().collect();
    let topic = SeedTopic { name, partitions, replication_factor, configs, ..Default::default() };
    is_whole.then_some(topic)
}

/// A key, a value or a setting as bytes; None for null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
