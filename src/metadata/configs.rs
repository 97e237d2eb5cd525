//! Changing topics' configurations (Kafka: `ConfigurationControlManager`,
//! `ControllerConfigurationValidator`).

use std::collections::{HashMap, HashSet};

use crate::config::{ConfigMap, ConfigType, TopicConfig};
use crate::wire::ErrorCode;
use crate::wire::records::{ClearElrRecord, ConfigRecord};

use super::image::TOPIC_RESOURCE;
use super::machine::MetadataMachine;
use super::state::Entry;
use super::topics::{RECORDS_MAX, TopicError, check_value_lengths, validate_topic_name};

/// What is to be done to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Give it this value.
    Set(String),
    /// Take its value away; the broker's or the default counts again.
    Delete,
    /// Add those of these elements (separated by commas) that its list does not have.
    Append(String),
    /// Take these elements out of its list.
    Subtract(String),
}

/// A change of one topic's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The topic's name.
    pub topic: String,
    /// Keys, each once, and what is to be done to them.
    pub operations: Vec<(String, ConfigOperation)>,
    /// Every other key loses its value.
    pub replace: bool,
}

impl MetadataMachine {
    /// Decides on each topic by itself; the records of those that can change. Names do not repeat:
    /// that is the handler's to check.
    pub(super) fn alter_configs(
        &self,
        changes: &[ConfigChange],
    ) -> (Vec<Entry>, Vec<Result<(), TopicError>>) {
        let (mut records, mut cleared) = (Vec::new(), Vec::new());
        let decide = |change: &ConfigChange| {
            let of_topic = self.alter_config(change)?;
            if of_topic.iter().any(|record| record.name == "min.insync.replicas") {
                cleared.push(ClearElrRecord { topic_name: change.topic.clone() }.into());
            }
            records.extend(of_topic.into_iter().map(Entry::from));
            Ok(())
        };
        let outcomes = changes.iter().map(decide).collect();
        records.append(&mut cleared);
        if records.len() > RECORDS_MAX {
            let refused = changes.iter().map(|_| Err(TopicError::batch_too_large()));
            return (Vec::new(), refused.collect());
        }
        (records, outcomes)
    }

    /// The records of one topic's change: what gets another value, then what loses its own.
    fn alter_config(&self, change: &ConfigChange) -> Result<Vec<ConfigRecord>, TopicError> {
        let invalid = |text: &str| TopicError::new(ErrorCode::InvalidRequest, text);
        let topic = self.state.image.topic(&change.topic);
        let none = ConfigMap::new();
        let before = topic.map_or(&none, |topic| &topic.overrides);
        let after = applied(change, before)?;
        check_value_lengths(&after)?;
        if change.topic.is_empty() {
            return Err(invalid("Default topic resources are not allowed."));
        }
        validate_topic_name(&change.topic)
            .map_err(|text| TopicError::new(ErrorCode::InvalidTopicException, text))?;
        self.validate_overrides(&after)?;
        if topic.is_none() {
            let text = format!("The topic '{}' does not exist.", change.topic);
            return Err(TopicError::new(ErrorCode::UnknownTopicOrPartition, text));
        }
        let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
        let changed = changed.map(|(name, value)| (name, Some(value.clone())));
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        let record = |(name, value): (&String, _)| ConfigRecord {
            resource_type: TOPIC_RESOURCE,
            resource_name: change.topic.clone(),
            name: name.clone(),
            value,
        };
        Ok(changed.chain(gone.map(|name| (name, None))).map(record).collect())
    }
}

/// What a topic has of its own after a change.
fn applied(change: &ConfigChange, before: &ConfigMap) -> Result<ConfigMap, TopicError> {
    let mut after = if change.replace { ConfigMap::new() } else { before.clone() };
    for (name, operation) in &change.operations {
        match operation {
            ConfigOperation::Set(value) => {
                after.insert(name.clone(), value.clone());
            }
            ConfigOperation::Delete => {
                after.remove(name);
            }
            ConfigOperation::Append(value) => {
                let mut list = list("APPEND", name, before)?;
                let mut known: HashSet<&str> = list.iter().copied().collect();
                list.extend(elements(value).filter(|element| known.insert(element)));
                after.insert(name.clone(), list.join(","));
            }
            ConfigOperation::Subtract(value) => {
                let mut list = list("SUBTRACT", name, before)?;
                let mut gone: HashMap<&str, usize> = HashMap::new();
                elements(value).for_each(|element| *gone.entry(element).or_default() += 1);
                // As often as it is named, from the front.
                list.retain(|element| match gone.get_mut(element) {
                    Some(times) if *times > 0 => {
                        *times -= 1;
                        false
                    }
                    _ => true,
                });
                after.insert(name.clone(), list.join(","));
            }
        }
    }
    Ok(after)
}

/// The list that an operation of this name changes.
fn list<'a>(
    operation: &str,
    name: &str,
    before: &'a ConfigMap,
) -> Result<Vec<&'a str>, TopicError> {
    let row = TopicConfig::row(name).filter(|row| row.config_type == ConfigType::List);
    let row = row.ok_or_else(|| {
        let text = format!("Can't {operation} to key {name} because its type is not LIST.");
        TopicError::new(ErrorCode::InvalidConfig, text)
    })?;
    let value = before.get(name).map(String::as_str).or(row.default).unwrap_or_default();
    Ok(value.split(',').filter(|element| !element.is_empty()).collect())
}

/// Java's `split(",")`: empty elements at the end do not count, unless there is nothing else.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    let kept = value.trim_end_matches(',');
    let count = if kept.is_empty() && !value.is_empty() { 0 } else { usize::MAX };
    kept.split(',').take(count)
}

#[cfg(test)]
mod tests;
