//! Committed offsets (Kafka: `OffsetMetadataManager`).
//!
//! Offsets of an open transaction (found in a directory of Kafka's) are held back until its marker;
//! then the one with the higher place in the log counts, so that replaying a compacted log comes to
//! the same (KAFKA-16164).

use std::collections::{BTreeMap, HashMap};
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

type Partitions = BTreeMap<i32, Committed>;
type Topics = BTreeMap<Arc<str>, Partitions>;

/// All groups' offsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Offsets {
    groups: HashMap<String, Topics>,
    /// Offsets of open transactions, by producer id, in the order of the log.
    undecided: BTreeMap<i64, Vec<(OffsetCommitKey, Committed)>>,
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
                held.push((key.clone(), Committed::new(value, record_offset)));
            }
            (Some(value), None) => self.put(key, Committed::new(value, record_offset)),
            (None, _) => self.remove(key),
        }
    }

    /// A producer's transaction has ended.
    pub(super) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        let held = self.undecided.remove(&producer_id).unwrap_or_default();
        for (key, offset) in held.into_iter().filter(|_| committed) {
            let newer = self.get(&key).is_some_and(|it| it.record_offset > offset.record_offset);
            if !newer {
                self.put(&key, offset);
            }
        }
    }

    fn put(&mut self, key: &OffsetCommitKey, offset: Committed) {
        let topics = match self.groups.get_mut(&key.group) {
            Some(topics) => topics,
            None => self.groups.entry(key.group.clone()).or_default(),
        };
        let partitions = match topics.get_mut(key.topic.as_str()) {
            Some(partitions) => partitions,
            None => topics.entry(key.topic.as_str().into()).or_default(),
        };
        partitions.insert(key.partition, offset);
    }

    fn remove(&mut self, key: &OffsetCommitKey) {
        for held in self.undecided.values_mut() {
            held.retain(|(other, _)| other != key);
        }
        let Some(topics) = self.groups.get_mut(&key.group) else { return };
        if let Some(partitions) = topics.get_mut(key.topic.as_str()) {
            partitions.remove(&key.partition);
            if partitions.is_empty() {
                topics.remove(key.topic.as_str());
            }
        }
        if topics.is_empty() {
            self.groups.remove(&key.group);
        }
    }

    fn get(&self, key: &OffsetCommitKey) -> Option<&Committed> {
        self.groups.get(&key.group)?.get(key.topic.as_str())?.get(&key.partition)
    }

    pub(super) fn is_undecided(&self, key: &OffsetCommitKey) -> bool {
        self.undecided.values().flatten().any(|(other, _)| other == key)
    }

    /// Whether an open transaction has offsets of the group.
    pub(super) fn has_undecided(&self, group: &str) -> bool {
        self.undecided.values().flatten().any(|(key, _)| key.group == group)
    }

    /// A group's offsets that are decided.
    pub(super) fn of(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Committed)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().map(|(&number, committed)| (&**topic, number, committed))
        })
    }

    /// Whether there is something to delete.
    pub(super) fn has(&self, key: &OffsetCommitKey) -> bool {
        self.get(key).is_some() || self.is_undecided(key)
    }

    /// Keys of everything there is of the groups and topics that are `wanted`.
    pub(super) fn keys(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<OffsetCommitKey> {
        let mut keys = Vec::new();
        for (group, topics) in &self.groups {
            for (topic, partitions) in topics.iter().filter(|(topic, _)| wanted(group, topic)) {
                keys.extend(partitions.keys().map(|&partition| OffsetCommitKey {
                    group: group.clone(),
                    topic: topic.to_string(),
                    partition,
                }));
            }
        }
        let undecided = self.undecided.values().flatten().map(|(key, _)| key);
        let undecided = undecided.filter(|key| wanted(&key.group, &key.topic));
        keys.extend(undecided.filter(|key| self.get(key).is_none()).cloned());
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
        let all: Topics = Topics::new();
        let own = self.groups.get(group).filter(|_| known).unwrap_or(&all);
        let answer = |topic: &str, partition: i32, found: Option<&Committed>| {
            let key =
                || OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition };
            if require_stable && !self.undecided.is_empty() && self.is_undecided(&key()) {
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
