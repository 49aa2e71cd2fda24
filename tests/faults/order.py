"""Compute the same cells in random orders in one process: no outcome may depend on the order."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import bnnbench.core.seeds as seeds
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running.pools import setting_of
from bnnbench.running.tasks.cell_task import run_cells
from bnnbench.running.tasks.fit_task import run_fit
from bnnbench.store.store import CELLS, Store

FILE = """\
epsilons: [0.05, 0.1]
evaluate: {images: 20}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 30}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 1}, vi: {use: bayes-by-backprop, epochs: 1, draws: 2}}
attacks: {random: {use: random-sign}, pgd: {steps: 2}}
"""


def different(folder: Path, trials: int, plant: Callable[[], AbstractContextManager[None]] = nullcontext) -> int:
    """The number of random orders, of `trials`, in which some cell has other bits than in the order of the file.

    `plant` is a context in which the random orders are computed.
    """
    (folder / "benchmarks.yaml").write_text(FILE)
    generator = random.Random(0)
    expected = _sums(folder, "file-order", None)
    different_orders = 0
    for trial in range(trials):
        with plant():
            different_orders += _sums(folder, f"trial-{trial}", generator) != expected
    return different_orders


def _sums(folder: Path, name: str, generator: random.Random | None) -> dict[str, str]:
    """The status of each cell and the checksum of its arrays, computed in a random order or in that of the file."""
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    store = Store(folder / name)
    setting = setting_of(plan, store)
    with store.held():
        fits, groups = list(plan.fits.values()), [group for groups in plan.tasks.values() for group in groups]
        if generator is not None:
            generator.shuffle(fits)
            groups = [[cell] for group in groups for cell in group]
            generator.shuffle(groups)
        for fit in fits:
            run_fit(fit, setting)
        for group in groups:
            run_cells(group, setting)
        records = {key: store.record(CELLS, key) for key in store.keys(CELLS)}
    return {key: f"{record['status']} {record['artefacts']}" for key, record in records.items() if record}


class SeedsByPosition(AbstractContextManager[None]):
    """A planted bug: a random stream depends on the number of streams that were derived before it."""

    def __enter__(self) -> None:
        self._words, self._streams = seeds.words, 0
        seeds.words = self._words_by_position

    def __exit__(self, *error: object) -> None:
        seeds.words = self._words

    def _words_by_position(self, seed: int, purpose: seeds.Purpose, *further: int, count: int = 1) -> list[int]:
        self._streams += 1
        return self._words((seed + self._streams) % 2**32, purpose, *further, count=count)
