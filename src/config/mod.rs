//! Configuration: what a key is called, what it may hold, what it means.
//!
//! Topic keys and broker keys are tables of [`Row`]s. [`TopicConfig`] and [`ServerConfig`] are
//! what the broker reads; [`describe_topic`] and [`describe_broker`] are what clients see.

mod describe;
mod group;
mod listeners;
mod markdown;
mod properties;
mod row;
mod server;
mod server_rows;
mod topic;
mod topic_rows;

use std::collections::BTreeMap;

pub use describe::{
    ConfigSource, Described, DescribedSynonym, describe_broker, describe_broker_defaults,
    describe_topic,
};
pub use group::{ConsumerGroupConfig, GroupConfig, MigrationPolicy};
pub use listeners::Listener;
pub use markdown::markdown_tables;
pub use properties::parse_properties;
pub use row::{ConfigError, ConfigType, Effect, Row, Synonym, Valid, Value};
pub use server::{Notice, ServerConfig, Voter};
pub use topic::{TimestampType, TopicConfig};

/// Keys and the text of their values, as given.
pub type ConfigMap = BTreeMap<String, String>;

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
}
