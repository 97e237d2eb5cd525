//! Deletes groups.

use crate::wire::message;

message! {
    /// Deletes groups.
    pub struct DeleteGroupsRequest: key 42, versions 0..=2, flexible 2, answer DeleteGroupsResponse {
        groups_names: Vec<String>,
    }

    /// What became of each group.
    pub struct DeleteGroupsResponse: key 42, versions 0..=2, flexible 2 {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    pub struct DeletableGroupResult {
        group_id: String,
        error_code: i16,
    }
}
