//! What groups take from the broker's configuration.

use super::ConfigMap;
use super::row::{ConfigError, Values};

/// The names of the server's assignors, the default first.
pub(super) const ASSIGNORS: &[&str] = &["uniform", "range"];
/// The values of `group.consumer.migration.policy`.
pub(super) const MIGRATION_POLICIES: &[&str] =
    &["bidirectional", "upgrade", "downgrade", "disabled"];

/// The part of the configuration that groups act on.
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
    /// `group.coordinator.rebalance.protocols` names the consumer protocol.
    pub consumer_enabled: bool,
    /// What consumer groups act on.
    pub consumer: ConsumerGroupConfig,
}

/// The part of the configuration that consumer groups act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// `group.consumer.session.timeout.ms`; at least 1.
    pub session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms` and its max: what a group may set.
    pub session_timeout_range_ms: (i32, i32),
    /// `group.consumer.heartbeat.interval.ms`; at least 1.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms` and its max: what a group may set.
    pub heartbeat_interval_range_ms: (i32, i32),
    /// `group.consumer.assignment.interval.ms`; 0 or more.
    pub assignment_interval_ms: i32,
    /// `group.consumer.min.assignment.interval.ms` and its max: what a group may set.
    pub assignment_interval_range_ms: (i32, i32),
    /// `group.consumer.regex.refresh.interval.ms`; at least 10,000.
    pub regex_refresh_interval_ms: i32,
    /// `group.consumer.max.size`; at least 1.
    pub max_size: usize,
    /// `group.consumer.assignors`; the first one is the default.
    pub assignors: &'static [&'static str],
    /// `group.consumer.migration.policy`.
    pub migration_policy: MigrationPolicy,
}

/// Which groups may change their kind while they have members
/// (Kafka: `ConsumerGroupMigrationPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both.
    Bidirectional,
    /// Classic groups become consumer groups.
    Upgrade,
    /// Consumer groups become classic groups.
    Downgrade,
    /// None.
    Disabled,
}

impl MigrationPolicy {
    /// Classic groups become consumer groups.
    pub fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// Consumer groups become classic groups.
    pub fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }

    fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Self::Bidirectional,
            "upgrade" => Self::Upgrade,
            "downgrade" => Self::Downgrade,
            _ => Self::Disabled,
        }
    }
}

/// Keys of which the first must not be less than the second.
const NOT_LESS: [(&str, &str); 9] = [
    ("group.consumer.max.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms"),
    ("group.consumer.max.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
    ("group.consumer.max.session.timeout.ms", "group.consumer.min.session.timeout.ms"),
    ("group.consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms"),
    ("group.consumer.max.session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("group.consumer.max.assignment.interval.ms", "group.consumer.min.assignment.interval.ms"),
    ("group.consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms"),
    ("group.consumer.max.assignment.interval.ms", "group.consumer.assignment.interval.ms"),
];

/// Checks what spans keys (Kafka: the constructor of `GroupCoordinatorConfig`).
pub(super) fn check(values: &Values) -> Result<(), ConfigError> {
    for (more, less) in NOT_LESS {
        if values.integer(more) < values.integer(less) {
            let rule = format!("{more} must be greater than or equal to {less}");
            return Err(ConfigError::Rule(rule));
        }
    }
    let (interval, timeout) =
        ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms");
    if values.integer(interval) >= values.integer(timeout) {
        return Err(ConfigError::Rule(format!("{interval} must be less than {timeout}")));
    }
    Ok(())
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
            consumer_enabled: values
                .list("group.coordinator.rebalance.protocols")
                .is_some_and(|protocols| protocols.iter().any(|protocol| protocol == "consumer")),
            consumer: ConsumerGroupConfig::read(values),
        }
    }

    /// The configuration where some keys are set at run time: for the broker, and in a name without
    /// `group.` for the group. A value outside of what the broker allows counts as the nearest that
    /// it does.
    #[must_use]
    pub fn with_layers(&self, broker: &[Option<&ConfigMap>], group: Option<&ConfigMap>) -> Self {
        let mut config = *self;
        let number = |layer: Option<&ConfigMap>, key: &str| layer?.get(key)?.trim().parse().ok();
        let set = |key: &str, set: Option<i32>, (least, most): (i32, i32), value: &mut i32| {
            if let Some(set) = number(group, key).or(set) {
                *value = set.min(most).max(least);
            }
        };
        let consumer = &mut config.consumer;
        let range = consumer.session_timeout_range_ms;
        set("consumer.session.timeout.ms", None, range, &mut consumer.session_timeout_ms);
        let range = consumer.heartbeat_interval_range_ms;
        set("consumer.heartbeat.interval.ms", None, range, &mut consumer.heartbeat_interval_ms);
        let range = consumer.assignment_interval_range_ms;
        let key = "group.consumer.assignment.interval.ms";
        let broker = broker.iter().find_map(|layer| number(*layer, key));
        set("consumer.assignment.interval.ms", broker, range, &mut consumer.assignment_interval_ms);
        config
    }
}

impl ConsumerGroupConfig {
    fn read(values: &Values) -> Self {
        let int = |name| values.integer(name) as i32;
        let names = values.list("group.consumer.assignors").unwrap_or_default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self {
            session_timeout_ms: int("group.consumer.session.timeout.ms"),
            session_timeout_range_ms: (
                int("group.consumer.min.session.timeout.ms"),
                int("group.consumer.max.session.timeout.ms"),
            ),
            heartbeat_interval_ms: int("group.consumer.heartbeat.interval.ms"),
            heartbeat_interval_range_ms: (
                int("group.consumer.min.heartbeat.interval.ms"),
                int("group.consumer.max.heartbeat.interval.ms"),
            ),
            assignment_interval_ms: int("group.consumer.assignment.interval.ms"),
            assignment_interval_range_ms: (
                int("group.consumer.min.assignment.interval.ms"),
                int("group.consumer.max.assignment.interval.ms"),
            ),
            regex_refresh_interval_ms: int("group.consumer.regex.refresh.interval.ms"),
            max_size: usize::try_from(values.integer("group.consumer.max.size")).unwrap_or(0),
            assignors: match names[..] {
                ["uniform"] => &["uniform"],
                ["range"] => &["range"],
                ["range", "uniform"] => &["range", "uniform"],
                _ => ASSIGNORS,
            },
            migration_policy: MigrationPolicy::from_name(
                values.text("group.consumer.migration.policy").unwrap_or_default(),
            ),
        }
    }
}
