//! Which partitions are open, by topic name and by topic id.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::config::TopicConfig;
use crate::env::Env;
use crate::log::{AppendError, Engine, LogId, OpenError};

use super::Partition;

/// Topics opened, or partitions closed, at the same time.
const AT_ONCE: usize = 16;

/// A topic whose partitions this broker is to serve.
#[derive(Clone, Debug)]
pub struct TopicToOpen {
    /// Topic name.
    pub name: Arc<str>,
    /// Topic id.
    pub topic_id: Uuid,
    /// Numbers and leader epochs of the partitions.
    pub partitions: Vec<(i32, i32)>,
    /// The topic's configuration.
    pub config: Arc<TopicConfig>,
}

/// A topic's open partitions, by number.
type Topic = BTreeMap<i32, Arc<Partition>>;

#[derive(Default)]
struct Topics {
    by_name: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
}

/// The open partitions of a broker.
pub struct Registry {
    env: Env,
    engine: Arc<dyn Engine>,
    topics: RwLock<Topics>,
}

impl Registry {
    /// No partitions, to be kept by `engine`.
    pub fn new(env: Env, engine: Arc<dyn Engine>) -> Self {
        Self { env, engine, topics: RwLock::default() }
    }

    /// The storage engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Opens a topic's partitions and serves them all, or none. A topic that is open already gets
    /// those it has not yet, and the configuration.
    pub async fn open_topic(&self, topic: &TopicToOpen) -> Result<(), OpenError> {
        let TopicToOpen { name, topic_id, partitions, config } = topic;
        let mut opened = Vec::new();
        for &(partition, leader_epoch) in partitions {
            if self.get_by_id(*topic_id, partition).is_some() {
                continue;
            }
            let id = LogId { topic: Arc::clone(name), topic_id: *topic_id, partition };
            let config = Arc::clone(config);
            let engine = &*self.engine;
            let opening = Partition::open(&self.env, engine, id, leader_epoch, config);
            opened.push((partition, opening.await?));
        }
        let mut topics = self.write();
        topics.names.insert(*topic_id, Arc::clone(name));
        let open = topics.by_name.entry(Arc::clone(name)).or_default();
        for partition in open.values() {
            partition.configure(Arc::clone(config));
        }
        open.extend(opened);
        Ok(())
    }

    /// Opens many topics, several at a time; the first error, after all were tried.
    pub async fn open_topics(self: &Arc<Self>, topics: Vec<TopicToOpen>) -> Result<(), OpenError> {
        let open = |topic| {
            let registry = Arc::clone(self);
            async move { registry.open_topic(&topic).await }
        };
        each(topics, open).await
    }

    /// An open partition.
    pub fn get(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.read().by_name.get(topic)?.get(&partition).cloned()
    }

    /// An open partition of the topic with this id.
    pub fn get_by_id(&self, topic_id: Uuid, partition: i32) -> Option<Arc<Partition>> {
        let topics = self.read();
        let name = topics.names.get(&topic_id)?;
        topics.by_name.get(name)?.get(&partition).cloned()
    }

    /// Name of the open topic with this id.
    pub fn topic_name(&self, topic_id: Uuid) -> Option<Arc<str>> {
        self.read().names.get(&topic_id).cloned()
    }

    /// The open partitions of a topic, in order of their numbers; empty if it is not open.
    pub fn partitions(&self, topic: &str) -> Vec<Arc<Partition>> {
        let topics = self.read();
        let partitions = topics.by_name.get(topic).into_iter().flat_map(Topic::values);
        partitions.cloned().collect()
    }

    /// Every open partition, by topic name and number.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.read().by_name.values().flat_map(Topic::values).cloned().collect()
    }

    /// Applies a changed configuration to every partition of a topic.
    pub fn configure(&self, topic: &str, config: &Arc<TopicConfig>) {
        for partition in self.partitions(topic) {
            partition.configure(Arc::clone(config));
        }
    }

    /// Stops a topic's partitions and deletes their logs for good; no change if it is not open.
    /// The topic is gone from here also where its files could not be deleted.
    pub async fn delete_topic(&self, topic_id: Uuid) -> io::Result<()> {
        let Some(topic) = self.take(topic_id) else {
            return Ok(());
        };
        for partition in topic.values() {
            partition.stop();
        }
        let mut outcome = Ok(());
        for partition in topic.values() {
            outcome = outcome.and(self.engine.delete(partition.id()).await);
        }
        outcome
    }

    /// Closes every partition; the first error, after all were tried. The engine stays open.
    pub async fn close_all(&self) -> Result<(), AppendError> {
        let topics = std::mem::take(&mut *self.write());
        let partitions = topics.by_name.into_values().flat_map(Topic::into_values);
        let close = |partition: Arc<Partition>| async move { partition.close().await };
        each(partitions, close).await
    }

    fn take(&self, topic_id: Uuid) -> Option<Topic> {
        let mut topics = self.write();
        let name = topics.names.remove(&topic_id)?;
        topics.by_name.remove(&name)
    }

    fn read(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Topics> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` on every item, several at a time; the first error, after all were tried.
async fn each<T, E, W>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> W) -> Result<(), E>
where
    E: Send + 'static,
    W: Future<Output = Result<(), E>> + Send + 'static,
{
    let mut running: JoinSet<Result<(), E>> = JoinSet::new();
    let mut outcome = Ok(());
    let mut items = items.into_iter().fuse();
    loop {
        while running.len() < AT_ONCE
            && let Some(item) = items.next()
        {
            running.spawn(work(item));
        }
        match running.join_next().await {
            None => return outcome,
            Some(Ok(result)) => outcome = outcome.and(result),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
