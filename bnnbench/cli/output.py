"""The output of commands, apart from what plugins print: the one goes to standard output, the other to standard error.

A plugin prints when it is imported, in its hook, or in the code of a component; by Python, C, or a child process. So
the descriptor 1 itself leads to standard error while a command runs, and the command writes to a copy of what it was.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from bnnbench.pool.processes import streams

_own: list[TextIO] = []
"""The stream of the output of the command that runs; empty if none runs."""
_raw: list[streams.Output] = []
"""What writes the output of this process; empty if the process is not a command, but has a command called."""
_others: list[TextIO] = []
"""The stream that plugins find as `sys.stdout`; empty if the process is not a command, but has a command called."""


def take_standard_streams() -> None:
    """Set up the standard streams of a process that is a command, for good.

    `sys.stdout` is the command's own output until a command runs (`others_apart`). A program that has replaced
    `sys.stdout`, such as a notebook, keeps its streams.
    """
    if sys.stdout is not sys.__stdout__:
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    handler = getattr(sys.stdout, "errors", None) or "strict"
    streams.open_standard_descriptors()
    own = os.dup(1)  # Child processes do not inherit it.
    os.dup2(2, 1)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lasts as long as the process
    sys.stderr = streams.errors_to(2)
    _others.append(streams.errors_to(1))
    # A letter that the encoding lacks, or part of a path that is no text, is printed as a question mark.
    handler = "replace" if handler in ("strict", "surrogateescape") else handler
    _raw.append(streams.Output(own))
    buffer = io.BufferedWriter(_raw[-1])
    sys.stdout = io.TextIOWrapper(buffer, encoding, errors=handler, line_buffering=os.isatty(own))


def leave_standard_streams() -> None:
    """Let `sys.stdout` lead to standard error: threads and exit functions of plugins may still print."""
    if _others:
        sys.stdout = _others[-1]


@contextlib.contextmanager
def others_apart() -> Iterator[None]:
    """A context in which `print` prints to standard error, and `say` to what was standard output before."""
    _own.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(_others[-1] if _others else sys.stderr):
            yield
    finally:
        _own.pop()


def lost_output() -> str | None:
    """Why the command's own output could not be written, told once; None if it could, or if its reader has gone."""
    own_output().flush()
    if not _raw or (failure := _raw[-1].failure) is None:
        return None
    _raw[-1].failure = None
    return f"standard output cannot be written to: {(failure.strerror or str(failure)).lower()}"


def own_output() -> TextIO:
    """The stream of the command's own output."""
    return _own[-1] if _own else sys.stdout
