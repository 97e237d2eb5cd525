//! The server's assignors: which member of a consumer group gets which partitions (KIP-848).
//!
//! Pure functions of the members and the topics. The reference takes members and topics in the
//! order of its hash maps; here both go by id, so that the same input has one answer.

mod draft;
mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// Partitions by topic. No set is empty.
pub(in crate::coordinator::group) type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// A member as assignors see it (Kafka: `MemberSubscription`, `MemberAssignment`).
#[derive(Clone, Debug, Default)]
pub(in crate::coordinator::group) struct MemberSpec {
    /// `group.instance.id`, where the member is static (KIP-345).
    pub instance_id: Option<String>,
    /// Topics it wants partitions of.
    pub subscribed: BTreeSet<Uuid>,
    /// Its target as it stands.
    pub owned: Assignment,
}

/// An assignor that members may ask for (Kafka: `group.consumer.assignors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) enum Assignor {
    /// Even loads first, then few partitions that move (Kafka: `UniformAssignor`).
    Uniform,
    /// Of each topic a run of partitions, so that topics are partitioned alike (Kafka:
    /// `RangeAssignor`).
    Range,
}

/// A member is subscribed to a topic that does not exist (Kafka: `PartitionAssignorException`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Members are subscribed to topic {topic} which doesn't exist in the topic metadata.")]
pub(in crate::coordinator::group) struct AssignError {
    /// The topic.
    pub topic: Uuid,
}

impl Assignor {
    /// The assignor of that name.
    pub(in crate::coordinator::group) fn from_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// The name that members ask for and records hold.
    pub(in crate::coordinator::group) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The target of every member, by member id. `partitions` counts those of each topic.
    pub(in crate::coordinator::group) fn assign(
        self,
        members: &BTreeMap<String, MemberSpec>,
        partitions: &BTreeMap<Uuid, i32>,
    ) -> Result<BTreeMap<String, Assignment>, AssignError> {
        match self {
            Self::Uniform => uniform::assign(members, partitions),
            Self::Range => range::assign(members, partitions),
        }
    }
}

/// Partitions of a topic that somebody is subscribed to.
fn partitions_of(topic: Uuid, partitions: &BTreeMap<Uuid, i32>) -> Result<i32, AssignError> {
    partitions.get(&topic).copied().ok_or(AssignError { topic })
}
