//! Takes members out of a classic group.

use crate::wire::message;

message! {
    /// Members leave.
    pub struct LeaveGroupRequest: key 13, versions 0..=5, flexible 4, answer LeaveGroupResponse {
        group_id: String,
        member_id: String [..=2],
        members: Vec<MemberIdentity> [3..],
    }

    pub struct MemberIdentity {
        member_id: String [3..],
        group_instance_id: Option<String> [3..],
        reason: Option<String> [5..],
    }

    /// What became of each member.
    pub struct LeaveGroupResponse: key 13, versions 0..=5, flexible 4 {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        members: Vec<MemberResponse> [3..],
    }

    pub struct MemberResponse {
        member_id: String [3..],
        group_instance_id: Option<String> [3..] = Some(String::new()),
        error_code: i16 [3..],
    }
}
