//! Changing configurations of topics, brokers, groups and subscriptions to clients' metrics
//! (Kafka: `ConfigAdminManager`, `ConfigurationControlManager`, `ControllerConfigurationValidator`).

use std::collections::{HashMap, HashSet};

use crate::config::{
    ConfigMap, ConfigType, Row, resource, rows_of, validate_broker, validate_client_metrics,
    validate_group,
};
use crate::wire::ErrorCode;
use crate::wire::records::{ClearElrRecord, ConfigRecord};

use super::machine::MetadataMachine;
use super::state::Entry;
use super::topics::{RECORDS_MAX, TopicError, check_value_lengths, validate_topic_name};

const MIN_IN_SYNC: &str = "min.insync.replicas";
const ELR_FEATURE: &str = "eligible.leader.replicas.version";

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

/// A change of one resource's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// What it is, a number of [`resource`]. Of brokers there are this one and the default of all.
    pub resource_type: i8,
    /// Its name.
    pub name: String,
    /// Keys, each once, and what is to be done to them.
    pub operations: Vec<(String, ConfigOperation)>,
    /// Every other key loses its value.
    pub replace: bool,
}

impl MetadataMachine {
    /// Decides on each resource by itself; the records of those that can change. Resources do not
    /// repeat: that is the handler's to check.
    pub(super) fn alter_configs(
        &self,
        changes: &[ConfigChange],
    ) -> (Vec<Entry>, Vec<Result<(), TopicError>>) {
        let (mut records, mut cleared) = (Vec::new(), Vec::new());
        let decide = |change: &ConfigChange| {
            let own = self.alter_config(change)?;
            if own.iter().any(|record| record.name == MIN_IN_SYNC) {
                // The default of all brokers has the name that stands for all topics.
                cleared.push(ClearElrRecord { topic_name: change.name.clone() }.into());
            }
            records.extend(own.into_iter().map(Entry::from));
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

    /// The records of one resource's change: the keys that are named, then those that lose their
    /// value because they are not.
    fn alter_config(&self, change: &ConfigChange) -> Result<Vec<ConfigRecord>, TopicError> {
        let none = ConfigMap::new();
        let image = &self.state.image;
        let before = image.config_of(change.resource_type, &change.name).unwrap_or(&none);
        let after = applied(change, before)?;
        let is_broker = change.resource_type == resource::BROKER;
        if is_broker {
            if change.operations.len() > RECORDS_MAX {
                return Err(TopicError::batch_too_large());
            }
            self.check_broker(&change.name, &after)?;
        }
        // Of a broker also what stays as it is: a record has its keys read anew.
        let differs = |name: &&String| is_broker || before.get(*name) != after.get(*name);
        let named: HashSet<_> = change.operations.iter().map(|(name, _)| name).collect();
        let is_reset = |name: &&String| !after.contains_key(*name) && !named.contains(name);
        let stated = change.operations.iter().map(|(name, _)| name).filter(differs);
        let all = stated.chain(before.keys().filter(is_reset));
        let record = |name: &String| ConfigRecord {
            resource_type: change.resource_type,
            resource_name: change.name.clone(),
            name: name.clone(),
            value: after.get(name).cloned(),
        };
        let records: Vec<_> = all.map(record).collect();
        let has_elr = image.finalized_features.contains_key(ELR_FEATURE);
        let is_min_in_sync = |record: &&ConfigRecord| is_broker && record.name == MIN_IN_SYNC;
        if let Some(record) = records.iter().find(is_min_in_sync).filter(|_| has_elr) {
            check_min_in_sync(record)?;
        }
        check_value_lengths(&after)?;
        match change.resource_type {
            resource::BROKER => {}
            resource::CLIENT_METRICS if change.name.is_empty() => {
                return Err(invalid("Subscription name can't be empty"));
            }
            resource::CLIENT_METRICS => validate_client_metrics(&after)?,
            resource::GROUP if change.name.is_empty() => {
                return Err(invalid("Default group resources are not allowed."));
            }
            resource::GROUP => {
                let layers = image.broker_layers(&self.settings().fixed);
                validate_group(&after, &layers)?;
            }
            _ => self.check_topic(&change.name, &after)?,
        }
        Ok(records)
    }

    fn check_topic(&self, name: &str, after: &ConfigMap) -> Result<(), TopicError> {
        if name.is_empty() {
            return Err(invalid("Default topic resources are not allowed."));
        }
        validate_topic_name(name)
            .map_err(|text| TopicError::new(ErrorCode::InvalidTopicException, text))?;
        self.validate_overrides(after)?;
        if self.state.image.topic(name).is_none() {
            let text = format!("The topic '{name}' does not exist.");
            return Err(TopicError::new(ErrorCode::UnknownTopicOrPartition, text));
        }
        Ok(())
    }

    /// Checks what is to be set for this broker, or without a name for all.
    fn check_broker(&self, name: &str, after: &ConfigMap) -> Result<(), TopicError> {
        let layers = self.state.image.broker_layers(&self.settings().fixed);
        validate_broker(after, name.is_empty(), &layers).map_err(|error| invalid(error.to_string()))
    }
}

fn invalid(text: impl Into<String>) -> TopicError {
    TopicError::new(ErrorCode::InvalidRequest, text)
}

/// With eligible leader replicas (KIP-966) there is one value, that of all brokers.
fn check_min_in_sync(record: &ConfigRecord) -> Result<(), TopicError> {
    let text = match &record.value {
        _ if !record.resource_name.is_empty() => {
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
        }
        None => "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        Some(_) => return Ok(()),
    };
    Err(TopicError::new(ErrorCode::InvalidConfig, text))
}

/// What a resource has of its own after a change.
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
                let mut list = list("APPEND", change.resource_type, name, before)?;
                let mut known: HashSet<&str> = list.iter().copied().collect();
                list.extend(elements(value).filter(|element| known.insert(element)));
                after.insert(name.clone(), list.join(","));
            }
            ConfigOperation::Subtract(value) => {
                let mut list = list("SUBTRACT", change.resource_type, name, before)?;
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
    resource_type: i8,
    name: &str,
    before: &'a ConfigMap,
) -> Result<Vec<&'a str>, TopicError> {
    let known = rows_of(resource_type).iter().find(|row| row.name == name);
    // The reference's controller does not know the types of clients' metrics.
    let is_list = |row: &&Row| {
        row.config_type == ConfigType::List && resource_type != resource::CLIENT_METRICS
    };
    let row = known.filter(is_list).ok_or_else(|| {
        let text = match known {
            _ if resource_type != resource::BROKER => {
                format!("Can't {operation} to key {name} because its type is not LIST.")
            }
            None => format!("Unknown config name: {name}"),
            Some(_) => {
                let operation = operation.to_lowercase();
                format!("Config value {operation} is not allowed for config key: {name}")
            }
        };
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
