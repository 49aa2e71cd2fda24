"""Tell an interruption by the user from an exception that a plugin raises itself."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from bnnbench.errors import PluginError, message_of

INTERRUPTING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
"""The signals whose handlers raise exceptions in programs: the user's, those of timers, and those free for any use."""


@contextlib.contextmanager
def signals_noted() -> Iterator[list[int]]:
    """A context that gives a list, to which each of the `INTERRUPTING` signals that a handler takes meanwhile is added.

    `KeyboardInterrupt`, `SystemExit` or an exception of the host's own that is raised in the context comes from the
    user, or from a timer of the host, if a signal has arrived. Otherwise the code in the context has raised it.
    Handlers run in the main thread alone, so in any other thread the list stays empty.
    """
    arrived: list[int] = []
    replaced: dict[int, tuple[Any, Any]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in INTERRUPTING:
            handler = signal.getsignal(number)
            if callable(handler):
                noting = functools.partial(_note, arrived, handler)
                with contextlib.suppress(ValueError):  # An interpreter inside of another one has no signals.
                    signal.signal(number, noting)
                    replaced[number] = handler, noting
    try:
        yield arrived
    finally:
        for number, (handler, noting) in replaced.items():
            if signal.getsignal(number) is noting:
                signal.signal(number, handler)


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """A context for code of plugins: what it raises that is no `Exception` becomes a `PluginError` with its text.

    An extension's panic, `SystemExit` and `GeneratorExit` are such, and `KeyboardInterrupt` that no signal has caused.
    """
    with signals_noted() as arrived:
        try:
            yield
        except BaseException as error:
            if arrived or isinstance(error, Exception):
                raise
            raise PluginError(message_of(error)) from error


def _note(arrived: list[int], handler: Callable[[int, Any], Any], number: int, frame: Any) -> Any:
    """Note a signal, and do what its own handler does."""
    arrived.append(number)
    return handler(number, frame)
