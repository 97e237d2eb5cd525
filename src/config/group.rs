//! What groups take from the broker's configuration.

use super::row::Values;

/// The part of the configuration that classic groups act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`; at least 1.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`; at least 1.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`; at least 1.
    pub max_size: usize,
    /// `group.initial.rebalance.delay.ms`; 0 or more.
    pub initial_rebalance_delay_ms: i32,
    /// `offset.metadata.max.bytes`; UTF-16 units are counted, as Java does.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds; at least a minute.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`; at least 1.
    pub offsets_retention_check_interval_ms: i64,
}

impl GroupConfig {
    pub(super) fn read(values: &Values) -> Self {
        let int = |name| values.integer(name) as i32;
        let size = |name| usize::try_from(values.integer(name)).unwrap_or(0);
        Self {
            min_session_timeout_ms: int("group.min.session.timeout.ms"),
            max_session_timeout_ms: int("group.max.session.timeout.ms"),
            max_size: size("group.max.size"),
            initial_rebalance_delay_ms: int("group.initial.rebalance.delay.ms"),
            offset_metadata_max_bytes: size("offset.metadata.max.bytes"),
            offsets_retention_ms: values.integer("offsets.retention.minutes") * 60_000,
            offsets_retention_check_interval_ms: values
                .integer("offsets.retention.check.interval.ms"),
        }
    }
}
