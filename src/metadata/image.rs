//! What everyone reads: the cluster's metadata as of one committed position of the metadata log.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::config::{BrokerLayers, ConfigMap, TopicConfig, resource};

/// Topics that belong to the broker itself (Kafka: `Topic.isInternal`).
const INTERNAL_TOPICS: [&str; 3] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state"];
/// Name of the metadata log's topic; it is in no image.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";
/// Topic id of the metadata log (Kafka: `Uuid.CLUSTER_METADATA_TOPIC_ID`).
pub const CLUSTER_METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

/// True for a topic that belongs to the broker itself.
pub fn is_internal_topic(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// A resource that has a configuration: its type, a number of [`resource`], and its name, empty
/// for the default of all brokers.
pub type ConfigResource = (i8, String);

/// One state of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataImage {
    /// Identifies the cluster, 22 characters of base64.
    pub cluster_id: Arc<str>,
    /// The only broker and controller.
    pub node_id: i32,
    /// Leader epoch of the metadata log, one higher with every start.
    pub controller_epoch: i32,
    /// Epoch of our broker's registration; -1 before it.
    pub broker_epoch: i64,
    /// Finalized features and their levels; `kraft.version` only with voters in the log.
    pub finalized_features: BTreeMap<String, i16>,
    /// Offset of the last record in this image, as the reference has it.
    pub finalized_features_epoch: i64,
    /// Configurations of everything but topics.
    pub configs: BTreeMap<ConfigResource, ConfigMap>,
    topics: BTreeMap<Arc<str>, Arc<TopicImage>>,
    topics_by_id: BTreeMap<Uuid, Arc<TopicImage>>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; a topic created again has another one.
    pub id: Uuid,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionImage>,
    /// What was set for it.
    pub overrides: ConfigMap,
    /// What that means, with the broker's values and the defaults.
    pub config: Arc<TopicConfig>,
    /// It belongs to the broker.
    pub internal: bool,
}

/// A partition. Its only replica is this node, and once the broker serves its leader, too, unless
/// its directory is offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The leader's node id, -1 for none.
    pub leader: i32,
    /// Raised with every election.
    pub leader_epoch: i32,
    /// Raised with every change.
    pub partition_epoch: i32,
    /// Id of the directory that it lives in.
    pub directory: Uuid,
}

impl TopicImage {
    /// Whether it has a partition of this number.
    pub fn has_partition(&self, number: i32) -> bool {
        usize::try_from(number).is_ok_and(|number| number < self.partitions.len())
    }
}

impl PartitionImage {
    /// Stands where the log has named a higher partition number but not yet this one.
    pub(super) const MISSING: Self =
        Self { leader: -1, leader_epoch: -1, partition_epoch: -1, directory: Uuid::nil() };

    /// One that is created in a directory.
    pub(super) fn new(leader: i32, directory: Uuid) -> Self {
        Self { leader, leader_epoch: 0, partition_epoch: 0, directory }
    }

    /// Whether it has a leader; none while its directory is offline.
    pub fn is_led(&self) -> bool {
        self.leader >= 0
    }

    /// Its replicas that are in sync, `node_id` being the only one.
    pub fn in_sync(&self, node_id: i32) -> Vec<i32> {
        if self.is_led() { vec![node_id] } else { Vec::new() }
    }

    /// Its replicas that are offline. They alone may lead when they come back.
    pub fn offline(&self, node_id: i32) -> Vec<i32> {
        if self.is_led() { Vec::new() } else { vec![node_id] }
    }
}

impl MetadataImage {
    /// The state before any record.
    pub fn empty(cluster_id: Arc<str>, node_id: i32) -> Self {
        Self {
            cluster_id,
            node_id,
            controller_epoch: 0,
            broker_epoch: -1,
            finalized_features: BTreeMap::new(),
            finalized_features_epoch: -1,
            configs: BTreeMap::new(),
            topics: BTreeMap::new(),
            topics_by_id: BTreeMap::new(),
        }
    }

    /// One with these topics and numbers of partitions, as of an offset. A topic's id follows from
    /// its name, so that images can follow each other.
    #[cfg(test)]
    pub(crate) fn of_topics(version: i64, topics: &[(&str, usize)]) -> Self {
        let mut image = Self::empty("cluster".into(), 1);
        image.finalized_features_epoch = version;
        for (name, partitions) in topics {
            let id = name.bytes().fold(7, |id: u128, byte| id * 257 + u128::from(byte));
            image.put(TopicImage {
                name: (*name).into(),
                id: Uuid::from_u128(id),
                partitions: vec![PartitionImage::MISSING; *partitions],
                overrides: ConfigMap::new(),
                config: Arc::new(TopicConfig::default()),
                internal: false,
            });
        }
        image
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.topics_by_id.get(&id)
    }

    /// All topics, sorted by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// What is set for a resource; None if there is none or nothing is set.
    pub fn config_of(&self, resource_type: i8, name: &str) -> Option<&ConfigMap> {
        if resource_type == resource::TOPIC {
            return self.topic(name).map(|topic| &topic.overrides);
        }
        self.configs.get(&(resource_type, name.to_owned()))
    }

    /// What is set for a group (KIP-848, KIP-932, KIP-1071); the broker's `group.*` keys give the
    /// rest. Bounds that the broker has narrowed since are not applied to it.
    pub fn group_config(&self, group_id: &str) -> Option<&ConfigMap> {
        self.config_of(resource::GROUP, group_id)
    }

    /// The places that this broker's values come from; `fixed` is what was set before the start.
    pub fn broker_layers<'a>(&'a self, fixed: &'a ConfigMap) -> BrokerLayers<'a> {
        let only_fixed = BrokerLayers::fixed(fixed);
        let of = |name: &str| self.config_of(resource::BROKER, name);
        BrokerLayers {
            dynamic: of(&self.node_id.to_string()).unwrap_or(only_fixed.dynamic),
            dynamic_default: of("").unwrap_or(only_fixed.dynamic_default),
            fixed,
        }
    }

    pub(super) fn put(&mut self, topic: TopicImage) {
        let topic = Arc::new(topic);
        self.topics_by_id.insert(topic.id, topic.clone());
        self.topics.insert(topic.name.clone(), topic);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<Arc<TopicImage>> {
        let topic = self.topics_by_id.remove(&id)?;
        self.topics.remove(&topic.name);
        Some(topic)
    }

    /// Changes a topic in place. False if there is none with this id.
    pub(super) fn change(&mut self, id: Uuid, change: impl FnOnce(&mut TopicImage)) -> bool {
        let Some(mut topic) = self.topics_by_id.remove(&id) else {
            return false;
        };
        self.topics.remove(&topic.name);
        change(Arc::make_mut(&mut topic));
        self.topics_by_id.insert(topic.id, topic.clone());
        self.topics.insert(topic.name.clone(), topic);
        true
    }
}
