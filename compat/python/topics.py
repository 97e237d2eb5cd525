"""Scenarios of topics: their administration, and positions in them."""

import time

from case import offsets_read, until
from client import BrokerError, refusal

UNKNOWN_TOPIC_OR_PARTITION = 3
TOPIC_ALREADY_EXISTS = 36
INVALID_REPLICATION_FACTOR = 38
RETENTION = "retention.ms"


def admin(case):
    admin, topic = case.admin(), case.topic
    admin.create_topic(topic, 3, config={RETENTION: "123456"})
    until("the topic in the list", lambda: topic in admin.topics())
    cluster_id, controller, nodes = admin.cluster()
    [node] = nodes
    assert cluster_id and controller == node and nodes[node] == case.bootstrap, (cluster_id, controller, nodes)
    until("3 partitions", lambda: admin.partitions(topic) == [(node, [node], [node])] * 3)

    default = (str(7 * 24 * 60 * 60 * 1000), False)
    until("the configuration", lambda: admin.config(topic)[RETENTION] == ("123456", True))
    assert admin.config(topic)["cleanup.policy"] == ("delete", False), admin.config(topic)
    admin.set_config(topic, RETENTION, "654321")
    until("the change", lambda: admin.config(topic)[RETENTION] == ("654321", True))
    admin.reset_config(topic, RETENTION)
    until("the default", lambda: admin.config(topic)[RETENTION] == default)

    admin.create_partitions(topic, 5)
    until("5 partitions", lambda: admin.partitions(topic) == [(node, [node], [node])] * 5)
    code = refusal(lambda: admin.create_topic(topic, 3))
    assert code == TOPIC_ALREADY_EXISTS, code
    code = refusal(lambda: admin.create_topic(f"{topic}-replicated", 1, 3))
    assert code == INVALID_REPLICATION_FACTOR, code

    admin.delete_topic(topic)
    until("the topic's end", lambda: topic not in admin.topics())
    code = refusal(lambda: admin.partitions(topic))
    assert code == UNKNOWN_TOPIC_OR_PARTITION, code
    assert f"{topic}-replicated" not in admin.topics()


def seek(case):
    case.create()
    producer = case.producer()
    start_ms = int(time.time() * 1000) - 100_000
    for number in range(10):
        wait = producer.send(case.topic, 0, b"%d" % number, timestamp_ms=start_ms + 1000 * number)
        assert wait() == number
    reader = case.reader({0: 0})
    assert offsets_read(reader, 10) == list(range(10))
    for start in [3, 8, 0]:
        reader.seek(0, start)
        assert offsets_read(reader, 10 - start) == list(range(start, 10))
    reader.seek(0, 5)
    reader.seek_to_beginning(0)
    assert offsets_read(reader, 10) == list(range(10))
    for time_ms, offset in [(-5000, 0), (0, 0), (1, 1), (2500, 3), (3000, 3), (8001, 9), (9000, 9), (9001, None)]:
        found = reader.offset_for_time(0, start_ms + time_ms)
        assert found == offset, (time_ms, found)
    assert reader.bounds(0) == (0, 10), reader.bounds(0)

    reader.seek_to_end(0)
    # A client may look for the end later than it says: what is written until then is no matter, but nothing older comes.
    found = until("a new record", lambda: producer.send(case.topic, 0, b"new")() and reader.poll(0.1))
    assert found[0].offset >= 10, found


def delete_records(case):
    admin = case.create()
    case.fill(100)
    assert admin.delete_records(case.topic, 0, 40) == 40
    earliest = case.reader({0: 0})
    assert earliest.bounds(0) == (40, 100), earliest.bounds(0)
    assert offsets_read(earliest, 60) == list(range(40, 100))
    latest = case.reader({0: 0}, auto_offset_reset="latest")
    assert latest.poll(1) == []
    case.fill(1)
    assert offsets_read(latest, 1) == [100]
    refusing = case.reader({0: 0}, auto_offset_reset=case.client.NO_RESET)
    code = until("the refusal", lambda: refusal_of_poll(refusing))
    assert code == case.client.OUT_OF_RANGE, code
    assert admin.delete_records(case.topic, 0, -1) == 101
    assert earliest.bounds(0) == (101, 101), earliest.bounds(0)


def refusal_of_poll(consumer):
    try:
        records = consumer.poll(0.1)
    except BrokerError as error:
        return error.code
    assert not records, records
    return None
