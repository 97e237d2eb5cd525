//! ApiVersions (key 18): what the broker speaks, and the features of the cluster.
//!
//! Behavior:
//! - The answer is built from the list of APIs, so nothing is advertised that is not served.
//! - A version we do not know is answered in version 0 with UNSUPPORTED_VERSION and the row of
//!   ApiVersions alone; the connection stays usable (KIP-511).
//! - Client name and version are checked from version 3 on, as `ApiVersionsRequest.isValid`.
//!
//! Version notes: version 3 leaves out supported features that begin at 0, because older readers
//! refuse them; version 4 lists them (KIP-584, KAFKA-17011).

use super::{Api, Context, ROWS, Reply};
use crate::metadata::FEATURES;
use crate::wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use crate::wire::{ErrorCode, Keyed};

/// The API's key; its answers have a plain header at every version.
pub(super) const KEY: i16 = ApiVersionsRequest::KEY;

pub(super) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;

    async fn handle(
        context: Context<'_>,
        request: ApiVersionsRequest,
        version: i16,
    ) -> Reply<ApiVersionsResponse> {
        let named =
            is_valid(&request.client_software_name) && is_valid(&request.client_software_version);
        if version >= 3 && !named {
            return Reply::Ready(ApiVersionsResponse {
                error_code: ErrorCode::InvalidRequest.code(),
                ..Default::default()
            });
        }
        let image = context.shared.metadata.image();
        let supported = FEATURES.iter().filter(|feature| version >= 4 || feature.min_level > 0);
        Reply::Ready(ApiVersionsResponse {
            api_keys: ROWS.iter().map(api_version).collect(),
            supported_features: supported
                .map(|feature| SupportedFeatureKey {
                    name: feature.name.into(),
                    min_version: feature.min_level,
                    max_version: feature.max_level,
                })
                .collect(),
            finalized_features_epoch: image.finalized_features_epoch,
            finalized_features: image
                .finalized_features
                .iter()
                .map(|(name, &level)| FinalizedFeatureKey {
                    name: name.clone(),
                    max_version_level: level,
                    min_version_level: level,
                })
                .collect(),
            ..Default::default()
        })
    }
}

/// The answer to a version that does not exist.
pub(super) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: ROWS.iter().filter(|row| row.key == KEY).map(api_version).collect(),
        ..Default::default()
    }
}

fn api_version(row: &super::Row) -> ApiVersion {
    ApiVersion { api_key: row.key, min_version: row.min_version, max_version: row.max_version }
}

/// Letters, digits, '-' and '.', beginning and ending with a letter or digit.
fn is_valid(name: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let bytes = name.as_bytes();
    bytes.iter().all(inner)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_names_are_checked_as_the_reference_does() {
        for good in ["a", "librdkafka", "apache-kafka-java", "4.3.0", "a--b"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a b", "a!", "-a", "a-", ".a", "é"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
