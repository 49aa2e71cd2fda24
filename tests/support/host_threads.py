"""A thread of the host, and the global random states that it may draw from."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import numpy as np
import torch

from bnnbench.core.changes import others_may_have_run, processor_times


class Worker:
    """A thread of the host that does its work once each time it is asked."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work, self._asked, self._done, self._over = work, threading.Event(), threading.Event(), False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while self._asked.wait() and not self._over:
            self._asked.clear()
            self._work()
            self._done.set()

    def __call__(self) -> None:
        self._asked.set()
        assert self._done.wait(60)
        self._done.clear()

    def settle(self) -> None:
        """Wait until the thread has gone back to waiting."""
        before = processor_times()
        while time.sleep(0.02) or others_may_have_run(before):
            before = processor_times()

    def __enter__(self) -> Worker:
        self.thread.start()
        self()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._asked.set()
        self.thread.join()


STATES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "torch": (lambda: torch.rand(1), lambda: torch.get_rng_state().tolist()),
    "numpy": (np.random.rand, np.random.get_state),
    "random": (random.random, random.getstate),
}
