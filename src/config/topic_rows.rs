//! The topic keys of Apache Kafka 4.3.0, in the order of its `LogConfig`, which is also the order
//! in which a set of values is checked.

use super::row::Effect::{Nothing, Now};
use super::row::Valid::{
    Any, AtLeast, Between, GzipLevel, ListOf, OneOf, ThrottledReplicas as Replicas,
};
use super::row::{Row, rows};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
pub(super) const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(super) const POLICIES: &[&str] = &["compact", "delete"];
pub(super) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

/// One row per topic key.
#[rustfmt::skip]
pub(super) const TOPIC_ROWS: &[Row] = rows! {
    /// A segment file is closed and a new one begun when the next batch would make it larger
    /// than this many bytes.
    "segment.bytes": Int = "1073741824", AtLeast(1_048_576), Now, from [("log.segment.bytes", 1)];
    /// A segment is closed when the time between its first record and a new one reaches this,
    /// even if it is not full.
    "segment.ms": Long = "604800000", AtLeast(1), Now, from [("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)];
    /// Up to this much, drawn at random, is taken off `segment.ms`, so that many partitions do
    /// not roll at once.
    "segment.jitter.ms": Long = "0", AtLeast(0), Now, from [("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)];
    /// Size limit of a segment's offset index and time index; a full index closes the segment.
    "segment.index.bytes": Int = "10485760", AtLeast(4), Now, from [("log.index.size.max.bytes", 1)];
    /// After this many records a partition is synced to disk; 1 syncs before each
    /// acknowledgement, so acknowledged records survive a power loss.
    "flush.messages": Long = "9223372036854775807", AtLeast(1), Now, from [("log.flush.interval.messages", 1)];
    /// A record is synced to disk at most this long after it was written.
    "flush.ms": Long = "9223372036854775807", AtLeast(0), Now, from [("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)];
    /// With policy `delete`, oldest segments go when the partition is larger than this; negative
    /// for no limit.
    "retention.bytes": Long = "-1", Any, Now, from [("log.retention.bytes", 1)];
    /// With policy `delete`, segments go when all their records are older than this; -1 keeps
    /// them for ever.
    "retention.ms": Long = "604800000", AtLeast(-1), Now, from [("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)];
    /// The largest record batch a producer may send, as it is on the wire.
    "max.message.bytes": Int = "1048588", AtLeast(0), Now, from [("message.max.bytes", 1)];
    /// An index entry is written about once per this many bytes of records.
    "index.interval.bytes": Int = "4096", AtLeast(0), Now, from [("log.index.interval.bytes", 1)];
    /// How long a compacted topic keeps the tombstone of a deleted key, so that readers see it.
    "delete.retention.ms": Long = "86400000", AtLeast(0), Now, from [("log.cleaner.delete.retention.ms", 1)];
    /// A record younger than this is not compacted.
    "min.compaction.lag.ms": Long = "0", AtLeast(0), Now, from [("log.cleaner.min.compaction.lag.ms", 1)];
    /// A record older than this is compacted even if the log is clean enough.
    "max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1), Now, from [("log.cleaner.max.compaction.lag.ms", 1)];
    /// How long the files of a removed segment stay on disk under their `.deleted` name.
    "file.delete.delay.ms": Long = "60000", AtLeast(0), Now, from [("log.segment.delete.delay.ms", 1)];
    /// A log is compacted when at least this share of its bytes has not been compacted.
    "min.cleanable.dirty.ratio": Double = "0.5", Between(0, 1), Now, from [("log.cleaner.min.cleanable.ratio", 1)];
    /// What happens to old records: `delete` drops old segments, `compact` keeps the last record
    /// of each key; both may be given; empty keeps everything.
    "cleanup.policy": List = "delete", ListOf(POLICIES), Now, from [("log.cleanup.policy", 1)];
    /// Lets a replica that is not in sync become leader when no other is left, losing records. Here
    /// every partition has one replica, which is in sync.
    "unclean.leader.election.enable": Boolean = "false", Any, Nothing, from [("unclean.leader.election.enable", 1)];
    /// How many replicas must be in sync for a write with `acks=all`; at most those there are count,
    /// as in Kafka, and here that is one.
    "min.insync.replicas": Int = "1", AtLeast(1), Nothing, from [("min.insync.replicas", 1)];
    /// The codec batches are stored with; `producer` keeps them as they came.
    "compression.type": String = "producer", OneOf(CODECS), Now, from [("compression.type", 1)];
    /// Level for `compression.type=gzip`; -1 is the codec's own default.
    "compression.gzip.level": Int = "-1", GzipLevel, Now, from [("compression.gzip.level", 1)];
    /// Level for `compression.type=lz4`; the default is the fast encoder, any other one takes more
    /// time and less space.
    "compression.lz4.level": Int = "9", Between(1, 17), Now, from [("compression.lz4.level", 1)];
    /// Level for `compression.type=zstd`.
    "compression.zstd.level": Int = "3", Between(-131_072, 22), Now, from [("compression.zstd.level", 1)];
    /// Reserves the disk space of a segment when it is created.
    "preallocate": Boolean = "false", Any, Now, from [("log.preallocate", 1)];
    /// Whose clock gives records their time: the producer's or the broker's at the append.
    "message.timestamp.type": String = "CreateTime", OneOf(TIMESTAMP_TYPES), Now, from [("log.message.timestamp.type", 1)];
    /// A record whose own time lies further in the past than this is refused.
    "message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0), Now, from [("log.message.timestamp.before.max.ms", 1)];
    /// A record whose own time lies further in the future than this is refused.
    "message.timestamp.after.max.ms": Long = "3600000", AtLeast(0), Now, from [("log.message.timestamp.after.max.ms", 1)];
    /// Replicas whose leaders send at the throttled rate: `partition:broker` pairs, or `*`.
    "leader.replication.throttled.replicas": List = "", Replicas, Nothing;
    /// Replicas that fetch at the throttled rate: `partition:broker` pairs, or `*`.
    "follower.replication.throttled.replicas": List = "", Replicas, Nothing;
    /// Tiered storage. It is off in this broker, so `true` is refused as Kafka refuses it then.
    "remote.storage.enable": Boolean = "false", Any, Now;
    /// With tiered storage: how long a segment stays on the local disk; -2 takes `retention.ms`.
    "local.retention.ms": Long = "-2", AtLeast(-2), Nothing, from [("log.local.retention.ms", 1)];
    /// With tiered storage: how many bytes stay on the local disk; -2 takes `retention.bytes`.
    "local.retention.bytes": Long = "-2", AtLeast(-2), Nothing, from [("log.local.retention.bytes", 1)];
    /// With tiered storage: stops moving segments to the remote tier.
    "remote.log.copy.disable": Boolean = "false", Any, Nothing;
    /// With tiered storage: deletes the remote segments when it is turned off for the topic.
    "remote.log.delete.on.disable": Boolean = "false", Any, Nothing;
    /// Overrides `segment.bytes` without its lower limit. For tests.
    "internal.segment.bytes": Int = null, Any, Now, internal;
};
