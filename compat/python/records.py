"""Scenarios of records: what is produced comes back as it was."""

import time

from case import bytes_of_sizes, until
from client import NULL_HEADER_VALUE, NULL_KEY_AND_VALUE, refusal

PARTITIONS = 3
MESSAGE_TOO_LARGE = 10
LATENCY_MAX_S = 1


def produce(case, codec):
    case.create(PARTITIONS)
    values = bytes_of_sizes(1000, 10_000)
    written = [[] for _ in range(PARTITIONS)]
    # acks 0 comes last: the broker closes the connection of one that it cannot serve yet.
    for acks in ["all", 1, 0]:
        producer = case.producer(acks=acks, enable_idempotence=False, compression_type=codec, linger_ms=5)
        waits = [(n % PARTITIONS, producer.send(case.topic, n % PARTITIONS, v)) for n, v in enumerate(values)]
        for (partition, wait), value in zip(waits, values):
            offset = wait()
            assert acks == 0 or offset == len(written[partition]), (acks, partition, offset, len(written[partition]))
            written[partition].append(value)
    read = case.read_back([len(values) for values in written])
    assert [[record.value for record in records] for records in read] == written


def idempotent(case):
    case.create(PARTITIONS)
    producer = case.producer(acks="all", enable_idempotence=True, linger_ms=5)
    written = [[] for _ in range(PARTITIONS)]
    waits = []
    for number in range(2000):
        written[number % PARTITIONS].append(b"%d" % number)
        waits.append(producer.send(case.topic, number % PARTITIONS, b"%d" % number))
        # Waiting now and then makes many requests, each of which may be cut.
        if number % 20 == 19:
            waits[-1]()
    offsets = [wait() for wait in waits]
    assert offsets == [number // PARTITIONS for number in range(2000)]
    read = case.read_back([len(values) for values in written])
    assert [[record.value for record in records] for records in read] == written


def headers(case):
    case.create()
    now_ms = int(time.time() * 1000)
    records = [
        (b"key", b"value", [], now_ms),
        (None, b"value", [("one", b"1")], now_ms - 1),
        (b"", b"", [("", b"")], now_ms - 86_400_123),
        (b"key", None, [("one", b"1"), ("two", b""), ("one", b"\x00\xff"), ("one", b"1")], now_ms - 2),
        (b"", None, [("größe", "groß".encode())], 1),
        (None, b"", [(f"{n}", b"%d" % n) for n in range(100)], now_ms + 7),
    ]
    if NULL_HEADER_VALUE not in case.client.LACKS:
        records.append((b"key", b"value", [("null", None), ("one", b"1"), ("null", None)], now_ms))
    if NULL_KEY_AND_VALUE not in case.client.LACKS:
        records.append((None, None, [("one", b"1")], now_ms))
    producer = case.producer()
    waits = [producer.send(case.topic, 0, value, key, headers, ms) for key, value, headers, ms in records]
    assert [wait() for wait in waits] == list(range(len(records)))
    [read] = case.read_back([len(records)])
    assert [(r.key, r.value, r.headers, r.timestamp_ms) for r in read] == records, read


def large(case):
    case.create()
    # An idempotent producer of kafka-python gives up for good after the refusal.
    producer = case.producer(max_request_size=2_000_000, enable_idempotence=False)
    [fits] = bytes_of_sizes(3, 900_000)[1:2]
    assert producer.send(case.topic, 0, fits)() == 0
    code = refusal(producer.send(case.topic, 0, bytes(1_500_000)))
    assert code == MESSAGE_TOO_LARGE, code
    assert producer.send(case.topic, 0, b"small")() == 1
    [read] = case.read_back([2])
    assert [record.value for record in read] == [fits, b"small"]


def long_poll(case):
    case.create()
    producer = case.producer()
    reader = case.reader({0: 0}, fetch_max_wait_ms=20_000, fetch_min_bytes=1)
    producer.send(case.topic, 0, b"first")()
    until("the first record", lambda: reader.poll(0.1))
    for number in range(1, 21):
        # Nothing comes, and the fetch of this poll goes on waiting at the broker.
        assert reader.poll(0.3) == []
        assert producer.send(case.topic, 0, b"%d" % number)() == number
        acknowledged = time.monotonic()
        [record] = until(f"record {number}", lambda: reader.poll(0.1))
        waited_s = time.monotonic() - acknowledged
        assert (record.offset, record.value) == (number, b"%d" % number), record
        assert waited_s < LATENCY_MAX_S, f"record {number} came after {waited_s:.3f} s"
