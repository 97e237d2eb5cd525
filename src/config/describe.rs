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
use super::{BrokerLayers, ConfigMap};
use crate::env::java_hash_bucket;

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
            documentation: Some(row.documentation),
        }
    }
}

/// All keys of a topic.
pub fn describe_topic(overrides: &ConfigMap, broker: &BrokerLayers) -> Vec<Described> {
    let mut rows: Vec<&Row> = TOPIC_ROWS.iter().collect();
    rows.retain(|row| !row.internal || overrides.contains_key(row.name));
    rows.sort_by_key(|row| (!row.internal, java_hash_bucket(row.name, 64)));
    let describe = |row: &Row| {
        let value = effective(row, overrides, broker);
        let inherited = row.synonyms.first().map(|first| synonyms(first.0, broker));
        let mut synonyms = inherited.unwrap_or_default();
        if overrides.contains_key(row.name) {
            let own = DescribedSynonym {
                name: row.name.to_owned(),
                value: value.as_deref().map(|raw| row.canonical(raw)),
                source: ConfigSource::DynamicTopic,
            };
            synonyms.insert(0, own);
        }
        Described::new(row, value, synonyms)
    };
    rows.into_iter().map(describe).collect()
}

/// All keys of this broker that have a row, after those nobody knows, which were set nevertheless.
pub fn describe_broker(broker: &BrokerLayers) -> Vec<Described> {
    let unknown = broker.fixed.keys().filter(|key| !is_kafka_key(key)).map(|key| Described {
        name: key.clone(),
        value: None,
        config_type: None,
        source: ConfigSource::StaticBroker,
        read_only: true,
        sensitive: true,
        synonyms: vec![DescribedSynonym {
            name: key.clone(),
            value: None,
            source: ConfigSource::StaticBroker,
        }],
        documentation: None,
    });
    let mut rows: Vec<&Row> = SERVER_ROWS.iter().collect();
    rows.retain(|row| !row.internal || broker.get(row.name).is_some());
    rows.sort_by_key(|row| java_hash_bucket(row.name, 512));
    let known = rows.into_iter().map(|row| {
        let value = broker.get(row.name).cloned().or(row.default.map(str::to_owned));
        Described {
            read_only: !row.dynamic,
            ..Described::new(row, value, synonyms(row.name, broker))
        }
    });
    unknown.chain(known).collect()
}

/// The keys set at run time on all brokers: the answer for a broker without a number.
pub fn describe_broker_defaults(broker: &BrokerLayers) -> Vec<Described> {
    let set = SERVER_ROWS.iter().filter(|row| broker.dynamic_default.contains_key(row.name));
    let describe = |row: &Row| {
        let mut synonyms = synonyms(row.name, broker);
        synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
        Described {
            read_only: !row.dynamic,
            ..Described::new(row, broker.dynamic_default.get(row.name).cloned(), synonyms)
        }
    };
    set.map(describe).collect()
}

/// True for a key of Kafka's, with a row or without; keys for one listener count.
pub(super) fn is_kafka_key(key: &str) -> bool {
    key.starts_with("listener.name.")
        || SERVER_ROWS.iter().any(|row| row.name == key)
        || OTHER_KAFKA_KEYS.lines().any(|name| name == key)
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
