//! Where metadata machines come from and what their effects do.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::env::Env;
use crate::log::{BoxFuture, LogId, OpenError};
use crate::partition::{Partition, PartitionToOpen, Registry, TopicToOpen};
use crate::shard::{Host, LoadError, Loaded};

use super::directory::Directory;
use super::image::{MetadataImage, TopicImage};
use super::machine::{Effect, MetadataMachine, Process};
use super::registration;
use super::state::{ReplayError, State};

/// The broker's parts that metadata acts on.
pub(super) struct MetadataHost {
    pub(super) env: Env,
    pub(super) process: Process,
    pub(super) cluster_id: Arc<str>,
    /// None for a broker in memory.
    pub(super) directory: Option<Arc<Directory>>,
    pub(super) registry: Arc<Registry>,
    pub(super) partition: Arc<Partition>,
    pub(super) image: Arc<ArcSwap<MetadataImage>>,
    /// Why a topic is not served; taken by the start, which fails then.
    pub(super) unopened: Mutex<Option<OpenError>>,
}

impl Host<MetadataMachine> for MetadataHost {
    fn load(&self) -> BoxFuture<'_, Loaded<MetadataMachine>> {
        Box::pin(async move {
            let (state, from) = self.load_state().await.map_err(LoadError::Host)?;
            Ok((MetadataMachine::new(self.process.clone(), state), from))
        })
    }

    fn run(&self, effect: Effect) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match effect {
                Effect::Open(topics) => self.open(&topics).await,
                Effect::Publish(image) => self.image.store(image),
                Effect::Delete(topics) => self.delete(&topics).await,
                Effect::Snapshot(state) => self.snapshot(*state).await,
            }
        })
    }
}

impl MetadataHost {
    async fn load_state(&self) -> Result<(State, i64), ReplayError> {
        let state = State::new(self.cluster_id.clone(), self.process.settings.node_id);
        let Some(directory) = self.directory.clone() else {
            let mut state = state;
            let directory = self.process.directories.first().copied().unwrap_or_default();
            state.voters = Some(registration::single_voter(&self.process.settings, directory));
            return Ok((state, 0));
        };
        let newest = self.env.offload.run(move || directory.newest_snapshot()).await;
        let newest = newest.map_err(|error| ReplayError::Inconsistent(error.to_string()))?;
        let bounds = self.partition.bounds();
        let (start, end) = (bounds.log_start_offset, bounds.end_offset);
        let (state, from) = match newest {
            None => (state, 0),
            Some((id, snapshot)) => (state.restore(&snapshot, id)?, id.offset),
        };
        if !(start..=end).contains(&from) {
            return Err(ReplayError::Inconsistent(format!(
                "the log has the offsets {start} to {end}, its newest snapshot ends at {from}; \
                 restore the files of __cluster_metadata-0 from a backup"
            )));
        }
        Ok((state, from))
    }

    async fn open(&self, topics: &[Arc<TopicImage>]) {
        let topic_to_open = |topic: &Arc<TopicImage>| TopicToOpen {
            name: topic.name.clone(),
            topic_id: topic.id,
            partitions: (0..)
                .zip(&topic.partitions)
                .map(|(number, partition)| PartitionToOpen {
                    number,
                    leader_epoch: partition.leader_epoch,
                    directory: partition.directory,
                })
                .collect(),
            config: topic.config.clone(),
        };
        let topics = topics.iter().map(topic_to_open).collect();
        if let Err(error) = self.registry.open_topics(topics).await {
            tracing::error!(%error, "a topic cannot be served");
            *self.unopened.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    /// Deletes topics' logs, also those that a crash has left behind.
    async fn delete(&self, topics: &[Arc<TopicImage>]) {
        let topic_ids: Vec<_> = topics.iter().map(|topic| topic.id).collect();
        let deleted = self.registry.delete_topics(&topic_ids).await;
        let image = self.image.load();
        // A directory of this name may belong to a topic created since.
        let gone = topics.iter().filter(|topic| image.topic(&topic.name).is_none());
        let left: Vec<_> = gone
            .flat_map(|topic| {
                (0..).take(topic.partitions.len()).map(|partition| LogId {
                    topic: topic.name.clone(),
                    topic_id: topic.id,
                    partition,
                })
            })
            .collect();
        if let Err(error) = deleted.and(self.registry.directories().delete(&left).await) {
            let topics: Vec<_> = topics.iter().map(|topic| &*topic.name).collect();
            tracing::error!(?topics, %error, "files of deleted topics remain");
        }
    }

    async fn snapshot(&self, state: State) {
        if let Some(directory) = self.directory.clone()
            && let Err(error) = self.write_snapshot(directory, state).await
        {
            tracing::error!(%error, "the metadata log could not be pruned by a snapshot");
        }
    }

    async fn write_snapshot(&self, directory: Arc<Directory>, state: State) -> Result<(), String> {
        // A crash must not leave a snapshot of more than the log has.
        self.partition.flush().await.map_err(|error| error.to_string())?;
        let (id, snapshot) = state.snapshot();
        let write = move || {
            directory.write_snapshot(id, &snapshot)?;
            directory.remove_snapshots_before(id)
        };
        self.env.offload.run(write).await.map_err(|error| error.to_string())?;
        let pruned = self.partition.roll().and_then(|()| self.partition.delete_before(id.offset));
        pruned.map_err(|error| error.to_string())
    }
}
