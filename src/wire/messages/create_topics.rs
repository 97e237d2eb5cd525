//! Creates topics.

use uuid::Uuid;

use crate::wire::message;

message! {
    /// Creates topics.
    pub struct CreateTopicsRequest: key 19, versions 2..=7, flexible 5, answer CreateTopicsResponse {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60_000,
        validate_only: bool,
    }

    pub struct CreatableTopic {
        name: String,
        /// -1 for the default or with `assignments`.
        num_partitions: i32,
        /// -1 for the default or with `assignments`.
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    pub struct CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    pub struct CreatableTopicConfig {
        name: String,
        value: Option<String> = Some(String::new()),
    }

    /// What became of each topic.
    pub struct CreateTopicsResponse: key 19, versions 2..=7, flexible 5 {
        throttle_time_ms: i32,
        topics: Vec<CreatableTopicResult>,
    }

    pub struct CreatableTopicResult {
        name: String,
        topic_id: Uuid [7..],
        error_code: i16,
        error_message: Option<String> = Some(String::new()),
        num_partitions: i32 [5..] = -1,
        replication_factor: i16 [5..] = -1,
        configs: Option<Vec<CreatableTopicConfigs>> [5..] = Some(Vec::new()),
        /// Why `configs` is null.
        topic_config_error_code: i16 [5.., tag 0],
    }

    pub struct CreatableTopicConfigs {
        name: String,
        value: Option<String> = Some(String::new()),
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}
