//! What a topic's configuration means for the broker.
//!
//! A topic's value is its own override, else the broker's value of the first synonym that has
//! one, else the default (Kafka: `LogConfig`, `KafkaConfig.extractLogConfigMap`).

use super::row::{ConfigError, Row, Synonym, Values};
use super::topic_rows::TOPIC_ROWS;
use super::{BrokerLayers, ConfigMap};

/// Whose clock gives records their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

/// The part of a topic's configuration that the broker acts on, read. Sizes are bytes, times milliseconds.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct TopicConfig {
    /// `segment.bytes`, or `internal.segment.bytes` where that is set.
    pub segment_bytes: u32,
    /// `segment.ms`; at least 1.
    pub segment_ms: i64,
    /// `segment.jitter.ms`; at least 0.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`; at least 4.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `flush.messages`; `i64::MAX` for never.
    pub flush_messages: i64,
    /// `flush.ms`; `i64::MAX` for never.
    pub flush_ms: i64,
    /// `retention.bytes`; negative for no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 for no limit.
    pub retention_ms: i64,
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub message_timestamp_after_max_ms: i64,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `min.cleanable.dirty.ratio`, 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`; `i64::MAX` for no limit.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `min.insync.replicas`; at least 1.
    pub min_insync_replicas: u32,
    /// `compression.type`: a codec's name, `uncompressed` or `producer`.
    pub compression_type: String,
    /// `compression.<type>.level` of that codec; none for the codecs that have no level here.
    pub compression_level: Option<i32>,
    /// `preallocate`.
    pub preallocate: bool,
    /// The broker's `producer.id.expiration.ms`, of which topics have none of their own: how long
    /// a partition remembers a silent producer; at least 1.
    pub producer_id_expiration_ms: i64,
    /// The broker's `transaction.partition.verification.enable`: a partition takes the first batch
    /// of a transaction only from who has asked the transaction's coordinator.
    pub transaction_partition_verification: bool,
}

impl Default for TopicConfig {
    fn default() -> Self {
        let empty = ConfigMap::new();
        let resolved = Self::resolve(&empty, &BrokerLayers::fixed(&empty));
        resolved.expect("every default is a valid value")
    }
}

impl TopicConfig {
    /// Reads a topic's configuration as it stands in the metadata. Names without a row are
    /// passed over, as Kafka does with what a newer version has written.
    pub fn resolve(overrides: &ConfigMap, broker: &BrokerLayers) -> Result<Self, ConfigError> {
        Ok(Self::from_values(&read(overrides, broker)?, broker))
    }

    /// Checks what a client wants to set, as the whole set it would become, and reads it.
    /// The order of the checks is Kafka's (`LogConfig.validate`): names, each value, pairs.
    pub fn validate(overrides: &ConfigMap, broker: &BrokerLayers) -> Result<Self, ConfigError> {
        if let Some(unknown) = overrides.keys().find(|name| Self::row(name).is_none()) {
            return Err(ConfigError::UnknownTopicKey(unknown.clone()));
        }
        let values = read(overrides, broker)?;
        let least = values.integer("min.compaction.lag.ms");
        let most = values.integer("max.compaction.lag.ms");
        if least > most {
            return Err(ConfigError::Rule(format!(
                "conflict topic config setting min.compaction.lag.ms ({least}) > \
                 max.compaction.lag.ms ({most})"
            )));
        }
        if values.boolean("remote.storage.enable") {
            return Err(ConfigError::Rule(
                "Tiered Storage functionality is disabled in the broker. \
                 Topic cannot be configured with remote log storage."
                    .into(),
            ));
        }
        Ok(Self::from_values(&values, broker))
    }

    /// The row of a topic key.
    pub fn row(name: &str) -> Option<&'static Row> {
        TOPIC_ROWS.iter().find(|row| row.name == name)
    }

    /// All topic keys.
    pub fn rows() -> &'static [Row] {
        TOPIC_ROWS
    }

    fn from_values(values: &Values, broker: &BrokerLayers) -> Self {
        let int = |name| values.integer(name);
        let size = |name| u32::try_from(values.integer(name)).unwrap_or(0);
        let policy = |name: &str| {
            let policies = values.list("cleanup.policy").unwrap_or_default();
            policies.iter().any(|policy| policy == name)
        };
        let small_segments = values.optional_integer("internal.segment.bytes");
        let compression_type = values.text("compression.type").unwrap_or_default().to_owned();
        let compression_level = match compression_type.as_str() {
            "gzip" => i32::try_from(int("compression.gzip.level")).ok(),
            "lz4" => i32::try_from(int("compression.lz4.level")).ok(),
            "zstd" => i32::try_from(int("compression.zstd.level")).ok(),
            _ => None,
        };
        Self {
            segment_bytes: small_segments
                .map_or_else(|| size("segment.bytes"), |bytes| u32::try_from(bytes).unwrap_or(0)),
            segment_ms: int("segment.ms"),
            segment_jitter_ms: int("segment.jitter.ms"),
            segment_index_bytes: size("segment.index.bytes"),
            index_interval_bytes: size("index.interval.bytes"),
            flush_messages: int("flush.messages"),
            flush_ms: int("flush.ms"),
            retention_bytes: int("retention.bytes"),
            retention_ms: int("retention.ms"),
            max_message_bytes: size("max.message.bytes"),
            message_timestamp_type: match values.text("message.timestamp.type") {
                Some("LogAppendTime") => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            message_timestamp_before_max_ms: int("message.timestamp.before.max.ms"),
            message_timestamp_after_max_ms: int("message.timestamp.after.max.ms"),
            compact: policy("compact"),
            delete: policy("delete"),
            min_cleanable_dirty_ratio: values.double("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: int("min.compaction.lag.ms"),
            max_compaction_lag_ms: int("max.compaction.lag.ms"),
            delete_retention_ms: int("delete.retention.ms"),
            file_delete_delay_ms: int("file.delete.delay.ms"),
            min_insync_replicas: size("min.insync.replicas"),
            compression_type,
            compression_level,
            preallocate: values.boolean("preallocate"),
            producer_id_expiration_ms: broker.integer("producer.id.expiration.ms"),
            transaction_partition_verification: broker
                .boolean("transaction.partition.verification.enable"),
        }
    }
}

fn read(overrides: &ConfigMap, broker: &BrokerLayers) -> Result<Values, ConfigError> {
    Values::read(TOPIC_ROWS, |row| effective(row, overrides, broker))
}

/// The text that counts for one topic key.
pub(super) fn effective(row: &Row, own: &ConfigMap, broker: &BrokerLayers) -> Option<String> {
    let inherited = || {
        let mut synonyms = row.synonyms.iter();
        synonyms.find_map(|synonym| broker.get(synonym.0).map(|raw| convert(raw, *synonym)))
    };
    let default = || row.default.map(str::to_owned);
    own.get(row.name).cloned().or_else(inherited).or_else(default)
}

/// Turns a broker's hours or minutes into milliseconds; no limit (negative) stays -1.
fn convert(raw: &str, (name, factor): Synonym) -> String {
    let limit = name.starts_with("log.retention.") && name != "log.retention.bytes";
    match raw.trim().parse::<i64>() {
        Ok(number) if limit && number < 0 => "-1".into(),
        Ok(number) if factor != 1 => number.saturating_mul(factor).to_string(),
        _ => raw.to_owned(),
    }
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
