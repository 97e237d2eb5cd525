//! The topics of the floor, and who waits for their records.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use ottla::wire::ErrorCode;
use ottla::wire::messages::create_topics::{CreatableTopic, CreatableTopicResult};
use ottla::wire::messages::delete_topics::DeletableTopicResult;
use ottla::wire::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use uuid::Uuid;

use super::files::PartitionFiles;

pub(super) const NODE_ID: i32 = 1;

#[derive(Default)]
pub(super) struct Topics {
    by_name: HashMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
    /// How many there have ever been.
    created: u128,
}

pub(super) struct Topic {
    name: String,
    id: Uuid,
    partitions: Vec<Mutex<PartitionFiles>>,
}

/// Wakes those who wait for records, of whatever partition.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: AtomicUsize,
    count: Mutex<u64>,
    arrived: Condvar,
}

impl Arrivals {
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            *self.count.lock().unwrap() += 1;
            self.arrived.notify_all();
        }
    }

    /// Asks `look` again at every arrival until it gives something or the time is over.
    pub(super) fn wait<T>(&self, wait: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let until = Instant::now() + wait;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let found = loop {
            let seen = *self.count.lock().unwrap();
            let found = look();
            let left = until.saturating_duration_since(Instant::now());
            if found.is_some() || left.is_zero() {
                break found;
            }
            let count = self.count.lock().unwrap();
            drop(self.arrived.wait_timeout_while(count, left, |count| *count == seen).unwrap());
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        found
    }
}

impl Topics {
    /// By name, or by id where the name is empty.
    pub(super) fn get(&self, name: &str, id: Uuid) -> Option<Arc<Topic>> {
        if name.is_empty() { self.by_id.get(&id) } else { self.by_name.get(name) }.cloned()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values().map(|topic| &**topic)
    }

    pub(super) fn create(
        &mut self,
        directory: &Path,
        asked: &CreatableTopic,
    ) -> CreatableTopicResult {
        let (name, error_message) = (asked.name.clone(), None);
        let result = CreatableTopicResult { name, error_message, ..Default::default() };
        if self.by_name.contains_key(&asked.name) {
            let error_code = ErrorCode::TopicAlreadyExists.code();
            return CreatableTopicResult { error_code, ..result };
        }
        let files = |index| {
            let path = directory.join(format!("{}-{index}", asked.name));
            Mutex::new(PartitionFiles::new(path))
        };
        self.created += 1;
        let num_partitions = asked.num_partitions.max(1);
        let topic = Arc::new(Topic {
            name: asked.name.clone(),
            // The nil id stands for none.
            id: Uuid::from_u128(self.created),
            partitions: (0..num_partitions).map(files).collect(),
        });
        let topic_id = topic.id;
        self.by_id.insert(topic_id, topic.clone());
        self.by_name.insert(topic.name.clone(), topic);
        CreatableTopicResult { topic_id, num_partitions, replication_factor: 1, ..result }
    }

    /// Deletes one with its files, by name or by id where the name is empty.
    pub(super) fn delete(&mut self, name: &str, id: Uuid) -> DeletableTopicResult {
        let Some(topic) = self.get(name, id) else {
            let error_code = ErrorCode::UnknownTopicOrPartition.code();
            let name = Some(name.to_owned());
            return DeletableTopicResult { name, topic_id: id, error_code, ..Default::default() };
        };
        self.by_name.remove(&topic.name);
        self.by_id.remove(&topic.id);
        for partition in &topic.partitions {
            partition.lock().unwrap().remove();
        }
        let name = Some(topic.name.clone());
        DeletableTopicResult { name, topic_id: topic.id, ..Default::default() }
    }
}

impl Topic {
    pub(super) fn partition(&self, index: i32) -> Option<&Mutex<PartitionFiles>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(super) fn described(&self) -> MetadataResponseTopic {
        let partitions = (0..self.partitions.len()).map(|index| MetadataResponsePartition {
            partition_index: index as i32,
            leader_id: NODE_ID,
            leader_epoch: 0,
            replica_nodes: vec![NODE_ID],
            isr_nodes: vec![NODE_ID],
            ..Default::default()
        });
        MetadataResponseTopic {
            name: Some(self.name.clone()),
            topic_id: self.id,
            partitions: partitions.collect(),
            ..Default::default()
        }
    }
}
