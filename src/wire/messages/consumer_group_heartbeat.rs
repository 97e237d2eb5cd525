//! Joins, keeps and leaves a consumer group (KIP-848).

use uuid::Uuid;

use crate::wire::message;

message! {
    /// A member of a consumer group says that it is there, and what has changed of it.
    pub struct ConsumerGroupHeartbeatRequest: key 68, versions 0..=1, flexible 0, answer ConsumerGroupHeartbeatResponse {
        group_id: String,
        member_id: String,
        /// 0 joins, -1 leaves, -2 leaves for a while (static members).
        member_epoch: i32,
        instance_id: Option<String>,
        rack_id: Option<String>,
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<String>>,
        subscribed_topic_regex: Option<String> [1..],
        server_assignor: Option<String>,
        /// What the member owns.
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// The member's epoch, and its assignment if it has changed or was asked for.
    pub struct ConsumerGroupHeartbeatResponse: key 68, versions 0..=1, flexible 0 {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        member_id: Option<String>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment>,
    }

    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }

    pub struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }
}
