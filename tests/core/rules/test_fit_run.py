"""A posterior that breaks a rule is named."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import bad_posteriors
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


@pytest.mark.parametrize("name", [name for name in bad_posteriors.POSTERIORS if name not in ("stuck", "all-diverged")])
def test_a_posterior_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)

    def tried() -> None:
        predictive = bb.fit(bad_posteriors.POSTERIORS[name](), network(data), data)
        bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_posteriors.WRONG[name]):
        tried()


def test_the_predictive_has_the_box_of_the_data(tmp_path: Path) -> None:
    """An attack without a threat then looks for perturbed inputs in the whole box."""
    given = HALF_MOONS.load(seed=0)
    data = bb.Data(train=given.train, test=given.test, classes=2, bounds=(-1, 10))
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    assert predictive.bounds == (-1, 10)
    predictive.save(tmp_path / "fitted")
    assert bb.load(tmp_path / "fitted").bounds == (-1, 10)
    x, y = torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)
    assert bb.attack("random-sign").run(predictive, x, y, 2.0).inputs.max() == 3


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("cude", "device is auto, cpu, cuda or a numbered device such as cuda:0, not 'cude'"),
        ("meta", "not 'meta', which holds no numbers"),
        ("cuda:99", "device is 'cuda:99', which torch cannot use"),
        (torch.device("cuda", 99), "device is 'cuda:99', which torch cannot use"),
    ],
)
def test_a_device_that_is_not_there_is_told(device: str, told: str) -> None:
    data = HALF_MOONS.load(seed=0)
    with pytest.raises(ValueError, match=told) as error:
        bb.fit(bb.posterior("sgd", epochs=1), network(data), data, device=device)
    assert "\n" not in str(error.value)


def test_a_device_is_a_text_or_a_device_of_torch() -> None:
    data = HALF_MOONS.load(seed=0)
    with pytest.raises(TypeError, match="device is auto, cpu, cuda or a numbered device such as cuda:0, not 0"):
        bb.fit(bb.posterior("sgd", epochs=1), network(data), data, device=0)  # type: ignore[arg-type]
    assert len(bb.fit(bb.posterior("sgd", epochs=1), network(data), data, device=torch.device("cpu"))) == 1  # type: ignore[arg-type]


def test_a_wrong_call_is_told_with_the_names_of_arguments() -> None:
    with pytest.raises(TypeError, match="fit has no argument 'sed'; did you mean 'seed'"):
        bb.fit(bb.posterior("sgd"), torch.nn.Linear(4, 2), small_data(), sed=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="fit needs network and data"):
        bb.fit(bb.posterior("sgd"))  # type: ignore[call-arg]
