//! Lists the resources that have configurations.

use crate::wire::message;

message! {
    /// Asks for resources.
    pub struct ListConfigResourcesRequest: key 74, versions 0..=1, flexible 0, answer ListConfigResourcesResponse {
        resource_types: Vec<i8> [1..],
    }

    /// The resources.
    pub struct ListConfigResourcesResponse: key 74, versions 0..=1, flexible 0 {
        throttle_time_ms: i32,
        error_code: i16,
        config_resources: Vec<ConfigResource>,
    }

    pub struct ConfigResource {
        resource_name: String,
        resource_type: i8 [1..] = 16,
    }
}
