"""A member of the checker's group: the twin of ../checker/member.rs, with the same options and the same journal.

../checker/journal.rs says what the lines of a journal mean and when they are written.
"""

import os
import sys
from argparse import ArgumentParser
from contextlib import contextmanager
from threading import Event, Thread, Timer
from time import monotonic_ns

from client import BrokerError

COMMIT_INTERVAL_MS = 100
LEAVE_TIMEOUT_S = 120
OPTIONS = ["bootstrap", "topic", "group", "journal", "protocol", "assignor", "commit"]


class Journal:
    def __init__(self, path):
        self.file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o644)

    def append(self, *words):
        """One line in one write, so that a killed process loses nothing but a torn last line."""
        line = " ".join(str(word).replace("\n", " ").replace("\r", " ") for word in words)
        os.write(self.file, f"{line}\n".encode())

    def committed(self, sent_ns, offsets):
        self.append("committed", sent_ns, monotonic_ns(), *pairs(offsets))

    def read(self, began_ns, offsets):
        self.append("read", began_ns, monotonic_ns(), *pairs(offsets))


def pairs(offsets):
    return [f"{partition}:{offset}" for partition, offset in offsets.items()]


def one_word(value):
    return "?".join((value or b"").decode(errors="replace").split()) or "?"


class Member:
    def __init__(self, client, options):
        self.client = client
        self.journal = Journal(options.journal)
        self.commits_itself = options.commit == "manual"
        # Delivered since the last commit: the offsets to commit next.
        self.positions = {}
        # Assigned, and the committed offset not read back yet.
        self.fresh = set()
        settings = {
            "auto.offset.reset": "earliest",
            "enable.auto.commit": not self.commits_itself,
            "auto.commit.interval.ms": COMMIT_INTERVAL_MS,
            "fetch.max.wait.ms": 100,
            "reconnect.backoff.max.ms": 1000,
            **kept_together(options),
        }
        self.consumer = client.Loaded(options.bootstrap, options.topic, options.group, settings, self)

    def run(self, leaving):
        committed_ns = monotonic_ns()
        while not leaving.is_set():
            records = self.poll()
            self.read_back()
            for record in records:
                self.journal.append("delivered", record.partition, record.offset, one_word(record.value))
                if self.consumer.is_read(record):
                    self.positions[record.partition] = record.offset + 1
            if monotonic_ns() - committed_ns >= COMMIT_INTERVAL_MS * 1_000_000:
                self.commit()
                committed_ns = monotonic_ns()
        # Leaves the group; revoking commits what is left.
        self.consumer.close()

    def poll(self):
        try:
            return self.consumer.poll(self.consumer.POLL_S, self.consumer.POLL_RECORDS)
        except BrokerError as error:
            if error.code in self.client.FATAL:
                raise
            self.journal.append("note poll:", error)
            return []

    def read_back(self):
        fresh, self.fresh = self.fresh, set()
        for partition in fresh:
            began_ns = monotonic_ns()
            try:
                found = self.consumer.committed(partition)
            except BrokerError as error:
                self.journal.append("note read:", error)
            else:
                self.journal.read(began_ns, {partition: found[0] if found else -1})

    @contextmanager
    def committing(self):
        """Around the commit of the positions that it gives."""
        sent_ns, offsets = monotonic_ns(), dict(self.positions)
        try:
            yield offsets
        except BrokerError as error:
            self.journal.append("note commit:", error)
        else:
            self.journal.committed(sent_ns, offsets)
            self.positions.clear()

    def has_to_commit(self):
        return self.commits_itself and bool(self.positions)

    def commit(self):
        if self.has_to_commit():
            with self.committing() as offsets:
                self.consumer.commit_read(offsets)

    def confirmed(self, error, offsets):
        """What the client commits by itself."""
        if error:
            self.journal.append("note commit:", error)
        else:
            self.journal.committed(0, offsets)

    def assigned(self, partitions):
        """Comes before the client asks for the committed offsets."""
        self.fresh |= partitions
        self.journal.append("assigned", monotonic_ns(), *partitions)

    def revoked(self, partitions):
        self.fresh -= partitions
        self.positions = {p: offset for p, offset in self.positions.items() if p not in partitions}
        self.journal.append("revoked", monotonic_ns(), *partitions)

    def lost(self, partitions):
        self.journal.append("note the assignment is lost")
        self.revoked(partitions)


def kept_together(options):
    if options.protocol == "consumer":
        assignor = "range" if options.assignor == "range" else "uniform"
        return {"group.protocol": "consumer", "group.remote.assignor": assignor}
    return {
        "partition.assignment.strategy": options.assignor,
        "session.timeout.ms": options.session_ms,
        "heartbeat.interval.ms": options.session_ms // 6,
    }


def leave_when_input_closes():
    """The sign to leave, also when whoever started this process is gone; nobody may be left to end one that cannot."""
    leaving = Event()

    def watch():
        while os.read(sys.stdin.fileno(), 4096):
            pass
        timer = Timer(LEAVE_TIMEOUT_S, os._exit, [3])
        timer.daemon = True
        timer.start()
        leaving.set()

    Thread(target=watch, daemon=True).start()
    return leaving


def run(client, arguments):
    parser = ArgumentParser()
    for name in OPTIONS:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--session-ms", type=int, required=True)
    member = Member(client, parser.parse_args(arguments))
    try:
        member.run(leave_when_input_closes())
    except Exception as error:
        member.journal.append("error", repr(error))
        raise
