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

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::config::{GroupConfig, ServerConfig};
use crate::env::{Env, java_hash};
use crate::log::BoxFuture;
use crate::metadata::{Metadata, TopicError};
use crate::partition::{Partition, Registry, TransactionMarker};
use crate::shard::{CallError, Host, Loaded, Shard};
use crate::wire::ErrorCode;

pub use admin::commit_refused;
pub use command::{Asked, Caller, Command, Reply};
pub use consumer::{ConsumerRecord, heartbeat_refused};
pub use join::refused;
pub use machine::GroupMachine;
pub use record::{Record, ReplayError};
pub use transactional::transactional_commit_refused;

/// The topic of groups and offsets (Kafka: `Topic.GROUP_METADATA_TOPIC_NAME`).
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The shards of the topic with this id, by partition.
struct Shards {
    topic_id: Uuid,
    shards: Vec<Shard<GroupMachine>>,
}

/// The coordinator.
pub struct Groups {
    env: Env,
    config: Arc<ServerConfig>,
    settings: Arc<GroupConfig>,
    metadata: Metadata,
    registry: Arc<Registry>,
    shards: Mutex<Option<Arc<Shards>>>,
}

impl Groups {
    /// A coordinator; the shards of a topic that exists are started.
    pub fn new(
        env: Env,
        config: Arc<ServerConfig>,
        metadata: Metadata,
        registry: Arc<Registry>,
    ) -> Self {
        let settings = Arc::new(config.groups);
        let groups = Self { env, config, settings, metadata, registry, shards: Mutex::default() };
        groups.shards();
        groups
    }

    /// Settings.
    pub fn settings(&self) -> &GroupConfig {
        &self.settings
    }

    /// Makes the topic where there is none. When this returns, groups can be coordinated.
    pub async fn ensure_topic(&self) -> Result<(), TopicError> {
        if self.shards().is_some() {
            return Ok(());
        }
        let topic = super::on_first_use(OFFSETS_TOPIC, &self.config);
        let created = self.metadata.create_topics(vec![topic], false).await;
        if let Some(Err(error)) = created.into_iter().next()
            && error.code != ErrorCode::TopicAlreadyExists
        {
            return Err(error);
        }
        let shards = self.shards();
        for shard in shards.iter().flat_map(|shards| &shards.shards) {
            shard.loaded().await;
        }
        Ok(())
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

    /// Asks the machine of a group.
    pub async fn call(&self, group: &str, command: Command) -> Result<Reply, ErrorCode> {
        self.call_shard(self.partition_of(group), command).await
    }

    /// Number of the partition that a group lives on.
    pub fn partition_of(&self, group: &str) -> i32 {
        let partitions = self.shards().map(|shards| shards.shards.len() as i32);
        // `Utils.abs`: the least integer, which has no absolute value, counts as 0.
        let hash = (java_hash(group) as i32).checked_abs().unwrap_or(0);
        hash % partitions.unwrap_or(self.config.offsets_topic_num_partitions).max(1)
    }

    /// A partition of the topic, if it is there. Only what a shard decides may be appended to it.
    pub fn offsets_partition(&self, index: i32) -> Option<Arc<Partition>> {
        self.registry.get(OFFSETS_TOPIC, index)
    }

    /// Ends a producer's transaction in a partition of the topic; returns when that is committed
    /// (Kafka: `GroupCoordinatorService.completeTransaction`). NOT_COORDINATOR without such a
    /// partition.
    pub async fn end_transaction(
        &self,
        partition: i32,
        marker: TransactionMarker,
    ) -> Result<(), ErrorCode> {
        if !marker.has_producer() {
            return Err(ErrorCode::UnknownServerError);
        }
        let ended = self.call_shard(partition, Command::EndTransaction(marker)).await;
        ended.map(|_| ())
    }

    async fn call_shard(&self, partition: i32, command: Command) -> Result<Reply, ErrorCode> {
        let shards = self.shards().ok_or(ErrorCode::NotCoordinator)?;
        let index = usize::try_from(partition).ok();
        let shard = index.and_then(|index| shards.shards.get(index));
        let asked = Asked { command, image: self.metadata.image() };
        ask(shard.ok_or(ErrorCode::NotCoordinator)?, asked).await
    }

    /// Asks every machine; nobody answers if there is no group yet.
    pub async fn call_all(&self, command: &Command) -> Result<Vec<Reply>, ErrorCode> {
        let mut replies = Vec::new();
        if let Some(shards) = self.shards() {
            let image = self.metadata.image();
            for shard in &shards.shards {
                let asked = Asked { command: command.clone(), image: image.clone() };
                replies.push(ask(shard, asked).await?);
            }
        }
        Ok(replies)
    }

    /// Ends every shard after what it has been asked.
    pub async fn close(&self) {
        let shards = self.lock().take();
        for shard in shards.iter().flat_map(|shards| &shards.shards) {
            shard.close().await;
        }
    }

    /// The shards, started now if the topic has just come to exist, or exists anew.
    fn shards(&self) -> Option<Arc<Shards>> {
        let image = self.metadata.image();
        let topic = image.topic(OFFSETS_TOPIC)?;
        let mut shards = self.lock();
        if let Some(shards) = shards.as_ref().filter(|shards| shards.topic_id == topic.id) {
            return Some(shards.clone());
        }
        let partitions = self.registry.partitions(OFFSETS_TOPIC);
        if partitions.is_empty() || partitions.len() < topic.partitions.len() {
            return None;
        }
        let started = partitions.into_iter().map(|partition| self.start_shard(partition));
        let started = Arc::new(Shards { topic_id: topic.id, shards: started.collect() });
        *shards = Some(started.clone());
        Some(started)
    }

    fn start_shard(&self, partition: Arc<Partition>) -> Shard<GroupMachine> {
        let host = GroupHost {
            settings: self.settings.clone(),
            env: self.env.clone(),
            metadata: self.metadata.clone(),
            partition: partition.clone(),
        };
        Shard::start_loading(self.env.clone(), partition, Arc::new(host))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Shards>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(shard: &Shard<GroupMachine>, asked: Asked) -> Result<Reply, ErrorCode> {
    shard.call(asked).await.map_err(|error| match error {
        CallError::Loading => ErrorCode::CoordinatorLoadInProgress,
        CallError::Lost | CallError::Closed => ErrorCode::NotCoordinator,
        CallError::Refused(error) => error,
    })
}

struct GroupHost {
    settings: Arc<GroupConfig>,
    env: Env,
    metadata: Metadata,
    partition: Arc<Partition>,
}

impl Host<GroupMachine> for GroupHost {
    fn load(&self) -> BoxFuture<'_, Loaded<GroupMachine>> {
        Box::pin(async {
            let max_batch_bytes = self.partition.config().max_message_bytes as usize;
            let random = self.env.random.clone();
            let image = self.metadata.image();
            let machine = GroupMachine::new(self.settings.clone(), random, max_batch_bytes, image);
            Ok((machine, self.partition.bounds().log_start_offset))
        })
    }

    fn run(&self, effect: std::convert::Infallible) -> BoxFuture<'_, ()> {
        match effect {}
    }
}
