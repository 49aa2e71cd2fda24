"""How a worker process starts: threads and cores are set before any framework is imported.

This module imports nothing that computes: numpy, torch and JAX read their thread counts once, when they are imported.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from typing import Any


def start(threads: int, slot: int) -> None:
    """Set up the worker of a slot: its threads, and its own cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Blocked at birth, and now for good, whatever a plugin unblocks.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        first = slot * threads
        # JAX gives other bits on one visible core than on two, and knows no thread count but this.
        os.sched_setaffinity(0, {cores[(first + offset) % len(cores)] for offset in range(min(threads, len(cores)))})
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # Where memory is short, Linux ends this process before those of other people.


def perform(payload: bytes) -> Any:
    """Call what the payload says.

    It comes from this computer's own run, and is unpickled here, within the task: a plugin that cannot be imported
    fails its task, and not the worker.
    """
    function, arguments = pickle.loads(payload)
    return function(*arguments)
