"""What all tasks share in a worker: where they run, how a failure is told, and the data that was last loaded."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bnnbench.core.dataset import Data, Dataset, checksum
from bnnbench.errors import BnnbenchError, ContractBreach, GradientRefused, Incompatible, one_line
from bnnbench.matrix.environment import environment

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
    progress: tuple[str, int] | None = None


def setting_of(plan: Plan, store: Store, progress: tuple[str, int] | None = None) -> Setting:
    """The setting in which a plan's tasks run on this computer."""
    settings = plan.config.settings
    return Setting(str(store.path.absolute()), settings.device, settings.threads, progress)


def timed(work: Callable[[], Value], setting: Setting) -> tuple[dict[str, Any], Value | None]:
    """What the record of any work says, and what the work made: None if it failed, and then the record says why."""
    started, used = time.perf_counter(), time.process_time()
    record: dict[str, Any] = {"status": "ok", "reason": "", "warnings": []}
    made = None
    try:
        made = work()
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything, and the matrix goes on
        record |= _failure(error)
    record["seconds"] = time.perf_counter() - started
    record["cpu_seconds"] = time.process_time() - used
    record["environment"] = environment(setting.threads)
    return record, made


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, Incompatible | GradientRefused):
        return {"status": "skipped", "reason": one_line(str(error))}
    status = "invalid" if isinstance(error, ContractBreach) else "failed"
    known = isinstance(error, BnnbenchError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    # The traceback keeps the rest, as it was.
    return {"status": status, "reason": one_line(reason), "traceback": traceback.format_exc()}


_loaded: dict[Any, tuple[Data, str]] = {}


def load(dataset: Dataset, seed: int) -> Data:
    """The data set at a seed; one worker does many tasks on the same one, so the last is kept."""
    return _load(dataset, seed)[0]


def loaded_sum(dataset: Dataset, seed: int) -> str:
    """The checksum of what `load` gives."""
    return _load(dataset, seed)[1]


def check_data(dataset: Dataset, seed: int, record: Mapping[str, Any]) -> None:
    """Raise `ContractBreach` unless the data are those that a record was made with."""
    if record.get("data", loaded_sum(dataset, seed)) != loaded_sum(dataset, seed):
        name = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
        raise ContractBreach(f"data set {name} gave other data than before for the same parameters and seed")


def _load(dataset: Dataset, seed: int) -> tuple[Data, str]:
    def make() -> tuple[Data, str]:
        data = dataset.load(seed)
        if not isinstance(data, Data):
            raise ContractBreach(f"data set {type(dataset).__module__}.{type(dataset).__qualname__} loaded no Data")
        return data, checksum(data)

    return kept(_loaded, (str(dataset.identity()), seed), make)


def kept(cache: dict[Any, Value], key: Any, make: Callable[[], Value]) -> Value:
    """What the cache holds of the key, made if it holds something else."""
    if key not in cache:
        cache.clear()
        cache[key] = make()
    return cache[key]
