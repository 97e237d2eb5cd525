//! Joins a classic consumer group.

use bytes::Bytes;

use crate::wire::message;

message! {
    /// Joins or rejoins a group.
    pub struct JoinGroupRequest: key 11, versions 0..=9, flexible 6, answer JoinGroupResponse {
        group_id: String,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32 [1..] = -1,
        member_id: String,
        group_instance_id: Option<String> [5..],
        protocol_type: String,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<String> [8..],
    }

    pub struct JoinGroupRequestProtocol {
        name: String,
        metadata: Bytes,
    }

    /// The member's place in the new generation.
    pub struct JoinGroupResponse: key 11, versions 0..=9, flexible 6 {
        throttle_time_ms: i32 [2..],
        error_code: i16,
        generation_id: i32 = -1,
        protocol_type: Option<String> [7..],
        protocol_name: Option<String> [.., null 7..] = Some(String::new()),
        leader: String,
        skip_assignment: bool [9..],
        member_id: String,
        members: Vec<JoinGroupResponseMember>,
    }

    pub struct JoinGroupResponseMember {
        member_id: String,
        group_instance_id: Option<String> [5..],
        metadata: Bytes,
    }
}
