//! The records of `__consumer_offsets` that consumer groups need (KIP-848), built as those beside.

use bytes::Bytes;
use uuid::Uuid;

use crate::wire::message;

message! {
    /// Names a consumer group.
    pub struct ConsumerGroupMetadataKey: key 3, versions 0..=0, flexible 32767 {
        group_id: String,
    }

    /// The epoch of a group, raised whenever its members or their topics change.
    pub struct ConsumerGroupMetadataValue: key 3, versions 0..=0, flexible 0 {
        epoch: i32,
        /// Of the topics subscribed to (KIP-1101).
        metadata_hash: i64 [0.., tag 0],
    }

    /// Names the topics of a group, as brokers before Kafka 4.1 wrote them.
    pub struct ConsumerGroupPartitionMetadataKey: key 4, versions 0..=0, flexible 32767 {
        group_id: String,
    }

    /// The topics of a group.
    pub struct ConsumerGroupPartitionMetadataValue: key 4, versions 0..=0, flexible 0 {
        topics: Vec<TopicMetadata>,
    }

    pub struct TopicMetadata {
        topic_id: Uuid,
        topic_name: String,
        num_partitions: i32,
        partition_metadata: Vec<PartitionMetadata>,
    }

    pub struct PartitionMetadata {
        partition: i32,
        racks: Vec<String>,
    }

    /// Names a member, for what it has said of itself.
    pub struct ConsumerGroupMemberMetadataKey: key 5, versions 0..=0, flexible 32767 {
        group_id: String,
        member_id: String,
    }

    /// What a member has said of itself.
    pub struct ConsumerGroupMemberMetadataValue: key 5, versions 0..=0, flexible 0 {
        instance_id: Option<String> = Some(String::new()),
        rack_id: Option<String> = Some(String::new()),
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        subscribed_topic_regex: Option<String> = Some(String::new()),
        rebalance_timeout_ms: i32 = -1,
        server_assignor: Option<String> = Some(String::new()),
        /// Null for a member that uses the consumer protocol. Kafka means null to be the default,
        /// but its generator takes it for that of the structure, so that null is written.
        classic_member_metadata: Option<ClassicMemberMetadata> [0.., tag 0]
            = Some(ClassicMemberMetadata::default()),
    }

    pub struct ClassicMemberMetadata {
        session_timeout_ms: i32,
        supported_protocols: Vec<ClassicProtocol>,
    }

    pub struct ClassicProtocol {
        name: String,
        metadata: Bytes,
    }

    /// Names a group, for when its target assignment was computed.
    pub struct ConsumerGroupTargetAssignmentMetadataKey: key 6, versions 0..=0, flexible 32767 {
        group_id: String,
    }

    /// The group epoch that the target assignment is for.
    pub struct ConsumerGroupTargetAssignmentMetadataValue: key 6, versions 0..=0, flexible 0 {
        assignment_epoch: i32,
        /// When it was computed (KIP-1263).
        assignment_timestamp: i64 [0.., tag 0],
    }

    /// Names a member, for what it is to have.
    pub struct ConsumerGroupTargetAssignmentMemberKey: key 7, versions 0..=0, flexible 32767 {
        group_id: String,
        member_id: String,
    }

    /// What a member is to have.
    pub struct ConsumerGroupTargetAssignmentMemberValue: key 7, versions 0..=0, flexible 0 {
        topic_partitions: Vec<TopicPartition>,
    }

    pub struct TopicPartition {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    /// Names a member, for what it has.
    pub struct ConsumerGroupCurrentMemberAssignmentKey: key 8, versions 0..=0, flexible 32767 {
        group_id: String,
        member_id: String,
    }

    /// What a member has, and what it is to give back.
    pub struct ConsumerGroupCurrentMemberAssignmentValue: key 8, versions 0..=0, flexible 0 {
        member_epoch: i32,
        previous_member_epoch: i32,
        state: i8,
        assigned_partitions: Vec<TopicPartitions>,
        partitions_pending_revocation: Vec<TopicPartitions>,
    }

    pub struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
        /// The member epoch at which each partition was assigned (KIP-1251).
        assignment_epochs: Option<Vec<i32>> [0.., tag 0] = Some(Vec::new()),
    }

    /// Names a regular expression that members are subscribed to.
    pub struct ConsumerGroupRegularExpressionKey: key 16, versions 0..=0, flexible 32767 {
        group_id: String,
        regular_expression: String,
    }

    /// The topics that match it.
    pub struct ConsumerGroupRegularExpressionValue: key 16, versions 0..=0, flexible 0 {
        topics: Vec<String>,
        /// Of the metadata that was searched.
        version: i64,
        timestamp: i64,
    }
}
