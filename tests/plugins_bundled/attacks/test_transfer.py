"""Inputs that another attack finds for one network with weights of the draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hyperplanes import linear_problem
from known import random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2")
INNER: list[Any] = [
    bb.attack("pgd", steps=6),
    bb.attack("apgd", steps=6, targets=2),
    bb.attack("fmn", steps=6),
    bb.attack("standard"),
]


def mean_network(predictive: bb.Predictive) -> bb.Predictive:
    """The network whose weights are the mean of the draws'."""
    weights = {name: draws.mean(0, keepdim=True) for name, draws in predictive.draws.items()}
    return bb.Predictive(predictive.network, weights)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inner", INNER)
def test_the_result_is_that_of_the_inner_attack_on_the_mean_network(inner: bb.Attack, norm: str) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=20)
    threat = bb.Threat(epsilon=0.15, norm=norm)  # type: ignore[arg-type]
    found = bb.attack("transfer", attack=inner)(predictive, x, y, threat, seed=3)
    assert torch.equal(found, inner(mean_network(predictive), x, y, threat, seed=3))
    assert not torch.equal(found, inner(predictive, x, y, threat, seed=3))


@pytest.mark.parametrize("source", ["mean-network", "one-draw"])
@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_of_one_draw_it_is_the_attack_on_the_predictive_itself(shape: tuple[int, ...], source: str) -> None:
    predictive, x, y, _ = linear_problem(shape)
    inner, threat = bb.attack("pgd", steps=6), bb.Threat(epsilon=0.1)
    found = bb.attack("transfer", attack=inner, source=source).run(predictive, x, y, threat, seed=3)
    assert torch.equal(found.inputs, inner(predictive, x, y, threat, seed=3))
    assert found.success.any()


def test_one_draw_is_the_first_that_the_attacker_sees() -> None:
    predictive, (x, y) = random_ensemble(draws=6), random_inputs()
    inner, threat = bb.attack("pgd", steps=6), bb.Threat(epsilon=0.1, stream="independent")
    found = bb.attack("transfer", attack=inner, source="one-draw")(predictive, x, y, threat, seed=3)
    fourth = bb.Predictive(predictive.network, {name: draws[3:4] for name, draws in predictive.draws.items()})
    assert torch.equal(found, inner(fourth, x, y, bb.Threat(epsilon=0.1), seed=3))


def test_the_ensemble_is_not_asked_whatever_the_budget() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    (crafted,) = craft(bb.attack("transfer"), predictive, x, y, [bb.Threat(epsilon=0.1, queries=1)], seed=0)
    assert crafted.forward_passes.tolist() == [0] * len(x)
    assert crafted.gradient_passes.tolist() == [0] * len(x)
    assert crafted.zero_direction is None


@pytest.mark.parametrize("access", ["scores", "decisions"])
def test_it_is_refused_where_the_weights_are_not_known(access: str) -> None:
    x, y = random_inputs()
    with pytest.raises(bb.GradientRefused, match="not the weights of the network"):
        bb.attack("transfer")(random_ensemble(), x, y, bb.Threat(epsilon=0.1, access=access))  # type: ignore[arg-type]


def test_its_effort_is_that_of_the_inner_attack() -> None:
    stronger = bb.attack("transfer", attack=bb.attack("pgd", steps=6)).stronger()
    assert stronger == bb.attack("transfer", attack=bb.attack("pgd", steps=6).stronger())
    assert bb.attack("transfer", attack="fgsm").stronger() is None
    assert not bb.attack("transfer").stops_early
    assert bb.attack("transfer", attack=bb.attack("pgd", stop_when_broken=True)).stops_early
