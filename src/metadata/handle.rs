//! The broker's handle on the cluster metadata: reads without waiting, changes through the shard.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::partition::{NotCommitted, Partition};
use crate::shard::{CallError, Shard};
use crate::wire::ErrorCode;

use super::configs::ConfigChange;
use super::image::MetadataImage;
use super::machine::{Command, MetadataMachine, PRODUCER_ID_BLOCK, Reply};
use super::partitions::NewPartitions;
use super::topics::{CreatedTopic, NewTopic, TopicError};

/// Before the metadata is told again that a directory has failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Topics, configurations, features and producer ids; cheap to clone.
#[derive(Clone)]
pub struct Metadata {
    pub(super) shard: Shard<MetadataMachine>,
    pub(super) image: Arc<ArcSwap<MetadataImage>>,
    pub(super) partition: Arc<Partition>,
    pub(super) producer_ids: Arc<Mutex<std::ops::Range<i64>>>,
}

impl Metadata {
    /// The newest image. What was answered before is in it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Epoch of this run's registration, for the clean-shutdown marker.
    pub fn broker_epoch(&self) -> i64 {
        self.image.load().broker_epoch
    }

    /// Creates topics, each for itself, in the order given. Names must not repeat. A created topic
    /// serves when this returns.
    pub async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Result<CreatedTopic, TopicError>> {
        let count = topics.len();
        match self.shard.call(Command::CreateTopics { topics, validate_only }).await {
            Ok(Reply::Created(created)) => created,
            other => vec![Err(failed(&other)); count],
        }
    }

    /// Deletes topics, each for itself, in the order given. Ids must not repeat. Topic and files
    /// are gone when this returns.
    pub async fn delete_topics(&self, ids: Vec<Uuid>) -> Vec<Result<(), TopicError>> {
        let count = ids.len();
        match self.shard.call(Command::DeleteTopics(ids)).await {
            Ok(Reply::Changed(deleted)) => deleted,
            other => vec![Err(failed(&other)); count],
        }
    }

    /// Adds partitions to topics, each for itself, in the order given. Names must not repeat. New
    /// partitions serve when this returns.
    pub async fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), TopicError>> {
        let count = topics.len();
        match self.shard.call(Command::CreatePartitions { topics, validate_only }).await {
            Ok(Reply::Changed(created)) => created,
            other => vec![Err(failed(&other)); count],
        }
    }

    /// Changes topics' configurations, each for itself, in the order given. Names must not repeat.
    /// Changes are in effect when this returns.
    pub async fn alter_configs(
        &self,
        changes: Vec<ConfigChange>,
        validate_only: bool,
    ) -> Vec<Result<(), TopicError>> {
        let count = changes.len();
        match self.shard.call(Command::AlterConfigs { changes, validate_only }).await {
            Ok(Reply::Changed(altered)) => altered,
            other => vec![Err(failed(&other)); count],
        }
    }

    /// A producer id that was never given before.
    pub async fn next_producer_id(&self) -> Result<i64, TopicError> {
        let mut block = self.producer_ids.lock().await;
        self.fill(&mut block).await?;
        block.next().ok_or_else(|| failed(&Err(CallError::Lost)))
    }

    /// As [`Self::next_producer_id`], but does not wait: None while a new block is being fetched,
    /// which this begins.
    pub fn try_next_producer_id(&self) -> Option<i64> {
        let next = self.producer_ids.try_lock().ok().and_then(|mut block| block.next());
        if next.is_none() {
            let metadata = self.clone();
            tokio::spawn(async move { metadata.fetch_producer_ids().await });
        }
        next
    }

    /// Fetches a block of producer ids unless there are some at hand.
    pub async fn fetch_producer_ids(&self) -> Result<(), TopicError> {
        let mut block = self.producer_ids.lock().await;
        self.fill(&mut block).await
    }

    async fn fill(&self, block: &mut std::ops::Range<i64>) -> Result<(), TopicError> {
        if !block.is_empty() {
            return Ok(());
        }
        match self.shard.call(Command::AllocateProducerIds).await {
            Ok(Reply::ProducerIds(first)) => {
                let first = first?;
                *block = first..first + PRODUCER_ID_BLOCK;
                Ok(())
            }
            other => Err(failed(&other)),
        }
    }

    /// Tells the metadata that a directory has failed, for as long as that takes (its own disk may
    /// be full): when this returns its partitions have no leader, or the broker is stopping (Kafka:
    /// `ReplicationControlManager.handleDirectoriesOffline`).
    pub async fn directory_failed(&self, directory: Uuid) {
        let mut command = Command::Fail(directory);
        loop {
            match self.shard.call(command.clone()).await {
                Ok(Reply::Done(0)) if command == Command::Elect => return,
                Ok(_) => command = Command::Elect,
                Err(CallError::Closed) => return,
                Err(_) => tokio::time::sleep(FAILURE_PAUSE).await,
            }
        }
    }

    /// First offset of the metadata log, above 0 once a snapshot has pruned it.
    pub fn log_start_offset(&self) -> i64 {
        self.partition.bounds().log_start_offset
    }

    /// Resolves when the directory of the metadata log has failed: nothing can be changed or relied
    /// on any more until a restart.
    pub async fn offline(&self) {
        // No log ever ends there, so only a failure or the end of the partition is an answer.
        if self.partition.committed(i64::MAX).await != Err(NotCommitted::Offline) {
            std::future::pending::<()>().await;
        }
    }

    /// Says in the log that the broker serves no longer, and closes it. The registry's partitions
    /// are closed before, the engine after this.
    pub async fn close(&self) {
        if let Err(error) = self.shard.call(Command::Fence).await {
            tracing::warn!(%error, "the broker could not be fenced in the metadata log");
        }
        self.shard.close().await;
        if let Err(error) = self.partition.close().await {
            tracing::error!(%error, "the metadata log could not be closed");
        }
    }
}

/// What a client is told where there is no reply.
fn failed(answer: &Result<Reply, CallError>) -> TopicError {
    match answer {
        Err(CallError::Closed) => {
            TopicError::new(ErrorCode::NotController, "The broker is stopping.")
        }
        Err(error) => TopicError::new(
            ErrorCode::NotController,
            format!("The metadata log failed: {error}. Look at the topic before trying again."),
        ),
        Ok(_) => TopicError::new(ErrorCode::UnknownServerError, "The reply is of another kind."),
    }
}
