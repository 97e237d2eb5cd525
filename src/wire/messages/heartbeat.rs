//! Keeps a member of a classic group alive.

use crate::wire::message;

message! {
    /// A member is alive.
    pub struct HeartbeatRequest: key 12, versions 0..=4, flexible 4, answer HeartbeatResponse {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
    }

    /// Whether it may go on.
    pub struct HeartbeatResponse: key 12, versions 0..=4, flexible 4 {
        throttle_time_ms: i32 [1..],
        error_code: i16,
    }
}
