//! Committed offsets (Kafka: `OffsetMetadataManager`).
//!
//! Offsets of an open transaction are held back until its marker; then the one with the higher place
//! in the log counts, so that replaying a compacted log comes to the same (KAFKA-16164).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::wire::ErrorCode;
use crate::wire::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use crate::wire::records::{OffsetCommitKey, OffsetCommitValue};

/// Stands for an offset without an end of its own.
const NO_END: i64 = -1;

/// An offset as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    /// An old client has given it its own end: `time_ms` is that, not the commit's.
    has_own_end: bool,
    time_ms: i64,
    pub(super) metadata: Box<str>,
    /// Where the record stands.
    pub(super) record_offset: i64,
}

impl Committed {
    fn new(value: &OffsetCommitValue, record_offset: i64) -> Self {
        let has_own_end = value.expire_timestamp != NO_END;
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            has_own_end,
            time_ms: if has_own_end { value.expire_timestamp } else { value.commit_timestamp },
            metadata: value.metadata.as_str().into(),
            record_offset,
        }
    }

    /// When it need not be kept any more, where `retention_ms` count from `since_ms`, or without
    /// that from its commit.
    pub(super) fn ends_ms(&self, since_ms: Option<i64>, retention_ms: i64) -> i64 {
        if self.has_own_end {
            return self.time_ms;
        }
        since_ms.unwrap_or(self.time_ms).saturating_add(retention_ms)
    }
}

type Topics<T> = BTreeMap<Arc<str>, BTreeMap<i32, T>>;

/// Something of groups' partitions; what is empty is not kept.
#[derive(Clone, Debug, PartialEq)]
struct ByPartition<T>(HashMap<String, Topics<T>>);

impl<T> Default for ByPartition<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> ByPartition<T> {
    fn get(&self, key: &OffsetCommitKey) -> Option<&T> {
        self.0.get(&key.group)?.get(key.topic.as_str())?.get(&key.partition)
    }

    fn put(&mut self, key: &OffsetCommitKey, value: T) {
        let topics = match self.0.get_mut(&key.group) {
            Some(topics) => topics,
            None => self.0.entry(key.group.clone()).or_default(),
        };
        let partitions = match topics.get_mut(key.topic.as_str()) {
            Some(partitions) => partitions,
            None => topics.entry(key.topic.as_str().into()).or_default(),
        };
        partitions.insert(key.partition, value);
    }

    fn remove(&mut self, key: &OffsetCommitKey) -> Option<T> {
        let topics = self.0.get_mut(&key.group)?;
        let partitions = topics.get_mut(key.topic.as_str())?;
        let removed = partitions.remove(&key.partition);
        if partitions.is_empty() {
            topics.remove(key.topic.as_str());
            if topics.is_empty() {
                self.0.remove(&key.group);
            }
        }
        removed
    }

    /// Keys of the groups and topics that are `wanted`.
    fn keys(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<OffsetCommitKey> {
        let mut keys = Vec::new();
        for (group, topics) in &self.0 {
            for (topic, partitions) in topics.iter().filter(|(topic, _)| wanted(group, topic)) {
                keys.extend(partitions.keys().map(|&partition| OffsetCommitKey {
                    group: group.clone(),
                    topic: topic.to_string(),
                    partition,
                }));
            }
        }
        keys
    }
}

/// All groups' offsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Offsets {
    decided: ByPartition<Committed>,
    /// Offsets of open transactions, by producer id.
    undecided: BTreeMap<i64, ByPartition<Committed>>,
    /// Whose transactions are to decide.
    open: ByPartition<BTreeSet<i64>>,
}

impl Offsets {
    /// Takes over a record; the transaction of `producer_id` decides on it later.
    pub(super) fn apply(
        &mut self,
        key: &OffsetCommitKey,
        value: Option<&OffsetCommitValue>,
        record_offset: i64,
        producer_id: Option<i64>,
    ) {
        match (value, producer_id) {
            (Some(value), Some(producer_id)) => {
                let held = self.undecided.entry(producer_id).or_default();
                held.put(key, Committed::new(value, record_offset));
                let mut producers = self.open.remove(key).unwrap_or_default();
                producers.insert(producer_id);
                self.open.put(key, producers);
            }
            (Some(value), None) => self.decided.put(key, Committed::new(value, record_offset)),
            (None, _) => self.remove(key),
        }
    }

    /// A producer's transaction has ended.
    pub(super) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        let Some(mut held) = self.undecided.remove(&producer_id) else { return };
        for key in held.keys(|_, _| true) {
            let mut producers = self.open.remove(&key).unwrap_or_default();
            producers.remove(&producer_id);
            if !producers.is_empty() {
                self.open.put(&key, producers);
            }
            let offset = held.remove(&key).filter(|offset| {
                let known = self.decided.get(&key);
                committed && known.is_none_or(|known| known.record_offset < offset.record_offset)
            });
            if let Some(offset) = offset {
                self.decided.put(&key, offset);
            }
        }
    }

    fn remove(&mut self, key: &OffsetCommitKey) {
        self.decided.remove(key);
        for producer_id in self.open.remove(key).unwrap_or_default() {
            let held = self.undecided.get_mut(&producer_id);
            if held.is_some_and(|held| held.remove(key).is_some() && held.0.is_empty()) {
                self.undecided.remove(&producer_id);
            }
        }
    }

    /// Whether an open transaction decides on the offset.
    pub(super) fn is_undecided(&self, group: &str, topic: &str, partition: i32) -> bool {
        let topics = self.open.0.get(group);
        topics.and_then(|it| it.get(topic)).is_some_and(|it| it.contains_key(&partition))
    }

    /// Whether an open transaction has offsets of the group.
    pub(super) fn has_undecided(&self, group: &str) -> bool {
        self.open.0.contains_key(group)
    }

    /// A group's offsets that are decided.
    pub(super) fn of(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Committed)> {
        let topics = self.decided.0.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().map(|(&number, committed)| (&**topic, number, committed))
        })
    }

    /// Whether there is something to delete.
    pub(super) fn has(&self, key: &OffsetCommitKey) -> bool {
        self.decided.get(key).is_some() || self.open.get(key).is_some()
    }

    /// Keys of everything there is of the groups and topics that are `wanted`.
    pub(super) fn keys(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<OffsetCommitKey> {
        let mut keys = self.decided.keys(&wanted);
        let undecided = self.open.keys(&wanted).into_iter();
        keys.extend(undecided.filter(|key| self.decided.get(key).is_none()));
        keys
    }

    /// Answers what was asked, or with null everything there is. `known` is false for a group that
    /// does not exist, which has no offsets.
    pub(super) fn fetch(
        &self,
        asked: &OffsetFetchRequestGroup,
        known: bool,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let group = asked.group_id.as_str();
        let none = Topics::new();
        let own = self.decided.0.get(group).filter(|_| known).unwrap_or(&none);
        let answer = |topic: &str, partition: i32, found: Option<&Committed>| {
            if require_stable && self.is_undecided(group, topic, partition) {
                return unstable(partition);
            }
            found.map_or_else(|| nothing(partition), |found| committed(partition, found))
        };
        let topics = match &asked.topics {
            None => own
                .iter()
                .map(|(topic, partitions)| OffsetFetchResponseTopics {
                    name: topic.to_string(),
                    topic_id: Uuid::nil(),
                    partitions: partitions
                        .iter()
                        .map(|(&number, found)| answer(topic, number, Some(found)))
                        .collect(),
                })
                .collect(),
            Some(topics) => topics
                .iter()
                .map(|topic| OffsetFetchResponseTopics {
                    name: topic.name.clone(),
                    topic_id: topic.topic_id,
                    partitions: topic
                        .partition_indexes
                        .iter()
                        .map(|number| {
                            let partitions = own.get(topic.name.as_str());
                            let found = partitions.and_then(|partitions| partitions.get(number));
                            answer(&topic.name, *number, found)
                        })
                        .collect(),
                })
                .collect(),
        };
        OffsetFetchResponseGroup { group_id: group.to_owned(), topics, ..Default::default() }
    }
}

fn committed(partition: i32, found: &Committed) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: found.offset,
        committed_leader_epoch: found.leader_epoch,
        metadata: Some(found.metadata.to_string()),
        error_code: ErrorCode::None.code(),
    }
}

fn nothing(partition: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: -1,
        ..Default::default()
    }
}

fn unstable(partition: i32) -> OffsetFetchResponsePartitions {
    let error_code = ErrorCode::UnstableOffsetCommit.code();
    OffsetFetchResponsePartitions { error_code, ..nothing(partition) }
}
