"""What a plugin raises itself, and what the user interrupts."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType

import pytest

from bnnbench.errors import PluginError
from bnnbench.plugins.signals import contained, signals_noted


class Panic(BaseException):
    """As extensions raise it that are written in another language."""


def sent(number: int) -> None:
    """Send this process a signal, and wait for it."""
    os.kill(os.getpid(), number)
    signal.pause()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Panic("built for another Python"), "Panic: built for another Python"),
        (GeneratorExit(), "GeneratorExit"),
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError("c"), "CancelledError: c"),
    ],
)
def test_what_a_plugin_raises_itself_is_a_plugin_error(error: BaseException, told: str) -> None:
    with pytest.raises(PluginError, match=f"^{told}$"), contained():
        raise error


def test_an_ordinary_exception_stays_itself() -> None:
    with pytest.raises(ZeroDivisionError), contained():
        raise ZeroDivisionError


def test_an_interruption_by_the_user_stays_itself() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), contained():
        sent(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_exception_of_a_handler_of_the_host_stays_itself() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Panic("the host's")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(Panic), contained():
            sent(signal.SIGALRM)
        assert signal.getsignal(signal.SIGALRM) is stop
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_handler_that_a_plugin_sets_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    own = signal.default_int_handler
    signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with signals_noted() as arrived:
            signal.signal(signal.SIGUSR1, own)
        assert (signal.getsignal(signal.SIGUSR1), arrived) == (own, [])
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_another_thread_is_never_interrupted() -> None:
    told: list[str] = []

    def work() -> None:
        try:
            with contained():
                raise KeyboardInterrupt
        except PluginError as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == ["KeyboardInterrupt"]
