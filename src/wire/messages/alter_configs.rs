//! Replaces configurations as a whole.

use crate::wire::message;

message! {
    /// Sets configurations; what is not named is reset.
    pub struct AlterConfigsRequest: key 33, versions 0..=2, flexible 2, answer AlterConfigsResponse {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    pub struct AlterConfigsResource {
        resource_type: i8,
        resource_name: String,
        configs: Vec<AlterableConfig>,
    }

    pub struct AlterableConfig {
        name: String,
        value: Option<String> = Some(String::new()),
    }

    /// What became of each resource.
    pub struct AlterConfigsResponse: key 33, versions 0..=2, flexible 2 {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    pub struct AlterConfigsResourceResponse {
        error_code: i16,
        error_message: Option<String> = Some(String::new()),
        resource_type: i8,
        resource_name: String,
    }
}
