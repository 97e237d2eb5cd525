//! Creating and deleting topics: what is allowed, in the reference's order and words
//! (Kafka: `ReplicationControlManager.createTopics`, `Topic.validate`, `StripedReplicaPlacer`).

use uuid::Uuid;

use crate::config::{ConfigError, ConfigMap, TopicConfig, resource};
use crate::wire::ErrorCode;
use crate::wire::records::{ClearElrRecord, TopicRecord};

use super::image::PartitionImage;
use super::machine::MetadataMachine;
use super::places::NewPlaces;
use super::snapshot::{config_records, partition_record};
use super::state::Entry;

/// Partitions that one request may create, and records that one batch may have
/// (Kafka: `QuorumController.MAX_RECORDS_PER_USER_OP`).
pub(super) const RECORDS_MAX: usize = 10_000;
/// Longest configuration value, in UTF-16 units as Java counts.
const CONFIG_VALUE_MAX: usize = 32_767;
/// Longest topic name.
const NAME_MAX: usize = 249;

/// A topic to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; -1 for the broker's default, and with assignments.
    pub num_partitions: i32,
    /// Number of replicas; -1 for the broker's default, and with assignments.
    pub replication_factor: i16,
    /// Partition numbers and the nodes they are to live on; empty lets the broker choose.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Configuration keys and values; a null value is refused.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn with_defaults(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, num_partitions: -1, replication_factor: -1, ..Self::default() }
    }
}

/// A topic that was created, or with validate-only would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Number of partitions.
    pub num_partitions: i32,
    /// Number of replicas.
    pub replication_factor: i16,
    /// What was set for it.
    pub overrides: ConfigMap,
}

/// Why a change was refused, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", code.name(), message.as_deref().unwrap_or_default())]
pub struct TopicError {
    /// Error code.
    pub code: ErrorCode,
    /// Error message.
    pub message: Option<String>,
}

impl TopicError {
    /// An error with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// The time the client gave is over.
    pub fn timed_out() -> Self {
        Self::new(ErrorCode::RequestTimedOut, "The request timed out.")
    }

    /// No topic has the id.
    pub fn unknown_topic_id() -> Self {
        Self::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")
    }

    /// The change is in the metadata log, but the disk refused a log: the next start tries again.
    pub fn no_log() -> Self {
        let text = "The topic's log could not be made; the broker's log says why.";
        Self::new(ErrorCode::KafkaStorageError, text)
    }

    /// The records would not fit one batch.
    pub(super) fn batch_too_large() -> Self {
        let text = "Unable to perform excessively large batch operation.";
        Self::new(ErrorCode::PolicyViolation, text)
    }

    /// No topic has the name.
    pub fn unknown_topic() -> Self {
        Self::new(
            ErrorCode::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        )
    }
}

impl From<ConfigError> for TopicError {
    /// A configuration that is refused.
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::Request(_) => ErrorCode::InvalidRequest,
            _ => ErrorCode::InvalidConfig,
        };
        Self::new(code, error.to_string())
    }
}

/// Refuses values that Kafka's records cannot hold.
pub(super) fn check_value_lengths(overrides: &ConfigMap) -> Result<(), TopicError> {
    if overrides.values().all(|value| value.encode_utf16().count() <= CONFIG_VALUE_MAX) {
        return Ok(());
    }
    let text = format!(
        "The configuration value cannot be added because it exceeds the maximum value size of \
         {CONFIG_VALUE_MAX} bytes."
    );
    Err(TopicError::new(ErrorCode::InvalidConfig, text))
}

/// Checks a topic name; the error is Kafka's text.
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        name if name.encode_utf16().count() > NAME_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {NAME_MAX}")
        }
        name if !name.bytes().all(legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ),
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {reason}"))
}

type Created = Result<CreatedTopic, TopicError>;

impl MetadataMachine {
    /// Decides on each topic by itself; the records of those that can be created. Names do not
    /// repeat: that is the handler's to check.
    pub(super) fn create_topics(&self, topics: &[NewTopic]) -> (Vec<Entry>, Vec<Created>) {
        if let Some(error) = self.too_many(topics) {
            return (Vec::new(), topics.iter().map(|_| Err(error.clone())).collect());
        }
        let mut records = Vec::new();
        let mut places = self.new_places();
        let decide = |topic: &NewTopic| {
            let (created, of_topic) = self.create_topic(topic, &mut places)?;
            records.extend(of_topic);
            Ok(created)
        };
        let created: Vec<Created> = topics.iter().map(decide).collect();
        if records.len() > RECORDS_MAX {
            let refused = topics.iter().map(|_| Err(TopicError::batch_too_large()));
            return (Vec::new(), refused.collect());
        }
        (records, created)
    }

    fn too_many(&self, topics: &[NewTopic]) -> Option<TopicError> {
        let partitions = |topic: &NewTopic| match topic.num_partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len(),
            -1 => usize::try_from(self.settings().num_partitions).unwrap_or(0),
            number => usize::try_from(number).unwrap_or(0),
        };
        let total = topics.iter().map(partitions).fold(0, usize::saturating_add);
        let text = "Excessively large number of partitions per request.";
        (total > RECORDS_MAX).then(|| TopicError::new(ErrorCode::PolicyViolation, text))
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        places: &mut NewPlaces,
    ) -> Result<(CreatedTopic, Vec<Entry>), TopicError> {
        self.check_new_name(&topic.name)?;
        let overrides = self.check_configs(&topic.configs)?;
        let (num_partitions, replication_factor) = if topic.assignments.is_empty() {
            self.place(topic)?
        } else {
            self.check_assignments(topic)?
        };
        let topic_id = self.process.random.uuid();
        let name = topic.name.clone();
        let mut records = vec![TopicRecord { name: name.clone(), topic_id }.into()];
        records.extend(config_records(resource::TOPIC, &name, &overrides));
        if overrides.contains_key("min.insync.replicas") {
            // Voids the eligible leader replicas, also where there are none
            // (Kafka: `createClearElrRecordsAsNeeded`).
            records.push(ClearElrRecord { topic_name: name }.into());
        }
        let node_id = self.settings().node_id;
        records.extend((0..num_partitions).map(|number| {
            let new = PartitionImage::new(node_id, places.take());
            Entry::from(partition_record(topic_id, number, new, node_id))
        }));
        Ok((CreatedTopic { topic_id, num_partitions, replication_factor, overrides }, records))
    }

    fn check_new_name(&self, name: &str) -> Result<(), TopicError> {
        let invalid = |text| TopicError::new(ErrorCode::InvalidTopicException, text);
        let image = &self.state.image;
        if image.topic(name).is_some() {
            let text = format!("Topic '{name}' already exists.");
            return Err(TopicError::new(ErrorCode::TopicAlreadyExists, text));
        }
        let unified = |name: &str| name.replace('.', "_");
        if name.contains(['.', '_']) {
            let mut others = image.topics().filter(|topic| topic.name.contains(['.', '_']));
            if let Some(other) = others.find(|topic| unified(&topic.name) == unified(name)) {
                let other = &other.name;
                let text = format!("Topic '{name}' collides with existing topic: {other}");
                return Err(invalid(text));
            }
        }
        validate_topic_name(name).map_err(invalid)
    }

    fn check_configs(&self, configs: &[(String, Option<String>)]) -> Result<ConfigMap, TopicError> {
        let invalid = |text: String| TopicError::new(ErrorCode::InvalidConfig, text);
        let nulls = configs.iter().filter(|(_, value)| value.is_none());
        let nulls: Vec<&str> = nulls.map(|(name, _)| name.as_str()).collect();
        if !nulls.is_empty() {
            let names = nulls.join(",");
            return Err(invalid(format!("Null value not supported for topic configs: {names}")));
        }
        let pairs = configs.iter().cloned();
        let overrides: ConfigMap = pairs.filter_map(|(name, value)| Some((name, value?))).collect();
        check_value_lengths(&overrides)?;
        self.validate_overrides(&overrides)?;
        Ok(overrides)
    }

    /// Checks what is to be set for a topic, as a whole.
    pub(super) fn validate_overrides(&self, overrides: &ConfigMap) -> Result<(), TopicError> {
        let layers = self.state.image.broker_layers(&self.settings().fixed);
        TopicConfig::validate(overrides, &layers)?;
        Ok(())
    }

    /// The broker chooses: every partition gets this node.
    fn place(&self, topic: &NewTopic) -> Result<(i32, i16), TopicError> {
        let no_factor = |text: String| TopicError::new(ErrorCode::InvalidReplicationFactor, text);
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(no_factor(text.to_owned()));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            let text = "Number of partitions was set to an invalid non-positive value.";
            return Err(TopicError::new(ErrorCode::InvalidPartitions, text));
        }
        let partitions = match topic.num_partitions {
            -1 => self.settings().num_partitions,
            number => number,
        };
        let factor = match topic.replication_factor {
            -1 => self.settings().replication_factor,
            factor => factor,
        };
        if factor > 1 {
            return Err(no_factor(format!(
                "Unable to replicate the partition {factor} time(s): The target replication \
                 factor of {factor} cannot be reached because only 1 broker(s) are registered or \
                 some brokers have all their log directories cordoned."
            )));
        }
        Ok((partitions, factor))
    }

    /// The client chooses: only this node exists.
    fn check_assignments(&self, topic: &NewTopic) -> Result<(i32, i16), TopicError> {
        let chosen = "A manual partition assignment was specified, but";
        let invalid = |text| TopicError::new(ErrorCode::InvalidRequest, text);
        if topic.replication_factor != -1 {
            return Err(invalid(format!("{chosen} replication factor was not set to -1.")));
        }
        if topic.num_partitions != -1 {
            return Err(invalid(format!("{chosen} numPartitions was not set to -1.")));
        }
        let refuse = |text| Err(TopicError::new(ErrorCode::InvalidReplicaAssignment, text));
        let mut numbers = std::collections::BTreeSet::new();
        for (number, nodes) in &topic.assignments {
            if !numbers.insert(*number) {
                return refuse(format!(
                    "Found multiple manual partition assignments for partition {number}"
                ));
            }
            if let Some(text) = self.unplaceable(nodes) {
                return refuse(format!("The manual partition assignment includes {text}"));
            }
        }
        if !numbers.into_iter().eq(0..topic.assignments.len() as i32) {
            let text = "partitions should be a consecutive 0-based integer sequence";
            return refuse(text.to_owned());
        }
        Ok((topic.assignments.len() as i32, 1))
    }

    /// What is wrong with a list of nodes, as the end of Kafka's sentence.
    pub(super) fn unplaceable(&self, nodes: &[i32]) -> Option<String> {
        let node_id = self.settings().node_id;
        let mut sorted = nodes.to_vec();
        sorted.sort_unstable();
        match sorted[..] {
            [] => Some("an empty replica list.".to_owned()),
            [only] if only == node_id => None,
            // Kafka goes through the sorted list: an unknown broker before, or a repeated one.
            [first, second, ..] if first == node_id && second == node_id => {
                Some(format!("the broker {node_id} more than once."))
            }
            _ => {
                let unknown = sorted.iter().find(|node| **node != node_id)?;
                Some(format!("broker {unknown}, but no such broker is registered."))
            }
        }
    }
}

#[cfg(test)]
mod tests;
