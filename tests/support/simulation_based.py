"""Simulation-based calibration of posteriors (Talts et al. 2018) on small networks.

The weights are drawn from the prior, labels at fixed inputs from the likelihood of these weights, and draws from the
posterior of these labels. Whatever the network, the rank of a function of the true weights among that of the draws is
uniform if the draws are exact and independent. All functions used here are the same for all weights that give the same
network (permuted units, other signs, a shift of both logits), except for the squared norm, which all of these but the
shift leave as it is. The log-likelihood is one of them because it sees the data (Modrak et al. 2023).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

import bnnbench as bb
from bnnbench.statistics.mixing import mixing
from bnnbench.statistics.ranks import ranks_among

DRAWS = 63
"""The number of draws of each posterior: 64 ranks."""
FUNCTIONALS = ("difference at left", "difference in the middle", "difference outside", "log-likelihood", "squared norm")
"""The functions of weights that are ranked. Differences are those of both logits at an input."""


@dataclass(frozen=True)
class Problem:
    """A network with two classes, its prior and its inputs.

    Attributes:
        sizes: inputs, hidden units (none for a linear network) and outputs.
        prior_scale: the standard deviation of the prior of all weights.
        points: the number of labels.
    """

    sizes: tuple[int, ...]
    prior_scale: float = 1.5
    points: int = 20

    def network(self) -> nn.Sequential:
        """The template of the network."""
        layers: list[nn.Module] = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            layers += [nn.Tanh(), nn.Linear(inputs, outputs)]
        return nn.Sequential(*layers[1:]).eval()

    @property
    def x(self) -> Tensor:
        """The inputs, the same in every simulation."""
        return torch.tensor(np.random.default_rng(7).uniform(-1.5, 1.5, (self.points, self.sizes[0])).astype("f4"))

    @property
    def tested(self) -> Tensor:
        """The three inputs at which differences of logits are ranked; the last lies outside of the training inputs."""
        return torch.tensor([[-1.0], [0.3], [2.5]]).expand(3, self.sizes[0])

    def weights(self, generator: np.random.Generator, number: int) -> dict[str, Tensor]:
        """Weights from the prior: name -> tensor (number, *weight)."""
        shapes = {name: weight.shape for name, weight in self.network().named_parameters()}
        return {
            name: torch.tensor(generator.normal(0, self.prior_scale, (number, *shape)).astype("f4"))
            for name, shape in shapes.items()
        }

    def log_odds(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """The differences of both logits at inputs (N, *shape), for each of S sets of weights: (S, N)."""
        network = self.network()
        logits = vmap(lambda each: functional_call(network, each, (x,)))(weights)
        return logits[..., 1] - logits[..., 0]

    def log_likelihoods(self, weights: dict[str, Tensor], y: Tensor) -> Tensor:
        """The log-likelihood of the labels (N,) under each of S sets of weights: (S,)."""
        return nn.functional.logsigmoid(self.log_odds(weights, self.x) * (2 * y - 1)).sum(1)

    def functionals(self, weights: dict[str, Tensor], y: Tensor) -> np.ndarray:
        """The values of `FUNCTIONALS` for each of S sets of weights: (S, Q)."""
        norms = sum(weight.square().flatten(1).sum(1) for weight in weights.values())
        columns = [*self.log_odds(weights, self.tested).T, self.log_likelihoods(weights, y), norms]
        return torch.stack(columns, 1).double().numpy()


PROBLEMS = {"linear": Problem((2, 2)), "tanh": Problem((1, 3, 2))}
"""The networks by name: logistic regression with two inputs, and three hidden units with one input."""


class Rejection(bb.NormalPrior, bb.Posterior):
    """Exact and independent draws of the posterior of a `Problem`, by rejection of draws of its prior.

    A draw is kept with the probability of the labels under it.
    """

    points: int = 20
    sizes: tuple[int, ...] = (2, 2)

    def fit(self, network: nn.Module, data: bb.Data, *, seed: int, progress: Any = None) -> bb.Draws:
        problem, generator = Problem(self.sizes, self.prior_scale, self.points), np.random.default_rng(seed)
        kept: list[dict[str, Tensor]] = []
        number = 0
        while number < self.draws:
            weights = problem.weights(generator, 20_000)
            chances = problem.log_likelihoods(weights, data.train[1]).exp().numpy()
            chosen = torch.tensor(generator.random(len(chances)) < chances)
            kept.append({name: weight[chosen] for name, weight in weights.items()})
            number += int(chosen.sum())
        joined = {name: torch.cat([part[name] for part in kept])[: self.draws] for name in kept[0]}
        return bb.Draws({name: weight[None].numpy() for name, weight in joined.items()})


def simulated(problem: Problem, posterior: bb.Posterior, simulations: int, seed: int = 0) -> tuple[np.ndarray, float]:
    """The ranks (simulations, Q) of the true values among those of the draws, and the median ESS of the worst function.

    The posterior has `DRAWS` draws, or more of which the first are used.
    """
    ranks, sizes = [], []
    for number in range(simulations):
        generator = np.random.default_rng([seed, number])
        truth = problem.weights(generator, 1)
        odds = problem.log_odds(truth, problem.x)[0].sigmoid().numpy()
        y = torch.tensor((generator.random(problem.points) < odds).astype(int))
        data = bb.Data(train=(problem.x, y), test=(problem.x, y), bounds=(-3, 3), classes=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A posterior that is wrong on purpose may warn.
            draws = posterior.fit(problem.network(), data, seed=int(generator.integers(2**32)))
        weights = {name: torch.tensor(array.reshape(-1, *array.shape[2:])) for name, array in draws.arrays.items()}
        values = problem.functionals(weights, y)
        ranks.append(ranks_among(values, problem.functionals(truth, y)[0]))
        sizes.append(mixing(values[None])[1] or 0.0)
    return np.stack(ranks), float(np.median(sizes))
