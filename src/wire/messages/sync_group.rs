//! Distributes a classic group's assignment.

use bytes::Bytes;

use crate::wire::message;

message! {
    /// The leader's assignment, or a question for one's own.
    pub struct SyncGroupRequest: key 14, versions 0..=5, flexible 4, answer SyncGroupResponse {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
        protocol_type: Option<String> [5..],
        protocol_name: Option<String> [5..],
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    pub struct SyncGroupRequestAssignment {
        member_id: String,
        assignment: Bytes,
    }

    /// The member's assignment.
    pub struct SyncGroupResponse: key 14, versions 0..=5, flexible 4 {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        protocol_type: Option<String> [5..],
        protocol_name: Option<String> [5..],
        assignment: Bytes,
    }
}
