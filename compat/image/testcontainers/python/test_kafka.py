"""A test that starts Ottla's image with the stock Kafka module of testcontainers."""

from confluent_kafka import Consumer, Producer
from testcontainers.community.kafka import KafkaContainer

# The module accepts any name; its tag must be a version of cp-kafka, from 7 on for KRaft.
IMAGE = "confluentinc/cp-kafka:7.6.0"


def test_produce_and_consume():
    with KafkaContainer(IMAGE).with_kraft() as kafka:
        servers = kafka.get_bootstrap_server()

        producer = Producer({"bootstrap.servers": servers})
        producer.produce("greetings", b"hello")
        assert producer.flush(20) == 0

        consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "test", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe(["greetings"])
        record = consumer.poll(20)
        consumer.close()
        assert record is not None and record.error() is None
        assert record.value() == b"hello"
