"""Progress of running tasks, from the workers to the display, by datagrams: calls may be lost, nothing can block."""

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
"""Host, port, and the word that begins each datagram."""
INTERVAL = 0.2
"""Seconds between the calls of one task that are sent."""


@dataclass(frozen=True)
class Step:
    """How far a task is."""

    task: str
    done: int
    total: int
    note: str


class Listener:
    """Receives steps on a loopback port of its own; `address`, with a word that only its own workers know, goes to
    them."""

    def __init__(self) -> None:
        word = uuid.uuid4().hex
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address: Address = (*self._socket.getsockname(), word)

    def steps(self) -> Iterator[Step]:
        """What has arrived."""
        while True:
            try:
                packet = self._socket.recv(4096)
            except OSError:
                return
            with contextlib.suppress(
                ValueError, TypeError, OverflowError, RecursionError
            ):  # Anybody may send anything.
                word, task, done, total, note = json.loads(packet)
                if word == self.address[2]:
                    yield Step(str(task), int(done), int(total), one_line(str(note)))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Reporter:
    """A `Progress` that sends steps of one task to a listener, or to nobody."""

    def __init__(self, address: Address | None, task: str) -> None:
        self._address, self._task, self._last = address, task, 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if address else None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self._socket is None or (now - self._last < INTERVAL and done < total):
            return
        self._last = now
        host, port, word = self._address or ("", 0, "")
        try:
            self._socket.sendto(
                json.dumps([word, self._task, int(done), int(total), note[:200]]).encode(), (host, port)
            )
        except OSError:
            self._socket = None
