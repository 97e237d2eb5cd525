"""Scenarios of members that share a topic."""

from collections import Counter
from threading import Event, Thread

from case import text, until
from client import CONSUMER_PROTOCOL, NEW_GROUPS, BrokerError, NotApplicable

PARTITIONS = 6
# A commit that the group refuses while it rebalances: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS.
REBALANCING = {22, 25, 27}
# Long: kafka-python sometimes never joins a group when each of its polls is short.
POLL_S = 0.5
RECONNECT = {"reconnect_backoff_max_ms": 1000}
SESSION = {"session_timeout_ms": 30_000}


class Member:
    """A member with a thread that reads each of its partitions from the offset that was committed when it got it.

    Offsets are sets: after a commit whose answer was lost, the next owner may begin at either of two.
    """

    def __init__(self, group, settings):
        self.group = group
        self.positions = {}
        self.assignments = 0
        self.revoked = []
        self.polls = 0
        self.failure = None
        self.stopped = Event()
        # Of the consumer protocol, the broker says how often and how long.
        timing = {} if settings.items() >= CONSUMER_PROTOCOL.items() else {"heartbeat_interval_ms": 100, **SESSION}
        self.consumer = group.case.consumer(**timing, **RECONNECT, **settings)
        self.consumer.subscribe(self.on_assigned, self.on_revoked, self.on_lost)
        self.thread = Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopped.is_set():
                self.poll()
        except Exception as error:
            self.failure = error

    def close(self):
        self.stopped.set()
        self.thread.join()
        self.consumer.close()
        self.check()

    def check(self):
        if self.failure:
            raise self.failure

    @property
    def owned(self):
        return set(self.positions)

    def on_assigned(self, partitions):
        self.assignments += 1
        for other in self.group.members:
            assert other is self or not other.owned & partitions, f"two owners: {other.owned & partitions}"
        for partition in partitions:
            owner, left_at = self.group.left.pop(partition, (None, None))
            keeps = owner is self and self.group.case.client.KEEPS_POSITION
            self.positions[partition] = left_at if keeps else self.group.committed[partition]

    def on_revoked(self, partitions):
        if partitions:
            self.revoked.append(partitions)
        for partition in partitions & self.owned:
            self.group.left[partition] = self, self.positions.pop(partition)

    def on_lost(self, partitions):
        self.on_revoked(partitions)
        self.group.left.clear()

    def records(self):
        try:
            return self.consumer.poll(POLL_S, 10)
        except BrokerError as error:
            # kafka-python says so when the coordinator is away, and looks for it again with the next poll.
            assert self.group.broker_restarts and error.code is None, error
            return []

    def poll(self):
        for record in self.records():
            assert record.offset in self.positions[record.partition], (record, self.positions)
            self.positions[record.partition] = {record.offset + 1}
            self.group.delivered[record.partition, record.offset] = record.value
        # Not after every poll, so that partitions move with records that were read and not committed.
        self.polls += 1
        if self.polls % 3 == 0:
            self.commit()

    def commit(self):
        read = {p: offsets for p, offsets in self.positions.items() if offsets != self.group.committed[p]}
        if not read:
            return
        try:
            self.consumer.commit({partition: max(offsets) for partition, offsets in read.items()})
        except BrokerError as error:
            if error.code not in REBALANCING:
                assert self.group.broker_restarts, error
                self.group.committed.update({p: self.group.committed[p] | offsets for p, offsets in read.items()})
        else:
            self.group.committed.update(read)


class Group:
    """The members of a group, and what was written, delivered and committed.

    A member hears that its commit succeeded before it joins again, so the next owner finds what it says here.
    """

    def __init__(self, case, partitions=PARTITIONS, broker_restarts=False):
        self.case = case
        self.partitions = partitions
        self.broker_restarts = broker_restarts
        self.members = []
        self.written = {}
        self.delivered = {}
        self.left = {}
        self.committed = {partition: {0} for partition in range(partitions)}
        self.admin = case.create(partitions)
        self.producer = case.producer(acks="all", enable_idempotence=True, **RECONNECT)
        # Committed before there are members: librdkafka, asked to give back a partition while it still looks for the
        # beginning, takes the late answer for a reason to look again, and delivers that after the partition's return.
        start = case.consumer()
        start.commit(dict.fromkeys(self.committed, 0))
        start.close()

    def join(self, **settings):
        self.members.append(Member(self, settings))
        return self.members[-1]

    def leave(self, member):
        self.members.remove(member)
        member.close()

    def write(self, count):
        waits = []
        for number in range(count):
            partition = number % self.partitions
            waits.append((partition, text(number), self.producer.send(self.case.topic, partition, text(number))))
        for partition, value, wait in waits:
            self.written[partition, wait()] = value

    def until(self, what, ask):
        def checked():
            for member in self.members:
                member.check()
            return ask()

        return until(what, checked)

    def shared(self):
        """Whether the members have equal shares of all partitions."""
        shares = [len(member.owned) for member in self.members]
        return shares == [self.partitions // len(self.members)] * len(self.members)

    def read(self):
        """Reads and commits everything that was written; each record is what it was."""
        counts = Counter(partition for partition, _ in self.written)
        ends = {partition: {counts[partition]} for partition in range(self.partitions)}
        self.until("all records, committed", lambda: self.committed == ends)
        assert self.delivered == self.written

    def close(self):
        for member in self.members:
            member.close()


def with_new_groups(case):
    if NEW_GROUPS in case.client.LACKS:
        raise NotApplicable(f"the client lacks {NEW_GROUPS}")
    return CONSUMER_PROTOCOL


def group(case, **settings):
    group = Group(case)
    group.write(150)
    [one, *_] = [group.join(**settings) for _ in range(3)]
    group.until("shares of three", group.shared)
    group.write(150)
    group.until("some records", lambda: len(group.delivered) >= 100)
    group.leave(one)
    group.write(150)
    group.until("shares of two", group.shared)
    group.until("some more records", lambda: len(group.delivered) >= 300)
    group.write(150)
    group.join(**settings)
    group.until("shares of three again", group.shared)
    group.read()
    assert len(group.delivered) == 600
    group.close()


def group_new(case):
    group(case, **with_new_groups(case))


def static(case, **settings):
    group = Group(case)
    others = [group.join(**settings) for _ in range(2)]
    settings = {**settings, "group_instance_id": "one"}
    first = group.join(**settings)
    group.until("shares", group.shared)
    group.write(60)
    group.read()
    before = [(member.owned, member.assignments, list(member.revoked)) for member in others]
    owned = first.owned
    group.leave(first)
    second = group.join(**settings)
    group.until("the assignment", lambda: second.owned)
    assert second.owned == owned, (second.owned, owned)
    group.write(60)
    group.read()
    assert [(member.owned, member.assignments, member.revoked) for member in others] == before
    assert group.admin.group_is_stable(case.group)
    group.close()


def static_new(case):
    static(case, **with_new_groups(case))


def cooperative(case):
    group = Group(case)
    settings = {"partition_assignment_strategy": "cooperative-sticky"}
    stayers = [group.join(**settings) for _ in range(2)]
    group.until("shares of two", group.shared)
    group.write(60)
    group.read()
    before = [(member.owned, len(member.revoked)) for member in stayers]
    third = group.join(**settings)
    group.until("shares of three", group.shared)
    for member, (owned, revocations) in zip(stayers, before):
        revoked = set().union(*member.revoked[revocations:])
        assert member.owned == owned - revoked and len(revoked) == 1, (owned, revoked, member.owned)
        assert revoked <= third.owned, (revoked, third.owned)
    group.write(60)
    group.read()
    group.close()


def regex(case):
    protocol = {} if NEW_GROUPS in case.client.LACKS else CONSUMER_PROTOCOL
    admin, producer = case.admin(), case.producer()

    def topic(what):
        name = f"{case.topic}-{what}"
        admin.create_topic(name, 1)
        producer.send(name, 0, what.encode())()
        return name

    topics = {topic("match-first")}
    topic("other")
    # For the client that looks for topics itself.
    consumer = case.open(case.consumer(metadata_max_age_ms=500, **protocol))
    consumer.subscribe_to_pattern(f"^{case.topic}-match-.*")
    read = []

    def has(*values):
        read.extend(record.value for record in consumer.poll(POLL_S))
        return read == list(values) and consumer.assigned_topics() == topics

    until("the record of the first topic", lambda: has(b"match-first"))
    topics.add(topic("match-later"))
    until("the record of the later topic", lambda: has(b"match-first", b"match-later"))


def migrate(case):
    new = with_new_groups(case)
    group = Group(case)
    group.join()
    group.join()
    group.until("shares of two", group.shared)
    for settings in [new, {}]:
        for former in list(group.members):
            group.write(60)
            group.leave(former)
            group.join(**settings)
            group.until("shares of two", group.shared)
    group.write(60)
    group.read()
    group.close()
