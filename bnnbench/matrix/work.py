"""What all tasks share in a worker: where they run, how a failure is told, and the data that was last loaded."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from bnnbench.core.component import Component
from bnnbench.core.dataset import Data, Dataset, checksum, checksum_of_test, name_of
from bnnbench.errors import (
    BnnbenchError,
    ContractBreach,
    GradientRefused,
    Incompatible,
    StoreError,
    StoreUnwritable,
    one_line,
)
from bnnbench.matrix.environment import environment
from bnnbench.matrix.progress import Address

if TYPE_CHECKING:
    from bnnbench.matrix.plan import Plan
    from bnnbench.matrix.store import Store

Value = TypeVar("Value")


@dataclass(frozen=True)
class Setting:
    """Where and how tasks run; nothing of it enters a key."""

    store: str
    device: str
    threads: int
    progress: Address | None = None


def setting_of(plan: Plan, store: Store, progress: Address | None = None) -> Setting:
    """The setting in which a plan's tasks run on this computer."""
    settings = plan.config.settings
    return Setting(str(store.path.absolute()), settings.device, settings.threads, progress)


def own_store(setting: Setting) -> Store:
    """The store that a task writes to.

    Raises `StoreUnwritable` if the run has ended without its worker: another run may hold the store by now.
    """
    from bnnbench.matrix.store import Store

    runner = multiprocessing.parent_process()
    if runner is not None and not runner.is_alive():
        raise StoreUnwritable("its run has ended")
    return Store(setting.store)


def check_code(*planned: Component) -> None:
    """Raise `StoreError` unless each component is to this process what it was to the one that planned the run: a file
    may have been edited since, and another computer may have another version."""
    for component in planned:
        before, now = component.identity(), _anew(component).identity()
        if before != now:
            differs = ", ".join(
                f"{name} {before.get(name)!r}, here {now.get(name)!r}" for name in now if before.get(name) != now[name]
            )
            raise StoreError(f"{now['component']} is not what the run was planned with: {differs}")


def _anew(component: Component) -> Component:
    """The same parameters, with nothing remembered of what they were elsewhere or before."""
    own = {name: getattr(component, name) for name in type(component).model_fields}
    return type(component)(
        **{name: _anew(value) if isinstance(value, Component) else value for name, value in own.items()}
    )


def timed(work: Callable[[], Value], setting: Setting) -> tuple[dict[str, Any], Value | None]:
    """What the record of any work says, and what the work made: None if it failed, and then the record says why."""
    started, used = time.perf_counter(), time.process_time()
    record: dict[str, Any] = {"status": "ok", "reason": "", "warnings": []}
    made = None
    try:
        made = work()
    except BaseException as error:  # noqa: BLE001 - a stranger's code may raise anything, and the matrix goes on
        record |= _failure(error)
        Last.forget()
    record["seconds"] = time.perf_counter() - started
    record["cpu_seconds"] = time.process_time() - used
    record["environment"] = environment(setting.threads)
    return record, made


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, Incompatible | GradientRefused):
        return {"status": "skipped", "reason": one_line(str(error))}
    status = "invalid" if isinstance(error, ContractBreach) else "failed"
    known = isinstance(error, BnnbenchError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    # The traceback keeps the rest, as it was.
    return {"status": status, "reason": one_line(reason), "traceback": traceback.format_exc()}


class Last(Generic[Value]):
    """The last thing that a worker has made of a kind: it does many tasks that need the same one."""

    _all: ClassVar[list[Last[Any]]] = []

    def __init__(self) -> None:
        self._held: dict[Any, Value] = {}
        self._all.append(self)

    def of(self, key: Any, make: Callable[[], Value]) -> Value:
        """What the key stands for, made if the last one was another."""
        if key not in self._held:
            self._held.clear()
            self._held[key] = make()
        return self._held[key]

    @classmethod
    def forget(cls) -> None:
        """Make all anew: a task that failed may have changed what it was handed."""
        for one in cls._all:
            one._held.clear()


@dataclass(frozen=True)
class Loaded:
    """Data, and the checksums of all of them and of their test part."""

    data: Data
    all: str
    test: str


_loaded: Last[Loaded] = Last()


def load(dataset: Dataset, seed: int) -> Data:
    """The data set at a seed; one worker does many tasks on the same one, so the last is kept."""
    return _load(dataset, seed).data


def loaded_sum(dataset: Dataset, seed: int) -> str:
    """The checksum of what `load` gives."""
    return _load(dataset, seed).all


def loaded_test_sum(dataset: Dataset, seed: int) -> str:
    """The checksum of the test part of what `load` gives."""
    return _load(dataset, seed).test


def check_data(dataset: Dataset, seed: int, record: Mapping[str, Any]) -> None:
    """Raise `ContractBreach` unless the data are those that a record was made with."""
    if record.get("data", loaded_sum(dataset, seed)) != loaded_sum(dataset, seed):
        raise ContractBreach(f"{name_of(dataset)} gave other data than before for the same parameters and seed")


def _load(dataset: Dataset, seed: int) -> Loaded:
    def make() -> Loaded:
        data = dataset.load(seed)
        if not isinstance(data, Data):
            raise ContractBreach(f"{name_of(dataset)} loaded no Data")
        return Loaded(data, checksum(data), checksum_of_test(data))

    return _loaded.of((str(dataset.identity()), seed), make)
