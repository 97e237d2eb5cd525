//! Adds partitions to topics.

use crate::wire::message;

message! {
    /// Adds partitions.
    pub struct CreatePartitionsRequest: key 37, versions 0..=3, flexible 2, answer CreatePartitionsResponse {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    pub struct CreatePartitionsTopic {
        name: String,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    /// What became of each topic.
    pub struct CreatePartitionsResponse: key 37, versions 0..=3, flexible 2 {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    pub struct CreatePartitionsTopicResult {
        name: String,
        error_code: i16,
        error_message: Option<String>,
    }
}
