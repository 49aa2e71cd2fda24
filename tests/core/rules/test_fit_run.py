"""A posterior that breaks a rule is named."""

from __future__ import annotations

from typing import ClassVar

import bad_plugins
import numpy as np
import pytest
import torch
from known import small_data

import bnnbench as bb


@pytest.mark.parametrize(
    ("arrays", "shared", "reason"),
    [
        ({"weight": np.full((1, 4, 2, 4), np.nan), "bias": np.zeros((1, 4, 2))}, {}, "not finite: weight"),
        ({"weight": np.zeros((1, 4, 2, 4))}, {"bias": np.array([0, np.inf])}, "not finite: bias"),
        ({"weight": np.zeros((1, 9, 2, 4)), "bias": np.zeros((1, 9, 2))}, {}, "returned 9 draws, its parameter says 4"),
        ({"weight": np.zeros((1, 3, 2, 4)), "bias": np.zeros((1, 3, 2))}, {}, "returned 3 draws, its parameter says 4"),
    ],
)
def test_draws_that_break_the_rules_are_named(
    arrays: dict[str, np.ndarray], shared: dict[str, np.ndarray], reason: str
) -> None:
    class Bad(bb.Posterior):
        """For this test."""

        draws: int = 4

        def fit(self, network, data, *, seed, progress=bb.no_progress):  # type: ignore[no-untyped-def]
            return bb.Draws(arrays, shared=shared)

    with pytest.raises(bb.ContractBreach, match=reason):
        bb.fit(Bad(), torch.nn.Linear(4, 2), small_data())


def test_a_posterior_that_calls_its_draws_a_bound_may_give_fewer() -> None:
    class Few(bb.Posterior):
        """For this test."""

        draws_at_most: ClassVar[bool] = True
        draws: int = 4

        def fit(self, network, data, *, seed, progress=bb.no_progress):  # type: ignore[no-untyped-def]
            return bb.Draws({"weight": np.zeros((1, 3, 2, 4)), "bias": np.zeros((1, 3, 2))})

    assert len(bb.fit(Few(), torch.nn.Linear(4, 2), small_data())) == 3
    with pytest.raises(bb.ContractBreach, match="returned 3 draws, its parameter says 2"):
        bb.fit(Few(draws=2), torch.nn.Linear(4, 2), small_data())


def test_seeds_are_uint32() -> None:
    for wrong in (-1, 2**32, 1.0, True):
        with pytest.raises(ValueError, match="not an integer from 0"):
            bb.fit(bb.posterior("sgd"), torch.nn.Linear(4, 2), small_data(), seed=wrong)  # type: ignore[arg-type]


HALF_MOONS = bb.dataset("half-moons", train_size=100, test_size=50)


def network(data: bb.Data) -> torch.nn.Module:
    return bb.network("fc", hidden=(4,)).build(data)


@pytest.mark.parametrize("name", [name for name in bad_plugins.POSTERIORS if name not in ("stuck", "all-diverged")])
def test_a_posterior_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)

    def tried() -> None:
        predictive = bb.fit(bad_plugins.POSTERIORS[name](), network(data), data)
        bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_plugins.WRONG["posterior"][name]):
        tried()
