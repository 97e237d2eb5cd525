//! The shards of a coordinator's topic: one for each partition, from when the topic exists on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::config::ServerConfig;
use crate::env::java_hash;
use crate::metadata::{Metadata, TopicError};
use crate::partition::{NotOpen, Partition, Registry};
use crate::shard::{CallError, Machine, Shard};
use crate::wire::ErrorCode;

/// The shards of the topic with this id, by partition.
struct Started<M: Machine> {
    topic_id: Uuid,
    /// None where the directory was offline at the start.
    shards: Vec<Option<Shard<M>>>,
    /// The topic came while the broker ran: there is next to nothing to replay.
    is_new: bool,
}

/// Starts the shard of a partition.
type Start<M> = Box<dyn Fn(Arc<Partition>) -> Shard<M> + Send + Sync>;

/// A coordinator's topic and the shards of its partitions.
pub(super) struct TopicShards<M: Machine> {
    topic: &'static str,
    config: Arc<ServerConfig>,
    metadata: Metadata,
    registry: Arc<Registry>,
    start: Start<M>,
    started: Mutex<Option<Arc<Started<M>>>>,
}

impl<M: Machine> TopicShards<M> {
    /// Shards of a topic that is there are started.
    pub(super) fn new(
        topic: &'static str,
        config: &Arc<ServerConfig>,
        metadata: &Metadata,
        registry: &Arc<Registry>,
        start: Start<M>,
    ) -> Self {
        let (config, metadata, registry) = (config.clone(), metadata.clone(), registry.clone());
        let shards = Self { topic, config, metadata, registry, start, started: Mutex::default() };
        shards.start_all(false);
        shards
    }

    /// Makes the topic where there is none.
    pub(super) async fn ensure_topic(&self) -> Result<(), TopicError> {
        if self.started().is_some() {
            return Ok(());
        }
        let topic = super::on_first_use(self.topic, &self.config);
        let created = self.metadata.create_topics(vec![topic], false).await;
        if let Some(Err(error)) = created.into_iter().next()
            && error.code != ErrorCode::TopicAlreadyExists
        {
            return Err(error);
        }
        Ok(())
    }

    /// Number of the partition that a group or transactional id belongs to.
    pub(super) fn partition_of(&self, id: &str) -> i32 {
        let count = match self.started() {
            Some(started) => started.shards.len() as i32,
            None => super::on_first_use(self.topic, &self.config).num_partitions,
        };
        // `Utils.abs`: the least integer, which has no absolute value, counts as 0.
        let hash = (java_hash(id) as i32).checked_abs().unwrap_or(0);
        hash % count.max(1)
    }

    /// Asks the machine of a partition.
    pub(super) async fn call(
        &self,
        partition: i32,
        command: M::Command,
    ) -> Result<M::Reply, ErrorCode> {
        let started = self.started().ok_or(ErrorCode::NotCoordinator)?;
        if self.is_offline(partition) {
            return Err(ErrorCode::NotCoordinator);
        }
        let shard = usize::try_from(partition).ok().and_then(|number| started.shards.get(number));
        let shard = shard.and_then(Option::as_ref).ok_or(ErrorCode::NotCoordinator)?;
        if started.is_new {
            shard.loaded().await;
        }
        shard.call(command).await.map_err(|error| match error {
            CallError::Loading => ErrorCode::CoordinatorLoadInProgress,
            CallError::Lost | CallError::Closed => ErrorCode::NotCoordinator,
            CallError::Refused(error) => error,
        })
    }

    /// Whether the directory of a partition has failed; what its machine knows counts no longer.
    pub(super) fn is_offline(&self, partition: i32) -> bool {
        matches!(self.registry.get(self.topic, partition), Err(NotOpen::Offline))
    }

    /// Asks every machine that is not offline; nobody answers before the topic exists.
    pub(super) async fn call_all(
        &self,
        command: impl Fn() -> M::Command,
    ) -> Result<Vec<M::Reply>, ErrorCode> {
        let count = self.started().map_or(0, |started| started.shards.len() as i32);
        let mut replies = Vec::new();
        for partition in (0..count).filter(|partition| !self.is_offline(*partition)) {
            replies.push(self.call(partition, command()).await?);
        }
        Ok(replies)
    }

    /// Ends every shard after what it has been asked.
    pub(super) async fn close(&self) {
        let started = self.lock().take();
        for shard in started.iter().flat_map(|started| &started.shards).flatten() {
            shard.close().await;
        }
    }

    /// The shards, started now if the topic has just come to exist, or exists anew.
    fn started(&self) -> Option<Arc<Started<M>>> {
        self.start_all(true)
    }

    fn start_all(&self, is_new: bool) -> Option<Arc<Started<M>>> {
        let image = self.metadata.image();
        let topic = image.topic(self.topic)?;
        let mut started = self.lock();
        if let Some(started) = started.as_ref().filter(|started| started.topic_id == topic.id) {
            return Some(started.clone());
        }
        let start = |number| match self.registry.get(self.topic, number) {
            Ok(partition) => Some(Some((self.start)(partition))),
            Err(NotOpen::Offline) => Some(None),
            Err(NotOpen::Unknown) => None,
        };
        let numbers = (0..).take(topic.partitions.len());
        let shards = numbers.map(start).collect::<Option<Vec<_>>>()?;
        let new = Arc::new(Started { topic_id: topic.id, shards, is_new });
        *started = Some(new.clone());
        Some(new)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Started<M>>>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
