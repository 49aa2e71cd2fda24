"""The states of parts of fits in the store: a part goes on from its last one, or from that of a shorter part.

A state is kept under two numbers in turn, so that one is whole at any time. The draws that came between two states are
kept once, with the later one. When the fit is finished its own file has all draws, and the last state is kept alone.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bnnbench.core import dependencies
from bnnbench.core.part_memory import Arrays, PartMemory, PartState
from bnnbench.core.user_code.read_files import unwatched
from bnnbench.errors import DamagedArtefact, StoreError
from bnnbench.matrix.specs import FitSpec
from bnnbench.pool.job import Setting
from bnnbench.running.tasks import worker
from bnnbench.store.environment import environment, gives_the_same_bits
from bnnbench.store.files import read_plain
from bnnbench.store.records import Ending, record_of_part
from bnnbench.store.store import FITS, RECORD, STATES, Store

_BEGINNING = re.compile(b'"beginning": "([0-9a-f]+)"')
SLOTS = 2
"""The numbers under which the state of a part is kept in turn. The draws have the numbers after them."""


class StoredMemory(PartMemory):
    """The memory of one part of a fit, in the store of a run.

    A state counts if it was made with the same data and files. It leads to the same bits on a CPU if the environment is
    the same too. `note` says where that is not so.

    Args:
        spec: the fit.
        part: the number of the part.
        setting: where the store is, and how often states are kept.
        files: the files that the fit depends on, as fields of records.
    """

    def __init__(self, spec: FitSpec, part: int, setting: Setting, files: dependencies.Fields) -> None:
        self._spec, self._part, self._setting, self._files = spec, part, setting, files
        self._environment = environment(setting.threads)
        self._slot, self._segments, self._kept = 0, 0, 0
        self.note = ""
        """What the record of the part must say of its state; empty if nothing."""
        self.earlier = (0.0, 0.0)
        """The seconds and CPU seconds that were spent before this task, on what it went on from."""
        self._began = (time.perf_counter(), time.process_time())
        self._saved = time.monotonic()

    # The files of the store are none that the fit depends on.
    @unwatched()
    def last(self) -> PartState | None:
        """The last state of this part, or else of the longest finished part with the same beginning."""
        store = Store(self._setting.store)
        own = [record for record in map(store.record, [STATES] * SLOTS, self._slots()) if record is not None]
        for record in sorted(filter(self._counts, own), key=lambda record: -int(record["draws"])):
            if (state := self._loaded(store, record)) is not None:
                self._slot = 1 - int(record["key"].rpartition("-")[2])
                self._segments, self._kept = int(record["segments"]), int(record["draws"])
                return state
        for record in sorted(self._shorter(store), key=lambda record: -int(record["draws"])):
            if (state := self._loaded(store, record)) is not None:
                return state
        return None

    def keep(self, arrays: Callable[[], Arrays], draws: Sequence[Arrays]) -> None:
        """Keep the state if the time for it has come, with the draws since the state before."""
        if time.monotonic() - self._saved >= self._setting.save:
            self._write(arrays(), draws)

    def finish(self, arrays: Callable[[], Arrays], draws: Sequence[Arrays]) -> None:
        """Keep the state at the end, whose draws are those of the part."""
        self._write(arrays(), draws, ended=True)

    @unwatched()
    def _write(self, arrays: Arrays, draws: Sequence[Arrays], *, ended: bool = False) -> None:
        store = worker.own_store(self._setting)
        if len(draws) > self._kept and not ended:
            segment = {name: np.stack([one[name] for one in draws[self._kept :]]) for name in draws[0]}
            store.write_arrays(STATES, self._key(SLOTS + self._segments), self._record(), segment)
            self._segments, self._kept = self._segments + 1, len(draws)
        fields = {"draws": len(draws), "segments": self._segments, "ended": ended, "note": self.note}
        store.write_arrays(STATES, self._key(self._slot), self._record(**fields), dict(arrays))
        self._slot, self._saved = 1 - self._slot, time.monotonic()

    def _record(self, **more: Any) -> dict[str, Any]:
        spent = (time.perf_counter() - self._began[0], time.process_time() - self._began[1])
        seconds, cpu_seconds = (before + now for before, now in zip(self.earlier, spent, strict=True))
        ending = Ending("ok", seconds=seconds, cpu_seconds=cpu_seconds, environment=self._environment)
        data = worker.loaded_sum(self._spec.dataset, self._spec.seed)
        beginning = self._spec.beginning(self._part)
        return record_of_part(self._spec, self._part, ending, **self._files, data=data, beginning=beginning, **more) | {
            "kind": "state"
        }

    def _loaded(self, store: Store, record: dict[str, Any]) -> PartState | None:
        """The state of a record with its draws; None if a file of it is damaged or gone."""
        try:
            state = PartState(store.arrays(STATES, record["key"], record), self._draws(store, record))
        except (DamagedArtefact, StoreError):
            return None  # An earlier state, or the beginning, leads to the same draws; `store verify` tells of damage.
        self.note = str(record.get("note", ""))
        self.earlier = (float(record["seconds"]), float(record.get("cpu_seconds", 0.0)))
        if not gives_the_same_bits(record["environment"], self._environment):
            self.note = f"continued after {record['draws']} draws where an unbroken chain may have other bits"
        return state

    def _draws(self, store: Store, record: dict[str, Any]) -> Arrays:
        """The draws of a state: those of the finished fit, or else the ones that were kept with the states.

        Raises `StoreError` if they are neither there nor as many as the record says.
        """
        fit, part, _ = record["key"].split("-")
        wanted = int(record["draws"])
        finished = store.record(FITS, fit)
        if record["ended"] and finished is not None and finished["status"] == "ok":
            draws = store.draws(FITS, fit, finished).arrays
            found = {name: array[int(part)] for name, array in draws.items()}
        else:
            found = _joined(_segments(store, record))
        if wanted and {len(array) for array in found.values()} != {wanted}:
            raise StoreError(f"{STATES}/{record['key']}: its draws are not there")
        return found

    def _shorter(self, store: Store) -> Iterator[dict[str, Any]]:
        """The records of states of finished parts with the beginning of this one, and not more draws."""
        beginning, fit = self._spec.beginning(self._part), self._spec.key
        per_part = self._spec.posterior.draws // max(1, self._spec.parts)
        ends = tuple(f"-{self._part}-{slot}" for slot in range(SLOTS))
        keys = (key for key in store.keys(STATES) if key.endswith(ends) and not key.startswith(fit))
        for record in _beginning_with({beginning}, keys, store):
            if record["ended"] and record["draws"] <= per_part and self._counts(record):
                yield record

    def _counts(self, record: dict[str, Any]) -> bool:
        """Whether a state was made with the data and the files of now."""
        spec = self._spec
        if record.get("data") != worker.loaded_sum(spec.dataset, spec.seed):
            return False
        return dependencies.changed(record, spec.dataset, spec.network, spec.posterior) is None

    def _slots(self) -> list[str]:
        return [self._key(slot) for slot in range(SLOTS)]

    def _key(self, number: int) -> str:
        return f"{self._spec.part_key(self._part)}-{number}"


def tidied(spec: FitSpec, store: Store) -> None:
    """Remove the states of a finished fit that are not the last of their part, and all draws beside them."""
    for part in range(spec.parts or 1):
        states = [record for slot in range(SLOTS) if (record := store.record(STATES, f"{spec.part_key(part)}-{slot}"))]
        last = max(states, key=lambda record: (record["ended"], record["draws"]), default=None)
        for key in _of_part(spec, part, store):
            if last is None or key != last["key"]:
                store.remove(STATES, key)


def forget(fits: Iterable[FitSpec], store: Store) -> None:
    """Remove all states from which parts of fits would go on, those of other fits with the same beginning included."""
    parts = [(spec, part) for spec in fits for part in range(spec.parts or 1)]
    beginnings = {spec.beginning(part) for spec, part in parts}
    for key in [key for spec, part in parts for key in _of_part(spec, part, store)]:
        store.remove(STATES, key)
    for record in _beginning_with(beginnings, list(store.keys(STATES)), store):
        store.remove(STATES, record["key"])


def _beginning_with(beginnings: Collection[str], keys: Iterable[str], store: Store) -> Iterator[dict[str, Any]]:
    """The records of states, among these keys, that state one of these beginnings. Others are not read in full."""
    for key in keys:
        with contextlib.suppress(OSError):  # The store says what is wrong with a file that cannot be read.
            path = store.place(STATES, key) / RECORD
            now = path.lstat()
            if _stated(str(path), (now.st_ino, now.st_mtime_ns)).isdisjoint(beginnings):
                continue
        record = store.record(STATES, key)
        if record is not None and record.get("beginning") in beginnings:
            yield record


@functools.lru_cache(maxsize=20_000)
def _stated(path: str, version: tuple[int, int]) -> frozenset[str]:
    """The beginnings that the text of a record states: one, unless a parameter has the same name.

    A process reads each version of a file once, since each part of a fit looks at the states of all fits.
    """
    return frozenset(found.decode() for found in _BEGINNING.findall(read_plain(Path(path))))


def _of_part(spec: FitSpec, part: int, store: Store) -> list[str]:
    """The keys of the states of a part and of the draws beside them, whole or not."""
    folder = store.path / STATES
    return sorted(entry.name for entry in folder.glob(f"{spec.part_key(part)}-*")) if folder.is_dir() else []


def _segments(store: Store, record: dict[str, Any]) -> Iterator[dict[str, np.ndarray]]:
    """The draws that were kept with the states of a part up to this one, in their order."""
    lead = record["key"].rpartition("-")[0]
    for number in range(int(record["segments"])):
        key = f"{lead}-{SLOTS + number}"
        if (segment := store.record(STATES, key)) is None:
            raise StoreError(f"{STATES}/{key} is not there")
        yield store.arrays(STATES, key, segment)


def _joined(segments: Iterator[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of several segments one after another."""
    parts = list(segments)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
