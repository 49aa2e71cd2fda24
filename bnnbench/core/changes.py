"""Notice what code changes in the random states and settings that all code of a process shares, and put it back.

A state that changed while code ran may have been changed by another thread of the host program, such as one that trains
a network meanwhile. So all changes count only where no other thread ran.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bnnbench.core import process_state

RANDOM = "the global random state of "
"""How the names of random states begin."""
_DRAWN_FROM_BY_IMPORTS = (f"{RANDOM}numpy", f"{RANDOM}random")


@contextmanager
def put_back() -> Iterator[list[str]]:
    """Put back what the body changes of the process's random states and settings, and give the names of that.

    The list is filled when the context ends. Watched are the random states of torch, its CUDA devices, numpy and
    Python, settings of torch and JAX, and the working directory.

    If another thread ran meanwhile, it may be the cause. Then only settings that each thread has for itself are
    judged, and the others are not put back: that would make the other thread repeat its random numbers.

    Importing a library may draw from numpy's or Python's state (JAX and scikit-learn do). These two are put back, but
    are not named, where a module was imported.
    """
    # Before the states are read: a thread that changes one between the two must be seen to run.
    ran = processor_times()
    before = [(what, shared, shared.take()) for what, shared in _watched().items()]
    imported = len(sys.modules)
    names: list[str] = []
    try:
        yield names
    finally:
        changed = [(what, shared, state) for what, shared, state in before if not _same(shared.take(), state)]
        if changed and others_may_have_run(ran):
            changed = [entry for entry in changed if entry[1].of_thread]
        for _, shared, state in changed:
            shared.put(state)
        names += [what for what, _, _ in changed]
        if len(sys.modules) > imported:
            names[:] = [what for what in names if what not in _DRAWN_FROM_BY_IMPORTS]


def processor_times() -> dict[int, int | None]:
    """The nanoseconds that each other Python thread of this process has run, by its native identifier.

    None stands for a time that the system does not tell.
    """
    others = [thread.native_id for thread in threading.enumerate() if thread is not threading.current_thread()]
    return {number: _nanoseconds(number) for number in others if number is not None}


def others_may_have_run(before: dict[int, int | None]) -> bool:
    """Whether one of the threads of `processor_times` has run since, as far as can be told.

    Threads that were started since do not count: the watched code, or a thread that has run itself, started them.
    """
    return any(ran is None or _nanoseconds(number) != ran for number, ran in before.items())


def _nanoseconds(number: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        # Linux's clock of one thread. `time.pthread_getcpuclockid` gives the same number, but may crash for a thread
        # that has just ended.
        return time.clock_gettime_ns((~number << 3) | 6)
    except OSError:
        return None


def _watched() -> dict[str, process_state.Shared]:
    states = {f"{RANDOM}{library}": shared for library, shared in process_state.random_states().items()}
    return states | process_state.settings()


def _same(one: Any, other: Any) -> bool:
    """Whether two states have the same bits; they may be arrays, tensors on the CPU, and mappings and lists of them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "numpy"):
        return one.numpy().tobytes() == other.numpy().tobytes()
    if hasattr(one, "tobytes"):
        return one.tobytes() == other.tobytes()
    return one == other
