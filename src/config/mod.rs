//! Configuration: what a key is called, what it may hold, what it means.
//!
//! The keys of each kind of resource are a table of [`Row`]s. [`TopicConfig`] and [`ServerConfig`]
//! are what the broker reads; [`describe`] and [`describe_broker`] are what clients see.

mod cleaner;
mod describe;
mod dynamic;
mod group;
mod group_rows;
mod listeners;
mod markdown;
mod properties;
mod row;
mod server;
mod server_rows;
mod topic;
mod topic_rows;
mod transaction;

use std::collections::BTreeMap;

pub use cleaner::CleanerConfig;
pub use describe::{
    ConfigSource, Described, DescribedSynonym, describe, describe_broker, describe_broker_defaults,
};
pub use dynamic::{validate_broker, validate_client_metrics, validate_group};
pub use group::{ConsumerGroupConfig, GroupConfig, MigrationPolicy};
pub use listeners::Listener;
pub use markdown::markdown_tables;
pub use properties::parse_properties;
pub(crate) use row::duration_seconds;
pub use row::{ConfigError, ConfigType, Effect, Row, Synonym, Valid, Value};
pub use server::{Notice, RetentionTiming, ServerConfig, Voter};
pub use topic::{TimestampType, TopicConfig};
pub use transaction::TransactionConfig;

/// Keys and the text of their values, as given.
pub type ConfigMap = BTreeMap<String, String>;

/// What can have a configuration: the numbers of `ConfigResource.Type`.
pub mod resource {
    /// A topic.
    pub const TOPIC: i8 = 2;
    /// A broker, by its node id; the empty name is the default of all.
    pub const BROKER: i8 = 4;
    /// The log levels of a broker.
    pub const BROKER_LOGGER: i8 = 8;
    /// A subscription to metrics of clients (KIP-714).
    pub const CLIENT_METRICS: i8 = 16;
    /// A group of consumers, share consumers or streams clients.
    pub const GROUP: i8 = 32;

    /// Every type, in the order in which ListConfigResources answers them.
    pub const TYPES: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];
}

/// The keys of a type of resource; none for types without a table.
pub fn rows_of(resource_type: i8) -> &'static [Row] {
    match resource_type {
        resource::TOPIC => topic_rows::TOPIC_ROWS,
        resource::BROKER => server_rows::SERVER_ROWS,
        resource::CLIENT_METRICS => group_rows::CLIENT_METRICS_ROWS,
        resource::GROUP => group_rows::GROUP_ROWS,
        _ => &[],
    }
}

/// What is set for the broker, in the three places where Kafka looks; the first that has a key
/// wins.
#[derive(Clone, Copy, Debug)]
pub struct BrokerLayers<'a> {
    /// Set at run time for this node.
    pub dynamic: &'a ConfigMap,
    /// Set at run time for all nodes.
    pub dynamic_default: &'a ConfigMap,
    /// Set in `server.properties` or on the command line: [`ServerConfig::explicit`].
    pub fixed: &'a ConfigMap,
}

impl<'a> BrokerLayers<'a> {
    /// Only what was set before the start.
    pub fn fixed(fixed: &'a ConfigMap) -> Self {
        static EMPTY: ConfigMap = ConfigMap::new();
        Self { dynamic: &EMPTY, dynamic_default: &EMPTY, fixed }
    }

    fn get(&self, key: &str) -> Option<&'a String> {
        let layers = [self.dynamic, self.dynamic_default, self.fixed];
        layers.into_iter().find_map(|layer| layer.get(key))
    }

    /// What counts, all together.
    fn merged(&self) -> ConfigMap {
        let layers = [self.fixed, self.dynamic_default, self.dynamic];
        layers.into_iter().flatten().map(|(key, raw)| (key.clone(), raw.clone())).collect()
    }

    /// The number that counts for a broker key that has one; its default where what is set cannot
    /// be read.
    pub fn integer(&self, key: &str) -> i64 {
        self.value(key, Value::integer)
    }

    /// As [`Self::integer`], of a boolean key.
    pub fn boolean(&self, key: &str) -> bool {
        self.value(key, Value::boolean)
    }

    /// As [`Self::integer`], of a key of type double.
    pub fn double(&self, key: &str) -> f64 {
        self.value(key, Value::double)
    }

    fn value<T: Default>(&self, key: &str, typed: fn(&Value) -> Option<T>) -> T {
        let row = ServerConfig::row(key);
        let read = |raw: &str| row.and_then(|row| typed(&row.parse(raw).ok()?));
        let set = self.get(key).and_then(|raw| read(raw));
        set.or_else(|| read(row?.default?)).unwrap_or_default()
    }
}
