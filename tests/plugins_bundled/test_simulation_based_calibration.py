"""Simulation-based calibration of samplers on small networks (Talts et al. 2018), and of what must fail it.

A p-value (Sailynoja et al. 2022) of a right sampler is below `LEAST` with that probability at most. All tests of right
samplers together have 75 of them, so that one of them fails by chance with a probability below 1%. Seeds are
fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from calibrated import BIASED, METHODS, SAMPLERS, WRONG
from simulation_based import DRAWS, PROBLEMS

from bnnbench.statistics.ranks import uniformity

LEAST = 1e-4
NETWORKS = pytest.mark.parametrize("network", PROBLEMS)


def p_values(name: str, network: str, simulations: int) -> np.ndarray:
    """The p-value of each function of the weights."""
    ranks, _ = METHODS[name].ranks(network, simulations)
    return uniformity(ranks, DRAWS)


@pytest.mark.integration
@NETWORKS
def test_exact_draws_pass(network: str) -> None:
    assert p_values("exact", network, 50).min() > LEAST


@pytest.mark.integration
@NETWORKS
def test_exact_draws_under_a_prior_that_is_twice_as_wide_fail(network: str) -> None:
    assert p_values("exact, prior wrong by 2", network, 30).min() < LEAST


@pytest.mark.integration
def test_a_sampler_passes_in_a_few_simulations() -> None:
    assert p_values("numpyro-hmc", "tanh", 20).min() > LEAST


@pytest.mark.slow
@NETWORKS
@pytest.mark.parametrize("name", {**SAMPLERS, **BIASED})
def test_samplers_pass(name: str, network: str) -> None:
    assert p_values(name, network, 50).min() > LEAST


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_exact_fails(name: str) -> None:
    assert p_values(name, "tanh", 40).min() < LEAST
