"""A posterior of two modes between which no chain moves: over-dispersed chains find both, and the card says so."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.evidence.card import posterior_card

CHAINS = 8
"""All of them end in one of two equal modes with a probability of 2^-7."""


class TwoFunctions(nn.Module):
    """Log odds |w| u + w v at an input (u, v). Where v is 0, both signs of the weight have the same likelihood."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.layer.weight[0, 0]
        odds = torch.abs(weight) * x[:, 0] + weight * x[:, 1]
        return torch.stack([torch.zeros_like(odds), odds], 1)


def two_modes() -> bb.Data:
    """Two hundred points with v = 0, of which one in ten has the other label; test points with v = 1."""
    u = torch.tensor([-1.0, 1.0]).repeat(100)
    label = (u > 0) ^ (torch.arange(200) % 20 < 2)
    x = torch.stack([u, torch.zeros(200)], 1)
    test = torch.stack([u[:8], torch.ones(8)], 1)
    return bb.Data((x, label.long()), (test, label[:8].long()), bounds=(-1.0, 1.0))


@pytest.mark.parametrize("name", ["numpyro-hmc", "numpyro-nuts", "pyro-hmc"])
def test_chains_in_both_modes_have_not_converged(name: str) -> None:
    data, network = two_modes(), TwoFunctions()
    shorter = {} if name == "numpyro-nuts" else {"leapfrog_steps": 5}
    sampler = cast("bb.Posterior", bb.posterior(name, draws=400, chains=CHAINS, warmup=30, prior_scale=3, **shorter))
    draws = sampler.fit(network, data, seed=0)
    signs = torch.from_numpy(draws.arrays["layer.weight"]).flatten(1).sign()
    # Each chain keeps the sign that it has after its warm-up, and both signs are there.
    assert torch.equal(signs.amin(1), signs.amax(1))
    assert len(signs[:, 0].unique()) == 2
    card = posterior_card(bb.Predictive(network, draws), data)
    assert card["level"] == "short"
    assert card["between_share"] > 0.9
