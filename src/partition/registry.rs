//! Which partitions are open, by topic name and by topic id.
//!
//! A partition whose directory is offline has its place here, too: it answers KAFKA_STORAGE_ERROR
//! (Kafka: `HostedPartition.Offline`).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::TopicConfig;
use crate::env::Env;
use crate::log::{AppendError, LogId, OpenError};
use crate::wire::ErrorCode;

use super::{Directories, Partition};

mod opening;

use opening::{Opening, each};

/// Partitions closed at the same time.
const CLOSED_AT_ONCE: usize = 16;

/// Between two attempts to open what found no room.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// A topic whose partitions this broker is to serve.
#[derive(Clone, Debug)]
pub struct TopicToOpen {
    /// Topic name.
    pub name: Arc<str>,
    /// Topic id.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partitions: Vec<PartitionToOpen>,
    /// The topic's configuration.
    pub config: Arc<TopicConfig>,
}

/// A partition of a [`TopicToOpen`].
#[derive(Clone, Copy, Debug)]
pub struct PartitionToOpen {
    /// Its number.
    pub number: i32,
    /// Its leader's epoch.
    pub leader_epoch: i32,
    /// Id of its directory.
    pub directory: Uuid,
}

/// Why a partition is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpen {
    /// There is none of this name and number.
    Unknown,
    /// Its directory has failed, or could not be opened.
    Offline,
}

impl NotOpen {
    /// The code that a client gets.
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::UnknownTopicOrPartition,
            Self::Offline => ErrorCode::KafkaStorageError,
        }
    }
}

/// A partition that belongs here.
struct Hosted {
    directory: Uuid,
    /// None while its directory is offline.
    partition: Option<Arc<Partition>>,
}

impl Hosted {
    fn get(&self) -> Result<Arc<Partition>, NotOpen> {
        self.partition.clone().ok_or(NotOpen::Offline)
    }
}

/// A topic's partitions, by number.
type Topic = BTreeMap<i32, Hosted>;

fn open(topic: &Topic) -> impl Iterator<Item = &Arc<Partition>> {
    topic.values().filter_map(|hosted| hosted.partition.as_ref())
}

#[derive(Default)]
struct Topics {
    by_name: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
}

/// The open partitions of a broker.
pub struct Registry {
    env: Env,
    directories: Directories,
    /// Partitions opened at the same time.
    open_at_once: usize,
    topics: RwLock<Topics>,
    /// Topics whose logs found no room on the disk; locked while topics open or go.
    unopened: tokio::sync::Mutex<Vec<TopicToOpen>>,
    /// Told when there may be something to compact.
    pub(super) sealed: Arc<Notify>,
}

impl Registry {
    /// No partitions, to be kept in `directories`, of which `open_at_once` open at the same time
    /// (at least 1).
    pub fn new(env: Env, directories: Directories, open_at_once: usize) -> Self {
        Self {
            env,
            directories,
            open_at_once: open_at_once.max(1),
            topics: RwLock::default(),
            unopened: tokio::sync::Mutex::default(),
            sealed: Arc::default(),
        }
    }

    /// Where the logs stand.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// Opens a topic's partitions and serves them all, or none. A topic that is open already gets
    /// those it has not yet, and the configuration.
    pub async fn open_topic(self: &Arc<Self>, topic: &TopicToOpen) -> Result<(), OpenError> {
        self.open_topics(vec![topic.clone()]).await
    }

    /// As [`Registry::open_topic`] for many, several partitions at a time; the first error, after
    /// all were tried. A topic whose logs find no room on the disk is opened when there is some.
    pub async fn open_topics(self: &Arc<Self>, topics: Vec<TopicToOpen>) -> Result<(), OpenError> {
        let mut unopened = self.unopened.lock().await;
        let awaits_room = !unopened.is_empty();
        unopened.retain(|old| topics.iter().all(|topic| topic.topic_id != old.topic_id));
        let outcome = self.try_open(topics, &mut unopened).await;
        if !awaits_room && !unopened.is_empty() {
            tokio::spawn(open_when_there_is_room(Arc::downgrade(self)));
        }
        outcome
    }

    /// Adds those that find no room to `unopened`.
    async fn try_open(
        self: &Arc<Self>,
        topics: Vec<TopicToOpen>,
        unopened: &mut Vec<TopicToOpen>,
    ) -> Result<(), OpenError> {
        let topics: Vec<_> = topics.into_iter().map(Arc::new).collect();
        let lacking = topics.iter().flat_map(|topic| {
            let is_here =
                |number| self.get_by_id(topic.topic_id, number).err() != Some(NotOpen::Unknown);
            let lacking = topic.partitions.iter().filter(move |it| !is_here(it.number));
            lacking.map(|it| (Arc::clone(topic), *it))
        });
        let lacking: Vec<_> = lacking.collect();
        let progress = Arc::new(Mutex::new(Opening::new(&self.env, lacking.len())));
        let open = {
            let (registry, progress) = (Arc::clone(self), Arc::clone(&progress));
            move |(topic, partition): (Arc<TopicToOpen>, PartitionToOpen)| {
                let (registry, progress) = (Arc::clone(&registry), Arc::clone(&progress));
                async move {
                    let opened = registry.open_partition(&topic, partition).await;
                    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.note(&registry.env, topic.topic_id, partition.number, opened)
                }
            }
        };
        let outcome = each(lacking, self.open_at_once, open).await;
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in topics {
            match progress.failed.get(&topic.topic_id) {
                None => {
                    let opened = progress.opened.remove(&topic.topic_id).unwrap_or_default();
                    self.serve(&topic, opened);
                }
                Some(true) => unopened.push(Arc::unwrap_or_clone(topic)),
                Some(false) => {}
            }
        }
        outcome
    }

    /// One whose directory fails meanwhile is not open, which is no error of the topic.
    async fn open_partition(
        &self,
        topic: &TopicToOpen,
        PartitionToOpen { number, leader_epoch, directory }: PartitionToOpen,
    ) -> Result<Hosted, OpenError> {
        let mut hosted = Hosted { directory, partition: None };
        if let Some(engine) = self.directories.online(directory) {
            let (topic_id, config) = (topic.topic_id, Arc::clone(&topic.config));
            let id = LogId { topic: Arc::clone(&topic.name), topic_id, partition: number };
            let metadata = self.directories.metadata();
            match Partition::open(&self.env, &**engine, id, leader_epoch, config).await {
                Ok(partition) => hosted.partition = Some(partition),
                Err(_) if engine.is_offline() && !Arc::ptr_eq(engine, metadata) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(hosted)
    }

    fn serve(&self, topic: &TopicToOpen, opened: Topic) {
        let mut topics = self.write();
        topics.names.insert(topic.topic_id, Arc::clone(&topic.name));
        let known = topics.by_name.entry(Arc::clone(&topic.name)).or_default();
        for partition in open(known) {
            partition.configure(Arc::clone(&topic.config));
        }
        for partition in open(&opened) {
            partition.set_cleaner(&self.sealed);
        }
        known.extend(opened);
    }

    /// An open partition.
    pub fn get(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, NotOpen> {
        let topics = self.read();
        let hosted = topics.by_name.get(topic).and_then(|topic| topic.get(&partition));
        hosted.ok_or(NotOpen::Unknown)?.get()
    }

    /// An open partition of the topic with this id.
    pub fn get_by_id(&self, topic_id: Uuid, partition: i32) -> Result<Arc<Partition>, NotOpen> {
        let topics = self.read();
        let topic = topics.names.get(&topic_id).and_then(|name| topics.by_name.get(name));
        topic.and_then(|topic| topic.get(&partition)).ok_or(NotOpen::Unknown)?.get()
    }

    /// Name of the open topic with this id.
    pub fn topic_name(&self, topic_id: Uuid) -> Option<Arc<str>> {
        self.read().names.get(&topic_id).cloned()
    }

    /// The open partitions of a topic, in order of their numbers; empty if it is not open.
    pub fn partitions(&self, topic: &str) -> Vec<Arc<Partition>> {
        self.read().by_name.get(topic).into_iter().flat_map(open).cloned().collect()
    }

    /// Every open partition, by topic name and number.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.read().by_name.values().flat_map(open).cloned().collect()
    }

    /// The open partitions of a directory, by topic name and number.
    pub fn in_directory(&self, directory: Uuid) -> Vec<Arc<Partition>> {
        let topics = self.read();
        let hosted = topics.by_name.values().flat_map(Topic::values);
        let hosted = hosted.filter(|hosted| hosted.directory == directory);
        hosted.filter_map(|hosted| hosted.partition.clone()).collect()
    }

    /// Forgets the logs of a directory that has failed; its partitions are offline from now on.
    pub fn take_offline(&self, directory: Uuid) {
        let mut topics = self.write();
        for hosted in topics.by_name.values_mut().flat_map(Topic::values_mut) {
            if hosted.directory == directory {
                hosted.partition = None;
            }
        }
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
        let mut unopened = self.unopened.lock().await;
        unopened.retain(|topic| !topic_ids.contains(&topic.topic_id));
        let topics: Vec<_> = topic_ids.iter().filter_map(|topic_id| self.take(*topic_id)).collect();
        let partitions: Vec<_> = topics.iter().flat_map(open).collect();
        for partition in &partitions {
            partition.stop();
        }
        let ids: Vec<_> = partitions.iter().map(|partition| partition.id().clone()).collect();
        self.directories.delete(&ids).await
    }

    /// Closes every partition; the first error, after all were tried. The directories stay open.
    pub async fn close_all(&self) -> Result<(), AppendError> {
        let topics = std::mem::take(&mut *self.write());
        let hosted = topics.by_name.into_values().flat_map(Topic::into_values);
        let is_online = |hosted: &Hosted| self.directories.online(hosted.directory).is_some();
        let partitions = hosted.filter(is_online).filter_map(|hosted| hosted.partition);
        let partitions: Vec<_> = partitions.collect();
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

/// Ends with the registry, or when nothing is left to open.
async fn open_when_there_is_room(registry: Weak<Registry>) {
    loop {
        tokio::time::sleep(ROOM_PAUSE).await;
        let Some(registry) = registry.upgrade() else { return };
        let mut unopened = registry.unopened.lock().await;
        let topics = std::mem::take(&mut *unopened);
        match registry.try_open(topics, &mut unopened).await {
            Err(error) if unopened.is_empty() => {
                tracing::error!(%error, "a topic cannot be served");
            }
            Ok(()) => tracing::info!("there is room on the disk: every topic is served"),
            Err(_) => continue,
        }
        return;
    }
}
