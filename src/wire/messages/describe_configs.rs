//! Configurations of topics and brokers.

use crate::wire::message;

message! {
    /// Asks for configurations.
    pub struct DescribeConfigsRequest: key 32, versions 1..=4, flexible 4, answer DescribeConfigsResponse {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    pub struct DescribeConfigsResource {
        resource_type: i8,
        resource_name: String,
        /// All keys with null or an empty list.
        configuration_keys: Option<Vec<String>> = Some(Vec::new()),
    }

    /// The configurations.
    pub struct DescribeConfigsResponse: key 32, versions 1..=4, flexible 4 {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    pub struct DescribeConfigsResult {
        error_code: i16,
        error_message: Option<String> = Some(String::new()),
        resource_type: i8,
        resource_name: String,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    pub struct DescribeConfigsResourceResult {
        name: String,
        value: Option<String> = Some(String::new()),
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym>,
        config_type: i8 [3..],
        documentation: Option<String> [3..] = Some(String::new()),
    }

    pub struct DescribeConfigsSynonym {
        name: String,
        value: Option<String> = Some(String::new()),
        source: i8,
    }
}
