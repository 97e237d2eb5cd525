"""confluent-kafka (librdkafka) for the scenarios; see client.py."""

from contextlib import contextmanager

import confluent_kafka
from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from confluent_kafka.admin import AdminClient

from case import until
from client import TIMEOUT_S, TRANSACTIONS_ADMIN, BrokerError, Record, ignored

LACKS = {TRANSACTIONS_ADMIN}
# librdkafka's own names of settings that Apache Kafka's client calls otherwise.
NAMES = {"max.request.size": "message.max.bytes", "fetch.max.wait.ms": "fetch.wait.max.ms"}
# The auto.offset.reset that reports an offset out of range instead of choosing another, and the code it reports.
NO_RESET = "error"
OUT_OF_RANGE = KafkaError._AUTO_OFFSET_RESET
# Codes after which the client is of no use any more.
FATAL = {KafkaError._FATAL}
# Whether an owner that keeps its partition in a rebalance goes on where it was, and not at the committed offset.
KEEPS_POSITION = False
# Codes of a producer that another has replaced, and of a commit for a member that has left.
FENCED = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
NO_MEMBER = {KafkaError.UNKNOWN_MEMBER_ID}


@contextmanager
def broker_errors():
    try:
        yield
    except KafkaException as error:
        raise BrokerError(error.args[0].code(), error) from error


def checked(error):
    if error is not None:
        raise BrokerError(error.code(), error)


def configuration(bootstrap, settings):
    named = {NAMES.get(name, name): value for name, value in settings.items()}
    return {"bootstrap.servers": bootstrap, **named}


class Admin:
    def __init__(self, bootstrap):
        self.client = AdminClient({"bootstrap.servers": bootstrap})

    def close(self):
        pass

    def wait(self, futures):
        [future] = futures.values()
        with broker_errors():
            return future.result(TIMEOUT_S)

    def create_topic(self, topic, partitions, replication_factor=1, config=None):
        new = NewTopic(topic, partitions, replication_factor, config=config or {})
        self.wait(self.client.create_topics([new]))

    def delete_topic(self, topic):
        self.wait(self.client.delete_topics([topic]))

    def create_partitions(self, topic, count):
        self.wait(self.client.create_partitions([NewPartitions(topic, count)]))

    def topics(self):
        return set(self.client.list_topics(timeout=TIMEOUT_S).topics)

    def partitions(self, topic):
        """Leader, replicas and in-sync replicas of each partition."""
        described = self.wait(self.client.describe_topics(TopicCollection([topic])))
        ids = [[node.id for node in nodes] for p in described.partitions for nodes in (p.replicas, p.isr)]
        leaders = [p.leader.id for p in described.partitions]
        assert [p.id for p in described.partitions] == list(range(len(leaders))), described.partitions
        return [(leader, ids[2 * n], ids[2 * n + 1]) for n, leader in enumerate(leaders)]

    def config(self, topic):
        """Value, and whether it is the topic's own, of each setting."""
        entries = self.wait(self.client.describe_configs([ConfigResource("topic", topic)]))
        return {name: (entry.value, entry.source == 1) for name, entry in entries.items()}

    def alter_config(self, topic, operation, name, value=None):
        entry = ConfigEntry(name, value, incremental_operation=operation)
        resource = ConfigResource("topic", topic, incremental_configs=[entry])
        self.wait(self.client.incremental_alter_configs([resource]))

    def set_config(self, topic, name, value):
        self.alter_config(topic, AlterConfigOpType.SET, name, value)

    def reset_config(self, topic, name):
        self.alter_config(topic, AlterConfigOpType.DELETE, name)

    def cluster(self):
        """Cluster id, controller, and host:port of each node."""
        with broker_errors():
            described = self.client.describe_cluster().result(TIMEOUT_S)
        return described.cluster_id, described.controller.id, {n.id: f"{n.host}:{n.port}" for n in described.nodes}

    def delete_records(self, topic, partition, offset):
        """The partition's beginning afterwards."""
        return self.wait(self.client.delete_records([TopicPartition(topic, partition, offset)])).low_watermark

    def group_is_stable(self, group):
        return self.wait(self.client.describe_consumer_groups([group])).state == ConsumerGroupState.STABLE


class Producer:
    def __init__(self, bootstrap, settings):
        self.client = confluent_kafka.Producer(configuration(bootstrap, settings))

    def send(self, topic, partition, value, key=None, headers=(), timestamp_ms=0):
        """A function that waits for the acknowledgement and returns the record's offset."""
        outcome = []

        def delivered(error, message):
            outcome.append((error, message))

        self.client.produce(
            topic, value, key, partition, on_delivery=delivered, timestamp=timestamp_ms, headers=list(headers)
        )
        self.client.poll(0)

        def offset():
            # Not by a flush: a fatal error, as of a fenced producer, would be raised in the middle of it.
            until("the report", lambda: outcome or self.poll())
            [(error, message)] = outcome
            checked(error)
            return message.offset()

        return offset

    def poll(self):
        with broker_errors():
            self.client.poll(0.1)

    def initialize(self):
        with broker_errors():
            self.client.init_transactions(TIMEOUT_S)

    def begin(self):
        self.client.begin_transaction()

    def send_offsets(self, offsets, group_metadata):
        with broker_errors():
            self.client.send_offsets_to_transaction(offsets, group_metadata, TIMEOUT_S)

    def end(self, commits):
        with broker_errors():
            (self.client.commit_transaction if commits else self.client.abort_transaction)(TIMEOUT_S)

    def close(self):
        try:
            assert self.client.flush(TIMEOUT_S) == 0
        except KafkaException as error:
            # The call that met it has said so before.
            if not error.args[0].fatal():
                raise


class Consumer:
    def __init__(self, bootstrap, topic, group, settings):
        self.topic = topic
        self.commits = []
        callbacks = {"on_commit": lambda error, offsets: self.commits.append(error and error.code())}
        self.client = confluent_kafka.Consumer(configuration(bootstrap, {"group.id": group, **callbacks, **settings}))

    def subscribe(self, assigned, revoked=ignored, lost=ignored):
        self.client.subscribe(
            [self.topic],
            on_assign=lambda _, partitions: assigned({p.partition for p in partitions}),
            on_revoke=lambda _, partitions: revoked({p.partition for p in partitions}),
            on_lost=lambda _, partitions: lost({p.partition for p in partitions}),
        )

    def subscribe_to_pattern(self, pattern):
        """Of the consumer protocol, the broker reads the pattern."""
        self.client.subscribe([pattern])

    def assigned_topics(self):
        return {partition.topic for partition in self.client.assignment()}

    def at(self, *partition_offset):
        return TopicPartition(self.topic, *partition_offset)

    def assign(self, offsets):
        """Reads the partitions from these offsets, without membership."""
        self.client.assign([self.at(partition, offset) for partition, offset in offsets.items()])

    def poll(self, timeout_s, _count=500):
        """A record, as soon as there is one.

        Only one: a batch is returned whole after a rebalance within the call, with records of partitions that went.
        """
        with broker_errors():
            m = self.client.poll(timeout_s)
        if m is None:
            return []
        checked(m.error())
        return [Record(m.partition(), m.offset(), m.key(), m.value(), m.headers() or [], m.timestamp()[1])]

    def seek(self, partition, offset):
        self.client.seek(self.at(partition, offset))

    def seek_to_beginning(self, partition):
        self.seek(partition, confluent_kafka.OFFSET_BEGINNING)

    def seek_to_end(self, partition):
        self.seek(partition, confluent_kafka.OFFSET_END)

    def bounds(self, partition):
        """The partition's beginning and end offset."""
        with broker_errors():
            return self.client.get_watermark_offsets(self.at(partition), TIMEOUT_S)

    def offset_for_time(self, partition, timestamp_ms):
        """The first offset of that time or later, None if there is none."""
        with broker_errors():
            [found] = self.client.offsets_for_times([self.at(partition, timestamp_ms)], TIMEOUT_S)
        checked(found.error)
        return found.offset if found.offset >= 0 else None

    def group_metadata(self):
        return self.client.consumer_group_metadata()

    def offsets(self, offsets, metadata):
        return [self.at(partition, offset, metadata) for partition, offset in offsets.items()]

    def commit(self, offsets, metadata=""):
        with broker_errors():
            for partition in self.client.commit(offsets=self.offsets(offsets, metadata), asynchronous=False):
                checked(partition.error)

    def commit_async(self, offsets, metadata=""):
        """Its outcome is appended to self.commits by a later poll."""
        self.client.commit(offsets=self.offsets(offsets, metadata), asynchronous=True)

    def committed(self, partition):
        """Offset and metadata, None if there is none."""
        with broker_errors():
            [found] = self.client.committed([self.at(partition)], TIMEOUT_S)
        checked(found.error)
        return (found.offset, found.metadata or "") if found.offset >= 0 else None

    def close(self):
        self.client.close()


class Loaded(Consumer):
    """The consumer of a member of the checker's group."""

    POLL_S = 0.05
    # Partitions may be revoked while more records are collected, some of them already there.
    POLL_RECORDS = 1

    def __init__(self, bootstrap, topic, group, settings, member):
        def confirmed(error, partitions):
            if not member.commits_itself:
                member.confirmed(error, {p.partition: p.offset for p in partitions if not p.error and p.offset >= 0})

        # Only what is stored is committed: what is written down.
        own = {"enable.auto.offset.store": False, "on_commit": confirmed}
        super().__init__(bootstrap, topic, group, {**settings, **own})

        def revoked(partitions):
            member.commit()
            member.revoked(partitions)

        self.subscribe(member.assigned, revoked, member.lost)

    def is_read(self, record):
        try:
            self.client.store_offsets(offsets=[self.at(record.partition, record.offset + 1)])
        except KafkaException as error:
            # The partition is being taken away; the delivery stays uncommitted.
            if error.args[0].code() != KafkaError._STATE:
                raise
            return False
        return True

    def commit_read(self, _):
        """Of what is stored, not of a list: librdkafka refuses it by itself when the assignment is lost."""
        with broker_errors():
            for partition in self.client.commit(asynchronous=False):
                checked(partition.error)
