//! The group coordinator: classic groups, consumer groups and committed offsets.
//!
//! Each partition of `__consumer_offsets` is a shard with a [`GroupMachine`]; a group lives on the
//! partition that Java's hash of its id names, as Kafka has it. The topic is made when a client
//! first looks for a coordinator, and its shards with it; at a start they are replayed while the
//! broker already serves, and answer COORDINATOR_LOAD_IN_PROGRESS until they are.

mod admin;
mod classic;
mod command;
mod consumer;
mod expiry;
mod join;
mod machine;
mod membership;
mod offsets;
mod rebalance;
mod record;
#[cfg(test)]
mod tests;
mod transactional;
mod turn;

use std::sync::Arc;

use super::shards::TopicShards;
use crate::config::{GroupConfig, ServerConfig};
use crate::env::{Env, Random};
use crate::log::BoxFuture;
use crate::metadata::{Metadata, TopicError};
use crate::partition::{Partition, Registry, TransactionMarker};
use crate::shard::{Host, Loaded, Shard};
use crate::wire::ErrorCode;

pub use admin::commit_refused;
pub use command::{Asked, Caller, Command, Reply};
pub(super) use consumer::TopicPattern;
pub(crate) use consumer::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
pub use consumer::{ConsumerRecord, heartbeat_refused};
pub(crate) use consumer::{pattern_error, protocol as consumer_protocol};
pub use join::refused;
pub use machine::GroupMachine;
pub use record::Record;
pub use transactional::transactional_commit_refused;

/// The topic of groups and offsets (Kafka: `Topic.GROUP_METADATA_TOPIC_NAME`).
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The coordinator.
pub struct Groups {
    settings: Arc<GroupConfig>,
    metadata: Metadata,
    registry: Arc<Registry>,
    shards: TopicShards<GroupMachine>,
}

impl Groups {
    /// A coordinator; the shards of a topic that exists are started.
    pub fn new(
        env: &Env,
        config: &Arc<ServerConfig>,
        metadata: &Metadata,
        registry: &Arc<Registry>,
    ) -> Self {
        let settings = Arc::new(config.groups);
        let start = {
            let (settings, env, metadata) = (settings.clone(), env.clone(), metadata.clone());
            move |partition: Arc<Partition>| {
                let host = GroupHost {
                    settings: settings.clone(),
                    random: env.random.clone(),
                    metadata: metadata.clone(),
                    partition: partition.clone(),
                };
                Shard::start_loading(env.clone(), partition, Arc::new(host))
            }
        };
        Self {
            settings,
            metadata: metadata.clone(),
            registry: registry.clone(),
            shards: TopicShards::new(OFFSETS_TOPIC, config, metadata, registry, Box::new(start)),
        }
    }

    /// Settings.
    pub fn settings(&self) -> &GroupConfig {
        &self.settings
    }

    /// Makes the topic where there is none; what is asked then waits for its shards.
    pub async fn ensure_topic(&self) -> Result<(), TopicError> {
        self.shards.ensure_topic().await
    }

    /// Removes the offsets of topics that are deleted.
    pub async fn forget_topics(&self, topics: Vec<String>) {
        let command = Command::ForgetTopics(topics);
        loop {
            match self.call_all(&command).await {
                Ok(replies) if replies.contains(&Reply::ForgetTopics(true)) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(error = error.name(), "offsets of deleted topics remain");
                    return;
                }
            }
        }
    }

    /// Whether the partition that a group lives on is offline.
    pub fn is_offline(&self, group: &str) -> bool {
        self.shards.is_offline(self.partition_of(group))
    }

    /// Asks the machine of a group.
    pub async fn call(&self, group: &str, command: Command) -> Result<Reply, ErrorCode> {
        self.call_shard(self.partition_of(group), command).await
    }

    /// Number of the partition that a group lives on.
    pub fn partition_of(&self, group: &str) -> i32 {
        self.shards.partition_of(group)
    }

    /// A partition of the topic, if it is there. Only what a shard decides may be appended to it.
    pub fn offsets_partition(&self, index: i32) -> Option<Arc<Partition>> {
        self.registry.get(OFFSETS_TOPIC, index).ok()
    }

    /// Ends a producer's transaction in a partition of the topic; returns when that is committed
    /// (Kafka: `GroupCoordinatorService.completeTransaction`). NOT_COORDINATOR without such a
    /// partition.
    pub async fn end_transaction(
        &self,
        partition: i32,
        marker: TransactionMarker,
    ) -> Result<(), ErrorCode> {
        if !marker.is_whole() {
            return Err(ErrorCode::UnknownServerError);
        }
        let ended = self.call_shard(partition, Command::EndTransaction(marker)).await;
        ended.map(|_| ())
    }

    async fn call_shard(&self, partition: i32, command: Command) -> Result<Reply, ErrorCode> {
        let asked = Asked { command, image: self.metadata.image() };
        self.shards.call(partition, asked).await
    }

    /// Asks every machine; nobody answers if there is no group yet.
    pub async fn call_all(&self, command: &Command) -> Result<Vec<Reply>, ErrorCode> {
        let image = self.metadata.image();
        let asked = || Asked { command: command.clone(), image: image.clone() };
        self.shards.call_all(asked).await
    }

    /// Ends every shard after what it has been asked.
    pub async fn close(&self) {
        self.shards.close().await;
    }
}

/// What a machine of groups needs of the broker.
struct GroupHost {
    settings: Arc<GroupConfig>,
    random: Arc<Random>,
    metadata: Metadata,
    partition: Arc<Partition>,
}

impl Host<GroupMachine> for GroupHost {
    fn load(&self) -> BoxFuture<'_, Loaded<GroupMachine>> {
        Box::pin(async {
            let max_batch_bytes = self.partition.config().max_message_bytes as usize;
            let (settings, random) = (self.settings.clone(), self.random.clone());
            let image = self.metadata.image();
            let machine = GroupMachine::new(settings, random, max_batch_bytes, image);
            Ok((machine, self.partition.bounds().log_start_offset))
        })
    }

    fn run(&self, effect: std::convert::Infallible) -> BoxFuture<'_, ()> {
        match effect {}
    }
}
