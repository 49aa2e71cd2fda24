"""Run jobs in the calling process, one after another: `-j 0`."""

from __future__ import annotations

import concurrent.futures
from typing import Self

from bnnbench.plugins.signals import signals_noted
from bnnbench.pool.failures import raised
from bnnbench.pool.job import Job, Setting


class InlinePool:
    """Runs each job in the calling process before `submit` returns.

    For debugging a plugin with a debugger, and for tests. Limits of time and memory are not enforced, and a crash of a
    job ends the run. Threads and cores are those of the calling process.
    """

    capacity = 1

    def submit(self, job: Job, setting: Setting) -> concurrent.futures.Future[str]:
        """Run the job, and return a future that is finished."""
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        with signals_noted() as arrived:
            try:
                future.set_result(job.function(*job.arguments, setting))
            except BaseException as error:  # As in a worker, whatever a job raises is its failure.
                if isinstance(error, KeyboardInterrupt) or (arrived and not isinstance(error, Exception)):
                    raise  # Ctrl-C, or another signal that ends the run.
                future.set_exception(raised(error))
        return future

    def watch(self) -> None:
        """Do nothing: there are no processes to watch."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        return None
