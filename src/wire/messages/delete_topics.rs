//! Deletes topics.

use uuid::Uuid;

use crate::wire::message;

message! {
    /// Deletes topics, by name or id from version 6 on.
    pub struct DeleteTopicsRequest: key 20, versions 1..=6, flexible 4, answer DeleteTopicsResponse {
        /// By name or by id, the other one empty.
        topics: Vec<DeleteTopicState> [6..],
        topic_names: Vec<String> [..=5],
        timeout_ms: i32,
    }

    pub struct DeleteTopicState {
        name: Option<String>,
        topic_id: Uuid,
    }

    /// What became of each topic.
    pub struct DeleteTopicsResponse: key 20, versions 1..=6, flexible 4 {
        throttle_time_ms: i32,
        responses: Vec<DeletableTopicResult>,
    }

    pub struct DeletableTopicResult {
        name: Option<String> [.., null 6..] = Some(String::new()),
        topic_id: Uuid [6..],
        error_code: i16,
        error_message: Option<String> [5..],
    }
}
