"""Scenario of offsets that are committed in every way, and found again."""

from case import until
from client import refusal

OFFSET_METADATA_TOO_LARGE = 12
# Long: kafka-python sometimes never joins a group when each of its polls is short.
POLL_S = 0.5
METADATA = "an der Straße, 在拐角处"


class Reader:
    """A member that is alone in its group, and counts what it reads."""

    def __init__(self, case, **settings):
        self.case = case
        self.offsets = []
        self.assigned = False
        self.consumer = case.consumer(heartbeat_interval_ms=100, **settings)
        self.consumer.subscribe(self.on_assigned)

    def on_assigned(self, _):
        self.assigned = True

    def poll(self, count=1):
        self.offsets += [record.offset for record in self.consumer.poll(POLL_S, count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()

    def reads(self, *expected):
        """Reads exactly these offsets next."""

        def complete():
            self.poll()
            return len(self.offsets) >= len(expected)

        until(f"{len(expected)} records", complete)
        assert self.offsets == list(expected), (self.offsets, expected)
        self.offsets = []


def commit(case):
    case.create()
    assert case.fill(50) == list(range(50))
    observer = case.open(case.consumer())
    assert observer.committed(0) is None

    with Reader(case) as synchronous:
        synchronous.reads(*range(4))
        synchronous.consumer.commit({0: 4})
        assert synchronous.consumer.committed(0) == (4, "")
        synchronous.reads(*range(4, 8))
    assert observer.committed(0) == (4, "")

    with Reader(case) as asynchronous:
        asynchronous.reads(*range(4, 11))
        asynchronous.consumer.commit_async({0: 11}, METADATA)
        until("the callback", lambda: asynchronous.poll() or asynchronous.consumer.commits)
        assert asynchronous.consumer.commits == [None], asynchronous.consumer.commits
    assert observer.committed(0) == (11, METADATA)

    with Reader(case, enable_auto_commit=True, auto_commit_interval_ms=100) as automatic:
        automatic.reads(*range(11, 50))
        until("the commit", lambda: automatic.poll() or observer.committed(0) == (50, ""))
    assert case.fill(10) == list(range(50, 60))
    with Reader(case, enable_auto_commit=True, auto_commit_interval_ms=3_600_000) as closing:
        closing.reads(50)
        assert observer.committed(0) == (50, "")
    assert observer.committed(0) == (51, "")

    for offset, metadata in [(30, METADATA), (31, ""), (25, "x" * 4095)]:
        observer.commit({0: offset}, metadata)
        assert observer.committed(0) == (offset, metadata)
    code = refusal(lambda: observer.commit({0: 26}, "x" * 4097))
    assert code == OFFSET_METADATA_TOO_LARGE, code
    assert observer.committed(0) == (25, "x" * 4095)

    with Reader(case) as last:
        last.reads(*range(25, 60))
