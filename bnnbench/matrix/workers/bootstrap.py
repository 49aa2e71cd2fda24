"""How a worker process starts: threads and cores are set before any framework is imported.

This module imports nothing that computes: numpy, torch and JAX read their thread counts once, when they are imported.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Sequence
from typing import Any

from bnnbench.matrix.workers.failures import told


def start(threads: int, cores: Sequence[int]) -> None:
    """Set up a worker: its threads, and the cores that it may use."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the runner decides.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Blocked since its birth; not so for its children.
    os.dup2(2, 1)  # Standard output is the tables': what a plugin prints goes where the rest is told.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if hasattr(os, "sched_setaffinity"):
        # JAX gives other bits on one visible core than on two, and knows no thread count but this.
        os.sched_setaffinity(0, cores)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # Where memory is short, Linux ends this process before those of other people.


def perform(payload: bytes) -> Any:
    """Call what the payload says.

    It comes from this computer's own run, and is unpickled here, within the task: a plugin that cannot be imported
    fails its task, and not the worker.
    """
    try:
        function, arguments = pickle.loads(payload)
        return function(*arguments)
    except BaseException as error:  # noqa: BLE001 - what is not told here would end the worker without a word
        raise told(error) from None
