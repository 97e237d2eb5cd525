//! What transactions take from the broker's configuration.

use super::row::Values;

/// The part of the configuration that transactions act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`; at least 1.
    pub max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`; at least 1.
    pub abort_interval_ms: i64,
    /// `transactional.id.expiration.ms`; at least 1.
    pub id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`; at least 1.
    pub id_expiration_interval_ms: i64,
    /// `ottla.transaction.version.min`; 0 to 2.
    pub version_min: i16,
}

impl TransactionConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            max_timeout_ms: values.integer("transaction.max.timeout.ms") as i32,
            abort_interval_ms: values
                .integer("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            id_expiration_ms: values.integer("transactional.id.expiration.ms"),
            id_expiration_interval_ms: values
                .integer("transaction.remove.expired.transaction.cleanup.interval.ms"),
            version_min: values.integer("ottla.transaction.version.min") as i16,
        }
    }
}
