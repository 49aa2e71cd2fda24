"""Jobs, the setting in which they run, and the interface of the pools that run them."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from bnnbench.pool.progress import Address


@dataclass(frozen=True)
class Setting:
    """Where and how jobs run; none of it enters a key.

    `store` is the path of the store, `device` a torch device or `auto`, `threads` the number of threads of a job, and
    `progress` the address to which a job sends its progress, or None. `save` is the time in seconds between two savings
    of the state of what can be continued. `tf32` says whether a GPU may compute products and convolutions in TF32, and
    `gpu_memory` how many bytes of a GPU's memory a job may have, or None. `gpu` is the number of the GPU on which
    the pool wants the job to compute, if the device leaves that open.
    """

    store: str
    device: str
    threads: int
    progress: Address | None = None
    save: float = 120.0
    tf32: bool = False
    gpu_memory: int | None = None
    gpu: int | None = None


@dataclass(frozen=True)
class Job:
    """A function that reads and writes records of a store, and what it is called with.

    `function` is that of an importable module. It is called with `arguments` and a `Setting`, and returns the status
    that it recorded. `needs` lists the (kind, key) of the records that it reads. `timeout` is in seconds.
    """

    function: Callable[..., str]
    arguments: tuple[Any, ...]
    needs: tuple[tuple[str, str], ...]
    timeout: float


class Pool(Protocol):
    """Runs up to `capacity` jobs at once. A context manager: leaving it ends the jobs that are still running."""

    capacity: int

    def submit(self, job: Job, setting: Setting) -> concurrent.futures.Future[str]:
        """Start a job. Its future holds the status that the job recorded, or an exception that `failure` takes."""

    def watch(self) -> None:
        """Enforce limits and take in results; called several times a second."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None: ...
