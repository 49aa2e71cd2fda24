"""Jobs in the calling process."""

from __future__ import annotations

import os
import signal

import pytest

from bnnbench.errors import BnnbenchError
from bnnbench.pool.inline import InlinePool
from bnnbench.pool.job import Job, Setting

SETTING = Setting("store", "cpu", 1)


def number(offset: int, setting: Setting) -> str:
    return f"{os.getpid() + offset} {setting.store}"


def failing(error: BaseException, setting: Setting) -> str:
    raise error


def test_a_job_runs_in_this_process_before_submit_returns() -> None:
    with InlinePool() as pool:
        future = pool.submit(Job(number, (1,), (), 1.0), SETTING)
        assert future.done()
        assert future.result() == f"{os.getpid() + 1} store"
        assert pool.capacity == 1
        pool.watch()


@pytest.mark.parametrize("error", [ValueError("on purpose"), BnnbenchError("on purpose")])
def test_what_a_job_raises_is_the_failure_of_its_future(error: Exception) -> None:
    with InlinePool() as pool:
        future = pool.submit(Job(failing, (error,), (), 1.0), SETTING)
        assert "on purpose" in str(future.exception())


def test_what_a_job_raises_that_is_no_exception_is_its_failure_too() -> None:
    class Panic(BaseException):
        pass

    with InlinePool() as pool:
        for error, told in (
            (Panic("x"), "Panic: x"),
            (SystemExit(0), "SystemExit: 0"),
            (GeneratorExit(), "GeneratorExit"),
        ):
            future = pool.submit(Job(failing, (error,), (), 1.0), SETTING)
            assert str(future.exception()) == told


def stopped(setting: Setting) -> str:
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.pause()
    return "ok"


def test_the_exception_of_a_signal_ends_the_run() -> None:
    def stop(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with InlinePool() as pool, pytest.raises(SystemExit):
            pool.submit(Job(stopped, (), (), 1.0), SETTING)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_interrupt_is_not_taken_for_a_failure() -> None:
    with InlinePool() as pool, pytest.raises(KeyboardInterrupt):
        pool.submit(Job(failing, (KeyboardInterrupt(),), (), 1.0), SETTING)
