//! Consumer groups: the protocol in which the coordinator assigns (KIP-848; Kafka: `ConsumerGroup`).
//!
//! ```text
//!   a member joins, leaves, subscribes otherwise;      group epoch + 1        (Assigning)
//!   a topic of the group changes                            |
//!                                                           v
//!   a member's heartbeat, an interval after the last   target assignment      (Reconciling)
//!                                                           |
//!                                                           v
//!   each member's heartbeats: give back, then take     current assignment     (Stable)
//! ```
//!
//! [`ConsumerGroup`] is what the records say, changed by [`ConsumerGroup::apply`] alone. What a
//! restart forgets - when sessions end, which metadata has been looked at - stands in [`Timers`].
//! Decisions are functions of both that return records.

mod assignor;
mod classic;
mod describe;
mod draft;
mod fence;
mod heartbeat;
mod member;
mod migrate;
mod offsets;
pub(crate) mod protocol;
mod reconcile;
mod record;
mod regex;
mod subscription;
mod timers;
mod topic_hash;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;
use crate::wire::records::{
    ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
    TopicPartition,
};

use assignor::Assignment;
pub use heartbeat::heartbeat_refused;
use member::{LEAVE_EPOCH, Member};
pub(super) use migrate::Downgrades;
pub(crate) use protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
pub use record::ConsumerRecord;
pub(in crate::coordinator) use regex::TopicPattern;
pub(crate) use regex::pattern_error;
pub(super) use timers::Timers;

/// Epoch of a group before its first member, and of the target assignment it then has.
const FIRST_EPOCH: i32 = 1;

/// Why a request is refused: the code and Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ErrorCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

/// Where a group stands (Kafka: `ConsumerGroupState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No members; it may have offsets.
    Empty,
    /// Its epoch is ahead of the target assignment.
    Assigning,
    /// Some member does not have what it is to have.
    Reconciling,
    /// Every member has what it is to have.
    Stable,
}

impl State {
    /// Kafka's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A consumer group, as its records have it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConsumerGroup {
    /// Raised whenever the members or their topics change.
    pub(super) epoch: i32,
    /// Of the topics subscribed to.
    pub(super) metadata_hash: i64,
    pub(super) members: BTreeMap<String, Member>,
    /// Static members: instance ids and member ids (KIP-345).
    pub(super) static_members: BTreeMap<String, String>,
    /// The group epoch that the target assignment is for.
    pub(super) target_epoch: i32,
    /// When it was computed; 0 if that is not known.
    pub(super) target_since_ms: i64,
    target: BTreeMap<String, Assignment>,
    /// The topics that match each regular expression.
    regexes: BTreeMap<String, ConsumerGroupRegularExpressionValue>,
    /// How many members are subscribed to each regular expression.
    regex_subscribers: BTreeMap<String, usize>,
    /// The epoch of the member that has a partition, or is still to give it back.
    owners: HashMap<(Uuid, i32), i32>,
    /// The group's topics stand in the log as brokers before Kafka 4.1 wrote them.
    has_old_topics: bool,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self {
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            target_epoch: FIRST_EPOCH,
            target_since_ms: 0,
            target: BTreeMap::new(),
            regexes: BTreeMap::new(),
            regex_subscribers: BTreeMap::new(),
            owners: HashMap::new(),
            has_old_topics: false,
        }
    }
}

impl ConsumerGroup {
    pub(super) fn state(&self) -> State {
        let reconciled = |member: &Member| member.is_reconciled_to(self.target_epoch);
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.target_epoch {
            State::Assigning
        } else if self.members.values().all(reconciled) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// The member of this id.
    pub(super) fn member(&self, id: &str, group: &str) -> Result<&Member, Refusal> {
        self.members.get(id).ok_or_else(|| {
            let message = format!("Member {id} is not a member of group {group}.");
            Refusal::new(ErrorCode::UnknownMemberId, message)
        })
    }

    /// The member that owns an instance id, and its id.
    fn static_member(&self, instance_id: &str) -> Option<(&str, &Member)> {
        let id = self.static_members.get(instance_id)?;
        Some((id, self.members.get(id)?))
    }

    /// What a member is to have.
    fn target(&self, member_id: &str) -> Option<&Assignment> {
        self.target.get(member_id)
    }

    /// Whether a member, other than by the partitions it gives back itself, has the partition.
    fn is_owned(&self, topic_id: Uuid, partition: i32) -> bool {
        self.owners.contains_key(&(topic_id, partition))
    }

    /// True if a member reads the topic.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.subscribed.contains(topic))
            || self.regexes.values().any(|found| found.topics.iter().any(|name| name == topic))
    }

    fn subscribers_of(&self, regex: &str) -> usize {
        self.regex_subscribers.get(regex).copied().unwrap_or(0)
    }

    /// Takes over a record, except one that removes the group.
    pub(super) fn apply(&mut self, record: &ConsumerRecord) {
        match record {
            ConsumerRecord::Epoch(None) => {}
            ConsumerRecord::Epoch(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            ConsumerRecord::Topics(value) => self.has_old_topics = value.is_some(),
            ConsumerRecord::Member(id, None) => self.remove_member(id),
            ConsumerRecord::Member(id, Some(value)) => {
                self.update(id, |member| member.take_over(value));
            }
            ConsumerRecord::TargetEpoch(value) => {
                let none = (LEAVE_EPOCH, 0);
                let set = |value: &ConsumerGroupTargetAssignmentMetadataValue| {
                    (value.assignment_epoch, value.assignment_timestamp)
                };
                (self.target_epoch, self.target_since_ms) = value.as_ref().map_or(none, set);
            }
            ConsumerRecord::Target(id, None) => drop(self.target.remove(id)),
            ConsumerRecord::Target(id, Some(value)) => {
                let topics = value.topic_partitions.iter();
                let topics = topics
                    .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()));
                self.target.insert(id.clone(), topics.collect());
            }
            ConsumerRecord::Current(id, None) if !self.members.contains_key(id) => {}
            ConsumerRecord::Current(id, None) => self.update(id, |member| {
                member.epoch = LEAVE_EPOCH;
                member.previous_epoch = LEAVE_EPOCH;
                member.assigned.clear();
                member.revoking.clear();
            }),
            ConsumerRecord::Current(id, Some(value)) => {
                self.update(id, |member| member.take_over_current(value));
            }
            ConsumerRecord::Regex(regex, None) => drop(self.regexes.remove(regex)),
            ConsumerRecord::Regex(regex, Some(value)) => {
                self.regexes.insert(regex.clone(), value.clone());
            }
        }
    }

    fn update(&mut self, id: &str, change: impl FnOnce(&mut Member)) {
        let mut member = self.members.remove(id).unwrap_or_default();
        self.disown(&member);
        change(&mut member);
        for (&topic_id, partitions) in member.assigned.iter().chain(&member.revoking) {
            for &partition in partitions.keys() {
                // In a compacted log the record of who had a partition before may come later.
                let owner = self.owners.entry((topic_id, partition)).or_insert(member.epoch);
                *owner = (*owner).max(member.epoch);
            }
        }
        if let Some(regex) = member.regex() {
            *self.regex_subscribers.entry(regex.to_owned()).or_default() += 1;
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), id.to_owned());
        }
        self.members.insert(id.to_owned(), member);
    }

    fn remove_member(&mut self, id: &str) {
        let Some(member) = self.members.remove(id) else { return };
        self.disown(&member);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id).is_some_and(|owner| owner == id)
        {
            self.static_members.remove(instance_id);
        }
    }

    /// Takes back what the group counts of a member.
    fn disown(&mut self, member: &Member) {
        if let Some(regex) = member.regex()
            && let Some(count) = self.regex_subscribers.get_mut(regex)
        {
            *count -= 1;
            if *count == 0 {
                self.regex_subscribers.remove(regex);
            }
        }
        for (&topic_id, partitions) in member.assigned.iter().chain(&member.revoking) {
            for &partition in partitions.keys() {
                if self.owners.get(&(topic_id, partition)) == Some(&member.epoch) {
                    self.owners.remove(&(topic_id, partition));
                }
            }
        }
    }

    /// What removes the group, as its members are now.
    pub(super) fn tombstones(&self) -> Vec<ConsumerRecord> {
        let ids = || self.members.keys().cloned();
        let mut records: Vec<_> = ids().map(|id| ConsumerRecord::Current(id, None)).collect();
        records.extend(ids().map(|id| ConsumerRecord::Target(id, None)));
        records.push(ConsumerRecord::TargetEpoch(None));
        records.extend(ids().map(|id| ConsumerRecord::Member(id, None)));
        let regexes = self.regexes.keys().cloned();
        records.extend(regexes.map(|regex| ConsumerRecord::Regex(regex, None)));
        records.extend([ConsumerRecord::Topics(None), ConsumerRecord::Epoch(None)]);
        records
    }
}

fn epoch_record(epoch: i32, metadata_hash: i64) -> ConsumerRecord {
    ConsumerRecord::Epoch(Some(ConsumerGroupMetadataValue { epoch, metadata_hash }))
}

fn target_record(member_id: &str, assignment: &Assignment) -> ConsumerRecord {
    let topic = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    };
    let topic_partitions = assignment.iter().map(topic).collect();
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions };
    ConsumerRecord::Target(member_id.to_owned(), Some(value))
}

fn target_epoch_record(assignment_epoch: i32, assignment_timestamp: i64) -> ConsumerRecord {
    ConsumerRecord::TargetEpoch(Some(ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch,
        assignment_timestamp,
    }))
}

/// The ids of those topics that exist.
fn topic_ids<'t>(
    names: impl IntoIterator<Item = &'t str>,
    image: &MetadataImage,
) -> BTreeSet<Uuid> {
    names.into_iter().filter_map(|name| image.topic(name)).map(|topic| topic.id).collect()
}
