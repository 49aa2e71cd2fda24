"""Compute finished cells again, from the draws in the store, and compare the results."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bnnbench.evidence.results import Check, Results
from bnnbench.matrix.plan import CellSpec
from bnnbench.measurements.per_image import PerImage
from bnnbench.running.dispatch import dispatched
from bnnbench.running.observer import Observer, Silent
from bnnbench.running.pools import local_pool, setting_of
from bnnbench.running.task import Independent, Task
from bnnbench.store import codec
from bnnbench.store.environment import gives_the_same_bits
from bnnbench.store.files import TEMPORARY
from bnnbench.store.records import changed
from bnnbench.store.store import CELLS, FITS, RECORD, Store

CLEAN_TOLERANCE = 1e-3
"""The largest difference of a clean predictive log-probability, in nats, between two environments."""
ROBUST_TOLERANCE = 0.02
"""The largest share of images whose robustness may differ between two environments; one image always may."""


def repeated(results: Results, count: int, jobs: int | None, observer: Observer | None = None) -> list[Check]:
    """The comparisons of `count` finished cells, chosen at random and computed again. The store must be held.

    They are computed on this computer, by `jobs` worker processes (see `local_pool`). In the environment in which a
    cell was computed all arrays must have the same bits. If they have not, something in the cell does not follow from
    its seed, and its record becomes `invalid`. In another environment rounding differs: clean log-probabilities may
    differ by `CLEAN_TOLERANCE`, and robustness at the share `ROBUST_TOLERANCE` of images.
    """
    finished = [cell.spec for cell in results.cells if cell.status == "ok"]
    chosen = random.SystemRandom().sample(finished, min(count, len(finished)))
    if not chosen:
        return []
    shown = observer or Silent()
    shown.note(f"verification: computing again {len(chosen)} of {len(finished)} finished cells")
    shown.begin(results.plan, len(chosen), len(results.cells))
    started = time.perf_counter()
    try:
        return list(_checks(results, chosen, jobs, shown))
    finally:
        shown.end(time.perf_counter() - started)


def _checks(results: Results, chosen: list[CellSpec], jobs: int | None, observer: Observer) -> Iterator[Check]:
    """The comparison of each of these cells with its repetition, in the order in which they are computed again."""
    plan, store = results.plan, results.store
    with _scratch_store(store, {cell.fit.key for cell in chosen}) as other:
        tasks = Independent([Task(cell.name, cell.fit, cells=(cell,)) for cell in chosen])
        with local_pool(plan, jobs, len(chosen), store.lock) as pool:
            setting = setting_of(plan, other)
            for task, ended in dispatched(tasks, pool, setting, plan.config.settings.limits, lambda: None):
                (cell,) = task.cells
                failed = f"{ended.status}: {ended.reason}" if ended.status != "ok" else ""
                record = other.record(CELLS, cell.key)
                seconds = float(record["seconds"]) if ended.recorded and record else ended.seconds
                observer.done(task, ended.status, seconds, ended.reason)
                yield _checked(cell, store, other, failed)


@contextmanager
def _scratch_store(store: Store, fits: set[str]) -> Iterator[Store]:
    """A temporary store inside the directory of a store, with these fits: its files of draws are those of the store.

    If the run is killed it remains there until `bnnbench store gc` removes it.
    """
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=store.path) as folder:
        other = Store(Path(folder) / "store")
        for key in fits:
            # Take only files that the record names: the directory may hold links to others.
            if (record := store.verified_record(FITS, key)) is not None:
                other.place(FITS, key).mkdir(parents=True)
                for name in (RECORD, *record["artefacts"]):
                    _link(store.place(FITS, key) / name, other.place(FITS, key) / name)
        yield other


def _link(file: Path, other: Path) -> None:
    """Give a file a second name, or copy it where the file system has no such links. A store never changes a file."""
    try:
        os.link(file, other, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copyfile(file, other, follow_symlinks=False)


def _checked(cell: CellSpec, store: Store, other: Store, failed: str) -> Check:
    """The comparison of a cell in `store` with its repetition in `other`; `failed` says why there is no repetition."""
    before, after = store.record(CELLS, cell.key), other.record(CELLS, cell.key)
    if before is None or after is None or failed or after["status"] != "ok":
        why = failed or (after or {}).get("reason", "it has no record any more")
        return Check(cell, False, f"it could not be computed again: {why}")
    numbers = [number.name for number in cell.measurement.schema.numbers]
    one, two = (of.arrays(CELLS, cell.key, record) for of, record in ((store, before), (other, after)))
    # Records of earlier versions may lack optional arrays.
    optional = {quantity.name for quantity in cell.measurement.schema.arrays if quantity.optional}
    same_numbers = all(before.get(name) == after.get(name) for name in numbers)
    if same_numbers and same_bits(one, {name: two[name] for name in two if name in one or name not in optional}):
        return Check(cell, True, "the same bits")
    pair = _of_both(cell, (before, one), (after, two))
    differs = difference(*pair)
    if gives_the_same_bits(before["environment"], after["environment"]):
        reason = f"computed again with the same seed in the same environment it gave a different result ({differs})"
        store.write(CELLS, cell.key, changed(before, status="invalid", reason=reason))
        return Check(cell, False, reason)
    right = within_tolerance(*pair)
    return Check(cell, right, f"{'within' if right else 'BEYOND'} the tolerance of another environment ({differs})")


def same_bits(one: Mapping[str, np.ndarray], two: Mapping[str, np.ndarray]) -> bool:
    """Whether two mappings have the same names and, bit for bit, the same arrays."""
    return one.keys() == two.keys() and all(
        array.dtype == two[name].dtype and array.shape == two[name].shape and array.tobytes() == two[name].tobytes()
        for name, array in one.items()
    )


def _of_both(cell: CellSpec, *stored: tuple[Mapping[str, Any], Mapping[str, np.ndarray]]) -> list[Any]:
    """The results that a cell's records and arrays hold, in their order."""
    measurement = cell.measurement
    return [
        measurement.restored(codec.decoded(measurement.schema, record, arrays), cell.context)
        for record, arrays in stored
    ]


def within_tolerance(one: Any, two: Any) -> bool:
    """Whether two results differ by no more than results of two environments may."""
    if not isinstance(one, PerImage) or not isinstance(two, PerImage):
        return _largest_difference(one, two) <= CLEAN_TOLERANCE
    if not _comparable(one, two):
        return False
    drift = np.abs(one.clean_log_probs - two.clean_log_probs).max()
    disagreements = int((one.holds != two.holds).sum())
    return bool(drift <= CLEAN_TOLERANCE and disagreements <= max(1, ROBUST_TOLERANCE * len(one)))


_COMPARED = {"attacked_log_probs": "attacked log-probabilities", "bound": "bounds"}
"""Arrays of results for each image whose largest change is told, in words."""


def difference(one: Any, two: Any) -> str:
    """The difference of two results in a few words: accuracies in percent, and the largest change of an array."""
    if not isinstance(one, PerImage) or not isinstance(two, PerImage):
        return f"arrays by up to {_largest_difference(one, two):.2g}"
    if not _comparable(one, two):
        return "they are about other images or classes"
    shares = (("clean", one.clean_accuracy, two.clean_accuracy), (one.word, one.share, two.share))
    parts = [
        f"{word} accuracy {100 * before:.2f} and {100 * after:.2f}" for word, before, after in shares if before != after
    ]
    for name, words in _COMPARED.items():
        before, after = getattr(one, name, None), getattr(two, name, None)
        if before is not None and after is not None:
            parts.append(f"{words} by up to {float(np.abs(before - after).max()):.2g}")
    return ", ".join(parts) or "in other arrays"


def _largest_difference(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    """The largest absolute difference of the numbers and arrays of two results.

    Infinity if their names or shapes differ, or if NaN stands at different places.
    """
    if one.keys() != two.keys():
        return float("inf")
    largest = 0.0
    for name, value in one.items():
        if isinstance(value, Mapping):
            largest = max(largest, _largest_difference(value, two[name]))
        elif value is not None or two[name] is not None:
            largest = max(largest, _difference_of(np.asarray(value, float), np.asarray(two[name], float)))
    return largest


def _difference_of(one: np.ndarray, two: np.ndarray) -> float:
    if one.shape != two.shape or not np.array_equal(np.isnan(one), np.isnan(two)):
        return float("inf")
    return float(np.nan_to_num(np.abs(one - two)).max(initial=0.0))


def _comparable(one: PerImage, two: PerImage) -> bool:
    """Whether two results have the same images and the same number of classes."""
    return np.array_equal(one.index, two.index) and one.clean_log_probs.shape == two.clean_log_probs.shape
