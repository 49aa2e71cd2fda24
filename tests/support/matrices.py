"""Small benchmarks files for several test files, and helpers for their runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bnnbench.evidence.results import Results
from bnnbench.matrix.plan import restricted
from bnnbench.store.store import Store

SMALL = """\
# Naïve on purpose: not every locale can spell it.
epsilons: [0.0, 0.05]
evaluate: {images: 40, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {fc: {hidden: [8]}}
posteriors:
  sgd: {epochs: 2}
  hmc: {use: pyro-hmc, draws: 4, chains: 2, warmup: 4, leapfrog_steps: 3}
attacks: {random: {use: random-sign}, pgd: {steps: 3}}
"""
ONE_FIT = """\
epsilons: [0.05]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 60}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 2}}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 2}}
"""
NET = "import torch\nclass Net(torch.nn.Linear):\n    def __init__(self): raise OSError('on purpose')\n"
"""A file `net.py` with a network that cannot be built."""


def copied(finished: Results, folder: Path, *only: str) -> Results:
    """The outcomes of a run that have these labels, in a store of their own."""
    shutil.copytree(finished.store.path, folder / "store")
    return Results(restricted(finished.plan, only), Store(folder / "store"))


def manifest_of(results: Results) -> Path:
    """The manifest of the first run of a store."""
    return sorted((results.store.path / "runs").iterdir())[0]


def unsealed(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the fields that the store adds, to be changed and written again."""
    return {name: value for name, value in record.items() if name not in ("sha256", "artefacts", "key")}
