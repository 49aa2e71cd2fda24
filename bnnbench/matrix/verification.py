"""Compute finished cells once more, from the draws in the store, and compare."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnnbench.evidence.outcome import Outcome
from bnnbench.matrix import stored_outcome
from bnnbench.matrix.dispatch import dispatched
from bnnbench.matrix.environment import gives_the_same_bits
from bnnbench.matrix.executors import local_pool
from bnnbench.matrix.files import TEMPORARY
from bnnbench.matrix.plan import CellSpec
from bnnbench.matrix.results import Results
from bnnbench.matrix.schedule import AtOnce, Task
from bnnbench.matrix.store import CELLS, FITS, RECORD, Store
from bnnbench.matrix.work import setting_of

CLEAN_TOLERANCE = 1e-3
"""Elsewhere: the largest change of a clean predictive log-probability."""
ROBUST_TOLERANCE = 0.02
"""Elsewhere: the share of images, but one image in any case, on which a cell may change its mind on robustness."""


@dataclass(frozen=True)
class Check:
    """A cell that was computed once more: whether it came out as it should, and what is to be told."""

    cell: CellSpec
    right: bool
    told: str


def verified_again(results: Results, count: int, jobs: int | None) -> list[Check]:
    """Compute so many finished cells again, chosen at random, and compare; the store is held.

    In the environment that a cell was computed in, every array must have the same bits, and a cell that has not becomes
    `invalid`: something in it does not follow from its seed. Elsewhere rounding differs: clean log-probabilities may by
    `CLEAN_TOLERANCE`, and robustness at `ROBUST_TOLERANCE` of the images.
    """
    finished = [cell.spec for cell in results.cells if cell.status == "ok"]
    chosen = random.SystemRandom().sample(finished, min(count, len(finished)))
    checks = []
    with _beside(results.store, {cell.fit.key for cell in chosen}) as other:
        left = AtOnce([Task(cell.name, cell.fit, cells=(cell,)) for cell in chosen])
        limits, setting = results.plan.config.settings.limits, setting_of(results.plan, other)
        if chosen:
            with local_pool(results.plan, jobs, len(chosen)) as pool:
                for task, ended in dispatched(left, pool, setting, limits, lambda: None):
                    (cell,) = task.cells
                    again = f"{ended.status}: {ended.reason}" if ended.status != "ok" else ""
                    checks.append(_checked(cell, results.store, other, again))
    return checks


@contextmanager
def _beside(store: Store, fits: set[str]) -> Iterator[Store]:
    """A store of its own, with these fits; `bnnbench store gc` removes one whose run was killed."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=store.path) as folder:
        other = Store(Path(folder) / "store")
        for key in fits:
            # Only what the record names: whatever else lies there is not ours to follow.
            if (record := store.record(FITS, key)) is not None:
                other.place(FITS, key).mkdir(parents=True)
                for name in (RECORD, *record["artefacts"]):
                    shutil.copyfile(store.place(FITS, key) / name, other.place(FITS, key) / name)
        yield other


def _checked(cell: CellSpec, store: Store, other: Store, failed: str) -> Check:
    before, after = store.record(CELLS, cell.key), other.record(CELLS, cell.key)
    if before is None or after is None or failed or after["status"] != "ok":
        why = failed or (after or {}).get("reason", "it has no record any more")
        return Check(cell, False, f"it could not be computed again: {why}")
    one, two = (of.arrays(CELLS, cell.key, record) for of, record in ((store, before), (other, after)))
    if same_bits(one, two):
        return Check(cell, True, "the same bits")
    outcomes = stored_outcome.restored(before, one), stored_outcome.restored(after, two)
    told = difference(*outcomes)
    if gives_the_same_bits(before["environment"], after["environment"]):
        reason = f"computed again with the same seed in the same environment it came out otherwise ({told})"
        kept = {name: value for name, value in before.items() if name not in ("sha256", "artefacts", "key")}
        store.write(CELLS, cell.key, kept | {"status": "invalid", "reason": reason})
        return Check(cell, False, reason)
    right = within_tolerance(*outcomes)
    return Check(cell, right, f"{'within' if right else 'BEYOND'} the tolerance of another environment ({told})")


def same_bits(one: Mapping[str, np.ndarray], two: Mapping[str, np.ndarray]) -> bool:
    """Whether two outcomes have the same arrays, bit for bit."""
    return one.keys() == two.keys() and all(
        array.dtype == two[name].dtype and array.shape == two[name].shape and array.tobytes() == two[name].tobytes()
        for name, array in one.items()
    )


def within_tolerance(one: Outcome, two: Outcome) -> bool:
    """Whether two outcomes agree as far as outcomes of two environments must."""
    if not _comparable(one, two):
        return False
    drift = np.abs(one.clean_log_probs - two.clean_log_probs).max()
    changed = int((one.robust != two.robust).sum())
    return bool(drift <= CLEAN_TOLERANCE and changed <= max(1, ROBUST_TOLERANCE * len(one)))


def difference(one: Outcome, two: Outcome) -> str:
    """What differs between two outcomes, in a few words."""
    if not _comparable(one, two):
        return "they are about other images or classes"
    parts = [
        f"{name.replace('_', ' ')} {100 * before:.2f} and {100 * after:.2f}"
        for name in ("clean_accuracy", "robust_accuracy")
        if (before := getattr(one, name)) != (after := getattr(two, name))
    ]
    drift = float(np.abs(one.attacked_log_probs - two.attacked_log_probs).max())
    return ", ".join([*parts, f"attacked log-probabilities by up to {drift:.2g}"])


def _comparable(one: Outcome, two: Outcome) -> bool:
    """Whether two outcomes are about the same images and classes."""
    return np.array_equal(one.index, two.index) and one.clean_log_probs.shape == two.clean_log_probs.shape
