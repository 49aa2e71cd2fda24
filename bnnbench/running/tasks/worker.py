"""Functions that all tasks use in a worker: the store, checks of code and data, the ending, and loaded data."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from bnnbench.core import dependencies
from bnnbench.core.component import Component
from bnnbench.core.computing import asking
from bnnbench.core.dataset import Data, Dataset, checksum, checksum_of_test, name_of
from bnnbench.core.rules import preparation
from bnnbench.errors import (
    AccessRefused,
    ContractBreach,
    DamagedArtefact,
    Incompatible,
    QueriesSpent,
    StoreError,
    StoreUnwritable,
    message_of,
    one_line,
)
from bnnbench.pool.job import Setting
from bnnbench.running.tasks.gpu import on_gpu
from bnnbench.store.environment import environment
from bnnbench.store.records import Ending
from bnnbench.store.store import Store

Value = TypeVar("Value")


def own_store(setting: Setting) -> Store:
    """The store that a task writes to.

    Raises `StoreUnwritable` if the process of the run is dead, because another run may hold the store by now.
    """
    runner = multiprocessing.parent_process()
    if runner is not None and not runner.is_alive():
        raise StoreUnwritable("its run has ended")
    return Store(setting.store)


def check_code(*planned: Component) -> None:
    """Raise `StoreError` if a component has another identity here than where the run was planned.

    Its code may have been edited since, or this may be another computer with another version.
    """
    for component in planned:
        before, now = component.identity(), component.rebuilt().identity()
        if before != now:
            differs = ", ".join(
                f"{name} {before.get(name)!r}, here {now.get(name)!r}" for name in now if before.get(name) != now[name]
            )
            raise StoreError(f"{now['component']} is not what the run was planned with: {differs}")


def timed(work: Callable[[], Value], setting: Setting) -> tuple[Ending, Value | None]:
    """The ending of `work()` with its time and environment, and its result; the result is None if it raised an error.

    Raises `DamagedArtefact` if `work` does: the draws that the task reads must then be computed again.
    """
    with asking(device=setting.device, tf32=setting.tf32):
        return _timed(work, setting)


def _timed(work: Callable[[], Value], setting: Setting) -> tuple[Ending, Value | None]:
    """What `timed` returns, under what the setting asks for."""
    started, used = time.perf_counter(), time.process_time()
    ending, made = Ending("ok", warnings=[]), None
    try:
        with _torch_threads(setting.threads), on_gpu(setting):
            made = work()
    except DamagedArtefact:
        Last.forget()
        raise
    except BaseException as error:
        if multiprocessing.parent_process() is None and not isinstance(error, Exception | SystemExit):
            raise  # In the process of the run this is Ctrl-C, or a signal: workers ignore both.
        ending = _failure(error)
        Last.forget()
    return replace(
        ending,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - used,
        environment=environment(setting.threads),
    ), made


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    """Let torch use this number of threads; a worker process does so already, the process of the host may not."""
    import torch

    before = torch.get_num_threads()
    if before != number:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        if before != number:
            torch.set_num_threads(before)


def _failure(error: BaseException) -> Ending:
    """The ending of a task that raised an error: `skipped`, `invalid` or `failed`, with reason and traceback."""
    if isinstance(error, AccessRefused | Incompatible | QueriesSpent):
        return Ending("skipped", one_line(message_of(error)), warnings=[])
    status = "invalid" if isinstance(error, ContractBreach) else "failed"
    # The reason may be cut; the traceback has the full text.
    return Ending(status, one_line(message_of(error)), warnings=[], traceback=traceback.format_exc())


class Last(Generic[Value]):
    """A cache of one value: successive tasks of a worker often need the same data or predictive."""

    _all: ClassVar[list[Last[Any]]] = []
    """All caches of the process."""

    def __init__(self) -> None:
        self._held: dict[Any, Value] = {}
        self._all.append(self)

    def of(self, key: Any, make: Callable[[], Value]) -> Value:
        """The kept value if its key is `key`; otherwise the result of `make()`, which is kept in its place."""
        if key not in self._held:
            self._held.clear()
            self._held[key] = make()
        return self._held[key]

    @classmethod
    def forget(cls) -> None:
        """Empty all caches of the process, because a task that failed may have changed the values that it was given."""
        for cache in cls._all:
            cache._held.clear()


@dataclass(frozen=True)
class Loaded:
    """A data set's data, the checksum of all of it, that of its test part, and the files that it has read."""

    data: Data
    all: str
    test: str
    files: dependencies.Fields


_loaded: Last[Loaded] = Last()


def load(dataset: Dataset, seed: int) -> Data:
    """The data of a data set at a seed; those of the last call are kept.

    Raises `ContractBreach` if the data set does not return `Data`.
    """
    return _load(dataset, seed).data


def loaded_sum(dataset: Dataset, seed: int) -> str:
    """The checksum of the data that `load` returns."""
    return _load(dataset, seed).all


def loaded_test_sum(dataset: Dataset, seed: int) -> str:
    """The checksum of the test part of the data that `load` returns."""
    return _load(dataset, seed).test


def loaded_files(dataset: Dataset, seed: int) -> dependencies.Fields:
    """The files that the data set has read for the data that `load` returns, as fields of a record."""
    return _load(dataset, seed).files


def check_data(dataset: Dataset, seed: int, record: Mapping[str, Any]) -> None:
    """Raise `ContractBreach` if the data have another checksum than the one in a record; a record may have none."""
    if record.get("data", loaded_sum(dataset, seed)) != loaded_sum(dataset, seed):
        raise ContractBreach(f"{name_of(dataset)} gave other data than before for the same parameters and seed")


def _load(dataset: Dataset, seed: int) -> Loaded:
    """The kept data of a data set at a seed, with their checksums."""

    def make() -> Loaded:
        files: dependencies.Fields = {}
        with dependencies.noted(dataset, files):
            data = preparation.loaded(dataset, seed)
        return Loaded(data, checksum(data), checksum_of_test(data), files)

    return _loaded.of((str(dataset.identity()), seed), make)
