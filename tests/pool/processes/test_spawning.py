"""The start of a worker: the worker is marked, and the process that starts it is left as it is."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from waiting import within

from bnnbench.pool.processes.guard import MARK
from bnnbench.pool.processes.spawning import MarkedContext, Worker

pytestmark = pytest.mark.integration


class Looking:
    """An argument of a worker that looks around while it is pickled, which is when another thread may run."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def __reduce__(self) -> tuple[type, tuple[float]]:
        self.seen += [dict(os.environ), sys.modules["__main__"]]
        return float, (600.0,)


@contextlib.contextmanager
def running(process: Worker) -> Iterator[psutil.Process]:
    process.start()
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.join()


def test_the_host_keeps_its_environment_and_its_main_module_while_a_worker_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread may start a process, or pickle an object of the main module, at any moment."""
    changed: list[object] = []
    monkeypatch.setattr(os, "putenv", lambda *pair: changed.append(pair))
    monkeypatch.setattr(os, "unsetenv", changed.append)
    before, looking = dict(os.environ), Looking()
    with running(MarkedContext("run.0").Process(target=time.sleep, args=(looking,))):
        assert looking.seen == [before, sys.modules["__main__"]]
    assert changed == []
    assert "ignore:resource_tracker" not in sys.warnoptions


def test_each_worker_has_a_mark_of_its_own_and_the_rest_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_HOST", "kept")
    context = MarkedContext("run.3")
    for number in (1, 2):
        with running(context.Process(target=time.sleep, args=(600.0,))) as process:
            # Right after its birth a process still has the environment of the one that made it.
            assert within(30, lambda: MARK in process.environ())
            environment = process.environ()
            assert (environment[MARK], environment["OF_THE_HOST"]) == (f"run.3.{number}", "kept")
            assert context.marks_of_the_dead() == set()
        assert context.marks_of_the_dead() == {f"run.3.{number}"}


@pytest.mark.parametrize("code", [0, 7])
def test_the_exit_code_of_a_worker_is_known(code: int) -> None:
    context = MarkedContext("run.0")
    process = context.Process(target=os._exit, args=(code,))
    process.start()
    process.join(60)
    assert (process.exitcode, process.is_alive()) == (code, False)
    assert context.ended_with_code_zero() is (code == 0)


def test_a_worker_that_is_killed_tells_the_signal() -> None:
    process = MarkedContext("run.0").Process(target=time.sleep, args=(600.0,))
    process.start()
    assert process.is_alive()
    process.kill()
    process.join()
    assert process.exitcode == -9


def test_no_descriptor_is_left_open() -> None:
    this, context = psutil.Process(), MarkedContext("run.0")
    with running(context.Process(target=time.sleep, args=(600.0,))):
        pass
    context.marks_of_the_dead()
    gc.collect()  # What earlier tests left open may be closed at any time.
    before = this.num_fds()
    for _ in range(3):
        process = context.Process(target=time.sleep, args=(600.0,))
        with running(process):
            pass
        context.marks_of_the_dead()
        process.close()
    assert this.num_fds() <= before
