//! The broker keys whose feature exists, by theme, and the names of Kafka's other ones.

use super::group::{ASSIGNORS, MIGRATION_POLICIES};
use super::row::Effect::{Later, Nothing, Now, Partly};
use super::row::Valid::{
    Any, AnyList, AtLeast, Between, GzipLevel, ListOf, NonEmptyList, OneOf, OneOfAnyCase,
};
use super::row::{Row, rows};
use super::topic_rows::{CODECS, POLICIES, TIMESTAMP_TYPES};

/// Names of Apache Kafka 4.3.0's broker keys that have no row yet, one a line. A word behind a name
/// says that Kafka lets it change while the broker runs: `tls` only of a listener, `broker` only of
/// one broker, `idle` the same but it tunes only what does not exist here, `dynamic` anywhere.
pub(super) const OTHER_KAFKA_KEYS: &str = include_str!("other_kafka_keys.txt");

/// One row per broker key. Where the reference keeps two keys in one hash bucket, their order
/// here is the order of its answers.
#[rustfmt::skip]
pub(super) const SERVER_ROWS: &[Row] = rows! {
    /// Number of this node in the cluster.
    "node.id": Int = "1", AtLeast(0), Now;
    /// Old name of `node.id`; if both are set they must be equal.
    "broker.id": Int = "-1", Any, Now;
    /// What this node does. It must include `broker`; the metadata is kept by this node either way.
    "process.roles": List = "broker,controller", ListOf(&["broker", "controller"]), Now;
    /// Sockets to open, as `NAME://host:port`. An empty host is every interface, port 0 any free
    /// port; a host name opens each of its addresses.
    "listeners": List = "PLAINTEXT://localhost:9092", NonEmptyList, Now;
    /// Addresses that clients are told, by the listener they came in on. Unset, a client is told
    /// the address it used.
    "advertised.listeners": List = null, AnyList, Now;
    /// Host that a client is told whose connection comes from the default gateway, which is how those outside of a container
    /// come in; where `advertised.listeners` names no host. This broker's own key; the container image sets it to `localhost`.
    "gateway.advertised.host": String = null, Any, Now, internal;
    /// Security protocol of each listener name, as `NAME:PROTOCOL`. Only `PLAINTEXT` works yet.
    "listener.security.protocol.map": String = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any, Partly("protocol `PLAINTEXT`");
    /// Listener for traffic between brokers. It must be an advertised one; a single node has no
    /// such traffic.
    "inter.broker.listener.name": String = null, Any, Now;
    /// Listeners of the metadata quorum. They are not opened: this node is the whole quorum.
    "controller.listener.names": List = "", AnyList, Now;
    /// Fixed members of the metadata quorum, as `id@host:port`; only this node. Set, a new data
    /// directory gets the static form of the quorum.
    "controller.quorum.voters": List = "", AnyList, Now;
    /// Addresses of the metadata quorum. A new data directory gets the form of
    /// `kafka-storage format --standalone`.
    "controller.quorum.bootstrap.servers": List = "", AnyList, Now;
    /// Directories for the data, where `log.dirs` is not set.
    "log.dir": List = "./ottla-data", NonEmptyList, Now;
    /// Directories for the data, each on a disk of its own. New partitions go where the fewest are;
    /// a directory that fails takes its partitions offline, the others go on.
    "log.dirs": List = null, NonEmptyList, Now;
    /// Directory for the cluster's metadata, without which the broker cannot run; the first of
    /// `log.dirs` where it is not set.
    "metadata.log.dir": String = null, Any, Now;
    /// Bytes of metadata records after which a snapshot takes their place.
    "metadata.log.max.record.bytes.between.snapshots": Long = "20971520", AtLeast(1), Now;
    /// Partitions of a topic whose creation does not say how many.
    "num.partitions": Int = "1", AtLeast(1), Now;
    /// Replicas of a topic whose creation does not say how many; more than 1 fails on one node.
    "default.replication.factor": Int = "1", AtLeast(1), Now;
    /// A client's question about a topic that does not exist may create it.
    "auto.create.topics.enable": Boolean = "true", Any, Now;
    /// Topics can be deleted.
    "delete.topic.enable": Boolean = "true", Any, Now;
    /// The largest request a client may send, in bytes.
    "socket.request.max.bytes": Int = "104857600", AtLeast(1), Now;
    /// Bytes of requests held in memory before reading stops; -1 lets the broker choose.
    "queued.max.request.bytes": Long = "-1", Any, Now;
    /// Send buffer of a client's socket, in bytes; -1 leaves it to the system.
    "socket.send.buffer.bytes": Int = "102400", Any, Now;
    /// Receive buffer of a client's socket, in bytes; unset or -1 leaves it to the system.
    "socket.receive.buffer.bytes": Int = "102400", Any, Now;
    /// Connections that may wait to be accepted.
    "socket.listen.backlog.size": Int = "50", AtLeast(1), Now;
    /// A connection without requests for this long is closed; negative for never.
    "connections.max.idle.ms": Long = "600000", Any, Now;
    /// The most bytes one fetch may return.
    "fetch.max.bytes": Int = "57671680", AtLeast(1024), Now;
    /// The most partitions that one page of topic descriptions may hold.
    "max.request.partition.size.limit": Int = "2000", AtLeast(1), Now;
    /// How many fetch sessions are remembered.
    "max.incremental.fetch.session.cache.slots": Int = "1000", AtLeast(0), Now;
    /// A partition forgets an idempotent producer that has not written for this long.
    "producer.id.expiration.ms": Int = "86400000", AtLeast(1), Now, dynamic;
    /// A transactional batch is taken only if its coordinator knows of the partition.
    "transaction.partition.verification.enable": Boolean = "true", Any, Now, dynamic;
    /// Shortest session timeout that a member of a classic group may ask for.
    "group.min.session.timeout.ms": Int = "6000", Any, Now;
    /// Longest session timeout that a member of a classic group may ask for.
    "group.max.session.timeout.ms": Int = "1800000", Any, Now;
    /// Most members of a classic group.
    "group.max.size": Int = "2147483647", AtLeast(1), Now;
    /// How long the first rebalance of a classic group waits for more members. Kafka's default is
    /// 3000; 0 lets a single consumer begin at once.
    "group.initial.rebalance.delay.ms": Int = "0", AtLeast(0), Now;
    /// Kinds of groups that have a coordinator. Classic groups always have one.
    "group.coordinator.rebalance.protocols": List = "classic,consumer,streams", ListOf(&["classic", "consumer", "streams"]), Partly("`consumer`");
    /// A member of a consumer group that is not heard of for this long is taken out of it.
    "group.consumer.session.timeout.ms": Int = "45000", AtLeast(1), Now;
    /// Shortest session timeout that may be set for a consumer group.
    "group.consumer.min.session.timeout.ms": Int = "45000", AtLeast(1), Now;
    /// Longest session timeout that may be set for a consumer group.
    "group.consumer.max.session.timeout.ms": Int = "60000", AtLeast(1), Now;
    /// How often members of a consumer group are told to be heard of.
    "group.consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1), Now;
    /// Shortest heartbeat interval that may be set for a consumer group.
    "group.consumer.min.heartbeat.interval.ms": Int = "5000", AtLeast(1), Now;
    /// Longest heartbeat interval that may be set for a consumer group.
    "group.consumer.max.heartbeat.interval.ms": Int = "15000", AtLeast(1), Now;
    /// Most members of a consumer group.
    "group.consumer.max.size": Int = "2147483647", AtLeast(1), Now;
    /// Assignors that members of a consumer group may ask for; the first is the default.
    "group.consumer.assignors": List = "uniform,range", ListOf(ASSIGNORS), Now;
    /// Which groups change their kind while they have members: classic ones `upgrade` with the first
    /// member of the consumer protocol, consumer groups `downgrade` when the last one leaves.
    "group.consumer.migration.policy": String = "bidirectional", OneOfAnyCase(MIGRATION_POLICIES), Now;
    /// How long after an assignment of a consumer group the next one is computed.
    "group.consumer.assignment.interval.ms": Int = "1000", AtLeast(0), Now, dynamic;
    /// Shortest assignment interval that may be set for a consumer group.
    "group.consumer.min.assignment.interval.ms": Int = "0", AtLeast(0), Now;
    /// Longest assignment interval that may be set for a consumer group.
    "group.consumer.max.assignment.interval.ms": Int = "15000", AtLeast(0), Now;
    /// How often the topics that a group's regular expressions match are looked up anew, also if
    /// none has come.
    "group.consumer.regex.refresh.interval.ms": Int = "600000", AtLeast(10_000), Now, internal;
    /// Longest metadata of a committed offset.
    "offset.metadata.max.bytes": Int = "4096", AtLeast(0), Now;
    /// Minutes that committed offsets are kept. They count from when the group lost its last
    /// member; for topics that members do not read, and without membership, from the commit.
    "offsets.retention.minutes": Int = "10080", AtLeast(1), Now;
    /// How often offsets that are no longer kept, and groups without members and offsets, are removed.
    "offsets.retention.check.interval.ms": Long = "600000", AtLeast(1), Now;
    /// Partitions of `__consumer_offsets`, when it is created.
    "offsets.topic.num.partitions": Int = "50", AtLeast(1), Now;
    /// Bytes of a segment of `__consumer_offsets`, when it is created.
    "offsets.topic.segment.bytes": Int = "104857600", AtLeast(1), Now;
    /// Default of the group key `share.assignment.interval.ms`.
    "group.share.assignment.interval.ms": Int = "1000", AtLeast(0), Later, dynamic;
    /// Default of the group key `streams.assignment.interval.ms`.
    "group.streams.assignment.interval.ms": Int = "1000", AtLeast(0), Later, dynamic;
    /// Default of the topic key `unclean.leader.election.enable`.
    "unclean.leader.election.enable": Boolean = "false", Any, Nothing, dynamic;
    /// Default of the topic key `min.insync.replicas`.
    "min.insync.replicas": Int = "1", AtLeast(1), Nothing, dynamic;
    /// Default of the topic key `compression.type`.
    "compression.type": String = "producer", OneOf(CODECS), Now, dynamic;
    /// Default of the topic key `compression.gzip.level`.
    "compression.gzip.level": Int = "-1", GzipLevel, Now, dynamic;
    /// Default of the topic key `compression.lz4.level`.
    "compression.lz4.level": Int = "9", Between(1, 17), Now, dynamic;
    /// Default of the topic key `compression.zstd.level`.
    "compression.zstd.level": Int = "3", Between(-131_072, 22), Now, dynamic;
    /// Default of the topic key `segment.bytes`.
    "log.segment.bytes": Int = "1073741824", AtLeast(1_048_576), Now, dynamic;
    /// Default of the topic key `segment.ms`.
    "log.roll.ms": Long = null, AtLeast(1), Now, dynamic;
    /// Default of the topic key `segment.ms` in hours, where `log.roll.ms` is not set.
    "log.roll.hours": Int = "168", AtLeast(1), Now;
    /// Default of the topic key `segment.jitter.ms`.
    "log.roll.jitter.ms": Long = null, AtLeast(0), Now, dynamic;
    /// Default of the topic key `segment.jitter.ms` in hours, where `log.roll.jitter.ms` is not set.
    "log.roll.jitter.hours": Int = "0", AtLeast(0), Now;
    /// Default of the topic key `segment.index.bytes`.
    "log.index.size.max.bytes": Int = "10485760", AtLeast(4), Now, dynamic;
    /// Default of the topic key `index.interval.bytes`.
    "log.index.interval.bytes": Int = "4096", AtLeast(0), Now, dynamic;
    /// Default of the topic key `flush.messages`.
    "log.flush.interval.messages": Long = "9223372036854775807", AtLeast(1), Now, dynamic;
    /// Default of the topic key `flush.ms`.
    "log.flush.interval.ms": Long = null, AtLeast(0), Now, dynamic;
    /// Default of the topic key `flush.ms`, where `log.flush.interval.ms` is not set.
    "log.flush.scheduler.interval.ms": Long = "9223372036854775807", AtLeast(0), Now;
    /// Default of the topic key `retention.bytes`.
    "log.retention.bytes": Long = "-1", Any, Now, dynamic;
    /// Default of the topic key `retention.ms`; negative for no limit, 0 is refused.
    "log.retention.ms": Long = null, Any, Now, dynamic;
    /// Default of the topic key `retention.ms` in minutes, where `log.retention.ms` is not set.
    "log.retention.minutes": Int = null, Any, Now;
    /// Default of the topic key `retention.ms` in hours, where neither finer key is set.
    "log.retention.hours": Int = "168", Any, Now;
    /// Milliseconds between two times that retention is applied.
    "log.retention.check.interval.ms": Long = "300000", AtLeast(1), Now;
    /// Milliseconds from the start to the first time that retention is applied.
    "log.initial.task.delay.ms": Long = "30000", AtLeast(0), Now, internal;
    /// Default of the topic key `max.message.bytes`.
    "message.max.bytes": Int = "1048588", AtLeast(0), Now, dynamic;
    /// Default of the topic key `delete.retention.ms`.
    "log.cleaner.delete.retention.ms": Long = "86400000", AtLeast(0), Now, dynamic;
    /// Default of the topic key `min.compaction.lag.ms`.
    "log.cleaner.min.compaction.lag.ms": Long = "0", AtLeast(0), Now, dynamic;
    /// Default of the topic key `max.compaction.lag.ms`.
    "log.cleaner.max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1), Now, dynamic;
    /// Default of the topic key `min.cleanable.dirty.ratio`.
    "log.cleaner.min.cleanable.ratio": Double = "0.5", Between(0, 1), Now, dynamic;
    /// Default of the topic key `cleanup.policy`.
    "log.cleanup.policy": List = "delete", ListOf(POLICIES), Now, dynamic;
    /// Default of the topic key `file.delete.delay.ms`.
    "log.segment.delete.delay.ms": Long = "60000", AtLeast(0), Now, dynamic;
    /// Default of the topic key `preallocate`.
    "log.preallocate": Boolean = "false", Any, Now, dynamic;
    /// Default of the topic key `message.timestamp.type`.
    "log.message.timestamp.type": String = "CreateTime", OneOf(TIMESTAMP_TYPES), Now, dynamic;
    /// Default of the topic key `message.timestamp.before.max.ms`.
    "log.message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0), Now, dynamic;
    /// Default of the topic key `message.timestamp.after.max.ms`.
    "log.message.timestamp.after.max.ms": Long = "3600000", AtLeast(0), Now, dynamic;
    /// Default of the topic key `local.retention.ms`.
    "log.local.retention.ms": Long = "-2", AtLeast(-2), Nothing, dynamic;
    /// Default of the topic key `local.retention.bytes`.
    "log.local.retention.bytes": Long = "-2", AtLeast(-2), Nothing, dynamic;
    /// Default of the group key `share.session.timeout.ms`.
    "group.share.session.timeout.ms": Int = "45000", AtLeast(1), Later;
    /// Smallest value of the group key `share.session.timeout.ms`.
    "group.share.min.session.timeout.ms": Int = "45000", AtLeast(1), Now;
    /// Largest value of the group key `share.session.timeout.ms`.
    "group.share.max.session.timeout.ms": Int = "60000", AtLeast(1), Now;
    /// Default of the group key `share.heartbeat.interval.ms`.
    "group.share.heartbeat.interval.ms": Int = "5000", AtLeast(1), Later;
    /// Smallest value of the group key `share.heartbeat.interval.ms`.
    "group.share.min.heartbeat.interval.ms": Int = "5000", AtLeast(1), Now;
    /// Largest value of the group key `share.heartbeat.interval.ms`.
    "group.share.max.heartbeat.interval.ms": Int = "15000", AtLeast(1), Now;
    /// Smallest value of the group key `share.assignment.interval.ms`.
    "group.share.min.assignment.interval.ms": Int = "0", AtLeast(0), Now;
    /// Largest value of the group key `share.assignment.interval.ms`.
    "group.share.max.assignment.interval.ms": Int = "15000", AtLeast(0), Now;
    /// Default of the group key `streams.session.timeout.ms`.
    "group.streams.session.timeout.ms": Int = "45000", AtLeast(1), Later;
    /// Smallest value of the group key `streams.session.timeout.ms`.
    "group.streams.min.session.timeout.ms": Int = "45000", AtLeast(1), Now;
    /// Largest value of the group key `streams.session.timeout.ms`.
    "group.streams.max.session.timeout.ms": Int = "60000", AtLeast(1), Now;
    /// Default of the group key `streams.heartbeat.interval.ms`.
    "group.streams.heartbeat.interval.ms": Int = "5000", AtLeast(1), Later;
    /// Smallest value of the group key `streams.heartbeat.interval.ms`.
    "group.streams.min.heartbeat.interval.ms": Int = "5000", AtLeast(1), Now;
    /// Largest value of the group key `streams.heartbeat.interval.ms`.
    "group.streams.max.heartbeat.interval.ms": Int = "15000", AtLeast(1), Now;
    /// Smallest value of the group key `streams.assignment.interval.ms`.
    "group.streams.min.assignment.interval.ms": Int = "0", AtLeast(0), Now;
    /// Largest value of the group key `streams.assignment.interval.ms`.
    "group.streams.max.assignment.interval.ms": Int = "15000", AtLeast(0), Now;
    /// Default of the group key `streams.num.standby.replicas`.
    "group.streams.num.standby.replicas": Int = "0", AtLeast(0), Later;
    /// Largest value of the group key `streams.num.standby.replicas`.
    "group.streams.max.standby.replicas": Int = "2", AtLeast(0), Now;
    /// Default of the group key `streams.initial.rebalance.delay.ms`.
    "group.streams.initial.rebalance.delay.ms": Int = "3000", AtLeast(0), Later;
    /// Default of the group key `share.record.lock.duration.ms`.
    "group.share.record.lock.duration.ms": Int = "30000", Between(1_000, 3_600_000), Later;
    /// Smallest value of the group key `share.record.lock.duration.ms`.
    "group.share.min.record.lock.duration.ms": Int = "15000", Between(1_000, 30_000), Now;
    /// Largest value of the group key `share.record.lock.duration.ms`.
    "group.share.max.record.lock.duration.ms": Int = "60000", Between(30_000, 3_600_000), Now;
    /// Default of the group key `share.delivery.count.limit`.
    "group.share.delivery.count.limit": Int = "5", Between(2, 10), Later;
    /// Smallest value of the group key `share.delivery.count.limit`.
    "group.share.min.delivery.count.limit": Int = "2", Between(2, 5), Now;
    /// Largest value of the group key `share.delivery.count.limit`.
    "group.share.max.delivery.count.limit": Int = "10", Between(5, 25), Now;
    /// Default of the group key `share.partition.max.record.locks`.
    "group.share.partition.max.record.locks": Int = "2000", Between(100, 10_000), Later;
    /// Smallest value of the group key `share.partition.max.record.locks`.
    "group.share.min.partition.max.record.locks": Int = "100", Between(100, 2_000), Now;
    /// Largest value of the group key `share.partition.max.record.locks`.
    "group.share.max.partition.max.record.locks": Int = "4000", Between(2_000, 10_000), Now;
    /// Most connections at a time.
    "max.connections": Int = "2147483647", AtLeast(0), Later, dynamic;
    /// Most connections at a time from one address.
    "max.connections.per.ip": Int = "2147483647", AtLeast(0), Later, dynamic;
    /// Most new connections in a second.
    "max.connection.creation.rate": Int = "2147483647", AtLeast(0), Later, dynamic;
    /// Threads that work on requests.
    "num.io.threads": Int = "8", AtLeast(1), Nothing, dynamic;
    /// Threads of a listener that read and write.
    "num.network.threads": Int = "3", AtLeast(1), Nothing, dynamic;
    /// Threads that copy from each other broker.
    "num.replica.fetchers": Int = "1", AtLeast(1), Nothing, dynamic;
    /// Logs opened at the same time; set while the broker runs, it counts from the next start.
    "num.recovery.threads.per.data.dir": Int = "2", AtLeast(1), Now, dynamic;
    /// Threads for what is done from time to time.
    "background.threads": Int = "10", AtLeast(1), Nothing, dynamic;
    /// Whether topics are compacted at all.
    "log.cleaner.enable": Boolean = "true", Any, Now;
    /// Logs that are compacted at the same time; 0 for none.
    "log.cleaner.threads": Int = "1", AtLeast(0), Now, dynamic;
    /// Most bytes that compaction reads and writes in a second.
    "log.cleaner.io.max.bytes.per.second": Double = "1.7976931348623157E308", Any, Now, dynamic;
    /// Bytes that compaction keeps keys in.
    "log.cleaner.dedupe.buffer.size": Long = "134217728", Any, Now, dynamic;
    /// Bytes that compaction reads and writes at a time.
    "log.cleaner.io.buffer.size": Int = "524288", AtLeast(0), Now, dynamic;
    /// How full the keys' bytes may become.
    "log.cleaner.io.buffer.load.factor": Double = "0.9", Any, Now, dynamic;
    /// How long compaction waits when there is nothing to do.
    "log.cleaner.backoff.ms": Long = "15000", AtLeast(0), Now, dynamic;
    /// Bytes that the coordinator of groups keeps for its next batch.
    "group.coordinator.cached.buffer.max.bytes": Int = "1048588", AtLeast(524_288), Nothing, dynamic;
    /// Bytes that the coordinator of share groups keeps for its next batch.
    "share.coordinator.cached.buffer.max.bytes": Int = "1048588", AtLeast(524_288), Nothing, dynamic;
    /// A new replica begins behind what is in the remote tier.
    "follower.fetch.last.tiered.offset.enable": Boolean = "false", Any, Nothing, dynamic;
    /// Most bytes that are sent to throttled replicas in a second.
    "leader.replication.throttled.rate": Long = null, AtLeast(0), Nothing, dynamic, internal;
    /// Most bytes that throttled replicas fetch in a second.
    "follower.replication.throttled.rate": Long = null, AtLeast(0), Nothing, dynamic, internal;
    /// Most bytes that move between log directories in a second.
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = null, AtLeast(0), Nothing, dynamic, internal;
    /// The longest time-out that a transactional producer may ask for.
    "transaction.max.timeout.ms": Int = "900000", AtLeast(1), Now;
    /// How often transactions that are open for longer than their time-out are looked for and aborted.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000", AtLeast(1), Now;
    /// A transactional id without an open transaction is forgotten when it was not used for so long.
    "transactional.id.expiration.ms": Int = "604800000", AtLeast(1), Now;
    /// How often transactional ids that were not used for long are looked for.
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000", AtLeast(1), Now;
    /// The oldest `transaction.version` of clients that are served: 2 refuses those that end a
    /// transaction without raising their epoch, for which a late message can hit the next
    /// transaction. Not one of Kafka's keys.
    "ottla.transaction.version.min": Int = "0", Between(0, 2), Now, internal;
    /// Partitions of `__transaction_state`, when it is created.
    "transaction.state.log.num.partitions": Int = "50", AtLeast(1), Now;
    /// Bytes of a segment of `__transaction_state`, when it is created.
    "transaction.state.log.segment.bytes": Int = "104857600", AtLeast(1), Now;
};
