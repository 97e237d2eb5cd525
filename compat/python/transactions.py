"""Scenarios of transactions, and what readers see of them."""

import time

from case import offsets_read, text, until
from client import TRANSACTIONS_ADMIN, BrokerError, NotApplicable, refusal

PARTITIONS = 3
# Records of transactions that are committed and aborted in turn.
SIZES = [1, 100, 100, 1, 0, 0, 37, 12, 64, 3, 99, 50, 0, 7, 2, 0, 20, 88]
COMMITTED = {"isolation_level": "read_committed"}
UNCOMMITTED = {"isolation_level": "read_uncommitted"}
PROMPT_S = 5
STILL_S = 0.3
INVALID_TRANSACTION_TIMEOUT = 50
TRANSACTIONAL_ID_NOT_FOUND = 105
TIMEOUT_MS = 1000
MAX_TIMEOUT_MS = 900_000


def transaction(producer, topic, values, commits=True):
    """Sends values to the partitions in turn and returns where each was acknowledged: partition, offset and value."""
    producer.begin()
    waits = [(n % PARTITIONS, value, producer.send(topic, n % PARTITIONS, value)) for n, value in enumerate(values)]
    places = [(partition, wait(), value) for partition, value, wait in waits]
    producer.end(commits)
    return places


def transactions(case):
    case.create(PARTITIONS)
    producer = case.transactional("writer")
    sent, committed = [], []
    ends = [0] * PARTITIONS

    def expect(places):
        for partition, offset, _ in places:
            assert offset == ends[partition], (partition, offset, ends)
            ends[partition] += 1
        sent.extend(places)

    for number, size in enumerate(SIZES):
        places = transaction(producer, case.topic, [text(1000 * number + n) for n in range(size)], number % 2 == 0)
        expect(places)
        committed += places if number % 2 == 0 else []
        # The marker that ends a transaction takes an offset in each of its partitions.
        for partition in {partition for partition, _, _ in places}:
            ends[partition] += 1

    def are_ends():
        return [case.end(partition, **UNCOMMITTED) for partition in range(PARTITIONS)] == ends

    # The end of a transaction is answered before its markers are written.
    until("the last markers", are_ends)
    last = [(n, offset, text(n)) for n, offset in enumerate(case.fill(PARTITIONS, PARTITIONS))]
    expect(last)
    assert reads(case, case.topic, UNCOMMITTED, len(sent)) == sorted(sent)
    assert reads(case, case.topic, COMMITTED, len(committed + last)) == sorted(committed + last)
    for commits in [True, False]:
        hides(case, producer, commits)


def reads(case, topic, isolation, count):
    """So many records from the beginning; the last of each partition is the last one there."""
    reader = case.reader(dict.fromkeys(range(PARTITIONS), 0), topic=topic, **isolation)
    read = []
    until(f"{count} records", lambda: read.extend(reader.poll(0.1)) or len(read) >= count)
    return sorted((record.partition, record.offset, record.value) for record in read)


def hides(case, producer, commits):
    """What readers at the end see of a transaction and of a record outside that comes after it."""
    end = case.end(0, **UNCOMMITTED)
    everything = case.reader({0: end}, fetch_max_wait_ms=20_000, fetch_min_bytes=1, **UNCOMMITTED)
    decided = case.reader({0: end}, fetch_max_wait_ms=20_000, fetch_min_bytes=1, **COMMITTED)
    producer.begin()
    assert producer.send(case.topic, 0, b"inside")() == end
    assert case.fill(1) == [end + 1]
    assert offsets_read(everything, 2) == [end, end + 1]
    assert case.end(0, **UNCOMMITTED) == end + 2
    assert case.end(0, **COMMITTED) == end
    assert decided.poll(STILL_S) == []
    ended = time.monotonic()
    producer.end(commits)
    expected = [end, end + 1] if commits else [end + 1]
    assert offsets_read(decided, len(expected)) == expected
    waited_s = time.monotonic() - ended
    assert waited_s < PROMPT_S, f"what was decided came after {waited_s:.3f} s"
    assert case.end(0, **COMMITTED) == end + 3
    # For the fetches that wait.
    case.fill(1)


def fencing(case):
    case.create()
    reader = case.reader({0: 0}, **COMMITTED)

    def comes(producer, value):
        transaction(producer, case.topic, [value])
        [record] = until("the record", lambda: reader.poll(0.1))
        assert record.value == value, record

    for sends in [True, False]:
        first = case.transactional("writer")
        comes(first, b"of the first")
        first.begin()
        first.send(case.topic, 0, b"left open")()
        second = case.transactional("writer")
        comes(second, b"of the second")
        if sends:
            code = refusal(first.send(case.topic, 0, b"late"))
            assert code in case.client.FENCED, code
        # Before the second goes on: a client may ask for a new epoch first, which in a transaction of the second would
        # fence that one.
        until("the fencing", lambda: refusal(lambda: first.end(not sends)) in case.client.FENCED)
        comes(second, b"later")


def transaction_timeout(case):
    case.create()
    code = refusal(lambda: case.transactional("patient", transaction_timeout_ms=MAX_TIMEOUT_MS + 1))
    assert code == INVALID_TRANSACTION_TIMEOUT, code
    reader = case.reader({0: 0}, **COMMITTED)
    slow = case.transactional("slow", transaction_timeout_ms=TIMEOUT_MS)
    slow.begin()
    assert slow.send(case.topic, 0, b"too late")() == 0
    assert case.fill(1) == [1]
    assert offsets_read(reader, 1) == [1]
    code = refusal(lambda: slow.end(True))
    assert code in case.client.FENCED, code


def transactions_admin(case):
    if TRANSACTIONS_ADMIN in case.client.LACKS:
        raise NotApplicable(f"the client lacks {TRANSACTIONS_ADMIN}")
    admin = case.create(2)
    start_ms = int(time.time() * 1000)
    producer = case.transactional("hanging", transaction_timeout_ms=60_000)
    transactional_id = case.transactional_id("hanging")
    producer.begin()
    waits = [producer.send(case.topic, n % 2, text(n)) for n in range(20)]
    assert [wait() for wait in waits] == [n // 2 for n in range(20)]
    described = admin.transaction(transactional_id)
    _, controller, _ = admin.cluster()
    expected = (controller, "Ongoing", 60_000, {(case.topic, 0), (case.topic, 1)})
    assert (described.coordinator, described.state, described.timeout_ms, described.partitions) == expected, described
    assert start_ms <= described.start_ms <= time.time() * 1000, described
    assert refusal(lambda: admin.transaction(f"{transactional_id}-unknown")) == TRANSACTIONAL_ID_NOT_FOUND

    listed = {(transactional_id, described.producer_id, "Ongoing")}
    for filters, found in [
        ({}, True),
        ({"state_filters": ["Ongoing", "Empty"]}, True),
        ({"state_filters": ["CompleteCommit"]}, False),
        ({"producer_id_filters": [described.producer_id]}, True),
        ({"producer_id_filters": [described.producer_id + 1_000_000]}, False),
        ({"duration_filter_ms": 3_600_000}, False),
        ({"transactional_id_pattern": f"{case.topic}.*"}, True),
        ({"transactional_id_pattern": "unlike.*"}, False),
    ]:
        assert (listed <= admin.transactions(**filters)) == found, filters

    for partition in range(2):
        assert case.end(partition, **COMMITTED) == 0
        # Epoch, last sequence and the first offset of the open transaction.
        state = admin.producer(case.topic, partition, described.producer_id)
        assert state == (described.producer_epoch, 9, 0), state
        admin.abort_hanging(case.topic, partition, described)
        state = admin.producer(case.topic, partition, described.producer_id)
        assert state[2] == -1, state
        assert case.end(partition, **COMMITTED) == 11
    assert admin.transaction(transactional_id).state == "Ongoing"
