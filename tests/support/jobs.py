"""Jobs for tests of pools: workers import this file, which imports nothing that computes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bnnbench.pool.job import Setting


def surroundings(setting: Setting) -> str:
    """The process, its threads and cores, and whether it has a framework or the main module of its parent."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    loaded = sorted({"torch", "jax", "numpy"} & set(sys.modules))
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return f"{os.getpid()}|{os.environ['OMP_NUM_THREADS']}|{cores}|{loaded}|{main}"


def place(setting: Setting) -> str:
    """The number of the GPU of the worker, and what JAX may take of its memory."""
    return f"{setting.gpu}|{os.environ.get('XLA_PYTHON_CLIENT_MEM_FRACTION')}"


def failing(setting: Setting) -> str:
    """Raise an exception that no other process can unpickle."""

    class OfAFunction(Exception):
        pass

    raise OfAFunction("on purpose")


def leaving(code: int, setting: Setting) -> str:
    """End the worker."""
    os._exit(code)


def sleeping(folder: str, setting: Setting) -> str:
    """Start a child without a mark that sleeps, write its id into the file `child`, and sleep too."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={}, start_new_session=True)
    (Path(folder) / "child").write_text(str(child.pid))
    time.sleep(600)
    return "ok"


def run_a_job() -> str:
    """The result of a job in a pool of one worker."""
    # Not at the top: workers import this file.
    from bnnbench.pool.job import Job
    from bnnbench.pool.processes.pool import ProcessesPool

    with ProcessesPool(1, threads=1, memory=2**40) as pool:
        future = pool.submit(Job(surroundings, (), (), 60.0), Setting("store", "cpu", 1))
        until = time.monotonic() + 60
        while not future.done() and time.monotonic() < until:
            pool.watch()
            time.sleep(0.05)
        return future.result(timeout=0)


def tell(queue: Any) -> None:
    """Put the identifier of this process, the result of a job, and whether the process is a daemon into a queue."""
    import multiprocessing

    queue.put((os.getpid(), run_a_job(), multiprocessing.current_process().daemon))
