"""Pools on this computer, and the setting in which the tasks of a plan run."""

from __future__ import annotations

from bnnbench.matrix.plan import Plan
from bnnbench.pool.inline import InlinePool
from bnnbench.pool.job import Pool, Setting
from bnnbench.pool.processes import gpus
from bnnbench.pool.processes.pool import ProcessesPool, usable_cores
from bnnbench.pool.progress import Address
from bnnbench.running.tasks import worker
from bnnbench.store.store import Store


def setting_of(plan: Plan, store: Store, progress: Address | None = None) -> Setting:
    """The setting of a plan's tasks: the store they write to, device and threads, and the address for progress."""
    settings = plan.config.settings
    path = str(store.path.absolute())
    return Setting(
        path,
        settings.device,
        settings.threads,
        progress,
        settings.limits.save,
        tf32=settings.tf32,
        gpu_memory=settings.limits.gpu_memory,
    )


def local_pool(plan: Plan, jobs: int | None, tasks: int, lock: int | None = None) -> Pool:
    """A pool on this computer for a number of tasks of a plan.

    `jobs` is the number of worker processes; 0 stands for a pool that runs every task in this process. By default there
    are as many as fill the usable cores at the plan's threads each. Where tasks compute on GPUs there is one for each
    GPU, or as many as its memory has room for by `limits.gpu_memory`. There are at most as many workers as `tasks`.
    `lock` is the descriptor of a lock that is held until all workers have ended.
    """
    settings = plan.config.settings
    if jobs == 0:
        # Values that an earlier run of this process has kept may be of another store with other draws.
        worker.Last.forget()
        return InlinePool()
    places = gpus.places(settings.device, jobs, settings.limits.gpu_memory)
    workers = len(places) or jobs or max(1, len(usable_cores()) // settings.threads)
    return ProcessesPool(
        min(workers, tasks), threads=settings.threads, memory=settings.limits.memory, lock=lock, places=places
    )
