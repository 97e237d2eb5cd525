//! Describes consumer groups (KIP-848).

use uuid::Uuid;

use crate::wire::message;

message! {
    /// Asks for groups.
    pub struct ConsumerGroupDescribeRequest: key 69, versions 0..=1, flexible 0, answer ConsumerGroupDescribeResponse {
        group_ids: Vec<String>,
        include_authorized_operations: bool,
    }

    /// The groups.
    pub struct ConsumerGroupDescribeResponse: key 69, versions 0..=1, flexible 0 {
        throttle_time_ms: i32,
        groups: Vec<DescribedGroup>,
    }

    pub struct DescribedGroup {
        error_code: i16,
        error_message: Option<String>,
        group_id: String,
        group_state: String,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: String,
        members: Vec<Member>,
        authorized_operations: i32 = i32::MIN,
    }

    pub struct Member {
        member_id: String,
        instance_id: Option<String>,
        rack_id: Option<String>,
        member_epoch: i32,
        client_id: String,
        client_host: String,
        subscribed_topic_names: Vec<String>,
        subscribed_topic_regex: Option<String>,
        assignment: Assignment,
        target_assignment: Assignment,
        /// 0 for a member of the classic protocol, 1 for one of the consumer protocol.
        member_type: i8 [1..] = -1,
    }

    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }

    pub struct TopicPartitions {
        topic_id: Uuid,
        topic_name: String,
        partitions: Vec<i32>,
    }
}
