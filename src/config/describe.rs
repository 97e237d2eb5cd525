//! What `DescribeConfigs` answers: values, where they come from, and what else could set them.
//!
//! Follows Kafka's `ConfigHelper` down to its oddities. A topic key's synonyms are those of its
//! first broker key, cut off before that key: where only `log.roll.hours` is set, `segment.ms`
//! shows its value, yet no synonym and source `DEFAULT_CONFIG`. Entries come in the order of the
//! hash map the reference walks; clients that compare answers see no difference.

use super::row::{ConfigType, Row};
use super::server_rows::{OTHER_KAFKA_KEYS, SERVER_ROWS};
use super::topic::effective;
use super::topic_rows::TOPIC_ROWS;
use super::{BrokerLayers, ConfigMap, ServerConfig, resource, rows_of};
use crate::env::{java_hash, java_hash_bucket};

/// Where a value comes from; the numbers are those of `DescribeConfigsResponse.ConfigSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set on the topic.
    DynamicTopic = 1,
    /// Set at run time on this broker.
    DynamicBroker = 2,
    /// Set at run time on all brokers.
    DynamicDefaultBroker = 3,
    /// Set before the broker started.
    StaticBroker = 4,
    /// Not set.
    Default = 5,
    /// Set on the subscription to clients' metrics.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

/// One place where a described key has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedSynonym {
    /// The key that is set there.
    pub name: String,
    /// Its text as it was given; None if it is not to be shown.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

/// One entry of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub name: String,
    /// Its value; None if it has none or it is not to be shown.
    pub value: Option<String>,
    /// Its type; None (0 on the wire) for a key nobody knows.
    pub config_type: Option<ConfigType>,
    /// Where the value comes from: the source of the first synonym.
    pub source: ConfigSource,
    /// It cannot change while the broker runs.
    pub read_only: bool,
    /// Its value is not shown.
    pub sensitive: bool,
    /// Where else the key has a value, the strongest place first.
    pub synonyms: Vec<DescribedSynonym>,
    /// What it means.
    pub documentation: Option<&'static str>,
}

impl Described {
    fn new(row: &Row, value: Option<String>, synonyms: Vec<DescribedSynonym>) -> Self {
        Self {
            name: row.name.to_owned(),
            value: value.map(|raw| row.canonical(&raw)),
            config_type: Some(row.config_type),
            source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
            read_only: false,
            sensitive: false,
            synonyms,
            documentation: Some(row.documentation)
                .filter(|_| row.default.is_some() || !row.internal),
        }
    }
}

/// All keys of a topic, a group, or a subscription to clients' metrics that has `own` set.
pub fn describe(resource_type: i8, own: &ConfigMap, broker: &BrokerLayers) -> Vec<Described> {
    let (source, capacity) = match resource_type {
        resource::GROUP => (ConfigSource::Group, 32),
        resource::CLIENT_METRICS => (ConfigSource::ClientMetrics, 16),
        _ => (ConfigSource::DynamicTopic, 64),
    };
    let mut rows: Vec<&Row> = rows_of(resource_type).iter().collect();
    rows.retain(|row| !row.internal || own.contains_key(row.name));
    rows.sort_by_key(|row| (!row.internal, java_hash_bucket(row.name, capacity)));
    let describe = |row: &Row| {
        let value = effective(row, own, broker);
        let at = |source, raw: &str| DescribedSynonym {
            name: row.name.to_owned(),
            value: Some(row.canonical(raw)),
            source,
        };
        let mut places: Vec<_> = own.get(row.name).map(|raw| at(source, raw)).into_iter().collect();
        match (row.synonyms.first(), row.default) {
            (Some(first), _) => places.extend(synonyms(first.0, broker)),
            (None, Some(default)) if source == ConfigSource::Group => {
                places.push(at(ConfigSource::Default, default));
            }
            _ => {}
        }
        Described::new(row, value, places)
    };
    rows.into_iter().map(describe).collect()
}

/// A broker key that may have a value. One that nobody knows might be a secret.
fn of_broker(name: &str, broker: &BrokerLayers) -> Described {
    let places = synonyms(name, broker);
    if let Some(row) = ServerConfig::row(name) {
        let value = broker.get(name).cloned().or(row.default.map(str::to_owned));
        return Described { read_only: !row.dynamic, ..Described::new(row, value, places) };
    }
    let hidden = |place| DescribedSynonym { value: None, ..place };
    Described {
        name: name.to_owned(),
        value: None,
        config_type: None,
        source: places.first().map_or(ConfigSource::Default, |first| first.source),
        read_only: true,
        sensitive: true,
        synonyms: places.into_iter().map(hidden).collect(),
        documentation: None,
    }
}

/// All keys of this broker that have a row, after those nobody knows, which were set nevertheless.
pub fn describe_broker(broker: &BrokerLayers) -> Vec<Described> {
    let set = broker.merged().into_keys().filter(|key| !is_kafka_key(key));
    let mut rows: Vec<&Row> = SERVER_ROWS.iter().collect();
    rows.retain(|row| !row.internal || broker.get(row.name).is_some());
    rows.sort_by_key(|row| (!row.internal, java_hash_bucket(row.name, 512)));
    let unknown: Vec<_> = set.map(|key| of_broker(&key, broker)).collect();
    let known = rows.into_iter().map(|row| of_broker(row.name, broker));
    unknown.into_iter().chain(known).collect()
}

/// The keys set at run time on all brokers: the answer for a broker without a number.
pub fn describe_broker_defaults(broker: &BrokerLayers) -> Vec<Described> {
    let none = ConfigMap::new();
    let only = BrokerLayers { dynamic: &none, fixed: &none, ..*broker };
    let mut names: Vec<_> = broker.dynamic_default.keys().collect();
    // In the order of Scala's hash map: a bucket is sorted by hash.
    let capacity = ((names.len() + 1) * 4 / 3).next_power_of_two().max(16) as u32;
    let hash = |name: &str| java_hash(name) ^ (java_hash(name) >> 16);
    names.sort_by_key(|name| (java_hash_bucket(name, capacity), hash(name) as i32));
    let describe = |name: &String| {
        let mut described = of_broker(name, &only);
        // The text as it was given.
        described.value = described.value.and(broker.dynamic_default.get(name).cloned());
        described.synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
        described
    };
    names.into_iter().map(describe).collect()
}

/// True for a key of Kafka's, with a row or without; keys for one listener count.
pub(super) fn is_kafka_key(key: &str) -> bool {
    key.starts_with("listener.name.")
        || SERVER_ROWS.iter().any(|row| row.name == key)
        || OTHER_KAFKA_KEYS.lines().any(|line| line.split(' ').next() == Some(key))
}

/// The places in which a broker key, or one that stands in for it, is set; nothing before `name`.
fn synonyms(name: &str, broker: &BrokerLayers) -> Vec<DescribedSynonym> {
    let names = broker_synonyms(name);
    let layers = [
        (broker.dynamic, ConfigSource::DynamicBroker),
        (broker.dynamic_default, ConfigSource::DynamicDefaultBroker),
        (broker.fixed, ConfigSource::StaticBroker),
    ];
    let set = layers.into_iter().flat_map(|(layer, source)| {
        names.iter().filter_map(move |name| Some((*name, layer.get(*name)?.as_str(), source)))
    });
    let defaults = names.iter().filter_map(|name| {
        let row = SERVER_ROWS.iter().find(|row| row.name == *name)?;
        Some((*name, row.default?, ConfigSource::Default))
    });
    set.chain(defaults)
        .skip_while(|(found, ..)| *found != name)
        .map(|(name, value, source)| DescribedSynonym {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source,
        })
        .collect()
}

/// The broker keys that set the same thing, the strongest first
/// (Kafka: `DynamicBrokerConfig.brokerConfigSynonyms`).
fn broker_synonyms(name: &str) -> Vec<&str> {
    // Asked for the weaker key of `flush.ms`, Kafka names that key alone.
    if name == "log.flush.scheduler.interval.ms" {
        return vec![name];
    }
    let chains = TOPIC_ROWS.iter().map(|row| row.synonyms);
    let chain = chains.into_iter().find(|chain| chain.iter().any(|(key, _)| *key == name));
    chain.map_or_else(|| vec![name], |chain| chain.iter().map(|(key, _)| *key).collect())
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
