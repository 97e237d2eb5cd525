//! Features of Apache Kafka 4.3.0: what this broker supports, and what it finalizes in a new
//! cluster (Kafka: `MetadataVersion.latestProduction` and `Feature.PRODUCTION_FEATURES`).

use crate::wire::records::FeatureLevelRecord;

/// Name of the feature that says which metadata records may be written.
pub(super) const METADATA_VERSION_FEATURE: &str = "metadata.version";
/// Name of the feature that says whether the voters stand in the log.
pub(super) const KRAFT_VERSION_FEATURE: &str = "kraft.version";
/// The level written and served: that of Kafka 4.3.
pub(super) const METADATA_VERSION: i16 = 30;

/// A feature and the levels that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Lowest level.
    pub min_level: i16,
    /// Highest level.
    pub max_level: i16,
}

const fn feature(name: &'static str, min_level: i16, max_level: i16) -> Feature {
    Feature { name, min_level, max_level }
}

/// What registrations and `ApiVersions` list.
pub const FEATURES: [Feature; 7] = [
    feature("eligible.leader.replicas.version", 0, 1),
    feature("group.version", 0, 1),
    feature(KRAFT_VERSION_FEATURE, 0, 1),
    feature(METADATA_VERSION_FEATURE, 7, METADATA_VERSION),
    feature("share.version", 0, 1),
    feature("streams.version", 0, 1),
    feature("transaction.version", 0, 2),
];

/// The feature levels of a new cluster, in the order in which the reference writes them.
pub(super) fn bootstrap_features() -> impl Iterator<Item = FeatureLevelRecord> {
    let others = FEATURES.iter().filter(|feature| feature.min_level == 0);
    let others = others.filter(|feature| feature.name != KRAFT_VERSION_FEATURE);
    std::iter::once((METADATA_VERSION_FEATURE, METADATA_VERSION))
        .chain(others.map(|feature| (feature.name, feature.max_level)))
        .map(|(name, level)| FeatureLevelRecord { name: name.to_owned(), feature_level: level })
}
