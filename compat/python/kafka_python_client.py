"""kafka-python for the scenarios; see client.py."""

import re
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import AbortTransactionSpec, ConfigResource
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener, ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import CommitFailedError, InvalidProducerEpochError, KafkaError, ProducerFencedError
from kafka.structs import OffsetAndMetadata

from client import NEW_GROUPS, NULL_HEADER_VALUE, NULL_KEY_AND_VALUE, TIMEOUT_S
from client import BrokerError, Record, Transaction, ignored

ILLEGAL_GENERATION = 22
LACKS = {NEW_GROUPS, NULL_HEADER_VALUE, NULL_KEY_AND_VALUE}
NO_RESET = "none"
OUT_OF_RANGE = 1
FATAL = set()
FENCED = {ProducerFencedError.errno, InvalidProducerEpochError.errno}
NO_MEMBER = {ILLEGAL_GENERATION}
KEEPS_POSITION = True
ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}


@contextmanager
def broker_errors():
    try:
        yield
    except CommitFailedError as error:
        # It stands for each of the codes by which the group says that it has rebalanced.
        raise BrokerError(ILLEGAL_GENERATION, error) from error
    except KafkaError as error:
        # A producer may have the broker's code in its text only.
        code = re.search(r"\[Error (\d+)\]", str(error))
        raise BrokerError(getattr(error, "errno", code and int(code[1])), error) from error


def configuration(bootstrap, settings):
    named = {name.replace(".", "_"): value for name, value in settings.items()}
    if strategy := named.get("partition_assignment_strategy"):
        named["partition_assignment_strategy"] = [ASSIGNORS[strategy]]
    if named.get("compression_type") == "none":
        named["compression_type"] = None
    return {"bootstrap_servers": bootstrap, **named}


class Admin:
    def __init__(self, bootstrap):
        self.client = KafkaAdminClient(bootstrap_servers=bootstrap)

    def close(self):
        self.client.close()

    def create_topic(self, topic, partitions, replication_factor=1, config=None):
        new = {"num_partitions": partitions, "replication_factor": replication_factor, "configs": config or {}}
        with broker_errors():
            self.client.create_topics({topic: new})

    def delete_topic(self, topic):
        with broker_errors():
            self.client.delete_topics([topic])

    def create_partitions(self, topic, count):
        with broker_errors():
            self.client.create_partitions({topic: count})

    def topics(self):
        return set(self.client.list_topics())

    def partitions(self, topic):
        """Leader, replicas and in-sync replicas of each partition."""
        [described] = self.client.describe_topics([topic])
        if described["error_code"]:
            raise BrokerError(described["error_code"], described)
        partitions = sorted(described["partitions"], key=lambda p: p["partition_index"])
        assert [p["partition_index"] for p in partitions] == list(range(len(partitions))), partitions
        return [(p["leader_id"], p["replica_nodes"], p["isr_nodes"]) for p in partitions]

    def config(self, topic):
        """Value, and whether it is the topic's own, of each setting."""
        found = self.client.describe_configs([ConfigResource("topic", topic)], config_filter="all")["topic"][topic]
        own = "DYNAMIC_TOPIC_CONFIG"
        return {name: (entry["value"], entry["config_source"] == own) for name, entry in found.items()}

    def set_config(self, topic, name, value):
        self.altered(topic, self.client.alter_configs([ConfigResource("topic", topic, {name: value})]))

    def reset_config(self, topic, name):
        self.altered(topic, self.client.reset_configs([ConfigResource("topic", topic, [name])]))

    def altered(self, topic, answer):
        assert answer == {"topic": {topic: "OK"}}, answer

    def cluster(self):
        """Cluster id, controller, and host:port of each node."""
        found = self.client.describe_cluster()
        nodes = {node["broker_id"]: f"{node['host']}:{node['port']}" for node in found["brokers"]}
        return found["cluster_id"], found["controller_id"], nodes

    def delete_records(self, topic, partition, offset):
        """The partition's beginning afterwards."""
        with broker_errors():
            [answer] = self.client.delete_records({TopicPartition(topic, partition): offset}).values()
        return answer["low_watermark"]

    def transaction(self, transactional_id):
        with broker_errors():
            found = self.client.describe_transactions([transactional_id])[transactional_id]
        return Transaction(*found)._replace(state=found.state.value, partitions=set(map(tuple, found.topic_partitions)))

    def transactions(self, **filters):
        """Transactional id, producer id and state of each that passes the filters."""
        [listed] = self.client.list_transactions(**filters).values()
        return {(each.transactional_id, each.producer_id, each.state.value) for each in listed}

    def producer(self, topic, partition, producer_id):
        """The epoch, the last sequence number and the first offset of the open transaction, -1 without one."""
        [found] = self.client.describe_producers([TopicPartition(topic, partition)]).values()
        [state] = [each for each in found.active_producers if each.producer_id == producer_id]
        return state.producer_epoch, state.last_sequence, state.current_transaction_start_offset

    def abort_hanging(self, topic, partition, transaction):
        spec = TopicPartition(topic, partition), transaction.producer_id, transaction.producer_epoch
        self.client.abort_transaction(AbortTransactionSpec(*spec))

    def group_is_stable(self, group):
        with broker_errors():
            return self.client.describe_groups([group])[group]["group_state"] == "Stable"


class Producer:
    def __init__(self, bootstrap, settings):
        self.client = KafkaProducer(**configuration(bootstrap, settings))

    def send(self, topic, partition, value, key=None, headers=(), timestamp_ms=None):
        """A function that waits for the acknowledgement and returns the record's offset."""
        future = self.client.send(topic, value, key, list(headers), partition, timestamp_ms)

        def offset():
            with broker_errors():
                return future.get(TIMEOUT_S).offset

        return offset

    def initialize(self):
        with broker_errors():
            self.client.init_transactions()

    def begin(self):
        self.client.begin_transaction()

    def send_offsets(self, offsets, group_metadata):
        with broker_errors():
            self.client.send_offsets_to_transaction(offsets, group_metadata)

    def end(self, commits):
        with broker_errors():
            (self.client.commit_transaction if commits else self.client.abort_transaction)()

    def close(self):
        self.client.flush(TIMEOUT_S)
        self.client.close(TIMEOUT_S)


class Listener(ConsumerRebalanceListener):
    def __init__(self, assigned, revoked, lost):
        self.assigned = assigned
        self.revoked = revoked
        self.lost = lost

    def on_partitions_assigned(self, assigned):
        self.assigned({p.partition for p in assigned})

    def on_partitions_revoked(self, revoked):
        self.revoked({p.partition for p in revoked})

    def on_partitions_lost(self, lost):
        self.lost({p.partition for p in lost})


class Consumer:
    def __init__(self, bootstrap, topic, group, settings):
        self.topic = topic
        self.commits = []
        self.client = KafkaConsumer(**configuration(bootstrap, {"group.id": group, **settings}))

    def subscribe(self, assigned, revoked=ignored, lost=ignored):
        self.client.subscribe([self.topic], listener=Listener(assigned, revoked, lost))

    def subscribe_to_pattern(self, pattern):
        self.client.subscribe(pattern=pattern)

    def assigned_topics(self):
        return {partition.topic for partition in self.client.assignment()}

    def at(self, partition):
        return TopicPartition(self.topic, partition)

    def assign(self, offsets):
        """Reads the partitions from these offsets, without membership."""
        self.client.assign([self.at(partition) for partition in offsets])
        for partition, offset in offsets.items():
            self.client.seek(self.at(partition), offset)

    def poll(self, timeout_s, count=500):
        """Records, at most so many, as soon as there are any."""
        with broker_errors():
            polled = self.client.poll(int(timeout_s * 1000), count)
        return [
            Record(r.partition, r.offset, r.key, r.value, r.headers, r.timestamp) for rs in polled.values() for r in rs
        ]

    def seek(self, partition, offset):
        self.client.seek(self.at(partition), offset)

    def seek_to_beginning(self, partition):
        self.client.seek_to_beginning(self.at(partition))

    def seek_to_end(self, partition):
        self.client.seek_to_end(self.at(partition))

    def bounds(self, partition):
        """The partition's beginning and end offset."""
        with broker_errors():
            [beginning] = self.client.beginning_offsets([self.at(partition)]).values()
            [end] = self.client.end_offsets([self.at(partition)]).values()
        return beginning, end

    def offset_for_time(self, partition, timestamp_ms):
        """The first offset of that time or later, None if there is none."""
        with broker_errors():
            [found] = self.client.offsets_for_times({self.at(partition): timestamp_ms}).values()
        return found and found.offset

    def group_metadata(self):
        return self.client.group_metadata()

    def offsets(self, offsets, metadata):
        return {self.at(partition): OffsetAndMetadata(offset, metadata, -1) for partition, offset in offsets.items()}

    def commit(self, offsets, metadata=""):
        with broker_errors():
            self.client.commit(self.offsets(offsets, metadata), TIMEOUT_S * 1000)

    def commit_async(self, offsets, metadata=""):
        """Its outcome is appended to self.commits by a later poll."""
        self.client.commit_async(self.offsets(offsets, metadata), self.on_commit)

    def on_commit(self, _, response):
        self.commits.append(response if isinstance(response, Exception) else None)

    def committed(self, partition):
        """Offset and metadata, None if there is none."""
        with broker_errors():
            found = self.client.committed(self.at(partition), metadata=True, timeout_ms=TIMEOUT_S * 1000)
        return found and (found.offset, found.metadata or "")

    def close(self):
        self.client.close()


class Loaded(Consumer):
    """The consumer of a member of the checker's group."""

    # Long: it sometimes never joins a group when each of its polls is short.
    POLL_S = 0.5
    POLL_RECORDS = 500

    def __init__(self, bootstrap, topic, group, settings, member):
        def confirmed(offsets, response):
            error = response if isinstance(response, Exception) else None
            member.confirmed(error, {p.partition: at.offset for p, at in offsets.items()})

        super().__init__(bootstrap, topic, group, {**settings, "default.offset.commit.callback": confirmed})
        cooperative = settings.get("partition.assignment.strategy") == "cooperative-sticky"
        self.client.subscribe([topic], listener=LoadedListener(self, member, cooperative))

    def is_read(self, _):
        """What a poll gave counts as read with the next one, not before: it is written down by then."""
        return True

    def commit_read(self, offsets):
        self.commit(offsets)


class LoadedListener(AsyncConsumerRebalanceListener):
    """Commits what is read of partitions that are taken away.

    Unless it is cooperative, the client tells of all partitions, also of those that stay. These keep their positions, so
    that to the member they are neither revoked nor assigned.
    """

    def __init__(self, consumer, member, cooperative):
        self.consumer = consumer
        self.member = member
        self.cooperative = cooperative
        self.held = set()

    async def on_partitions_revoked(self, revoked):
        if self.member.has_to_commit():
            with self.member.committing() as offsets, broker_errors():
                await self.consumer.client.commit_async(self.consumer.offsets(offsets, ""))
        if self.cooperative:
            self.member.revoked({p.partition for p in revoked})
        else:
            self.held = {p.partition for p in revoked}

    async def on_partitions_assigned(self, assigned):
        partitions = {p.partition for p in assigned}
        if taken := self.held - partitions:
            self.member.revoked(taken)
        if given := partitions - self.held:
            self.member.assigned(given)
        self.held = set()

    async def on_partitions_lost(self, lost):
        self.member.lost({p.partition for p in lost})
        self.held = set()
