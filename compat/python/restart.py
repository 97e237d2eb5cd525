"""Scenario of a broker that is restarted under load."""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from membership import Group

PARTITIONS = 4
RECORDS_BEFORE = 300
RECORDS_AFTER = 1000
RECORDS_AT_ONCE = 20
PAUSE_S = 0.05


class Connection:
    """A connection that sees the broker go."""

    def __init__(self, bootstrap):
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setblocking(False)

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


def write_until(stop, group):
    while not stop.wait(PAUSE_S):
        group.write(RECORDS_AT_ONCE)


def restart(case):
    group = Group(case, PARTITIONS, broker_restarts=True)
    for _ in range(2):
        group.join()
    group.until("shares of two", group.shared)
    connection = Connection(case.bootstrap)
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write_until, stop, group)

        def written(count):
            # A writer that has failed ends the waiting, and the scenario with its error.
            group.until(f"{count} records", lambda: len(group.written) >= count or writer.done())

        try:
            written(RECORDS_BEFORE)
            print("restart", flush=True)
            group.until("the broker's end", connection.is_closed)
            written(len(group.written) + RECORDS_AFTER)
        finally:
            stop.set()
    writer.result()
    group.read()
    group.close()
