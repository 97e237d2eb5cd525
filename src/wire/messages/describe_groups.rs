//! Describes classic groups.

use bytes::Bytes;

use crate::wire::message;

message! {
    /// Asks for groups.
    pub struct DescribeGroupsRequest: key 15, versions 0..=6, flexible 5, answer DescribeGroupsResponse {
        groups: Vec<String>,
        include_authorized_operations: bool [3..],
    }

    /// The groups.
    pub struct DescribeGroupsResponse: key 15, versions 0..=6, flexible 5 {
        throttle_time_ms: i32 [1..],
        groups: Vec<DescribedGroup>,
    }

    pub struct DescribedGroup {
        error_code: i16,
        error_message: Option<String> [6..],
        group_id: String,
        group_state: String,
        protocol_type: String,
        protocol_data: String,
        members: Vec<DescribedGroupMember>,
        authorized_operations: i32 [3..] = i32::MIN,
    }

    pub struct DescribedGroupMember {
        member_id: String,
        group_instance_id: Option<String> [4..],
        client_id: String,
        client_host: String,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}
