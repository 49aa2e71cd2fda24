"""Send the progress of running jobs to the run by datagrams: some may be lost, and none can block a job."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from bnnbench.errors import one_line

Address = tuple[str, int, str]
"""The host and the port of a listener, and the secret word that begins each datagram."""
INTERVAL = 0.2
"""The shortest time in seconds between two steps that a job sends."""


@dataclass(frozen=True)
class Step:
    """The progress of a task, by its key: `done` of `total` units of work, and a short note."""

    task: str
    done: int
    total: int
    note: str


class Listener:
    """Receives steps on a loopback port of its own.

    `address` is given to the workers of a run. It holds a secret word, and datagrams without that word are ignored.
    """

    def __init__(self) -> None:
        word = uuid.uuid4().hex
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address: Address = (*self._socket.getsockname(), word)

    def steps(self) -> Iterator[Step]:
        """The steps that have arrived since the last call."""
        while True:
            try:
                packet = self._socket.recv(4096)
            except OSError:
                return
            # Any process of this computer may send any bytes to the port.
            with contextlib.suppress(ValueError, TypeError, OverflowError, RecursionError):
                word, task, done, total, note = json.loads(packet)
                if word == self.address[2]:
                    yield Step(str(task), int(done), int(total), one_line(str(note)))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Reporter:
    """A `Progress` that sends the steps of one task to the listener at an address; without an address it does nothing.

    Steps that follow another within `INTERVAL` are not sent, except the first that reaches its total. A total of 0 is
    not known yet.
    """

    def __init__(self, address: Address | None, task: str) -> None:
        self._address, self._task, self._sent_at, self._reached = address, task, -INTERVAL, False

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Send a step: `done` of `total` units of work, and a note that is cut at 200 characters."""
        now = time.monotonic()
        reached = 0 < total <= done
        is_last = reached and not self._reached
        if self._address is None or (now - self._sent_at < INTERVAL and not is_last):
            return
        self._sent_at, self._reached = now, reached
        host, port, word = self._address
        try:
            packet = json.dumps([word, self._task, int(done), int(total), note[:200]])
            # A socket for each step, which are few: one that is kept stays open as long as an error holds its task.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(packet.encode(), (host, port))
        except OSError:
            self._address = None
