//! Finds the broker that coordinates a group, a transactional id or share state.

use crate::wire::message;

message! {
    /// Asks who coordinates.
    pub struct FindCoordinatorRequest: key 10, versions 0..=6, flexible 3, answer FindCoordinatorResponse {
        key: String [..=3],
        key_type: i8 [1..],
        coordinator_keys: Vec<String> [4..],
    }

    /// Who coordinates, for each key.
    pub struct FindCoordinatorResponse: key 10, versions 0..=6, flexible 3 {
        throttle_time_ms: i32 [1..],
        error_code: i16 [..=3],
        error_message: Option<String> [1..=3] = Some(String::new()),
        node_id: i32 [..=3],
        host: String [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator> [4..],
    }

    pub struct Coordinator {
        key: String [4..],
        node_id: i32 [4..],
        host: String [4..],
        port: i32 [4..],
        error_code: i16 [4..],
        error_message: Option<String> [4..] = Some(String::new()),
    }
}
