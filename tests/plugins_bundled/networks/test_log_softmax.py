"""A network that ends in log-softmax is the same network as without it: its log-probabilities are logits too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bnnbench as bb

POSTERIORS: dict[str, dict[str, Any]] = {
    "sgd": {"epochs": 3},
    "bayes-by-backprop": {"epochs": 3, "draws": 4},
    "numpyro-hmc": {"draws": 3, "warmup": 2, "leapfrog_steps": 3},
    "pyro-hmc": {"draws": 3, "warmup": 2, "leapfrog_steps": 3},
}


class LogProbabilities(nn.Sequential):
    """The log-softmax of a network's outputs, by a function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(super().forward(x), dim=1)


def layers() -> list[nn.Module]:
    return [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)]


ENDS = {
    "function": lambda: LogProbabilities(*layers()),
    "layer": lambda: nn.Sequential(*layers(), nn.LogSoftmax(dim=1)),
    "layer at -1": lambda: nn.Sequential(*layers(), nn.LogSoftmax(-1)),
}


def data() -> bb.Data:
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] * 3).long()
    return bb.Data(train=(x, y), test=(x[:10], y[:10]), classes=3)


@pytest.mark.integration
@pytest.mark.parametrize("name", POSTERIORS)
def test_posteriors_are_those_of_the_network_without_it(name: str) -> None:
    posterior, points = bb.posterior(name, **POSTERIORS[name]), data()
    plain = bb.fit(posterior, nn.Sequential(*layers()), points, seed=1).log_probs(points.test[0])
    for make in ENDS.values():
        found = bb.fit(posterior, make(), points, seed=1).log_probs(points.test[0])
        assert float((found - plain).abs().max()) < 1e-5


@pytest.mark.integration
@pytest.mark.parametrize("objective", ["predictive-nll", "dlr", "mean-logit", "mean-logit-margin"])
def test_attacks_find_the_same_inputs(objective: str) -> None:
    generator, points = torch.Generator().manual_seed(0), data()
    weights = nn.Sequential(*layers()).state_dict()
    draws = bb.Draws({name: torch.randn(1, 5, *w.shape, generator=generator).numpy() for name, w in weights.items()})
    attack = bb.attack("pgd", objective=objective, steps=5)
    networks = (nn.Sequential(*layers()), *(make() for make in ENDS.values()))
    plain, *others = (attack.run(bb.Predictive(net, draws), *points.test, 0.1).inputs for net in networks)
    for found in others:
        np.testing.assert_allclose(found, plain, atol=1e-6)
