//! Coordinators: state machines on the partitions of Kafka's internal topics.

pub mod group;
mod shards;
pub mod transaction;
mod value;

pub use value::ReplayError;

use crate::config::ServerConfig;
use crate::metadata::NewTopic;

/// Partitions of a coordinator's topic whose own setting does not exist yet
/// (`share.coordinator.state.topic.num.partitions`).
const PARTITIONS: i32 = 50;

/// A topic as its first use creates it (Kafka: `AutoTopicCreationManager`): with the broker's
/// defaults, but a coordinator's topic with that coordinator's, because groups and transactions
/// are found by the number of partitions.
pub fn on_first_use(name: &str, config: &ServerConfig) -> NewTopic {
    let (num_partitions, segment_bytes) = match name {
        group::OFFSETS_TOPIC => {
            (config.offsets_topic_num_partitions, config.offsets_topic_segment_bytes)
        }
        transaction::STATE_TOPIC => (
            config.transaction_state_log_num_partitions,
            config.transaction_state_log_segment_bytes,
        ),
        _ => (PARTITIONS, 104_857_600),
    };
    let configs: &[(&str, &str)] = match name {
        group::OFFSETS_TOPIC => &[("cleanup.policy", "compact"), ("compression.type", "producer")],
        transaction::STATE_TOPIC => &[
            ("cleanup.policy", "compact"),
            ("compression.type", "uncompressed"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "false"),
        ],
        "__share_group_state" => &[
            ("cleanup.policy", "delete"),
            ("compression.type", "producer"),
            ("min.insync.replicas", "1"),
            ("retention.ms", "-1"),
        ],
        _ => return NewTopic::with_defaults(name),
    };
    let segment_bytes = segment_bytes.to_string();
    let configs = configs.iter().copied().chain([("segment.bytes", segment_bytes.as_str())]);
    NewTopic {
        num_partitions,
        configs: configs.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).collect(),
        ..NewTopic::with_defaults(name)
    }
}
