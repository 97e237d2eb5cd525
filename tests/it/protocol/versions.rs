//! Which APIs and versions there are, and what becomes of the others.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ottla::wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};

use super::client::{Outcome, Target, unframed};
use super::errors::{INVALID_REQUEST, UNSUPPORTED_VERSION};
use crate::raw_client::{Body, frame};

checks![
    a_version_that_is_not_advertised_closes,
    an_unknown_key_closes,
    an_unknown_version_of_api_versions_is_answered_in_version_0,
    an_unknown_version_of_api_versions_needs_a_flexible_header,
    every_api_is_advertised_as_the_reference_does,
    produce_is_advertised_from_0_and_closes_below_3,
    client_names_are_checked,
    version_3_leaves_out_features_that_begin_at_0,
    finalized_features_are_supported,
    telemetry_is_not_advertised,
];

const API_VERSIONS: i16 = 18;

/// Key, versions, first flexible version.
const APIS: [(i16, RangeInclusive<i16>, i16); 19] = [
    (0, 0..=13, 9),
    (1, 4..=18, 12),
    (2, 1..=11, 6),
    (3, 0..=13, 9),
    (API_VERSIONS, 0..=4, 3),
    (19, 2..=7, 5),
    (20, 1..=6, 4),
    (21, 0..=2, 2),
    (22, 0..=5, 2),
    (23, 2..=4, 4),
    (32, 1..=4, 4),
    (33, 0..=2, 2),
    (35, 1..=5, 2),
    (37, 0..=3, 2),
    (44, 0..=1, 1),
    (60, 0..=2, 0),
    (61, 0..=0, 0),
    (74, 0..=1, 0),
    (75, 0..=0, 0),
];

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
    }
}

fn api_versions(target: &Target, version: i16) -> ApiVersionsResponse {
    target.call(&named("protocol", "1.0"), version)
}

fn a_version_that_is_not_advertised_closes(target: &Target) {
    for (key, versions, flexible_from) in APIS {
        let above = [versions.end() + 1, i16::MAX];
        let unknown = (-1..*versions.start()).chain(above);
        for version in unknown.filter(|_| key != API_VERSIONS) {
            let flexible = version >= flexible_from;
            let request = frame(key, version, flexible, &Body::default().raw(&[0; 64]));
            target.assert_closes(&format!("key {key} version {version}"), &request);
        }
    }
}

fn an_unknown_key_closes(target: &Target) {
    // Removed, between controllers, and never given out.
    for key in [-1, 4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 93, 1000, i16::MAX]
    {
        for version in [0, 1] {
            let request = frame(key, version, version > 0, &Body::default().raw(&[0; 64]));
            target.assert_closes(&format!("key {key} version {version}"), &request);
        }
    }
}

fn an_unknown_version_of_api_versions_is_answered_in_version_0(target: &Target) {
    for version in [5, 99, i16::MAX, -1] {
        let mut client = target.client();
        client.send_bytes(&frame(API_VERSIONS, version, version >= 3, &Body::default()));
        let Outcome::Answer(answer) = client.outcome() else {
            panic!("version {version} is not answered")
        };
        let (_, response) = unframed::<ApiVersionsRequest>(&answer, 0);
        assert_eq!(response.error_code, UNSUPPORTED_VERSION, "version {version}");
        let rows = response.api_keys.iter();
        let rows: Vec<_> =
            rows.map(|row| (row.api_key, row.min_version, row.max_version)).collect();
        assert_eq!(rows, [(API_VERSIONS, 0, 4)], "version {version}");
        assert!(client.is_usable(), "version {version}");
    }
}

fn an_unknown_version_of_api_versions_needs_a_flexible_header(target: &Target) {
    let request = frame(API_VERSIONS, 5, false, &Body::default());
    target.assert_closes("version 5 with a header of version 1", &request);
}

fn every_api_is_advertised_as_the_reference_does(target: &Target) {
    for version in 0..=4 {
        let response = api_versions(target, version);
        assert_eq!(response.error_code, 0, "version {version}");
        let rows = response.api_keys.iter();
        let rows: BTreeMap<i16, _> =
            rows.map(|row| (row.api_key, row.min_version..=row.max_version)).collect();
        assert_eq!(rows.len(), response.api_keys.len(), "a key is advertised once");
        for (key, versions, _) in APIS {
            assert_eq!(rows.get(&key), Some(&versions), "key {key} in version {version}");
        }
    }
}

fn produce_is_advertised_from_0_and_closes_below_3(target: &Target) {
    let rows = api_versions(target, 4).api_keys;
    assert!(rows.iter().any(|row| row.api_key == 0 && row.min_version == 0));
    // acks, timeout, no topics: a whole body of these versions.
    let body = Body::default().i16(1).i32(1000).i32(0);
    for version in 0..3 {
        target.assert_closes(&format!("version {version}"), &frame(0, version, false, &body));
    }
}

fn client_names_are_checked(target: &Target) {
    for version in [3, 4] {
        for good in ["a", "0", "librdkafka", "apache-kafka-java", "a.b-c--d"] {
            assert_eq!(target.call(&named(good, "1.0"), version).error_code, 0, "{good}");
            assert_eq!(target.call(&named("name", good), version).error_code, 0, "{good}");
        }
        for bad in ["", "two words", "name!", "-name", "name-", ".name", "n\u{e4}me"] {
            for request in [named(bad, "1.0"), named("name", bad)] {
                let mut client = target.client();
                let response = client.call(&request, version);
                assert_eq!(response.error_code, INVALID_REQUEST, "{request:?}");
                assert!(response.api_keys.is_empty(), "{request:?}");
                assert!(client.is_usable(), "{request:?}");
            }
        }
    }
}

fn supported(response: &ApiVersionsResponse) -> Vec<(&str, i16, i16)> {
    let features = response.supported_features.iter();
    let mut features: Vec<_> = features
        .map(|feature| (feature.name.as_str(), feature.min_version, feature.max_version))
        .collect();
    features.sort_unstable();
    features
}

fn version_3_leaves_out_features_that_begin_at_0(target: &Target) {
    assert_eq!(supported(&api_versions(target, 3)), [("metadata.version", 7, 30)]);
    let all = [
        ("eligible.leader.replicas.version", 0, 1),
        ("group.version", 0, 1),
        ("kraft.version", 0, 1),
        ("metadata.version", 7, 30),
        ("share.version", 0, 1),
        ("streams.version", 0, 1),
        ("transaction.version", 0, 2),
    ];
    assert_eq!(supported(&api_versions(target, 4)), all);
}

fn finalized_features_are_supported(target: &Target) {
    for version in [3, 4] {
        let response = api_versions(target, version);
        let finalized = response.finalized_features.iter();
        let mut finalized: Vec<_> = finalized
            .map(|one| (one.name.as_str(), one.min_version_level, one.max_version_level))
            .collect();
        finalized.sort_unstable();
        let expected = [
            ("eligible.leader.replicas.version", 1, 1),
            ("group.version", 1, 1),
            ("kraft.version", 1, 1),
            ("metadata.version", 30, 30),
            ("share.version", 1, 1),
            ("streams.version", 1, 1),
            ("transaction.version", 2, 2),
        ];
        assert_eq!(finalized, expected, "version {version}");
        assert!(response.finalized_features_epoch >= 0, "version {version}");
        assert!(!response.zk_migration_ready, "version {version}");
    }
    let response = api_versions(target, 4);
    let ranges: BTreeMap<_, _> =
        supported(&response).into_iter().map(|(name, min, max)| (name, min..=max)).collect();
    for feature in &response.finalized_features {
        assert!(ranges[feature.name.as_str()].contains(&feature.max_version_level), "{feature:?}");
    }
}

fn telemetry_is_not_advertised(target: &Target) {
    for version in 0..=4 {
        let rows = api_versions(target, version).api_keys;
        assert!(rows.iter().all(|row| ![71, 72].contains(&row.api_key)), "version {version}");
    }
}
