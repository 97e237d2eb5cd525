//! Which partitions are open, by topic name and by topic id.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::config::TopicConfig;
use crate::env::Env;
use crate::log::{AppendError, Engine, LogId, OpenError};

use super::Partition;

/// Partitions closed at the same time.
const CLOSED_AT_ONCE: usize = 16;

/// Between two lines of the log that tell how many partitions are open.
const TELL_INTERVAL_MS: i64 = 5_000;

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
    /// Partitions opened at the same time.
    open_at_once: usize,
    topics: RwLock<Topics>,
    /// Told when there may be something to compact.
    pub(super) sealed: Arc<Notify>,
}

impl Registry {
    /// No partitions, to be kept by `engine`, of which `open_at_once` open at the same time (at
    /// least 1).
    pub fn new(env: Env, engine: Arc<dyn Engine>, open_at_once: usize) -> Self {
        Self {
            env,
            engine,
            open_at_once: open_at_once.max(1),
            topics: RwLock::default(),
            sealed: Arc::default(),
        }
    }

    /// The storage engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Opens a topic's partitions and serves them all, or none. A topic that is open already gets
    /// those it has not yet, and the configuration.
    pub async fn open_topic(self: &Arc<Self>, topic: &TopicToOpen) -> Result<(), OpenError> {
        self.open_topics(vec![topic.clone()]).await
    }

    /// As [`Registry::open_topic`] for many, several partitions at a time; the first error, after
    /// all were tried.
    pub async fn open_topics(self: &Arc<Self>, topics: Vec<TopicToOpen>) -> Result<(), OpenError> {
        let lacking = topics.iter().flat_map(|topic| {
            let is_open = |number| self.get_by_id(topic.topic_id, number).is_some();
            let lacking = topic.partitions.iter().filter(move |(number, _)| !is_open(*number));
            lacking.map(move |&(partition, leader_epoch)| {
                let TopicToOpen { name, topic_id, config, .. } = topic.clone();
                (LogId { topic: name, topic_id, partition }, leader_epoch, config)
            })
        });
        let lacking: Vec<_> = lacking.collect();
        let progress = Arc::new(Mutex::new(Opening::new(&self.env, lacking.len())));
        let open = |(id, leader_epoch, config): (LogId, i32, Arc<TopicConfig>)| {
            let (registry, progress) = (Arc::clone(self), Arc::clone(&progress));
            async move {
                let topic_id = id.topic_id;
                let engine = &*registry.engine;
                let opened = Partition::open(&registry.env, engine, id, leader_epoch, config).await;
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.note(&registry.env, topic_id, opened)
            }
        };
        let outcome = each(lacking, self.open_at_once, open).await;
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in topics {
            if !progress.failed.contains(&topic.topic_id) {
                self.serve(&topic, progress.opened.remove(&topic.topic_id).unwrap_or_default());
            }
        }
        outcome
    }

    fn serve(&self, topic: &TopicToOpen, opened: Vec<Arc<Partition>>) {
        let mut topics = self.write();
        topics.names.insert(topic.topic_id, Arc::clone(&topic.name));
        let open = topics.by_name.entry(Arc::clone(&topic.name)).or_default();
        for partition in open.values() {
            partition.configure(Arc::clone(&topic.config));
        }
        for partition in &opened {
            partition.set_cleaner(&self.sealed);
        }
        open.extend(opened.into_iter().map(|partition| (partition.id().partition, partition)));
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

    /// Stops topics' partitions and deletes their logs for good; no change for those that are not
    /// open. The topics are gone from here also where their files could not be deleted.
    pub async fn delete_topics(&self, topic_ids: &[Uuid]) -> io::Result<()> {
        let topics = topic_ids.iter().filter_map(|topic_id| self.take(*topic_id));
        let partitions: Vec<_> = topics.flat_map(Topic::into_values).collect();
        for partition in &partitions {
            partition.stop();
        }
        let ids: Vec<_> = partitions.iter().map(|partition| partition.id().clone()).collect();
        self.engine.delete(&ids).await
    }

    /// Closes every partition; the first error, after all were tried. The engine stays open.
    pub async fn close_all(&self) -> Result<(), AppendError> {
        let topics = std::mem::take(&mut *self.write());
        let partitions = topics.by_name.into_values().flat_map(Topic::into_values);
        let close = |partition: Arc<Partition>| async move { partition.close().await };
        each(partitions, CLOSED_AT_ONCE, close).await
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

/// Partitions that open.
struct Opening {
    /// By topic.
    opened: BTreeMap<Uuid, Vec<Arc<Partition>>>,
    /// Topics of which a partition did not open.
    failed: BTreeSet<Uuid>,
    done: usize,
    total: usize,
    /// When progress was told last.
    told_ms: i64,
}

impl Opening {
    fn new(env: &Env, total: usize) -> Self {
        Self {
            opened: BTreeMap::new(),
            failed: BTreeSet::new(),
            done: 0,
            total,
            told_ms: env.clock.now_ms(),
        }
    }

    fn note(
        &mut self,
        env: &Env,
        topic_id: Uuid,
        outcome: Result<Arc<Partition>, OpenError>,
    ) -> Result<(), OpenError> {
        self.done += 1;
        let now_ms = env.clock.now_ms();
        if now_ms.saturating_sub(self.told_ms) >= TELL_INTERVAL_MS {
            self.told_ms = now_ms;
            tracing::info!("opened {} of {} partitions", self.done, self.total);
        }
        match outcome {
            Ok(partition) => self.opened.entry(topic_id).or_default().push(partition),
            Err(error) => {
                self.failed.insert(topic_id);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Runs `work` on every item, several at a time; the first error, after all were tried.
async fn each<T, E, W>(
    items: impl IntoIterator<Item = T>,
    at_once: usize,
    work: impl Fn(T) -> W,
) -> Result<(), E>
where
    E: Send + 'static,
    W: Future<Output = Result<(), E>> + Send + 'static,
{
    let mut running: JoinSet<Result<(), E>> = JoinSet::new();
    let mut outcome = Ok(());
    let mut items = items.into_iter().fuse();
    loop {
        while running.len() < at_once
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
