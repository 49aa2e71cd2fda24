"""The same cells in other orders, beside others, in one process: no outcome may know its place."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import bnnbench.core.seeds as seeds
from bnnbench.matrix.attack_task import run_attack
from bnnbench.matrix.config import read_config
from bnnbench.matrix.fit_task import run_fit
from bnnbench.matrix.plan import make_plan
from bnnbench.matrix.store import CELLS, Store
from bnnbench.matrix.work import setting_of

FILE = """\
epsilons: [0.05, 0.1]
evaluate: {images: 20}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 30}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 1}, vi: {use: bayes-by-backprop, epochs: 1, draws: 2}}
attacks: {random: {use: random-sign}, pgd: {steps: 2}}
"""


def different(folder: Path, trials: int, plant: Callable[[], AbstractContextManager[None]] = nullcontext) -> int:
    """In how many of so many random orders some cell has other bits than in the order of the file."""
    (folder / "benchmarks.yaml").write_text(FILE)
    chance = random.Random(0)
    expected = _sums(folder, "straight", None)
    found = 0
    for trial in range(trials):
        with plant():
            found += _sums(folder, f"trial-{trial}", chance) != expected
    return found


def _sums(folder: Path, name: str, chance: random.Random | None) -> dict[str, str]:
    """The status of each cell and the checksum of its arrays."""
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    store = Store(folder / name)
    setting = setting_of(plan, store)
    with store.held():
        fits, groups = list(plan.fits.values()), [group for groups in plan.tasks.values() for group in groups]
        if chance is not None:
            chance.shuffle(fits)
            groups = [[cell] for group in groups for cell in group]
            chance.shuffle(groups)
        for fit in fits:
            run_fit(fit, setting)
        for group in groups:
            run_attack(group, setting)
        records = {key: store.record(CELLS, key) for key in store.keys(CELLS)}
    return {key: f"{record['status']} {record['artefacts']}" for key, record in records.items() if record}


class SeedsByPosition(AbstractContextManager[None]):
    """A bug: the stream of randomness depends on how many were asked for before."""

    def __enter__(self) -> None:
        self._derive, self._asked = seeds.derive, 0
        seeds.derive = self._late

    def __exit__(self, *error: object) -> None:
        seeds.derive = self._derive

    def _late(self, seed: int, purpose: int) -> int:
        self._asked += 1
        return self._derive((seed + self._asked) % 2**32, purpose)
