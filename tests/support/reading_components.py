"""Components of a user's own that read files, and benchmarks files that name them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import Store

CODE = """
import functools
from pathlib import Path

import numpy as np
import torch

import bnnbench as bb

HERE = Path(__file__).parent


def number():
    return float((HERE / "scale.txt").read_text())


@functools.cache
def cached():
    return number()


class Scaled(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.scale = scale

    def forward(self, x):
        return self.layer(x) * self.scale


class Cached(bb.Network):
    def build(self, data):
        return Scaled(cached())


class Tried(bb.Network):
    def build(self, data):
        try:
            return Scaled(number())
        except FileNotFoundError:
            return Scaled(1.0)


class Caching(bb.Network):
    def build(self, data):
        if not (HERE / "cache.txt").exists():
            (HERE / "cache.txt").write_text("1.0")
            return Scaled(1.0)
        return Scaled(float((HERE / "cache.txt").read_text()))


class Asked(bb.Network):
    def build(self, data):
        return Scaled(number() if (HERE / "scale.txt").exists() else 1.0)


class Moons(bb.Dataset):
    def load(self, seed):
        with np.load(HERE / "data.npz") as file:
            x, y = file["x"], file["y"]
        return bb.Data(train=(x, y), test=(x, y))


class Answering(Moons):
    def fingerprint(self):
        return "the same"


class Posterior(bb.Posterior):
    draws: int = 2

    def fit(self, network, data, *, seed, progress=None):
        rng = np.random.default_rng(seed)
        shapes = {name: tuple(weight.shape) for name, weight in network.named_parameters()}
        scale = number()
        return bb.Draws({name: scale * rng.random((1, self.draws, *shape), "f4") for name, shape in shapes.items()})


class Chains(bb.IndependentChains):
    draws: int = 2
    chains: int = 2

    def fit_chain(self, network, data, *, seed, chain, progress=None):
        return Posterior(draws=1).fit(network, data, seed=seed + chain)


class Attack(bb.Attack):
    def perturb(self, victim, x, y, threat, rng):
        return (x + min(number(), threat.epsilon)).clip(*threat.box)


class Objective(bb.Objective):
    def value(self, log_probs, y):
        return -number() * log_probs.mean(0).gather(-1, y[:, None])[:, 0]


class Measure(bb.Measure):
    quantities = (bb.Quantity("scale", (), "float", "", "A number of a file."),)

    def measure(self, defence):
        return {"scale": number()}

    def figures(self, values):
        return {}
"""
FILE = """\
epsilons: [0.1]
evaluate: {{images: 10, draws: 2}}
datasets: {{moons: {dataset}}}
networks: {{net: {network}}}
posteriors: {{fit: {posterior}}}
{cells}
"""
USUAL = {
    "dataset": "{use: half-moons, train_size: 20, test_size: 10}",
    "network": "{use: fc, hidden: [4]}",
    "posterior": "{use: sgd, epochs: 1}",
    "cells": "attacks: {fgsm: }",
}


def data(path: Path, scale: float) -> None:
    x = np.random.default_rng(0).random((20, 2)).astype("f4") * scale
    np.savez(path, x=x, y=np.arange(20) % 2)


def written(folder: Path, **parts: str) -> Path:
    (folder / "mine.py").write_text(CODE)
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.format(**USUAL | parts))
    return path


def statuses(path: Path) -> list[tuple[str, str]]:
    results = Results(make_plan(read_config(path)), Store(path.parent / "store"))
    return [(row["status"], row["reason"]) for row in results.rows()]


def ran(path: Path) -> None:
    bb.run(path, store=path.parent / "store", jobs=0)
    assert {status for status, _ in statuses(path)} == {"ok"}, statuses(path)


def left(path: Path) -> int:
    return Schedule(make_plan(read_config(path)), Store(path.parent / "store")).size
