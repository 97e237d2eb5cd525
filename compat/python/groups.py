"""Consumer groups, offsets and their administration as confluent-kafka uses them.

groups.py BOOTSTRAP [SCENARIO]...   runs all scenarios, or those named, and prints a line for each.

Each scenario has a topic and a group of its own, new in every run. The first that fails ends the program with its traceback.
"""

import sys
import time

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_S = 60
SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


def until(what, ask):
    """Asks until the answer is true; that is for callers that wait on the broker or on another member."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not come within {TIMEOUT_S} s"
    return answer


def error_of(call):
    """The code of the KafkaException that a call must raise."""
    try:
        answer = call()
    except KafkaException as error:
        return error.args[0].code()
    raise AssertionError(f"no error but {answer}")


class Member:
    """A consumer of a group that notes its assignment and can be read from."""

    def __init__(self, broker, group, topics, settings=None):
        self.assignment = set()
        self.assigned = 0
        self.revoked = []
        self.errors = []
        common = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "heartbeat.interval.ms": 100}
        self.consumer = Consumer({"bootstrap.servers": broker, "group.id": group, **common, **(settings or {})})
        if topics:
            self.consumer.subscribe(topics, on_assign=self.on_assign, on_revoke=self.on_revoke)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()

    def on_assign(self, _, partitions):
        self.assigned += 1
        self.assignment |= {(p.topic, p.partition) for p in partitions}

    def on_revoke(self, _, partitions):
        self.revoked.append({(p.topic, p.partition) for p in partitions})
        self.assignment -= self.revoked[-1]

    def poll(self):
        """The next record, if one came soon; errors are noted."""
        record = self.consumer.poll(0.05)
        if record is not None and record.error():
            self.errors.append(record.error())
            return None
        return record

    def read(self, count):
        return [until(f"record {number} of {count}", self.poll) for number in range(1, count + 1)]

    def offsets(self, count):
        return [record.offset() for record in self.read(count)]

    def committed(self, topic):
        return self.consumer.committed([TopicPartition(topic, 0)], timeout=TIMEOUT_S)[0]

    def position(self, topic):
        return self.consumer.position([TopicPartition(topic, 0)])[0].offset


class Case:
    """The broker, and the topic and group of one scenario."""

    def __init__(self, broker, name):
        self.broker = broker
        self.group = f"group-{name}"
        self.topic = f"topic-{name}"
        self.admin = AdminClient({"bootstrap.servers": broker})

    def create(self, topic, partitions=1):
        for future in self.admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            future.result(TIMEOUT_S)

    def fill(self, count, partition=0):
        producer = Producer({"bootstrap.servers": self.broker})
        for number in range(count):
            producer.produce(self.topic, str(number), partition=partition)
        assert producer.flush(TIMEOUT_S) == 0

    def member(self, settings=None):
        return Member(self.broker, self.group, [self.topic], settings)

    def observer(self):
        """A consumer that never joins the group."""
        return Member(self.broker, self.group, [])

    def describe(self):
        return self.admin.describe_consumer_groups([self.group])[self.group].result(TIMEOUT_S)


@scenario
def synchronous_commit(case):
    case.create(case.topic)
    case.fill(10)
    with case.member() as first:
        last = first.read(4)[-1]
        committed = first.consumer.commit(message=last, asynchronous=False)
        assert [(p.offset, p.error) for p in committed] == [(4, None)], committed
    with case.member() as second:
        assert second.offsets(6) == list(range(4, 10))


@scenario
def automatic_commit_runs_and_closes(case):
    case.create(case.topic)
    case.fill(10)
    with case.observer() as observer:
        automatic = {"enable.auto.commit": True}
        with case.member({**automatic, "auto.commit.interval.ms": 100}) as first:
            first.read(10)
            until("the commit", lambda: observer.committed(case.topic).offset == 10)
        case.fill(5)
        with case.member({**automatic, "auto.commit.interval.ms": 3_600_000}) as second:
            assert second.offsets(5) == list(range(10, 15))
            assert observer.committed(case.topic).offset == 10
        assert observer.committed(case.topic).offset == 15


@scenario
def asynchronous_commit_calls_back(case):
    case.create(case.topic)
    case.fill(10)
    calls = []
    with case.member({"on_commit": lambda error, partitions: calls.append((error, partitions))}) as member:
        last = member.read(7)[-1]
        assert member.consumer.commit(message=last, asynchronous=True) is None
        until("the callback", lambda: member.poll() and False or calls)
        [(error, [partition])] = calls
        assert error is None and partition.error is None, calls
        assert (partition.topic, partition.offset) == (case.topic, 7), partition
        assert member.committed(case.topic).offset == 7


def has_sought(consumer, position):
    """Whether the client took it."""
    try:
        consumer.seek(position)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError._STATE, error
        return False
    return True


@scenario
def committed_and_position(case):
    case.create(case.topic)
    case.fill(10)
    with case.member() as member:
        until("the assignment", lambda: member.poll() or member.assignment)
        # What was polled on the way is read again. The client seeks once it fetches, a little after the assignment.
        until("a seek", lambda: has_sought(member.consumer, TopicPartition(case.topic, 0, 0)))
        assert member.committed(case.topic).offset == OFFSET_INVALID
        assert member.offsets(3) == [0, 1, 2]
        assert member.position(case.topic) == 3
        assert member.committed(case.topic).offset == OFFSET_INVALID
        member.consumer.commit(offsets=[TopicPartition(case.topic, 0, 2)], asynchronous=False)
        assert member.committed(case.topic).offset == 2
        assert member.position(case.topic) == 3


@scenario
def offset_metadata(case):
    case.create(case.topic)
    with case.observer() as observer:
        for text in ["at the corner", "an der Straße, 在拐角处", ""]:
            wanted = TopicPartition(case.topic, 0, 1, text)
            # The coordinator of a new broker learns of its topic a little later.
            until("a commit", lambda: committed(observer, wanted))
            kept = observer.committed(case.topic)
            assert (kept.offset, kept.metadata or "") == (1, text), kept
        long = TopicPartition(case.topic, 0, 2, "x" * 4097)
        refused = error_of(lambda: observer.consumer.commit(offsets=[long], asynchronous=False))
        assert refused == KafkaError.OFFSET_METADATA_TOO_LARGE, refused
        assert observer.committed(case.topic).offset == 1


def committed(member, partition):
    try:
        return member.consumer.commit(offsets=[partition], asynchronous=False)
    except KafkaException as error:
        assert error.args[0].retriable(), error
        return None


@scenario
def seek(case):
    case.create(case.topic)
    case.fill(10)
    with case.member() as member:
        assert member.offsets(10) == list(range(10))
        for start in [3, 8, 0]:
            member.consumer.seek(TopicPartition(case.topic, 0, start))
            assert member.offsets(10 - start) == list(range(start, 10))


@scenario
def static_member_comes_back(case):
    case.create(case.topic, 4)
    session = {"session.timeout.ms": 30_000}
    static = {**session, "group.instance.id": "one"}
    with case.member(session) as other:
        with case.member(static) as first:
            until("shares", lambda: other.poll() or first.poll() or share(other, first, 4))
            before = first.assignment.copy()
        rebalances = other.assigned
        with case.member(static) as second:
            until("the assignment", lambda: other.poll() or second.poll() or second.assignment)
            assert second.assignment == before, second.assignment
            [(_, partition), _] = sorted(before)
            case.fill(1, partition)
            until("a record", lambda: other.poll() and False or second.poll())
            assert other.assigned == rebalances and case.describe().state == ConsumerGroupState.STABLE
            ids = [m.group_instance_id for m in case.describe().members]
            assert sorted(filter(None, ids)) == ["one"], ids


def share(one, other, partitions):
    """Whether two members have half of the partitions each."""
    each = len(one.assignment) == len(other.assignment) == partitions // 2
    return each and len(one.assignment | other.assignment) == partitions


@scenario
def static_member_is_fenced_by_its_successor(case):
    case.create(case.topic)
    static = {"group.instance.id": "one"}
    with case.member(static) as first:
        until("the assignment", lambda: first.poll() or first.assignment)
        with case.member(static) as second:
            until("the fencing", lambda: second.poll() or first.poll() or first.errors)
            [error] = first.errors
            assert error.code() == KafkaError._FATAL and "fenced" in error.str(), error
            until("the assignment", lambda: second.poll() or second.assignment)


@scenario
def cooperative_sticky(case):
    case.create(case.topic, 4)
    settings = {"partition.assignment.strategy": "cooperative-sticky"}
    with case.member(settings) as first:
        until("all partitions", lambda: first.poll() or len(first.assignment) == 4)
        with case.member(settings) as second:
            until("shares", lambda: first.poll() or second.poll() or share(first, second, 4))
            [revoked] = first.revoked
            assert revoked == second.assignment, (revoked, second.assignment)
            assert case.describe().partition_assignor == "cooperative-sticky"
            for partition in range(4):
                case.fill(1, partition)
            for member in [first, second]:
                assert {(r.topic(), r.partition()) for r in member.read(2)} == member.assignment
        until("all partitions again", lambda: first.poll() or len(first.assignment) == 4)
        assert first.revoked == [revoked]


@scenario
def subscription_by_pattern(case):
    names = [f"{case.topic}-{number}" for number in range(3)]
    case.create(names[0])
    case.create(f"other-{case.topic}")
    pattern = f"^{case.topic}-.*"
    often = {"topic.metadata.refresh.interval.ms": 200}
    with Member(case.broker, case.group, [pattern], often) as member:
        for known, name in enumerate(names):
            if known > 0:
                case.create(name)
            wanted = {(name, 0) for name in names[: known + 1]}
            until(f"{wanted}", lambda: member.poll() or member.assignment == wanted)


@scenario
def admin_client(case):
    case.create(case.topic, 2)
    case.fill(5)
    admin, group = case.admin, case.group
    with case.member({"client.id": "described", "partition.assignment.strategy": "roundrobin"}) as member:
        member.read(5)
        member.consumer.commit(asynchronous=False)
        described = case.describe()
        assert described.state == ConsumerGroupState.STABLE and described.type == ConsumerGroupType.CLASSIC
        assert described.partition_assignor == "roundrobin" and not described.is_simple_consumer_group
        assert described.coordinator.port == int(case.broker.split(":")[1])
        [one] = described.members
        assert one.client_id == "described" and one.member_id.startswith("described-")
        assert sorted((p.topic, p.partition) for p in one.assignment.topic_partitions) == [
            (case.topic, 0),
            (case.topic, 1),
        ]
        assert group in listed(admin, states={ConsumerGroupState.STABLE})
        assert group in listed(admin, types={ConsumerGroupType.CLASSIC})
        assert group not in listed(admin, states={ConsumerGroupState.EMPTY})
        assert group not in listed(admin, types={ConsumerGroupType.CONSUMER})
        deleted = error_of(lambda: delete(admin, group))
        assert deleted == KafkaError.NON_EMPTY_GROUP, deleted
        altered = error_of(lambda: alter(admin, group, case.topic, 1))
        assert altered == KafkaError.UNKNOWN_MEMBER_ID, altered
    assert group in listed(admin, states={ConsumerGroupState.EMPTY})
    assert [(p.partition, p.offset) for p in offsets(admin, group)] == [(0, 5)]
    alter(admin, group, case.topic, 1)
    assert [(p.partition, p.offset) for p in offsets(admin, group)] == [(0, 1)]
    delete(admin, group)
    assert group not in listed(admin)
    missing = error_of(lambda: delete(admin, group))
    assert missing == KafkaError.GROUP_ID_NOT_FOUND, missing


def listed(admin, **filters):
    groups = admin.list_consumer_groups(**filters).result(TIMEOUT_S)
    assert not groups.errors, groups.errors
    return {group.group_id for group in groups.valid}


def delete(admin, group):
    return admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)


def offsets(admin, group):
    wanted = [ConsumerGroupTopicPartitions(group)]
    return admin.list_consumer_group_offsets(wanted)[group].result(TIMEOUT_S).topic_partitions


def alter(admin, group, topic, offset):
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, offset)])]
    altered = admin.alter_consumer_group_offsets(wanted)[group].result(TIMEOUT_S)
    for partition in altered.topic_partitions:
        if partition.error:
            raise KafkaException(partition.error)


def main():
    broker, *names = sys.argv[1:]
    unknown = set(names) - {run.__name__ for run in SCENARIOS}
    assert not unknown, f"no scenarios: {unknown}"
    for run in SCENARIOS:
        if names and run.__name__ not in names:
            continue
        started = time.monotonic()
        run(Case(broker, f"{run.__name__}-{time.time_ns()}"))
        print(f"ok {run.__name__} {time.monotonic() - started:.1f} s", flush=True)


main()
