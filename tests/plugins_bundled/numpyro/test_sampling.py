"""NumPyro's samplers."""

from __future__ import annotations

import pytest
import torch
from logistic import NoBias, problem
from torch import nn

import bnnbench as bb

pytestmark = pytest.mark.integration


def test_trees_have_the_depth_allowed_and_what_hits_it_is_counted() -> None:
    settings = {"draws": 30, "warmup": 0, "step_size": 1e-3}
    for depth in (1, 3):
        posterior = bb.posterior("numpyro-nuts", max_tree_depth=depth, **settings)
        diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
        assert (diagnostics["leapfrog_steps"] == 2**depth - 1).all()
        assert diagnostics["depth_cap_hits"] == 30
    free = bb.posterior("numpyro-nuts", max_tree_depth=10, draws=30, warmup=0, step_size=0.5)
    assert free.fit(NoBias(2), problem(2), seed=0).diagnostics["depth_cap_hits"] == 0


class Spectrum(nn.Module):
    """A network with a Fourier transform, which has no JAX form."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft(self.linear(x)).real


def test_a_network_that_jax_cannot_run_is_incompatible() -> None:
    with pytest.raises(bb.Incompatible, match="fft"):
        bb.posterior("numpyro-nuts").fit(Spectrum(), problem(2), seed=0)


def test_a_check_finds_what_jax_cannot_run_before_anything_is_sampled() -> None:
    posterior = bb.posterior("numpyro-hmc")
    with pytest.raises(bb.Incompatible, match="fft"):
        posterior.check(Spectrum(), problem(2))
    with pytest.raises(bb.Incompatible, match="no parameters"):
        posterior.check(nn.Identity(), problem(2))
    network = NoBias(2)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    posterior.check(network, problem(2))
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
