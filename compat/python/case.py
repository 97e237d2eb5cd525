"""One run of a scenario: its topic, its group, and what most scenarios do with them."""

import random
import time
import uuid

from client import TIMEOUT_S

POLL_S = 0.005


def until(what, ask):
    """Asks until the answer is true; that is for callers that wait on the broker or on another member."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not come within {TIMEOUT_S} s"
        time.sleep(POLL_S)
    return answer


def text(number):
    return b"record %d" % number


def bytes_of_sizes(count, size_max):
    """Values of 0 to size_max bytes, the same in every run, half of each fit for compression."""
    source = random.Random(count)
    sizes = [0, size_max] + [source.randint(0, size_max) for _ in range(count - 2)]
    return [(source.randbytes(size // 2) + b"compressible " * size)[:size] for size in sizes]


class Case:
    def __init__(self, client, bootstrap, scenario):
        self.client = client
        self.bootstrap = bootstrap
        self.topic = self.group = f"compat-{scenario}-{uuid.uuid4().hex}"
        self.opened = []

    def open(self, opened):
        self.opened.append(opened)
        return opened

    def close(self):
        for opened in reversed(self.opened):
            opened.close()

    def admin(self):
        return self.open(self.client.Admin(self.bootstrap))

    def create(self, partitions=1):
        admin = self.admin()
        admin.create_topic(self.topic, partitions)
        return admin

    def producer(self, **settings):
        return self.open(self.client.Producer(self.bootstrap, dotted(settings)))

    def transactional_id(self, what):
        return f"{self.topic}-{what}"

    def transactional(self, what, **settings):
        """A producer that may begin a transaction."""
        producer = self.producer(transactional_id=self.transactional_id(what), **settings)
        producer.initialize()
        return producer

    def consumer(self, topic=None, **settings):
        """A consumer that is no member of the group until it subscribes, and can be closed by its user."""
        defaults = {"enable.auto.commit": False, "auto.offset.reset": "earliest"}
        return self.client.Consumer(self.bootstrap, topic or self.topic, self.group, {**defaults, **dotted(settings)})

    def reader(self, offsets, **settings):
        """A consumer without membership that reads partitions from these offsets."""
        consumer = self.open(self.consumer(**settings))
        consumer.assign(offsets)
        return consumer

    def end(self, partition, **isolation):
        """Where the partition ends for a reader that waits for nothing."""
        return self.open(self.consumer(**isolation)).bounds(partition)[1]

    def fill(self, count, partitions=1):
        """Writes numbered records to the partitions in turn; each is acknowledged."""
        producer = self.producer()
        waits = [producer.send(self.topic, number % partitions, text(number)) for number in range(count)]
        return [wait() for wait in waits]

    def read_back(self, counts):
        """All records of each partition, which must be as many as counted, at the offsets from 0."""
        reader = self.reader(dict.fromkeys(range(len(counts)), 0))
        read = [[] for _ in counts]

        def complete():
            for record in reader.poll(0.1):
                read[record.partition].append(record)
            return all(len(records) >= count for records, count in zip(read, counts))

        until(f"{counts} records", complete)
        for partition, (records, count) in enumerate(zip(read, counts)):
            assert [record.offset for record in records] == list(range(count)), (partition, count, records[-1].offset)
            assert reader.bounds(partition) == (0, count), (partition, count, reader.bounds(partition))
        return read


def dotted(settings):
    return {name.replace("_", "."): value for name, value in settings.items()}


def offsets_read(consumer, count):
    """The offsets of the next records, which must be so many and no more."""
    offsets = []

    def complete():
        offsets.extend(record.offset for record in consumer.poll(0.1))
        return len(offsets) >= count

    until(f"{count} records", complete)
    return offsets
