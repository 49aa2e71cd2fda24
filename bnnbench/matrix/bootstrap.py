"""How a worker process starts: threads and cores are set before any framework is imported.

This module imports nothing that computes: numpy, torch and JAX read their thread counts once, when they are imported.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

OUT_OF_MEMORY = 99
"""Exit code of a worker that outgrew its memory limit."""
_held: list[object] = []


def start(threads: int, memory: int, slots: str) -> None:
    """Set up a worker: its threads, its own cores, its memory limit; it ends when its parent does.

    `slots` is a directory where each living worker holds a lock: the number of the lock chooses the cores.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        first = _take_slot(Path(slots)) * threads
        # JAX gives other bits on one visible core than on two, and knows no thread count but this.
        os.sched_setaffinity(0, {cores[(first + offset) % len(cores)] for offset in range(min(threads, len(cores)))})
    threading.Thread(target=_watch, args=(os.getppid(), memory), daemon=True).start()


def _take_slot(folder: Path) -> int:
    import fcntl

    number = 0
    while True:
        file = open(folder / f"slot-{number}", "a")  # noqa: SIM115 - held open for as long as the worker lives
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            number += 1
        else:
            _held.append(file)
            return number


def _watch(parent: int, memory: int) -> None:
    import psutil

    process = psutil.Process()
    while True:
        if os.getppid() != parent:
            os._exit(0)
        if process.memory_info().rss > memory:
            os._exit(OUT_OF_MEMORY)
        time.sleep(0.1)
