//! Changes single keys of configurations.

use crate::wire::message;

message! {
    /// Changes keys.
    pub struct IncrementalAlterConfigsRequest: key 44, versions 0..=1, flexible 1, answer IncrementalAlterConfigsResponse {
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
        config_operation: i8,
        value: Option<String> = Some(String::new()),
    }

    /// What became of each resource.
    pub struct IncrementalAlterConfigsResponse: key 44, versions 0..=1, flexible 1 {
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
