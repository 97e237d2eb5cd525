//! What the broker speaks; the first request of most clients (KIP-35, KIP-511).

use crate::wire::message;

message! {
    /// Asks what the broker speaks.
    pub struct ApiVersionsRequest: key 18, versions 0..=4, flexible 3, answer ApiVersionsResponse {
        client_software_name: String [3..],
        client_software_version: String [3..],
    }

    /// APIs with their versions, and features.
    pub struct ApiVersionsResponse: key 18, versions 0..=4, flexible 3 {
        error_code: i16,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1..],
        supported_features: Vec<SupportedFeatureKey> [3.., tag 0],
        finalized_features_epoch: i64 [3.., tag 1] = -1,
        finalized_features: Vec<FinalizedFeatureKey> [3.., tag 2],
        zk_migration_ready: bool [3.., tag 3],
    }

    pub struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    pub struct SupportedFeatureKey {
        name: String,
        min_version: i16,
        max_version: i16,
    }

    pub struct FinalizedFeatureKey {
        name: String,
        max_version_level: i16,
        min_version_level: i16,
    }
}
