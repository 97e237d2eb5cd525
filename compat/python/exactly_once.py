"""Scenario of a group that transforms records with transactions, which also commit its offsets."""

from case import text, until
from client import ignored, refusal
from membership import with_new_groups
from transactions import COMMITTED, PARTITIONS, UNCOMMITTED, reads

RECORDS = 300
AT_ONCE = 50
# Long: kafka-python sometimes never joins a group when each of its polls is short.
POLL_S = 0.5


class Transform:
    def __init__(self, case, protocol):
        self.case = case
        self.protocol = protocol
        self.committed = {}
        self.done = []
        self.aborted = 0
        case.create(PARTITIONS)
        self.output = f"{case.topic}-output"
        case.admin().create_topic(self.output, PARTITIONS)
        case.fill(RECORDS, PARTITIONS)
        # It must not wait for the transaction.
        self.observer = case.open(case.consumer(**UNCOMMITTED))

    def start(self):
        consumer = self.case.consumer(**COMMITTED, **self.protocol)
        consumer.subscribe(ignored)
        return consumer, self.case.transactional("writer")

    def poll(self, consumer):
        """The next records, at most AT_ONCE, which begin at what was committed."""
        records = []

        def complete():
            got = consumer.poll(POLL_S, AT_ONCE - len(records))
            records.extend(got)
            return len(records) == AT_ONCE or (records and not got)

        until("records", complete)
        return records

    def step(self, consumer, producer, commits=True):
        records = self.poll(consumer)
        offsets = dict(self.committed)
        producer.begin()
        waits = []
        for record in records:
            assert record.offset == offsets.get(record.partition, 0), (record, offsets)
            offsets[record.partition] = record.offset + 1
            value = b"transformed " + record.value
            waits.append((record.partition, value, producer.send(self.output, record.partition, value)))
        places = [(partition, wait(), value) for partition, value, wait in waits]
        producer.send_offsets(consumer.offsets(offsets, ""), consumer.group_metadata())
        assert self.is_committed(), self.committed
        producer.end(commits)
        if commits:
            self.committed = offsets
            self.done += places
        # The end is answered before the group's coordinator has heard of it.
        until("the committed offsets", self.is_committed)

    def is_committed(self):
        found = {partition: self.observer.committed(partition) for partition in range(PARTITIONS)}
        return {p: pair for p, pair in found.items() if pair} == {p: (at, "") for p, at in self.committed.items()}


def exactly_once(case, **protocol):
    group = Transform(case, protocol)
    consumer, producer = group.start()
    for commits in [True, True, False]:
        group.step(consumer, producer, commits)
    former = consumer.group_metadata()
    consumer.close()

    consumer, producer = group.start()
    producer.begin()
    # Of partitions that every later transaction names: kafka-python sends what was refused again with the next one, though
    # this one is aborted.
    wrong = dict.fromkeys(group.committed, RECORDS)
    code = refusal(lambda: producer.send_offsets(consumer.offsets(wrong, ""), former))
    assert code in case.client.NO_MEMBER, code
    producer.end(False)
    while len(group.done) < RECORDS:
        group.step(consumer, producer)
    consumer.close()

    last = case.producer()
    places = [(partition, last.send(group.output, partition, b"last")(), b"last") for partition in range(PARTITIONS)]
    assert reads(case, group.output, COMMITTED, RECORDS + PARTITIONS) == sorted(group.done + places)
    values = sorted(value for _, _, value in group.done)
    assert values == sorted(b"transformed " + text(number) for number in range(RECORDS))


def exactly_once_new(case):
    exactly_once(case, **with_new_groups(case))
