//! The keys of groups and of subscriptions to clients' metrics, in the order of Apache Kafka 4.3.0's
//! `GroupConfig` and `ClientMetricsConfigs`, which is the order in which they are read.

use super::row::Effect::{Later, Now};
use super::row::Valid::{Any, AnyList, AtLeast, OffsetReset, OneOf};
use super::row::{Row, rows};

/// One row per key of a group. The broker key that gives it its default has its name after `group.`.
#[rustfmt::skip]
pub(super) const GROUP_ROWS: &[Row] = rows! {
    /// A member of a consumer group that has not sent a heartbeat for this long is removed.
    "consumer.session.timeout.ms": Int = "45000", AtLeast(1), Now, from [("group.consumer.session.timeout.ms", 1)];
    /// How often a member of a consumer group is to send a heartbeat.
    "consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1), Now, from [("group.consumer.heartbeat.interval.ms", 1)];
    /// Least time between two assignments of a consumer group.
    "consumer.assignment.interval.ms": Int = "1000", AtLeast(0), Now, from [("group.consumer.assignment.interval.ms", 1)];
    /// A member of a share group that has not sent a heartbeat for this long is removed.
    "share.session.timeout.ms": Int = "45000", AtLeast(1), Later, from [("group.share.session.timeout.ms", 1)];
    /// How often a member of a share group is to send a heartbeat.
    "share.heartbeat.interval.ms": Int = "5000", AtLeast(1), Later, from [("group.share.heartbeat.interval.ms", 1)];
    /// How long a record that was handed to a member of a share group is kept from the others.
    "share.record.lock.duration.ms": Int = "30000", AtLeast(1000), Later, from [("group.share.record.lock.duration.ms", 1)];
    /// How often a record is handed out at most in a share group.
    "share.delivery.count.limit": Int = "5", AtLeast(2), Later, from [("group.share.delivery.count.limit", 1)];
    /// Records of one partition that a share group may have handed out at a time.
    "share.partition.max.record.locks": Int = "2000", AtLeast(100), Later, from [("group.share.partition.max.record.locks", 1)];
    /// Where a share group begins in a partition: `earliest`, `latest`, or `by_duration:` and a time
    /// before now, as ISO 8601 writes it.
    "share.auto.offset.reset": String = "latest", OffsetReset, Later;
    /// Whether a share group gets records of transactions that were not committed.
    "share.isolation.level": String = "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), Later;
    /// Whether a member of a share group may keep a record for longer.
    "share.renew.acknowledge.enable": Boolean = "true", Any, Later;
    /// Least time between two assignments of a share group.
    "share.assignment.interval.ms": Int = "1000", AtLeast(0), Later, from [("group.share.assignment.interval.ms", 1)];
    /// A member of a streams group that has not sent a heartbeat for this long is removed.
    "streams.session.timeout.ms": Int = "45000", AtLeast(1), Later, from [("group.streams.session.timeout.ms", 1)];
    /// How often a member of a streams group is to send a heartbeat.
    "streams.heartbeat.interval.ms": Int = "5000", AtLeast(1), Later, from [("group.streams.heartbeat.interval.ms", 1)];
    /// Standby replicas of each task of a streams group.
    "streams.num.standby.replicas": Int = "0", AtLeast(0), Later, from [("group.streams.num.standby.replicas", 1)];
    /// How long the first rebalance of a streams group waits for more members.
    "streams.initial.rebalance.delay.ms": Int = "3000", AtLeast(0), Later, from [("group.streams.initial.rebalance.delay.ms", 1)];
    /// Least time between two assignments of a streams group.
    "streams.assignment.interval.ms": Int = "1000", AtLeast(0), Later, from [("group.streams.assignment.interval.ms", 1)];
};

/// One row per key of a subscription to clients' metrics (KIP-714).
#[rustfmt::skip]
pub(super) const CLIENT_METRICS_ROWS: &[Row] = rows! {
    /// Beginnings of the names of the metrics that clients are to send; `*` for all.
    "metrics": List = "", AnyList, Later;
    /// How often clients are to send them: 100 to 3600000.
    "interval.ms": Int = "300000", Any, Later;
    /// Which clients are asked, as `name=regular expression`; without one all of them.
    "match": List = "", AnyList, Later;
};
