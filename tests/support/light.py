"""Components that import little: a worker process is ready for them in half the time that bundled ones take.

Tests put this file beside a benchmarks file, and name its classes there: `use: 'light.py:Points'`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import bnnbench as bb

if TYPE_CHECKING:
    from torch import nn

MATRIX = """\
epsilons: [0.0, 0.05]
evaluate: {images: 40, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [8]}}
posteriors:
  fixed: {use: 'light.py:Fixed'}
  chains: {use: 'light.py:Chains', draws: 4, chains: 2}
attacks: {random: {use: random-sign}, pgd: {steps: 3}}
"""
ONE_FIT = """\
epsilons: [0.05]
evaluate: {images: 40}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors: {fixed: {use: 'light.py:Fixed'}}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 2}}
"""


def written(folder: Path, text: str) -> Path:
    """A benchmarks file of this text in a folder, with this file beside it."""
    shutil.copy(__file__, folder / "light.py")
    path = folder / "benchmarks.yaml"
    path.write_text(text)
    return path


class Points(bb.Dataset):
    """Points of the unit square, on two sides of its diagonal."""

    def load(self, seed: int) -> bb.Data:
        import torch

        x = torch.rand(160, 2, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > x[:, 1]).long()
        return bb.Data(train=(x[:100], y[:100]), test=(x[100:], y[100:]))


class Fixed(bb.Posterior):
    """One draw: the weights that the network begins with at this seed."""

    draws: int = 1

    def fit(self, network: nn.Module, data: bb.Data, *, seed: int, progress: bb.Progress = bb.no_progress) -> bb.Draws:
        weights = bb.initialise(network, seed).state_dict()
        return bb.Draws({name: weight.numpy()[None, None] for name, weight in weights.items()})


class Chains(bb.NormalPrior, bb.IndependentChains):
    """Normal draws of every weight, in several chains."""

    def fit_chain(
        self, network: nn.Module, data: bb.Data, *, seed: int, chain: int, progress: bb.Progress = bb.no_progress
    ) -> bb.Draws:
        rng = np.random.default_rng([seed, chain])
        weights = network.state_dict()
        draws = {
            name: rng.normal(size=(1, self.per_chain, *weight.shape)).astype("f4") for name, weight in weights.items()
        }
        return bb.Draws(draws, diagnostics={"gradients": 5, "acceptance": np.full((1, self.per_chain), 0.5)})
