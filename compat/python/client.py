"""What the two clients have in common for the scenarios.

confluent_client.py and kafka_python_client.py each have the classes Admin, Producer and Consumer with the same methods, so
that a scenario is written once. Settings bear Apache Kafka's names.
"""

from collections import namedtuple

TIMEOUT_S = 60

# A record as it was read; headers are a list of pairs.
Record = namedtuple("Record", "partition offset key value headers timestamp_ms")
# As its coordinator describes it; partitions are a set of pairs of topic and partition.
Transaction = namedtuple("Transaction", "coordinator state producer_id producer_epoch timeout_ms start_ms partitions")

# Members of the consumer protocol (KIP-848); what they leave out is the broker's to say.
CONSUMER_PROTOCOL = {"group_protocol": "consumer"}

# Parts of the protocol that a client may be unable to express (LACKS in its module).
NULL_HEADER_VALUE = "a header value of null"
NEW_GROUPS = "the consumer protocol (group.protocol=consumer)"
TRANSACTIONS_ADMIN = "an administration of transactions"
NULL_KEY_AND_VALUE = "a record whose key and value are null"


class BrokerError(Exception):
    """The broker's error code as the client reported it, negative or None where the client itself gave up."""

    def __init__(self, code, cause):
        super().__init__(code, cause)
        self.code = code


class NotApplicable(Exception):
    """The client's documented interface cannot express the scenario; the text says what lacks."""


def ignored(_):
    """A listener to what a scenario does not follow."""


def refusal(call):
    """The broker's error code that a call must end with."""
    try:
        answer = call()
    except BrokerError as error:
        return error.code
    raise AssertionError(f"no error but {answer!r}")
