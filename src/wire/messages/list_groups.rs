//! Lists the groups of a broker.

use crate::wire::message;

message! {
    /// Asks for all groups, or some kinds of them.
    pub struct ListGroupsRequest: key 16, versions 0..=5, flexible 3, answer ListGroupsResponse {
        states_filter: Vec<String> [4..],
        types_filter: Vec<String> [5..],
    }

    /// The groups.
    pub struct ListGroupsResponse: key 16, versions 0..=5, flexible 3 {
        throttle_time_ms: i32 [1..],
        error_code: i16,
        groups: Vec<ListedGroup>,
    }

    pub struct ListedGroup {
        group_id: String,
        protocol_type: String,
        group_state: String [4..],
        group_type: String [5..],
    }
}
