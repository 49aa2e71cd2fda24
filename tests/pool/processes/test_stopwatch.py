"""Time limits count the time in which something ran."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from bnnbench.pool.failures import TimeExceeded
from bnnbench.pool.processes import stopwatch
from bnnbench.pool.processes.slot import Slot
from bnnbench.pool.processes.stopwatch import LONGEST_STEP, Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that stopwatches read; `now` may be set."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: clock.now)
    return clock


def test_steps_are_counted_from_the_first_look(clock: SimpleNamespace) -> None:
    watch = Stopwatch()
    clock.now += 100
    assert watch.look() == 0
    for _ in range(20):
        clock.now += 0.5
        seconds = watch.look()
    assert seconds == 10


def test_a_pause_of_the_process_is_not_counted(clock: SimpleNamespace) -> None:
    watch = Stopwatch()
    watch.look()
    clock.now += 8 * 3600
    assert watch.look() == LONGEST_STEP


def test_a_job_that_was_suspended_for_hours_keeps_its_limit(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, killed = Slot(0, 1, [0], "run"), []
    monkeypatch.setattr(slot, "_pool_is_usable", lambda: True)
    monkeypatch.setattr(slot, "_kill", lambda worker, limit: killed.append(limit))
    running: Future[Any] = Future()
    slot._job, slot._running, slot._limit = Future(), running, 60.0
    clock.now += 1000
    slot.watch()  # The worker is still starting.
    running.set_running_or_notify_cancel()
    slot.watch()
    clock.now += 8 * 3600
    slot.watch()
    assert killed == []
    for _ in range(60):
        clock.now += 1
        slot.watch()
    assert set(killed) == {TimeExceeded}
