"""Progress of running tasks, from the workers to the display, by datagrams: calls may be lost, nothing can block."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

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
    """Receives steps on a loopback port of its own; `address` goes to the workers."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address: tuple[str, int] = self._socket.getsockname()

    def steps(self) -> Iterator[Step]:
        """What has arrived."""
        while True:
            try:
                packet = self._socket.recv(4096)
                task, done, total, note = json.loads(packet)
                yield Step(str(task), int(done), int(total), str(note))
            except (BlockingIOError, OSError):
                return
            except (ValueError, TypeError):
                continue  # Not from a worker of ours.

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Reporter:
    """A `Progress` that sends steps of one task to a listener, or to nobody."""

    def __init__(self, address: tuple[str, int] | None, task: str) -> None:
        self._address, self._task, self._last = address, task, 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if address else None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self._socket is None or (now - self._last < INTERVAL and done < total):
            return
        self._last = now
        try:
            self._socket.sendto(json.dumps([self._task, done, total, note[:200]]).encode(), self._address or ("", 0))
        except OSError:
            self._socket = None
