"""The first steps of a worker process: threads and cores are set before any framework is imported.

This module imports nothing that computes: numpy, torch and JAX read their thread counts once, when they are imported.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bnnbench.pool.failures import raised
from bnnbench.pool.processes.streams import errors_to, open_standard_descriptors


def start(threads: int, cores: Sequence[int], share: float | None = None) -> None:
    """Set up a worker: its signals, its output, its threads, and the cores and the share of a GPU that it may use."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the run ends its workers.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Blocked at birth; its children must not inherit that.
    open_standard_descriptors()
    os.dup2(2, 1)  # Standard output is for tables alone, so what a plugin prints goes to standard error.
    sys.stdout, sys.stderr = errors_to(1), errors_to(2)  # A component that prints must not fail for want of a reader.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take three quarters of a GPU at once.
    if share is not None:
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{share:.4f}"  # torch's share is set with each task.
    if hasattr(os, "sched_setaffinity"):
        # JAX has no setting for threads but the visible cores, and gives other bits on one core than on two.
        os.sched_setaffinity(0, cores)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # Where memory is short, Linux ends this process before those of other people.


def perform(payload: bytes) -> Any:
    """Call a function and return its result; the payload is the pickled function with its arguments.

    It comes from the run on this computer. It is unpickled within the job, so that a plugin that cannot be imported
    fails its job and not the worker. Raises what `raised` makes of any exception.
    """
    try:
        function, arguments = pickle.loads(payload)
        return function(*arguments)
    except BaseException as error:  # noqa: BLE001 - one that is not caught here would end the worker without a reason
        raise raised(error) from None
