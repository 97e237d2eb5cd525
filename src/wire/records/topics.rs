//! Metadata records of topics and configurations.

use uuid::Uuid;

use crate::wire::message;

message! {
    /// A topic is created.
    pub struct TopicRecord: key 2, versions 0..=0, flexible 0 {
        name: String,
        topic_id: Uuid,
    }

    /// A partition as it is, at its creation or in a snapshot.
    pub struct PartitionRecord: key 3, versions 0..=2, flexible 0 {
        partition_id: i32 = -1,
        topic_id: Uuid,
        replicas: Vec<i32>,
        isr: Vec<i32>,
        removing_replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        leader: i32 = -1,
        /// 1 while recovering from an unclean election.
        leader_recovery_state: i8 [.., tag 0],
        /// Raised by one with every change record whose `leader` is set, be it the same.
        leader_epoch: i32 = -1,
        partition_epoch: i32 = -1,
        directories: Vec<Uuid> [1..],
        eligible_leader_replicas: Option<Vec<i32>> [2.., tag 1],
        last_known_elr: Option<Vec<i32>> [2.., tag 2],
    }

    /// What changed of a partition; every field has a value for "no change".
    pub struct PartitionChangeRecord: key 5, versions 0..=2, flexible 0 {
        partition_id: i32 = -1,
        topic_id: Uuid,
        isr: Option<Vec<i32>> [.., tag 0],
        /// -1 if there is now no leader.
        leader: i32 [.., tag 1] = -2,
        replicas: Option<Vec<i32>> [.., tag 2],
        removing_replicas: Option<Vec<i32>> [.., tag 3],
        adding_replicas: Option<Vec<i32>> [.., tag 4],
        leader_recovery_state: i8 [.., tag 5] = -1,
        directories: Option<Vec<Uuid>> [1.., tag 8],
        eligible_leader_replicas: Option<Vec<i32>> [2.., tag 6],
        last_known_elr: Option<Vec<i32>> [2.., tag 7],
    }

    /// A topic and its partitions are removed.
    pub struct RemoveTopicRecord: key 9, versions 0..=0, flexible 0 {
        topic_id: Uuid,
    }

    /// The eligible leader replicas of a topic, or of all (empty name), are forgotten.
    pub struct ClearElrRecord: key 28, versions 0..=0, flexible 0 {
        topic_name: String,
    }

    /// A configuration key is set, or with null deleted.
    pub struct ConfigRecord: key 4, versions 0..=0, flexible 0 {
        resource_type: i8,
        resource_name: String,
        name: String,
        value: Option<String> = Some(String::new()),
    }
}
