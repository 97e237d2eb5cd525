//! A member of a consumer group (Kafka: `ConsumerGroupMember`).

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::ConsumerRecord;
use super::assignor::Assignment;
use crate::wire::messages::consumer_group_heartbeat as heartbeat;
use crate::wire::records::{
    ClassicMemberMetadata, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue, TopicPartitions,
};

/// The epoch with which a member joins.
pub(in crate::coordinator::group) const JOIN_EPOCH: i32 = 0;
/// The epoch of a member that has left.
pub(in crate::coordinator::group) const LEAVE_EPOCH: i32 = -1;
/// The epoch of a static member that has left but is to come back.
pub(in crate::coordinator::group) const STATIC_LEAVE_EPOCH: i32 = -2;

/// Partitions, and the member epoch at which each was assigned (KIP-1251).
pub(in crate::coordinator::group) type Owned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// Where a member stands between what it has and what it is to have (Kafka: `MemberState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::coordinator::group) enum MemberState {
    /// It has what it was to have at its epoch.
    #[default]
    Stable,
    /// It is still to give partitions back.
    Unrevoked,
    /// It waits for partitions that others have not given back.
    Unreleased,
    /// A state of a newer Kafka.
    Unknown(i8),
}

impl MemberState {
    fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
            Self::Unknown(number) => number,
        }
    }

    fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            number => Self::Unknown(number),
        }
    }
}

/// A member. Everything is kept in records.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::coordinator::group) struct Member {
    pub(in crate::coordinator::group) instance_id: Option<String>,
    pub(in crate::coordinator::group) rack_id: Option<String>,
    pub(in crate::coordinator::group) client_id: String,
    /// `/` and the address, as Java prints it.
    pub(in crate::coordinator::group) client_host: String,
    pub(in crate::coordinator::group) subscribed: BTreeSet<String>,
    /// Empty for none.
    pub(in crate::coordinator::group) regex: Option<String>,
    pub(in crate::coordinator::group) server_assignor: Option<String>,
    pub(in crate::coordinator::group) rebalance_timeout_ms: i32,
    /// Only of members that use the classic protocol.
    pub(in crate::coordinator::group) classic: Option<ClassicMemberMetadata>,
    pub(in crate::coordinator::group) epoch: i32,
    pub(in crate::coordinator::group) previous_epoch: i32,
    pub(in crate::coordinator::group) state: MemberState,
    /// What the member has.
    pub(in crate::coordinator::group) assigned: Owned,
    /// What it has no longer, but may still be reading.
    pub(in crate::coordinator::group) revoking: Owned,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            subscribed: BTreeSet::new(),
            regex: Some(String::new()),
            server_assignor: None,
            rebalance_timeout_ms: -1,
            classic: None,
            epoch: JOIN_EPOCH,
            previous_epoch: LEAVE_EPOCH,
            state: MemberState::Stable,
            assigned: Owned::new(),
            revoking: Owned::new(),
        }
    }
}

impl Member {
    /// Whether it has what it is to have as of this target assignment.
    pub(in crate::coordinator::group) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// The regular expression it is subscribed to.
    pub(in crate::coordinator::group) fn regex(&self) -> Option<&str> {
        self.regex.as_deref().filter(|regex| !regex.is_empty())
    }

    pub(in crate::coordinator::group) fn uses_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// The protocol it is told in a JoinGroup answer: its first.
    pub(in crate::coordinator::group) fn classic_protocol(&self) -> Option<&str> {
        self.classic.as_ref()?.supported_protocols.first().map(|protocol| protocol.name.as_str())
    }

    pub(in crate::coordinator::group) fn move_to(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }

    /// The epoch at which a partition was assigned that it has, or still is to give back.
    pub(in crate::coordinator::group) fn assignment_epoch(
        &self,
        topic_id: Uuid,
        partition: i32,
    ) -> Option<i32> {
        let of = |owned: &Owned| owned.get(&topic_id)?.get(&partition).copied();
        of(&self.assigned).or_else(|| of(&self.revoking))
    }

    /// What the answer to a heartbeat says of its assignment.
    pub(in crate::coordinator::group) fn told_assignment(&self) -> heartbeat::Assignment {
        let told = |(topic_id, partitions): (&Uuid, &BTreeMap<i32, i32>)| {
            let partitions = partitions.keys().copied().collect();
            heartbeat::TopicPartitions { topic_id: *topic_id, partitions }
        };
        heartbeat::Assignment { topic_partitions: self.assigned.iter().map(told).collect() }
    }

    /// What is written of what it has said of itself.
    pub(super) fn to_record(&self, id: &str) -> ConsumerRecord {
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.subscribed.iter().cloned().collect(),
            subscribed_topic_regex: self.regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.server_assignor.clone(),
            classic_member_metadata: self.classic.clone(),
        };
        ConsumerRecord::Member(id.to_owned(), Some(value))
    }

    /// What is written of what it has.
    pub(super) fn to_current_record(&self, id: &str) -> ConsumerRecord {
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.number(),
            assigned_partitions: self.assigned.iter().map(written).collect(),
            partitions_pending_revocation: self.revoking.iter().map(written).collect(),
        };
        ConsumerRecord::Current(id.to_owned(), Some(value))
    }

    pub(super) fn take_over(&mut self, value: &ConsumerGroupMemberMetadataValue) {
        self.instance_id.clone_from(&value.instance_id);
        self.rack_id.clone_from(&value.rack_id);
        self.client_id.clone_from(&value.client_id);
        self.client_host.clone_from(&value.client_host);
        self.subscribed = value.subscribed_topic_names.iter().cloned().collect();
        self.regex.clone_from(&value.subscribed_topic_regex);
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.server_assignor.clone_from(&value.server_assignor);
        self.classic.clone_from(&value.classic_member_metadata);
    }

    pub(super) fn take_over_current(&mut self, value: &ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_number(value.state);
        self.assigned = read(&value.assigned_partitions, value.member_epoch);
        self.revoking = read(&value.partitions_pending_revocation, value.member_epoch);
    }
}

fn written((topic_id, partitions): (&Uuid, &BTreeMap<i32, i32>)) -> TopicPartitions {
    TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    }
}

/// Brokers before Kafka 4.3 wrote no epochs of partitions: then the member's stands for them.
fn read(topics: &[TopicPartitions], member_epoch: i32) -> Owned {
    let read = |topic: &TopicPartitions| {
        let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
        let known = epochs.len() == topic.partitions.len();
        let epoch = |index: usize| if known { epochs[index] } else { member_epoch.max(0) };
        let partitions = topic.partitions.iter().enumerate();
        (topic.topic_id, partitions.map(|(index, partition)| (*partition, epoch(index))).collect())
    };
    topics.iter().map(read).collect()
}

/// Partitions with the epoch at which all of them are assigned.
pub(in crate::coordinator::group) fn owned_since(assignment: &Assignment, epoch: i32) -> Owned {
    let since = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| {
        (*topic_id, partitions.iter().map(|partition| (*partition, epoch)).collect())
    };
    assignment.iter().map(since).collect()
}
